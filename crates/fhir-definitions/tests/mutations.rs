//! Each valid resource is broken in many ways, one at a time; each break is found, at its place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{examples, name_of};
use fhir_definitions::validate::{FaultKind, validate};
use fhir_definitions::{Definitions, Element, Strength, TypeInfo, TypeKind};
use serde_json::{Value, json};

/// A place in a resource, with what the definitions say of it.
struct Site {
    pointer: String,
    path: String,
    element: &'static Element,
    type_name: &'static str,
    kind: TypeKind,
    /// The value is one of a list.
    listed: bool,
}

/// One way to break a resource: what to look for, what to do, and what must be said where.
struct Break {
    name: &'static str,
    fits: fn(&Site, &Value) -> bool,
    spoil: fn(&Site, &Value) -> Value,
    kind: FaultKind,
}

const BREAKS: [Break; 14] = [
    Break {
        name: "object is a string",
        fits: |s, v| v.is_object() && s.kind == TypeKind::Complex,
        spoil: |_, _| json!("x"),
        kind: FaultKind::JsonType,
    },
    Break {
        name: "object is empty",
        fits: |s, v| v.is_object() && s.kind != TypeKind::Resource && s.kind != TypeKind::Abstract,
        spoil: |_, _| json!({}),
        kind: FaultKind::Empty,
    },
    Break {
        name: "text is an object",
        fits: |s, v| v.is_string() && s.kind == TypeKind::Primitive,
        spoil: |_, _| json!({"x": 1}),
        kind: FaultKind::JsonType,
    },
    Break {
        name: "text is empty",
        fits: |s, v| v.is_string() && s.type_name != "base64Binary" && (s.listed || s.element.min > 0),
        spoil: |_, _| json!(""),
        kind: FaultKind::Empty,
    },
    Break { name: "null", fits: |_, _| true, spoil: |_, _| json!(null), kind: FaultKind::Empty },
    Break {
        name: "code off the list",
        fits: |s, v| v.is_string() && required_code(s),
        spoil: |_, _| json!("no-such-code"),
        kind: FaultKind::Code,
    },
    Break {
        name: "code in capitals",
        fits: |s, v| v.as_str().is_some_and(|t| t.chars().all(|c| c.is_ascii_lowercase())) && required_code(s),
        spoil: |_, v| json!(v.as_str().unwrap_or_default().to_uppercase()),
        kind: FaultKind::Code,
    },
    Break {
        name: "no such day",
        fits: |s, _| matches!(s.type_name, "date" | "dateTime"),
        spoil: |_, _| json!("2023-02-29"),
        kind: FaultKind::Format,
    },
    Break {
        name: "date as people write it",
        fits: |s, _| matches!(s.type_name, "date" | "dateTime" | "instant"),
        spoil: |_, _| json!("03/04/2024"),
        kind: FaultKind::Format,
    },
    Break {
        name: "number as text",
        fits: |s, v| v.is_number() && s.kind == TypeKind::Primitive,
        spoil: |_, v| json!(v.to_string()),
        kind: FaultKind::JsonType,
    },
    Break {
        name: "boolean as text",
        fits: |_, v| v.is_boolean(),
        spoil: |_, v| json!(v.to_string()),
        kind: FaultKind::JsonType,
    },
    Break {
        name: "one value in a list",
        fits: |s, v| !s.element.array && !s.listed && !v.is_array(),
        spoil: |_, v| json!([v]),
        kind: FaultKind::Cardinality,
    },
    Break {
        name: "a list inside of a list",
        fits: |s, _| s.listed,
        spoil: |_, v| json!([v]),
        kind: FaultKind::Cardinality,
    },
    Break {
        name: "space in a URI",
        fits: |s, v| v.is_string() && matches!(s.type_name, "uri" | "url" | "canonical"),
        spoil: |_, _| json!("http://a b"),
        kind: FaultKind::Format,
    },
];

fn required_code(site: &Site) -> bool {
    let defs = Definitions::get();
    site.type_name == "code"
        && site
            .element
            .binding
            .is_some_and(|b| b.strength == Strength::Required && defs.bound_set(&b).is_some_and(|s| s.closed))
}

/// Every place in an object that the definitions know.
fn sites(info: &TypeInfo, object: &Value, pointer: &str, path: &str, out: &mut Vec<Site>) {
    let defs = Definitions::get();
    for (key, value) in object.as_object().unwrap() {
        let Some((element, Some(of))) = defs.element(info, key) else { continue };
        let Some(next) = defs.resolve(of) else { continue };
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let pointer = format!("{pointer}/{key}");
        let each: Vec<(String, String, &Value)> = match value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(i, v)| (format!("{pointer}/{i}"), format!("{path}[{i}]"), v)).collect()
            }
            one => vec![(pointer, path, one)],
        };
        for (pointer, path, item) in each {
            if item.is_null() {
                continue;
            }
            let next = item["resourceType"].as_str().and_then(|n| defs.resource_type(n)).unwrap_or(next);
            let site = Site {
                pointer: pointer.clone(),
                path: path.clone(),
                element,
                type_name: next.name,
                kind: next.kind,
                listed: value.is_array(),
            };
            out.push(site);
            if item.is_object() {
                sites(next, item, &pointer, &path, out);
            }
        }
    }
}

