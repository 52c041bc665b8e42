//! An audience in simulated time: several cores of one stream with players, lines and an origin between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;

use freshet_protocol::Locality;
use freshet_swarm::{
    FetchEnd, FetchId, Input, LinkId, MediaConfig, MediaCore, Output, PlayerInput, Policy, Refusal,
    RequestEnd, RequestId, ServeRefusal,
};

const SECOND_US: u64 = 1_000_000;
/// Six pieces, 375 kB: two seconds at 1.5 Mbit/s.
const PIECES: [u32; 6] = [65_536, 65_536, 65_536, 65_536, 65_536, 47_320];
const PIECES_MAX: u32 = 1024;
const SEGMENT_US: u64 = 2 * SECOND_US;
/// What a player keeps ahead at most, as hls.js does.
const BUFFER_US_MAX: u64 = 30 * SECOND_US;

/// How an audience watches.
#[derive(Debug, Clone)]
pub(crate) struct Show {
    pub(crate) viewers: u32,
    pub(crate) segments: u32,
    /// Time between two viewers' coming.
    pub(crate) join_us: u64,
    /// Whether segments come into being one by one, from time zero on; viewers begin three behind the newest.
    pub(crate) is_live: bool,
    pub(crate) uplink_bytes_s: u64,
    pub(crate) origin_bytes_s: u64,
    pub(crate) origin_delay_us: u64,
    /// One way between two viewers.
    pub(crate) delay_us: u64,
    /// From a viewer's coming until it is linked to those who are there.
    pub(crate) link_us: u64,
    /// A viewer that hands out wrong bytes.
    pub(crate) liar: Option<u32>,
    pub(crate) policy: Policy,
    pub(crate) seed: u32,
}

impl Default for Show {
    fn default() -> Self {
        Self {
            viewers: 5,
            segments: 30,
            join_us: 4 * SECOND_US,
            is_live: false,
            uplink_bytes_s: 2_500_000,
            origin_bytes_s: 12_500_000,
            origin_delay_us: 20_000,
            delay_us: 5_000,
            link_us: 120_000,
            liar: None,
            policy: Policy { sharing: true, ..Policy::default() },
            seed: 1,
        }
    }
}

/// What became of a viewer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Viewed {
    pub(crate) startup_us: u64,
    pub(crate) stalls: u32,
    pub(crate) stalled_us: u64,
    pub(crate) is_finished: bool,
}

#[derive(Debug, Clone)]
enum Event {
    Join(u32),
    Link(u32),
    Timer(u32),
    Player(u32),
    Input(u32, Input),
    OriginPiece { viewer: u32, fetch: FetchId, chunk: u32 },
    OriginEnd { viewer: u32, fetch: FetchId },
    Served { server: u32, link: LinkId, request: u64, chunk: u32 },
}

struct Player {
    next: u32,
    end: u32,
    wanted: Option<u32>,
    /// Media that was delivered, and how much of it was played up to `looked_us`.
    delivered_us: u64,
    played_us: u64,
    looked_us: u64,
    is_playing: bool,
    joined_us: u64,
    viewed: Viewed,
}

struct Viewer {
    core: MediaCore,
    player: Player,
    held: BTreeSet<u32>,
    requests: BTreeMap<RequestId, (LinkId, u32)>,
    fetches: BTreeSet<FetchId>,
    links: BTreeSet<LinkId>,
    uplink_free_us: u64,
    timer_us: Option<u64>,
    known: u32,
    /// All that the core was told, and when.
    told: Vec<(u64, Told)>,
}

/// An input of either kind.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Told {
    Swarm(Input),
    Player(PlayerInput),
}

pub(crate) struct Audience {
    show: Show,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    bodies: BTreeMap<u64, Event>,
    next_event: u64,
    viewers: Vec<Option<Viewer>>,
    origin_free_us: u64,
    pub(crate) origin_bytes: u64,
    pub(crate) wrong_bytes: u64,
    pub(crate) dropped: Vec<(u32, u32)>,
}

impl Audience {
    /// Plays the show to its end.
    pub(crate) fn watch(show: Show) -> Self {
        let viewers = (0..show.viewers).map(|_| None).collect();
        let mut audience = Self {
            show,
            now: 0,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            next_event: 0,
            viewers,
            origin_free_us: 0,
            origin_bytes: 0,
            wrong_bytes: 0,
            dropped: Vec::new(),
        };
        let start_us = if audience.show.is_live { 4 * SEGMENT_US } else { 0 };
        for viewer in 0..audience.show.viewers {
            audience.at(start_us + u64::from(viewer) * audience.show.join_us, Event::Join(viewer));
        }
        let end_us = 20 * 60 * SECOND_US;
        while let Some(Reverse((at, number))) = audience.events.pop().filter(|event| event.0.0 < end_us) {
            audience.now = at;
            let event = audience.bodies.remove(&number).expect("each event has a body");
            audience.happen(event);
        }
        audience
    }

