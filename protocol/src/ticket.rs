//! Tickets: a tracker's short-lived word that the owner of a key may take part in swarms (PROTOCOL.md 6).
//!
//! ```text
//! ticket = version:varint(1) peer key:32 issued expires rights:varint count:varint swarm:32*  tracker-key-id:32 signature:64
//! ```

use crate::id::{Hash, KeyId, PeerId, SwarmId};
use crate::key::{PublicKey, SigningKey, is_signed};
use crate::limits::{INTEGER_MAX, TICKET_BYTES_MAX, TICKET_SWARMS_MAX};
use crate::wire::{Reader, WireError, put_varint};

const TICKET_VERSION: u64 = 1;
const SIGNED_PREFIX: &[u8] = b"freshet ticket 1\n";

/// May ask others for chunks.
pub const RIGHT_RECEIVE: u64 = 1;
/// May hand chunks to others.
pub const RIGHT_SEND: u64 = 2;

/// Why a ticket was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The bytes are not a ticket.
    #[error("ticket: {0}")]
    Wire(#[from] WireError),
    /// A version that this program does not know.
    #[error("ticket has version {0}, which this version does not know")]
    Unsupported(u64),
    /// Signed by none of the trusted trackers.
    #[error("ticket is not signed by a trusted tracker")]
    Untrusted,
    /// Its time has passed.
    #[error("ticket expired at {expires} (Unix seconds), it is now {now}")]
    Expired {
        /// End of its life, Unix seconds.
        expires: u64,
        /// The reader's time, Unix seconds.
        now: u64,
    },
    /// Issued to another key.
    #[error("ticket belongs to another key")]
    OtherKey,
    /// Does not name the swarm.
    #[error("ticket does not name this swarm")]
    OtherSwarm,
}

/// A ticket's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What the tracker calls the peer.
    pub peer: PeerId,
    /// The key that the peer must prove to hold.
    pub key: KeyId,
    /// When it was issued, Unix seconds.
    pub issued: u64,
    /// End of its life, Unix seconds.
    pub expires: u64,
    /// Set of `RIGHT_*`; unknown bits give no right.
    pub rights: u64,
    /// Where it is good for.
    pub swarms: Vec<SwarmId>,
}

impl Ticket {
    /// Signs the ticket.
    ///
    /// # Panics
    /// When it names more swarms than a ticket may: only own tickets are signed.
    pub fn seal(&self, tracker: &SigningKey) -> Vec<u8> {
        assert!(self.swarms.len() <= TICKET_SWARMS_MAX, "a tracker names few swarms in a ticket");
        let mut out = Vec::new();
        put_varint(&mut out, TICKET_VERSION);
        put_varint(&mut out, self.peer.get());
        out.extend_from_slice(&self.key.0.0);
        put_varint(&mut out, self.issued);
        put_varint(&mut out, self.expires);
        put_varint(&mut out, self.rights);
        put_varint(&mut out, self.swarms.len() as u64);
        self.swarms.iter().for_each(|swarm| out.extend_from_slice(&swarm.0.0));
        out.extend_from_slice(&tracker.public().id().0.0);
        let signature = tracker.sign(&[SIGNED_PREFIX, &out].concat());
        out.extend_from_slice(&signature);
        out
    }

    /// Reads a ticket signed by one of `trackers`. Its fit for a link, [`Ticket::check`] tells.
    ///
    /// # Errors
    /// [`TicketError`] says which check failed.
    pub fn open(bytes: &[u8], trackers: &[PublicKey]) -> Result<Self, TicketError> {
        if bytes.len() > TICKET_BYTES_MAX {
            return Err(WireError::OverLimit("ticket size").into());
        }
        let mut reader = Reader::new(bytes);
        let version = reader.varint()?;
        if version != TICKET_VERSION {
            return Err(TicketError::Unsupported(version));
        }
        let peer = PeerId::try_from(reader.varint()?).map_err(|_| WireError::IntegerTooLarge)?;
        let key = KeyId(reader.hash()?);
        let issued = reader.varint_max(INTEGER_MAX, "issued")?;
        let expires = reader.varint_max(INTEGER_MAX, "expires")?;
        let rights = reader.varint()?;
        let count = reader.varint_max(TICKET_SWARMS_MAX as u64, "number of swarms")?;
        let swarms = (0..count).map(|_| reader.hash().map(SwarmId)).collect::<Result<_, _>>()?;
        let signer = KeyId(reader.hash()?);
        let signed = &bytes[..bytes.len() - reader.remaining()];
        let signature: [u8; 64] = reader.array()?;
        reader.finish()?;
        if !is_signed(trackers, signer, &[SIGNED_PREFIX, signed].concat(), &signature) {
            return Err(TicketError::Untrusted);
        }
        Ok(Self { peer, key, issued, expires, rights, swarms })
    }

