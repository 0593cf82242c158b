//! The walk over a resource, element by element, against the definitions.

use serde_json::{Map, Value};

use super::fault::{Fault, FaultKind, clipped};
use super::path::Path;
use super::primitive::{self, Wrong};
use super::{Report, binding, constraint, reference, repair};
use crate::{Definitions, Element, ElementType, TypeInfo, TypeKind};
use crate::{forms, systems};

/// Nobody mends more than this at once; the walk stops there, so that a hostile resource costs little.
const MOST_FAULTS: usize = 500;

/// One walk: what it looks at and what it has found.
pub(super) struct Walk<'a> {
    pub(super) defs: &'static Definitions,
    /// The resource that was given.
    pub(super) root: &'a Value,
    /// The resource that is being looked at: the root, or one inside of it.
    pub(super) resource: &'a Value,
    report: Report,
    /// How many of the faults are of a sort that makes rules over the same values meaningless.
    broken: usize,
}

type Object = Map<String, Value>;

impl<'a> Walk<'a> {
    pub(super) fn over(root: &'a Value, sent_as: Option<&str>) -> Report {
        let mut walk = Walk { defs: Definitions::get(), root, resource: root, report: Report::default(), broken: 0 };
        if !sent_as.is_some_and(|name| walk.is_another(root, name)) {
            walk.resource(root, &Path::ROOT);
        }
        walk.report
    }

    pub(super) fn fault(&mut self, path: &Path<'_>, kind: FaultKind, message: String) {
        let mends_itself = matches!(
            kind,
            FaultKind::Code | FaultKind::Constraint | FaultKind::Reference | FaultKind::Choice | FaultKind::Required
        );
        self.broken += usize::from(!mends_itself);
        self.report.faults.push(Fault { path: path.to_string(), kind, message });
    }

    pub(super) fn warn(&mut self, path: &Path<'_>, kind: FaultKind, message: String) {
        self.report.warnings.push(Fault { path: path.to_string(), kind, message });
    }

    fn is_full(&self) -> bool {
        self.report.faults.len() >= MOST_FAULTS || self.report.warnings.len() >= MOST_FAULTS
    }

    /// Whether the root is not of the type that it is sent as; then nothing else is asked.
    fn is_another(&mut self, root: &Value, name: &str) -> bool {
        let message = match root.get("resourceType").and_then(Value::as_str) {
            Some(given) if given == name => return false,
            Some(given) => format!(
                "resourceType: is {}, and this call is for {name}. Send it to {}, or write \"{name}\"",
                clipped(given),
                clipped(given)
            ),
            None if root.is_object() => format!("resourceType: required. Write \"resourceType\":\"{name}\""),
            None => return false,
        };
        self.fault(&Path::ROOT, FaultKind::ResourceType, message);
        true
    }

    /// A resource: the root, a contained one, or one in a bundle.
    fn resource(&mut self, value: &'a Value, path: &Path<'_>) {
        let Some(object) = value.as_object() else {
            let found = repair::kind_of(value);
            return self.fault(
                path,
                FaultKind::ResourceType,
                format!("is {found}; needs a resource: {{\"resourceType\":\"Patient\", …}}"),
            );
        };
        let Some(name) = object.get("resourceType").and_then(Value::as_str) else {
            return self.fault(path, FaultKind::ResourceType, "resourceType: required, e.g. \"Patient\"".to_owned());
        };
        let Some(info) = self.defs.resource_type(name) else {
            let nearest = self.defs.nearest_types(name);
            let hint = if nearest.is_empty() { String::new() } else { format!(". Nearest: {}", nearest.join(", ")) };
            let message = format!("resourceType: there is no \"{}\"{hint}", clipped(name));
            return self.fault(path, FaultKind::ResourceType, message);
        };
        let outer = std::mem::replace(&mut self.resource, value);
        self.object(info, value, object, path);
        self.resource = outer;
    }

    /// An object of a known type.
    fn object(&mut self, info: &'static TypeInfo, value: &'a Value, object: &'a Object, path: &Path<'_>) {
        let is_resource = info.kind == TypeKind::Resource;
        if object.keys().all(|k| is_resource && k == "resourceType") && !is_resource {
            return self.fault(
                path,
                FaultKind::Empty,
                format!("is an empty object; leave it out, or fill it{}", filled(info)),
            );
        }
        let before = self.broken;
        let mut choices: Vec<(&'static str, &'a str)> = Vec::new();
        for (key, value) in object {
            if key == "resourceType" && is_resource {
                continue;
            }
            if self.is_full() {
                return;
            }
            self.property(info, object, key, value, &mut choices, path);
        }
        self.required(info, object, path);
        if info.name == "Extension" {
            self.extension(object, path);
        }
        // A rule over a broken object would only repeat in other words what has been said.
        if self.broken == before {
            for of in self.defs.lineage(info) {
                constraint::check(self, self.defs.type_constraints(of), value, info.name, path);
            }
        }
    }

