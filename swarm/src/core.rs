//! The facade: routes inputs to the parts that decide, and collects what they say.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use freshet_protocol::Locality;

use crate::announce::Announce;
use crate::assign::Assign;
use crate::governor::{Choice, Demand, Governor, Tracker, View};
use crate::input::{ChunkIndex, FetchEnd, FetchId, Input, LinkId, RequestEnd, RequestId};
use crate::ledger::{Ledger, Source, State};
use crate::limits::{CORRUPT_MAX, TICK_US};
use crate::origin::Origin;
use crate::output::{DropReason, OriginReason, Output};
use crate::pick::Picker;
use crate::policy::{Goal, Policy};
use crate::shard_ask::ShardAsk;
use crate::upload::{Shelf, Upload};

/// What a core is made of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreConfig {
    /// Size of the chunk at each position, in bytes. Many cores of one release may share it.
    pub chunk_bytes: Arc<[u32]>,
    /// Positions that this job wants; others are neither fetched nor asked for (parts not chosen, second places of a
    /// chunk). Ascending, disjoint.
    pub wanted: Vec<Range<ChunkIndex>>,
    /// Positions held at the start. Ascending, disjoint.
    pub held: Vec<Range<ChunkIndex>>,
    /// Positions that the tracker spreads as first copies, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leased: Option<Range<ChunkIndex>>,
    /// The knobs.
    pub policy: Policy,
    /// Whether a tracker is configured: the first decisions then wait a little for its word.
    pub has_tracker: bool,
    /// Whether there is no way to any peer: the origin is then asked for long ranges, from the first to the last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_alone: bool,
    /// Spreads choices between peers; random, from the shell.
    pub seed: u32,
}

/// Counts of a core's life, for reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Verified bytes that came from peers and were used.
    pub peer_bytes: u64,
    /// Verified bytes that came from the origin and were used, by reason in the order of [`OriginReason::ALL`].
    pub origin_bytes: [u64; OriginReason::ALL.len()],
    /// Bytes that came and were not used: duplicates, broken off, corrupt.
    pub waste_bytes: u64,
    /// Of these, bytes that did not match their hash.
    pub corrupt_bytes: u64,
    /// Payload bytes handed to peers.
    pub sent_bytes: u64,
    /// Positions held.
    pub held_chunks: u32,
    /// Wanted positions not held.
    pub missing_chunks: u32,
    /// Bytes of wanted positions not held.
    pub missing_bytes: u64,
}

/// The core of one release on one peer.
#[derive(Debug)]
pub struct Core {
    policy: Policy,
    ledger: Ledger,
    assign: Assign,
    picker: Picker,
    origin: Origin,
    governor: Governor,
    upload: Upload,
    announce: Announce,
    shards: ShardAsk,
    tracker: Tracker,
    is_alone: bool,
    /// Positions that peers got wrong: the origin's next copy of them is for that reason.
    corrupt: BTreeSet<ChunkIndex>,
    tick_us: u64,
    is_complete: bool,
    outputs: VecDeque<Output>,
}

impl Core {
    /// A core at the time `now` (microseconds).
    pub fn new(now: u64, config: CoreConfig) -> Self {
        let len = config.chunk_bytes.len() as u32;
        let leased = config.leased.unwrap_or(0..len);
        let ledger = Ledger::new(config.chunk_bytes, leased, &config.wanted, &config.held);
        let mut core = Self {
            policy: config.policy,
            ledger,
            assign: Assign::new(),
            picker: Picker::new(config.seed),
            origin: Origin::new(len, config.seed),
            governor: Governor::new(now),
            upload: Upload::new(len, now),
            announce: Announce::in_batches(),
            shards: ShardAsk::default(),
            tracker: if config.has_tracker { Tracker::Unheard } else { Tracker::None },
            is_alone: config.is_alone,
            corrupt: BTreeSet::new(),
            tick_us: now + TICK_US,
            is_complete: false,
            outputs: VecDeque::new(),
        };
        core.decide(now);
        core
    }

