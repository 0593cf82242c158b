//! A FHIRPath expression, and behind it the resource that it is evaluated on.

use fhirpath::{Context, EvalError, Expression};
use serde_json::{Value, json};

use super::lines;

/// So much work is enough for any of these.
const STEPS: u64 = 20_000;

/// See the module.
pub fn run(data: &[u8]) {
    let Some((text, resource)) = lines(data) else { return };
    let Ok(parsed) = Expression::parse(text) else { return };
    let printed = parsed.to_string();
    let again = Expression::parse(&printed).unwrap_or_else(|error| panic!("printed as {printed}: {error}"));
    assert_eq!(again, parsed, "{printed}");
    let _ = parsed.type_names();
    let resource: Value = serde_json::from_str(resource).unwrap_or_else(|_| patient());
    let context = Context::new().with_step_limit(STEPS).with_now("2026-01-31T10:00:00Z");
    match parsed.evaluate(&resource, &context) {
        Ok(items) => {
            assert!(items.len() as u64 <= STEPS, "{} values", items.len());
            for item in items {
                let _ = (item.to_json(), item.as_f64(), item.type_name());
            }
        }
        Err(EvalError::TooMuchWork { limit }) => assert_eq!(limit, STEPS),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "id": "1",
        "active": true,
        "name": [{"use": "official", "family": "Chalmers", "given": ["Peter", "James"]}],
        "telecom": [{"system": "phone", "value": "(03) 5555 6473", "rank": 1}],
        "birthDate": "1974-12-25",
        "multipleBirthInteger": 2,
        "extension": [{"url": "http://example.com/e", "valueQuantity": {"value": 1.5, "unit": "mg"}}]
    })
}
