//! A batch or transaction (<https://hl7.org/fhir/R4/http.html#transaction>), sent as it was judged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_definitions::ResourceId;
use serde_json::{Map, Value, json};

use crate::effect::Effect;
use crate::interaction::{Interaction, check_condition, type_of};
use crate::invalid::InvalidRequest;
use crate::patch::JsonPatch;
use crate::query::Query;
use crate::request::Method;

/// What kind of bundle is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// Each entry for itself.
    Batch,
    /// All entries or none, in a project that has the feature.
    Transaction,
}

impl BatchKind {
    /// `batch` or `transaction`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Transaction => "transaction",
        }
    }
}

/// A bundle of interactions. It is rebuilt from its parsed entries when it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    kind: BatchKind,
    entries: Vec<BatchEntry>,
}

/// One entry of a bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchEntry {
    /// What it asks.
    pub interaction: Interaction,
    /// The name that other entries refer to it by: usually a `urn:uuid:`.
    pub full_url: Option<String>,
    if_none_match: Option<String>,
    if_match: Option<String>,
}

/// Elements of a bundle that change nothing in how it is carried out.
const WITHOUT_EFFECT: &[&str] = &["id", "meta", "implicitRules", "language", "identifier", "timestamp"];

impl Batch {
    /// Takes a Bundle resource; one without `resourceType` is taken as a Bundle.
    ///
    /// # Errors
    /// [`InvalidRequest::Bundle`] and [`InvalidRequest::Entry`] for a bundle that cannot be sent as it stands: an
    /// unknown type, an entry without a request, an absolute URL.
    pub fn parse(bundle: &Value) -> Result<Self, InvalidRequest> {
        let wrong = |reason: &str| Err(InvalidRequest::Bundle(reason.into()));
        let Some(bundle) = bundle.as_object() else {
            return wrong(
                "must be a Bundle resource, such as {\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":\"GET\",\"url\":\"Patient/<id>\"}}]}",
            );
        };
        if bundle.get("resourceType").is_some_and(|t| t != "Bundle") {
            return wrong("resourceType must be Bundle");
        }
        let kind = match bundle.get("type").and_then(Value::as_str) {
            Some("batch") => BatchKind::Batch,
            Some("transaction") => BatchKind::Transaction,
            _ => return wrong("type must be batch or transaction"),
        };
        const KNOWN: &[&str] = &["resourceType", "type", "entry"];
        if let Some(key) =
            bundle.keys().find(|key| !KNOWN.contains(&key.as_str()) && !WITHOUT_EFFECT.contains(&key.as_str()))
        {
            return wrong(&format!("{key} does not belong in a {}", kind.as_str()));
        }
        let entries = match bundle.get("entry") {
            None => &[],
            Some(Value::Array(entries)) => entries.as_slice(),
            Some(_) => return wrong("entry must be a list"),
        };
        let entries =
            entries.iter().enumerate().map(|(index, entry)| parse_entry(index, entry)).collect::<Result<_, _>>()?;
        Ok(Self { kind, entries })
    }

    /// A batch of these interactions.
    pub fn of(interactions: impl IntoIterator<Item = Interaction>) -> Self {
        Self::of_kind(BatchKind::Batch, interactions)
    }

    /// A bundle of these interactions.
    pub fn of_kind(kind: BatchKind, interactions: impl IntoIterator<Item = Interaction>) -> Self {
        let entries = interactions
            .into_iter()
            .map(|interaction| BatchEntry { interaction, full_url: None, if_none_match: None, if_match: None })
            .collect();
        Self { kind, entries }
    }

    /// Batch or transaction.
    pub fn kind(&self) -> BatchKind {
        self.kind
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[BatchEntry] {
        &self.entries
    }

    /// The entries, to put something else in their place.
    pub fn entries_mut(&mut self) -> &mut [BatchEntry] {
        &mut self.entries
    }

    /// The largest effect of its entries.
    pub fn effect(&self) -> Effect {
        self.entries.iter().map(|entry| entry.interaction.effect()).max().unwrap_or(Effect::Read)
    }

    pub(crate) fn to_bundle(&self) -> Value {
        let entries: Vec<Value> = self.entries.iter().map(BatchEntry::to_value).collect();
        json!({ "resourceType": "Bundle", "type": self.kind.as_str(), "entry": entries })
    }
}

impl BatchEntry {
    /// Whether it is for one version of what it changes.
    pub fn has_version(&self) -> bool {
        self.if_match.is_some()
    }