    /// Tells what happened at `now` (microseconds, never going back).
    pub fn handle_input(&mut self, now: u64, input: Input) {
        match input {
            Input::LinkUp { link, locality, rtt_us } => self.link_up(now, link, locality, rtt_us),
            Input::LinkDown { link } => self.link_down(link),
            Input::Have { link, ranges } => self.assign.have(&mut self.ledger, link, &ranges),
            Input::Withdraw { link, ranges } => self.assign.withdraw(&mut self.ledger, link, &ranges),
            Input::Fetching { link, ranges } => self.assign.fetching(link, ranges),
            Input::Progress { request, bytes } => {
                self.governor.progress(now);
                self.assign.progress(now, request, bytes);
            }
            Input::RequestEnded { request, end } => self.request_ended(now, request, end),
            Input::OriginProgress { fetch, bytes } => {
                let reason = self.origin.progress(now, fetch, bytes);
                self.origin_moved(now, reason);
            }
            Input::OriginChunk { fetch, chunk, verified } => self.origin_chunk(now, fetch, chunk, verified),
            Input::OriginEnded { fetch, end } => self.origin_ended(now, fetch, end),
            Input::Found { ranges } => {
                let len = self.ledger.len();
                for chunk in ranges.into_iter().flatten().filter(|&chunk| chunk < len) {
                    self.hold(chunk, Source::Local);
                }
            }
            Input::Want { ranges } => self.want(now, ranges),
            Input::Lost { chunk } => {
                if self.ledger.lose(chunk) {
                    self.announce.lost(chunk);
                    self.outputs.push_back(Output::SendWithdraw { ranges: vec![chunk..chunk + 1] });
                }
            }
            Input::Shards { granted, active_jobs, origin_budget_bytes_s } => {
                self.governor.swarm(active_jobs, origin_budget_bytes_s);
                self.shards.answered(now, granted.is_empty());
                self.tracker = Tracker::Up;
                for shard in granted {
                    self.origin.lease(self.ledger.shard_positions(shard));
                }
            }
            Input::TrackerUp => self.tracker = Tracker::Up,
            Input::TrackerDown => {
                self.tracker = Tracker::Down;
                self.shards.tracker_down();
                self.announce.fetching_changed();
            }
            Input::PeerRequest { link, request, chunk } => {
                if self.assign.has_link(link) {
                    self.upload.asked(
                        now,
                        &self.policy,
                        &self.ledger,
                        (link, request),
                        chunk,
                        &mut self.outputs,
                    );
                }
            }
            Input::PeerCancel { link, request } => self.upload.cancelled(link, request),
            Input::Sent { link, request, bytes } => self.upload.sent(now, link, request, bytes),
            Input::Policy(policy) => self.set_policy(policy),
        }
        self.decide(now);
    }

