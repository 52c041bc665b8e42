//! What the pure part wants done.

use std::collections::VecDeque;

use freshet_protocol::{KeyId, PeerId, ServerMessage, SwarmId};

use super::cluster::{ClusterMessage, To};
use super::limits::OUTPUTS_MAX;

/// Something for the driver to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message to a client.
    Send {
        /// The client.
        client: PeerId,
        /// The message.
        message: ServerMessage,
    },
    /// Sign a ticket and send it to the client, before whatever follows.
    IssueTicket {
        /// The client: the peer that the ticket names.
        client: PeerId,
        /// The key that the ticket is bound to.
        key: KeyId,
        /// The swarms it is good for.
        swarms: Vec<SwarmId>,
    },
    /// Send a message to other trackers.
    Cluster {
        /// To which.
        to: To,
        /// The message.
        message: ClusterMessage,
    },
}

/// The bounded queue of outputs.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    queue: VecDeque<Output>,
    dropped: u64,
}

impl Outputs {
    pub(super) fn push(&mut self, output: Output) {
        if self.queue.len() < OUTPUTS_MAX {
            self.queue.push_back(output);
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn send(&mut self, client: PeerId, message: ServerMessage) {
        self.push(Output::Send { client, message });
    }

    pub(super) fn cluster(&mut self, to: To, message: ClusterMessage) {
        self.push(Output::Cluster { to, message });
    }

    /// Tells a client that a message of its was refused.
    pub(super) fn refuse(&mut self, client: PeerId, code: &str, message: &str) {
        self.send(client, ServerMessage::Error { code: code.to_owned(), message: message.to_owned() });
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded() {
        let client = PeerId::try_from(1).expect("small");
        let mut outputs = Outputs::default();
        (0..OUTPUTS_MAX + 3).for_each(|_| outputs.send(client, ServerMessage::Unknown));
        assert_eq!(outputs.dropped(), 3);
        assert_eq!(std::iter::from_fn(|| outputs.pop()).count(), OUTPUTS_MAX);
    }
}
