//! The few things that are read from a CapabilityStatement.

use serde_json::Value;

/// A view of a CapabilityStatement's server part.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    whole: &'a Value,
    rest: &'a Value,
}

impl<'a> Statement<'a> {
    /// The server part of a statement; none if the value is something else.
    #[must_use]
    pub fn of(whole: &'a Value) -> Option<Self> {
        let rest = whole.get("rest")?.as_array()?;
        let server = rest.iter().find(|r| r.get("mode").and_then(Value::as_str) == Some("server"));
        server.or(rest.first()).map(|rest| Self { whole, rest })
    }

    /// What it says of a type.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&'a Value> {
        self.rest.get("resource")?.as_array()?.iter().find(|r| r.get("type").and_then(Value::as_str) == Some(name))
    }

    /// The types that it lists.
    pub fn types(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        strings(self.rest, "resource", "type")
    }

    /// The search parameters of a type: name and kind.
    pub fn parameters(&self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.resource(name).into_iter().flat_map(parameters)
    }

    /// `transaction`, `batch`.
    pub(super) fn system_interactions(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        strings(self.rest, "interaction", "code")
    }

    /// `medplum 5.0.10`.
    pub(super) fn software(&self) -> Option<String> {
        let software = self.whole.get("software")?;
        let name = software.get("name")?.as_str()?;
        let version = software.get("version").and_then(Value::as_str).unwrap_or_default();
        // The commit behind the version helps nobody here.
        let version = version.split('-').next().unwrap_or(version);
        Some(format!("{name} {version}").trim().to_owned())
    }
}

/// The search parameters of a type's entry.
pub(super) fn parameters(listed: &Value) -> impl Iterator<Item = (&str, &str)> {
    listed.get("searchParam").and_then(Value::as_array).into_iter().flatten().filter_map(|p| {
        let kind = p.get("type").and_then(Value::as_str).unwrap_or_default();
        p.get("name").and_then(Value::as_str).map(|name| (name, kind))
    })
}

/// The texts at `key` in each object of the list at `list`.
pub(super) fn strings<'a>(of: &'a Value, list: &str, key: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
    of.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(move |v| v.get(key).and_then(Value::as_str))
}
