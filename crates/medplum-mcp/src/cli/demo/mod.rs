//! `demo`: a session on the sandbox, as an agent has it, and what it would have cost without this server.

mod page;
mod session;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Command;
use futures_util::FutureExt;
use medplum_client::{
    Call, Client, Config, Credentials, Interaction, Level, Method, Operation, OperationName, Query, ResourceId,
    ResourceType,
};
use medplum_sandbox::Sandbox;
use serde_json::{Value, json};

use self::page::{Page, cost_of};
use self::session::{Answer, Session};
use super::{Ended, Invocation, Subcommand};
use crate::policy::Policy;
use crate::settings::Limits;
use crate::tokens::about;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |_: &Invocation<'_>| run(anstream::stdout()).boxed_local() };

fn command() -> Command {
    Command::new("demo")
        .about("Show a session with an agent's eyes, on synthetic patients, in a few seconds")
        .after_help("Examples:\n  medplum-mcp demo\n  NO_COLOR=1 medplum-mcp demo | less")
}

/// The record number of a patient with ten years of chart.
const RECORD_NUMBER: &str = "https://sandbox.example/mrn|MRN-1001";

/// What the session costs, act by act.
#[derive(Default)]
struct Costs {
    chart: usize,
    summary: usize,
    question: usize,
}

async fn run(out: impl Write) -> Ended {
    let sandbox = Sandbox::builder().random(the_same_each_time()).start().await?;
    let mut page = Page(out);
    page.heading("An agent's session on synthetic patients, as it happens.")?;
    page.aside("> what the agent asks, < the record, i this server's own words, ! a refusal\n")?;
    let mut agent = Session::open(&sandbox, false).await?;
    let patient = meet(&mut page, &mut agent).await?;
    let costs = read(&mut page, &mut agent, &patient).await?;
    write(&mut page, &mut agent, &sandbox, &patient).await?;
    be_lied_to(&mut page, &mut agent, &sandbox).await?;
    compare(&mut page, &sandbox, &patient, &costs).await?;
    page.heading("The same for your agent, on synthetic patients or on your own project:")?;
    writeln!(
        page.0,
        "  medplum-mcp install claude-code --sandbox\n  medplum-mcp doctor && medplum-mcp install claude-code"
    )?;
    Ok(ExitCode::SUCCESS)
}

/// What stands for randomness here, so that the session is the same each time: it runs on made-up patients, for a second
/// (<https://prng.di.unimi.it/splitmix64.c>).
fn the_same_each_time() -> impl FnMut() -> [u8; 16] {
    let mut state = 0_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    move || ((u128::from(next()) << 64) | u128::from(next())).to_be_bytes()
}

/// A call with its answer on the page.
async fn show(
    page: &mut Page<impl Write>,
    agent: &mut Session,
    tool: &str,
    arguments: Value,
) -> std::io::Result<Answer> {
    page.call(tool, &arguments)?;
    let started = Instant::now();
    let answer = agent.call(tool, &arguments).await?;
    page.answer(&answer, about(&answer.text()), started.elapsed())?;
    Ok(answer)
}

async fn meet(page: &mut Page<impl Write>, agent: &mut Session) -> Result<String, Box<dyn std::error::Error>> {
    let started = Instant::now();
    let listed = agent.request("tools/list", json!({})).await?;
    let took = started.elapsed();
    let tools = listed.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
    let cost = about(&serde_json::to_string(&tools)?);
    page.heading("1. The tools, before the first call")?;
    page.aside(&format!("  tools/list: {} tools, {}\n", tools.len(), cost_of(cost, took)))?;

    page.heading("2. Who is it about?")?;
    let by_number = json!({
        "resource_type": "Patient", "params": {"identifier": RECORD_NUMBER},
        "fields": ["id", "name[0].given[0]", "name[0].family", "birthDate", "telecom[0].value"],
    });
    let found = show(page, agent, "search_one", by_number).await?;
    Ok(id_in(&found.record()))
}

