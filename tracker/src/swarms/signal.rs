//! What clients say about their pairs: signalling for the other side, and outcomes.

use freshet_protocol::{PairOutcome, PeerId, ServerMessage};

use super::cluster::Outcome;
use super::limits::CLIENT_FAILURES_MAX;
use super::member::Member;
use super::pair::{Elsewhere, Pair};
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

impl End {
    fn outcome(self) -> Outcome {
        match self {
            Self::Failed => Outcome::Failed,
            Self::Closed => Outcome::Closed,
            Self::Left => Outcome::Left,
        }
    }
}

impl Swarms {
    /// Relays to the other side of a pair, and to nobody else.
    pub(super) fn signal(&mut self, client: PeerId, number: u64, data: String) {
        match self.pairs.of_peer(number, client) {
            None => self.refuse(client, "unknown-pair", "there is no such pair (any more)"),
            Some((pair, other)) => {
                if !pair.count_signal(client) {
                    return self.refuse(
                        client,
                        "too-many-signals",
                        "this pair has used up its signalling messages",
                    );
                }
                self.counters.signals_total += 1;
                match pair.elsewhere {
                    Some(Elsewhere { node, .. }) => self.signal_elsewhere(node, number, data),
                    None => self.outputs.send(other, ServerMessage::Signal { pair: number, data }),
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
            PairOutcome::Linked => {
                if let Some(pair) = self.link(number) {
                    self.tell_elsewhere(number, &pair, Outcome::Linked);
                }
            }
            PairOutcome::Failed => self.end_and_match(now_us, number, End::Failed),
            PairOutcome::Closed => self.end_and_match(now_us, number, End::Closed),
            PairOutcome::Unknown => {}
        }
    }

    /// A pair had no outcome in time.
    pub(super) fn pair_timed_out(&mut self, now_us: u64, number: u64) {
        match self.pairs.get(number) {
            Some(pair) if pair.is_asked() => self.ask_timed_out(now_us, number),
            _ => self.end_and_match(now_us, number, End::Failed),
        }
    }

    /// Removes a pair and frees both its places, and tells the other tracker where one of them is elsewhere.
    pub(super) fn end_pair(&mut self, now_us: u64, number: u64, end: End) -> Option<Pair> {
        let pair = self.end_pair_here(now_us, number, end)?;
        self.tell_elsewhere(number, &pair, end.outcome());
        Some(pair)
    }

    /// Removes a pair and frees both its places here.
    pub(super) fn end_pair_here(&mut self, now_us: u64, number: u64, end: End) -> Option<Pair> {
        let pair = self.pairs.remove(number)?;
        if pair.is_asked() {
            self.ask_ended();
        }
        self.timers.set(Timer::Pair(number), None);
        if end == End::Failed {
            self.counters.pairs_failed_total += 1;
            self.failures.remember(now_us, pair.dialer, pair.acceptor, self.config.pair_retry_us);
            self.note_odds(&pair, false);
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

    /// Notes a link; the pair, where that is news.
    pub(super) fn link(&mut self, number: u64) -> Option<Pair> {
        if !self.pairs.link(number) {
            return None;
        }
        self.timers.set(Timer::Pair(number), None);
        self.counters.pairs_linked_total += 1;
        let pair = self.pairs.get(number)?.clone();
        self.note_odds(&pair, true);
        let swarm = self.swarms.get_mut(&pair.swarm)?;
        swarm.mark_linked(pair.dialer, pair.acceptor);
        swarm.mark_linked(pair.acceptor, pair.dialer);
        Some(pair)
    }

    /// Counts how a pairing ended for others like it, as far as both its clients still have a say.
    fn note_odds(&mut self, pair: &Pair, is_linked: bool) {
        let ends = [pair.dialer, pair.acceptor];
        let Some(swarm) = self.swarms.get(&pair.swarm) else { return };
        let [Some(dialer), Some(acceptor)] = ends.map(|peer| swarm.members.get(&peer).map(Member::kind))
        else {
            return;
        };
        let mut has_say = true;
        for peer in ends {
            let Some(state) = self.clients.get_mut(&peer) else { continue };
            has_say &= is_linked || state.failures < CLIENT_FAILURES_MAX;
            state.failures = if is_linked { 0 } else { state.failures.saturating_add(1) };
        }
        if has_say {
            self.odds.note(dialer, acceptor, is_linked);
        }
    }
}