    /// One key of an object with its value.
    fn property(
        &mut self,
        info: &'static TypeInfo,
        object: &'a Object,
        key: &'a str,
        value: &'a Value,
        choices: &mut Vec<(&'static str, &'a str)>,
        path: &Path<'_>,
    ) {
        let (name, sibling) = key.strip_prefix('_').map_or((key, false), |name| (name, true));
        let here = path.name(key);
        let Some((element, Some(of))) = self.defs.element(info, name) else {
            return self.unknown(info, key, value, path);
        };
        if sibling {
            return self.sibling(element, of, value, &here);
        }
        if element.choice {
            if let Some((_, other)) = choices.iter().find(|(name, _)| *name == element.name) {
                let message =
                    format!("{other} and {key} are both {}[x]; only one may stand there. Leave one out.", element.name);
                self.fault(&path.name(element.name), FaultKind::Choice, message);
            }
            choices.push((element.name, key));
        }
        self.element(element, of, object, value, &here);
    }

    fn unknown(&mut self, info: &TypeInfo, key: &str, value: &Value, path: &Path<'_>) {
        let message = repair::unknown_element(self.defs, info, key, value);
        self.fault(&path.name(key), FaultKind::UnknownElement, message);
    }

    /// An element's value, or its list of values.
    fn element(
        &mut self,
        element: &'static Element,
        of: &'static ElementType,
        object: &'a Object,
        value: &'a Value,
        path: &Path<'_>,
    ) {
        if element.max == 0 {
            return self.fault(path, FaultKind::Cardinality, "may not stand here. Leave it out.".to_owned());
        }
        match value {
            Value::Array(items) if element.array => self.list(element, of, object, items, path),
            Value::Array(items) => {
                let message = repair::single(items);
                self.fault(path, FaultKind::Cardinality, message);
            }
            Value::Null => self.null(path),
            one if element.array => self.unlisted(element, of, one, path),
            one => self.value(element, of, one, path),
        }
    }

    /// One value where a list belongs. What is wrong with the value itself is said first, and that the brackets are
    /// missing then, too: both are put right at once.
    fn unlisted(&mut self, element: &'static Element, of: &'static ElementType, one: &'a Value, path: &Path<'_>) {
        let primitive = self.defs.resolve(of).is_some_and(|t| t.kind == TypeKind::Primitive);
        if !primitive && !one.is_object() {
            let message = repair::wrong_shape(self.defs, element, of, one, true);
            return self.fault(path, FaultKind::Cardinality, message);
        }
        let before = self.report.faults.len();
        self.value(element, of, one, path);
        let message = match self.report.faults.len() == before {
            true => repair::list(one),
            false => "is one value; needs a list: put [ ] around it.".to_owned(),
        };
        self.fault(path, FaultKind::Cardinality, message);
    }

    fn list(
        &mut self,
        element: &'static Element,
        of: &'static ElementType,
        object: &'a Object,
        items: &'a [Value],
        path: &Path<'_>,
    ) {
        if items.is_empty() {
            return self.empty_list(element, path);
        }
        if items.len() < element.min as usize || items.len() > element.max as usize {
            let message = format!("has {} values; needs {}", items.len(), repair::how_many(element));
            self.fault(path, FaultKind::Cardinality, message);
        }
        for (index, item) in items.iter().enumerate() {
            if self.is_full() {
                return;
            }
            let here = path.index(index);
            if item.is_null() {
                if !self.is_extended(object, element, index) {
                    self.null(&here);
                }
            } else if item.is_array() {
                let message = "is a list inside of a list. Take one pair of brackets away.".to_owned();
                self.fault(&here, FaultKind::Cardinality, message);
            } else {
                self.value(element, of, item, &here);
            }
        }
    }

    /// Medplum leaves an empty list out and stores the rest.
    fn empty_list(&mut self, element: &Element, path: &Path<'_>) {
        if element.min > 0 {
            self.fault(path, FaultKind::Empty, format!("is an empty list; {}", repair::required(self.defs, element)));
        } else {
            self.warn(path, FaultKind::Empty, "is an empty list; Medplum leaves it out".to_owned());
        }
    }

    /// Whether a null in a list of primitives stands for a value that has extensions only.
    fn is_extended(&self, object: &Object, element: &Element, index: usize) -> bool {
        object
            .get(&format!("_{}", element.name))
            .and_then(Value::as_array)
            .and_then(|list| list.get(index))
            .is_some_and(Value::is_object)
    }

    fn null(&mut self, path: &Path<'_>) {
        self.fault(path, FaultKind::Empty, "is null. Leave it out.".to_owned());
    }

    /// One value of an element.
    fn value(&mut self, element: &'static Element, of: &'static ElementType, value: &'a Value, path: &Path<'_>) {
        let Some(info) = self.defs.resolve(of) else {
            return;
        };
        let before = self.broken;
        match info.kind {
            TypeKind::Primitive => self.primitive(element, of.name, value, path),
            TypeKind::Resource | TypeKind::Abstract if info.name != "Element" && info.name != "BackboneElement" => {
                self.resource(value, path);
            }
            _ => match value.as_object() {
                Some(object) => {
                    self.object(info, value, object, path);
                    if of.name == "Reference" {
                        reference::check(self, of, object, path);
                    }
                    if of.name == "Coding" {
                        self.coding_system(object, path);
                    }
                }
                None => {
                    let message = repair::wrong_shape(self.defs, element, of, value, false);
                    self.fault(path, FaultKind::JsonType, message);
                }
            },
        }
        if self.broken == before {
            binding::check(self, element, of, value, path);
            constraint::check(self, self.defs.element_constraints(element), value, of.name, path);
        }
    }

