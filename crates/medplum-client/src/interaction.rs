//! Everything that can be asked of Medplum.

use bytes::Bytes;
use fhir_definitions::search::{asks_for_nothing, shapes_page};
use fhir_definitions::{OperationName, ResourceId, ResourceType};
use serde_json::Value;

use crate::bundle::Batch;
use crate::effect::Effect;
use crate::graphql::GraphQl;
use crate::invalid::InvalidRequest;
use crate::operation::{Level, Operation};
use crate::patch::JsonPatch;
use crate::query::Query;
use crate::raw::Raw;
use crate::request::{FHIR_JSON, FORM, JSON, JSON_PATCH, Method, Request};

/// A longer URL is sent as a POST to `_search`: Medplum answers a URL over 16 KB with an empty 431.
const LONGEST_SEARCH_URL: usize = 6_000;

/// One thing asked of Medplum. FHIR's RESTful interactions (<https://hl7.org/fhir/R4/http.html>), GraphQL, bots, and
/// what is left over as [`Raw`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Interaction {
    /// What the server can do.
    Metadata,
    /// A resource by its id.
    Read {
        /// Its type.
        resource_type: ResourceType,
        /// Its id.
        id: ResourceId,
        /// Parameters, usually none.
        query: Query,
    },
    /// One version of a resource.
    VersionRead {
        /// Its type.
        resource_type: ResourceType,
        /// Its id.
        id: ResourceId,
        /// The version's id.
        version: ResourceId,
    },
    /// All versions of a resource. Medplum keeps no history of a type or of the system.
    History {
        /// Its type.
        resource_type: ResourceType,
        /// Its id.
        id: ResourceId,
        /// `_count`, `_offset`.
        query: Query,
    },
    /// Resources that match.
    Search(Search),
    /// A new resource.
    Create {
        /// Its type; the resource's own is the same.
        resource_type: ResourceType,
        /// The resource.
        resource: Value,
        /// Create only if nothing matches this search.
        if_none_exist: Option<Query>,
    },
    /// A new Binary by its bytes.
    CreateBinary {
        /// What the bytes are.
        content_type: String,
        /// The content.
        content: Bytes,
    },
    /// A resource in a new version.
    Update {
        /// Its type; the resource's own is the same.
        resource_type: ResourceType,
        /// Its id; the resource's own is the same.
        id: ResourceId,
        /// The resource.
        resource: Value,
        /// The version that it must still have.
        if_match: Option<ResourceId>,
    },
    /// Some elements of a resource.
    Patch {
        /// Its type.
        resource_type: ResourceType,
        /// Its id.
        id: ResourceId,
        /// What to change.
        patch: JsonPatch,
    },
    /// A resource's deletion.
    Delete {
        /// Its type.
        resource_type: ResourceType,
        /// Its id.
        id: ResourceId,
    },
    /// An operation.
    Operation(Operation),
    /// A GraphQL document.
    GraphQl(GraphQl),
    /// A batch or transaction.
    Batch(Batch),
    /// A bot's run.
    ExecuteBot {
        /// The bot.
        bot: ResourceId,
        /// What it is given.
        input: Bytes,
        /// What that is.
        content_type: String,
    },
    /// Whether a bot is bound to an operation's name: what the client asks by itself before such an operation, and shows
    /// nobody.
    BoundBot(OperationName),
    /// Anything else, by method and path.
    Raw(Raw),
}

/// A search of one type, or of several with `_type` (<https://hl7.org/fhir/R4/search.html>).
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The type; none where `_type` names several.
    pub resource_type: Option<ResourceType>,
    /// The parameters.
    pub query: Query,
    /// POST to `_search` rather than GET; of no meaning without a type.
    pub by_post: bool,
}

/// What an interaction is, without anything of a patient in it: for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label<'a> {
    /// `read`, `search`, `operation` …
    pub interaction: &'static str,
    /// The resource type, if it is of one.
    pub resource_type: Option<&'a str>,
}

impl Interaction {
    /// A resource by its id.
    pub fn read(resource_type: ResourceType, id: ResourceId) -> Self {
        Self::Read { resource_type, id, query: Query::new() }
    }

    /// A search of one type.
    pub fn search(resource_type: ResourceType, query: Query) -> Self {
        Self::Search(Search { resource_type: Some(resource_type), query, by_post: false })
    }

