//! The protocol's outside tests: the shared vectors, properties of generated values, and the fuzz corpus.

// Tests read their vectors from files; the crate itself does not.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, clippy::disallowed_types)]

mod corpus;
mod faults;
mod properties;
mod values;
mod vectors;

/// The checks of the fuzz targets, so that what a fuzzer once found is looked at on every run.
#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "public where it is a library of its own")]
mod checks;