/// Breaks that need no particular place: each leaves its mark at the top of the resource.
fn general(resource: &Value) -> Vec<(Value, String, FaultKind)> {
    let with = |key: &str, value: Value| {
        let mut broken = resource.clone();
        broken[key] = value;
        broken
    };
    let mut out = vec![
        (with("notAnElement", json!(1)), "notAnElement".to_owned(), FaultKind::UnknownElement),
        (with("resourceType", json!("Pateint")), String::new(), FaultKind::ResourceType),
        (with("id", json!("a_b")), "id".to_owned(), FaultKind::Format),
        (with("language", json!(5)), "language".to_owned(), FaultKind::JsonType),
        (with("implicitRules", json!("a b")), "implicitRules".to_owned(), FaultKind::Format),
        (with("meta", json!([{}])), "meta".to_owned(), FaultKind::Cardinality),
        (with("meta", json!("x")), "meta".to_owned(), FaultKind::JsonType),
    ];
    let info = Definitions::get().resource_type(resource["resourceType"].as_str().unwrap()).unwrap();
    if info.base == "DomainResource" {
        out.push((with("extension", json!([{"url": "http://x"}])), "extension[0]".to_owned(), FaultKind::Constraint));
        out.push((with("extension", json!([{"valueCode": "x"}])), "extension[0].url".to_owned(), FaultKind::Required));
        out.push((with("contained", json!([{"id": "x"}])), "contained[0]".to_owned(), FaultKind::ResourceType));
    }
    for element in Definitions::get().own_elements(info).iter().filter(|e| e.min > 0 && !e.choice) {
        let mut broken = resource.clone();
        let object = broken.as_object_mut().unwrap();
        if object.contains_key(element.name) && !object.contains_key(&format!("_{}", element.name)) {
            object.remove(element.name);
            out.push((broken, element.name.to_owned(), FaultKind::Required));
        }
    }
    out
}

fn renamed(resource: &Value) -> Option<(Value, String, FaultKind)> {
    let key = resource
        .as_object()?
        .keys()
        .find(|k| !matches!(k.as_str(), "resourceType" | "id") && !k.starts_with('_'))?
        .clone();
    let mut broken = resource.clone();
    let value = broken.as_object_mut()?.remove(&key)?;
    let name = format!("{key}Renamed");
    broken[&name] = value;
    Some((broken, name, FaultKind::UnknownElement))
}

fn second_choice(resource: &Value) -> Option<(Value, String, FaultKind)> {
    let defs = Definitions::get();
    let info = defs.resource_type(resource["resourceType"].as_str()?)?;
    for (key, _) in resource.as_object()? {
        let Some((element, Some(_))) = defs.element(info, key) else { continue };
        let other = defs.json_names(element).into_iter().find(|n| element.choice && n != key && n.ends_with("String"));
        if let Some(other) = other {
            let mut broken = resource.clone();
            broken[&other] = json!("x");
            return Some((broken, element.name.to_owned(), FaultKind::Choice));
        }
    }
    None
}

#[test]
fn every_break_is_found_at_its_place() {
    let defs = Definitions::get();
    let (mut tried, mut least) = (0_usize, usize::MAX);
    for resource in examples() {
        if !validate(&resource).is_sound() {
            continue;
        }
        let info = defs.resource_type(resource["resourceType"].as_str().unwrap()).unwrap();
        let mut places = Vec::new();
        sites(info, &resource, "", "", &mut places);
        let mut broken = general(&resource);
        broken.extend(renamed(&resource));
        broken.extend(second_choice(&resource));
        for (number, way) in BREAKS.iter().enumerate() {
            let fitting: Vec<&Site> =
                places.iter().filter(|s| (way.fits)(s, resource.pointer(&s.pointer).unwrap())).collect();
            // The first, the last, and one in between that differs from break to break.
            for index in [0, fitting.len().saturating_sub(1), number * 7 % fitting.len().max(1)] {
                let Some(site) = fitting.get(index) else { continue };
                let mut other = resource.clone();
                let value = other.pointer(&site.pointer).unwrap().clone();
                *other.pointer_mut(&site.pointer).unwrap() = (way.spoil)(site, &value);
                broken.push((other, site.path.clone(), way.kind));
                let _ = way.name;
            }
        }
        for (other, path, kind) in &broken {
            let report = validate(other);
            let found = report.faults.iter().any(|f| f.path == *path && f.kind == *kind);
            assert!(found, "{}: {kind:?} at {path} not found, but {:?}", name_of(&resource), report.faults);
        }
        tried += broken.len();
        least = least.min(broken.len());
    }
    assert!(least >= 10, "{least}");
    assert!(tried > 5_000, "{tried}");
}
