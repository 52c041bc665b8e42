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
    /// Kinds of pairings, by NATs or by systems, that hardly ever link and are hardly ever made.
    pub kinds_hopeless: usize,
    /// Pairs with a peer of another tracker, with and without a link.
    pub pairs_across: usize,
    /// Other trackers of the cluster that are heard; none while the broker is gone.
    pub trackers: usize,
    /// Peers of other trackers that can be asked for.
    pub remote_peers: usize,
    /// Shards on lease.
    pub leases: usize,
    /// Pairs made since the start.
    pub pairs_total: u64,
    /// Pairs that led to a link.
    pub pairs_linked_total: u64,
    /// Pairs that failed or had no outcome in time.
    pub pairs_failed_total: u64,
    /// Pairs made since the start with a peer of another tracker.
    pub pairs_across_total: u64,
    /// Messages to other trackers.
    pub cluster_sent_total: u64,
    /// Messages from other trackers.
    pub cluster_received_total: u64,
    /// Leases granted.
    pub leases_total: u64,
    /// Messages of clients since the start.
    pub messages_total: u64,
    /// Signalling messages relayed.
    pub signals_total: u64,
    /// Tickets issued.
    pub tickets_total: u64,
    /// Messages refused with an error.
    pub refused_total: u64,
    /// Outputs lost because nobody drained them.
    pub outputs_dropped: u64,
}
