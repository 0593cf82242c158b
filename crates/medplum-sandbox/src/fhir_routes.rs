//! Which interaction a method and a path below `fhir/R4` mean.

use http::Method;
use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::engine::{Engine, Request};
use crate::fhir::Conditions;
use crate::outcome::{Outcome, Result};
use crate::quota::cost;
use crate::reply::{JSON, Reply};
use crate::routes::{self, pairs};
use crate::{binary, bots, bundle, everything, export, graphql, metadata, sign_in, terminology};

/// One interaction as it was asked for, over HTTP or as an entry of a bundle.
#[derive(Debug, Default)]
pub(crate) struct Interaction {
    pub(crate) method: Method,
    /// The path's steps below `fhir/R4`, decoded.
    pub(crate) steps: Vec<String>,
    /// The query as it came.
    pub(crate) raw_query: Option<String>,
    pub(crate) body: Value,
    pub(crate) conditions: Conditions,
}

impl Interaction {
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        pairs(self.raw_query.as_deref().unwrap_or_default())
    }
}

/// Answers a request below `fhir/R4`.
pub(crate) fn answer(engine: &Engine, request: &Request, steps: &[&str]) -> Reply {
    match (&request.method, steps) {
        (&Method::GET | &Method::HEAD, ["metadata"]) => return metadata::answer(engine),
        (&Method::GET | &Method::HEAD, [".well-known", "smart-configuration"]) => {
            return Reply::json(200, JSON, &sign_in::smart_configuration(&engine.config.base_url));
        }
        (&Method::GET | &Method::HEAD, [".well-known", "smart-styles.json"]) => {
            return Reply::json(200, JSON, &sign_in::smart_styles());
        }
        _ => {}
    }
    routes::as_actor(engine, request, |call| outer(call, request, steps))
}

/// The routes that a bundle cannot reach, then those that it can, then the custom operations.
fn outer(call: &mut Call<'_>, request: &Request, steps: &[&str]) -> Result<Answer> {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    match steps {
        ["$versions"] if reads => {
            let body = json!({"versions": ["4.0"], "default": "4.0"});
            return Ok(Answer::Raw(Reply::json(200, JSON, &body)));
        }
        ["Bot", id, "$execute", ..] => return bots::execute(call, request, id),
        ["Bot", "$execute"] => return bots::execute_by_identifier(call, request),
        ["Bot", id, "$deploy"] if request.method == Method::POST => return bots::deploy(call, id),
        ["$export"] | ["Patient" | "Group", "$export"] | ["Group" | "Patient", _, "$export"] => {
            return export::start(call);
        }
        ["job", id, "status"] if reads => return export::status(call, id),
        [] if request.header("prefer").is_some_and(|prefer| prefer.contains("respond-async")) => {
            return Err(Outcome::not_implemented("Prefer: respond-async"));
        }
        ["Binary"] if request.method == Method::POST => return binary::create(call, request),
        ["Binary", id] if reads => return binary::read(call, request, id),
        ["Binary", id] if request.method == Method::PUT => return binary::update(call, request, id),
        _ => {}
    }
    let result = dispatch(call, &interaction(request, steps));
    let missing = match &result {
        Ok(Answer::Fhir(outcome, _)) | Err(outcome) => outcome.status == 404,
        Ok(Answer::Raw(_)) => false,
    };
    if missing && let Some(answer) = bots::custom_operation(call, request) {
        return answer;
    }
    result
}

fn interaction(request: &Request, steps: &[&str]) -> Interaction {
    let header = |name: &str| request.header(name).map(str::to_owned);
    let body = if routes::is_json(request.content_type()) {
        serde_json::from_slice(&request.body).unwrap_or_default()
    } else if request.content_type() == "application/x-www-form-urlencoded" {
        Value::String(String::from_utf8_lossy(&request.body).into_owned())
    } else {
        Value::Null
    };
    let method = if request.method == Method::HEAD { Method::GET } else { request.method.clone() };
    Interaction {
        method,
        steps: steps.iter().map(|step| (*step).to_owned()).collect(),
        raw_query: request.query.clone(),
        body,
        conditions: Conditions {
            if_match: header("if-match"),
            if_none_exist: header("if-none-exist"),
            if_none_match: header("if-none-match"),
        },
    }
}

/// The routes that a bundle's entries reach too.
pub(crate) fn dispatch(call: &mut Call<'_>, asked: &Interaction) -> Result<Answer> {
    let steps: Vec<&str> = asked.steps.iter().map(String::as_str).collect();
    match asked.method {
        Method::GET => dispatch_get(call, asked, &steps),
        Method::POST => dispatch_post(call, asked, &steps),
        Method::PUT => dispatch_put(call, asked, &steps),
        Method::PATCH => match steps.as_slice() {
            [of_type, id] if is_plain(id) => call.patch(of_type, id, &asked.body),
            [of_type] if is_plain(of_type) => {
                call.conditional_patch(of_type, asked.raw_query.as_deref().unwrap_or_default(), &asked.body)
            }
            _ => Err(Outcome::not_found()),
        },
        Method::DELETE => match steps.as_slice() {
            [of_type, id] if is_plain(id) => call.delete(of_type, id),
            [of_type] if is_plain(of_type) => {
                call.conditional_delete(of_type, asked.raw_query.as_deref().unwrap_or_default())
            }
            _ => Err(Outcome::not_found()),
        },
        _ => Err(Outcome::not_found()),
    }
}

