//! The facade: routes inputs to the parts that decide, and collects what they say.

use std::collections::VecDeque;

use crate::input::{ChunkIndex, Input};
use crate::output::{OriginReason, Output};
use crate::policy::Policy;

/// What a core is made of.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// Size of the chunk at each position, in bytes.
    pub chunk_bytes: Vec<u32>,
    /// Positions that this job wants; others are neither fetched nor asked for (parts not chosen, second places of a
    /// chunk). Ascending, disjoint.
    pub wanted: Vec<std::ops::Range<ChunkIndex>>,
    /// Positions held at the start. Ascending, disjoint.
    pub held: Vec<std::ops::Range<ChunkIndex>>,
    /// The knobs.
    pub policy: Policy,
    /// Whether a tracker is configured: the first decisions then wait a little for its word.
    pub has_tracker: bool,
    /// Spreads choices between peers; random, from the shell.
    pub seed: u32,
}

/// Counts of a core's life, for reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Verified bytes that came from peers and were used.
    pub peer_bytes: u64,
    /// Verified bytes that came from the origin and were used, by reason in the order of [`OriginReason::ALL`].
    pub origin_bytes: [u64; OriginReason::ALL.len()],
    /// Bytes that came and were not used: duplicates, broken off, corrupt.
    pub waste_bytes: u64,
    /// Of these, bytes that did not match their hash.
    pub corrupt_bytes: u64,
    /// Payload bytes handed to peers.
    pub sent_bytes: u64,
    /// Positions held.
    pub held_chunks: u32,
    /// Wanted positions not held.
    pub missing_chunks: u32,
    /// Bytes of wanted positions not held.
    pub missing_bytes: u64,
}

/// The core of one release on one peer.
#[derive(Debug)]
pub struct Core {
    outputs: VecDeque<Output>,
}

impl Core {
    /// A core at the time `now` (microseconds).
    pub fn new(now: u64, config: CoreConfig) -> Self {
        let _ = (now, config);
        Self { outputs: VecDeque::new() }
    }

    /// Tells what happened at `now` (microseconds, never going back).
    pub fn handle_input(&mut self, now: u64, input: Input) {
        let _ = (now, input);
    }

    /// Tells that the time of [`Core::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: u64) {
        let _ = now;
    }

    /// Next thing to do; ask until there is none after each input and timeout.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Core::handle_timeout`] next, if at all.
    pub fn poll_timeout(&self) -> Option<u64> {
        None
    }

    /// Counts so far.
    pub fn totals(&self) -> Totals {
        Totals::default()
    }

    /// Whether every wanted position is held.
    pub fn is_complete(&self) -> bool {
        false
    }

    /// Which positions are held.
    pub fn held(&self) -> Vec<std::ops::Range<ChunkIndex>> {
        Vec::new()
    }
}
