//! Which resource types a request is about: those that it reads, writes, or looks at on its way to others.
//!
//! A search by what another type says (a chain, `_has`) looks at that type even if nothing of it comes back: how many
//! match would tell. What cannot be told is said to be so, and a gate that limits types then refuses.

mod filter;
mod graphql;
mod search;

use fhir_definitions::Definitions;
use serde_json::Value;

use crate::interaction::Interaction;
use crate::operation::{Level, Operation};
use crate::query::Query;

/// What a request needs to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What of the request it is: `_has`, `bundle.entry[2]`. Empty where it is the whole.
    pub by: String,
    /// What must be allowed.
    pub kind: NeedKind,
}

/// What must be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeedKind {
    /// To read this type, or to look at it.
    Read(String),
    /// To write this type.
    Write(String),
    /// To read one of these at the least: what is included may be of several.
    ReadAny(Vec<String>),
    /// It cannot be told of which types it is.
    Unclear,
}

/// The needs that were found so far.
#[derive(Debug, Default)]
struct Needs {
    found: Vec<Need>,
    /// Where in a bundle.
    place: String,
}

impl Needs {
    fn push(&mut self, by: &str, kind: NeedKind) {
        let by = match (self.place.as_str(), by) {
            (place, "") => place.to_owned(),
            ("", by) => by.to_owned(),
            (place, by) => format!("{place} {by}"),
        };
        let need = Need { by: by.chars().filter(|c| !c.is_control()).take(120).collect(), kind };
        if !self.found.contains(&need) {
            self.found.push(need);
        }
    }

    fn read(&mut self, by: &str, of: impl Into<String>) {
        self.push(by, NeedKind::Read(of.into()));
    }

    fn write(&mut self, by: &str, of: impl Into<String>) {
        self.push(by, NeedKind::Write(of.into()));
    }

    fn unclear(&mut self, by: &str) {
        self.push(by, NeedKind::Unclear);
    }
}

impl Interaction {
    /// The resource types that this is about, each with what of the request it is.
    pub fn types(&self) -> Vec<Need> {
        let mut needs = Needs::default();
        of_interaction(self, &mut needs);
        needs.found
    }
}

fn of_interaction(interaction: &Interaction, needs: &mut Needs) {
    match interaction {
        // What is bound to a name is shown to nobody.
        Interaction::Metadata | Interaction::BoundBot(_) => {}
        Interaction::Read { resource_type, .. }
        | Interaction::VersionRead { resource_type, .. }
        | Interaction::History { resource_type, .. } => needs.read("", resource_type.as_str()),
        Interaction::Search(asked) => search::search(asked, needs),
        Interaction::Create { resource_type, resource, if_none_exist } => {
            needs.write("", resource_type.as_str());
            inside(resource, needs);
            references(resource, needs);
            if let Some(condition) = if_none_exist {
                search::parameters(resource_type.as_str(), condition, needs);
            }
        }
        Interaction::CreateBinary { .. } => needs.write("", "Binary"),
        Interaction::Update { resource_type, resource, .. } => {
            needs.write("", resource_type.as_str());
            // What it holds may be stored already: only who has read it can tell.
            references(resource, needs);
        }
        Interaction::Patch { resource_type, patch, .. } => {
            needs.write("", resource_type.as_str());
            patch.operations().iter().filter_map(|o| o.get("value")).for_each(|value| {
                inside(value, needs);
                references(value, needs);
            });
        }
        Interaction::Delete { resource_type, .. } => needs.write("", resource_type.as_str()),
        Interaction::Operation(operation) => of_operation(operation, needs),
        Interaction::GraphQl(document) => graphql::document(document, needs),
        Interaction::Batch(batch) => {
            for (index, entry) in batch.entries().iter().enumerate() {
                needs.place = format!("bundle.entry[{index}]");
                of_interaction(&entry.interaction, needs);
            }
            needs.place.clear();
        }
        Interaction::ExecuteBot { .. } => needs.read("", "Bot"),
        Interaction::Raw(raw) => match raw.reads_of() {
            Some(Some(of)) => needs.read("", of),
            Some(None) => {}
            None => needs.unclear("this path"),
        },
    }
}

fn of_operation(operation: &Operation, needs: &mut Needs) {
    let name = format!("${}", operation.name);
    let (Level::Type(of) | Level::Instance(of, _)) = &operation.level else {
        return needs.unclear(&name);
    };
    let of = of.as_str();
    needs.read("", of);
    if of == "Bot" && ["execute", "deploy"].contains(&operation.name.as_str()) {
        return;
    }
    if !operation.effect().is_read() {
        return needs.unclear(&name);
    }
    match operation.name.as_str() {
        "everything" => {
            everything(&operation.query, needs);
            operation.body.iter().for_each(|body| everything(&posted(body), needs));
        }
        "csv" => search::parameters(of, &operation.query, needs),
        "graph" => needs.read(&name, "GraphDefinition"),
        "validate" => operation.body.iter().for_each(|body| inside(body, needs)),
        // Of the terminology: it answers with Parameters and codes.
        "lookup" | "validate-code" | "subsumes" | "expand" | "translate" => {}
        // One text made of many types.
        _ => needs.unclear(&name),
    }
}

/// The parameters of `$everything`: a type may be named.
fn everything(query: &Query, needs: &mut Needs) {
    const KNOWN: &[&str] = &["_count", "_offset", "_since", "start", "end"];
    for (key, value) in query.iter() {
        match key {
            "_type" => value.split(',').for_each(|of| needs.read("_type", of.trim())),
            key if KNOWN.contains(&key) => {}
            key => needs.unclear(key),
        }
    }
}

/// A Parameters resource as a query.
fn posted(body: &Value) -> Query {
    let parameters = body.get("parameter").and_then(Value::as_array).into_iter().flatten();
    let pair = |parameter: &Value| {
        let name = parameter.get("name").and_then(Value::as_str)?;
        let value = parameter.as_object()?.iter().find(|(key, _)| key.starts_with("value"))?.1;
        Some((name.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    };
    parameters.filter_map(pair).collect()
}

/// The resources that are written, and those inside of them.
fn inside(value: &Value, needs: &mut Needs) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| inside(value, needs)),
        Value::Object(object) => {
            if let Some(of) = object.get("resourceType").and_then(Value::as_str) {
                needs.write("a resource inside", of);
            }
            object.values().for_each(|value| inside(value, needs));
        }
        _ => {}
    }
}

/// The searches by which what is written refers to others.
fn references(value: &Value, needs: &mut Needs) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| references(value, needs)),
        Value::Object(object) => {
            if let Some((of, query)) = object.get("reference").and_then(Value::as_str).and_then(|r| r.split_once('?')) {
                conditional(of, query, needs);
            }
            object.values().for_each(|value| references(value, needs));
        }
        _ => {}
    }
}

/// `Patient?identifier=…`: the server looks for it. An absolute URL is looked for by nobody.
fn conditional(of: &str, query: &str, needs: &mut Needs) {
    if of.contains(':') {
        return;
    }
    needs.read("a conditional reference", of);
    match Query::parse(query) {
        Ok(query) if Definitions::get().is_resource_type(of) => search::parameters(of, &query, needs),
        _ => needs.unclear("a conditional reference"),
    }
}