/// Whether a step of the path is a type or an id, and no operation.
fn is_plain(step: &str) -> bool {
    !step.starts_with(['$', '_'])
}

fn dispatch_get(call: &mut Call<'_>, asked: &Interaction, steps: &[&str]) -> Result<Answer> {
    match steps {
        [] => call.search("MultipleTypes", &asked.query()),
        [of_type] if is_plain(of_type) => call.search(of_type, &asked.query()),
        [of_type, id] if is_plain(id) => call.read(of_type, id, &asked.conditions),
        [of_type, id, "_history"] => call.history(of_type, id, &asked.query()),
        [of_type, id, "_history", version] => call.read_version(of_type, id, version),
        other => operation(call, asked, other),
    }
}

fn dispatch_post(call: &mut Call<'_>, asked: &Interaction, steps: &[&str]) -> Result<Answer> {
    match steps {
        [] => bundle::process(call, &asked.body),
        ["$graphql"] => graphql::answer(call, &asked.body),
        [of_type] if is_plain(of_type) => call.create(of_type, asked.body.clone(), &asked.conditions),
        [of_type, "_search"] => {
            let mut query = asked.query();
            match &asked.body {
                Value::String(form) => query.extend(pairs(form)),
                Value::Object(fields) => query.extend(fields.iter().map(|(key, value)| {
                    (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                })),
                _ => {}
            }
            call.search(of_type, &query)
        }
        [of_type, "$validate"] => {
            call.check_type(of_type)?;
            call.validate(&asked.body)?;
            Ok(Answer::outcome(Outcome::all_ok()))
        }
        other => operation(call, asked, other),
    }
}

fn dispatch_put(call: &mut Call<'_>, asked: &Interaction, steps: &[&str]) -> Result<Answer> {
    match steps {
        [of_type] if is_plain(of_type) => {
            let query = asked.raw_query.as_deref().unwrap_or_default();
            call.conditional_update(of_type, query, asked.body.clone(), &asked.conditions)
        }
        [of_type, id] if is_plain(id) => call.update(of_type, id, asked.body.clone(), &asked.conditions),
        _ => Err(Outcome::not_found()),
    }
}

/// The operations that Medplum routes itself.
fn operation(call: &mut Call<'_>, asked: &Interaction, steps: &[&str]) -> Result<Answer> {
    match steps {
        ["Patient", id, "$everything"] => everything::answer(call, id, asked),
        ["ValueSet", "$expand"] => terminology::expand(call, asked),
        ["ValueSet", "$validate-code"] => terminology::validate_in_set(call, asked, None),
        ["ValueSet", id, "$validate-code"] => terminology::validate_in_set(call, asked, Some(id)),
        ["CodeSystem", "$validate-code"] => terminology::validate_in_system(call, asked, None),
        ["CodeSystem", id, "$validate-code"] => terminology::validate_in_system(call, asked, Some(id)),
        ["CodeSystem", "$lookup"] => terminology::lookup(call, asked, None),
        ["CodeSystem", id, "$lookup"] => terminology::lookup(call, asked, Some(id)),
        ["ConceptMap", "$translate"] => terminology::translate(call, asked, None),
        ["ConceptMap", id, "$translate"] => terminology::translate(call, asked, Some(id)),
        other => {
            call.spend(cost::SEARCH)?;
            Err(not_done(call, asked, other).unwrap_or_else(Outcome::not_found))
        }
    }
}

/// Operations of Medplum's own that change more than FHIR does and are not among FHIR's definitions.
const MEDPLUM_OPERATIONS: [&str; 14] = [
    "ccda-export",
    "clone",
    "expunge",
    "extract",
    "graph",
    "import",
    "init",
    "push",
    "reindex",
    "reload-config",
    "resend",
    "set-accounts",
    "update-user-email",
    "upgrade",
];

/// A clear refusal of what the real server would do here and the sandbox does not.
fn not_done(call: &Call<'_>, asked: &Interaction, steps: &[&str]) -> Option<Outcome> {
    let (of_type, name, instance) = match steps {
        [name] => ("", name, false),
        [of_type, name] => (*of_type, name, false),
        [of_type, _, name] => (*of_type, name, true),
        _ => return None,
    };
    let name = name.strip_prefix('$')?;
    if MEDPLUM_OPERATIONS.contains(&name) {
        return Some(Outcome::not_implemented(&format!("{of_type} ${name}")));
    }
    let here = |operation: &&fhir_definitions::Operation| {
        let level = match (of_type.is_empty(), instance) {
            (true, _) => operation.on_system(),
            (false, true) => operation.on_instance(),
            (false, false) => operation.on_type(),
        };
        let method = operation.methods().any(|method| method == asked.method.as_str());
        operation.code == name && level && method
    };
    let definitions = call.engine.definitions();
    let known = if of_type.is_empty() {
        definitions.operations().iter().find(here).is_some()
    } else {
        definitions.routed_operations(of_type).find(here).is_some()
    };
    known.then(|| Outcome::not_implemented(&format!("{of_type} ${name}")))
}
