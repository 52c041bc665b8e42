//! The tracker: pairs peers, relays signalling, spreads first copies, answers STUN. It sees no content and never dials
//! an address that a peer gave it.
//!
//! [`swarms`] decides and is pure; the rest is the server around it. [`serve`] starts one.

mod address_proofs;
mod clock;
mod cluster;
mod connection;
mod counters;
mod door;
mod engine;
mod handshake;
mod http;
mod networks;
mod options;
mod random;
mod rate;
mod serving;
mod stun_server;
pub mod swarms;
mod ticket_key;
mod tickets;

pub use cluster::{ClusterOptions, ClusterOptionsError};
pub use counters::ServerStats;
pub use networks::{GROUP_PREFIXES_MAX, NETWORK_DATABASES_MAX, NetworkFiles, NetworksError};
pub use options::{ConnectionLimits, Options, OptionsError};
pub use serving::{ServeError, Serving, serve};
pub use ticket_key::TicketKeyError;
