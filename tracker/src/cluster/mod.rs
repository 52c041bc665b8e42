//! The other trackers of a cluster: how messages for them leave, and how theirs come in.
//!
//! What trackers tell each other is soft, so nothing here waits for anybody: what cannot go now is lost, and
//! [`swarms`](crate::swarms) recovers from that.

mod nats;
mod options;
mod seal;

use crate::swarms::{ClusterMessage, NodeId, To};

pub(crate) use nats::Nats;
pub use options::{ClusterOptions, ClusterOptionsError};
pub(crate) use seal::Secret;

/// The way to the other trackers.
pub(crate) trait Cluster: Send + Sync {
    /// Sends a message, now or never. Returns at once.
    fn send(&self, to: To, message: &ClusterMessage);
}

/// What comes from there.
#[derive(Debug)]
pub(crate) enum ClusterEvent {
    /// The others can be reached, and this tracker is known to them by this.
    Up(NodeId),
    /// They cannot.
    Down,
    /// One of them says something.
    Message { from: NodeId, message: ClusterMessage },
}

/// A tracker by itself.
#[derive(Debug)]
pub(crate) struct Alone;

impl Cluster for Alone {
    fn send(&self, _to: To, _message: &ClusterMessage) {}
}
