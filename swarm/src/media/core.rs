//! The facade of a stream's core: routes inputs to the parts that decide, and collects what they say.

use std::collections::VecDeque;
use std::ops::Range;

use freshet_protocol::Locality;

use super::fetches::{Fetches, first_run};
use super::governor::{self, View};
use super::sources::Sources;
use super::timeline::{PlayerInput, SegmentIndex, Timeline, position};
use super::window;
use crate::announce::Announce;
use crate::core::Totals;
use crate::input::{ChunkIndex, FetchEnd, FetchId, Input, LinkId, RequestEnd, RequestId};
use crate::ledger::Source;
use crate::limits::{MEDIA_TICK_US, PIECES_MAX};
use crate::output::{DropReason, OriginReason, Output};
use crate::policy::Policy;
use crate::rest::Rest;
use crate::upload::{Shelf, Upload};

/// What a stream's core is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaConfig {
    /// The knobs.
    pub policy: Policy,
    /// This peer's place among its neighbours: the first four bytes of its key id.
    pub order: u32,
}

/// The core of one stream on one peer.
#[derive(Debug)]
pub struct MediaCore {
    policy: Policy,
    order: u32,
    began_us: u64,
    timeline: Timeline,
    sources: Sources,
    fetches: Fetches,
    rest: Rest,
    upload: Upload,
    announce: Announce,
    tick_us: u64,
    outputs: VecDeque<Output>,
}

impl MediaCore {
    /// A core at the time `now` (microseconds).
    pub fn new(now: u64, config: MediaConfig) -> Self {
        Self {
            policy: config.policy,
            order: config.order,
            began_us: now,
            timeline: Timeline::default(),
            sources: Sources::default(),
            fetches: Fetches::default(),
            rest: Rest::new(config.order),
            upload: Upload::new(PIECES_MAX, now),
            announce: Announce::at_once(),
            tick_us: now + MEDIA_TICK_US,
            outputs: VecDeque::new(),
        }
    }

    /// Tells what the player's side says at `now` (microseconds, never going back).
    pub fn handle_player(&mut self, now: u64, input: PlayerInput) {
        match input {
            PlayerInput::Segment { segment, order, piece_bytes } => {
                self.timeline.add(segment, order, &piece_bytes)
            }
            PlayerInput::Forget { segment } => self.forget(segment),
            PlayerInput::Want { segment, deadline_us } => self.timeline.want(now, segment, deadline_us),
            PlayerInput::Unwant { segment } => self.unwant(segment),
            PlayerInput::PeerOrder { link, order } => {
                if let Some(link) = self.sources.links.get_mut(link) {
                    link.order = order;
                }
            }
        }
        self.decide(now);
    }

    /// Tells what else happened at `now` (microseconds, never going back). What is about bulk jobs alone is ignored.
    pub fn handle_input(&mut self, now: u64, input: Input) {
        match input {
            Input::LinkUp { link, locality, rtt_us } => self.link_up(now, link, locality, rtt_us),
            Input::LinkDown { link } => self.link_down(link),
            Input::Have { link, ranges } => self.sources.have(&self.timeline, link, &ranges),
            Input::Withdraw { link, ranges } => self.sources.withdraw(&self.timeline, link, &ranges),
            Input::Fetching { link, ranges } => self.sources.fetching(&self.timeline, link, &ranges),
            Input::Progress { request, bytes } => {
                if let Some(chunk) = self.sources.progress(now, request, bytes) {
                    self.timeline.progress(now, chunk);
                }
            }
            Input::RequestEnded { request, end } => self.request_ended(now, request, end),
            Input::OriginProgress { fetch, bytes } => {
                if let Some(chunk) = self.fetches.progress(now, fetch, bytes) {
                    self.timeline.progress(now, chunk);
                }
            }
            Input::OriginChunk { fetch, chunk, verified } => self.origin_chunk(now, fetch, chunk, verified),
            Input::OriginEnded { fetch, end } => self.origin_ended(now, fetch, end),
            Input::Found { ranges } => {
                for chunk in self.timeline.known(&ranges) {
                    self.hold(now, chunk, Source::Local);
                }
            }
            Input::Lost { chunk } => {
                if self.timeline.lose(chunk) {
                    self.announce.lost(chunk);
                    self.outputs.push_back(Output::SendWithdraw { ranges: vec![chunk..chunk + 1] });
                }
            }
            Input::PeerRequest { link, request, chunk } => {
                if self.sources.links.contains(link) {
                    let asked = (link, request);
                    self.upload.asked(now, &self.policy, &self.timeline, asked, chunk, &mut self.outputs);
                }
            }
            Input::PeerCancel { link, request } => self.upload.cancelled(link, request),
            Input::Sent { link, request, bytes } => self.upload.sent(now, link, request, bytes),
            Input::Policy(policy) => self.set_policy(policy),
            Input::Want { .. } | Input::Shards { .. } | Input::TrackerUp | Input::TrackerDown => {}
        }
        self.decide(now);
    }

