//! One stream and its swarm: one task drives the core, carries out what it says, and hands verified pieces to who reads.
//! Everything that happens becomes an input; nothing else decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::{
    BlobKind, ChunkId, ContentName, Frame, KeyId, RefuseReason, Request, RootId, ServerMessage, SwarmId,
    VerifiedChunk,
};
use freshet_swarm::limits::SEGMENTS_MAX;
use freshet_swarm::{
    DropReason, FetchEnd, FetchId, Input, LinkId, MediaConfig, MediaCore, Output, PlayerInput, Policy,
    RequestEnd, RequestId, SegmentIndex,
};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::entries::Entries;
use super::library::{Library, Rendition, place};
use super::links::{Links, Word};
use super::readers::Readers;
use super::{Ask, Reading};
use crate::network::{Network, Standing};
use crate::origin::{Origin, PieceRun, RunEvent};
use crate::release::Span;
use crate::report::{Report, SoFar};
use crate::store::Positions;
use crate::tracker_client::TrackerEvent;
use crate::transport::{Answer, TransportEvent};

/// Most bytes kept for peers and for who reads again, beside what is read right now.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// Events of origin fetches that wait.
const RUN_EVENTS_MAX: usize = 32;
/// How often it is seen who has left.
const TICK: Duration = Duration::from_millis(250);
/// Most banned peers that the report names; the ban itself holds for all.
const BANNED_NAMED_MAX: usize = 1024;

/// What a session is made of.
pub(super) struct SessionConfig {
    pub(super) stream: ContentName,
    pub(super) network: Network,
    pub(super) entries: Arc<Entries>,
    pub(super) origin: Origin,
    pub(super) policies: watch::Receiver<Policy>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) stop: CancellationToken,
}

pub(super) struct Session {
    stream: ContentName,
    core: MediaCore,
    started: Instant,
    library: Library,
    readers: Readers,
    links: Links,
    network: Network,
    entries: Arc<Entries>,
    origin: Origin,
    policy: Policy,
    policies: watch::Receiver<Policy>,
    asks: mpsc::Receiver<Ask>,
    /// Links and positions of own requests.
    requests: BTreeMap<RequestId, (LinkId, u32)>,
    fetches: BTreeMap<FetchId, (SegmentIndex, AbortHandle)>,
    runs: mpsc::Sender<RunEvent>,
    run_events: mpsc::Receiver<RunEvent>,
    banned: Vec<KeyId>,
    stop: CancellationToken,
}

impl Session {
    pub(super) fn new(config: SessionConfig) -> Self {
        let SessionConfig { stream, network, entries, origin, mut policies, asks, stop } = config;
        let policy = *policies.borrow_and_update();
        let order = network.key().0.prefix32();
        let (runs, run_events) = mpsc::channel(RUN_EVENTS_MAX);
        Self {
            stream,
            core: MediaCore::new(0, MediaConfig { policy, order }),
            started: Instant::now(),
            library: Library::new(KEPT_BYTES_MAX),
            readers: Readers::default(),
            links: Links::default(),
            network,
            entries,
            origin,
            policy,
            policies,
            asks,
            requests: BTreeMap::new(),
            fetches: BTreeMap::new(),
            runs,
            run_events,
            banned: Vec::new(),
            stop,
        }
    }

