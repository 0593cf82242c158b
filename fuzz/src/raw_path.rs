//! A method and a path, and behind them a body in JSON: as `raw_request` takes them.

use medplum_client::{FhirPath, Interaction, Method, Query};

use super::{gate, lines};

/// See the module.
pub fn run(data: &[u8]) {
    let Some((line, body)) = lines(data) else { return };
    let Some((method, path)) = line.split_once(' ') else { return };
    let Some(method) = Method::parse(method) else { return };
    let body = match body.trim() {
        "" => None,
        text => match serde_json::from_str(text) {
            Ok(body) => Some(body),
            Err(_) => return,
        },
    };
    let base = FhirPath::default();
    let Ok(interaction) = Interaction::from_path(&base, method, path, Query::new(), body) else { return };
    gate::holds(&interaction);
    // What was judged is what is sent: read once more, it means the same.
    let request = interaction.to_request();
    if request.body.is_none() {
        let base_path = if request.fhir { base.as_str() } else { "" };
        let sent = format!("{base_path}{}", request.relative_url());
        let again = Interaction::from_path(&base, request.method, &sent, Query::new(), None);
        assert_eq!(again.as_ref(), Ok(&interaction), "{sent}");
    }
}
