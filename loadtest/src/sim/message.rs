//! Control messages under way between hosts.

use std::ops::Range;
use std::rc::Rc;

use freshet_protocol::{ClientMessage, ServerMessage};
use freshet_swarm::Refusal;

/// Ranges that go to many links without being copied.
pub(super) type Ranges = Rc<[Range<u32>]>;

/// What one end of a link says to the other.
#[derive(Debug)]
pub(super) enum PeerMessage {
    Have(Ranges),
    Withdraw(Ranges),
    Fetching(Ranges),
    Request { request: u64, chunk: u32 },
    Cancel { request: u64 },
    Refuse { request: u64, refusal: Refusal },
    Bye,
}

/// What a message is about.
#[derive(Debug)]
pub(super) enum Body {
    /// To the end `link` of the receiving node.
    Peer {
        link: u32,
        message: PeerMessage,
    },
    /// A node asks for pointer, root and pages.
    Manifest,
    /// A node asks the origin for a run of chunks.
    Fetch {
        fetch: u64,
        payload_bytes: u64,
    },
    /// The origin tells when to come back for it.
    FetchRefused {
        fetch: u64,
        after_s: u64,
    },
    /// A node breaks that off.
    FetchCancel {
        fetch: u64,
    },
    /// A node has connected to the tracker.
    TrackerHello,
    /// The tracker has taken it.
    TrackerWelcome,
    /// The tracker sees the node's connection end.
    TrackerGone,
    ToTracker(Box<ClientMessage>),
    FromTracker(Box<ServerMessage>),
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) wire_bytes: u64,
    pub(super) body: Body,
}

/// Messages under way, named by small numbers that are used again.
#[derive(Debug, Default)]
pub(super) struct Messages {
    places: Vec<Option<Message>>,
    free: Vec<u32>,
}

impl Messages {
    pub(super) fn put(&mut self, message: Message) -> u32 {
        match self.free.pop() {
            Some(number) => {
                self.places[number as usize] = Some(message);
                number
            }
            None => {
                self.places.push(Some(message));
                self.places.len() as u32 - 1
            }
        }
    }

    pub(super) fn line(&self, number: u32) -> Option<(u32, u64)> {
        self.places[number as usize].as_ref().map(|message| (message.to, message.wire_bytes))
    }

    pub(super) fn take(&mut self, number: u32) -> Option<Message> {
        self.free.push(number);
        self.places[number as usize].take()
    }
}
