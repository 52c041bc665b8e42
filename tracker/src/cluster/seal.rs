//! Messages between trackers, sealed: only who has the ticket key of the cluster can write or read one, the broker included.
//!
//! A tracker seals with a key of its own, made of the cluster's secret and its [`NodeId`], and counts its messages; the count
//! is the nonce. Whoever reads takes each count once, upwards, so that nothing can be sent again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use freshet_protocol::SigningKey;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::swarms::{CLUSTER_NODES_MAX, NodeId, To};

const VERSION: u8 = 1;
/// Version, sender, count.
const HEAD_BYTES: usize = 1 + 8 + 8;
/// Senders whose counts are remembered; more than trackers, since each start of one is another sender.
const SENDERS_MAX: usize = 8 * CLUSTER_NODES_MAX;

/// What the trackers of a cluster share.
#[derive(Debug, Clone)]
pub(crate) struct Secret(hmac::Key);

impl Secret {
    /// Made of the key that signs their tickets: who has that can do all that a message of the cluster can lead to.
    pub(crate) fn new(ticket_key: &SigningKey) -> Self {
        // An Ed25519 signature follows from the key alone, and nobody without it can tell it.
        let signature = ticket_key.sign(b"freshet cluster secret 1\n");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &signature))
    }

    fn key_of(&self, node: NodeId) -> LessSafeKey {
        let key = hmac::sign(&self.0, &node.0.to_be_bytes());
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("32 bytes are a key");
        LessSafeKey::new(key)
    }
}

/// Seals what this tracker says.
pub(super) struct Sealer {
    own: NodeId,
    key: LessSafeKey,
    count: AtomicU64,
}

impl Sealer {
    pub(super) fn new(secret: &Secret, own: NodeId) -> Self {
        Self { own, key: secret.key_of(own), count: AtomicU64::new(1) }
    }

    pub(super) fn seal(&self, to: To, message: Vec<u8>) -> Vec<u8> {
        let head = head(self.own, self.count.fetch_add(1, Ordering::Relaxed));
        let mut sealed = message;
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(&head), Aad::from(bound(&head, to)), &mut sealed)
            .expect("a message is far shorter than the cipher's limit");
        [&head, sealed.as_slice(), tag.as_ref()].concat()
    }
}

/// Opens what others say.
#[derive(Debug)]
pub(super) struct Opener {
    secret: Secret,
    own: NodeId,
    senders: BTreeMap<NodeId, Sender>,
    opened: u64,
}

#[derive(Debug, Default)]
struct Sender {
    /// The last counts of messages to all, and to this tracker: they come in by different ways.
    last: [u64; 2],
    heard: u64,
}

impl Opener {
    pub(super) fn new(secret: Secret, own: NodeId) -> Self {
        Self { secret, own, senders: BTreeMap::new(), opened: 0 }
    }

    /// The sender and the message; `None` where it is no tracker of the cluster, or says it again.
    pub(super) fn open(&mut self, to: To, sealed: &[u8]) -> Option<(NodeId, Vec<u8>)> {
        let (head, body) = sealed.split_first_chunk::<HEAD_BYTES>()?;
        let from = NodeId(u64::from_be_bytes(head[1..9].try_into().expect("eight bytes")));
        let count = u64::from_be_bytes(head[9..].try_into().expect("eight bytes"));
        let way = usize::from(to != To::All);
        let is_again = self.senders.get(&from).is_some_and(|sender| count <= sender.last[way]);
        if head[0] != VERSION || from == self.own || is_again {
            return None;
        }
        let mut body = body.to_vec();
        let key = self.secret.key_of(from);
        let length = key.open_in_place(nonce(head), Aad::from(bound(head, to)), &mut body).ok()?.len();
        body.truncate(length);
        self.note(from, way, count);
        Some((from, body))
    }

    fn note(&mut self, from: NodeId, way: usize, count: u64) {
        if !self.senders.contains_key(&from) && self.senders.len() >= SENDERS_MAX {
            let oldest = self.senders.iter().min_by_key(|(_, sender)| sender.heard).map(|(&node, _)| node);
            if let Some(node) = oldest {
                self.senders.remove(&node);
            }
        }
        self.opened += 1;
        let sender = self.senders.entry(from).or_default();
        sender.last[way] = count;
        sender.heard = self.opened;
    }
}

fn head(node: NodeId, count: u64) -> [u8; HEAD_BYTES] {
    let mut head = [VERSION; HEAD_BYTES];
    head[1..9].copy_from_slice(&node.0.to_be_bytes());
    head[9..].copy_from_slice(&count.to_be_bytes());
    head
}

fn nonce(head: &[u8; HEAD_BYTES]) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&head[9..]);
    Nonce::assume_unique_for_key(nonce)
}

/// What a message is bound to beside its text: its head, and for whom it is.
fn bound(head: &[u8; HEAD_BYTES], to: To) -> Vec<u8> {
    match to {
        To::All => head.to_vec(),
        To::Node(node) => [&head[..], &node.0.to_be_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn secret(seed: u8) -> Secret {
        Secret::new(&SigningKey::from_seed(&[seed; 32]))
    }

    #[test]
    fn only_members_are_heard_and_once() {
        let (sealer, mut opener) = (Sealer::new(&secret(1), A), Opener::new(secret(1), B));
        let first = sealer.seal(To::All, b"first".to_vec());
        let second = sealer.seal(To::Node(B), b"second".to_vec());
        let third = sealer.seal(To::All, b"third".to_vec());
        assert!(!first.windows(5).any(|part| part == b"first"));
        assert_eq!(opener.open(To::All, &third), Some((A, b"third".to_vec())));
        assert_eq!(opener.open(To::All, &first), None, "older than one that was read");
        assert_eq!(opener.open(To::All, &third), None, "again");
        assert_eq!(opener.open(To::All, &second), None, "for another");
        assert_eq!(opener.open(To::Node(B), &second), Some((A, b"second".to_vec())), "another way");
        let own = Sealer::new(&secret(1), B).seal(To::All, Vec::new());
        assert_eq!(opener.open(To::All, &own), None, "its own echo");
        let foreign = Sealer::new(&secret(2), A).seal(To::All, Vec::new());
        assert_eq!(Opener::new(secret(1), B).open(To::All, &foreign), None);
    }

    #[test]
    fn every_byte_counts() {
        let sealed = Sealer::new(&secret(1), A).seal(To::All, b"text".to_vec());
        let opens = |bytes: &[u8]| Opener::new(secret(1), B).open(To::All, bytes).is_some();
        assert!(opens(&sealed));
        (0..sealed.len()).for_each(|length| assert!(!opens(&sealed[..length]), "{length}"));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(!opens(&changed), "{at}");
        }
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut opener = Opener::new(secret(1), NodeId(0));
        for node in 1..=SENDERS_MAX as u64 + 3 {
            let sealed = Sealer::new(&secret(1), NodeId(node)).seal(To::All, Vec::new());
            assert!(opener.open(To::All, &sealed).is_some());
        }
        assert_eq!(opener.senders.len(), SENDERS_MAX);
        assert!(!opener.senders.contains_key(&NodeId(3)) && opener.senders.contains_key(&NodeId(4)));
    }
}
