//! What the documents tell a person to put into a host's file starts this program with settings that exist.

use medplum_mcp::settings::SETTINGS;
use serde_json::Value;

use super::commands::is_taken;
use super::{blocks, documents};

/// Every server in a block of JSON or TOML.
fn servers(language: &str, text: &str) -> Vec<(String, Value)> {
    let file: Value = match language {
        "json" => serde_json::from_str(text).unwrap(),
        "toml" => as_json(text.parse::<toml_edit::DocumentMut>().unwrap().as_item()),
        _ => return Vec::new(),
    };
    let groups = ["mcpServers", "servers", "context_servers", "mcp_servers"];
    let servers = groups.iter().filter_map(|group| file[*group].as_object()).flatten();
    servers.map(|(name, server)| (name.clone(), server.clone())).collect()
}

fn as_json(item: &toml_edit::Item) -> Value {
    match item {
        toml_edit::Item::Value(value) => of_value(value),
        item => item
            .as_table_like()
            .map(|table| table.iter().map(|(key, item)| (key.to_owned(), as_json(item))).collect())
            .map_or(Value::Null, Value::Object),
    }
}

fn of_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => text.value().as_str().into(),
        toml_edit::Value::Array(items) => items.iter().map(of_value).collect(),
        toml_edit::Value::InlineTable(table) => {
            table.iter().map(|(key, value)| (key.to_owned(), of_value(value))).collect()
        }
        toml_edit::Value::Boolean(value) => (*value.value()).into(),
        other => panic!("{other:?} stands in no host's file"),
    }
}

#[test]
fn what_a_host_is_told_starts_this_program() {
    let mut found = 0;
    for path in documents() {
        for (language, text) in blocks(&path) {
            for (name, server) in servers(&language, &text) {
                let place = format!("{path}, {name}");
                let texts = |value: &Value| -> Vec<String> {
                    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
                };
                let arguments = texts(&server["args"]);
                let program = ["medplum-mcp", "pymedplum-mcp"];
                match server["command"].as_str().unwrap() {
                    "medplum-mcp" => is_taken(&place, &arguments),
                    "uvx" | "npx" => {
                        let at = arguments.iter().rposition(|word| program.contains(&word.as_str()));
                        is_taken(&place, &arguments[at.unwrap_or_else(|| panic!("{place}: what is started?")) + 1..]);
                    }
                    other => panic!("{place}: {other} is not how this program is started"),
                }
                let named = server["env"].as_object().into_iter().flat_map(|env| env.keys().cloned());
                for variable in named.chain(texts(&server["env_vars"])) {
                    let known = SETTINGS.iter().any(|setting| setting.variable == variable);
                    assert!(known, "{place}: there is no setting {variable}");
                }
                found += 1;
            }
        }
    }
    assert!(found >= 5, "{found}");
}
