//! What clients say about their pairs: signalling for the other side, and outcomes.

use freshet_protocol::{PairOutcome, PeerId, ServerMessage};

use super::pair::Pair;
use super::state::Swarms;
use super::timers::Timer;

/// How a pair ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// No link came up, or the proof failed: not tried again for a while.
    Failed,
    /// The link is gone.
    Closed,
    /// One of the two has left.
    Left,
}

impl Swarms {
    /// Relays to the other side of a pair, and to nobody else.
    pub(super) fn signal(&mut self, client: PeerId, number: u64, data: String) {
        match self.pairs.of_peer(number, client) {
            None => self.refuse(client, "unknown-pair", "there is no such pair (any more)"),
            Some((pair, other)) => {
                if pair.count_signal(client) {
                    self.counters.signals_total += 1;
                    self.outputs.send(other, ServerMessage::Signal { pair: number, data });
                } else {
                    self.refuse(client, "too-many-signals", "this pair has used up its signalling messages");
                }
            }
        }
    }

    /// Takes over an outcome. A pair that is gone already is no fault: both sides report, one of them is later.
    pub(super) fn paired(&mut self, now_us: u64, client: PeerId, number: u64, outcome: PairOutcome) {
        if self.pairs.of_peer(number, client).is_none() {
            return;
        }
        match outcome {
            PairOutcome::Linked => self.link(number),
            PairOutcome::Failed => self.end_and_match(now_us, number, End::Failed),
            PairOutcome::Closed => self.end_and_match(now_us, number, End::Closed),
            PairOutcome::Unknown => {}
        }
    }

    /// A pair had no outcome in time.
    pub(super) fn pair_timed_out(&mut self, now_us: u64, number: u64) {
        self.end_and_match(now_us, number, End::Failed);
    }

    /// Removes a pair and frees both its places.
    pub(super) fn end_pair(&mut self, now_us: u64, number: u64, end: End) -> Option<Pair> {
        let pair = self.pairs.remove(number)?;
        self.timers.set(Timer::Pair(number), None);
        if end == End::Failed {
            self.counters.pairs_failed_total += 1;
            self.failures.remember(now_us, pair.dialer, pair.acceptor, self.config.pair_retry_us);
        }
        if let Some(swarm) = self.swarms.get_mut(&pair.swarm) {
            let was_link = pair.is_linked && end != End::Failed;
            swarm.remove_pair(pair.dialer, pair.acceptor, was_link);
            swarm.remove_pair(pair.acceptor, pair.dialer, was_link);
        }
        Some(pair)
    }

    fn end_and_match(&mut self, now_us: u64, number: u64, end: End) {
        if let Some(pair) = self.end_pair(now_us, number, end) {
            self.match_peer(now_us, pair.swarm, pair.dialer);
            self.match_peer(now_us, pair.swarm, pair.acceptor);
        }
    }

    fn link(&mut self, number: u64) {
        if !self.pairs.link(number) {
            return;
        }
        self.timers.set(Timer::Pair(number), None);
        self.counters.pairs_linked_total += 1;
        let Some(pair) = self.pairs.get(number) else { return };
        let Some(swarm) = self.swarms.get_mut(&pair.swarm) else { return };
        swarm.mark_linked(pair.dialer, pair.acceptor);
        swarm.mark_linked(pair.acceptor, pair.dialer);
    }
}
