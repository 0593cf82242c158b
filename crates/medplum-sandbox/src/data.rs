//! Resources from a file: NDJSON, a Bundle, or one resource.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use bytes::Bytes;
use serde_json::Value;

use crate::population::load::Loader;

/// Resources to begin with.
#[derive(Debug, Clone, Default)]
pub struct Data {
    resources: Vec<Bytes>,
}

/// Why a file cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum DataError {
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It has something in it that is no resource, in this line or entry.
    NoResource(PathBuf, usize, String),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{} cannot be read: {error}", path.display()),
            Self::NoResource(path, at, why) => write!(f, "{}, number {at}, is no resource: {why}", path.display()),
        }
    }
}

impl std::error::Error for DataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            Self::NoResource(..) => None,
        }
    }
}

impl Data {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or something in it is no resource.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| DataError::Unreadable(path.to_owned(), error))?;
        Self::parse(&text).map_err(|(at, why)| DataError::NoResource(path.to_owned(), at, why))
    }

    /// Reads a text: one resource a line, or one JSON document that is a resource or a Bundle of them.
    ///
    /// # Errors
    /// The number of what is no resource, counted from one, and why it is none.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut data = Self::default();
        if let Ok(whole) = serde_json::from_str::<Value>(text) {
            data.take(whole, 1)?;
            return Ok(data);
        }
        for (at, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let resource = serde_json::from_str(line).map_err(|error| (at, error.to_string()))?;
            data.take(resource, at)?;
        }
        Ok(data)
    }

    /// How many resources there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    fn take(&mut self, mut value: Value, at: usize) -> Result<(), (usize, String)> {
        let of_type = value.get("resourceType").and_then(Value::as_str);
        let of_type = of_type.ok_or_else(|| (at, "it has no resourceType".to_owned()))?;
        if !fhir_definitions::Definitions::get().is_resource_type(of_type) {
            return Err((at, format!("there is no resource type {of_type}")));
        }
        let is_collection = of_type == "Bundle" && value.get("id").is_none();
        let entries = value.get_mut("entry").filter(|_| is_collection).and_then(Value::as_array_mut);
        let Some(entries) = entries else {
            self.resources.push(Bytes::from(value.to_string()));
            return Ok(());
        };
        for (at, entry) in (1..).zip(entries) {
            if let Some(resource) = entry.get_mut("resource") {
                self.take(resource.take(), at)?;
            }
        }
        Ok(())
    }

    pub(crate) fn load(&self, loader: &mut Loader<'_>) {
        for resource in &self.resources {
            loader.add_text(resource.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms() {
        let one = r#"{"resourceType":"Patient","id":"a"}"#;
        assert_eq!(Data::parse(one).unwrap().len(), 1);
        assert_eq!(Data::parse(&format!("{one}\n\n{one}\n")).unwrap().len(), 2);
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{one}}}]}}"#);
        assert_eq!(Data::parse(&bundle).unwrap().len(), 1);
        assert_eq!(Data::parse("{}").unwrap_err().0, 1);
        let nonsense = r#"{"resourceType":"Patientt"}"#;
        assert_eq!(Data::parse(nonsense).unwrap_err().1, "there is no resource type Patientt");
        assert_eq!(Data::parse(&format!("{one}\n[]")).unwrap_err().0, 2);
    }
}
