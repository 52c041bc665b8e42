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
        let free = ledger.free().words();
        let has = has.words();
        let salt = self.salt;
        let order = |chunk: ChunkIndex| (ledger.holders(chunk), mix32(chunk ^ salt));
        self.rarest(free.len(), |at| free[at] & has[at], order)
    }

    /// The rarest free chunk at all, for the origin.
    pub(crate) fn pick_for_origin(&mut self, ledger: &Ledger) -> Option<ChunkIndex> {
        let free = ledger.free().words();
        let salt = self.salt;
        self.rarest(free.len(), |at| free[at], |chunk| (ledger.holders(chunk), mix32(chunk ^ salt)))
    }

    fn rarest(
        &mut self,
        words: usize,
        word: impl Fn(usize) -> u64,
        order: impl Fn(ChunkIndex) -> (u8, u32),
    ) -> Option<ChunkIndex> {
        self.picks = self.picks.wrapping_add(1);
        let start = mix32(self.salt ^ self.picks) as usize % words.max(1);
        let places = (start..words).chain(0..start).take(PICK_WORDS_MAX as usize);
        let candidates = places.flat_map(|at| ones(word(at)).map(move |bit| at as u32 * 64 + bit));
        candidates.take(PICK_CANDIDATES_MAX as usize).min_by_key(|&chunk| order(chunk))
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
