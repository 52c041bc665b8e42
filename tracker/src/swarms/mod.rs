//! The pure part of the tracker: swarms, pairing, first-copy leases, relayed signalling.
//!
//! It has no clock, IO, randomness, threads or locks, so the server and the simulator drive the same code: hand in what
//! happened and when ([`Swarms::connected`], [`Swarms::message`], [`Swarms::disconnected`], [`Swarms::timeout`]), then
//! drain [`Swarms::poll_output`] and ask [`Swarms::poll_timeout`] when to come back. The same inputs and the same seed
//! give the same outputs. Times are microseconds on any clock that does not go back.

mod announce;
mod asks;
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

pub use config::{Config, ConfigError};
pub use limits::{
    ASKS_MAX, CLIENT_LEASES_MAX, FAILED_PAIRS_MAX, LEASED_RELEASES_MAX, OUTPUTS_MAX, PAIR_SIGNALS_MAX,
    SHORTLIST_MAX, UPTAKES_MAX,
};
pub use output::Output;
pub use state::{Client, Refused, Swarms};
pub use stats::Stats;
pub use uptake::Uptake;
