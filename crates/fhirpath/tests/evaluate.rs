//! What the golden answers do not show: references, the clock, limits, errors, primitives with extensions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::HashMap;

use medplum_fhirpath::{Context, EvalError, Expression, Item};
use serde_json::{Value, json};

fn try_with(expression: &str, focus: &Value, context: &Context<'_>) -> Result<Value, EvalError> {
    let parsed = Expression::parse(expression).unwrap_or_else(|error| panic!("{error} in {expression}"));
    let found = parsed.evaluate(focus, context)?;
    Ok(found.iter().map(|item| item.to_json().into_owned()).collect())
}

fn with(expression: &str, focus: &Value, context: &Context<'_>) -> Value {
    try_with(expression, focus, context).unwrap_or_else(|error| panic!("{error} in {expression}"))
}

fn on(expression: &str, focus: &Value) -> Value {
    with(expression, focus, &Context::new())
}

#[test]
fn references_tell_their_type() {
    let cases = [
        ("Patient/1", "Patient"),
        ("https://example.org/fhir/Practitioner/a-b/_history/3", "Practitioner"),
        ("Patient?identifier=http://x/y|1", "Patient"),
    ];
    for (reference, type_name) in cases {
        let observation = json!({"resourceType": "Observation", "subject": {"reference": reference}});
        let is = format!("Observation.subject.where(resolve() is {type_name}).reference");
        assert_eq!(on(&is, &observation), json!([reference]));
        assert_eq!(on("subject.where(resolve() is Device)", &observation), json!([]));
        // Nothing is at hand but the reference itself.
        assert_eq!(on("subject.resolve()", &observation), json!([{"reference": reference}]));
        assert_eq!(on("subject.resolve().name", &observation), json!([]));
    }
    let told = json!({"subject": {"type": "Patient", "identifier": {"value": "1"}}});
    assert_eq!(on("subject.resolve() is Patient", &told), json!([true]));
    for reference in ["urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "#nobody", "Patient/", "1"] {
        assert_eq!(on("subject.resolve()", &json!({"subject": {"reference": reference}})), json!([]));
    }
}

#[test]
fn references_are_resolved_where_they_can_be() {
    let request = json!({
        "resourceType": "MedicationRequest",
        "contained": [{"resourceType": "Medication", "id": "m", "status": "active"}],
        "medicationReference": {"reference": "#m"},
        "subject": {"reference": "Patient/1"},
    });
    assert_eq!(on("medication.resolve().status", &request), json!(["active"]));
    assert_eq!(on("(MedicationRequest.medication as Reference).resolve() is Medication", &request), json!([true]));
    let known = HashMap::from([("Patient/1".to_owned(), json!({"resourceType": "Patient", "gender": "male"}))]);
    let context = Context::new().with_resolver(&known);
    assert_eq!(with("subject.resolve().gender", &request, &context), json!(["male"]));
    // A constraint on an element finds the contained resource through %resource.
    let context = Context::new().with_resource(&request);
    assert_eq!(with("resolve().id", &request["medicationReference"], &context), json!(["m"]));
}

#[test]
fn the_clock_comes_from_outside() {
    let patient = json!({"resourceType": "Patient", "birthDate": "2000-02-29"});
    let context = Context::new().with_now("2026-02-28T09:30:00+01:00");
    assert_eq!(with("now()", &patient, &context), json!(["2026-02-28T09:30:00+01:00"]));
    assert_eq!(with("today()", &patient, &context), json!(["2026-02-28"]));
    assert_eq!(with("timeOfDay()", &patient, &context), json!(["09:30:00"]));
    assert_eq!(with("birthDate <= today() - 18 years", &patient, &context), json!([true]));
    assert_eq!(with("birthDate + 26 years = today()", &patient, &context), json!([true]));
    let error = try_with("today()", &patient, &Context::new()).unwrap_err();
    assert_eq!(error, EvalError::NoClock { what: "today" });
}

#[test]
fn dates_without_a_model() {
    let encounter = json!({"period": {"start": "2020-01-01T10:00:00Z", "end": "2020-01-01T11:30:00+01:00"}});
    assert_eq!(on("period.start <= period.end", &encounter), json!([true]));
    assert_eq!(on("period.start > '2019'", &encounter), json!([true]));
    assert_eq!(on("period.start >= @2020-01-01", &encounter), json!([]));
    assert_eq!(on("period.start.toDate() >= @2020-01-01", &encounter), json!([true]));
    assert_eq!(on("period.start = @2020-01-01T11:00:00+01:00", &encounter), json!([true]));
}

