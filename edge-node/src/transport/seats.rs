//! The links that are up, one a key, and who is awaited or being dialed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use freshet_protocol::{Hash, KeyId, Locality, Side};
use freshet_swarm::LinkId;
use tokio_util::sync::CancellationToken;

use super::limits::{DIALS_MAX, EXPECTED_MAX, EXPECTED_TIME};
use super::link::LinkState;

/// A link that is up.
#[derive(Debug)]
pub(super) struct Seat {
    /// This node's side.
    pub(super) side: Side,
    /// The other side's certificate, which tells one run of a peer from the next.
    pub(super) certificate: Hash,
    pub(super) state: Arc<LinkState>,
}

/// A pairing as the tracker named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pairing {
    pub(super) pair: u64,
    pub(super) locality: Locality,
    /// When it was made, as far as this node knows.
    pub(super) since: Instant,
}

#[derive(Debug)]
struct Expected {
    key: KeyId,
    pairing: Pairing,
}

#[derive(Debug)]
struct Dialing {
    superseded: CancellationToken,
    is_answered: bool,
}

/// Why a link or dial has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSeat {
    #[error("a link with this peer is up already")]
    Linked,
    #[error("this peer is being dialed already")]
    Dialing,
    #[error("too many dials at once")]
    Dials,
    #[error("all {0} links are taken")]
    Full(usize),
}

/// All links of a transport.
#[derive(Debug)]
pub(super) struct Seats {
    own: KeyId,
    links_max: usize,
    seats: BTreeMap<KeyId, Seat>,
    dialing: BTreeMap<KeyId, Dialing>,
    /// In the order of announcement.
    expected: VecDeque<Expected>,
}

impl Seats {
    pub(super) fn new(own: KeyId, links_max: usize) -> Self {
        let (seats, dialing, expected) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { own, links_max, seats, dialing, expected }
    }

    /// Whether a further peer finds a place.
    pub(super) fn check_room(&self, key: KeyId) -> Result<(), NoSeat> {
        let has_room = self.seats.contains_key(&key) || self.seats.len() < self.links_max;
        if has_room { Ok(()) } else { Err(NoSeat::Full(self.links_max)) }
    }

    /// Gives `key` a seat. A second link of one key takes the seat of the first, which is returned to be closed, or is
    /// refused; both sides decide alike.
    pub(super) fn take(&mut self, key: KeyId, seat: Seat) -> Result<Option<Seat>, NoSeat> {
        self.check_room(key)?;
        if self.seats.get(&key).is_some_and(|old| !self.replaces(key, old, &seat)) {
            return Err(NoSeat::Linked);
        }
        Ok(self.seats.insert(key, seat))
    }

    /// Dials of both sides that cross: the one of the smaller key stays. Any other second link comes from a peer that
    /// has lost the first one, be it by a restart.
    fn replaces(&self, key: KeyId, old: &Seat, new: &Seat) -> bool {
        let crossed = old.certificate == new.certificate && old.side != new.side;
        let dialer = match new.side {
            Side::Dialer => self.own,
            Side::Acceptor => key,
        };
        !crossed || dialer == self.own.min(key)
    }

    /// Frees the seat, unless a newer link has it.
    pub(super) fn leave(&mut self, key: KeyId, link: LinkId) {
        if self.seats.get(&key).is_some_and(|seat| seat.state.link() == link) {
            self.seats.remove(&key);
        }
    }

