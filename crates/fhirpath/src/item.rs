//! One value of a collection: a piece of the resource, borrowed, or something computed.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::decimal::Decimal;
use crate::quantity::Quantity;
use crate::temporal::{Kind, Temporal};
use crate::types;

/// One value of a collection.
///
/// A piece of the resource is borrowed, never copied. A primitive of FHIR carries its extensions along, and may
/// have nothing but them.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    pub(crate) data: Data<'a>,
    /// The FHIR type where it is known without looking; of a resource, see [`Item::type_name`].
    pub(crate) declared: Option<&'a str>,
    /// `_birthDate` of `birthDate`: the id and the extensions of a primitive.
    pub(crate) sibling: Sibling<'a>,
}

/// Where the id and the extensions of a primitive are. Few have any, so they are looked up when they are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sibling<'a> {
    Known(Option<&'a Value>),
    /// Under that key of the object that the primitive stands in, if it is there.
    In(&'a Map<String, Value>, &'a str),
}

#[derive(Debug, Clone)]
pub(crate) enum Data<'a> {
    Json(&'a Value),
    Boolean(bool),
    Integer(i64),
    String(Cow<'a, str>),
    // Boxed, so that an item stays small: paths, which are most of the work, have none of these.
    Decimal(Box<Decimal>),
    Temporal(Box<Temporal>),
    Quantity(Box<Quantity>),
    /// A resource of which only the reference is known.
    Unresolved(&'a str),
}

/// What a value is to an operator.
#[derive(Debug, Clone)]
pub(crate) enum Scalar<'i> {
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    /// A number that no decimal holds, such as 1e300.
    Huge(f64),
    String(&'i str),
    Temporal(Temporal),
    Quantity(Quantity),
    /// An object that is no quantity.
    Complex(&'i Value),
    /// A primitive with extensions only, or an unresolved reference.
    Nothing,
}

impl<'a> Item<'a> {
    /// A piece of a resource, or a whole one.
    #[must_use]
    pub fn new(json: &'a Value) -> Self {
        Self { data: Data::Json(json), declared: None, sibling: Sibling::Known(None) }
    }

    /// With its FHIR type, such as `HumanName`, where the JSON alone does not tell it.
    #[must_use]
    pub fn with_type(mut self, type_name: &'a str) -> Self {
        self.declared = Some(type_name);
        self
    }

    /// With the object that holds the id and the extensions of a primitive, `_birthDate` of `birthDate`.
    #[must_use]
    pub fn with_sibling(mut self, sibling: Option<&'a Value>) -> Self {
        self.sibling = Sibling::Known(sibling);
        self
    }

    pub(crate) fn computed(data: Data<'a>) -> Self {
        Self { data, declared: None, sibling: Sibling::Known(None) }
    }

    pub(crate) fn string(text: impl Into<Cow<'a, str>>) -> Self {
        Self::computed(Data::String(text.into()))
    }

    pub(crate) fn boolean(value: bool) -> Self {
        Self::computed(Data::Boolean(value))
    }

    pub(crate) fn integer(value: i64) -> Self {
        Self::computed(Data::Integer(value))
    }

    pub(crate) fn count(value: usize) -> Self {
        Self::integer(i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(crate) fn decimal(value: Decimal) -> Self {
        Self::computed(Data::Decimal(Box::new(value)))
    }

    pub(crate) fn temporal(value: Temporal) -> Self {
        Self::computed(Data::Temporal(Box::new(value)))
    }

    pub(crate) fn quantity(value: Quantity) -> Self {
        Self::computed(Data::Quantity(Box::new(value)))
    }

    /// The FHIR type, if it is known: a resource says its own, a choice tells it by its key, a model knows the rest.
    #[must_use]
    pub fn type_name(&self) -> Option<&'a str> {
        match (self.declared, &self.data) {
            // Of an element that may be any resource, the resource in it knows better.
            (None | Some("Resource" | "DomainResource"), Data::Json(Value::Object(object))) => {
                object.get("resourceType").and_then(Value::as_str).or(self.declared)
            }
            (declared, _) => declared,
        }
    }

    pub(crate) fn is_resource(&self) -> bool {
        match self.data {
            Data::Json(json) => json.get("resourceType").is_some_and(Value::is_string),
            Data::Unresolved(_) => true,
            _ => false,
        }
    }

    /// The piece of the resource that this is, with the lifetime of the resource; `None` for what was computed.
    #[must_use]
    pub fn as_json(&self) -> Option<&'a Value> {
        match self.data {
            Data::Json(json) => Some(json),
            _ => None,
        }
    }

    /// The id and the extensions of a primitive, `_birthDate` of `birthDate`.
    #[must_use]
    pub fn sibling(&self) -> Option<&'a Value> {
        match self.sibling {
            Sibling::Known(sibling) => sibling,
            Sibling::In(object, key) => object.get(key),
        }
    }

    /// Whether there is a value, and not only extensions in its place.
    #[must_use]
    pub fn has_value(&self) -> bool {
        !matches!(self.data, Data::Json(Value::Null))
    }

    /// The text of a string, code, uri, date …
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Json(Value::String(text)) => Some(text),
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.data {
            Data::Json(Value::Bool(value)) => Some(*value),
            Data::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a number, as near as a double comes.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match &self.data {
            Data::Json(Value::Number(number)) => number.as_f64(),
            Data::Integer(value) => value.to_string().parse().ok(),
            Data::Decimal(value) => value.to_string().parse().ok(),
            _ => None,
        }
    }

    /// The value as JSON: borrowed from the resource where it comes from it. An unresolved reference is given as a
    /// Reference, a primitive that has only extensions as null.
    #[must_use]
    pub fn to_json(&self) -> Cow<'a, Value> {
        Cow::Owned(match &self.data {
            Data::Json(json) => return Cow::Borrowed(json),
            Data::Boolean(value) => Value::Bool(*value),
            Data::Integer(value) => Value::from(*value),
            Data::String(text) => Value::from(text.as_ref()),
            Data::Decimal(value) => decimal_to_json(**value),
            Data::Temporal(value) => Value::from(value.to_string()),
            Data::Quantity(quantity) => {
                let mut object = Map::new();
                object.insert("value".to_owned(), decimal_to_json(quantity.value));
                object.insert("unit".to_owned(), Value::from(quantity.unit.as_str()));
                Value::Object(object)
            }
            Data::Unresolved(reference) => {
                let mut object = Map::new();
                object.insert("reference".to_owned(), Value::from(*reference));
                Value::Object(object)
            }
        })
    }

    /// What the value is to an operator.
    pub(crate) fn scalar(&self) -> Scalar<'_> {
        match &self.data {
            Data::Json(json) => self.json_scalar(json),
            Data::Boolean(value) => Scalar::Boolean(*value),
            Data::Integer(value) => Scalar::Integer(*value),
            Data::String(text) => Scalar::String(text),
            Data::Decimal(value) => Scalar::Decimal(**value),
            Data::Temporal(value) => Scalar::Temporal(**value),
            Data::Quantity(quantity) => Scalar::Quantity((**quantity).clone()),
            Data::Unresolved(_) => Scalar::Nothing,
        }
    }

    fn json_scalar(&self, json: &'a Value) -> Scalar<'a> {
        match json {
            Value::Null => Scalar::Nothing,
            Value::Bool(value) => Scalar::Boolean(*value),
            Value::Number(number) => number_scalar(number),
            Value::String(text) => match self.declared {
                Some(fhir) if types::is_temporal(fhir) => {
                    temporal_of(text, fhir).map_or(Scalar::String(text), Scalar::Temporal)
                }
                _ => Scalar::String(text),
            },
            Value::Object(object) => {
                // A quantity is known by its type; without one by its shape.
                let is_quantity = match self.declared {
                    Some(fhir) => types::is_subtype(fhir, "Quantity"),
                    None => {
                        object.get("value").is_some_and(Value::is_number)
                            && (object.contains_key("unit") || object.contains_key("code"))
                    }
                };
                match is_quantity.then(|| Quantity::of_json(json)).flatten() {
                    Some(quantity) => Scalar::Quantity(quantity),
                    None => Scalar::Complex(json),
                }
            }
            Value::Array(_) => Scalar::Complex(json),
        }
    }
}

fn number_scalar<'i>(number: &Number) -> Scalar<'i> {
    match number.as_i64() {
        Some(value) => Scalar::Integer(value),
        None => match Decimal::parse(&number.to_string()) {
            Some(value) => Scalar::Decimal(value),
            None => Scalar::Huge(number.as_f64().unwrap_or_default()),
        },
    }
}

/// The text of a FHIR date, dateTime, instant or time.
fn temporal_of(text: &str, fhir: &str) -> Option<Temporal> {
    match fhir {
        "time" => Temporal::parse_time(text),
        "date" => Temporal::parse(text),
        _ => Temporal::parse(text)?.as_date_time(),
    }
}

fn decimal_to_json(value: Decimal) -> Value {
    if let Some(whole) = value.to_integer() {
        return Value::from(whole);
    }
    // Through its text, so that what was written stays written.
    serde_json::from_str(&value.to_string()).unwrap_or(Value::Null)
}

impl Scalar<'_> {
    /// The system type of the value (FHIRPath §4.1).
    pub(crate) fn system_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::Boolean(_) => "Boolean",
            Self::Integer(_) => "Integer",
            Self::Decimal(_) | Self::Huge(_) => "Decimal",
            Self::String(_) => "String",
            Self::Temporal(value) => match value.kind {
                Kind::Date => "Date",
                Kind::DateTime => "DateTime",
                Kind::Time => "Time",
            },
            Self::Quantity(_) => "Quantity",
            Self::Complex(_) | Self::Nothing => return None,
        })
    }

    pub(crate) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Integer(value) => Some(Decimal::from(*value)),
            Self::Decimal(value) => Some(*value),
            _ => None,
        }
    }
}
