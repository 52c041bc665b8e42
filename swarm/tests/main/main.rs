//! Behaviour of the core: scenarios shared with the TypeScript twin, properties under random worlds, bounds, scale.

#![allow(clippy::unwrap_used, missing_docs)]
// Tests read their scenarios from files; the crate itself does not.
#![allow(clippy::disallowed_methods)]

mod audience;
mod bounds;
mod properties;
mod scale;
mod scenarios;
mod streams;
mod world;
