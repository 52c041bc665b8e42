//! Figures about the state, for people and metrics.

use serde::Serialize;

/// What is there now, and what has happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Clients connected.
    pub clients: usize,
    /// Swarms with a peer in them.
    pub swarms: usize,
    /// Peers, counted once in each swarm.
    pub peers: usize,
    /// Peers that still fetch, counted once in each swarm.
    pub jobs: usize,
    /// Pairs without an outcome yet.
    pub pairs_pending: usize,
    /// Pairs with a link.
    pub pairs_linked: usize,
    /// Shards on lease.
    pub leases: usize,
    /// Pairs made since the start.
    pub pairs_total: u64,
    /// Pairs that led to a link.
    pub pairs_linked_total: u64,
    /// Pairs that failed or had no outcome in time.
    pub pairs_failed_total: u64,
    /// Leases granted.
    pub leases_total: u64,
    /// Signalling messages relayed.
    pub signals_total: u64,
    /// Tickets issued.
    pub tickets_total: u64,
    /// Messages refused with an error.
    pub refused_total: u64,
    /// Outputs lost because nobody drained them.
    pub outputs_dropped: u64,
}
