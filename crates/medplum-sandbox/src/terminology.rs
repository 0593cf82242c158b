//! Terminology.

use crate::call::{Answer, Call};
use crate::fhir_routes::Interaction;
use crate::outcome::{Outcome, Result};

pub(crate) fn expand(_: &mut Call<'_>, _: &Interaction) -> Result<Answer> {
    Err(Outcome::not_implemented("ValueSet $expand"))
}
pub(crate) fn validate_in_set(_: &mut Call<'_>, _: &Interaction, _: Option<&str>) -> Result<Answer> {
    Err(Outcome::not_implemented("ValueSet $validate-code"))
}
pub(crate) fn validate_in_system(_: &mut Call<'_>, _: &Interaction, _: Option<&str>) -> Result<Answer> {
    Err(Outcome::not_implemented("CodeSystem $validate-code"))
}
pub(crate) fn lookup(_: &mut Call<'_>, _: &Interaction, _: Option<&str>) -> Result<Answer> {
    Err(Outcome::not_implemented("CodeSystem $lookup"))
}
pub(crate) fn translate(_: &mut Call<'_>, _: &Interaction, _: Option<&str>) -> Result<Answer> {
    Err(Outcome::not_implemented("ConceptMap $translate"))
}