    /// A system that is called by its name is stored, and never found by its URI.
    fn coding_system(&mut self, coding: &Object, path: &Path<'_>) {
        let Some(system) = coding.get("system") else { return };
        if let Some(wrong) = system.as_str().filter(|text| !text.trim().is_empty()).and_then(systems::misnamed) {
            let message = format!("{} {wrong}. No search by the system finds it", repair::quoted(system));
            self.warn(&path.name("system"), FaultKind::Format, message);
        }
    }

    fn primitive(&mut self, element: &Element, type_name: &'static str, value: &Value, path: &Path<'_>) {
        match primitive::check(type_name, value) {
            Ok(()) => {
                if type_name == "dateTime" && value.as_str().is_some_and(primitive::lacks_zone) {
                    let message =
                        format!("{} has no time zone; add Z or an offset such as +01:00", repair::quoted(value));
                    self.warn(path, FaultKind::Format, message);
                }
            }
            // Medplum leaves a single empty text out and stores the rest.
            Err(Wrong::Blank) if value == "" && !element.array && element.min == 0 => {
                self.warn(path, FaultKind::Empty, "is empty text; Medplum leaves it out".to_owned());
            }
            Err(Wrong::Blank) => {
                let message = "is empty text. Leave it out, or fill it.".to_owned();
                self.fault(path, FaultKind::Empty, message);
            }
            Err(wrong) => {
                let kind = if wrong == Wrong::JsonType { FaultKind::JsonType } else { FaultKind::Format };
                let message = repair::primitive(self.defs, element, type_name, value, wrong);
                self.fault(path, kind, message);
            }
        }
    }

    /// `_birthDate`: what is said about a primitive beside its value.
    fn sibling(&mut self, element: &'static Element, of: &'static ElementType, value: &'a Value, path: &Path<'_>) {
        let primitive = self.defs.resolve(of).is_some_and(|t| t.kind == TypeKind::Primitive);
        let Some(info) = self.defs.type_info("Element").filter(|_| primitive) else {
            let message = format!("{} is not a primitive; put the extension inside of it", element.name);
            return self.fault(path, FaultKind::UnknownElement, message);
        };
        match value {
            Value::Object(object) => self.object(info, value, object, path),
            Value::Array(items) if element.array => {
                for (index, item) in items.iter().enumerate() {
                    match item {
                        Value::Null => {}
                        Value::Object(object) => self.object(info, item, object, &path.index(index)),
                        _ => self.sibling_shape(&path.index(index)),
                    }
                }
            }
            _ => self.sibling_shape(path),
        }
    }

    fn sibling_shape(&mut self, path: &Path<'_>) {
        let message =
            "needs an object with extension: {\"extension\":[{\"url\":\"…\",\"valueString\":\"…\"}]}".to_owned();
        self.fault(path, FaultKind::JsonType, message);
    }

    /// The elements that must be there and are not.
    fn required(&mut self, info: &'static TypeInfo, object: &Object, path: &Path<'_>) {
        for element in self.defs.elements(info).filter(|e| e.min > 0) {
            let there = if element.choice {
                object.keys().any(|k| self.is_named(element, k))
            } else {
                object.contains_key(element.name) || object.keys().any(|k| k.strip_prefix('_') == Some(element.name))
            };
            if !there {
                let name = element.full_name();
                let message = repair::required(self.defs, element);
                self.fault(&path.name(&name), FaultKind::Required, message);
            }
        }
    }

    /// Whether a key is one of the names of a choice.
    fn is_named(&self, element: &Element, key: &str) -> bool {
        let key = key.strip_prefix('_').unwrap_or(key);
        key.strip_prefix(element.name).is_some_and(|rest| {
            self.defs.types_of(element).iter().any(|t| crate::definitions::capital_eq(t.name, rest))
        })
    }

    /// An extension has a value or extensions of its own. FHIR: ext-1.
    fn extension(&mut self, object: &Object, path: &Path<'_>) {
        let nested = object.contains_key("extension");
        let valued = object.keys().any(|k| k.trim_start_matches('_').starts_with("value"));
        let message = match (nested, valued) {
            (true, true) => "has a value and extensions; only one may stand there",
            (false, false) => "has neither a value nor extensions; write e.g. \"valueString\":\"…\"",
            _ => return,
        };
        self.fault(path, FaultKind::Constraint, message.to_owned());
    }
}

/// `: {"family":"Smith"}`, where there is an example.
fn filled(info: &TypeInfo) -> String {
    forms::example(info.name).map_or_else(String::new, |e| format!(": {e}"))
}
