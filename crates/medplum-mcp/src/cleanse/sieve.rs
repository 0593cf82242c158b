//! All that is taken out of what comes from Medplum, in one place: what never reaches an agent, and what the operator
//! has closed.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fhir_definitions::references::reference_to;
use medplum_client::{Body, Interaction, OwnSecrets, Reply};
use serde_json::Value;

use super::{FREE_TEXT, clean, cleanse, cleanse_text, closed, free_text, secrets};
use crate::allowed_types::AllowedTypes;
use crate::answer::content;
use crate::failure::Failure;
use crate::settings::{self, ALLOWED_TYPES, FreeText, Limits};

/// What one call's answers pass through. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sieve {
    types: Option<AllowedTypes>,
    free_text: FreeText,
    /// What we sign in with ourselves.
    own: Arc<OwnSecrets>,
    left_out: Arc<LeftOut>,
}

/// What was left out of the answers to a call.
#[derive(Debug, Default)]
struct LeftOut {
    /// The resources, by type. One that comes again is not counted again.
    resources: Mutex<BTreeMap<String, HashSet<u64>>>,
    /// Whether free text was.
    free_text: AtomicBool,
}

impl Sieve {
    /// A sieve under these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { types: limits.types.clone(), free_text: limits.free_text, own: Arc::default(), left_out: Arc::default() }
    }

    /// The same, through which these do not come either: a server may repeat what it was sent.
    pub(crate) fn hiding(&self, own: Arc<OwnSecrets>) -> Self {
        Self { own, ..self.clone() }
    }

    /// Refuses what would bring what must not be shown in a form in which it cannot be told.
    ///
    /// # Errors
    /// [`Failure`] that names the type or field, and nothing was sent.
    pub(crate) fn refuse(&self, interaction: &Interaction) -> Result<(), Failure> {
        secrets::refuse_renamed(interaction)?;
        match self.free_text {
            FreeText::Keep => Ok(()),
            FreeText::Drop => free_text::refuse(interaction),
        }
    }

    /// Takes out of an answer what must not be shown. Bytes that are no text stay as they are.
    pub(crate) fn sift_answer(&self, interaction: &Interaction, reply: &mut Reply) {
        match &mut reply.body {
            Body::Json(value) => match interaction {
                // Its fields go by the names that the document gives them.
                Interaction::GraphQl(document) => {
                    self.sift_but(value, true);
                    if self.free_text == FreeText::Drop && free_text::leave_out_of(document, value) {
                        self.left_out.free_text.store(true, Ordering::Relaxed);
                    }
                }
                _ => self.sift_but(value, free_text::is_free_of_it(interaction, value)),
            },
            Body::Other(content) if self.free_text == FreeText::Drop => {
                "text/plain".clone_into(&mut reply.content_type);
                *content = FREE_TEXT.into();
                self.left_out.free_text.store(true, Ordering::Relaxed);
            }
            Body::Other(content) => {
                if let Some(mut text) = content::text(&reply.content_type, content) {
                    leave_out_own(&mut text, &self.own);
                    cleanse_text(&mut text);
                    *content = text.into();
                } else if let Some(clean) =
                    std::str::from_utf8(content).ok().and_then(|text| self.own.left_out_of(text))
                {
                    // Any other file stays as it is.
                    *content = clean.into();
                }
            }
            Body::Empty => {}
        }
    }

    /// Takes out of a value what must not be shown.
    pub(crate) fn sift(&self, value: &mut Value) {
        self.sift_but(value, false);
    }

    fn sift_but(&self, value: &mut Value, has_no_free_text: bool) {
        if let Some(types) = &self.types {
            closed::leave_out(value, types, &mut |of, resource| self.left_out(of, &name_of(resource)));
        }
        leave_out_all_own(value, &self.own);
        cleanse(value);
        if self.free_text == FreeText::Drop && !has_no_free_text && free_text::leave_out(value) {
            self.left_out.free_text.store(true, Ordering::Relaxed);
        }
    }

    /// A stored resource as it is shown. Nothing is counted.
    pub(crate) fn shown(&self, stored: &Value) -> Value {
        let mut shown = stored.clone();
        if let Some(types) = &self.types {
            closed::leave_out(&mut shown, types, &mut |_, _| {});
        }
        leave_out_all_own(&mut shown, &self.own);
        cleanse(&mut shown);
        if self.free_text == FreeText::Drop {
            free_text::leave_out(&mut shown);
        }
        shown
    }

    /// A resource without what is in others inside of it that are closed. Nothing is counted.
    pub(crate) fn open_part(&self, resource: &Value) -> Value {
        let mut open = resource.clone();
        if let Some(types) = &self.types {
            closed::leave_out(&mut open, types, &mut |_, _| {});
        }
        open
    }

    /// The type of a closed resource inside of one that is to be stored, which was not there before.
    pub(crate) fn adds_closed(&self, resource: &Value, stored: &Value) -> Option<String> {
        let types = self.types.as_ref()?;
        let mut before = Vec::new();
        closed::leave_out(&mut stored.clone(), types, &mut |_, resource| before.push(resource.clone()));
        let mut added = None;
        closed::leave_out(&mut resource.clone(), types, &mut |of, resource| {
            if !before.contains(resource) {
                added.get_or_insert_with(|| of.to_owned());
            }
        });
        added
    }

    /// Whether a resource of this type, alone or found by a search, comes through.
    pub(crate) fn admits(&self, of: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.may_read(of) || AllowedTypes::is_envelope(of))
    }

    /// Counts a resource that was left out.
    pub(crate) fn left_out(&self, of: &str, name: &str) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let mut resources = self.left_out.resources.lock().unwrap_or_else(PoisonError::into_inner);
        resources.entry(of.to_owned()).or_default().insert(hasher.finish());
    }

    /// Whether nothing need be taken out of a resource, told from its JSON as it came. It may say no where that is so,
    /// never yes where it is not.
    pub(crate) fn is_clean(&self, of: &str, json: &str) -> bool {
        let alone = || self.admits(of) && json.matches("\"resourceType\"").count() < 2;
        // What is free text is told from the tree.
        self.free_text == FreeText::Keep
            && (self.types.is_none() || alone())
            && clean::is_clean(json)
            && !self.own.are_in(json)
    }

    /// What was left out, for the notes.
    pub(crate) fn notes(&self) -> Vec<String> {
        let resources = self.left_out.resources.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = resources.iter().map(|(of, names)| match names.len() {
            1 => format!("1 {of} resource"),
            n => format!("{n} {of} resources"),
        });
        let counted: Vec<String> = counted.collect();
        let resources = (!counted.is_empty()).then(|| format!("{} left out: {ALLOWED_TYPES}.", counted.join(", ")));
        let free_text = self.left_out.free_text.load(Ordering::Relaxed);
        let free_text = free_text.then(|| format!("Free text is left out: {}.", settings::FREE_TEXT));
        resources.into_iter().chain(free_text).collect()
    }
}

