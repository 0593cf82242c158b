//! Tokens, and the endpoints that tell where to get them.

use http::Method;
use serde_json::{Value, json};

use crate::auth;
use crate::engine::{Engine, Request};
use crate::outcome::Result;
use crate::reply::{JSON, Reply};
use crate::routes::{self, pairs};

/// The answer to a path of signing in, or of the server as a whole; nothing if it is another's.
pub(crate) fn answer(engine: &Engine, request: &Request, steps: &[&str]) -> Option<Result<Reply>> {
    let get = request.method == Method::GET || request.method == Method::HEAD;
    let reply = match steps {
        ["healthcheck"] if get => healthcheck(),
        ["oauth2", "token"] if request.method == Method::POST => token(engine, request),
        ["oauth2", "userinfo"] => user_info(engine, request),
        ["oauth2", "logout"] => routes::log_out(engine, request),
        ["auth", "me"] if get => crate::admin::me(engine, request),
        [".well-known", name] if get => return Some(well_known(engine, name)),
        _ => return None,
    };
    Some(Ok(reply))
}

fn healthcheck() -> Reply {
    let body = json!({
        "ok": true,
        "version": crate::metadata::VERSION,
        "platform": "sandbox",
        "runtime": concat!("medplum-sandbox ", env!("CARGO_PKG_VERSION")),
        "postgres": true,
        "redis": true,
    });
    Reply::json(200, JSON, &body)
}

fn refused(description: &str) -> Reply {
    let body = json!({"error": "invalid_request", "error_description": description});
    Reply::json(400, JSON, &body)
}

/// `POST oauth2/token`: client credentials in a form, or in the form and `Authorization: Basic`.
fn token(engine: &Engine, request: &Request) -> Reply {
    if request.content_type() != "application/x-www-form-urlencoded" {
        return Reply::bytes(400, "text/html; charset=utf-8", "Unsupported content type");
    }
    let body = String::from_utf8_lossy(&request.body);
    let form = pairs(&body);
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match field("grant_type") {
        None => return refused("Missing grant_type"),
        Some("client_credentials") => {}
        Some("authorization_code" | "refresh_token" | "urn:ietf:params:oauth:grant-type:token-exchange") => {
            return refused("The sandbox grants client_credentials alone");
        }
        Some(_) => return refused("Unsupported grant_type"),
    }
    let basic = auth::basic(&request.headers);
    let id = field("client_id").or(basic.as_ref().map(|(id, _)| id.as_str()));
    let secret = field("client_secret").or(basic.as_ref().map(|(_, secret)| secret.as_str()));
    let (id, secret) = match (id, secret) {
        (None, _) => return refused("Missing client_id"),
        (_, None) => return refused("Missing client_secret"),
        (Some(id), Some(secret)) => (id, secret),
    };
    let Some(client) = engine.config.client(id) else {
        return refused("Invalid client");
    };
    if client.secret != secret {
        return refused("Invalid secret");
    }
    let scope = field("scope").unwrap_or("openid");
    let token = engine.state().tokens.issue(&engine.config, &engine.source, &client, scope);
    let body = json!({
        "token_type": "Bearer",
        "expires_in": engine.config.token_lifetime.as_secs(),
        "scope": scope,
        "id_token": token,
        "access_token": token,
        "project": {"reference": format!("Project/{}", engine.config.project)},
        "profile": client.reference(),
        "smart_style_url": format!("{}fhir/R4/.well-known/smart-styles.json", engine.config.base_url),
        "need_patient_banner": false,
    });
    Reply::json(200, JSON, &body)
}

fn user_info(engine: &Engine, request: &Request) -> Reply {
    let state = engine.state();
    let now = engine.source.now();
    match auth::actor(&engine.config, &state.store, &state.tokens, &request.headers, now) {
        Err(outcome) => routes::outcome_reply(engine, &outcome),
        Ok(actor) => {
            let profile = actor.author.get("reference").cloned().unwrap_or(Value::Null);
            let body = json!({"sub": actor.client.id, "profile": profile, "name": actor.client.name});
            Reply::json(200, JSON, &body)
        }
    }
}

fn well_known(engine: &Engine, name: &str) -> Result<Reply> {
    let body = match name {
        "openid-configuration" | "oauth-authorization-server" => authorization_server(&engine.config.base_url),
        "oauth-protected-resource" => protected_resource(&engine.config.base_url),
        // Its tokens are opaque to everybody but itself.
        "jwks.json" => json!({"keys": []}),
        _ => return Err(crate::outcome::Outcome::not_found()),
    };
    Ok(Reply::json(200, JSON, &body))
}

const GRANTS: [&str; 4] =
    ["client_credentials", "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"];
const CLIENT_AUTHENTICATION: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
const SCOPES: [&str; 5] = ["openid", "profile", "email", "phone", "address"];

fn authorization_server(base: &str) -> Value {
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}oauth2/authorize"),
        "token_endpoint": format!("{base}oauth2/token"),
        "userinfo_endpoint": format!("{base}oauth2/userinfo"),
        "jwks_uri": format!("{base}.well-known/jwks.json"),
        "introspection_endpoint": format!("{base}oauth2/introspect"),
        "registration_endpoint": format!("{base}oauth2/register"),
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "RS256"],
        "grant_types_supported": GRANTS,
        "response_types_supported": ["code", "id_token", "token id_token"],
        "subject_types_supported": ["pairwise", "public"],
        "scopes_supported": SCOPES,
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "request_object_signing_alg_values_supported": ["none"],
        "code_challenge_methods_supported": ["S256", "plain"],
    })
}

fn protected_resource(base: &str) -> Value {
    json!({
        "resource": base,
        "issuer": base,
        "authorization_servers": [base],
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
        "introspection_endpoint": format!("{base}oauth2/introspect"),
    })
}

/// `fhir/R4/.well-known/smart-configuration`
pub(crate) fn smart_configuration(base: &str) -> Value {
    json!({
        "issuer": base,
        "jwks_uri": format!("{base}.well-known/jwks.json"),
        "authorization_endpoint": format!("{base}oauth2/authorize"),
        "grant_types_supported": GRANTS,
        "token_endpoint": format!("{base}oauth2/token"),
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "ES384"],
        "scopes_supported": [
            "patient/*.rs", "user/*.cruds", "openid", "fhirUser", "launch", "launch/patient", "offline_access",
            "online_access"
        ],
        "response_types_supported": ["code"],
        "introspection_endpoint": format!("{base}oauth2/introspect"),
        "capabilities": [
            "authorize-post", "permission-v1", "permission-v2", "client-confidential-asymmetric",
            "client-confidential-symmetric", "client-public", "context-banner", "context-ehr-patient",
            "context-ehr-encounter", "context-standalone-patient", "context-style", "launch-ehr",
            "launch-standalone", "permission-offline", "permission-patient", "permission-user",
            "sso-openid-connect"
        ],
        "code_challenge_methods_supported": ["S256"],
    })
}

/// `fhir/R4/.well-known/smart-styles.json`
pub(crate) fn smart_styles() -> Value {
    json!({
        "color_background": "#edeae3",
        "color_error": "#9e2d2d",
        "color_highlight": "#69b5ce",
        "color_modal_backdrop": "",
        "color_success": "#498e49",
        "color_text": "#303030",
        "dim_border_radius": "6px",
        "dim_font_size": "13px",
        "dim_spacing_size": "20px",
        "font_family_body": "Georgia, Times, 'Times New Roman', serif",
        "font_family_heading": "'HelveticaNeue-Light', Helvetica, Arial, 'Lucida Grande', sans-serif;",
    })
}
