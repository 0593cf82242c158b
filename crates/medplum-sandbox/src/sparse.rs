//! Reading only some of a resource's elements. To build an index over 100,000 resources, most of each is skipped over
//! instead of being made into a tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The elements of a resource whose names begin with one of these; the others are left out.
pub(crate) fn parse(text: &[u8], wanted: &[&str]) -> Option<Value> {
    let mut source = serde_json::Deserializer::from_slice(text);
    source.deserialize_map(Elements { wanted }).ok()
}

struct Elements<'w> {
    wanted: &'w [&'w str],
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(name) = access.next_key_seed(Name { wanted: self.wanted })? {
            match name {
                Some(name) => drop(found.insert(name, access.next_value()?)),
                None => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(found))
    }
}

/// The name of an element, if it is wanted.
struct Name<'w> {
    wanted: &'w [&'w str],
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<String>;

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an element")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let wanted = self.wanted.iter().any(|wanted| name.starts_with(wanted));
        Ok(wanted.then(|| name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_rest_is_left_out() {
        let text =
            br#"{"resourceType":"Observation","valueQuantity":{"value":1},"code":{"text":"x"},"note":[{"text":"\n"}]}"#;
        assert_eq!(
            parse(text, &["value", "note"]),
            Some(json!({"valueQuantity": {"value": 1}, "note": [{"text": "\n"}]}))
        );
        assert_eq!(parse(b"[]", &["value"]), None);
    }
}
