//! To be filled.

pub mod transport;
