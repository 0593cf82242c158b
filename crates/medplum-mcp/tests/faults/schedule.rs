//! One schedule: a handful of writes, and what goes wrong with each.

use std::fmt::Write;
use std::time::Duration;

use axum::http::Method;
use medplum_client::{BaseUrl, Call, Client, Config, Credentials, Error, Interaction, Open, Query, Reply};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::Limits;
use medplum_sandbox::{Fault, FaultRule, Sandbox};
use serde_json::{Value, json};

use super::common::clock::hurried;
use super::dice::Dice;
use super::ledger::{Ledger, Told};

/// How long the client waits. Only a fault that outlasts it, which is rare, costs so much time.
const TIMEOUT: Duration = Duration::from_millis(250);

/// A call, and the marks of what it would write.
struct Planned {
    tool: &'static str,
    arguments: Value,
    marks: Vec<String>,
    /// Which of them replaces the version of which mark, and no other.
    after: Option<(String, String)>,
}

/// What somebody else writes meanwhile.
struct Theirs {
    interaction: Interaction,
    mark: String,
    /// The mark of the version that it replaces, and of no other.
    after: Option<String>,
}

impl Theirs {
    fn is_creation(&self) -> bool {
        matches!(self.interaction, Interaction::Create { .. })
    }

    fn told(&self, reply: &Result<Reply, Error>) -> Told {
        match reply {
            Ok(_) if matches!(self.interaction, Interaction::Delete { .. }) => Told::Done,
            Ok(reply) if reply.json().pointer("/name/0/text") == Some(&json!(self.mark)) => Told::Done,
            // The other's was there already.
            Ok(_) => Told::NotDone,
            Err(error) if self.is_creation() && error.may_have_acted() => Told::Doubt,
            Err(error) if error.was_carried_out() => Told::DoneUnseen,
            Err(error) if error.may_have_acted() => Told::Doubt,
            Err(_) => Told::NotDone,
        }
    }
}

struct Schedule<'a> {
    seed: u64,
    dice: Dice,
    sandbox: &'a Sandbox,
    /// As the agent's host has it.
    server: Server,
    /// Beside the faults: to look at what is there.
    direct: Client,
    /// Somebody else, who writes to the same records.
    rival: Client,
    /// A patient to be changed.
    patient: String,
    /// Its deletion was asked for: that is the last thing to do with it.
    deletes: bool,
    marks: u64,
}

/// Runs the schedule of this seed, and notes what it wrote and what was told.
pub async fn run(seed: u64, sandbox: &Sandbox, ledger: &mut Ledger) {
    let limits = Limits { writes: true, ..Limits::default() };
    let credentials =
        Credentials::Client { id: sandbox.client_id().to_owned(), secret: sandbox.client_secret().to_owned().into() };
    let config =
        Config { timeout: TIMEOUT, ..Config::new(BaseUrl::parse(sandbox.base_url(), false).unwrap(), credentials) };
    let client = Client::with_surroundings(config.clone(), Policy::new(limits.clone()), hurried());
    let rival = Client::with_surroundings(config.clone(), Open, hurried());
    let direct = Client::new(Config { timeout: Duration::from_secs(60), ..config }, Open);
    let mut schedule = Schedule {
        seed,
        dice: Dice::new(seed),
        sandbox,
        server: Server::new(client, limits).unwrap(),
        direct,
        rival,
        patient: String::new(),
        deletes: false,
        marks: 0,
    };
    schedule.admit(ledger).await;
    for _ in 0..3 + schedule.dice.below(4) {
        let Some(planned) = schedule.plan().await else { return };
        schedule.carry_out(planned, ledger).await;
    }
}

