//! The tracker: pairs peers, relays signalling, spreads first copies, answers STUN. It sees no content and never dials
//! an address that a peer gave it.
//!
//! [`swarms`] decides and is pure; the rest is the server around it. [`serve`] starts one.

mod connection;
mod counters;
mod door;
mod engine;
mod handshake;
mod http;
mod options;
mod rate;
mod serving;
mod stun;
mod stun_server;
pub mod swarms;
mod ticket_key;
mod tickets;

pub use counters::ServerStats;
pub use options::{ConnectionLimits, Options, OptionsError};
pub use serving::{ServeError, Serving, serve};
pub use ticket_key::TicketKeyError;
