//! Who and what is in a sandbox at its start.

pub(crate) mod ids;
pub(crate) mod load;
mod long_chart;
mod measured;
mod practice;
mod project;
mod random;
mod synthetic;

use bytes::Bytes;

use crate::auth::Client;
use crate::inflate::inflate;
use load::Loader;

/// Writes the project's own resources.
pub(crate) fn project(loader: &mut Loader<'_>, clients: &[&Client]) {
    for resource in project::resources(clients) {
        loader.add(&resource);
    }
}

/// Writes the practice, its patients and what belongs to them, and so many synthetic patients more.
pub(crate) fn fill(loader: &mut Loader<'_>, more: usize, seed: u64) {
    loader.add_lines(&Bytes::from(inflate(include_bytes!(concat!(env!("OUT_DIR"), "/population.deflate")))));
    practice::staff(loader);
    long_chart::write_all(loader);
    practice::day_to_day(loader);
    synthetic::patients(loader, more, seed);
}
