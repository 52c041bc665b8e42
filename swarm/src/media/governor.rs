//! When the origin must help with a segment, and why.
//!
//! Peers come first until the latest moment at which an origin fetch would still make the deadline; where that is past
//! already, as at the start, as long as they bring something. A segment that nobody has or fetches needs a first copy:
//! neighbours take turns by an order that they compute alike, so that one of them begins and the others see it fetching
//! before their turn comes.

use super::timeline::Want;
use crate::limits::{DEADLINE_MARGIN_US, JOIN_US, LATE_TRY_US_MAX, STALL_US, TRY_US, TURN_US};
use crate::mix::mix32;
use crate::output::OriginReason;

/// What the governor looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) now: u64,
    /// When this core began.
    pub(super) began_us: u64,
    pub(super) want: Want,
    /// Time that the origin needs for what is missing.
    pub(super) needs_us: u64,
    pub(super) has_links: bool,
    /// Whether some peer has something of it, fetches it, or has not said yet what it has.
    pub(super) is_known_to_peers: bool,
    /// How many neighbours come before this peer.
    pub(super) turn: u32,
}

/// Why the origin should give the segment now, if it should.
pub(super) fn demand(view: &View) -> Option<OriginReason> {
    let View { now, began_us, want, needs_us, has_links, is_known_to_peers, turn } = *view;
    let latest_us = want.deadline_us.saturating_sub(needs_us + needs_us / 2 + DEADLINE_MARGIN_US);
    if !has_links {
        return (now >= began_us + JOIN_US).then_some(OriginReason::NoPeers);
    }
    if !is_known_to_peers {
        let is_due = now >= want.since_us + u64::from(turn) * TURN_US;
        let reason = if is_due { OriginReason::FirstCopy } else { OriginReason::Deadline };
        return (is_due || now >= latest_us).then_some(reason);
    }
    let is_late = now >= latest_us;
    let idle_us = now - want.progress_us;
    let late_us = now.saturating_sub(latest_us.max(want.since_us));
    if is_late && (idle_us >= TRY_US || late_us >= LATE_TRY_US_MAX) {
        Some(OriginReason::Deadline)
    } else {
        (idle_us >= STALL_US).then_some(OriginReason::SlowPeers)
    }
}

/// How many of the neighbours come before this peer in fetching a segment.
pub(super) fn turn(own_order: u32, segment_order: u32, neighbours: impl Iterator<Item = u32>) -> u32 {
    let rank = |order: u32| mix32(order ^ segment_order);
    neighbours.filter(|&order| rank(order) < rank(own_order)).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_helps_in_time_or_in_turn() {
        const SECOND_US: u64 = 1_000_000;
        let want = Want { deadline_us: 10 * SECOND_US, since_us: 4 * SECOND_US, progress_us: 4 * SECOND_US };
        let base = View {
            now: 4 * SECOND_US,
            began_us: 0,
            want,
            needs_us: SECOND_US,
            has_links: true,
            is_known_to_peers: true,
            turn: 0,
        };
        let check = |view: View, expected| assert_eq!(demand(&view), expected, "{view:?}");
        check(base, None);
        check(View { now: 6 * SECOND_US, ..base }, Some(OriginReason::SlowPeers));
        // The origin needs one second, a half more for safety, and the margin.
        let latest_us = 8 * SECOND_US + 500_000 - DEADLINE_MARGIN_US;
        let moving = Want { progress_us: latest_us - TRY_US / 2, ..want };
        let late = View { want: moving, now: latest_us, ..base };
        check(View { now: latest_us - 1, ..late }, None);
        check(late, None);
        check(View { now: latest_us + TRY_US / 2, ..late }, Some(OriginReason::Deadline));
        let trickles = |now| View { now, want: Want { progress_us: now, ..want }, ..base };
        check(trickles(latest_us + LATE_TRY_US_MAX - 1), None);
        check(trickles(latest_us + LATE_TRY_US_MAX), Some(OriginReason::Deadline));
        let first = View { is_known_to_peers: false, ..base };
        check(first, Some(OriginReason::FirstCopy));
        check(View { turn: 1, ..first }, None);
        check(View { turn: 1, now: 4 * SECOND_US + TURN_US, ..first }, Some(OriginReason::FirstCopy));
        check(View { turn: 99, now: latest_us, ..first }, Some(OriginReason::Deadline));
        let alone = View { has_links: false, is_known_to_peers: false, ..base };
        check(alone, Some(OriginReason::NoPeers));
        check(View { began_us: 4 * SECOND_US - JOIN_US + 1, ..alone }, None);
    }

    #[test]
    fn turns_are_all_different_and_spread() {
        let orders = [7, 8, 9, 1000, u32::MAX];
        let mut firsts = [0; 5];
        for segment in 0..1000 {
            let turns =
                orders.map(|own| turn(own, segment, orders.into_iter().filter(|&order| order != own)));
            let mut sorted = turns;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
            firsts[turns.iter().position(|&turn| turn == 0).expect("someone is first")] += 1;
        }
        assert!(firsts.iter().all(|&count| count > 150), "{firsts:?}");
    }
}