    pub(crate) fn viewed(&self) -> Vec<Viewed> {
        self.viewers.iter().flatten().map(|viewer| viewer.player.viewed.clone()).collect()
    }

    /// Share of the delivered bytes that did not come from the origin, in thousandths.
    pub(crate) fn offload_permille(&self) -> u64 {
        let segments: u64 = self.viewers.iter().flatten().map(|viewer| u64::from(viewer.player.next)).sum();
        let first: u64 =
            self.viewers.iter().flatten().map(|viewer| u64::from(viewer.player.first(&self.show))).sum();
        let delivered = (segments - first) * PIECES.iter().map(|&bytes| u64::from(bytes)).sum::<u64>();
        1000 - (self.origin_bytes * 1000).div_ceil(delivered).min(1000)
    }

    pub(crate) fn core(&self, viewer: u32) -> &MediaCore {
        &self.viewers[viewer as usize].as_ref().expect("everybody came").core
    }

    pub(crate) fn config(&self, viewer: u32) -> MediaConfig {
        MediaConfig { policy: self.show.policy, order: self.order(viewer) }
    }

    /// A viewer's place among the others.
    fn order(&self, viewer: u32) -> u32 {
        (viewer + 1).wrapping_mul(0x9e37_79b9) ^ self.show.seed
    }

    pub(crate) fn told(&self, viewer: u32) -> &[(u64, Told)] {
        &self.viewers[viewer as usize].as_ref().expect("everybody came").told
    }