    pub(super) fn link_of(&self, key: KeyId) -> Option<&Arc<LinkState>> {
        self.seats.get(&key).map(|seat| &seat.state)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = &Arc<LinkState>> {
        self.seats.values().map(|seat| &seat.state)
    }

    /// Notes that a dial starts. It takes the place of an earlier one that nobody has answered, which is told by its token:
    /// newer words about a peer are better.
    pub(super) fn start_dial(&mut self, key: KeyId) -> Result<CancellationToken, NoSeat> {
        let earlier = self.dialing.get(&key);
        if self.seats.contains_key(&key) {
            return Err(NoSeat::Linked);
        }
        if earlier.is_some_and(|dial| dial.is_answered) {
            return Err(NoSeat::Dialing);
        }
        if earlier.is_none() && self.dialing.len() >= DIALS_MAX {
            return Err(NoSeat::Dials);
        }
        self.check_room(key)?;
        let superseded = CancellationToken::new();
        let dial = Dialing { superseded: superseded.clone(), is_answered: false };
        if let Some(earlier) = self.dialing.insert(key, dial) {
            earlier.superseded.cancel();
        }
        Ok(superseded)
    }

    /// Somebody answers a dial, whose place nobody takes any more; false where another one has taken it.
    pub(super) fn answered(&mut self, key: KeyId, superseded: &CancellationToken) -> bool {
        match self.dialing.get_mut(&key) {
            Some(dial) if !superseded.is_cancelled() => {
                dial.is_answered = true;
                true
            }
            _ => false,
        }
    }

    /// A dial is over.
    pub(super) fn end_dial(&mut self, key: KeyId, superseded: &CancellationToken) {
        if !superseded.is_cancelled() {
            self.dialing.remove(&key);
        }
    }

    /// Remembers that the owner of `key` is going to dial.
    pub(super) fn expect(&mut self, key: KeyId, pairing: Pairing) {
        self.expected.retain(|expected| expected.key != key);
        if self.expected.len() == EXPECTED_MAX {
            self.expected.pop_front();
        }
        self.expected.push_back(Expected { key, pairing });
    }

    pub(super) fn is_expected(&self, key: KeyId) -> bool {
        self.expected.iter().any(|expected| expected.key == key)
    }

    /// The pairing that the dial of `key` answers, once.
    pub(super) fn take_expected(&mut self, key: KeyId, now: Instant) -> Option<Pairing> {
        self.expected
            .retain(|expected| now.saturating_duration_since(expected.pairing.since) < EXPECTED_TIME);
        let at = self.expected.iter().position(|expected| expected.key == key)?;
        self.expected.remove(at).map(|expected| expected.pairing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::LinkHandle;
    use super::*;

    fn key(byte: u8) -> KeyId {
        KeyId(Hash([byte; 32]))
    }

    fn seat(link: u64, side: Side, certificate: u8) -> Seat {
        let (_, mailbox) = LinkHandle::new(LinkId(link));
        Seat { side, certificate: Hash([certificate; 32]), state: mailbox.state }
    }

    #[test]
    fn crossing_dials_leave_one_link_on_both_sides() {
        // (own key, key of the other, old link's side here, new link's side here, whether the new one stays)
        let check = |own: u8, other: u8, old: Side, new: Side, stays: bool| {
            let mut seats = Seats::new(key(own), 4);
            assert!(matches!(seats.take(key(other), seat(1, old, 9)), Ok(None)));
            let taken = seats.take(key(other), seat(2, new, 9));
            assert_eq!(taken.is_ok(), stays, "{own} {other} {old:?} {new:?}");
            let link = seats.link_of(key(other)).map(|state| state.link());
            assert_eq!(link, Some(LinkId(if stays { 2 } else { 1 })));
        };
        // The same two links, seen from both sides and in both orders: the dial of key 1 stays.
        check(1, 2, Side::Dialer, Side::Acceptor, false);
        check(2, 1, Side::Acceptor, Side::Dialer, false);
        check(1, 2, Side::Acceptor, Side::Dialer, true);
        check(2, 1, Side::Dialer, Side::Acceptor, true);
        // The same side dials again: it has lost the first one.
        check(1, 2, Side::Acceptor, Side::Acceptor, true);
        check(2, 1, Side::Acceptor, Side::Acceptor, true);
    }

    #[test]
    fn a_restarted_peer_takes_its_seat_again() {
        let mut seats = Seats::new(key(1), 1);
        assert!(matches!(seats.take(key(2), seat(1, Side::Dialer, 8)), Ok(None)));
        let replaced = seats.take(key(2), seat(2, Side::Acceptor, 9)).expect("another certificate");
        assert_eq!(replaced.map(|seat| seat.state.link()), Some(LinkId(1)));
        seats.leave(key(2), LinkId(1));
        assert!(seats.link_of(key(2)).is_some(), "the newer link keeps the seat");
        seats.leave(key(2), LinkId(2));
        assert!(seats.link_of(key(2)).is_none());
    }

    #[test]
    fn links_and_dials_are_bounded() {
        let mut seats = Seats::new(key(0), 2);
        assert!(seats.take(key(1), seat(1, Side::Acceptor, 1)).is_ok());
        assert_eq!(seats.start_dial(key(1)).err(), Some(NoSeat::Linked));
        assert_eq!(seats.start_dial(key(2)).err(), None);
        assert!(seats.take(key(2), seat(2, Side::Dialer, 1)).is_ok());
        assert_eq!(seats.take(key(3), seat(3, Side::Dialer, 1)).err(), Some(NoSeat::Full(2)));
        assert_eq!(seats.start_dial(key(3)).err(), Some(NoSeat::Full(2)));

        let mut seats = Seats::new(key(0), 1000);
        let mut start = |number: usize| seats.start_dial(key(number as u8));
        let dials: Vec<_> = (0..DIALS_MAX).map(|number| start(number).expect("there is room")).collect();
        assert_eq!(start(200).err(), Some(NoSeat::Dials));
        seats.end_dial(key(0), &dials[0]);
        assert_eq!(seats.start_dial(key(200)).err(), None);
    }

    #[test]
    fn a_later_dial_takes_the_place_of_one_that_nobody_answers() {
        let mut seats = Seats::new(key(0), 4);
        let first = seats.start_dial(key(1)).expect("there is room");
        let second = seats.start_dial(key(1)).expect("nobody has answered");
        assert!(first.is_cancelled() && !second.is_cancelled());
        assert!(!seats.answered(key(1), &first) && seats.answered(key(1), &second));
        // The end of the first one is not that of the second.
        seats.end_dial(key(1), &first);
        assert_eq!(seats.start_dial(key(1)).err(), Some(NoSeat::Dialing));
        seats.end_dial(key(1), &second);
        assert_eq!(seats.start_dial(key(1)).err(), None);
    }

    #[test]
    fn expected_peers_are_bounded_and_forgotten() {
        let now = Instant::now();
        let pairing = |pair| Pairing { pair, locality: Locality::SameAddress, since: now };
        let mut seats = Seats::new(key(0), 4);
        (0..=EXPECTED_MAX as u8).for_each(|number| seats.expect(key(number), pairing(u64::from(number))));
        assert_eq!(seats.take_expected(key(0), now), None, "the oldest is forgotten");
        assert!(seats.is_expected(key(1)));
        assert_eq!(seats.take_expected(key(1), now), Some(pairing(1)));
        assert!(!seats.is_expected(key(1)));
        assert_eq!(seats.take_expected(key(1), now), None, "once");
        seats.expect(key(2), pairing(99));
        assert_eq!(seats.take_expected(key(2), now), Some(pairing(99)), "the newest word counts");
        assert_eq!(seats.take_expected(key(3), now + EXPECTED_TIME), None);
    }
}