    /// A new resource, of the type that it names itself.
    ///
    /// A Binary with `data` is created by its bytes, which is how Medplum takes one.
    ///
    /// # Errors
    /// [`InvalidRequest`] if it is not a resource, or if `if_none_exist` names nothing to look for.
    pub fn create(resource: Value, if_none_exist: Option<Query>) -> Result<Self, InvalidRequest> {
        let resource_type = type_of(&resource)?;
        if let Some(condition) = &if_none_exist {
            check_condition(condition)?;
        }
        let is_upload = resource_type.as_str() == "Binary" && if_none_exist.is_none();
        if is_upload && let Some(upload) = crate::binary::binary_content(&resource)? {
            return Ok(upload);
        }
        Ok(Self::Create { resource_type, resource, if_none_exist })
    }

    /// A resource in a new version, of the type and id that it names itself.
    ///
    /// # Errors
    /// [`InvalidRequest`] if it is not a resource with an id.
    pub fn update(resource: Value, if_match: Option<ResourceId>) -> Result<Self, InvalidRequest> {
        let resource_type = type_of(&resource)?;
        let Some(id) = resource.get("id").and_then(Value::as_str) else {
            return Err(InvalidRequest::Body(format!(
                "resource.id is missing: the id of the {resource_type} to update. A new one is made by create_resource"
            )));
        };
        let id = ResourceId::parse(id)?;
        Ok(Self::Update { resource_type, id, resource, if_match })
    }

    /// An operation; `$graphql` on the system is taken as the GraphQL document that it carries.
    ///
    /// # Errors
    /// [`InvalidRequest::GraphQl`] for a document that does not parse.
    pub fn operation(operation: Operation) -> Result<Self, InvalidRequest> {
        if operation.level == Level::System && operation.name.as_str() == "graphql" && operation.method == Method::Post
        {
            return Ok(Self::GraphQl(GraphQl::from_body(operation.body.as_ref().unwrap_or(&Value::Null))?));
        }
        Ok(Self::Operation(operation))
    }

