//! What differs from run to run, replaced by names: ids, times, ports.

use std::collections::HashMap;

/// The text with `<id 1>` for the first UUID in it and wherever that comes again, `<time>` for what was written at some
/// moment, `<port>` behind the loopback address, and `<cursor>`.
pub fn redact(text: &str) -> String {
    let mut ids = HashMap::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(id) = rest.get(..36).filter(|text| is_like(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) {
            let number = ids.len() + 1;
            let number = *ids.entry(id.to_owned()).or_insert(number);
            out.push_str(&format!("<id {number}>"));
            rest = rest.get(36..).unwrap_or_default();
        } else if rest.get(..24).is_some_and(|text| is_like(text, "0000-00-00T00:00:00.000Z")) {
            out.push_str("<time>");
            rest = rest.get(24..).unwrap_or_default();
        } else if let Some(behind) = rest.strip_prefix("127.0.0.1:") {
            out.push_str("127.0.0.1:<port>");
            rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        } else if let Some(length) = cursor(rest) {
            out.push_str("<cursor>");
            rest = rest.get(length..).unwrap_or_default();
        } else {
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// The length of a cursor that the text begins with: `c.` and letters of base64.
fn cursor(text: &str) -> Option<usize> {
    let behind = text.strip_prefix("c.")?;
    let length = behind.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
    (length >= 10).then_some(length + 2)
}

/// `x` is any hexadecimal digit, `0` any digit, everything else itself.
fn is_like(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, like)| match like {
            b'x' => byte.is_ascii_hexdigit(),
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}
