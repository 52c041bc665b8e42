//! What two peers say to each other through a third one that both are linked with, to link without a tracker (PROTOCOL.md
//! 7): the data of Signal frames, JSON like what they say through a tracker.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::key::PublicKey;
use crate::limits::{INTEGER_MAX, LOCAL_MAX, MAPPED_MAX, SIGNAL_BYTES_MAX, TICKET_BYTES_MAX};
use crate::tracker::{Base64, Nat};

/// The least number of a pairing that peers make themselves: those of trackers are below.
pub const INTRODUCED_PAIRS_MIN: u64 = 1 << 52;
const PAIRS: RangeInclusive<u64> = INTRODUCED_PAIRS_MIN..=INTEGER_MAX;

/// Why an introduction was refused. The sender is the guilty side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntroductionError {
    /// Not JSON, or not of this form.
    #[error("introduction is not valid: {0}")]
    Malformed(String),
    /// A field is over its limit.
    #[error("{0} is over its limit")]
    OverLimit(&'static str),
    /// The number is one that only a tracker gives.
    #[error("pair number {0} is not one of peers")]
    Pair(u64),
}

/// An address as others see it, with what is in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Where.
    pub address: SocketAddr,
    /// How what is in between behaves.
    pub nat: Nat,
}

/// What a peer says of itself to one that it is not linked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Number of the pairing, chosen at random by the side that asks.
    pub pair: u64,
    /// Its key.
    pub key: PublicKey,
    /// The tracker's word for that key.
    pub ticket: Base64,
    /// Addresses of its QUIC socket as a STUN service saw them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapped: Vec<Placed>,
    /// Addresses of its QUIC socket in its own network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<SocketAddr>,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Introduction {
    /// The sender wants a link.
    Meet(Party),
    /// So does the sender, who was asked.
    Met(Party),
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Introduction {
    /// The bytes of an own introduction.
    ///
    /// # Panics
    /// When it is over a limit: only own ones are written.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = serde_json::to_vec(self).expect("introductions are JSON");
        assert!(bytes.len() <= SIGNAL_BYTES_MAX, "own introductions stay within the limit");
        bytes
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`IntroductionError`] says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, IntroductionError> {
        let limit = |value: usize, max: usize, what| {
            if value <= max { Ok(()) } else { Err(IntroductionError::OverLimit(what)) }
        };
        limit(bytes.len(), SIGNAL_BYTES_MAX, "signal")?;
        let introduction =
            serde_json::from_slice(bytes).map_err(|error| IntroductionError::Malformed(error.to_string()))?;
        if let Self::Meet(party) | Self::Met(party) = &introduction {
            if !PAIRS.contains(&party.pair) {
                return Err(IntroductionError::Pair(party.pair));
            }
            limit(party.ticket.0.len(), TICKET_BYTES_MAX, "ticket")?;
            limit(party.mapped.len(), MAPPED_MAX, "number of mapped addresses")?;
            limit(party.local.len(), LOCAL_MAX, "number of local addresses")?;
        }
        Ok(introduction)
    }
}
