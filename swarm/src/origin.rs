//! Own fetches from the origin: which runs of chunks, how many at a time, and what became of them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use freshet_protocol::limits::RANGE_BYTES;

use crate::assign::Assign;
use crate::bits::Bits;
use crate::estimate::Rate;
use crate::governor::{Choice, Demand};
use crate::input::{ChunkIndex, FetchId};
use crate::ledger::{Ledger, State};
use crate::limits::{
    LATE_FACTOR, LEASED_RANGES_MAX, ORIGIN_COVER_US, ORIGIN_FLIGHT_MAX, ORIGIN_FLIGHT_MIN,
    PICK_CANDIDATES_MAX, PICK_WORDS_MAX, RUN_BYTES_END, RUN_BYTES_MIN, RUN_COVER_US, STALL_US,
};
use crate::mix::mix32;
use crate::output::{OriginReason, Output};
use crate::pick::Picker;
use crate::rest::Rest;
use crate::upload::Shelf;

/// A fetch under way.
#[derive(Debug)]
struct Fetch {
    reason: OriginReason,
    /// Positions not delivered yet, in order.
    pending: VecDeque<ChunkIndex>,
    /// Bytes of the position that is coming in.
    partial_bytes: u64,
    /// Last time that bytes came, or that it was started.
    last_bytes_us: u64,
}

/// The origin as a source.
#[derive(Debug)]
pub(crate) struct Origin {
    fetches: BTreeMap<FetchId, Fetch>,
    next_fetch: u64,
    /// Bytes asked for and not delivered.
    flight_bytes: u64,
    rate: Rate,
    pub(crate) rest: Rest,
    /// Granted positions not asked for yet.
    leased: VecDeque<Range<ChunkIndex>>,
    /// Where the own order goes on.
    cursor: ChunkIndex,
    /// Where the order from the first to the last goes on: what is wanted in several places comes in turn.
    front: ChunkIndex,
}

impl Origin {
    pub(crate) fn new(len: u32, seed: u32) -> Self {
        let salt = mix32(seed ^ 0x6f72_6967);
        Self {
            fetches: BTreeMap::new(),
            next_fetch: 0,
            flight_bytes: 0,
            rate: Rate::default(),
            rest: Rest::new(salt),
            leased: VecDeque::new(),
            cursor: salt.checked_rem(len).unwrap_or(0),
            front: 0,
        }
    }

    pub(crate) fn bytes_s(&self) -> Option<u64> {
        self.rate.bytes_s()
    }

    pub(crate) fn has_lease(&self) -> bool {
        !self.leased.is_empty()
    }

    /// The tracker grants positions. More than the bound are left for others.
    pub(crate) fn lease(&mut self, positions: Range<ChunkIndex>) {
        if self.leased.len() < LEASED_RANGES_MAX && !positions.is_empty() {
            self.leased.push_back(positions);
        }
    }

    /// Granted bytes not asked for yet, as far as `enough`.
    pub(crate) fn leased_bytes(&self, ledger: &Ledger, enough: u64) -> u64 {
        let mut bytes = 0;
        for chunk in self.leased.iter().cloned().flatten() {
            if ledger.state(chunk) == State::Free {
                bytes += u64::from(ledger.bytes(chunk));
            }
            if bytes >= enough {
                break;
            }
        }
        bytes
    }

    /// Bytes in flight below which a further fetch starts. First copies start with little, so that the first chunk is
    /// whole and on its way to peers soon; where the origin replaces peers, more keeps it busy.
    pub(crate) fn flight_wanted(&self, choice: Choice) -> u64 {
        let cover = self.rate.bytes_s().unwrap_or(0).saturating_mul(ORIGIN_COVER_US) / 1_000_000;
        let least = match choice {
            Choice::Sequential => RANGE_BYTES,
            Choice::Leased => ORIGIN_FLIGHT_MIN,
            Choice::OwnOrder | Choice::Rarest => RUN_BYTES_MIN,
        };
        cover.clamp(least, ORIGIN_FLIGHT_MAX)
    }

