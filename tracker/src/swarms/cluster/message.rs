//! What trackers of a cluster tell each other (PROTOCOL.md 8, "Clusters"). Unknown fields and types are skipped, so old and
//! new trackers stand in one cluster while it is updated.

use std::fmt;

use freshet_protocol::limits::{
    ADDRESSES_MAX, CERTIFICATES_MAX, CHUNKS_MAX, INTEGER_MAX, LOCAL_MAX, MAPPED_MAX, SHARDS_MAX,
    SIGNAL_BYTES_MAX,
};
use freshet_protocol::{ContentName, HaveSummary, PeerId, RootId, TrackerMessageError};
use serde::{Deserialize, Serialize};

use super::card::Card;
use crate::swarms::limits::{CARDS_MAX, CLUSTER_MESSAGE_BYTES_MAX, TAKEN_RELEASES_MAX};

/// One start of a tracker, as the others call it: drawn at random, so that nobody takes it for the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// For whom a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// All other trackers of the cluster.
    All,
    /// One of them.
    Node(NodeId),
}

/// What a tracker says to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClusterMessage {
    /// The tracker is there; said from time to time, whatever else is said.
    Alive,
    /// It stops, and takes no further asks.
    Bye,
    /// What it has of one swarm.
    Digest(Digest),
    /// A peer of the sender wants to be paired with one of the receiver.
    Ask {
        /// Number of the pairing, if it comes about.
        pair: u64,
        /// The swarm's content.
        content: ContentName,
        /// The sender's peer.
        asker: Box<Card>,
        /// The receiver's.
        other: PeerId,
        /// Whether it was chosen at random, to hold the swarm together.
        random: bool,
    },
    /// They are paired, and the receiver's peer has been told.
    Grant {
        /// Number of the pairing.
        pair: u64,
        /// The peer that was asked for.
        other: Box<Card>,
        /// Whether the asker dials.
        dial: bool,
    },
    /// They are not: the peer is gone, full, or paired with the asker already.
    Deny {
        /// Number of the pairing that was asked for.
        pair: u64,
    },
    /// Signalling from one side of a pairing for the other.
    Signal {
        /// Number of the pairing.
        pair: u64,
        /// Opaque to trackers.
        data: String,
    },
    /// What became of a pairing.
    Outcome {
        /// Number of the pairing.
        pair: u64,
        /// Outcome.
        outcome: Outcome,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a tracker has of one swarm. Replaces its digest before; one without peers takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The swarm's content.
    pub content: ContentName,
    /// Peers that can take a further link.
    pub open: u32,
    /// Peers that still fetch.
    pub jobs: u32,
    /// Some of those that can take a link, drawn at random.
    pub cards: Vec<Card>,
    /// Shards that need no further first copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
}

/// Shards of a release that peers of one tracker hold or have on lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The release.
    pub root: RootId,
    /// Number of its chunk positions.
    pub chunks: u32,
    /// The shards.
    pub shards: HaveSummary,
}

/// What became of a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The link is up.
    Linked,
    /// None came up.
    Failed,
    /// It was up and is gone.
    Closed,
    /// One of the two has left its tracker or the swarm, or its tracker no longer waits for an answer.
    Left,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ClusterMessage {
    /// Reads a message and checks its limits.
    ///
    /// # Errors
    /// [`TrackerMessageError`] when it is too long, malformed or over a limit.
    pub fn decode(text: &[u8]) -> Result<Self, TrackerMessageError> {
        limit(text.len(), CLUSTER_MESSAGE_BYTES_MAX, "message size")?;
        let message: Self = serde_json::from_slice(text)
            .map_err(|error| TrackerMessageError::Malformed(error.to_string()))?;
        match &message {
            Self::Digest(digest) => {
                limit(digest.cards.len(), CARDS_MAX, "number of cards")?;
                digest.cards.iter().try_for_each(check_card)?;
                limit(digest.taken.len(), TAKEN_RELEASES_MAX, "number of releases")?;
                for taken in &digest.taken {
                    check_shards(taken.chunks, &taken.shards)?;
                }
            }
            Self::Ask { pair, asker: card, .. } | Self::Grant { pair, other: card, .. } => {
                check_pair(*pair)?;
                check_card(card)?;
            }
            Self::Signal { pair, data } => {
                check_pair(*pair)?;
                limit(data.len(), SIGNAL_BYTES_MAX, "signal")?;
            }
            Self::Deny { pair } | Self::Outcome { pair, .. } => check_pair(*pair)?,
            Self::Alive | Self::Bye | Self::Unknown => {}
        }
        Ok(message)
    }

    /// The message's JSON.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message is valid JSON")
    }
}

