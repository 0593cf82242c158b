//! An answer of Medplum's, as JSON.

use medplum_mcp::cleanse::{cleanse, is_clean};
use serde_json::{Value, json};

use super::json;

/// It is found in no answer but where it was put.
const SECRET: &str = "b6d1c1c5e3f04f0f9d5b";

/// See the module.
pub fn run(data: &[u8]) {
    let Some(answer) = json(data) else { return };
    let mut shown = answer.clone();
    cleanse(&mut shown);
    if let Ok(text) = std::str::from_utf8(data)
        && is_clean(text)
    {
        assert_eq!(shown, answer, "what is clean is shown as it is");
    }
    assert!(!hides(&shown), "{shown:?}");
    let mut again = shown.clone();
    cleanse(&mut again);
    assert_eq!(again, shown, "what is cleansed is clean");

    let mut holders = json!([
        {"resourceType": "ClientApplication", "secret": SECRET, "beside": answer},
        {"secret": {"deep": [SECRET, answer]}},
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "User", "passwordHash": SECRET, "x": answer}}]},
        {"contained": [answer, {"resourceType": "JsonWebKey", "d": SECRET}]},
    ]);
    cleanse(&mut holders);
    assert!(!holders.to_string().contains(SECRET), "{holders}");
}

/// Whether a text or name still holds a character that turns direction or hides a text, by a list of its own.
fn hides(value: &Value) -> bool {
    let hidden = |text: &str| {
        let turns = |c: char| matches!(u32::from(c), 0x202a..=0x202e | 0x2066..=0x2069 | 0x200e | 0x200f | 0x061c);
        let hides = |c: char| matches!(u32::from(c), 0x200b | 0x2060..=0x2064 | 0xfeff | 0xe0000..=0xe007f | 0xad);
        let controls = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r');
        text.chars().any(|c| turns(c) || hides(c) || controls(c))
    };
    match value {
        Value::String(text) => hidden(text),
        Value::Array(values) => values.iter().any(hides),
        Value::Object(object) => object.iter().any(|(key, value)| hidden(key) || hides(value)),
        _ => false,
    }
}