impl Schedule<'_> {
    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("{}-{}", self.seed, self.marks)
    }

    fn person(&self, mark: &str) -> Value {
        let identifier = json!([{"system": "urn:schedule", "value": format!("{}-{mark}", self.seed)}]);
        json!({"resourceType": "Patient", "identifier": identifier, "name": [{"text": mark}]})
    }

    async fn admit(&mut self, ledger: &mut Ledger) {
        let mark = self.mark();
        let create = Interaction::create(self.person(&mark), None).unwrap();
        let stored = self.direct.send(&Call::default(), &create).await.unwrap().into_json();
        self.patient = stored["id"].as_str().unwrap().to_owned();
        ledger.note(mark, Told::Done, "the patient to be changed");
    }

    /// The patient as it is stored now; none once it is deleted.
    async fn stored(&self) -> Option<Value> {
        let read = Interaction::read("Patient".parse().unwrap(), self.patient.parse().unwrap());
        self.direct.send(&Call::default(), &read).await.ok().map(medplum_client::Reply::into_json)
    }

    async fn carry_out(&mut self, planned: Planned, ledger: &mut Ledger) {
        let rival = if self.dice.one_in(3) { self.rival(&planned).await } else { None };
        let faults = self.faults();
        for rule in &faults {
            self.sandbox.faults().add(rule.clone());
        }
        let mut story = format!("  seed {}: {} {}\n", self.seed, planned.tool, planned.arguments);
        for rule in &faults {
            writeln!(story, "    {rule:?}").unwrap();
        }
        let arguments = planned.arguments.as_object().unwrap().clone();
        let rival = rival.map(|theirs| {
            writeln!(story, "    beside it, {}: {:?}", theirs.mark, theirs.interaction).unwrap();
            (theirs, self.dice.below(60))
        });
        let call = self.server.call(planned.tool, arguments);
        // Now and then whoever called goes away somewhere on the way.
        let patience = if self.dice.one_in(12) { Duration::from_micros(self.dice.below(8_000)) } else { Duration::MAX };
        let beside = async {
            let (theirs, turns) = rival?;
            // Somewhere between the looks and the write, or before, or after.
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            let reply = self.rival.send(&Call::default(), &theirs.interaction).await;
            Some((theirs, reply))
        };
        let (answer, theirs) = tokio::join!(tokio::time::timeout(patience, call), beside);
        self.sandbox.faults().clear();
        let contested = theirs.as_ref().is_some_and(|(theirs, _)| theirs.is_creation());
        if let Some((theirs, reply)) = &theirs {
            writeln!(story, "    theirs: {reply:?}").unwrap();
            ledger.note(theirs.mark.clone(), theirs.told(reply), &story);
            theirs.after.iter().for_each(|read| ledger.follows(&theirs.mark, read));
        }
        let Ok(answer) = answer else {
            story.push_str("    dropped\n");
            planned.marks.into_iter().for_each(|mark| ledger.note(mark, Told::Nothing, &story));
            return;
        };
        let texts: Vec<String> =
            answer.content.iter().filter_map(|block| Some(block.as_text()?.text.clone())).collect();
        for text in &texts {
            writeln!(story, "    {text}").unwrap();
        }
        let failed = answer.is_error == Some(true);
        planned.after.iter().for_each(|(mark, read)| ledger.follows(mark, read));
        for (index, mark) in planned.marks.into_iter().enumerate() {
            let told = if failed { Told::by_words(&texts[0]) } else { told_by_success(&texts[0], index, &mark) };
            let told = if contested { told.whoever_it_was() } else { told };
            if told == Told::NotDone && theirs.as_ref().is_some_and(|(_, reply)| reply.is_ok()) {
                ledger.overtaken += 1;
            }
            ledger.note(mark, told, &story);
        }
    }

    /// The next write; none once the patient is deleted, or may be.
    async fn plan(&mut self) -> Option<Planned> {
        if self.deletes {
            return None;
        }
        let kind = self.dice.below(16);
        let mark = self.mark();
        let marks = vec![mark.clone()];
        let person = self.person(&mark);
        let planned = match kind {
            0..3 => Planned { tool: "create_resource", arguments: json!({"resource": person}), marks, after: None },
            3..6 => {
                let condition = format!("identifier=urn:schedule|{}-{mark}", self.seed);
                let arguments = json!({"resource": person, "if_none_exist": condition});
                Planned { tool: "create_resource_if_none_exist", arguments, marks, after: None }
            }
            6..9 => {
                let mut changed = self.stored().await?;
                let read = mark_of(&changed);
                changed["name"][0]["text"] = mark.clone().into();
                let overwrite = self.dice.one_in(3);
                let after = (!overwrite).then_some((mark, read));
                Planned {
                    tool: "update_resource",
                    arguments: json!({"resource": changed, "overwrite": overwrite}),
                    marks,
                    after,
                }
            }
            9..12 => {
                self.stored().await?;
                let operations = json!([{"op": "replace", "path": "/name/0/text", "value": mark}]);
                let arguments =
                    json!({"resource_type": "Patient", "resource_id": self.patient, "operations": operations});
                Planned { tool: "patch_resource", arguments, marks, after: None }
            }
            12..15 => self.bundle(mark).await?,
            _ => {
                self.stored().await?;
                self.deletes = true;
                let arguments = json!({"resource_type": "Patient", "resource_id": self.patient});
                Planned { tool: "delete_resource", arguments, marks: vec![self.patient.clone()], after: None }
            }
        };
        Some(planned)
    }

    /// The same creation, if that is one that is done once; else a change of the same patient, or its deletion.
    async fn rival(&mut self, planned: &Planned) -> Option<Theirs> {
        let mark = self.mark();
        if planned.tool == "create_resource_if_none_exist" {
            let mut person = planned.arguments["resource"].clone();
            person["name"][0]["text"] = mark.clone().into();
            let condition = Query::parse(planned.arguments["if_none_exist"].as_str().unwrap()).unwrap();
            let interaction = Interaction::create(person, Some(condition)).unwrap();
            return Some(Theirs { interaction, mark, after: None });
        }
        if planned.tool != "delete_resource" && self.dice.one_in(4) {
            self.deletes = true;
            let interaction =
                Interaction::Delete { resource_type: "Patient".parse().unwrap(), id: self.patient.parse().unwrap() };
            return Some(Theirs { interaction, mark: self.patient.clone(), after: None });
        }
        let mut changed = self.stored().await?;
        let (read, version) = (mark_of(&changed), changed["meta"]["versionId"].as_str().unwrap().parse().unwrap());
        changed["name"][0]["text"] = mark.clone().into();
        let interaction = Interaction::update(changed, Some(version)).unwrap();
        Some(Theirs { interaction, mark, after: Some(read) })
    }

    /// Two creations, one of them conditional, and a change.
    async fn bundle(&mut self, first: String) -> Option<Planned> {
        let (second, third) = (self.mark(), self.mark());
        let mut changed = self.stored().await?;
        let read = mark_of(&changed);
        changed["name"][0]["text"] = third.clone().into();
        let condition = format!("identifier=urn:schedule|{}-{second}", self.seed);
        let entries = json!([
            {"request": {"method": "POST", "url": "Patient"}, "resource": self.person(&first)},
            {"request": {"method": "POST", "url": "Patient", "ifNoneExist": condition}, "resource": self.person(&second)},
            {"request": {"method": "PUT", "url": format!("Patient/{}", self.patient)}, "resource": changed},
        ]);
        let kind = if self.dice.one_in(3) { "batch" } else { "transaction" };
        let arguments = json!({"bundle": {"type": kind, "entry": entries}});
        let after = Some((third.clone(), read));
        Some(Planned { tool: "execute_batch", arguments, marks: vec![first, second, third], after })
    }

    fn faults(&mut self) -> Vec<FaultRule> {
        (0..1 + self.dice.below(4)).map(|_| self.fault()).collect()
    }

    fn fault(&mut self) -> FaultRule {
        let ms = self.dice.pick(&[0, 100, 5_591, 60_000, 3_600_000]);
        let fault = match self.dice.below(200) {
            0..30 => Fault::TooManyRequests { ms_before_next: ms },
            30..60 => Fault::Status(self.dice.pick(&[500, 502, 503, 504, 408, 403])),
            60..90 => Fault::ResetBefore,
            90..130 => Fault::ResetAfter,
            130..160 => Fault::TruncatedBody,
            160..175 => Fault::Html,
            175..190 => Fault::TokensExpire,
            190..199 => Fault::SlowDrip { pieces: 3, pause: Duration::from_millis(1) },
            _ => Fault::Latency(TIMEOUT * 2),
        };
        let methods = [None, None, Some(Method::GET), Some(Method::POST), Some(Method::PUT), Some(Method::PATCH)];
        let mut rule = FaultRule::new(fault).after(self.dice.below(3)).times(1 + self.dice.below(3));
        if let Some(method) = self.dice.pick(&methods) {
            rule = rule.method(method);
        }
        match self.dice.below(8) {
            0 => rule.path_contains("oauth2/token"),
            1..4 => rule.path_contains("fhir/R4"),
            _ => rule,
        }
    }
}

/// By which write a version is there.
fn mark_of(version: &Value) -> String {
    version["name"][0]["text"].as_str().unwrap().to_owned()
}

/// What a success says of one of its writes: a bundle says it entry by entry. What was there already is another's.
fn told_by_success(record: &str, index: usize, mark: &str) -> Told {
    let record: Value = serde_json::from_str(record).unwrap();
    let Some(entries) = record["entry"].as_array() else {
        let others = record.pointer("/name/0/text").is_some_and(|text| text != mark);
        return if others { Told::NotDone } else { Told::Done };
    };
    let status = entries[index].pointer("/response/status").and_then(Value::as_str).unwrap_or_default();
    match status.get(..1) {
        Some("2") => Told::Done,
        Some("4") => Told::NotDone,
        _ => Told::Doubt,
    }
}