#[test]
fn primitives_carry_extensions() {
    let patient = json!({
        "resourceType": "Patient",
        "_birthDate": {"id": "b", "extension": [{"url": "http://x/absent", "valueCode": "unknown"}]},
        "deceasedBoolean": false,
        "_deceasedBoolean": {"extension": [{"url": "http://x/y", "valueString": "z"}]},
        "name": [{"given": ["A", null, "C"], "_given": [null, {"extension": [{"url": "http://x/g", "valueString": "b"}]}]}],
    });
    assert_eq!(on("birthDate.extension('http://x/absent').value", &patient), json!(["unknown"]));
    assert_eq!(on("birthDate.id", &patient), json!(["b"]));
    assert_eq!(on("birthDate.exists() and birthDate.hasValue().not()", &patient), json!([true]));
    assert_eq!(on("deceased.extension.value", &patient), json!(["z"]));
    assert_eq!(on("name.given.count()", &patient), json!([3]));
    assert_eq!(on("name.given.extension.value", &patient), json!(["b"]));
    assert_eq!(on("name.given.join(' ')", &patient), json!(["A C"]));
    assert_eq!(on("name.given[1].hasValue()", &patient), json!([false]));
}

#[test]
fn constraints_start_from_an_element() {
    fn holds(expression: &str, item: Item<'_>) -> Option<bool> {
        Expression::parse(expression).unwrap().holds(item, &Context::new()).unwrap()
    }
    let ele_1 = "hasValue() or (children().count() > id.count())";
    let sibling = json!({"extension": [{"url": "http://x"}]});
    let only_id = json!({"id": "x"});
    assert_eq!(holds(ele_1, Item::new(&json!("text"))), Some(true));
    assert_eq!(holds(ele_1, Item::new(&Value::Null).with_sibling(Some(&sibling))), Some(true));
    assert_eq!(holds(ele_1, Item::new(&only_id)), Some(false));
    let div = json!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class=\"on\">on a = b</p></div>");
    assert_eq!(holds("htmlChecks()", Item::new(&div)), Some(true));
    for bad in ["<div><script>x</script></div>", "<div><p onclick=\"x()\">y</p></div>", "plain"] {
        assert_eq!(holds("htmlChecks()", Item::new(&json!(bad))), Some(false), "{bad}");
    }
}

#[test]
fn variables() {
    let focus = json!({"a": 1});
    let variables = HashMap::from([("limits".to_owned(), json!([1, 2]))]);
    let context = Context::new().with_variables(&variables);
    assert_eq!(with("a in %limits", &focus, &context), json!([true]));
    assert_eq!(
        on("%`ext-patient-birthTime`", &focus),
        json!(["http://hl7.org/fhir/StructureDefinition/patient-birthTime"])
    );
    assert_eq!(on("%`vs-gender`", &focus), json!(["http://hl7.org/fhir/ValueSet/gender"]));
    let error = try_with("%nothing", &focus, &context).unwrap_err();
    assert!(error.to_string().starts_with("%nothing is not known here"));
}

#[test]
fn errors_say_what_would_work() {
    let patient = json!({"resourceType": "Patient", "name": [{"given": ["A", "B"]}]});
    let error = |expression: &str| try_with(expression, &patient, &Context::new()).unwrap_err().to_string();
    assert!(error("name.given.substring(1)").contains("first() or [0]"));
    assert!(error("name.given and true").contains("and needs a single value, but there are 2"));
    assert!(error("name.first() + 1").contains("+ needs two numbers"));
    assert!(error("1 < 'a'").contains("that have an order"));
}

#[test]
fn parse_errors_teach() {
    let cases = [
        ("name.wher(use = 'official')", 6, "did you mean where()"),
        ("name.memberOf('x')", 6, "memberOf() is not known"),
        ("name.where(use = \"official\")", 18, "single quotes"),
        ("name.where(use = 'official'", 28, ") is missing"),
        ("name..given", 6, "an element or a function"),
        ("name[*]", 6, "cannot stand where a value"),
        ("name.*", 6, "no wildcard"),
        ("value.ofType(quantity)", 14, "did you mean Quantity?"),
        ("value as datetime", 10, "did you mean dateTime?"),
        ("a == b", 4, "cannot stand where a value"),
        ("a ? b : c", 3, "iif("),
        ("a && b", 4, "cannot stand"),
        ("substring()", 1, "1 to 2 arguments, not 0"),
        ("a)", 2, "never opened"),
        ("", 1, "ends where a value is needed"),
        ("and", 1, "needs a value before it"),
        ("@2020-13", 1, "no date"),
        ("matches('(')", 1, "regular expression"),
        ("'\u{e9}\u{e9}' ;", 6, "FHIRPath has no ;"),
    ];
    for (text, position, part) in cases {
        let error = Expression::parse(text).expect_err(text);
        assert!(error.message().contains(part), "{text}: {error}");
        assert_eq!(error.position(), position, "{text}: {error}");
    }
}

