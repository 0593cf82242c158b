//! Bots: three that are built in can be run. The code of any other is never run.

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::engine::Request;
use crate::outcome::{Outcome, Result};
use crate::population::ids;
use crate::quota::cost;
use crate::reply::{JSON, Reply};
use crate::routes;

/// Marks the operation's implementation in an OperationDefinition.
const IMPLEMENTATION: &str = "https://medplum.com/fhir/StructureDefinition/operationDefinition-implementation";

/// What a bot is given: the body, or the query of a GET, as JavaScript would see it.
fn input(request: &Request) -> Value {
    if request.method == Method::GET || request.method == Method::HEAD {
        let query = routes::pairs(request.query.as_deref().unwrap_or_default());
        return Value::Object(query.into_iter().map(|(key, value)| (key, json!(value))).collect());
    }
    if routes::is_json(request.content_type()) {
        return serde_json::from_slice(&request.body).unwrap_or_else(|_| json!({}));
    }
    let text = String::from_utf8_lossy(&request.body).into_owned();
    if request.content_type() == "application/x-www-form-urlencoded" {
        return Value::Object(routes::pairs(&text).into_iter().map(|(key, value)| (key, json!(value))).collect());
    }
    Value::String(text)
}

/// `{ok: true, ...input}`: a text spreads into its letters, whose numbers come first.
fn echo(input: &Value) -> Value {
    let mut said = Map::new();
    match input {
        Value::String(text) => {
            said.extend(text.chars().enumerate().map(|(at, letter)| (at.to_string(), json!(letter.to_string()))));
            said.insert("ok".into(), json!(true));
        }
        Value::Object(fields) => {
            said.insert("ok".into(), json!(true));
            said.extend(fields.clone());
        }
        _ => {
            said.insert("ok".into(), json!(true));
        }
    }
    Value::Object(said)
}

/// `Bot/{id}/$execute`, whatever the method and whatever stands behind it in the path.
pub(crate) fn execute(call: &mut Call<'_>, request: &Request, id: &str) -> Result<Answer> {
    call.spend(cost::READ)?;
    let bot = call.read_one("Bot", id)?;
    run(call, request, id, &bot)
}

/// `Bot/$execute?identifier=…`
pub(crate) fn execute_by_identifier(call: &mut Call<'_>, request: &Request) -> Result<Answer> {
    let query = routes::pairs(request.query.as_deref().unwrap_or_default());
    let identifier = query.iter().find(|(key, _)| key == "identifier").map(|(_, value)| value.as_str());
    let Some(identifier) = identifier else {
        return Err(Outcome::bad_request("Must specify bot ID or identifier."));
    };
    call.spend(cost::SEARCH)?;
    let encoded: String = url::form_urlencoded::byte_serialize(identifier.as_bytes()).collect();
    let found = call.matching("Bot", &format!("identifier={encoded}"))?;
    let bots = call.state.store.of_type("Bot");
    let first = found.iter().next().and_then(|slot| bots?.record(slot));
    let id = first.map(|record| record.id.to_string()).ok_or_else(Outcome::not_found)?;
    let bot = call.read_one("Bot", &id)?;
    run(call, request, &id, &bot)
}

fn run(call: &Call<'_>, request: &Request, id: &str, bot: &Value) -> Result<Answer> {
    let input = input(request);
    let mut reply = match id {
        ids::ECHO_BOT => echo_reply(request, &input),
        ids::SLOW_BOT => echo_reply(request, &input),
        ids::FAILING_BOT => {
            let outcome = Outcome::bad_request(format!("bot failed on purpose: {input}"));
            Reply::json(400, JSON, &outcome.body())
        }
        _ => {
            let name = bot.get("name").and_then(Value::as_str).unwrap_or(id);
            let what = format!("run the code of a bot (\"{name}\"); only its built-in bots run");
            return Err(Outcome::not_implemented(&what));
        }
    };
    if id == ids::SLOW_BOT {
        reply.delay = call.engine.config.slow_bot_delay;
    }
    Ok(Answer::Raw(reply))
}

/// The answer of the echo bot comes back as the type that the request came as.
fn echo_reply(request: &Request, input: &Value) -> Reply {
    let plain = request.method == Method::POST && request.content_type() == "text/plain";
    let content_type = if plain { "text/plain; charset=utf-8" } else { JSON };
    Reply::json(200, content_type, &echo(input))
}

/// `POST Bot/{id}/$deploy`: kept for show.
pub(crate) fn deploy(call: &mut Call<'_>, id: &str) -> Result<Answer> {
    call.spend(cost::WRITE)?;
    call.spend(cost::WRITE)?;
    call.spend(cost::READ)?;
    call.read_one("Bot", id)?;
    Ok(Answer::outcome(Outcome::all_ok()))
}

/// What was not found may still be an operation that a bot carries out: the last step of the whole URL, its query
/// included, is looked up among the OperationDefinitions. That is what the real server does.
pub(crate) fn custom_operation(call: &mut Call<'_>, request: &Request) -> Option<Result<Answer>> {
    let url = match &request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path.clone(),
    };
    let last = url.rsplit('/').next()?;
    let name = last.strip_prefix('$').or_else(|| last.strip_prefix("%24"))?;
    let name = name.split('?').next().unwrap_or(name);
    if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_') {
        return None;
    }
    let found = call.matching("OperationDefinition", &format!("code={name}")).ok()?;
    let definitions = call.state.store.of_type("OperationDefinition")?;
    let bot = found.iter().find_map(|slot| bot_of(&definitions.record(slot)?.live()?.parse()?))?;
    Some(execute(call, request, &bot))
}

fn bot_of(definition: &Value) -> Option<String> {
    let extensions = definition.get("extension")?.as_array()?;
    let marked = |extension: &&Value| extension.get("url").and_then(Value::as_str) == Some(IMPLEMENTATION);
    let reference = extensions.iter().find(marked)?.pointer("/valueReference/reference")?;
    reference.as_str()?.strip_prefix("Bot/").map(str::to_owned)
}
