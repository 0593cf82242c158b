//! A request as it goes onto the wire.

use bytes::Bytes;

use crate::query::Query;

/// An HTTP method that Medplum's interface uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// Reads `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "GET" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }

    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A method, an encoded path with its query, headers of its own, and a body.
///
/// Made by [`Interaction::to_request`](crate::Interaction::to_request) and by nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Whether the path stands behind the FHIR base or behind the server's.
    pub fhir: bool,
    /// The path, relative and encoded.
    pub path: String,
    /// The query.
    pub query: Query,
    /// `If-Match`, `If-None-Exist`: the headers that belong to this request alone.
    pub headers: Vec<(&'static str, String)>,
    /// What the answer should be.
    pub accept: &'static str,
    /// The content type and the bytes.
    pub body: Option<(String, Bytes)>,
}

pub(crate) const FHIR_JSON: &str = "application/fhir+json";
pub(crate) const JSON: &str = "application/json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

impl Request {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            fhir: true,
            path: path.into(),
            query: Query::new(),
            headers: Vec::new(),
            accept: FHIR_JSON,
            body: None,
        }
    }

    pub(crate) fn query(mut self, query: &Query) -> Self {
        self.query = query.clone();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    pub(crate) fn json(mut self, content_type: &str, body: &serde_json::Value) -> Self {
        self.body = Some((content_type.to_owned(), Bytes::from(body.to_string())));
        self
    }

    /// The path and query behind the FHIR base, as a bundle's entry names it.
    pub fn relative_url(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query.encode()) }
    }
}
