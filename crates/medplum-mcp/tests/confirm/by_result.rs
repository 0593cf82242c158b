//! From revision 2026-07-28 on the call's result asks, and the call is made again with the answer.

use serde_json::{Value, json};

use crate::common::host::Host;
use crate::common::{Answer, redact::redact};
use crate::says;
use crate::ward::Ward;

/// A conversation of the stateless revision.
struct Talk {
    ward: Ward,
    alice: Value,
}

fn meta(capabilities: Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities
    })
}

fn send(host: &mut Host, tool: &str, arguments: &Value, more: Value) -> Value {
    let mut call = json!({"name": tool, "arguments": arguments, "_meta": meta(json!({"elicitation": {"form": {}}}))});
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host.request("tools/call", call)
}

impl Talk {
    fn open(variables: &[(&str, &str)]) -> Self {
        let mut ward = Ward::unopened(variables);
        let alice = json!({"resource": {"resourceType": "Patient", "identifier": [{"system": "http://hospital.example/mrn", "value": "4711"}], "name": [{"family": "Smith", "given": ["Alice"]}], "gender": "female"}});
        let alice = Answer::of(&send(&mut ward.host, "create_resource", &alice, json!({}))).record();
        Self { ward, alice }
    }

    fn send(&mut self, tool: &str, arguments: &Value, more: Value) -> Value {
        send(&mut self.ward.host, tool, arguments, more)
    }

    /// Makes a call that asks: the question, and the state.
    fn ask(&mut self, tool: &str, arguments: &Value) -> (String, String) {
        let asked = self.send(tool, arguments, json!({}));
        question_of(&asked)
    }

    /// Makes the call again with this answer.
    fn answer(&mut self, tool: &str, arguments: &Value, state: &str, action: &str) -> Value {
        self.send(tool, arguments, json!({"requestState": state, "inputResponses": {"confirm": says(action)}}))
    }

    fn patch(&self, gender: &str) -> Value {
        let operations = json!([{"op": "replace", "path": "/gender", "value": gender}]);
        json!({"resource_type": "Patient", "resource_id": self.alice["id"], "operations": operations})
    }

    fn gender(&mut self) -> Value {
        let read = json!({"resource_type": "Patient", "resource_id": self.alice["id"]});
        Answer::of(&self.send("read_resource", &read, json!({}))).record()["gender"].clone()
    }
}

fn question_of(asked: &Value) -> (String, String) {
    let result = &asked["result"];
    assert_eq!(result["resultType"], "input_required", "{asked}");
    let request = &result["inputRequests"]["confirm"];
    assert_eq!((&request["method"], &request["params"]["mode"]), (&json!("elicitation/create"), &json!("form")));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&request["params"]["message"]), text(&result["requestState"]))
}

#[test]
fn asked_and_accepted() {
    let mut talk = Talk::open(&[]);
    talk.ward.acts();
    let patch = talk.patch("other");
    let (question, state) = talk.ask("patch_resource", &patch);
    assert_eq!(
        redact(&question),
        "Change this Patient?\n  id: Patient/<id 1>\n  name: \"Alice Smith\"\n  identifier: \"4711\" of \"http://hospital.example/mrn\"\n  gender: \"female\" → \"other\""
    );
    assert_eq!(talk.ward.acts(), [] as [&str; 0]);
    let done = talk.answer("patch_resource", &patch, &state, "accept");
    assert_eq!(Answer::of(&done).record()["gender"], "other");
    assert_eq!(talk.ward.acts(), ["PATCH /fhir/R4/Patient/<id 1>"]);
}

#[test]
fn a_no_is_an_answer_and_nothing_is_sent() {
    let mut talk = Talk::open(&[]);
    let patch = talk.patch("other");
    for (action, note) in [
        ("decline", "Nothing was written: the person declined."),
        ("cancel", "Nothing was written: the person closed the question without an answer."),
    ] {
        let (_, state) = talk.ask("patch_resource", &patch);
        talk.ward.acts();
        let answer = Answer::of(&talk.answer("patch_resource", &patch, &state, action));
        assert_eq!((answer.record(), answer.note()), (Value::Null, note));
        // A no that was given is not turned into a yes.
        let turned = Answer::of(&talk.answer("patch_resource", &patch, &state, "accept"));
        assert!(turned.error().contains("was used already"), "{turned:?}");
        assert_eq!(talk.ward.acts(), [] as [&str; 0]);
    }
}

