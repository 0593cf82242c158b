//! From an item to its elements, and what type they are.

use serde_json::{Map, Value};

use crate::ast::{Member, Namespace, TypeName};
use crate::context::{ChildInfo, Model};
use crate::error::EvalError;
use crate::eval::{Collection, Engine, Outcome};
use crate::item::{Data, Item, Sibling};
use crate::types;

/// What the model says of an element.
enum Known<'a> {
    /// There is no model, or the type of the parent is not known.
    Nothing,
    /// The type has no such element; the JSON may have such a key all the same.
    NoElement,
    Element(ChildInfo<'a>),
}

impl<'a> Engine<'a, '_> {
    /// The first name of a path: an element of `$this`, or the type that `$this` must have (`Patient.name`).
    pub(crate) fn first_member(&self, member: &'a Member, this: &[Item<'a>]) -> Outcome<'a> {
        let mut found = Vec::new();
        for item in this {
            if member.may_be_type {
                self.charge(1)?;
                match self.type_of(item) {
                    Some(name) if self.is_derived(item, name, &member.name) => found.push(item.clone()),
                    // No element's name is capitalised, so this path is meant for another type.
                    Some(_) => {}
                    None => match item.data {
                        Data::Json(Value::Object(object)) if !object.contains_key(&member.name) => {
                            found.push(item.clone());
                        }
                        _ => self.member(item, member, &mut found)?,
                    },
                }
            } else {
                self.member(item, member, &mut found)?;
            }
        }
        Ok(found)
    }

    /// The elements of that name (§3.2).
    pub(crate) fn member(
        &self,
        item: &Item<'a>,
        member: &'a Member,
        out: &mut Collection<'a>,
    ) -> Result<(), EvalError> {
        self.charge(1)?;
        let object = match item.data {
            Data::Json(Value::Object(object)) => object,
            // Of a primitive there are the id and the extensions.
            Data::Json(_) => match item.sibling() {
                Some(Value::Object(object)) => object,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let known = self.known(item, &member.name);
        match object.get(&member.name) {
            Some(value) => {
                let declared = match known {
                    Known::Element(info) => info.type_name,
                    Known::NoElement => self.type_of_key(item, &member.name),
                    Known::Nothing => member.told_type,
                };
                match value {
                    // The commonest end of a path.
                    Value::String(_) | Value::Bool(_) | Value::Number(_) => {
                        let sibling = Sibling::In(object, &member.sibling);
                        out.push(Item { data: Data::Json(value), declared, sibling });
                        Ok(())
                    }
                    _ => {
                        let sibling = may_have_sibling(value).then(|| object.get(&member.sibling)).flatten();
                        self.push(value, sibling, declared, out)
                    }
                }
            }
            None => self.member_by_another_key(object, member, &known, out),
        }
    }

    /// A choice (`value` under `valueQuantity`), or a primitive with nothing but extensions.
    fn member_by_another_key(
        &self,
        object: &'a Map<String, Value>,
        member: &'a Member,
        known: &Known<'a>,
        out: &mut Collection<'a>,
    ) -> Result<(), EvalError> {
        let (may_be_choice, declared) = match known {
            Known::Nothing => (true, None),
            Known::NoElement => return Ok(()),
            Known::Element(info) => (info.choice, info.type_name),
        };
        self.charge(object.len() / 8)?;
        for (key, value) in object {
            if *key == member.sibling {
                self.push(&Value::Null, Some(value), declared, out)?;
            } else if !may_be_choice {
                // Only the sibling is of interest.
            } else if let Some(found) = types::of_choice(key, &member.name) {
                let sibling = may_have_sibling(value).then(|| sibling_of(object, key)).flatten();
                self.push(value, sibling, Some(found), out)?;
            } else if let Some(found) = types::of_choice(key, &member.sibling)
                && key.strip_prefix('_').is_some_and(|bare| !object.contains_key(bare))
            {
                self.push(&Value::Null, Some(value), Some(found), out)?;
            }
        }
        Ok(())
    }

    fn known(&self, item: &Item<'a>, name: &str) -> Known<'a> {
        let Some(model) = self.context.model else {
            return Known::Nothing;
        };
        match item.type_name() {
            None => Known::Nothing,
            Some(parent) => model.child(parent, name).map_or(Known::NoElement, Known::Element),
        }
    }

    /// The type of a key that is no element: `valueQuantity`, where the element is `value`.
    fn type_of_key(&self, parent: &Item<'a>, key: &str) -> Option<&'a str> {
        let choice_of =
            |model: &'a dyn Model, parent: &str, name: &str| model.child(parent, name).is_some_and(|info| info.choice);
        match (self.context.model, parent.type_name()) {
            (Some(model), Some(parent)) => {
                types::splits(key).find(|(name, _)| choice_of(model, parent, name)).map(|(_, found)| found)
            }
            _ => types::of_choice(key, "value"),
        }
    }

    /// A value, or each of a list, with what stands beside it.
    fn push(
        &self,
        value: &'a Value,
        sibling: Option<&'a Value>,
        declared: Option<&'a str>,
        out: &mut Collection<'a>,
    ) -> Result<(), EvalError> {
        let item = |json, sibling| Item { data: Data::Json(json), declared, sibling: Sibling::Known(sibling) };
        match (value, sibling) {
            (Value::Array(values), None) => {
                self.charge(values.len())?;
                out.extend(values.iter().filter(|value| !value.is_null()).map(|value| item(value, None)));
            }
            (Value::Array(_) | Value::Null, Some(Value::Array(siblings))) => {
                let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
                let count = values.len().max(siblings.len());
                self.charge(count)?;
                for at in 0..count {
                    let value = values.get(at).unwrap_or(&Value::Null);
                    let sibling = siblings.get(at).filter(|sibling| !sibling.is_null());
                    if !value.is_null() || sibling.is_some() {
                        out.push(item(value, sibling));
                    }
                }
            }
            (Value::Null, None) => {}
            (Value::Array(_), Some(_)) => self.push(value, None, declared, out)?,
            _ => out.push(item(value, sibling)),
        }
        Ok(())
    }

    /// All elements (§5.8.1). What a resource calls itself (`resourceType`) is none.
    pub(crate) fn children(&self, item: &Item<'a>, out: &mut Collection<'a>) -> Result<(), EvalError> {
        self.charge(1)?;
        let object = match (&item.data, item.sibling()) {
            (Data::Json(Value::Object(object)), _) => object,
            (Data::Json(_), Some(Value::Object(object))) => object,
            _ => return Ok(()),
        };
        let has_siblings = object.keys().any(|key| key.starts_with('_'));
        for (key, value) in object {
            if key == "resourceType" {
                continue;
            }
            let (name, value, sibling) = match key.strip_prefix('_') {
                Some(bare) if object.contains_key(bare) => continue,
                Some(bare) => (bare, &Value::Null, Some(value)),
                None if has_siblings && may_have_sibling(value) => {
                    (key.as_str(), value, object.get(&format!("_{key}")))
                }
                None => (key.as_str(), value, None),
            };
            let declared = match self.known(item, name) {
                Known::Element(info) => info.type_name,
                Known::NoElement | Known::Nothing => self.type_of_key(item, name),
            };
            self.push(value, sibling, declared, out)?;
        }
        Ok(())
    }

    /// `is` (§6.3.1).
    pub(crate) fn is(&self, values: &[Item<'a>], name: &TypeName) -> Outcome<'a> {
        let only = crate::eval::single(values, "is")?;
        Ok(only.map(|item| Item::boolean(self.has_type(item, name))).into_iter().collect())
    }

    /// `ofType`, and `as`, which is lenient here: of several values those of the type stay, as FHIR's own
    /// constraints rely on (`descendants().as(uri)`).
    pub(crate) fn of_type(&self, mut values: Collection<'a>, name: &TypeName) -> Collection<'a> {
        values.retain(|item| self.has_type(item, name));
        values
    }

    /// Whether a value is of a type. `Boolean` without a namespace is FHIR's `boolean` as well, as FHIR's own
    /// constraints write it.
    pub(crate) fn has_type(&self, item: &Item<'a>, name: &TypeName) -> bool {
        let wanted = name.name.as_str();
        let system = name.namespace != Some(Namespace::Fhir);
        let fhir = name.namespace != Some(Namespace::System);
        match (&item.data, item.type_name()) {
            (_, Some(found)) => {
                fhir && (self.is_derived(item, found, wanted) || (system && types::system_type(found) == Some(wanted)))
            }
            // The type of a primitive that no model names is told by its form.
            (Data::Json(json), None) => match json {
                Value::Bool(_) => matches(wanted, &["boolean"], &["Boolean"], fhir, system),
                Value::Number(number) if number.is_f64() => matches(wanted, &["decimal"], &["Decimal"], fhir, system),
                Value::Number(_) => matches(wanted, &["integer", "decimal"], &["Integer"], fhir, system),
                Value::String(_) => matches(wanted, &["string"], &["String"], fhir, system),
                _ => false,
            },
            _ => system && item.scalar().system_type() == Some(wanted),
        }
    }

    fn is_derived(&self, item: &Item<'a>, found: &str, wanted: &str) -> bool {
        found == wanted
            || match (self.context.model, wanted) {
                (Some(model), _) => model.is_subtype(found, wanted),
                (None, "Resource" | "DomainResource") => {
                    item.is_resource() && types::is_resource_subtype(found, wanted)
                }
                (None, _) => types::is_subtype(found, wanted),
            }
    }
}

fn matches(wanted: &str, fhir_names: &[&str], system_names: &[&str], fhir: bool, system: bool) -> bool {
    (fhir && fhir_names.contains(&wanted)) || (system && system_names.contains(&wanted))
}

/// What stands under `_key`. Looked for among the keys, most of which differ in length, as that makes no string.
fn sibling_of<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.iter().find(|(other, _)| other.strip_prefix('_') == Some(key)).map(|(_, value)| value)
}

/// Whether `_name` may stand beside it: beside primitives, and lists of them.
fn may_have_sibling(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(values) => values.first().is_none_or(|first| !first.is_object()),
        _ => true,
    }
}
