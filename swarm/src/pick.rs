//! Which chunk to ask a link for: rarest first (Legout et al., "Rarest First and Choke Algorithms Are Enough", 2006).

use crate::bits::{Bits, ones};
use crate::input::ChunkIndex;
use crate::ledger::Ledger;
use crate::limits::{PICK_CANDIDATES_MAX, PICK_WORDS_MAX};
use crate::mix::mix32;

/// Chooses chunks. Equal rarity is decided by an order of this peer's own, so that peers do not all want the same.
#[derive(Debug)]
pub(crate) struct Picker {
    salt: u32,
    /// Counts picks: each starts at another place of large releases.
    picks: u32,
}

impl Picker {
    pub(crate) fn new(seed: u32) -> Self {
        Self { salt: mix32(seed), picks: 0 }
    }

    /// The rarest free chunk of what a peer `has`. Looks at a bounded part of large releases, a different one each time.
    pub(crate) fn pick(&mut self, ledger: &Ledger, has: &Bits) -> Option<ChunkIndex> {
        let has = has.words();
        self.rarest(ledger, |at, free| free & has[at])
    }

    /// The rarest free chunk at all, for the origin.
    pub(crate) fn pick_for_origin(&mut self, ledger: &Ledger) -> Option<ChunkIndex> {
        self.rarest(ledger, |_, free| free)
    }

    fn rarest(&mut self, ledger: &Ledger, word: impl Fn(usize, u64) -> u64) -> Option<ChunkIndex> {
        self.picks = self.picks.wrapping_add(1);
        let (free, span) = (ledger.free().words(), ledger.free().span());
        let start = span.start + mix32(self.salt ^ self.picks) as usize % span.len().max(1);
        let places = (start..span.end).chain(span.start..start).take(PICK_WORDS_MAX as usize);
        let candidates = places.flat_map(|at| ones(word(at, free[at])).map(move |bit| at as u32 * 64 + bit));
        let order = |&chunk: &ChunkIndex| (ledger.holders(chunk), mix32(chunk ^ self.salt));
        candidates.take(PICK_CANDIDATES_MAX as usize).min_by_key(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rarest_of_what_the_peer_has() {
        let mut ledger = Ledger::new([1; 300].into(), 0..300, &[0..300], &[]);
        let mut has = Bits::new(300);
        let mut picker = Picker::new(1);
        assert_eq!(picker.pick(&ledger, &has), None);
        for chunk in [5, 70, 299] {
            has.insert(chunk);
            ledger.add_holder(chunk);
        }
        ledger.add_holder(5);
        ledger.add_holder(299);
        assert_eq!(picker.pick(&ledger, &has), Some(70));
        ledger.ask(70);
        let next = picker.pick(&ledger, &has).expect("two are left");
        ledger.ask(next);
        let last = picker.pick(&ledger, &has).expect("one is left");
        assert_eq!(u64::from(next) + u64::from(last), 304);
        ledger.ask(last);
        assert_eq!(picker.pick(&ledger, &has), None);
    }

    #[test]
    fn the_little_that_is_wanted_of_much_is_found_at_once() {
        let len = PICK_WORDS_MAX * 64 * 4;
        let mut has = Bits::new(len);
        for chunk in 0..len {
            has.insert(chunk);
        }
        for wanted in [0, len / 2, len - 1] {
            let ledger = Ledger::new(vec![1; len as usize].into(), 0..len, &[wanted..wanted + 1], &[]);
            let mut picker = Picker::new(wanted);
            assert_eq!(picker.pick(&ledger, &has), Some(wanted));
            assert_eq!(picker.pick_for_origin(&ledger), Some(wanted));
        }
    }

    #[test]
    fn a_pick_is_bounded_and_still_reaches_all() {
        let len = PICK_WORDS_MAX * 64 * 4;
        let ledger = Ledger::new(vec![1; len as usize].into(), 0..len, &[0..len], &[]);
        let mut has = Bits::new(len);
        has.insert(len - 1);
        let mut picker = Picker::new(1);
        let tries = (1..100).find(|_| picker.pick(&ledger, &has) == Some(len - 1));
        assert!(tries.is_some_and(|tries| tries > 1), "{tries:?}");
    }
}
