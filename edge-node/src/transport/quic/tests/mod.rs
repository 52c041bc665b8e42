//! Real endpoints on loopback: nodes as they are, and raw peers that break the rules.

mod bounds;
mod chunks;
mod hello;
mod links;
mod node;
mod raw;
