//! What a client says to its tracker.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::check::{limit, limit_integer, limit_pointer, limit_signal, read};
use super::{Base64, Candidate, MappedAddress, TrackerMessageError};
use crate::id::{ContentName, Hash, RootId};
use crate::key::PublicKey;
use crate::limits::{
    ADDRESS_PROOF_BYTES, ADDRESSES_MAX, AGENT_BYTES_MAX, CERTIFICATES_MAX, CHUNKS_MAX, LINKS_WANTED_MAX,
    LOCAL_MAX, MAPPED_MAX, PUSHED_ENTRY_BYTES_MAX, SHARDS_MAX, SHARDS_PER_MESSAGE_MAX,
    TRACKER_MESSAGE_BYTES_MAX,
};

/// Which shards of a release a peer holds whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HaveSummary {
    /// None yet.
    None,
    /// The whole release.
    All,
    /// One bit a shard, lowest bit of the first byte first.
    Shards(Base64),
}

/// What a client says about itself in one swarm; sent at first and whenever something of it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// The content: its swarm.
    pub content: ContentName,
    /// The release that the numbers are about.
    pub root: RootId,
    /// Number of chunk positions of that release.
    pub chunks: u32,
    /// What it holds.
    pub have: HaveSummary,
    /// Bytes still to fetch; zero for who only shares.
    pub left_bytes: u64,
    /// Whether it hands out chunks.
    pub sharing: bool,
    /// Links it has.
    pub links: u8,
    /// Further links it wants now.
    pub links_wanted: u8,
    /// Ports and addresses of its own. The tracker keeps only those with the address it sees itself.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// Addresses of its QUIC socket as the tracker's STUN service sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapped: Vec<MappedAddress>,
    /// Addresses of its QUIC socket in its own network, for peers of the same network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<SocketAddr>,
    /// Hashes (SHA-256) of the certificates under which its WebTransport candidates answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Hash>,
}

/// Outcome of a pairing, which feeds back into later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairOutcome {
    /// The link is up.
    Linked,
    /// Nobody answered, or the proof failed.
    Failed,
    /// The link was up and is gone.
    Closed,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage {
    /// First message.
    Hello {
        /// Lowest version spoken.
        version_min: u32,
        /// Highest version spoken.
        version_max: u32,
        /// The client's signing key.
        key: PublicKey,
        /// Signature over [`tracker_proof_message`](super::tracker_proof_message) with the challenge from [`ServerMessage::Challenge`](super::ServerMessage::Challenge).
        proof: Base64,
        /// Program and version, for people.
        agent: String,
        /// The tenant's word about this client, where the tracker asks for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// State in one swarm.
    Announce(Announce),
    /// Leaves one swarm.
    Leave {
        /// The content.
        content: ContentName,
    },
    /// Asks for shards whose first copies it will fetch from the origin.
    Lease {
        /// The content.
        content: ContentName,
        /// The release.
        root: RootId,
        /// Most shards wanted.
        want: u32,
        /// Shards held whole since the last message.
        #[serde(default)]
        done: Vec<u32>,
    },
    /// Signalling for the peer it was paired with.
    Signal {
        /// Number of the pairing.
        pair: u64,
        /// For the other side; opaque to the tracker.
        data: String,
    },
    /// A new entry of a stream, from its publisher, for all peers of its swarm.
    Entry {
        /// The stream.
        content: ContentName,
        /// The signed entry.
        entry: Base64,
    },
    /// A channel's new pointer, from its publisher, for all peers of its swarm.
    Pointer {
        /// What it is a channel of.
        content: ContentName,
        /// The signed pointer.
        pointer: Base64,
    },
    /// What became of a pairing.
    Paired {
        /// Number of the pairing.
        pair: u64,
        /// Outcome.
        outcome: PairOutcome,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ClientMessage {
    /// Reads a message and checks its limits.
    ///
    /// # Errors
    /// [`TrackerMessageError`] when it is too long, malformed or over a limit.
    pub fn decode(text: &[u8]) -> Result<Self, TrackerMessageError> {
        let message: Self = read(text)?;
        match &message {
            Self::Hello { agent, proof, token, .. } => {
                limit(agent.len(), AGENT_BYTES_MAX, "agent")?;
                limit(proof.0.len(), 64, "proof")?;
                limit(token.as_ref().map_or(0, String::len), TRACKER_MESSAGE_BYTES_MAX / 2, "token")?;
            }
            Self::Announce(announce) => {
                limit(announce.chunks as usize, CHUNKS_MAX as usize, "number of chunks")?;
                limit(announce.candidates.len(), ADDRESSES_MAX, "number of candidates")?;
                limit(announce.mapped.len(), MAPPED_MAX, "number of mapped addresses")?;
                limit(announce.local.len(), LOCAL_MAX, "number of local addresses")?;
                for MappedAddress { proof, .. } in &announce.mapped {
                    limit(proof.0.len(), ADDRESS_PROOF_BYTES, "proof of an address")?;
                }
                limit(announce.certificates.len(), CERTIFICATES_MAX, "number of certificates")?;
                limit_integer(announce.left_bytes, "bytes left")?;
                limit(announce.links_wanted.into(), LINKS_WANTED_MAX.into(), "number of links wanted")?;
                if let HaveSummary::Shards(bits) = &announce.have {
                    limit(bits.0.len(), SHARDS_MAX.div_ceil(8) as usize, "have summary")?;
                }
            }
            Self::Lease { want, done, .. } => {
                limit(*want as usize, SHARDS_PER_MESSAGE_MAX, "number of shards")?;
                limit(done.len(), SHARDS_PER_MESSAGE_MAX, "number of shards")?;
                limit(
                    done.iter().max().map_or(0, |&shard| shard as usize),
                    SHARDS_MAX as usize - 1,
                    "shard",
                )?;
            }
            Self::Signal { pair, data } => limit_signal(*pair, data)?,
            Self::Entry { entry, .. } => limit(entry.0.len(), PUSHED_ENTRY_BYTES_MAX, "entry size")?,
            Self::Pointer { pointer, .. } => limit_pointer(pointer)?,
            Self::Paired { pair, .. } => limit_integer(*pair, "pair number")?,
            Self::Leave { .. } | Self::Unknown => {}
        }
        Ok(message)
    }

    /// The message's JSON.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a message is valid JSON")
    }
}