    /// Tells that the time of [`Core::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: u64) {
        if now >= self.tick_us {
            self.tick_us = now + TICK_US;
            if !self.is_complete {
                self.assign.look_after(
                    now,
                    self.policy.download_bytes_s_max,
                    &mut self.ledger,
                    &self.origin,
                    &mut self.outputs,
                );
                self.origin.drop_stalled(now, &mut self.ledger, &mut self.assign, &mut self.outputs);
                self.origin.drop_needless(&mut self.ledger, &mut self.assign, &mut self.outputs);
            }
        }
        self.decide(now);
    }

    /// Next thing to do; ask until there is none after each input and timeout.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Core::handle_timeout`] next, if at all.
    pub fn poll_timeout(&self) -> Option<u64> {
        let tick = (!self.is_complete).then_some(self.tick_us);
        let report = self.shards.report_timeout(&self.ledger, self.tracker, &self.policy);
        [tick, report, self.announce.timeout(), self.upload.timeout(&self.policy)].into_iter().flatten().min()
    }

    /// Counts so far.
    pub fn totals(&self) -> Totals {
        Totals {
            peer_bytes: self.ledger.peer_bytes,
            origin_bytes: self.ledger.origin_bytes,
            waste_bytes: self.ledger.waste_bytes,
            corrupt_bytes: self.ledger.corrupt_bytes,
            sent_bytes: self.upload.sent_bytes,
            held_chunks: self.ledger.held().count(),
            missing_chunks: self.ledger.missing_chunks,
            missing_bytes: self.ledger.missing_bytes,
        }
    }

    /// Whether every wanted position is held.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Which positions are held.
    pub fn held(&self) -> Vec<Range<ChunkIndex>> {
        self.ledger.held().ranges()
    }

    fn link_up(&mut self, now: u64, link: LinkId, locality: Locality, rtt_us: u64) {
        if !self.assign.link_up(now, link, self.ledger.len(), locality, rtt_us) {
            self.outputs.push_back(Output::DropLink { link, reason: DropReason::Misbehaved });
        } else if self.policy.sharing && self.ledger.held().count() > 0 {
            self.outputs.push_back(Output::SendHave { link: Some(link), ranges: self.held() });
        }
    }

    fn link_down(&mut self, link: LinkId) {
        self.assign.link_down(&mut self.ledger, link);
        self.upload.link_down(link);
    }

    fn request_ended(&mut self, now: u64, request: RequestId, end: RequestEnd) {
        let Some((link, chunk)) = self.assign.ended(now, &mut self.ledger, request, end) else { return };
        match end {
            RequestEnd::Verified => {
                self.governor.progress(now);
                self.hold(chunk, Source::Peer);
            }
            RequestEnd::Corrupt => {
                // A chunk comes from one source, which hashes before it sends: it is to blame, at once.
                if self.corrupt.len() < CORRUPT_MAX {
                    self.corrupt.insert(chunk);
                }
                self.link_down(link);
                self.outputs.push_back(Output::DropLink { link, reason: DropReason::Corrupt });
            }
            RequestEnd::Refused(_) | RequestEnd::Failed => {}
        }
    }

    fn origin_chunk(&mut self, now: u64, fetch: FetchId, chunk: ChunkIndex, verified: bool) {
        let Some(reason) = self.origin.delivered(now, &self.ledger, fetch, chunk) else { return };
        if verified {
            self.origin_moved(now, Some(reason));
            self.origin.rest.succeeded();
            let reason = if self.corrupt.contains(&chunk) { OriginReason::CorruptPeers } else { reason };
            self.hold(chunk, Source::Origin(reason));
        } else {
            self.ledger.waste_corrupt(u64::from(self.ledger.bytes(chunk)));
            self.origin.rest.failed(now, None);
            self.assign.give_up(&mut self.ledger, chunk);
        }
    }

    /// Bytes came in from the origin; why they were fetched, where that is known.
    fn origin_moved(&mut self, now: u64, reason: Option<OriginReason>) {
        match reason {
            Some(reason) => self.governor.origin_progress(now, reason, self.origin.bytes_s()),
            None => self.governor.progress(now),
        }
    }

    fn origin_ended(&mut self, now: u64, fetch: FetchId, end: FetchEnd) {
        let was_known = self.origin.ended(&mut self.ledger, &mut self.assign, fetch);
        self.note_fetching();
        match end {
            FetchEnd::Failed { retry_after_us } if was_known => self.origin.rest.failed(now, retry_after_us),
            FetchEnd::Failed { .. } | FetchEnd::Complete => {}
        }
    }

    fn hold(&mut self, chunk: ChunkIndex, source: Source) {
        let sources = match self.ledger.state(chunk) {
            State::Asked(sources) => sources,
            State::Unwanted | State::Free | State::Held => 0,
        };
        if !self.ledger.hold(chunk, source) {
            return;
        }
        if self.policy.sharing {
            self.announce.held(chunk);
        }
        if sources > 1 || (sources == 1 && source == Source::Local) {
            self.assign.take_back(&mut self.ledger, chunk, &mut self.outputs);
        }
    }

    fn want(&mut self, now: u64, ranges: Vec<Range<ChunkIndex>>) {
        let (len, got_bytes) = (self.ledger.len(), self.ledger.got_bytes());
        for chunk in ranges.into_iter().flatten().filter(|&chunk| chunk < len) {
            self.assign.want(&mut self.ledger, chunk);
        }
        if self.ledger.missing_chunks > 0 && std::mem::take(&mut self.is_complete) {
            self.tick_us = now + TICK_US;
            self.governor.begin_again(now, got_bytes);
        }
    }

    fn set_policy(&mut self, policy: Policy) {
        let before = std::mem::replace(&mut self.policy, policy);
        if before.sharing && !policy.sharing {
            self.upload.stop(&mut self.outputs);
            self.announce.clear();
            self.outputs.push_back(Output::SendWithdraw { ranges: self.held() });
        } else if !before.sharing && policy.sharing {
            self.outputs.push_back(Output::SendHave { link: None, ranges: self.held() });
        }
        if before.p2p && !policy.p2p {
            self.assign.take_back_all(&mut self.ledger, &mut self.outputs);
        }
    }

    /// Looks at everything that an input may have made possible.
    fn decide(&mut self, now: u64) {
        if !self.is_complete {
            if self.policy.p2p {
                let most = self.asks_left();
                self.assign.fill(now, most, &mut self.ledger, &mut self.picker, &mut self.outputs);
            }
            self.ask_origin(now);
            self.check_complete();
        }
        if self.policy.p2p {
            self.shards.ask(
                now,
                self.tracker,
                &self.policy,
                &mut self.ledger,
                &self.origin,
                &mut self.outputs,
            );
        }
        self.upload.fill(now, &self.policy, &self.ledger, &self.assign, &mut self.outputs);
        self.announce.flush(now, || self.origin.fetching(), &mut self.outputs);
    }

    /// How many chunks may be asked for, so that all that is on its way comes within a second: who reads slowly on purpose
    /// keeps few waiting, or they seem dead.
    fn asks_left(&self) -> u64 {
        let Some(rate) = self.policy.download_bytes_s_max else { return u64::MAX };
        let chunk_bytes = self.ledger.mean_bytes().max(1);
        let on_the_way = self.assign.request_count() * chunk_bytes + self.origin.flight_bytes();
        match on_the_way {
            0 => (rate / chunk_bytes).max(1),
            bytes => rate.saturating_sub(bytes) / chunk_bytes,
        }
    }

    fn ask_origin(&mut self, now: u64) {
        while self.origin.has_slot(now) && self.asks_left() > 0 {
            let view = View {
                now,
                tracker: self.tracker,
                is_alone: self.is_alone,
                has_useful_link: self.assign.has_useful_link(now),
                has_requests: self.assign.has_requests(),
                has_lease: self.origin.has_lease(),
                ahead_permille: self.ahead_permille(),
                got_bytes: self.ledger.got_bytes(),
                asks_left: self.asks_left(),
            };
            let Some(demand) = self.governor.demand(&self.policy, &view) else { return };
            if self.ledger.free().count() == 0 && !self.free_for_origin(now, demand) {
                return;
            }
            let Core { origin, ledger, assign, picker, outputs, .. } = self;
            match origin.start(now, demand, ledger, assign, picker, outputs) {
                Some(bytes) => self.governor.spend(bytes),
                // A lease may turn out to be fetched already: then the governor is asked again.
                None if view.has_lease && !origin.has_lease() => continue,
                None => return,
            }
            self.note_fetching();
        }
    }

    /// How far this peer is ahead of its neighbours' mean, in thousandths of the release; asked for at `speed` alone.
    fn ahead_permille(&self) -> Option<i64> {
        if self.policy.goal != Goal::Speed {
            return None;
        }
        let held = self.ledger.held();
        // What peers told is a little old, so what they were told is compared with it.
        let told = held.permille_of(held.count() - self.announce.waiting());
        self.assign.mean_progress().map(|mean| told as i64 - mean as i64)
    }

    /// At the end all that is missing is asked of peers. Where the origin should help, it takes over what would come last.
    fn free_for_origin(&mut self, now: u64, demand: Demand) -> bool {
        let Core { origin, ledger, assign, outputs, .. } = self;
        demand.choice == Choice::Rarest
            && origin.has_room(demand.choice)
            && assign.take_back_last(now, ledger, origin.next_us(ledger.mean_bytes()), outputs)
    }

    /// Neighbours need to know only while no tracker spreads first copies.
    fn note_fetching(&mut self) {
        if self.tracker != Tracker::Up && self.policy.p2p && self.policy.sharing {
            self.announce.fetching_changed();
        }
    }

    fn check_complete(&mut self) {
        if self.ledger.missing_chunks == 0 {
            self.is_complete = true;
            self.assign.take_back_all(&mut self.ledger, &mut self.outputs);
            self.origin.drop_all(&mut self.ledger, &mut self.assign, &mut self.outputs);
            self.outputs.push_back(Output::Complete);
        }
    }
}