    /// Runs until it is stopped, or nobody can ask any more; what was fetched and sent.
    pub(super) async fn run(mut self) -> Report {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.carry_out();
            let core_due = self.core.poll_timeout().map(|at| self.started + Duration::from_micros(at));
            let announce_due = self.network.announcer.due();
            tokio::select! {
                () = self.stop.cancelled() => break,
                ask = self.asks.recv() => match ask {
                    Some(Ask::Read(reading)) => self.read(reading),
                    // Who asked may be gone.
                    Some(Ask::SoFar(answer)) => drop(answer.send(self.so_far())),
                    None => break,
                },
                Some(event) = self.run_events.recv() => self.run_event(event),
                Some(event) = self.network.transport_events.recv() => {
                    self.network.transport_event(&event);
                    self.link_event(event);
                }
                Some(event) = self.network.tracker_events.recv() => self.tracker_event(event),
                Ok(()) = self.policies.changed() => self.policy_changed(),
                () = sleep_until(announce_due) => self.announce(),
                () = sleep_until(core_due) => self.core.handle_timeout(self.now_us()),
                _ = tick.tick() => self.tick(),
            }
        }
        self.fetches.values().for_each(|(_, task)| task.abort());
        self.network.close().await;
        self.report()
    }

    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn tell(&mut self, input: Input) {
        let now = self.now_us();
        self.core.handle_input(now, input);
    }

    fn player(&mut self, input: PlayerInput) {
        let now = self.now_us();
        self.core.handle_player(now, input);
    }

    fn tick(&mut self) {
        let left = self.readers.left();
        left.into_iter().for_each(|segment| self.want(segment));
        self.drop_excess();
    }

    fn so_far(&self) -> SoFar {
        let Report { bytes, sent_bytes, .. } = self.report();
        SoFar { bytes, sent_bytes, links: self.links.count() as u32 }
    }

    fn report(&self) -> Report {
        Report {
            peer_bytes_by_transport: self.links.traffic.clone(),
            links: self.links.total,
            peers_banned: self.banned.iter().map(KeyId::to_string).collect(),
            ..Report::of_totals(&self.core.totals())
        }
    }

    fn policy_changed(&mut self) {
        let policy = *self.policies.borrow_and_update();
        let before = std::mem::replace(&mut self.policy, policy);
        if before.sharing != policy.sharing {
            for (_, link) in self.links.all() {
                for (number, rendition) in self.library.shelves() {
                    link.introduce(&self.stream, number, rendition, policy.sharing);
                }
            }
            self.network.announcer.changed();
        }
        self.tell(Input::Policy(policy));
    }

    // Who reads.

    fn read(&mut self, Reading { entry, url, deadline, pieces }: Reading) {
        let rendition = Rendition { epoch: entry.place.epoch, path: entry.place.rendition.clone() };
        let Some(shelf) = self.library.shelf_of(&rendition).or_else(|| self.add_shelf(rendition)) else {
            // The reader sees that nothing comes.
            return tracing::debug!(stream = %self.stream, "more renditions than a link can speak of");
        };
        let sequence = entry.place.sequence;
        let known = self.library.find(shelf, sequence, &url);
        let Some(segment) = known.or_else(|| {
            self.drop_excess();
            let segment = self.library.add(shelf, &entry, url)?;
            self.tell_of_segment(segment);
            Some(segment)
        }) else {
            return;
        };
        let deadline_us = deadline.saturating_duration_since(self.started).as_micros() as u64;
        self.readers.add(segment, deadline_us, pieces);
        self.readers.hand_on(segment, &self.library);
        self.want(segment);
    }

    fn add_shelf(&mut self, rendition: Rendition) -> Option<usize> {
        let number = self.library.add_shelf(rendition.clone())?;
        for (_, link) in self.links.all() {
            link.introduce(&self.stream, number, &rendition, self.policy.sharing);
        }
        Some(number)
    }

    /// The core learns of a segment, and what neighbours said of it when it was unknown.
    fn tell_of_segment(&mut self, number: SegmentIndex) {
        let Some(segment) = self.library.segment(number) else { return };
        let order = segment.pieces.first().map_or(0, |piece| piece.id.0.prefix32());
        let piece_bytes = segment.pieces.iter().map(|piece| piece.bytes).collect();
        let rendition = self.library.shelves().find(|(shelf, _)| *shelf == segment.shelf);
        let held = rendition.into_iter().flat_map(|(_, rendition)| {
            self.links.all().map(|(link, known)| (link, known.holds(rendition, &segment.span())))
        });
        let local = |ranges: Vec<_>| ranges.iter().filter_map(|range| segment.local(number, range)).collect();
        let held: Vec<(LinkId, Vec<_>)> = held.map(|(link, ranges)| (link, local(ranges))).collect();
        self.player(PlayerInput::Segment { segment: number, order, piece_bytes });
        for (link, ranges) in held.into_iter().filter(|(_, ranges)| !ranges.is_empty()) {
            self.tell(Input::Have { link, ranges });
        }
        for link in self.links.all().map(|(link, _)| link).collect::<Vec<_>>() {
            self.tell_fetching(link);
        }
    }

    /// Wants a segment for the reader who needs it first, or no longer.
    fn want(&mut self, segment: SegmentIndex) {
        self.player(match self.readers.deadline_us(segment) {
            Some(deadline_us) => PlayerInput::Want { segment, deadline_us },
            None => PlayerInput::Unwant { segment },
        });
    }

    fn arrived(&mut self, position: u32) {
        let (segment, _) = place(position);
        self.readers.hand_on(segment, &self.library);
        if self.readers.deadline_us(segment).is_none() {
            self.want(segment);
        }
    }

    fn drop_excess(&mut self) {
        for segment in self.library.excess(&self.readers.segments(), SEGMENTS_MAX - 1) {
            self.player(PlayerInput::Forget { segment });
            // What the core says of it has to be sent while it is known where that was.
            self.carry_out();
            self.library.drop_segment(segment);
        }
    }

    // What links say.

    fn link_event(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::LinkUp { link, handle, peer } => {
                tracing::debug!(peer = %peer.peer, stream = %self.stream, "link up");
                let (locality, rtt_us) = (peer.locality, peer.rtt.as_micros() as u64);
                let order = peer.key.0.prefix32();
                self.links.up(link, handle, peer);
                let known = self.links.get(link).expect("it is up");
                for (number, rendition) in self.library.shelves() {
                    known.introduce(&self.stream, number, rendition, self.policy.sharing);
                }
                self.tell(Input::LinkUp { link, locality, rtt_us });
                self.player(PlayerInput::PeerOrder { link, order });
            }
            TransportEvent::Frame { link, frame } => self.frame(link, frame),
            TransportEvent::Progress { request, bytes, .. } => {
                if self.requests.contains_key(&request) {
                    self.tell(Input::Progress { request, bytes });
                }
            }
            TransportEvent::Answer { link, request, answer } => self.answer(link, request, answer),
            TransportEvent::Asked { link, asked } => self.asked(link, asked),
            TransportEvent::AskCancelled { link, request } => {
                self.links.answered(link, request);
                self.tell(Input::PeerCancel { link, request });
            }
            TransportEvent::Sent { link, request, bytes } => {
                if let Some(traffic) = self.links.traffic(link) {
                    traffic.sent += u64::from(bytes);
                }
                self.tell(Input::Sent { link, request, bytes });
            }
            TransportEvent::LinkDown { link, reason } => {
                if let Some(gone) = self.links.down(link) {
                    tracing::debug!(peer = %gone.peer.peer, %reason, "link down");
                    self.link_is_gone(link);
                }
            }
            // The network has seen to these.
            TransportEvent::DialFailed { .. } | TransportEvent::Signal { .. } => {}
        }
    }

    fn link_is_gone(&mut self, link: LinkId) {
        self.requests.retain(|_, (owner, _)| *owner != link);
        self.tell(Input::LinkDown { link });
    }

    fn frame(&mut self, link: LinkId, frame: Frame) {
        match frame {
            Frame::Rendition { release, stream, epoch, rendition, .. } => {
                let rendition = (stream == self.stream).then_some(Rendition { epoch, path: rendition });
                self.named(link, release, rendition);
            }
            Frame::Release { release, .. } => self.named(link, release, None),
            Frame::Have { release, ranges } => self.said(link, Word::Have, release, &ranges),
            Frame::Withdraw { release, ranges } => self.said(link, Word::Withdraw, release, &ranges),
            Frame::Fetching { release, ranges } => self.said(link, Word::Fetching, release, &ranges),
            Frame::Entry { entry } => self.entry(&entry, Some(link)),
            // Of no interest here.
            _ => {}
        }
    }

    fn named(&mut self, link: LinkId, number: u64, rendition: Option<Rendition>) {
        let Some(known) = self.links.get_mut(link) else { return };
        let Some(before) = known.name(number, rendition) else { return };
        if let Some(shelf) = self.library.shelf_of(&before) {
            let ranges = self.library.of_wire(shelf, &[0..u64::MAX]);
            self.tell(Input::Withdraw { link, ranges });
            self.tell_fetching(link);
        }
    }

    fn said(&mut self, link: LinkId, word: Word, number: u64, ranges: &[std::ops::Range<u64>]) {
        let Some(known) = self.links.get_mut(link) else { return };
        let Some(rendition) = known.says(number, word, ranges) else { return };
        let shelf = self.library.shelf_of(&rendition);
        // Also a word about what is not known here is one: the peer has spoken.
        let ranges = shelf.map_or_else(Vec::new, |shelf| self.library.of_wire(shelf, ranges));
        match word {
            Word::Have => self.tell(Input::Have { link, ranges }),
            Word::Withdraw => self.tell(Input::Withdraw { link, ranges }),
            Word::Fetching => self.tell_fetching(link),
        }
    }

    /// A frame about what is fetched replaces the one before of the same rendition; the core hears of all together.
    fn tell_fetching(&mut self, link: LinkId) {
        let Some(known) = self.links.get(link) else { return };
        let local = |(rendition, ranges): (&Rendition, &[_])| {
            let shelf = self.library.shelf_of(rendition)?;
            Some(self.library.of_wire(shelf, ranges))
        };
        let mut ranges: Vec<_> = known.fetches().filter_map(local).flatten().collect();
        ranges.sort_unstable_by_key(|range| range.start);
        self.tell(Input::Fetching { link, ranges });
    }

    /// An entry that somebody pushed; what is news is passed on.
    fn entry(&mut self, entry: &[u8], from: Option<LinkId>) {
        match self.entries.take(entry) {
            Ok(true) if self.policy.sharing => {
                let others = self.links.all().filter(|(link, _)| Some(*link) != from);
                others.for_each(|(_, link)| link.handle.send(Frame::Entry { entry: entry.to_vec() }));
            }
            Ok(_) => {}
            // It goes no further.
            Err(error) => tracing::debug!(%error, "an entry is of no use"),
        }
    }

    fn answer(&mut self, link: LinkId, request: RequestId, answer: Answer) {
        let Some((_, position)) = self.requests.remove(&request) else { return };
        let end = match answer {
            Answer::Verified(chunk) => {
                if let Some(traffic) = self.links.traffic(link) {
                    traffic.received += chunk.bytes().len() as u64;
                }
                self.library.put(position, &chunk);
                self.tell(Input::RequestEnded { request, end: RequestEnd::Verified });
                return self.arrived(position);
            }
            Answer::Corrupt { .. } => RequestEnd::Corrupt,
            Answer::Refused(reason) => RequestEnd::Refused(reason.into()),
            // The core asks for chunks alone.
            Answer::Failed { .. } | Answer::Blob(_) => RequestEnd::Failed,
        };
        self.tell(Input::RequestEnded { request, end });
    }

    fn asked(&mut self, link: LinkId, asked: Request) {
        let Some(handle) = self.links.get(link).map(|link| link.handle.clone()) else { return };
        let chunk = match asked.kind {
            BlobKind::Chunk => self.library.position_of(ChunkId(asked.hash)),
            BlobKind::Page | BlobKind::Root => None,
        };
        let Some(chunk) = chunk else { return handle.refuse(asked.request, RefuseReason::NotHeld) };
        match self.links.asked(link, asked) {
            Ok(()) => self.tell(Input::PeerRequest { link, request: asked.request, chunk }),
            Err(reason) => handle.refuse(asked.request, reason),
        }
    }

    // The tracker.

    fn tracker_event(&mut self, event: TrackerEvent) {
        if let TrackerEvent::Message(ServerMessage::Entry { content, entry }) = &event {
            if *content == self.stream {
                self.entry(&entry.0, None);
            }
            return;
        }
        if self.network.tracker_event(event) == Some(Input::TrackerUp) {
            self.announce();
        }
    }

    fn announce(&mut self) {
        let SwarmId(swarm) = SwarmId::of_content(&self.stream);
        let standing = Standing {
            // Who watches a stream has no release.
            span: Span { id: RootId(swarm), positions: 0..0 },
            left_bytes: 1,
            sharing: self.policy.sharing,
            links: self.links.count(),
        };
        self.network.announce(&standing, &Positions::new(0));
    }

    // Out of the core.

    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Request { link, request, chunk } => {
                    let piece = self.library.piece(chunk);
                    if let (Some(known), Some(piece)) = (self.links.get(link), piece) {
                        known.handle.request(request, BlobKind::Chunk, piece.id.0, piece.bytes);
                        self.requests.insert(request, (link, chunk));
                    }
                }
                Output::Cancel { request } => {
                    if let Some((link, _)) = self.requests.remove(&request)
                        && let Some(known) = self.links.get(link)
                    {
                        known.handle.cancel(request);
                    }
                }
                Output::FetchOrigin { fetch, first, count, .. } => self.fetch(fetch, first, count),
                Output::CancelOrigin { fetch } => {
                    if let Some((_, task)) = self.fetches.remove(&fetch) {
                        task.abort();
                    }
                }
                Output::SendHave { link, ranges } => self.send(Word::Have, link, &ranges),
                Output::SendWithdraw { ranges } => self.send(Word::Withdraw, None, &ranges),
                Output::SendFetching { ranges } => self.send(Word::Fetching, None, &ranges),
                Output::Serve { link, request, chunk } => self.serve(link, request, chunk),
                Output::Refuse { link, request, reason } => {
                    if let Some((handle, _)) = self.links.answered(link, request) {
                        handle.refuse(request, reason.into());
                    }
                }
                Output::DropLink { link, reason } => self.drop_link(link, reason),
                // A stream has neither shards nor an end.
                Output::AskShards { .. } | Output::Complete => {}
            }
        }
    }

    fn send(&self, word: Word, to: Option<LinkId>, ranges: &[std::ops::Range<u32>]) {
        let by_shelf = self.library.on_wire(ranges);
        for (_, link) in self.links.all().filter(|(link, _)| to.is_none_or(|to| to == *link)) {
            for (shelf, ranges) in by_shelf.iter().enumerate() {
                // An empty word about what is fetched ends the one before; to a new link it says that nothing is held.
                if !ranges.is_empty() || word == Word::Fetching || to.is_some() {
                    link.send(word, shelf as u64, ranges);
                }
            }
        }
    }

    fn serve(&mut self, link: LinkId, request: u64, chunk: u32) {
        let Some((handle, asked)) = self.links.answered(link, request) else { return };
        match self.library.bytes(chunk) {
            Some(bytes) => handle.serve(request, bytes.slice((asked.offset as usize).min(bytes.len())..)),
            None => {
                handle.refuse(request, RefuseReason::NotHeld);
                self.tell(Input::Sent { link, request, bytes: 0 });
            }
        }
    }

    fn drop_link(&mut self, link: LinkId, reason: DropReason) {
        let Some(gone) = self.links.down(link) else { return };
        self.requests.retain(|_, (owner, _)| *owner != link);
        match reason {
            DropReason::Corrupt => {
                tracing::warn!(peer = %gone.peer.peer, key = %gone.peer.key, "peer sent wrong bytes, banned");
                gone.handle.close("sent bytes that do not match their hash");
                if self.banned.len() < BANNED_NAMED_MAX {
                    self.banned.push(gone.peer.key);
                }
                self.network.transport.ban(gone.peer.key);
            }
            DropReason::Misbehaved => gone.handle.close("no place for another link"),
        }
    }

    // The origin.

    fn fetch(&mut self, fetch: FetchId, first: u32, count: u32) {
        let (number, piece) = place(first);
        let Some(segment) = self.library.segment(number) else {
            return self.tell(Input::OriginEnded { fetch, end: FetchEnd::Complete });
        };
        let pieces = piece..piece + count as usize;
        let run = PieceRun {
            fetch,
            first,
            path: segment.url.clone(),
            bytes: segment.bytes_of(pieces.clone()),
            pieces: segment.pieces[pieces].iter().map(|piece| (piece.id, piece.bytes)).collect(),
        };
        let task = run.start(self.origin.clone(), self.runs.clone());
        self.fetches.insert(fetch, (number, task.abort_handle()));
    }

    fn run_event(&mut self, event: RunEvent) {
        match event {
            RunEvent::Progress { fetch, bytes } => {
                if self.fetches.contains_key(&fetch) {
                    self.tell(Input::OriginProgress { fetch, bytes });
                }
            }
            RunEvent::Chunk { fetch, position, chunk } => self.origin_piece(fetch, position, chunk),
            RunEvent::Ended { fetch, result } => {
                let Some((segment, _)) = self.fetches.remove(&fetch) else { return };
                let end = match result {
                    Ok(()) => FetchEnd::Complete,
                    Err(error) => {
                        tracing::debug!(%error, stream = %self.stream, "origin fetch failed");
                        let retry_after_us = error.retry_after.map(|wait| wait.as_micros() as u64);
                        FetchEnd::Failed { retry_after_us }
                    }
                };
                let is_failed = end != FetchEnd::Complete;
                self.tell(Input::OriginEnded { fetch, end });
                if is_failed {
                    self.readers.failed(segment);
                    self.want(segment);
                }
            }
        }
    }

    fn origin_piece(&mut self, fetch: FetchId, position: u32, chunk: Option<VerifiedChunk>) {
        if !self.fetches.contains_key(&fetch) {
            return;
        }
        let verified = chunk.is_some();
        if let Some(chunk) = &chunk {
            self.library.put(position, chunk);
        }
        self.tell(Input::OriginChunk { fetch, chunk: position, verified });
        if verified {
            self.arrived(position);
        } else {
            // However many pieces are wrong, it is one answer that is; its end says so.
            tracing::warn!(stream = %self.stream, "the origin sends other bytes than were signed");
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
