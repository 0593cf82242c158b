//! `$export` starts a job. What it would export is not written.

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::outcome::{Outcome, Result};
use crate::quota::cost;
use crate::reply::{FHIR_JSON, JSON, Reply};

/// `GET $export`, `GET Patient/$export`, `GET Group/{id}/$export`: a job begins, whatever the method.
pub(crate) fn start(call: &mut Call<'_>) -> Result<Answer> {
    let job = json!({
        "resourceType": "AsyncJob",
        "status": "active",
        "request": "$export",
        "requestTime": crate::source::instant(call.engine.source.now()),
    });
    let Answer::Fhir(_, Some(job)) = call.create_as("AsyncJob", job, None)? else {
        return Err(Outcome::not_implemented("$export"));
    };
    let id = job.get("id").and_then(Value::as_str).unwrap_or_default();
    let location = format!("{}fhir/R4/job/{id}/status", call.engine.config.base_url);
    let outcome = Outcome::accepted(&location);
    let reply = Reply::json(202, FHIR_JSON, &outcome.body());
    Ok(Answer::Raw(reply.with("content-location", location)))
}

/// `GET job/{id}/status`: the job as it stands. It ends at the first look, with an error that says why.
pub(crate) fn status(call: &mut Call<'_>, id: &str) -> Result<Answer> {
    call.spend(cost::READ)?;
    let mut job = call.read_one("AsyncJob", id)?;
    if let Some(fields) = job.as_object_mut() {
        let why = Outcome::not_implemented("write the files of $export");
        fields.insert("status".into(), json!("error"));
        fields.insert(
            "output".into(),
            json!({
                "resourceType": "Parameters",
                "parameter": [{"name": "outcome", "resource": why.body()}]
            }),
        );
    }
    Ok(Answer::Raw(Reply::json(200, JSON, &job)))
}