/// The first value of the first row, or the resource's own id.
fn id_in(record: &Value) -> String {
    let id = record.pointer("/rows/0/0").or_else(|| record.get("id"));
    id.and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn read(
    page: &mut Page<impl Write>,
    agent: &mut Session,
    patient: &str,
) -> Result<Costs, Box<dyn std::error::Error>> {
    let mut costs = Costs::default();
    page.heading("3. The whole chart, cut where the budget ends, and counted")?;
    let chart = show(page, agent, "get_patient_everything", json!({"patient_id": patient, "budget": 4_000})).await?;
    costs.chart = about(&chart.text());

    page.heading("4. One page on the patient")?;
    let summary = show(page, agent, "get_patient_summary", json!({"patient_id": patient})).await?;
    costs.summary = about(&summary.text());

    page.heading("5. \"How has the HbA1c gone over the years?\"")?;
    page.aside("  SQL over all matches: what is counted there need not be read here.")?;
    let question = json!({
        "resource_type": "Observation",
        "params": {"patient": format!("Patient/{patient}"), "code": "4548-4"},
        "sql": "select substr(effective_utc,1,4) year, count(*) n, round(avg(value_value),1) mean, round(max(value_value),1) highest from Observation group by 1 order by 1",
    });
    let answer = show(page, agent, "query_resources", question).await?;
    costs.question = about(&answer.text());
    Ok(costs)
}

async fn write(
    page: &mut Page<impl Write>,
    agent: &mut Session,
    sandbox: &Sandbox,
    patient: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let change = json!({
        "resource_type": "Patient", "resource_id": patient,
        "operations": [{"op": "replace", "path": "/telecom/0/value", "value": "555-3434"}],
    });
    page.heading("6. The agent wants to change a telephone number")?;
    show(page, agent, "patch_resource", change.clone()).await?;
    let disguised = json!({"method": "GET", "path": format!("fhir/R4/Bot/{}/$execute", sandbox.echo_bot())});
    page.aside("  A GET that acts is no read either:")?;
    show(page, agent, "raw_request", disguised).await?;

    page.heading("7. The operator opened writes (MEDPLUM_ENABLE_WRITES=true)")?;
    let mut agent = Session::open(sandbox, true).await?;
    let whole = json!({"resource_type": "Patient", "resource_id": patient});
    let before = agent.call("read_resource", &whole).await?.record();
    show(page, &mut agent, "patch_resource", change).await?;
    let after = agent.call("read_resource", &whole).await?.record();
    let number = |record: &Value| record.pointer("/telecom/0/value").and_then(Value::as_str).unwrap_or("-").to_owned();
    page.change("telecom[0].value", &number(&before), &number(&after))?;
    Ok(())
}

/// A note in a chart gives orders to whoever reads it.
async fn be_lied_to(page: &mut Page<impl Write>, agent: &mut Session, sandbox: &Sandbox) -> std::io::Result<()> {
    page.heading("8. A chart in which somebody left an order for machines")?;
    let search = json!({
        "resource_type": "Observation",
        "params": {"patient": format!("Patient/{}", sandbox.injected_patient())},
        "fields": ["code.text", "valueQuantity.value", "note[0].text"],
    });
    show(page, agent, "search_resources", search).await.map(drop)
}

/// What the same would cost as Medplum answers it.
async fn compare(page: &mut Page<impl Write>, sandbox: &Sandbox, patient: &str, costs: &Costs) -> Ended {
    let raw = Raw::new(sandbox)?;
    let chart = raw.everything(patient).await?;
    let results = raw.observations(patient, "4548-4").await?;
    page.heading("What it cost")?;
    page.costs(&[
        ("the chart, cut and counted", costs.chart, chart),
        ("one page on the patient", costs.summary, chart),
        ("the HbA1c over ten years", costs.question, results),
    ])?;
    Ok(ExitCode::SUCCESS)
}

/// Medplum without this server in front of it.
struct Raw(Client);

impl Raw {
    fn new(sandbox: &Sandbox) -> Result<Self, Box<dyn std::error::Error>> {
        let base = medplum_client::BaseUrl::parse(sandbox.base_url(), false)?;
        let credentials =
            Credentials::Client { id: sandbox.client_id().to_owned(), secret: sandbox.client_secret().into() };
        Ok(Self(Client::new(Config::new(base, credentials), Policy::new(Limits::default()))))
    }

    async fn everything(&self, patient: &str) -> Result<usize, Box<dyn std::error::Error>> {
        let level = Level::Instance(ResourceType::parse("Patient")?, ResourceId::parse(patient)?);
        let name = OperationName::parse("everything")?;
        let query = most();
        self.tokens(&Interaction::operation(Operation { level, name, method: Method::Get, query, body: None })?).await
    }

    async fn observations(&self, patient: &str, code: &str) -> Result<usize, Box<dyn std::error::Error>> {
        let mut query = most();
        query.push("patient", format!("Patient/{patient}"));
        query.push("code", code);
        self.tokens(&Interaction::search(ResourceType::parse("Observation")?, query)).await
    }

    async fn tokens(&self, interaction: &Interaction) -> Result<usize, Box<dyn std::error::Error>> {
        Ok(about(&self.0.send(&Call::default(), interaction).await?.json().to_string()))
    }
}

/// As many as Medplum gives at once.
fn most() -> Query {
    let mut query = Query::new();
    query.push("_count", "1000");
    query
}