fn check_card(card: &Card) -> Result<(), TrackerMessageError> {
    let [lines, candidates, mapped, local, certificates] = card.reach.counts();
    limit(lines, MAPPED_MAX + 1, "number of lines")?;
    limit(candidates, ADDRESSES_MAX * (MAPPED_MAX + 1), "number of candidates")?;
    limit(mapped, MAPPED_MAX, "number of mapped addresses")?;
    limit(local, LOCAL_MAX, "number of local addresses")?;
    limit(certificates, CERTIFICATES_MAX, "number of certificates")?;
    check_shards(card.chunks, &card.have)
}

fn check_shards(chunks: u32, shards: &HaveSummary) -> Result<(), TrackerMessageError> {
    limit(chunks as usize, CHUNKS_MAX as usize, "number of chunks")?;
    match shards {
        HaveSummary::Shards(bits) => limit(bits.0.len(), SHARDS_MAX.div_ceil(8) as usize, "have summary"),
        HaveSummary::None | HaveSummary::All => Ok(()),
    }
}

fn check_pair(pair: u64) -> Result<(), TrackerMessageError> {
    if pair <= INTEGER_MAX { Ok(()) } else { Err(TrackerMessageError::OverLimit("pair number")) }
}

fn limit(value: usize, max: usize, what: &'static str) -> Result<(), TrackerMessageError> {
    if value <= max { Ok(()) } else { Err(TrackerMessageError::OverLimit(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_reached() {
        let check = |message: &ClusterMessage, expected: Result<(), &'static str>| {
            let found = ClusterMessage::decode(&message.encode()).map(|again| assert_eq!(again, *message));
            assert_eq!(found, expected.map_err(TrackerMessageError::OverLimit));
        };
        let signal = |pair, length| ClusterMessage::Signal { pair, data: "x".repeat(length) };
        check(&signal(INTEGER_MAX, SIGNAL_BYTES_MAX), Ok(()));
        check(&signal(0, SIGNAL_BYTES_MAX + 1), Err("signal"));
        check(&signal(0, CLUSTER_MESSAGE_BYTES_MAX), Err("message size"));
        check(&signal(INTEGER_MAX + 1, 0), Err("pair number"));
        check(&ClusterMessage::Deny { pair: INTEGER_MAX + 1 }, Err("pair number"));
        let digest = |cards, taken| {
            let content = "game/demo".parse().expect("name");
            ClusterMessage::Digest(Digest { content, open: 1, jobs: 1, cards, taken })
        };
        let card = |bits: usize| {
            let have = HaveSummary::Shards(freshet_protocol::Base64(vec![1; bits]));
            Card { have, ..Card::of_nobody() }
        };
        let taken = |chunks| Taken { root: RootId::of(b""), chunks, shards: HaveSummary::All };
        check(&digest(vec![card(512); CARDS_MAX], vec![taken(CHUNKS_MAX); TAKEN_RELEASES_MAX]), Ok(()));
        check(&digest(vec![card(0); CARDS_MAX + 1], Vec::new()), Err("number of cards"));
        check(&digest(vec![card(513)], Vec::new()), Err("have summary"));
        check(&digest(Vec::new(), vec![taken(1); TAKEN_RELEASES_MAX + 1]), Err("number of releases"));
        check(&digest(Vec::new(), vec![taken(CHUNKS_MAX + 1)]), Err("number of chunks"));
    }

    #[test]
    fn the_next_version_is_understood() {
        let check = |text: &[u8], expected| assert_eq!(ClusterMessage::decode(text), Ok(expected));
        check(br#"{"type":"teleport","to":"moon"}"#, ClusterMessage::Unknown);
        check(br#"{"type":"deny","pair":5,"why":"new field"}"#, ClusterMessage::Deny { pair: 5 });
        check(
            br#"{"type":"outcome","pair":5,"outcome":"sublimed"}"#,
            ClusterMessage::Outcome { pair: 5, outcome: Outcome::Unknown },
        );
        assert!(matches!(ClusterMessage::decode(b"{"), Err(TrackerMessageError::Malformed(_))));
    }
}