#[test]
fn a_yes_counts_once_and_for_its_own_call() {
    let mut talk = Talk::open(&[("MEDPLUM_ALLOW_OBO_OVERRIDE", "true")]);
    let (patch, other) = (talk.patch("other"), talk.patch("male"));
    let (_, state) = talk.ask("patch_resource", &patch);
    talk.ward.acts();
    let mut behalf = patch.clone();
    behalf["on_behalf_of"] = talk.ward.sandbox.membership().into();
    let delete = json!({"resource_type": "Patient", "resource_id": talk.alice["id"]});
    let altered: String = state.chars().rev().collect();
    for (why, tool, arguments, state) in [
        ("other arguments", "patch_resource", &other, state.as_str()),
        ("another member", "patch_resource", &behalf, &state),
        ("another tool", "delete_resource", &delete, &state),
        ("an altered state", "patch_resource", &patch, &altered),
        ("no state at all", "patch_resource", &patch, ""),
        ("a made-up state", "patch_resource", &patch, "AAAA"),
    ] {
        let refused = Answer::of(&talk.answer(tool, arguments, state, "accept"));
        assert!(
            refused.error().contains("requestState") && refused.error().contains("Nothing was written"),
            "{why}: {refused:?}"
        );
    }
    assert_eq!(talk.ward.acts(), [] as [&str; 0]);
    assert!(
        !Answer::of(&talk.answer("patch_resource", &patch, &state, "accept")).failed,
        "it was not used up by those"
    );
    talk.ward.acts();
    let replayed = Answer::of(&talk.answer("patch_resource", &patch, &state, "accept"));
    assert!(replayed.error().contains("was used already"), "{replayed:?}");
    assert_eq!(talk.ward.acts(), [] as [&str; 0]);
}

#[test]
fn an_answer_without_a_state_is_no_yes() {
    let mut talk = Talk::open(&[]);
    let patch = talk.patch("other");
    let asked = talk.send("patch_resource", &patch, json!({"inputResponses": {"confirm": says("accept")}}));
    question_of(&asked);
    let (_, state) = talk.ask("patch_resource", &patch);
    // A state without an answer asks again, and so does an answer to something else.
    question_of(&talk.send("patch_resource", &patch, json!({"requestState": state})));
    question_of(&talk.send(
        "patch_resource",
        &patch,
        json!({"requestState": state, "inputResponses": {"x": says("accept")}}),
    ));
    let strange =
        talk.send("patch_resource", &patch, json!({"requestState": state, "inputResponses": {"confirm": "yes"}}));
    assert!(Answer::of(&strange).error().contains("inputResponses.confirm"), "{strange}");
    assert_eq!(talk.gender(), "female");
}

#[test]
fn what_changed_meanwhile_is_asked_about_anew() {
    let mut talk = Talk::open(&[]);
    let patch = talk.patch("other");
    let (_, state) = talk.ask("patch_resource", &patch);
    let mut other = Ward::another_host(&talk.ward.sandbox, &[("MEDPLUM_CONFIRM_WRITES", "never")]);
    other.initialize("2025-11-25");
    other.call("patch_resource", talk.patch("male")).record();
    talk.ward.acts();
    let again = talk.answer("patch_resource", &patch, &state, "accept");
    let (question, state) = question_of(&again);
    assert!(question.starts_with("What you were asked about changed meanwhile.\nChange this Patient?"), "{question}");
    assert!(question.contains("gender: \"male\" → \"other\""), "{question}");
    assert_eq!(talk.ward.acts(), [] as [&str; 0]);
    assert_eq!(Answer::of(&talk.answer("patch_resource", &patch, &state, "accept")).record()["gender"], "other");

    // A deletion is bound to the version that was shown, though Medplum heeds none.
    let delete = json!({"resource_type": "Patient", "resource_id": talk.alice["id"]});
    let (_, state) = talk.ask("delete_resource", &delete);
    other.call("patch_resource", talk.patch("male")).record();
    question_of(&talk.answer("delete_resource", &delete, &state, "accept"));
    assert_eq!(talk.gender(), "male");
}

