//! How often pairings came to a link, by what lies between the two: what their NATs are, and which systems they are in. What
//! hardly ever works is hardly ever tried.

use std::collections::{BTreeMap, VecDeque};

use freshet_protocol::Nat;

use super::limits::ODDS_MAX;
use super::locality::System;
use super::mixer::Mixer;

/// Outcomes before an estimate counts.
const OUTCOMES_MIN: u32 = 16;
/// Weight of the latest outcome: one of so many.
const WEIGHT: u32 = 16;
/// Fewer links than this in 1000 pairings are too few.
const HOPELESS_PERMILLE: u32 = 50;
/// Of pairings without hope, one of so many is made, to see whether that has changed.
const TRY_ONE_IN: u64 = 16;

/// What of a peer decides whether it can be linked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// None where the peer has not said.
    pub(super) nat: Option<Nat>,
    pub(super) system: System,
}

/// Two peers' kinds, as pairings of the like are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Between {
    Nats(Option<Nat>, Option<Nat>),
    Systems(System, System),
}

impl Between {
    fn of(a: Kind, b: Kind) -> [Self; 2] {
        let (nats, systems) = ((a.nat, b.nat), (a.system, b.system));
        [
            Self::Nats(nats.0.min(nats.1), nats.0.max(nats.1)),
            Self::Systems(systems.0.min(systems.1), systems.0.max(systems.1)),
        ]
    }
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    outcomes: u32,
    linked_permille: u32,
}

impl Rate {
    const UNKNOWN: Self = Self { outcomes: 0, linked_permille: 1000 };

    fn add(&mut self, is_linked: bool) {
        self.outcomes = self.outcomes.saturating_add(1);
        let latest = if is_linked { 1000 } else { 0 };
        // The first ones are a plain mean.
        let weight = WEIGHT.min(self.outcomes);
        self.linked_permille = (self.linked_permille * (weight - 1) + latest) / weight;
    }

    fn is_hopeless(self) -> bool {
        self.outcomes >= OUTCOMES_MIN && self.linked_permille < HOPELESS_PERMILLE
    }
}

#[derive(Debug, Default)]
pub(super) struct Odds {
    rates: BTreeMap<Between, Rate>,
    /// In the order in which they are forgotten.
    order: VecDeque<Between>,
}

impl Odds {
    /// Notes how a pairing ended.
    pub(super) fn note(&mut self, a: Kind, b: Kind, is_linked: bool) {
        for between in Between::of(a, b) {
            if !self.rates.contains_key(&between) {
                if self.order.len() >= ODDS_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.rates.remove(&oldest);
                }
                self.order.push_back(between);
            }
            self.rates.entry(between).or_insert(Rate::UNKNOWN).add(is_linked);
        }
    }

    /// Whether to try: where there is no hope, now and then.
    pub(super) fn is_worth_trying(&self, a: Kind, b: Kind, mixer: &mut Mixer) -> bool {
        let is_hopeless = |between: &Between| self.rates.get(between).is_some_and(|rate| rate.is_hopeless());
        !Between::of(a, b).iter().any(is_hopeless) || mixer.next().is_multiple_of(TRY_ONE_IN)
    }

    /// Kinds between which pairing has no hope.
    pub(super) fn hopeless(&self) -> usize {
        self.rates.values().filter(|rate| rate.is_hopeless()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(nat: Nat, system: u32) -> Kind {
        Kind { nat: Some(nat), system: System::Autonomous(system) }
    }

    /// Of a thousand pairings, how many would be tried.
    fn tried(odds: &Odds, a: Kind, b: Kind) -> usize {
        let mut mixer = Mixer::new(7);
        (0..1000).filter(|_| odds.is_worth_trying(a, b, &mut mixer)).count()
    }

    #[test]
    fn what_hardly_ever_works_is_hardly_ever_tried() {
        let (home, office) = (kind(Nat::PortRestricted, 1), kind(Nat::AddressRestricted, 2));
        let mut odds = Odds::default();
        for _ in 1..OUTCOMES_MIN {
            odds.note(home, office, false);
        }
        assert_eq!(tried(&odds, home, office), 1000, "too few outcomes");
        odds.note(office, home, false);
        assert!((30..120).contains(&tried(&odds, office, home)));
        assert_eq!(odds.hopeless(), 2);
        // Others of the same systems, and others behind such NATs, fail as well.
        assert!(tried(&odds, kind(Nat::Open, 1), kind(Nat::Open, 2)) < 120);
        assert!(tried(&odds, kind(Nat::PortRestricted, 8), kind(Nat::AddressRestricted, 9)) < 120);
        assert_eq!(tried(&odds, kind(Nat::Open, 1), kind(Nat::Open, 3)), 1000);
        // What works again is tried again.
        odds.note(home, office, true);
        assert_eq!(tried(&odds, home, office), 1000);
    }

    #[test]
    fn what_works_now_and_then_is_tried() {
        let (a, b) = (kind(Nat::PortRestricted, 1), kind(Nat::PortRestricted, 2));
        let mut odds = Odds::default();
        for turn in 0..200 {
            odds.note(a, b, turn % 10 == 0);
            assert_eq!(tried(&odds, a, b), 1000, "{turn}");
        }
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut odds = Odds::default();
        for number in 0..ODDS_MAX as u32 * 2 {
            odds.note(kind(Nat::Open, number), kind(Nat::Open, number), true);
        }
        assert_eq!((odds.rates.len(), odds.order.len()), (ODDS_MAX, ODDS_MAX));
    }
}
