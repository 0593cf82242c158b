//! GraphQL.

use serde_json::Value;

use crate::call::{Answer, Call};
use crate::outcome::{Outcome, Result};

pub(crate) fn answer(_: &mut Call<'_>, _: &Value) -> Result<Answer> {
    Err(Outcome::not_implemented("$graphql"))
}
