//! A sandbox whose requests are kept, and a host that works on it.

use medplum_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::common::host::{Host, program};
use crate::common::redact::redact;
use crate::common::sandbox::acts;
use crate::common::{Answer, Stub};
use crate::{can_ask, says};

/// A sandbox and a conversation.
pub struct Ward {
    pub sandbox: Sandbox,
    pub host: Host,
}

/// What the person was asked, and what the call answered then.
pub struct Asked {
    pub question: String,
    pub answer: Answer,
}

impl Ward {
    /// With writes open, and a host that can ask the person.
    pub fn open(variables: &[(&str, &str)]) -> Self {
        let mut ward = Self::unopened(variables);
        ward.host.initialize_as("2025-11-25", can_ask());
        ward
    }

    /// The same, before the host has said who it is.
    pub fn unopened(variables: &[(&str, &str)]) -> Self {
        Self::on(Sandbox::builder().record_requests().start_on_thread().unwrap(), variables)
    }

    pub fn on(sandbox: Sandbox, variables: &[(&str, &str)]) -> Self {
        let host = Self::another_host(&sandbox, variables);
        Self { sandbox, host }
    }

    /// One more program on the same sandbox.
    pub fn another_host(sandbox: &Sandbox, variables: &[(&str, &str)]) -> Host {
        let mut all = vec![
            ("MEDPLUM_BASE_URL", sandbox.base_url()),
            ("MEDPLUM_CLIENT_ID", sandbox.client_id()),
            ("MEDPLUM_CLIENT_SECRET", sandbox.client_secret()),
            ("MEDPLUM_ENABLE_WRITES", "true"),
        ];
        all.extend_from_slice(variables);
        Host::spawn(program(&[], &all))
    }

    /// A new resource, which nobody is asked about.
    pub fn store(&mut self, resource: Value) -> Value {
        self.host.call("create_resource", json!({"resource": resource})).record()
    }

    pub fn alice(&mut self) -> Value {
        self.store(json!({
            "resourceType": "Patient",
            "identifier": [{"system": "http://hospital.example/mrn", "value": "4711"}],
            "name": [{"family": "Smith", "given": ["Alice"]}],
            "telecom": [{"system": "phone", "value": "555-1212"}],
            "gender": "female"
        }))
    }

    /// The resource as it is.
    pub fn read(&mut self, resource: &Value) -> Value {
        let (of, id) = (&resource["resourceType"], &resource["id"]);
        self.host.call("read_resource", json!({"resource_type": of, "resource_id": id})).record()
    }

    /// Makes a call, and gives this answer to the question that it leads to.
    pub fn call(&mut self, tool: &str, arguments: Value, action: &str) -> Asked {
        let id = self.host.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let asked = self.host.asked();
        assert_eq!(asked["method"], "elicitation/create", "{asked}");
        assert_eq!(asked["params"]["requestedSchema"], json!({"type": "object", "properties": {}}), "{asked}");
        self.host.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": says(action)}));
        let answer = Answer::of(&self.host.answer_to(id));
        Asked { question: asked["params"]["message"].as_str().unwrap().to_owned(), answer }
    }

    /// The requests so far that change or run something; and forgets them.
    pub fn acts(&mut self) -> Vec<String> {
        acts(&self.sandbox).iter().map(|line| redact(line)).collect()
    }
}

/// A conversation with a host that can ask, over a stub.
pub fn on_stub(stub: &Stub, variables: &[(&str, &str)]) -> Host {
    let mut all = vec![
        ("MEDPLUM_BASE_URL", stub.url.as_str()),
        ("MEDPLUM_CLIENT_ID", "client"),
        ("MEDPLUM_CLIENT_SECRET", crate::common::SECRET),
        ("MEDPLUM_ENABLE_WRITES", "true"),
    ];
    all.extend_from_slice(variables);
    Host::spawn(program(&[], &all))
}