    /// What asking this does.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Metadata
            | Self::Read { .. }
            | Self::VersionRead { .. }
            | Self::History { .. }
            | Self::Search(_)
            | Self::BoundBot(_) => Effect::Read,
            Self::Create { .. }
            | Self::CreateBinary { .. }
            | Self::Update { .. }
            | Self::Patch { .. }
            | Self::Delete { .. } => Effect::Write,
            Self::Operation(operation) => operation.effect(),
            Self::GraphQl(document) => document.effect(),
            Self::Batch(batch) => batch.effect(),
            Self::ExecuteBot { .. } => Effect::Run,
            Self::Raw(raw) => raw.effect(),
        }
    }

    /// The reads that must go well before this is sent. Where an operation finds nothing, be it the instance or the code
    /// that it is asked about, Medplum looks for a bot of its name: so the instance is read before, and an operation
    /// that is a read wants no bot bound to its name.
    ///
    /// # Errors
    /// [`InvalidRequest`] if there is none to send; then this is not sent either.
    pub fn guards(&self) -> Result<Vec<Self>, InvalidRequest> {
        Ok(match self {
            Self::Operation(operation) => {
                let instance = match &operation.level {
                    Level::Instance(resource_type, id) => Some(Self::read(resource_type.clone(), id.clone())),
                    Level::Type(_) | Level::System => None,
                };
                let reads = operation.effect().is_read();
                instance.into_iter().chain(reads.then(|| Self::BoundBot(operation.name.clone()))).collect()
            }
            Self::ExecuteBot { bot, .. } => vec![Self::read(ResourceType::parse("Bot")?, bot.clone())],
            Self::Batch(batch) => {
                let guards: Result<Vec<_>, _> =
                    batch.entries().iter().map(|entry| entry.interaction.guards()).collect();
                guards?.into_iter().flatten().collect()
            }
            _ => Vec::new(),
        })
    }

    /// Whether this may be sent again after an attempt whose fate is unknown.
    ///
    /// What reads a plain resource may; of what writes, an update that names the version that it replaces, and a create
    /// whose condition finds what it created. Any other could undo what somebody else did after the first attempt, or be
    /// carried out twice.
    pub fn is_safe_to_replay(&self) -> bool {
        match self {
            Self::Metadata
            | Self::Read { .. }
            | Self::VersionRead { .. }
            | Self::History { .. }
            | Self::BoundBot(_) => true,
            Self::Search(search) => !self.is_posted(search),
            Self::Update { if_match, .. } => if_match.is_some(),
            Self::Create { resource, if_none_exist, .. } => {
                if_none_exist.as_ref().is_some_and(|condition| finds_itself(condition, resource))
            }
            Self::Operation(operation) => operation.method == Method::Get && operation.effect().is_read(),
            Self::Raw(raw) => raw.effect().is_read(),
            Self::CreateBinary { .. }
            | Self::Patch { .. }
            | Self::Delete { .. }
            | Self::GraphQl(_)
            | Self::Batch(_)
            | Self::ExecuteBot { .. } => false,
        }
    }

    /// What this is, for logs.
    pub fn label(&self) -> Label<'_> {
        let of = |interaction, resource_type| Label { interaction, resource_type };
        match self {
            Self::Metadata => of("capabilities", None),
            Self::Read { resource_type, .. } => of("read", Some(resource_type.as_str())),
            Self::VersionRead { resource_type, .. } => of("vread", Some(resource_type.as_str())),
            Self::History { resource_type, .. } => of("history", Some(resource_type.as_str())),
            Self::Search(search) => of("search", search.resource_type.as_ref().map(ResourceType::as_str)),
            Self::Create { resource_type, .. } => of("create", Some(resource_type.as_str())),
            Self::CreateBinary { .. } => of("create", Some("Binary")),
            Self::Update { resource_type, .. } => of("update", Some(resource_type.as_str())),
            Self::Patch { resource_type, .. } => of("patch", Some(resource_type.as_str())),
            Self::Delete { resource_type, .. } => of("delete", Some(resource_type.as_str())),
            Self::Operation(operation) => match &operation.level {
                Level::System => of("operation", None),
                Level::Type(t) | Level::Instance(t, _) => of("operation", Some(t.as_str())),
            },
            Self::GraphQl(_) => of("graphql", None),
            Self::Batch(batch) => of(batch.kind().as_str(), None),
            Self::ExecuteBot { .. } => of("execute", Some("Bot")),
            Self::BoundBot(_) => of("search", Some("OperationDefinition")),
            Self::Raw(_) => of("raw", None),
        }
    }

    /// The id of the one resource that this is about, whose type is in its label.
    pub fn id(&self) -> Option<&ResourceId> {
        match self {
            Self::Read { id, .. }
            | Self::VersionRead { id, .. }
            | Self::History { id, .. }
            | Self::Update { id, .. }
            | Self::Patch { id, .. }
            | Self::Delete { id, .. }
            | Self::ExecuteBot { bot: id, .. } => Some(id),
            Self::Operation(Operation { level: Level::Instance(_, id), .. }) => Some(id),
            Self::Metadata
            | Self::Search(_)
            | Self::Create { .. }
            | Self::CreateBinary { .. }
            | Self::Operation(_)
            | Self::GraphQl(_)
            | Self::Batch(_)
            | Self::BoundBot(_)
            | Self::Raw(_) => None,
        }
    }

    /// This as a request, the path and query encoded once.
    pub fn to_request(&self) -> Request {
        match self {
            Self::Metadata => Request::new(Method::Get, "metadata"),
            Self::Read { resource_type, id, query } => Request {
                accept: accept_of(resource_type),
                ..Request::new(Method::Get, [resource_type.as_str(), "/", id.as_str()].concat())
            }
            .query(query),
            Self::VersionRead { resource_type, id, version } => {
                Request::new(Method::Get, format!("{resource_type}/{id}/_history/{version}"))
            }
            Self::History { resource_type, id, query } => {
                Request::new(Method::Get, format!("{resource_type}/{id}/_history")).query(query)
            }
            Self::Search(search) => self.search_request(search),
            Self::Create { resource_type, resource, if_none_exist } => {
                Request::new(Method::Post, resource_type.as_str())
                    .header("if-none-exist", if_none_exist.as_ref().map(Query::encode))
                    .json(FHIR_JSON, resource)
            }
            Self::CreateBinary { content_type, content } => {
                Request { body: Some((content_type.clone(), content.clone())), ..Request::new(Method::Post, "Binary") }
            }
            Self::Update { resource_type, id, resource, if_match } => {
                Request::new(Method::Put, format!("{resource_type}/{id}"))
                    .header("if-match", if_match.as_ref().map(|version| format!("W/\"{version}\"")))
                    .json(FHIR_JSON, resource)
            }
            Self::Patch { resource_type, id, patch } => {
                Request::new(Method::Patch, format!("{resource_type}/{id}")).json(JSON_PATCH, &patch.to_value())
            }
            Self::Delete { resource_type, id } => Request::new(Method::Delete, format!("{resource_type}/{id}")),
            Self::Operation(operation) => operation_request(operation),
            Self::GraphQl(document) => Request::new(Method::Post, "$graphql").json(FHIR_JSON, &document.to_body()),
            Self::Batch(batch) => Request::new(Method::Post, "").json(FHIR_JSON, &batch.to_bundle()),
            Self::ExecuteBot { bot, input, content_type } => Request {
                accept: "*/*",
                body: Some((content_type.clone(), input.clone())),
                ..Request::new(Method::Post, format!("Bot/{bot}/$execute"))
            },
            Self::BoundBot(name) => Request::new(Method::Get, "OperationDefinition")
                .query(&Query::new().with("code", name.as_str()).with("_count", "100")),
            Self::Raw(raw) => raw_request(raw),
        }
    }

    /// This as a bundle's entry asks it: a search always stands in the URL there.
    pub(crate) fn to_entry_request(&self) -> Request {
        match self {
            Self::Search(search) => {
                let path = search.resource_type.as_ref().map(ResourceType::as_str).unwrap_or_default();
                Request::new(Method::Get, path).query(&search.query)
            }
            _ => self.to_request(),
        }
    }

    fn is_posted(&self, search: &Search) -> bool {
        // A search of several types has no path to post to.
        search.resource_type.is_some() && (search.by_post || search.query.encode().len() > LONGEST_SEARCH_URL)
    }

    fn search_request(&self, search: &Search) -> Request {
        let path = search.resource_type.as_ref().map(ResourceType::as_str).unwrap_or_default();
        if self.is_posted(search) {
            let form = Bytes::from(search.query.encode());
            return Request {
                body: Some((FORM.to_owned(), form)),
                ..Request::new(Method::Post, format!("{path}/_search"))
            };
        }
        Request::new(Method::Get, path).query(&search.query)
    }
}