    /// Tells that the time of [`MediaCore::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: u64) {
        if now >= self.tick_us {
            self.tick_us = now + MEDIA_TICK_US;
            self.sources.drop_stalled(now, &mut self.timeline, &mut self.outputs);
        }
        self.decide(now);
    }

    /// Next thing to do; ask until there is none after each input and timeout.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`MediaCore::handle_timeout`] next, if at all.
    pub fn poll_timeout(&self) -> Option<u64> {
        let tick = self.timeline.has_wanted().then_some(self.tick_us);
        [tick, self.announce.timeout(), self.upload.timeout(&self.policy)].into_iter().flatten().min()
    }

    /// Counts so far.
    pub fn totals(&self) -> Totals {
        let (missing_chunks, missing_bytes) = self.timeline.missing();
        Totals {
            peer_bytes: self.timeline.peer_bytes,
            origin_bytes: self.timeline.origin_bytes,
            waste_bytes: self.timeline.waste_bytes,
            corrupt_bytes: self.timeline.corrupt_bytes,
            sent_bytes: self.upload.sent_bytes,
            held_chunks: self.timeline.held_chunks(),
            missing_chunks,
            missing_bytes,
        }
    }

    fn link_up(&mut self, now: u64, link: LinkId, locality: Locality, rtt_us: u64) {
        if !self.sources.link_up(now, link, locality, rtt_us) {
            self.outputs.push_back(Output::DropLink { link, reason: DropReason::Misbehaved });
        } else if self.policy.sharing {
            // Also nothing is said, so that the peer need not wait for it.
            self.outputs.push_back(Output::SendHave { link: Some(link), ranges: self.timeline.held() });
        }
    }

    fn link_down(&mut self, link: LinkId) {
        self.sources.link_down(&mut self.timeline, link);
        self.upload.link_down(link);
    }

    fn request_ended(&mut self, now: u64, request: RequestId, end: RequestEnd) {
        let Some((link, chunk)) = self.sources.ended(now, &mut self.timeline, request, end) else { return };
        match end {
            RequestEnd::Verified => self.hold(now, chunk, Source::Peer),
            RequestEnd::Corrupt => {
                // A piece comes from one source, which hashes before it sends: it is to blame, at once.
                if let Some(piece) = self.timeline.piece_mut(chunk) {
                    piece.is_corrupt = true;
                }
                self.link_down(link);
                self.outputs.push_back(Output::DropLink { link, reason: DropReason::Corrupt });
            }
            RequestEnd::Refused(_) | RequestEnd::Failed => {}
        }
    }

    fn origin_chunk(&mut self, now: u64, fetch: FetchId, chunk: ChunkIndex, verified: bool) {
        let Some(reason) = self.fetches.delivered(&mut self.timeline, fetch, chunk) else { return };
        if verified {
            self.rest.succeeded();
            let is_corrupt = self.timeline.piece(chunk).is_some_and(|piece| piece.is_corrupt);
            self.hold(
                now,
                chunk,
                Source::Origin(if is_corrupt { OriginReason::CorruptPeers } else { reason }),
            );
        } else {
            let bytes = u64::from(self.timeline.bytes(chunk));
            self.timeline.waste_bytes += bytes;
            self.timeline.corrupt_bytes += bytes;
            self.rest.failed(now, None);
        }
    }

    fn origin_ended(&mut self, now: u64, fetch: FetchId, end: FetchEnd) {
        if !self.fetches.ended(&mut self.timeline, fetch) {
            return;
        }
        self.announce.fetching_changed();
        match end {
            FetchEnd::Failed { retry_after_us } => self.rest.failed(now, retry_after_us),
            FetchEnd::Complete => {}
        }
    }

    fn hold(&mut self, now: u64, chunk: ChunkIndex, source: Source) {
        if !self.timeline.hold(now, chunk, source) {
            return;
        }
        if self.policy.sharing {
            self.announce.held(chunk);
        }
        self.sources.cancel_where(&mut self.timeline, |request| request.chunk == chunk, &mut self.outputs);
    }

    fn unwant(&mut self, segment: SegmentIndex) {
        self.timeline.unwant(segment);
        self.sources.cancel_segment(&mut self.timeline, segment, &mut self.outputs);
        self.fetches.cancel_segment(&mut self.timeline, segment, &mut self.outputs);
        self.announce.fetching_changed();
    }

    fn forget(&mut self, segment: SegmentIndex) {
        self.unwant(segment);
        self.sources.forget(segment);
        let Some(gone) = self.timeline.forget(segment) else { return };
        let held = (0..gone.pieces.len() as u32).filter(|&piece| gone.pieces[piece as usize].is_held);
        let ranges = freshet_protocol::ranges_of(held.map(|piece| position(segment, piece)));
        ranges.iter().cloned().flatten().for_each(|chunk| self.announce.lost(chunk));
        if self.policy.sharing && !ranges.is_empty() {
            self.outputs.push_back(Output::SendWithdraw { ranges });
        }
    }

    fn set_policy(&mut self, policy: Policy) {
        let before = std::mem::replace(&mut self.policy, policy);
        if before.sharing && !policy.sharing {
            self.upload.stop(&mut self.outputs);
            self.announce.clear();
            self.outputs.push_back(Output::SendWithdraw { ranges: self.timeline.held() });
        } else if !before.sharing && policy.sharing {
            self.outputs.push_back(Output::SendHave { link: None, ranges: self.timeline.held() });
        }
        if before.p2p && !policy.p2p {
            self.sources.cancel_where(&mut self.timeline, |_| true, &mut self.outputs);
        }
    }

    /// Looks at everything that an input may have made possible.
    fn decide(&mut self, now: u64) {
        if self.policy.p2p {
            window::fill(now, self.order, &mut self.timeline, &mut self.sources, &mut self.outputs);
        }
        for segment in self.timeline.wanted() {
            self.ask_origin(now, segment);
        }
        self.upload.fill(now, &self.policy, &self.timeline, &self.sources, &mut self.outputs);
        self.announce.flush(now, || self.fetches.fetching(), &mut self.outputs);
    }

    /// Fetches what is missing of a segment from the origin, where it should help now.
    fn ask_origin(&mut self, now: u64, segment: SegmentIndex) {
        while self.fetches.len() < self.rest.fetches_max(now) {
            let Some(reason) = self.demand(now, segment) else { return };
            let Some(run) = self.run(segment) else { return };
            let is_covered = |chunk: ChunkIndex| run.contains(&chunk);
            let Self { timeline, sources, outputs, .. } = self;
            sources.cancel_where(timeline, |request| is_covered(request.chunk), outputs);
            self.fetches.start(now, &mut self.timeline, run, reason, &mut self.outputs);
            self.announce.fetching_changed();
        }
    }

    fn demand(&self, now: u64, segment: SegmentIndex) -> Option<OriginReason> {
        if !self.policy.p2p {
            return Some(OriginReason::Policy);
        }
        let known = self.timeline.segment(segment)?;
        let view = View {
            now,
            began_us: self.began_us,
            want: known.want?,
            needs_us: self.fetches.needs_us(known.missing_bytes(), self.policy.reference_bytes_s_floor),
            has_links: self.sources.has_links(now),
            is_known_to_peers: self.sources.anyone_knows(now, segment, &self.timeline),
            turn: governor::turn(self.order, known.order, self.sources.orders()),
        };
        governor::demand(&view)
    }

    /// The first run of a segment that neither the origin brings already nor a peer has brought half of.
    fn run(&self, segment: SegmentIndex) -> Option<Range<ChunkIndex>> {
        let is_meant = |chunk: ChunkIndex| {
            let Some(piece) = self.timeline.piece(chunk) else { return false };
            !piece.is_held && !piece.is_fetched && !self.sources.has_half(chunk, piece.bytes)
        };
        first_run(&self.timeline, segment, is_meant)
    }
}
