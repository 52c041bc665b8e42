//! The decision core of Freshet: what to fetch, from whom, what to serve, and when the origin must help.
//!
//! No clock, randomness, IO, threads or locks: the shell hands in what happened with [`Core::handle_input`] and the
//! time in microseconds, carries out what [`Core::poll_output`] says, and calls [`Core::handle_timeout`] at
//! [`Core::poll_timeout`]. The core sees chunk positions, links and verdicts, never bytes. The same inputs give the
//! same outputs to the last bit, here, in the simulator, and in the TypeScript twin. [`MediaCore`] does the same for
//! streams.

mod announce;
mod assign;
mod bits;
mod by_id;
mod core;
mod estimate;
mod governor;
mod input;
mod ledger;
pub mod limits;
mod link;
mod media;
mod mix;
mod origin;
mod output;
mod pace;
mod pick;
mod policy;
mod requests;
mod rest;
mod shard_ask;
mod upload;

pub use crate::core::{Core, CoreConfig, Totals};
pub use input::{ChunkIndex, FetchEnd, FetchId, Input, LinkId, Refusal, RequestEnd, RequestId};
pub use media::{MediaConfig, MediaCore, PlayerInput, SegmentIndex};
pub use output::{DropReason, OriginReason, Output, ServeRefusal};
pub use policy::{Goal, Policy};
