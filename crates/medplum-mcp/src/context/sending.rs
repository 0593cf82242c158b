//! How what a call asks for is sent: looked at, agreed to, cleansed when it comes back.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fhir_definitions::Definitions;
use medplum_client::{Call, Error, Interaction, Reply, ResourceId, ResourceType};
use serde_json::Value;

use super::{Allowed, Context, Ready, Stored};
use crate::cleanse::cleanse_text;
use crate::failure::{Failure, nearest_types};
use crate::page::{Entry, Found};
use crate::policy::READS;
use crate::search::{compare, look_at, refuse_empty, said};
use crate::{confirm, doubt, graphql_lists, operations, preflight, whole_reads};

/// So long waits whoever has what was asked for already.
const AT_ONCE: Duration = Duration::from_secs(2);
/// So long waits whoever was refused, to be told why. A host gives up after a minute, and its agent knows of no refusal.
const EXPLAINED: Duration = Duration::from_secs(10);

impl Context<'_> {
    /// Sends an interaction. What it would do is looked at first, and the person is asked, whichever tool it comes from.
    ///
    /// # Errors
    /// [`Failure`] with what is wrong with the resource, the person's no, or the client's error.
    pub async fn send(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        self.send_with(interaction, Allowed::default()).await
    }

    /// The same, saying what is allowed.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub async fn send_with(&self, interaction: &Interaction, allowed: Allowed) -> Result<Reply, Failure> {
        refuse_empty(interaction)?;
        let looked = look_at(self, interaction).await?;
        let interaction = looked.as_ref();
        let reply = if interaction.effect().is_read() {
            self.limits.toolsets.admit(interaction)?;
            self.ask(interaction).await?
        } else {
            let ready = self.ready(std::slice::from_ref(interaction), allowed).await?;
            let mut last = Err(Failure::teach("Nothing was sent."));
            for one in ready {
                last = self.carry_out(one).await;
            }
            last?
        };
        compare(self, interaction, reply.json())?;
        self.missing(graphql_lists::note(interaction, reply.json()));
        self.note(whole_reads::note(interaction, reply.json()));
        Ok(reply)
    }

    /// Looks at several steps that belong together, and asks the person once for all of them, before the first leaves.
    ///
    /// # Errors
    /// As [`Context::send`]; nothing was sent.
    pub async fn ready(&self, steps: &[Interaction], allowed: Allowed) -> Result<Vec<Ready>, Failure> {
        for step in steps {
            self.limits.toolsets.admit(step)?;
            self.may_send(step)?;
        }
        let mut looked = Vec::new();
        for step in steps {
            looked.push(preflight::look(self, step, allowed).await.inspect_err(|_| self.call.refused(step))?);
        }
        let mut confirmed = confirm::confirm(self, &looked, allowed).await;
        if confirmed.is_ok()
            && let Err(changed) = preflight::still_as_looked_at(self, &looked).await
        {
            confirmed = Err(changed);
        }
        let confirmed = confirmed.inspect_err(|_| steps.iter().for_each(|step| self.call.refused(step)))?;
        self.caller.record.confirmed(confirmed);
        Ok(looked.into_iter().map(|looked| Ready(looked.interaction)).collect())
    }

    /// Sends what is ready.
    ///
    /// # Errors
    /// [`Failure`] with the client's error.
    pub async fn carry_out(&self, Ready(interaction): Ready) -> Result<Reply, Failure> {
        let acted_before = self.acted.swap(true, Ordering::Relaxed);
        let reply = self.deliver(&interaction).await.map_err(|failure| doubt::explained(failure, &interaction));
        if reply.as_ref().is_err_and(Failure::is_of_a_look) {
            self.acted.store(acted_before, Ordering::Relaxed);
        }
        if let Ok(Reply { status: 202, .. }) = &reply {
            self.note(doubt::accepted(&interaction));
        }
        // Whatever was stored before is not any more.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clear();
        reply
    }

    /// Sends a read as it is. Secrets and invisible characters are gone from what comes back; a misspelt resource type
    /// comes back with the nearest ones.
    pub(crate) async fn ask(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        self.only_reads(interaction)?;
        self.deliver(interaction).await
    }

    /// Whatever acts goes through [`Context::ready`]. What is closed says what opens it.
    fn only_reads(&self, interaction: &Interaction) -> Result<(), Failure> {
        if interaction.effect().is_read() {
            return Ok(());
        }
        self.may_send(interaction)?;
        Err(Failure::teach("This acts, and was not looked at. Nothing was sent."))
    }

    async fn deliver(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        self.sieve.refuse(interaction)?;
        let mut reply = self.ask_uncleansed(interaction).await?;
        self.sieve().sift_answer(interaction, &mut reply);
        Ok(reply)
    }

    async fn ask_uncleansed(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        let reply = self.client.send(&self.call, interaction).await;
        reply.map_err(|error| {
            let failure = self.with_nearest_type(interaction, error);
            match interaction {
                Interaction::Read { resource_type, id, .. } | Interaction::VersionRead { resource_type, id, .. } => {
                    failure.of_look(|| format!("the look at {resource_type}/{id}"))
                }
                _ => failure,
            }
        })
    }

    /// Asks for a page of resources; where the page behind it is, if it can be followed: a link to another server is not.
    /// Each resource is cleansed when it is read.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub(crate) async fn page(&self, interaction: &Interaction) -> Result<(Found, Option<Interaction>), Failure> {
        self.page_of(&self.call, interaction).await
    }

    /// A page of what an answer can do without, because what it was for is done: asked for once, and not waited for. None
    /// if it does not come at once.
    pub(crate) async fn page_at_once(&self, interaction: &Interaction) -> Option<Result<Found, Failure>> {
        let call = self.call.clone().once();
        let page = self.within(AT_ONCE, self.page_of(&call, interaction)).await?;
        Some(page.map(|(found, _)| found))
    }

    /// What is looked at to explain a write's refusal. None where that takes longer than an explanation is worth.
    pub(crate) async fn explaining<T>(&self, look: impl Future<Output = T>) -> Option<T> {
        self.within(EXPLAINED, look).await
    }

    async fn within<T>(&self, within: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock().sleep(within) => None,
        }
    }

    async fn page_of(&self, call: &Call, interaction: &Interaction) -> Result<(Found, Option<Interaction>), Failure> {
        self.only_reads(interaction)?;
        let page = self.client.page(call, interaction).await;
        let page = page.map_err(|error| self.with_nearest_type(interaction, error))?;
        let next = self.client.next_page(&page).ok().flatten();
        let found = Found::new(page, &self.sieve());
        for outcome in &found.said {
            let outcome = outcome.resource()?;
            said::note(&said::asked(interaction), &outcome, &mut self.notes());
        }
        Ok((found, next))
    }

    /// Reads a resource, which is cleansed when it is looked at.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub(crate) async fn resource(&self, interaction: &Interaction) -> Result<Entry, Failure> {
        self.only_reads(interaction)?;
        let unread = self.client.resource(&self.call, interaction).await;
        unread
            .map(|unread| Entry::new(unread, &self.sieve()))
            .map_err(|error| self.with_nearest_type(interaction, error))
    }

    /// A resource as it is stored, secrets and all: to be compared with and written back, never to be shown. None if
    /// there is none that can be read.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be found out.
    pub(crate) async fn stored(&self, resource_type: &ResourceType, id: &ResourceId) -> Result<Option<Value>, Failure> {
        self.look_up(resource_type, id).await.map(Stored::there)
    }

    /// The same, saying why there is none.
    ///
    /// # Errors
    /// As [`Context::stored`].
    pub(crate) async fn look_up(&self, resource_type: &ResourceType, id: &ResourceId) -> Result<Stored, Failure> {
        let name = format!("{resource_type}/{id}");
        if let Some(kept) = self.stored.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Stored::There(kept.clone()));
        }
        self.look_up_now(resource_type, id).await
    }

    /// The same as it is now, whatever was read before.
    ///
    /// # Errors
    /// As [`Context::stored`].
    pub(crate) async fn look_up_now(&self, resource_type: &ResourceType, id: &ResourceId) -> Result<Stored, Failure> {
        let name = format!("{resource_type}/{id}");
        let read = Interaction::read(resource_type.clone(), id.clone());
        let stored = match self.ask_uncleansed(&read).await {
            Ok(reply) => reply.into_json(),
            Err(failure) => {
                return match failure.status() {
                    Some(403) => Ok(Stored::Unreadable),
                    Some(404) => Ok(Stored::Unknown),
                    Some(410) => Ok(Stored::Deleted),
                    _ => Err(failure),
                };
            }
        };
        // A Binary is answered with the file itself, which may hold any resource.
        if !stored.is_object() || resource_type.as_str() == "Binary" {
            return Ok(Stored::Unreadable);
        }
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(name, stored.clone());
        Ok(Stored::There(stored))
    }

    fn with_nearest_type(&self, interaction: &Interaction, error: Error) -> Failure {
        if let Error::Guard { of, error } = error {
            return Failure::from(cleansed(*error)).of_look(|| format!("the look at {of}"));
        }
        let unknown = matches!(&error, Error::Outcome(outcome) if outcome.issues.iter().any(|issue| issue.text == "Unknown resource type"));
        match interaction.label().resource_type {
            Some(given)
                if unknown
                    && matches!(interaction, Interaction::Operation(_))
                    && Definitions::get().is_resource_type(given) =>
            {
                Failure::teach(format!(
                    "Medplum found no resource in the body. Pass the resource itself, such as {{\"resourceType\":\"{given}\", …}}."
                ))
            }
            Some(given) if unknown => Failure::teach(format!(
                "Medplum has no resource type \"{given}\".{} get_resource_capabilities lists them all.",
                nearest_types(given)
            )),
            _ => match stored_elsewhere(interaction, &error)
                .or_else(|| deleted(interaction, &error, self.fhir_path().as_str()))
                .or_else(|| no_such_path(interaction, &error, self.fhir_path().as_str()))
            {
                Some(means) => Failure::from(cleansed(error)).means(means),
                None => cleansed(error).into(),
            },
        }
    }
}