#[test]
fn the_version_that_was_read_is_part_of_the_call() {
    let mut talk = Talk::open(&[]);
    let mut patch = talk.patch("other");
    patch["version_id"] = talk.alice["meta"]["versionId"].clone();
    let (_, state) = talk.ask("patch_resource", &patch);
    let mut other = Ward::another_host(&talk.ward.sandbox, &[("MEDPLUM_CONFIRM_WRITES", "never")]);
    other.initialize("2025-11-25");
    other.call("patch_resource", talk.patch("male")).record();
    let stale = Answer::of(&talk.answer("patch_resource", &patch, &state, "accept"));
    assert!(stale.error().contains("changed after the version that you read"), "{stale:?}");
    assert_eq!(talk.gender(), "male");
}

#[test]
fn the_state_holds_nothing_of_a_patient() {
    let mut talk = Talk::open(&[]);
    let patch = talk.patch("other");
    let (_, state) = talk.ask("patch_resource", &patch);
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&state).unwrap();
    assert_eq!(bytes.len(), 16 + 8 + 16 + 32, "a number, a time, a digest, a signature");
    let text = String::from_utf8_lossy(&bytes);
    for word in ["Smith", "4711", "other", talk.alice["id"].as_str().unwrap()] {
        assert!(!text.contains(word) && !state.contains(word), "{word}");
    }
}

#[test]
fn the_audit_log_tells_a_question_from_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let mut talk = Talk::open(&[("MEDPLUM_AUDIT_LOG", audit.to_str().unwrap())]);
    let patch = talk.patch("other");
    let (_, state) = talk.ask("patch_resource", &patch);
    talk.answer("patch_resource", &patch, &state, "decline");
    let (_, state) = talk.ask("patch_resource", &patch);
    talk.answer("patch_resource", &patch, &state, "accept");
    let audit = std::fs::read_to_string(audit).unwrap();
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_patch = lines.iter().filter(|line| line["tool"] == "patch_resource" && line["line"] != "intent");
    let outcomes: Vec<&str> = of_patch.map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["asked", "declined", "asked", "answered"]);
    // Bare digits may stand in any hash.
    assert!(["Smith", "\"4711", "|4711"].iter().all(|text| !audit.contains(text)), "{audit}");
}

#[test]
fn a_client_that_cannot_ask() {
    let delete = |talk: &mut Talk| {
        let arguments = json!({"resource_type": "Patient", "resource_id": talk.alice["id"]});
        let call = json!({"name": "delete_resource", "arguments": arguments, "_meta": meta(json!({}))});
        Answer::of(&talk.ward.host.request("tools/call", call))
    };
    let mut talk = Talk::open(&[("MEDPLUM_CONFIRM_WRITES", "always")]);
    let refused = delete(&mut talk);
    assert!(refused.error().contains("MEDPLUM_CONFIRM_WRITES=always"), "{refused:?}");
    assert!(!delete(&mut Talk::open(&[])).failed);
}

#[test]
fn two_steps_are_one_question() {
    let mut talk = Talk::open(&[]);
    let bot = Answer::of(&talk.send("create_bot", &json!({"name": "Greeter"}), json!({}))).record();
    let code = json!({"bot_id": bot["id"], "source_code": "fresh();", "compiled_code": "exports.handler = fresh;"});
    let (_, state) = talk.ask("save_and_deploy_bot", &code);
    talk.ward.acts();
    let saved = Answer::of(&talk.answer("save_and_deploy_bot", &code, &state, "accept"));
    assert_eq!(saved.record()["code"], "fresh();");
    assert_eq!(talk.ward.acts(), ["PUT /fhir/R4/Bot/<id 1>", "POST /fhir/R4/Bot/<id 1>/$deploy"]);
}

#[test]
fn a_session_of_the_older_revisions_is_never_answered_with_a_question() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    let operations = json!([{"op": "remove", "path": "/gender"}]);
    let patch = json!({"resource_type": "Patient", "resource_id": alice["id"], "operations": operations});
    // What such a host sends beside is not looked at.
    let call = json!({"name": "patch_resource", "arguments": patch, "requestState": "AAAA", "inputResponses": {"confirm": says("accept")}});
    let id = ward.host.ask("tools/call", call);
    let asked = ward.host.asked();
    assert_eq!(asked["method"], "elicitation/create");
    ward.host.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": says("accept")}));
    assert!(Answer::of(&ward.host.answer_to(id)).record().get("gender").is_none());
}