    /// Whether the holder of `key` may open a link in `swarm` at `now` (Unix seconds), `grace` seconds beyond expiry
    /// included.
    ///
    /// # Errors
    /// [`TicketError`] says which check failed.
    pub fn check(&self, key: &PublicKey, swarm: SwarmId, now: u64, grace: u64) -> Result<(), TicketError> {
        if self.key != key.id() {
            Err(TicketError::OtherKey)
        } else if !self.swarms.contains(&swarm) {
            Err(TicketError::OtherSwarm)
        } else if self.expires.saturating_add(grace) <= now {
            Err(TicketError::Expired { expires: self.expires, now })
        } else {
            Ok(())
        }
    }
}

/// The side that a peer has on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Opened the connection.
    Dialer,
    /// Accepted it.
    Acceptor,
}

/// What both sides of a link know and sign, so that a stolen ticket or a relayed Hello is worthless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkBinding {
    /// Hash of the dialer's certificate or DTLS fingerprint; zero where its transport has none (WebTransport).
    pub dialer: Hash,
    /// Hash of the acceptor's certificate or DTLS fingerprint.
    pub acceptor: Hash,
}

/// What the peer on `side` signs in its Proof: the other's nonce, its own nonce, and both ends of the channel.
pub fn proof_message(
    side: Side,
    their_nonce: &[u8; 32],
    own_nonce: &[u8; 32],
    binding: &LinkBinding,
) -> Vec<u8> {
    let side_text: &[u8] = match side {
        Side::Dialer => b"dialer\n",
        Side::Acceptor => b"acceptor\n",
    };
    [b"freshet proof 1\n", side_text, their_nonce, own_nonce, &binding.dialer.0, &binding.acceptor.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_fails_alone() {
        let tracker = SigningKey::from_seed(&[1; 32]);
        let owner = SigningKey::from_seed(&[2; 32]).public();
        let thief = SigningKey::from_seed(&[3; 32]).public();
        let swarm = SwarmId::of(b"swarm");
        let ticket = Ticket {
            peer: PeerId::try_from(9).expect("small"),
            key: owner.id(),
            issued: 100,
            expires: 200,
            rights: RIGHT_RECEIVE | RIGHT_SEND,
            swarms: vec![swarm],
        };
        let sealed = ticket.seal(&tracker);
        assert_eq!(Ticket::open(&sealed, &[tracker.public()]), Ok(ticket.clone()));
        assert_eq!(Ticket::open(&sealed, &[thief]), Err(TicketError::Untrusted));
        let mut forged = sealed.clone();
        forged[1] ^= 1;
        assert_eq!(Ticket::open(&forged, &[tracker.public()]), Err(TicketError::Untrusted));
        assert_eq!(ticket.check(&owner, swarm, 199, 0), Ok(()));
        assert_eq!(ticket.check(&thief, swarm, 199, 0), Err(TicketError::OtherKey));
        assert_eq!(ticket.check(&owner, SwarmId::of(b"x"), 199, 0), Err(TicketError::OtherSwarm));
        assert_eq!(ticket.check(&owner, swarm, 200, 0), Err(TicketError::Expired { expires: 200, now: 200 }));
        assert_eq!(ticket.check(&owner, swarm, 259, 60), Ok(()));
        for len in 0..sealed.len() {
            assert!(Ticket::open(&sealed[..len], &[tracker.public()]).is_err());
        }
        let full = Ticket { swarms: vec![swarm; TICKET_SWARMS_MAX], ..ticket };
        assert!(full.seal(&tracker).len() <= TICKET_BYTES_MAX);
    }
}