    /// Time in which the origin would bring `bytes` more than what is in flight, as far as is known.
    pub(crate) fn next_us(&self, bytes: u64) -> u64 {
        self.time_us(self.flight_bytes + bytes)
    }

    /// Time in which the origin brings so many bytes at its rate; very long while that is not known.
    fn time_us(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(1_000_000) / self.rate.bytes_s().unwrap_or(0).max(1)
    }

    /// Whether so little is in flight that another fetch should start.
    pub(crate) fn has_room(&self, choice: Choice) -> bool {
        self.flight_bytes < self.flight_wanted(choice)
    }

    /// Whether another fetch may start now at all.
    pub(crate) fn has_slot(&self, now: u64) -> bool {
        self.fetches.len() < self.rest.fetches_max(now)
    }

    /// Bytes asked for and not delivered.
    pub(crate) fn flight_bytes(&self) -> u64 {
        self.flight_bytes
    }

    /// Starts a fetch as demanded; the bytes asked for, or none where nothing fits.
    pub(crate) fn start(
        &mut self,
        now: u64,
        demand: Demand,
        ledger: &mut Ledger,
        assign: &Assign,
        picker: &mut Picker,
        outputs: &mut VecDeque<Output>,
    ) -> Option<u64> {
        if !self.has_room(demand.choice) {
            return None;
        }
        let bytes_max = match demand.choice {
            Choice::Sequential => RANGE_BYTES,
            Choice::Leased | Choice::OwnOrder | Choice::Rarest => {
                self.run_bytes(ledger).min(demand.most.saturating_mul(ledger.mean_bytes()))
            }
        };
        let run = match demand.choice {
            Choice::Leased => self.next_leased(ledger, bytes_max),
            Choice::OwnOrder => self.next_own(ledger, assign, bytes_max),
            Choice::Sequential => self.next_front(ledger, bytes_max),
            Choice::Rarest => picker.pick_for_origin(ledger).map(|first| free_run(ledger, first, bytes_max)),
        }?;
        let fetch = FetchId(self.next_fetch);
        self.next_fetch += 1;
        let bytes: u64 = run.clone().map(|chunk| u64::from(ledger.bytes(chunk))).sum();
        run.clone().for_each(|chunk| ledger.ask(chunk));
        if self.fetches.is_empty() {
            self.rate.begin(now);
        }
        self.flight_bytes += bytes;
        let (first, count, reason) = (run.start, run.len() as u32, demand.reason);
        self.fetches
            .insert(fetch, Fetch { reason, pending: run.collect(), partial_bytes: 0, last_bytes_us: now });
        outputs.push_back(Output::FetchOrigin { fetch, first, count, reason });
        Some(bytes)
    }

    /// Bytes of a fetch came in; why it runs, unless it is not known.
    pub(crate) fn progress(&mut self, now: u64, fetch: FetchId, bytes: u32) -> Option<OriginReason> {
        let fetch = self.fetches.get_mut(&fetch)?;
        fetch.partial_bytes += u64::from(bytes);
        fetch.last_bytes_us = now;
        self.rate.add(now, u64::from(bytes));
        Some(fetch.reason)
    }

    /// A chunk of a fetch came in; why it was fetched, unless it was not asked for.
    pub(crate) fn delivered(
        &mut self,
        now: u64,
        ledger: &Ledger,
        fetch: FetchId,
        chunk: ChunkIndex,
    ) -> Option<OriginReason> {
        let entry = self.fetches.get_mut(&fetch)?;
        let at = entry.pending.iter().position(|&pending| pending == chunk)?;
        entry.pending.remove(at);
        entry.last_bytes_us = now;
        let bytes = u64::from(ledger.bytes(chunk));
        let early = entry.partial_bytes.min(bytes);
        entry.partial_bytes -= early;
        let (reason, is_over) = (entry.reason, entry.pending.is_empty());
        if is_over {
            self.fetches.remove(&fetch);
        }
        self.flight_bytes -= bytes;
        self.rate.add(now, bytes - early);
        Some(reason)
    }