    /// Whether Medplum may answer that nothing has changed (304): a read with a version that is known, or what stores what
    /// is there already.
    pub fn may_be_unchanged(&self) -> bool {
        let stores = matches!(self.interaction, Interaction::Update { .. } | Interaction::Patch { .. });
        self.if_none_match.is_some() || stores
    }

    fn to_value(&self) -> Value {
        let sent = self.interaction.to_entry_request();
        let mut request = Map::new();
        request.insert("method".into(), sent.method.as_str().into());
        request.insert("url".into(), sent.relative_url().into());
        let none_exist = sent.headers.iter().find(|(name, _)| *name == "if-none-exist").map(|(_, value)| value.clone());
        let of_update = sent.headers.iter().find(|(name, _)| *name == "if-match").map(|(_, value)| value.clone());
        for (name, value) in [
            ("ifNoneExist", none_exist),
            ("ifMatch", self.if_match.clone().or(of_update)),
            ("ifNoneMatch", self.if_none_match.clone()),
        ] {
            if let Some(value) = value {
                request.insert(name.into(), value.into());
            }
        }
        let mut entry = Map::new();
        if let Some(full_url) = &self.full_url {
            entry.insert("fullUrl".into(), full_url.clone().into());
        }
        entry.insert("request".into(), Value::Object(request));
        if let Some(resource) = self.resource() {
            entry.insert("resource".into(), resource);
        }
        Value::Object(entry)
    }

    /// The body as an entry carries it: a patch is a Binary there.
    fn resource(&self) -> Option<Value> {
        match &self.interaction {
            Interaction::Create { resource, .. } | Interaction::Update { resource, .. } => Some(resource.clone()),
            Interaction::Patch { patch, .. } => Some(in_binary(&patch.to_value())),
            // Taken out of its Binary when it was read.
            Interaction::Raw(raw) if raw.method == Method::Patch => raw.body.as_ref().map(|body| match body {
                Value::Array(_) => in_binary(body),
                other => other.clone(),
            }),
            Interaction::Operation(operation) => operation.body.clone(),
            Interaction::GraphQl(document) => Some(document.to_body()),
            Interaction::Raw(raw) => raw.body.clone(),
            _ => None,
        }
    }
}

fn parse_entry(index: usize, entry: &Value) -> Result<BatchEntry, InvalidRequest> {
    let wrong = |at: &'static str, reason: String| InvalidRequest::Entry { index, at, reason };
    let Some(entry) = entry.as_object() else {
        return Err(wrong("", "must be an object with request".into()));
    };
    if let Some(key) = entry.keys().find(|key| !["fullUrl", "request", "resource"].contains(&key.as_str())) {
        return Err(wrong(
            "",
            format!("{key} does not belong in a request. An entry has request, resource and fullUrl"),
        ));
    }
    let request = entry.get("request").and_then(Value::as_object);
    let Some(request) = request else {
        return Err(wrong(".request", "missing, such as {\"method\":\"GET\",\"url\":\"Patient/<id>\"}".into()));
    };
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let Some(method) = text("method").and_then(Method::parse) else {
        return Err(wrong(".request.method", "must be GET, POST, PUT, PATCH or DELETE".into()));
    };
    let Some(url) = text("url") else {
        return Err(wrong(
            ".request.url",
            "missing: relative to the FHIR base, such as Patient/<id> or Observation?code=8867-4".into(),
        ));
    };
    refuse_unknown_keys(request).map_err(|reason| wrong(".request", reason))?;
    let if_match = text("ifMatch").map(|given| version_condition(method, given)).transpose();
    let if_match = if_match.map_err(|reason| wrong(".request", reason.into()))?;
    let interaction = entry_interaction(method, url, entry.get("resource"), text("ifNoneExist"));
    let interaction = interaction.map_err(|error| match error {
        InvalidRequest::Path(reason) => {
            wrong(".request.url", format!("{reason}. It is relative to the FHIR base, such as Patient/<id>"))
        }
        other => wrong("", other.to_string()),
    })?;
    Ok(BatchEntry {
        interaction,
        full_url: entry.get("fullUrl").and_then(Value::as_str).map(str::to_owned),
        if_match,
        if_none_match: text("ifNoneMatch").map(str::to_owned),
    })
}

fn refuse_unknown_keys(request: &Map<String, Value>) -> Result<(), String> {
    const KNOWN: &[&str] = &["method", "url", "ifNoneExist", "ifMatch", "ifNoneMatch"];
    match request.iter().find(|(key, value)| !KNOWN.contains(&key.as_str()) || !value.is_string()) {
        Some((key, _)) if KNOWN.contains(&key.as_str()) => Err(format!("{key} must be a string")),
        Some((key, _)) => Err(format!("{key} is not supported by Medplum")),
        None => Ok(()),
    }
}

/// A version in quotes, on a PUT: anything else Medplum ignores, and overwrites what it should have protected.
fn version_condition(method: Method, given: &str) -> Result<String, &'static str> {
    if method != Method::Put {
        return Err(
            "Medplum heeds ifMatch on a PUT alone. In a PATCH, put {\"op\":\"test\",\"path\":\"/meta/versionId\",\"value\":\"<version>\"} first",
        );
    }
    let version = given.trim_start_matches("W/").strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match version.map(ResourceId::parse) {
        Some(Ok(version)) => Ok(format!("W/\"{version}\"")),
        _ => Err("ifMatch must be the version in quotes, such as W/\"<meta.versionId>\""),
    }
}