#[test]
fn hostile_texts_are_refused() {
    let deep = "(".repeat(100_000);
    let long = "a.".repeat(5_000) + "a";
    let chain = "1".to_owned() + &" + 1".repeat(2_000);
    let signs = "-".repeat(5_000) + "1";
    let indexes = "a".to_owned() + &"[".repeat(5_000);
    for text in [&deep, &chain, &signs, &indexes] {
        assert!(Expression::parse(text).is_err());
    }
    // A long path is no deep tree.
    let long = Expression::parse(&long).unwrap();
    assert_eq!(long.evaluate(&json!({"a": {"a": 1}}), &Context::new()).unwrap().len(), 0);
    let deepest = "(".repeat(62) + "1" + &")".repeat(62);
    assert_eq!(on(&deepest, &json!({})), json!([1]));
}

/// The deepest tree that is read is also walked, on the small stack of a test's thread.
#[test]
fn the_deepest_tree_is_evaluated() {
    let mut text = "a".to_owned();
    let mut depth = 0;
    loop {
        let deeper = format!("a.where(iif(true, -(1 + {text}.count()), 2) < 0 and true)");
        match Expression::parse(&deeper) {
            Ok(parsed) => {
                let focus = json!({"a": [{"a": 1}]});
                let _ = parsed.evaluate(&focus, &Context::new());
                assert_eq!(Expression::parse(&parsed.to_string()).unwrap(), parsed);
                depth += 1;
            }
            Err(_) => break,
        }
        text = deeper;
    }
    assert!(depth >= 6, "{depth}");
}

#[test]
fn work_is_bounded() {
    let numbers: Vec<u32> = (0..3_000).collect();
    let focus = json!({"a": numbers, "s": "xxxxxxxxxxxxxxxx"});
    for expression in [
        "a.where(%resource.a.where($this > 1).count() > 0)",
        "a.select(%resource.a).select(%resource.a)",
        "a.aggregate($total & %resource.s.replace('x', %resource.s) & $total, '')",
        "s.repeat($this & $this)",
        "1.repeat($this + 1)",
        "a.select(%resource.a.isDistinct())",
        "a.select(%resource.s.matches('(x|' & $this.toString() & '){50}'))",
        "s.replace('x', %resource.s).replace('x', %resource.s).replace('x', %resource.s).matches('(x?){200}y')",
        "a.combine(a).combine(a.combine(a)).select(%resource.a).count()",
    ] {
        let started = std::time::Instant::now();
        let context = Context::new().with_step_limit(200_000);
        let error = try_with(expression, &focus, &context).expect_err(expression);
        assert!(matches!(error, EvalError::TooMuchWork { .. } | EvalError::TooLong { .. }), "{expression}: {error}");
        assert!(started.elapsed().as_secs() < 5, "{expression}: {:?}", started.elapsed());
    }
}

#[test]
fn types_that_are_named() {
    let parsed =
        Expression::parse("Patient.name | Observation.value.ofType(Quantity) | x.where(resolve() is Device)").unwrap();
    assert_eq!(parsed.type_names(), ["Patient", "Observation", "Device"]);
}

#[test]
fn expressions_are_shared_between_threads() {
    fn check<T: Clone + Send + Sync + std::fmt::Display + std::str::FromStr>() {}
    check::<Expression>();
}

/// What is borrowed stays borrowed: a value of the resource is the very value, not a copy.
#[test]
fn nothing_is_copied_on_paths() {
    let patient = json!({"name": [{"given": ["A"]}]});
    let parsed = Expression::parse("name.given").unwrap();
    let found = parsed.evaluate(&patient, &Context::new()).unwrap();
    assert!(std::ptr::eq(found[0].as_json().unwrap(), &patient["name"][0]["given"][0]));
}
