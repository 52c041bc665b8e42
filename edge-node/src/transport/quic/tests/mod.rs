//! Real endpoints on loopback: nodes as they are, and raw peers that break the rules.

mod bounds;
mod chunks;
mod hello;
mod links;
pub(in crate::transport) mod node;
pub(in crate::transport) mod raw;