    /// A fetch ended, or is broken off, with something not delivered: that is free again. Whether it was known; one
    /// that delivered all is over by that.
    pub(crate) fn ended(&mut self, ledger: &mut Ledger, assign: &mut Assign, fetch: FetchId) -> bool {
        let Some(Fetch { reason, pending, partial_bytes, .. }) = self.fetches.remove(&fetch) else {
            return false;
        };
        ledger.waste(partial_bytes);
        if reason == OriginReason::FirstCopy {
            // Nobody else was granted it, so the others wait for this peer.
            freshet_protocol::ranges_of(pending.iter().copied()).into_iter().for_each(|run| self.lease(run));
        }
        for chunk in pending {
            self.flight_bytes -= u64::from(ledger.bytes(chunk));
            assign.give_up(ledger, chunk);
        }
        true
    }

    /// Breaks off fetches that stand still although peers hold what they should bring, and lets the origin rest.
    pub(crate) fn drop_stalled(
        &mut self,
        now: u64,
        ledger: &mut Ledger,
        assign: &mut Assign,
        outputs: &mut VecDeque<Output>,
    ) {
        let is_stalled = |fetch: &Fetch| {
            now.saturating_sub(fetch.last_bytes_us) >= STALL_US
                && fetch.pending.iter().any(|&chunk| ledger.holders(chunk) > 0)
        };
        let stalled: Vec<FetchId> =
            self.fetches.iter().filter(|(_, fetch)| is_stalled(fetch)).map(|(&id, _)| id).collect();
        for &fetch in &stalled {
            self.ended(ledger, assign, fetch);
            outputs.push_back(Output::CancelOrigin { fetch });
        }
        if !stalled.is_empty() {
            self.rest.failed(now, None);
        }
    }

    /// The position under way that the origin will bring last, of those that a link could bring in half the time.
    pub(crate) fn latest_of(&self, ledger: &Ledger, has: &Bits, link_us: u64) -> Option<ChunkIndex> {
        let fits = |&chunk: &ChunkIndex| has.contains(chunk) && ledger.state(chunk) == State::Asked(1);
        let latest = |fetch: &Fetch| fetch.pending.iter().rev().find(|&chunk| fits(chunk)).copied();
        self.fetches
            .values()
            .filter(|fetch| {
                let bytes: u64 = fetch.pending.iter().map(|&chunk| u64::from(ledger.bytes(chunk))).sum();
                let share = bytes.saturating_mul(self.fetches.len() as u64);
                self.time_us(share.saturating_sub(fetch.partial_bytes)) > link_us * LATE_FACTOR
            })
            .find_map(latest)
    }

    /// Breaks off fetches of which nothing more is missing.
    pub(crate) fn drop_needless(
        &mut self,
        ledger: &mut Ledger,
        assign: &mut Assign,
        outputs: &mut VecDeque<Output>,
    ) {
        let needless = |fetch: &Fetch| fetch.pending.iter().all(|&chunk| ledger.is_held(chunk));
        let gone: Vec<FetchId> =
            self.fetches.iter().filter(|(_, fetch)| needless(fetch)).map(|(&id, _)| id).collect();
        for fetch in gone {
            self.ended(ledger, assign, fetch);
            outputs.push_back(Output::CancelOrigin { fetch });
        }
    }

    /// Breaks off everything.
    pub(crate) fn drop_all(
        &mut self,
        ledger: &mut Ledger,
        assign: &mut Assign,
        outputs: &mut VecDeque<Output>,
    ) {
        let all: Vec<FetchId> = self.fetches.keys().copied().collect();
        for fetch in all {
            self.ended(ledger, assign, fetch);
            outputs.push_back(Output::CancelOrigin { fetch });
        }
    }

