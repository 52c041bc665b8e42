//! The pure part of the tracker: swarms, pairing, first-copy leases, relayed signalling.
//!
//! It has no clock, IO, randomness, threads or locks, so the server and the simulator drive the same code: hand in what
//! happened and when ([`Swarms::connected`], [`Swarms::message`], [`Swarms::disconnected`], [`Swarms::timeout`]), then
//! drain [`Swarms::poll_output`] and ask [`Swarms::poll_timeout`] when to come back. The same inputs and the same seed
//! give the same outputs. Times are microseconds on any clock that does not go back.

mod announce;
mod asks;
mod away;
mod cluster;
mod config;
mod failures;
mod first_copies;
mod free_runs;
mod held;
mod leases;
mod limits;
mod locality;
mod member;
mod mixer;
mod news;
mod notices;
mod odds;
mod output;
mod pair;
mod pairing;
mod reach;
mod roster;
mod signal;
mod state;
mod stats;
mod swarm;
mod timers;
mod uptake;

pub use cluster::{Card, ClusterMessage, Digest, NodeId, Outcome, Taken, To};
pub use config::{Config, ConfigError};
pub use limits::{
    ASKS_MAX, CARDS_MAX, CLIENT_LEASES_MAX, CLUSTER_MESSAGE_BYTES_MAX, CLUSTER_NODES_MAX, FAILED_PAIRS_MAX,
    LEASED_RELEASES_MAX, ODDS_MAX, OUTPUTS_MAX, PAIR_ASKS_MAX, PAIR_SIGNALS_MAX, REMOTE_CARDS_MAX,
    SHORTLIST_MAX, TAKEN_RELEASES_MAX, UPTAKES_MAX,
};
pub use locality::{Network, System};
pub use output::Output;
pub use state::{Client, Refused, Swarms};
pub use stats::Stats;
pub use uptake::Uptake;
