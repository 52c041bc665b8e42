//! What the server counts beside its swarms.

use std::sync::atomic::{AtomicU64, Ordering};

use freshet_listen::Tls;
use serde::Serialize;

use crate::swarms::{Stats, Uptake};

/// A figure that many tasks raise.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) hellos_refused: Counter,
    pub(crate) messages_received: Counter,
    pub(crate) messages_sent: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) messages_malformed: Counter,
    pub(crate) slow_cut: Counter,
    pub(crate) stun_answered: Counter,
    pub(crate) stun_limited: Counter,
    pub(crate) stun_malformed: Counter,
    pub(crate) cluster_dropped: Counter,
    pub(crate) cluster_refused: Counter,
}

/// Figures of the server: what is there now, and what has happened since its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerStats {
    /// The swarms.
    #[serde(flatten)]
    pub swarms: Stats,
    /// How far swarms are with the versions that were pushed to them.
    pub updates: Vec<Uptake>,
    /// TCP connections accepted.
    pub connections_total: u64,
    /// TCP connections refused because there were too many.
    pub connections_refused_total: u64,
    /// TLS handshakes that failed, or took too long.
    pub handshakes_failed_total: u64,
    /// Clients without a good Hello.
    pub hellos_refused_total: u64,
    /// Messages from clients.
    pub messages_received_total: u64,
    /// Messages to clients.
    pub messages_sent_total: u64,
    /// Bytes of messages from clients, without WebSocket and TCP heads.
    pub bytes_received_total: u64,
    /// Bytes of messages to clients, without WebSocket and TCP heads.
    pub bytes_sent_total: u64,
    /// Messages that were malformed or over a limit.
    pub messages_malformed_total: u64,
    /// Clients cut because they did not read.
    pub slow_cut_total: u64,
    /// STUN requests answered.
    pub stun_answered_total: u64,
    /// STUN requests dropped because their source sent too many.
    pub stun_limited_total: u64,
    /// Datagrams dropped because they are no STUN request.
    pub stun_malformed_total: u64,
    /// Messages to other trackers that could not leave in time.
    pub cluster_dropped_total: u64,
    /// Messages under the cluster's subjects that are malformed, sent again, or from no tracker of it.
    pub cluster_refused_total: u64,
}

impl Counters {
    pub(crate) fn with(&self, swarms: Stats, updates: Vec<Uptake>, tls: Option<&Tls>) -> ServerStats {
        ServerStats {
            swarms,
            updates,
            connections_total: self.connections.value(),
            connections_refused_total: self.connections_refused.value(),
            handshakes_failed_total: tls.map_or(0, Tls::handshakes_failed),
            hellos_refused_total: self.hellos_refused.value(),
            messages_received_total: self.messages_received.value(),
            messages_sent_total: self.messages_sent.value(),
            bytes_received_total: self.bytes_received.value(),
            bytes_sent_total: self.bytes_sent.value(),
            messages_malformed_total: self.messages_malformed.value(),
            slow_cut_total: self.slow_cut.value(),
            stun_answered_total: self.stun_answered.value(),
            stun_limited_total: self.stun_limited.value(),
            stun_malformed_total: self.stun_malformed.value(),
            cluster_dropped_total: self.cluster_dropped.value(),
            cluster_refused_total: self.cluster_refused.value(),
        }
    }
}