fn operation_request(operation: &Operation) -> Request {
    let request = Request::new(operation.method, operation.path()).query(&operation.query);
    match &operation.body {
        Some(body) => request.json(FHIR_JSON, body),
        None => request,
    }
}

/// Medplum answers a Binary with its content, whatever type that is.
fn accept_of(resource_type: &ResourceType) -> &'static str {
    if resource_type.as_str() == "Binary" { "*/*" } else { FHIR_JSON }
}

fn raw_request(raw: &Raw) -> Request {
    let request = Request { fhir: raw.fhir, ..Request::new(raw.method, raw.segments.join("/")) }.query(&raw.query);
    let content_type = match (raw.method, raw.fhir) {
        (Method::Patch, _) => JSON_PATCH,
        (_, true) => FHIR_JSON,
        (_, false) => JSON,
    };
    match &raw.body {
        Some(body) => request.json(content_type, body),
        None => request,
    }
}

/// The type that a resource names itself.
pub(crate) fn type_of(resource: &Value) -> Result<ResourceType, InvalidRequest> {
    let Some(name) = resource.get("resourceType").and_then(Value::as_str) else {
        return Err(InvalidRequest::Body(
            "resource.resourceType is missing: a resource names its type, such as {\"resourceType\":\"Patient\", …}"
                .into(),
        ));
    };
    Ok(ResourceType::parse(name)?)
}

/// Whether a condition is an identifier that the resource itself has: then a second create finds the first.
fn finds_itself(condition: &Query, resource: &Value) -> bool {
    let mut pairs = condition.iter();
    let (Some(("identifier", asked)), None) = (pairs.next(), pairs.next()) else { return false };
    // A comma is OR, and a backslash quotes: neither is one plain identifier.
    let Some((system, value)) = asked.trim().split_once('|').filter(|_| !asked.contains([',', '\\'])) else {
        return false;
    };
    let identifiers = resource.get("identifier").and_then(Value::as_array).into_iter().flatten();
    let has = |of: &Value, key: &str, what: &str| of.get(key).and_then(Value::as_str) == Some(what);
    !system.is_empty()
        && !value.is_empty()
        && identifiers.into_iter().any(|own| has(own, "system", system) && has(own, "value", value))
}

/// A condition that is empty, or that has an empty value, would match everything or nothing that was meant.
pub(crate) fn check_condition(condition: &Query) -> Result<(), InvalidRequest> {
    if condition.iter().any(|(key, value)| asks_for_nothing(key, value).is_some()) {
        return Err(InvalidRequest::Condition(
            "a parameter has no value, which matches every resource. Pass a search such as identifier=http://hospital.example/mrn|4711",
        ));
    }
    if condition.iter().any(|(key, _)| !shapes_page(key)) {
        Ok(())
    } else {
        Err(InvalidRequest::Condition(
            "it is empty, and Medplum would then create a duplicate. Pass a search such as identifier=http://hospital.example/mrn|4711",
        ))
    }
}