fn leave_out_own(text: &mut String, own: &OwnSecrets) {
    if let Some(clean) = own.left_out_of(text) {
        *text = clean;
    }
}

/// Whatever we sign in with, out of every text of a value. It comes before what is told by its name, which would leave the
/// end of one that is spelled as in a form.
fn leave_out_all_own(value: &mut Value, own: &OwnSecrets) {
    match value {
        Value::String(text) => leave_out_own(text, own),
        Value::Array(values) => values.iter_mut().for_each(|value| leave_out_all_own(value, own)),
        Value::Object(object) => {
            if object.keys().any(|key| own.are_in(key)) {
                for (mut key, value) in std::mem::take(object) {
                    leave_out_own(&mut key, own);
                    object.insert(key, value);
                }
            }
            object.values_mut().for_each(|value| leave_out_all_own(value, own));
        }
        _ => {}
    }
}

/// A resource by its type and id; by itself where it is part of another, whose parts go by names of their own.
fn name_of(resource: &Value) -> String {
    reference_to(resource).filter(|_| resource.get("meta").is_some()).unwrap_or_else(|| resource.to_string())
}

#[cfg(test)]
mod tests {
    use medplum_client::{BaseUrl, Client, Config, Credentials, Open};
    use serde_json::json;

    use super::*;

    #[test]
    fn our_own_secret_goes_whole_however_it_is_spelled() {
        let base = BaseUrl::parse("https://medplum.example/", false).unwrap();
        let credentials = Credentials::Client { id: "c".into(), secret: "S3CRET/+&x".to_owned().into() };
        let own = Client::new(Config::new(base, credentials), Open).own_secrets();
        let sieve = Sieve::default().hiding(own);
        let mut value = json!({"a": "client_secret=S3CRET%2F%2B%26x", "b": ["it is S3CRET/+&x."], "c": "S3CRET"});
        assert!(!sieve.is_clean("Patient", &value.to_string()) && sieve.is_clean("Patient", "{\"c\":\"S3CRET\"}"));
        sieve.sift(&mut value);
        assert_eq!(
            value,
            json!({"a": "client_secret=[secret left out]", "b": ["it is [secret left out]."], "c": "S3CRET"})
        );
    }
}
