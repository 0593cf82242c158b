//! What must hold for any text and any resource.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use medplum_fhirpath::{Context, EvalError, Expression};
use proptest::prelude::*;
use serde_json::{Map, Value};
use support::TestModel;

const NAMES: [&str; 14] = [
    "name",
    "given",
    "value",
    "valueQuantity",
    "valueString",
    "code",
    "coding",
    "subject",
    "reference",
    "extension",
    "_name",
    "div",
    "contained",
    "resourceType",
];

/// Objects such as resources are, with names that the expressions below use.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(
            &["2020", "2020-02-29", "2020-01-01T10:00:00+14:00", "Patient", "Patient/1", "#a", "é", ""][..]
        )
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let name = prop::sample::select(&NAMES[..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
            }),
        ]
    })
}

/// Well-formed expressions of every kind.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(&NAMES[..]).prop_map(|name| if name == "div" {
            "`div`".to_owned()
        } else {
            name.to_owned()
        }),
        prop::sample::select(
            &[
                "1",
                "-1",
                "0",
                "2.50",
                "9223372036854775807",
                "1e",
                "'a'",
                "''",
                "'\\u00e9\\n'",
                "true",
                "false",
                "{}",
                "@2020",
                "@2020-02-29",
                "@2020-01-01T10:00:00.5-12:00",
                "@T10:30",
                "4 'mg'",
                "1 year",
                "$this",
                "$index",
                "$total",
                "%resource",
                "%context",
                "%ucum",
                "Patient",
                "Observation.value",
                "99999999999 'd'"
            ][..]
        )
        .prop_filter("literal", |text| *text != "1e")
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 48, 4, |inner| {
        let binary = prop::sample::select(
            &[
                "+", "-", "*", "/", "div", "mod", "&", "|", "=", "!=", "~", "!~", "<", "<=", ">", ">=", "in",
                "contains", "and", "or", "xor", "implies",
            ][..],
        );
        let nullary = prop::sample::select(
            &[
                "abs",
                "allFalse",
                "allTrue",
                "anyFalse",
                "anyTrue",
                "avg",
                "ceiling",
                "children",
                "convertsToBoolean",
                "convertsToDate",
                "convertsToDateTime",
                "convertsToDecimal",
                "convertsToInteger",
                "convertsToQuantity",
                "convertsToString",
                "convertsToTime",
                "count",
                "descendants",
                "distinct",
                "empty",
                "exists",
                "first",
                "floor",
                "getValue",
                "hasValue",
                "htmlChecks",
                "isDistinct",
                "join",
                "last",
                "length",
                "lower",
                "max",
                "min",
                "not",
                "now",
                "resolve",
                "round",
                "single",
                "sum",
                "tail",
                "timeOfDay",
                "toBoolean",
                "toChars",
                "toDate",
                "toDateTime",
                "toDecimal",
                "toInteger",
                "toQuantity",
                "toString",
                "toTime",
                "today",
                "trim",
                "truncate",
                "upper",
            ][..],
        );
        let unary = prop::sample::select(
            &[
                "all",
                "aggregate",
                "combine",
                "contains",
                "endsWith",
                "exclude",
                "exists",
                "extension",
                "indexOf",
                "intersect",
                "join",
                "lastIndexOf",
                "matches",
                "matchesFull",
                "repeat",
                "round",
                "select",
                "skip",
                "split",
                "startsWith",
                "subsetOf",
                "substring",
                "supersetOf",
                "take",
                "trace",
                "union",
                "where",
            ][..],
        );
        let two = prop::sample::select(&["replace", "replaceMatches", "substring", "iif", "aggregate", "trace"][..]);
        let type_name = prop::sample::select(
            &["Quantity", "string", "FHIR.Patient", "System.Integer", "DomainResource", "boolean", "Boolean"][..],
        );
        prop_oneof![
            (inner.clone(), binary, inner.clone()).prop_map(|(left, op, right)| format!("({left}) {op} ({right})")),
            (inner.clone(), nullary).prop_map(|(base, name)| format!("({base}).{name}()")),
            (inner.clone(), unary, inner.clone()).prop_map(|(base, name, of)| format!("({base}).{name}({of})")),
            (inner.clone(), two, inner.clone(), inner.clone())
                .prop_map(|(base, name, one, other)| format!("({base}).{name}({one}, {other})")),
            (inner.clone(), prop::sample::select(&["is", "as"][..]), type_name.clone())
                .prop_map(|(base, op, name)| format!("({base}) {op} {name}")),
            (inner.clone(), type_name).prop_map(|(base, name)| format!("({base}).ofType({name})")),
            (inner.clone(), inner.clone()).prop_map(|(base, index)| format!("({base})[{index}]")),
            inner.prop_map(|operand| format!("-({operand})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn any_tokens_are_read_or_refused(
        tokens in prop::collection::vec(
            prop::sample::select(&["(", ")", "[", "]", "{", "}", ".", ",", "|", "=", "!=", "<", "-", "name", "where",
                "is", "as", "and", "'x'", "1", "2.5", "@2020", "$this", "%ucum", "div", "`x`", "ofType", "//", "/*", "*/",
                "\\", "'", "@T", "years", "é"][..]),
            0..30,
        )
    ) {
        let text = tokens.concat();
        if let Ok(parsed) = Expression::parse(&text) {
            prop_assert_eq!(&Expression::parse(&parsed.to_string()).unwrap(), &parsed);
        }
        let _ = Expression::parse(&tokens.join(" "));
    }

    #[test]
    fn printing_reads_back(text in expression()) {
        // A literal pattern that is no regular expression is refused, and so is what is nested too deep.
        if let Ok(parsed) = Expression::parse(&text) {
            let printed = parsed.to_string();
            let again = Expression::parse(&printed).map_err(|error| TestCaseError::fail(format!("{error} in {printed}")))?;
            prop_assert_eq!(&again, &parsed, "{}", printed);
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    #[test]
    fn evaluating_ends_within_its_budget(text in expression(), resource in json(), with_model: bool) {
        let Ok(parsed) = Expression::parse(&text) else { return Ok(()) };
        let model = TestModel::load();
        let mut context = Context::new().with_step_limit(20_000).with_now("2026-01-31T10:00:00Z");
        if with_model {
            context = context.with_model(&model);
        }
        match parsed.evaluate(&resource, &context) {
            Ok(items) => {
                prop_assert!(items.len() <= 20_000);
                for item in items {
                    let _ = (item.to_json(), item.as_f64(), item.type_name());
                }
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        // Half the work is either enough, or refused for that reason.
        let tight = parsed.evaluate(&resource, &context.with_step_limit(10));
        if let Err(EvalError::TooMuchWork { limit }) = tight {
            prop_assert_eq!(limit, 10);
        }
    }
}
