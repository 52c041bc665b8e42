//! Sealed releases: published encrypted before their time (PROTOCOL.md 4.7).

pub(crate) mod head;
pub(crate) mod key;
pub(crate) mod paths;
pub(crate) mod size;