/// What a redirect means where a file is asked for: an installation may keep them in a storage of its own.
fn stored_elsewhere(interaction: &Interaction, error: &Error) -> Option<String> {
    let is_redirect = matches!(error, Error::Redirect { .. });
    let is_file = is_redirect && interaction.label().resource_type == Some("Binary");
    is_file.then(|| {
        "The content of this Binary lies in the project's storage, and this server fetches from Medplum alone. A person opens it in the Medplum app, at the resource that names it, such as a DocumentReference; the url of the attachment there leads to the storage, and is shown without its signature".to_owned()
    })
}

/// Where the versions are of what was deleted.
fn deleted(interaction: &Interaction, error: &Error, fhir_path: &str) -> Option<String> {
    let (of, id) = (interaction.label().resource_type?, interaction.id()?);
    let is_deleted = matches!(error, Error::Outcome(outcome) if outcome.status == 410);
    is_deleted.then(|| format!("It was deleted. Its earlier versions: raw_request GET {fhir_path}{of}/{id}/_history"))
}

/// What a 404 means that is about the path or a version, and not about an id alone.
fn no_such_path(interaction: &Interaction, error: &Error, fhir_path: &str) -> Option<String> {
    if error.status() != Some(404) {
        return None;
    }
    match interaction {
        Interaction::VersionRead { resource_type, id, version } => Some(format!(
            "{resource_type}/{id} has no version {version}, or there is no {resource_type}/{id} that may be read here. Its versions: raw_request GET {fhir_path}{resource_type}/{id}/_history"
        )),
        Interaction::Operation(operation) => operations::not_found(operation, fhir_path),
        Interaction::Raw(raw) if !raw.is_fhir() => {
            Some("There is nothing at that path, or what it names is unknown or not visible to this client".to_owned())
        }
        Interaction::Raw(_) => Some(format!("There is nothing at that path. Under {fhir_path} {READS}")),
        _ => None,
    }
}

/// Medplum's own words may repeat what somebody stored or sent.
fn cleansed(mut error: Error) -> Error {
    match &mut error {
        Error::Outcome(outcome) | Error::SignIn(outcome) => {
            for issue in &mut outcome.issues {
                cleanse_text(&mut issue.text);
                cleanse_text(&mut issue.code);
                issue.expression.iter_mut().for_each(cleanse_text);
            }
        }
        Error::Credentials { description: Some(text) } => cleanse_text(text),
        _ => {}
    }
    error
}
