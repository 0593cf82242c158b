//! Who and what is in a sandbox at its start.

pub(crate) mod ids;
pub(crate) mod load;
mod project;
mod random;
mod synthetic;

use crate::auth::Client;
use load::Loader;

/// Writes the project's own resources.
pub(crate) fn project(loader: &mut Loader<'_>, clients: &[&Client]) {
    for resource in project::resources(clients) {
        loader.add(&resource);
    }
}

/// Writes the patients and what belongs to them.
pub(crate) fn fill(loader: &mut Loader<'_>, patients: usize, seed: u64) {
    synthetic::practice(loader);
    synthetic::patients(loader, patients, seed);
}