    fn at(&mut self, time: u64, event: Event) {
        self.events.push(Reverse((time, self.next_event)));
        self.bodies.insert(self.next_event, event);
        self.next_event += 1;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Join(viewer) => self.join(viewer),
            Event::Link(viewer) => self.link(viewer),
            Event::Timer(viewer) => {
                let now = self.now;
                let state = self.viewer(viewer);
                if state.timer_us == Some(now) {
                    state.timer_us = None;
                    state.core.handle_timeout(now);
                    self.carry_out(viewer);
                }
            }
            Event::Player(viewer) => self.look(viewer),
            Event::Input(viewer, input) => self.input(viewer, input),
            Event::OriginPiece { viewer, fetch, chunk } => {
                if self.viewer(viewer).fetches.contains(&fetch) {
                    self.arrived(viewer, chunk);
                    self.input(viewer, Input::OriginProgress { fetch, bytes: bytes_of(chunk) });
                    self.input(viewer, Input::OriginChunk { fetch, chunk, verified: true });
                    self.look(viewer);
                }
            }
            Event::OriginEnd { viewer, fetch } => {
                if self.viewer(viewer).fetches.remove(&fetch) {
                    self.input(viewer, Input::OriginEnded { fetch, end: FetchEnd::Complete });
                }
            }
            Event::Served { server, link, request, chunk } => self.served(server, link, request, chunk),
        }
    }

    fn viewer(&mut self, viewer: u32) -> &mut Viewer {
        self.viewers[viewer as usize].as_mut().expect("only those who came are spoken of")
    }

    fn join(&mut self, number: u32) {
        let now = self.now;
        let newest = (now / SEGMENT_US) as u32;
        let (next, end) = if self.show.is_live {
            (newest.saturating_sub(3), self.show.segments)
        } else {
            (0, self.show.segments)
        };
        let player = Player {
            next,
            end,
            wanted: None,
            delivered_us: 0,
            played_us: 0,
            looked_us: now,
            is_playing: false,
            joined_us: now,
            viewed: Viewed::default(),
        };
        self.viewers[number as usize] = Some(Viewer {
            core: MediaCore::new(now, self.config(number)),
            player,
            held: BTreeSet::new(),
            requests: BTreeMap::new(),
            fetches: BTreeSet::new(),
            links: BTreeSet::new(),
            uplink_free_us: 0,
            timer_us: None,
            known: next,
            told: Vec::new(),
        });
        self.at(now + self.show.link_us, Event::Link(number));
        // A player has its playlist a little later.
        self.at(now + 60_000, Event::Player(number));
    }

    /// Links a newcomer to everybody who is linked.
    fn link(&mut self, number: u32) {
        let others: Vec<u32> = (0..self.show.viewers)
            .filter(|&other| other != number && self.viewers[other as usize].is_some())
            .collect();
        for other in others {
            for (own, theirs) in [(number, other), (other, number)] {
                let link = LinkId(u64::from(theirs));
                if self.viewer(own).links.insert(link) {
                    let rtt_us = 2 * self.show.delay_us;
                    self.input(own, Input::LinkUp { link, locality: Locality::Any, rtt_us });
                    let order = self.order(theirs);
                    self.player_input(own, PlayerInput::PeerOrder { link, order });
                }
            }
        }
    }

    /// Lets a player play up to now, and ask for its next segment.
    fn look(&mut self, number: u32) {
        let now = self.now;
        let is_live = self.show.is_live;
        let newest = if is_live { (now / SEGMENT_US) as u32 } else { self.show.segments };
        let state = self.viewer(number);
        let player = &mut state.player;
        if let Some(wanted) = player.wanted {
            let is_whole =
                (0..PIECES.len() as u32).all(|piece| state.held.contains(&(wanted * PIECES_MAX + piece)));
            player.play(now);
            if is_whole {
                player.wanted = None;
                player.next = wanted + 1;
                player.delivered_us += SEGMENT_US;
                player.start(now);
            }
        } else {
            player.play(now);
        }
        if player.next == player.end {
            player.viewed.is_finished = true;
            return;
        }
        let buffer_us = player.delivered_us - player.played_us;
        if player.wanted.is_none() && buffer_us < BUFFER_US_MAX && player.next < newest {
            let segment = player.next;
            player.wanted = Some(segment);
            self.learn(number, segment + 1);
            self.player_input(number, PlayerInput::Want { segment, deadline_us: now + buffer_us });
        }
        let wakes = self.viewer(number).player.wanted.is_none();
        if wakes {
            self.at(now + 100_000, Event::Player(number));
        }
    }

    /// A viewer knows the entries of all segments before `end`.
    fn learn(&mut self, number: u32, end: u32) {
        let ahead = if self.show.is_live { end } else { self.show.segments };
        let known = std::mem::replace(&mut self.viewer(number).known, ahead.max(end));
        for segment in known..ahead.max(end) {
            let order = (segment + 77).wrapping_mul(0x85eb_ca6b);
            let piece_bytes = PIECES.to_vec();
            self.player_input(number, PlayerInput::Segment { segment, order, piece_bytes });
        }
        // What neighbours said before was about segments that were unknown then.
        for other in 0..self.show.viewers {
            let Some(theirs) = self.viewers[other as usize].as_ref().filter(|_| other != number) else {
                continue;
            };
            let ranges = ranges_of(theirs.held.range(known * PIECES_MAX..));
            let link = LinkId(u64::from(other));
            if !ranges.is_empty() && self.viewer(number).links.contains(&link) {
                self.input(number, Input::Have { link, ranges });
            }
        }
    }

    fn input(&mut self, number: u32, input: Input) {
        let now = self.now;
        let state = self.viewer(number);
        state.told.push((now, Told::Swarm(input.clone())));
        state.core.handle_input(now, input);
        self.carry_out(number);
    }

    fn player_input(&mut self, number: u32, input: PlayerInput) {
        let now = self.now;
        let state = self.viewer(number);
        state.told.push((now, Told::Player(input.clone())));
        state.core.handle_player(now, input);
        self.carry_out(number);
    }

    fn carry_out(&mut self, number: u32) {
        while let Some(output) = self.viewer(number).core.poll_output() {
            self.output(number, output);
        }
        let due = self.viewer(number).core.poll_timeout().map(|due| due.max(self.now + 1));
        if let Some(due) = due.filter(|&due| self.viewer(number).timer_us != Some(due)) {
            self.viewer(number).timer_us = Some(due);
            self.at(due, Event::Timer(number));
        }
    }

    /// Tells a viewer after the way between two.
    fn later(&mut self, to: u32, input: Input) {
        self.at(self.now + self.show.delay_us, Event::Input(to, input));
    }

    fn others(&mut self, number: u32, link: Option<LinkId>) -> Vec<u32> {
        let links = &self.viewer(number).links;
        links
            .iter()
            .filter(|&&other| link.is_none_or(|link| link == other))
            .map(|other| other.0 as u32)
            .collect()
    }

    fn output(&mut self, number: u32, output: Output) {
        let own = LinkId(u64::from(number));
        match output {
            Output::Request { link, request, chunk } => {
                self.viewer(number).requests.insert(request, (link, chunk));
                self.later(link.0 as u32, Input::PeerRequest { link: own, request: request.0, chunk });
            }
            Output::Cancel { request } => {
                if let Some((link, _)) = self.viewer(number).requests.remove(&request) {
                    self.later(link.0 as u32, Input::PeerCancel { link: own, request: request.0 });
                }
            }
            Output::FetchOrigin { fetch, first, count, .. } => {
                self.fetch(number, fetch, first..first + count)
            }
            Output::CancelOrigin { fetch } => drop(self.viewer(number).fetches.remove(&fetch)),
            Output::SendHave { link, ranges } => {
                for other in self.others(number, link) {
                    self.later(other, Input::Have { link: own, ranges: ranges.clone() });
                }
            }
            Output::SendWithdraw { ranges } => {
                for other in self.others(number, None) {
                    self.later(other, Input::Withdraw { link: own, ranges: ranges.clone() });
                }
            }
            Output::SendFetching { ranges } => {
                for other in self.others(number, None) {
                    self.later(other, Input::Fetching { link: own, ranges: ranges.clone() });
                }
            }
            Output::Serve { link, request, chunk } => {
                let (now, rate) = (self.now, self.show.uplink_bytes_s);
                let state = self.viewer(number);
                let begin = state.uplink_free_us.max(now);
                state.uplink_free_us = begin + u64::from(bytes_of(chunk)) * SECOND_US / rate;
                let at = state.uplink_free_us;
                self.at(at, Event::Served { server: number, link, request, chunk });
            }
            Output::Refuse { link, request, reason } => {
                let refusal = match reason {
                    ServeRefusal::NotHeld => Refusal::NotHeld,
                    ServeRefusal::Busy => Refusal::Busy,
                    ServeRefusal::Budget | ServeRefusal::NotSharing => Refusal::Exhausted,
                };
                let (request, end) = (RequestId(request), RequestEnd::Refused(refusal));
                if self.viewer(link.0 as u32).requests.remove(&request).is_some() {
                    self.later(link.0 as u32, Input::RequestEnded { request, end });
                }
            }
            Output::DropLink { link, .. } => {
                let other = link.0 as u32;
                self.dropped.push((number, other));
                self.viewer(number).links.remove(&link);
                if self.viewer(other).links.remove(&own) {
                    self.later(other, Input::LinkDown { link: own });
                }
            }
            Output::AskShards { .. } | Output::Complete => panic!("a stream has no {output:?}"),
        }
    }

    fn fetch(&mut self, viewer: u32, fetch: FetchId, chunks: Range<u32>) {
        self.viewer(viewer).fetches.insert(fetch);
        let mut at = self.origin_free_us.max(self.now + self.show.origin_delay_us);
        for chunk in chunks {
            let bytes = u64::from(bytes_of(chunk));
            at += bytes * SECOND_US / self.show.origin_bytes_s;
            self.origin_bytes += bytes;
            self.at(at, Event::OriginPiece { viewer, fetch, chunk });
        }
        self.origin_free_us = at;
        self.at(at + 1, Event::OriginEnd { viewer, fetch });
    }

    fn served(&mut self, server: u32, link: LinkId, request: u64, chunk: u32) {
        let bytes = bytes_of(chunk);
        self.input(server, Input::Sent { link, request, bytes });
        let (reader, id) = (link.0 as u32, RequestId(request));
        let is_open = self.viewer(reader).requests.get(&id).is_some_and(|open| open.0.0 == u64::from(server));
        if !is_open {
            return;
        }
        self.viewer(reader).requests.remove(&id);
        let is_wrong = self.show.liar == Some(server);
        let end = if is_wrong { RequestEnd::Corrupt } else { RequestEnd::Verified };
        if is_wrong {
            self.wrong_bytes += u64::from(bytes);
        } else {
            self.arrived(reader, chunk);
        }
        self.input(reader, Input::RequestEnded { request: id, end });
        self.look(reader);
    }

    fn arrived(&mut self, viewer: u32, chunk: u32) {
        self.viewer(viewer).held.insert(chunk);
    }
}

impl Player {
    /// The first segment that was asked for.
    fn first(&self, show: &Show) -> u32 {
        if show.is_live { ((self.joined_us / SEGMENT_US) as u32).saturating_sub(3) } else { 0 }
    }

    fn play(&mut self, now: u64) {
        let elapsed = now - self.looked_us;
        self.looked_us = now;
        if !self.is_playing {
            if self.delivered_us > 0 {
                self.viewed.stalled_us += elapsed;
            }
            return;
        }
        let left = self.delivered_us - self.played_us;
        self.played_us += elapsed.min(left);
        if elapsed > left {
            self.is_playing = false;
            self.viewed.stalls += 1;
            self.viewed.stalled_us += elapsed - left;
        }
    }

    fn start(&mut self, now: u64) {
        if self.delivered_us == SEGMENT_US {
            self.viewed.startup_us = now - self.joined_us;
        }
        self.is_playing = true;
    }
}

fn bytes_of(chunk: u32) -> u32 {
    PIECES[(chunk % PIECES_MAX) as usize]
}

fn ranges_of<'a>(chunks: impl Iterator<Item = &'a u32>) -> Vec<Range<u32>> {
    freshet_protocol::ranges_of(chunks.copied())
}
