//! What can be read without a tool: where this server is, which tool is for what, what errors mean.

use fhir_definitions::Definitions;
use medplum_client::{Config, Credentials, FhirPath, NameError, ResourceId, ResourceType};
use rmcp::ErrorData;
use rmcp::model::{JsonObject, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};

use crate::server::Server;
use crate::settings::{FreeText, Limits};

const SERVER_INFO: &str = "medplum://server-info";
const TOOL_GUIDE: &str = "medplum://tool-guide";
const COMMON_ERRORS: &str = "medplum://common-errors";

/// The start of a record's URI.
const RECORD: &str = "medplum://fhir/";

/// The tool that reads a record, and the one that reads a version of it.
const READER: &str = "read_resource";
const VERSION_READER: &str = "raw_request";

/// The templates as they are listed: those whose tool is open.
pub(crate) fn templates(server: &Server) -> Vec<ResourceTemplate> {
    let template = |uri: &str, name: &str, title: &str| {
        ResourceTemplate::new(uri, name).with_title(title).with_mime_type("application/fhir+json")
    };
    let all = [
        (READER, template("medplum://fhir/{type}/{id}", "fhir_resource", "A resource")),
        (
            VERSION_READER,
            template("medplum://fhir/{type}/{id}/_history/{version}", "fhir_version", "A version of a resource"),
        ),
    ];
    let is_open = |name: &str| server.tools().any(|tool| tool.facts.name == name);
    all.into_iter().filter(|(reader, _)| is_open(reader)).map(|(_, template)| template).collect()
}

/// Whether this is one of the listed templates.
pub(crate) fn is_template(server: &Server, uri: &str) -> bool {
    templates(server).iter().any(|template| template.uri_template == uri)
}

/// The resource types that start like this, for the `type` of a template.
pub(crate) fn complete(argument: &str, start: &str, limits: &Limits) -> Vec<String> {
    if argument != "type" {
        return Vec::new();
    }
    let start = start.to_ascii_lowercase();
    let types = Definitions::get().resource_types().map(|t| t.name);
    let is_open = |name: &&str| limits.types.as_ref().is_none_or(|types| types.may_read(name));
    types.filter(is_open).filter(|name| name.to_ascii_lowercase().starts_with(&start)).map(str::to_owned).collect()
}

/// A record that a URI names, each part of it a name: it leads nowhere else.
#[derive(Debug, PartialEq)]
pub(crate) struct RecordUri {
    resource_type: ResourceType,
    id: ResourceId,
    version: Option<ResourceId>,
}

impl RecordUri {
    /// Takes a URI for a record's; none for another URI.
    ///
    /// # Errors
    /// [`NameError`] if a part of it is not the name that belongs there.
    pub(crate) fn parse(uri: &str) -> Result<Option<Self>, NameError> {
        let Some(path) = uri.strip_prefix(RECORD) else { return Ok(None) };
        let parts: Vec<&str> = path.split('/').collect();
        let (resource_type, id, version) = match parts.as_slice() {
            [t, id] => (t, id, None),
            [t, id, "_history", version] => (t, id, Some(version)),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            resource_type: ResourceType::parse(resource_type)?,
            id: ResourceId::parse(id)?,
            version: version.map(|version| ResourceId::parse(version)).transpose()?,
        }))
    }

    /// The call that reads it.
    pub(crate) fn call(&self, fhir_path: &FhirPath) -> (&'static str, JsonObject) {
        let Self { resource_type: t, id, version } = self;
        let (tool, arguments) = match version {
            None => (READER, [("resource_type", t.to_string()), ("resource_id", id.to_string())]),
            Some(version) => {
                let path = format!("{}{t}/{id}/_history/{version}", fhir_path.as_str());
                (VERSION_READER, [("method", "GET".to_owned()), ("path", path)])
            }
        };
        (tool, arguments.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

/// The resources as they are listed.
pub(crate) fn list() -> Vec<Resource> {
    let resource = |uri: &str, name: &str, title: &str, description: &str| {
        Resource::new(uri, name).with_title(title).with_description(description).with_mime_type("text/plain")
    };
    vec![
        resource(SERVER_INFO, "server_info", "Server info", "Which Medplum this is, and what is open"),
        resource(TOOL_GUIDE, "tool_guide", "Tool guide", "Which tool is for what"),
        resource(COMMON_ERRORS, "common_errors", "Common errors", "What errors mean, and what to do next"),
    ]
}

/// The text of a resource.
///
/// # Errors
/// A protocol error for a URI that is none of them.
pub(crate) fn read(
    uri: &str,
    server: &Server,
    limits: &Limits,
    config: &Config,
) -> Result<ReadResourceResponse, ErrorData> {
    let text = match uri {
        SERVER_INFO => server_info(limits, config),
        TOOL_GUIDE => tool_guide(server),
        COMMON_ERRORS => {
            server.of_open_tools(&include_str!("common_errors.txt").replace("FHIR_BASE/", config.fhir_path.as_str()))
        }
        _ => {
            return Err(ErrorData::resource_not_found(
                format!(
                    "No such resource. There are {SERVER_INFO}, {TOOL_GUIDE}, {COMMON_ERRORS}, and {RECORD}<Type>/<id>."
                ),
                None,
            ));
        }
    };
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type("text/plain")]).into())
}

fn writes(limits: &Limits) -> String {
    if limits.writes { "open".to_owned() } else { format!("closed, read-only ({})", limits.closes_writes()) }
}

fn server_info(limits: &Limits, config: &Config) -> String {
    let credentials = match &config.credentials {
        Credentials::Client { id, .. } => format!("client application {id}"),
        Credentials::AccessToken(_) => "an access token given from outside".into(),
    };
    let behalf = config.on_behalf_of.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let bots = match (limits.writes, &limits.bots) {
        (false, _) => "closed".to_owned(),
        (true, None) => "any".to_owned(),
        (true, Some(bots)) => format!("{} allowed", bots.len()),
    };
    let lines = [
        format!("medplum-mcp {}", env!("CARGO_PKG_VERSION")),
        format!("server: {}", config.base_url),
        format!("fhir base: {}{}", config.base_url, config.fhir_path.as_str()),
        format!("signs in as: {credentials}"),
        format!("on behalf of: {behalf}"),
        format!(
            "on_behalf_of in a call: {}",
            if limits.obo_override { "open" } else { "closed (MEDPLUM_ALLOW_OBO_OVERRIDE)" }
        ),
        format!("writes: {}", writes(limits)),
        format!("bots: {bots}"),
        format!("resource types: {}", limits.types.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string)),
        format!("free text of records: {}", if limits.free_text == FreeText::Keep { "shown" } else { "left out" }),
        format!("toolsets: {}", if limits.toolsets.are_all() { "all".to_owned() } else { limits.toolsets.to_string() }),
    ];
    let confirm = limits.writes.then(|| format!("confirmation of writes: {}", limits.confirm.as_str()));
    lines.into_iter().chain(confirm).collect::<Vec<_>>().join("\n")
}

/// One line a tool, from the tools themselves.
fn tool_guide(server: &Server) -> String {
    let lines: Vec<String> = server.tools().map(|tool| format!("{}: {}", tool.facts.name, tool.facts.when)).collect();
    lines.join("\n")
}