fn entry_interaction(
    method: Method,
    url: &str,
    resource: Option<&Value>,
    if_none_exist: Option<&str>,
) -> Result<Interaction, InvalidRequest> {
    let body = match (method, resource) {
        (Method::Patch, Some(resource)) => Some(patch_of(resource)?),
        _ => resource.cloned(),
    };
    let interaction = Interaction::from_entry(method, url, body)?;
    if let Interaction::Raw(_) = interaction
        && url.trim_start_matches('/').starts_with("fhir/")
    {
        return Err(InvalidRequest::Path("it repeats the FHIR base; start with the type"));
    }
    if let Interaction::Batch(_) = interaction {
        return Err(InvalidRequest::Body("a bundle inside a bundle cannot be sent".into()));
    }
    // In a bundle a Binary travels as the resource that it is.
    let interaction = match (interaction, resource) {
        (Interaction::CreateBinary { .. }, Some(resource)) => {
            Interaction::Create { resource_type: type_of(resource)?, resource: resource.clone(), if_none_exist: None }
        }
        (interaction, _) => interaction,
    };
    let Some(condition) = if_none_exist else {
        return Ok(interaction);
    };
    let condition = Query::parse(condition)?;
    check_condition(&condition)?;
    match interaction {
        Interaction::Create { resource_type, resource, .. } => {
            Ok(Interaction::Create { resource_type, resource, if_none_exist: Some(condition) })
        }
        _ => Err(InvalidRequest::Body("ifNoneExist belongs to a POST of a type, such as Patient".into())),
    }
}

/// The operations of a patch, as an entry carries them.
fn in_binary(operations: &Value) -> Value {
    let data = STANDARD.encode(operations.to_string());
    json!({ "resourceType": "Binary", "contentType": "application/json-patch+json", "data": data })
}

/// The operations of a PATCH entry. A Binary carries them as base64; a Parameters resource goes on as it is.
fn patch_of(resource: &Value) -> Result<Value, InvalidRequest> {
    let wrong = || {
        InvalidRequest::Body(
            "a PATCH entry's resource is a Binary whose data is a JSON Patch in base64, or a Parameters".into(),
        )
    };
    match resource.get("resourceType").and_then(Value::as_str) {
        Some("Parameters") => Ok(resource.clone()),
        Some("Binary") => {
            let data = resource.get("data").and_then(Value::as_str).ok_or_else(wrong)?;
            let bytes = STANDARD.decode(data.trim()).map_err(|_| wrong())?;
            let operations: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
            match operations {
                Value::Array(operations) => Ok(JsonPatch::parse(operations)?.to_value()),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}
