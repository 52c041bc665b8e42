//! Introductions under way, and those that came to nothing: nobody is tried again at once, and no address is written to
//! often on the word of others.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use freshet_protocol::KeyId;
use freshet_swarm::LinkId;
use tokio::time::Instant;

/// Introductions under way at once.
pub(super) const RUNNING_MAX: usize = 8;
/// Introductions that may begin within [`RATE_TIME`].
pub(super) const STARTS_MAX: usize = 16;
const RATE_TIME: Duration = Duration::from_secs(60);
/// How long one that came to nothing counts.
pub(super) const COOL_TIME: Duration = Duration::from_secs(120);
/// Introductions within that time to one IP address of which no link came.
pub(super) const STARTS_PER_ADDRESS_MAX: usize = 8;
/// After that an introduction has come to nothing: probes and handshakes take 8 s.
const TRY_TIME: Duration = Duration::from_secs(12);
/// What began within the longer of the times above fits.
const PAST_MAX: usize = STARTS_MAX * COOL_TIME.as_secs() as usize / RATE_TIME.as_secs() as usize;

/// An introduction under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) key: KeyId,
    /// Through whom.
    pub(super) via: LinkId,
    /// Whether the other side was asked, and its answer is awaited.
    pub(super) is_asked: bool,
}

#[derive(Debug)]
struct Past {
    at: Instant,
    key: KeyId,
    address: Option<IpAddr>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// By the number of the pairing.
    running: BTreeMap<u64, (Instant, Try)>,
    /// What began of late and has not led to a link, in that order.
    past: VecDeque<Past>,
}

impl Tries {
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether an introduction to the owner of `key` may begin now.
    pub(super) fn may_begin(&mut self, now: Instant, key: KeyId) -> bool {
        self.forget(now);
        let recent = self.past.iter().filter(|past| now < past.at + RATE_TIME).count();
        self.running.len() < RUNNING_MAX
            && recent < STARTS_MAX
            && self.past.iter().all(|past| past.key != key)
    }

    /// Begins one that may.
    pub(super) fn begin(&mut self, now: Instant, pair: u64, attempt: Try) {
        self.running.insert(pair, (now, attempt));
        self.past.push_back(Past { at: now, key: attempt.key, address: None });
        if self.past.len() > PAST_MAX {
            self.past.pop_front();
        }
    }

    /// The introduction of a pairing, if it is under way.
    pub(super) fn get(&mut self, now: Instant, pair: u64) -> Option<&mut Try> {
        self.forget(now);
        self.running.get_mut(&pair).map(|(_, attempt)| attempt)
    }

    /// The pairing under way in which the owner of `key` was asked.
    pub(super) fn asked(&self, key: KeyId) -> Option<u64> {
        let is_it = |attempt: &Try| attempt.key == key && attempt.is_asked;
        self.running.iter().find(|(_, (_, attempt))| is_it(attempt)).map(|(pair, _)| *pair)
    }

    /// The owner of `key` is going to be written to at `address`; false when others were too often.
    pub(super) fn aim(&mut self, key: KeyId, address: IpAddr) -> bool {
        let aimed = self.past.iter().filter(|past| past.address == Some(address)).count();
        if aimed >= STARTS_PER_ADDRESS_MAX {
            return false;
        }
        if let Some(past) = self.past.iter_mut().find(|past| past.key == key) {
            past.address = Some(address);
        }
        true
    }

    /// Gives way to the other side's own introduction.
    pub(super) fn withdraw(&mut self, pair: u64) {
        if let Some((_, attempt)) = self.running.remove(&pair) {
            self.past.retain(|past| past.key != attempt.key);
        }
    }

    /// It came to nothing.
    pub(super) fn failed(&mut self, pair: u64) {
        self.running.remove(&pair);
    }

    /// A link is up, whatever led to it.
    pub(super) fn linked(&mut self, key: KeyId) {
        self.running.retain(|_, (_, attempt)| attempt.key != key);
        self.past.retain(|past| past.key != key);
    }

    fn forget(&mut self, now: Instant) {
        self.running.retain(|_, (began, _)| now < *began + TRY_TIME);
        self.past.retain(|past| now < past.at + COOL_TIME);
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::Hash;

    use super::*;

    fn key(number: usize) -> KeyId {
        KeyId(Hash::of(&number.to_be_bytes()))
    }

    fn begin(tries: &mut Tries, now: Instant, number: usize) -> bool {
        let may = tries.may_begin(now, key(number));
        if may {
            let attempt = Try { key: key(number), via: LinkId(1), is_asked: true };
            tries.begin(now, number as u64, attempt);
        }
        may
    }

    #[test]
    fn what_came_to_nothing_is_not_tried_at_once() {
        let start = Instant::now();
        let mut tries = Tries::default();
        assert!(begin(&mut tries, start, 1));
        assert_eq!(tries.asked(key(1)), Some(1));
        assert!(!begin(&mut tries, start, 1));
        tries.failed(1);
        assert!(!begin(&mut tries, start + COOL_TIME - Duration::from_secs(1), 1));
        assert!(begin(&mut tries, start + COOL_TIME, 1));
        tries.linked(key(1));
        assert_eq!(tries.running(), 0);
        assert!(begin(&mut tries, start + COOL_TIME, 1), "it was there, and may be lost");
        assert!(tries.get(start + COOL_TIME + TRY_TIME, 1).is_none(), "nobody waits for ever");
    }

    #[test]
    fn they_are_bounded() {
        let start = Instant::now();
        let mut tries = Tries::default();
        let began = (0..100).filter(|number| begin(&mut tries, start, *number)).count();
        assert_eq!(began, RUNNING_MAX);
        let mut began = 0;
        for number in 100..100_000 {
            let now = start + Duration::from_millis(10) * number;
            if begin(&mut tries, now, number as usize) {
                tries.failed(u64::from(number));
                began += 1;
            }
            assert!(tries.past.len() <= PAST_MAX);
        }
        // 1000 s.
        assert!((RUNNING_MAX..=17 * STARTS_MAX).contains(&began), "{began}");
    }

    #[test]
    fn one_address_is_written_to_seldom() {
        let start = Instant::now();
        let mut tries = Tries::default();
        let victim = IpAddr::from([203, 0, 113, 1]);
        let mut aimed = 0;
        for number in 0..16 {
            if begin(&mut tries, start, number) {
                aimed += usize::from(tries.aim(key(number), victim));
                tries.failed(number as u64);
            }
        }
        assert_eq!(aimed, STARTS_PER_ADDRESS_MAX);
        assert!(tries.aim(key(15), IpAddr::from([203, 0, 113, 2])));
    }
}