    /// What is being fetched now.
    pub(crate) fn fetching(&self) -> Vec<Range<ChunkIndex>> {
        let mut positions: Vec<ChunkIndex> =
            self.fetches.values().flat_map(|fetch| fetch.pending.iter().copied()).collect();
        positions.sort_unstable();
        positions.dedup();
        freshet_protocol::ranges_of(positions)
    }

    /// Size of a run while peers are about: a part of a second of the origin's rate, less towards the end.
    fn run_bytes(&self, ledger: &Ledger) -> u64 {
        let cover = self.rate.bytes_s().unwrap_or(0).saturating_mul(RUN_COVER_US) / 1_000_000;
        let end = (ledger.missing_bytes / 16).max(RUN_BYTES_END);
        cover.clamp(RUN_BYTES_MIN, RANGE_BYTES).min(end)
    }

    /// The next run from the first to the last, and from the first again.
    fn next_front(&mut self, ledger: &Ledger, bytes_max: u64) -> Option<Range<ChunkIndex>> {
        let free = ledger.free();
        let first = free.next(self.front, u32::MAX).or_else(|| free.next(0, u32::MAX))?;
        let run = free_run(ledger, first, bytes_max);
        self.front = run.end;
        Some(run)
    }

    /// The next granted run that is still free and that no neighbour holds.
    fn next_leased(&mut self, ledger: &Ledger, bytes_max: u64) -> Option<Range<ChunkIndex>> {
        while let Some(range) = self.leased.front_mut() {
            let wanted =
                |&chunk: &ChunkIndex| ledger.state(chunk) == State::Free && ledger.holders(chunk) == 0;
            let Some(first) = range.clone().find(wanted) else {
                self.leased.pop_front();
                continue;
            };
            let run = run_while(ledger, first..range.end, bytes_max, wanted);
            range.start = run.end;
            return Some(run);
        }
        None
    }

    /// The next run in the own order that no neighbour holds or fetches; a bounded look.
    fn next_own(&mut self, ledger: &Ledger, assign: &Assign, bytes_max: u64) -> Option<Range<ChunkIndex>> {
        let wanted = |&chunk: &ChunkIndex| {
            ledger.state(chunk) == State::Free
                && ledger.holders(chunk) == 0
                && !assign.is_fetched_nearby(chunk)
        };
        let mut wrapped = false;
        for _ in 0..PICK_CANDIDATES_MAX {
            let Some(candidate) = ledger.free().next(self.cursor, PICK_WORDS_MAX) else {
                if std::mem::replace(&mut wrapped, true) {
                    return None;
                }
                self.cursor = 0;
                continue;
            };
            if wanted(&candidate) {
                let run = run_while(ledger, candidate..ledger.len(), bytes_max, wanted);
                self.cursor = run.end;
                return Some(run);
            }
            self.cursor = candidate + 1;
        }
        None
    }
}

/// Free positions from `first` on, until `bytes_max` is reached.
fn free_run(ledger: &Ledger, first: ChunkIndex, bytes_max: u64) -> Range<ChunkIndex> {
    run_while(ledger, first..ledger.len(), bytes_max, |&chunk| ledger.state(chunk) == State::Free)
}

/// The longest run at the front of `range` of wanted positions; ends where `bytes_max` is reached, and holds at least one.
fn run_while(
    ledger: &Ledger,
    range: Range<ChunkIndex>,
    bytes_max: u64,
    wanted: impl Fn(&ChunkIndex) -> bool,
) -> Range<ChunkIndex> {
    let mut bytes = 0;
    let fits = |chunk: &ChunkIndex| {
        let goes_on = bytes < bytes_max && wanted(chunk);
        bytes += u64::from(ledger.bytes(*chunk));
        goes_on
    };
    let count = range.clone().take_while(fits).count() as u32;
    range.start..range.start + count
}
