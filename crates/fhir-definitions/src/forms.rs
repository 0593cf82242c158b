//! What a data type looks like in JSON, for messages that show the right form.

use serde_json::json;

use crate::{Binding, Definitions, ElementType, Strength};

/// An example that fits the element: its own codes, its own reference targets.
pub(crate) fn example_for(defs: &Definitions, of: &ElementType, binding: Option<&Binding>) -> Option<String> {
    let bound = binding.filter(|b| b.strength <= Strength::Extensible).and_then(|b| defs.bound_set(b));
    let first = bound.and_then(|set| defs.codes(set).first());
    let code = first.and_then(|list| list.codes().next().map(|code| (list.system, code)));
    match (of.name, code) {
        ("code", Some((_, code))) => Some(json!(code).to_string()),
        ("Coding", Some((system, code))) => Some(json!({"system": system, "code": code}).to_string()),
        ("CodeableConcept", Some((system, code))) => {
            Some(json!({"coding": [{"system": system, "code": code}]}).to_string())
        }
        // What is bound to the codes of measurements may well be one.
        ("CodeableConcept" | "Coding", None)
            if binding.is_some_and(|b| b.value_set.ends_with("/observation-codes")) =>
        {
            let coding = json!({"system": "http://loinc.org", "code": "29463-7"});
            let is_coding = of.name == "Coding";
            Some(if is_coding { coding } else { json!({"coding": [coding], "text": "Body weight"}) }.to_string())
        }
        ("Reference", _) => {
            let target = defs.targets(of).iter().find(|t| **t != "Resource");
            let patient = defs.targets(of).iter().find(|t| **t == "Patient");
            let target = patient.or(target).unwrap_or(&"Patient");
            Some(json!({"reference": format!("{target}/<id>")}).to_string())
        }
        _ => example(of.name).map(str::to_owned),
    }
}

/// What may be written for a type, in words where there is more than one way.
pub(crate) fn ways(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "date" => r#""2024-01-15", "2024-01" or "2024""#,
        "dateTime" => r#""2024-01-15T08:30:00Z", "2024-01-15", "2024-01" or "2024""#,
        "boolean" => "true or false",
        "positiveInt" => "a whole number from 1",
        "unsignedInt" => "a whole number from 0",
        "integer" => "a whole number such as 42",
        "decimal" => "a number such as 72.5",
        _ => return example(type_name),
    })
}

/// An example of a data type in JSON. None for types that agents do not get wrong.
pub(crate) fn example(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "HumanName" => r#"{"family":"Smith","given":["Alice"]}"#,
        "CodeableConcept" => r#"{"coding":[{"system":"<URI>","code":"<code>"}],"text":"<words>"}"#,
        "Coding" => r#"{"system":"<URI>","code":"<code>"}"#,
        "Reference" => r#"{"reference":"Patient/2758b284-b8c2-4a6a-a3cd-373d94953408"}"#,
        "Identifier" => r#"{"system":"http://hospital.example/mrn","value":"4711"}"#,
        "Quantity" | "Age" | "Duration" | "Distance" | "Count" => {
            r#"{"value":72.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}"#
        }
        "Money" => r#"{"value":49.9,"currency":"EUR"}"#,
        "Range" => r#"{"low":{"value":1,"unit":"kg"},"high":{"value":2,"unit":"kg"}}"#,
        "Ratio" => r#"{"numerator":{"value":1,"unit":"mg"},"denominator":{"value":1,"unit":"mL"}}"#,
        "Period" => r#"{"start":"2024-01-15","end":"2024-02-15"}"#,
        "ContactPoint" => r#"{"system":"phone","value":"+49 89 1234","use":"mobile"}"#,
        "Address" => r#"{"line":["1 High Street"],"city":"Oxford","postalCode":"OX1 4AA","country":"GB"}"#,
        "Annotation" => r#"{"text":"Seen today"}"#,
        "Attachment" => r#"{"contentType":"application/pdf","url":"https://files.example/a.pdf"}"#,
        "Dosage" => r#"{"text":"1 tablet twice a day"}"#,
        "Timing" => r#"{"repeat":{"frequency":2,"period":1,"periodUnit":"d"}}"#,
        "Narrative" => r#"{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">…</div>"}"#,
        "Meta" => r#"{"versionId":"…","lastUpdated":"…","tag":[{"code":"…"}]}"#,
        "Extension" => r#"{"url":"http://example.org/an-extension","valueString":"…"}"#,
        "date" => r#""2024-01-15""#,
        "dateTime" => r#""2024-01-15T08:30:00Z""#,
        "instant" => r#""2024-01-15T08:30:00Z""#,
        "time" => r#""08:30:00""#,
        "boolean" => "true",
        "integer" | "positiveInt" | "unsignedInt" => "42",
        "decimal" => "72.5",
        "integer64" => r#""42""#,
        "uri" | "url" | "canonical" => r#""http://example.org/thing""#,
        "uuid" => r#""urn:uuid:c757873d-ec9a-4326-a141-556f43239520""#,
        "oid" => r#""urn:oid:1.2.3.4.5""#,
        "id" => r#""2758b284-b8c2-4a6a-a3cd-373d94953408""#,
        "code" => r#""final""#,
        "base64Binary" => r#""SGVsbG8=""#,
        "string" | "markdown" => r#""some text""#,
        "xhtml" => r#""<div xmlns=\"http://www.w3.org/1999/xhtml\">…</div>""#,
        _ => return None,
    })
}
