//! A small world around one core: an origin and peers that answer after a while, well or badly, as a seed says.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use freshet_protocol::Locality;
use freshet_swarm::{
    Core, CoreConfig, FetchEnd, FetchId, Goal, Input, LinkId, Output, Policy, Refusal, RequestEnd, RequestId,
};

/// A seeded sequence (splitmix64, Steele et al. 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % bound.max(1)
    }
}

pub(crate) const CHUNK_BYTES: u32 = 100_000;

pub(crate) fn config(chunks: u32, seed: u32) -> CoreConfig {
    CoreConfig {
        chunk_bytes: vec![CHUNK_BYTES; chunks as usize].into(),
        wanted: vec![0..chunks],
        held: Vec::new(),
        leased: None,
        policy: Policy { sharing: true, goal: Goal::Offload, ..Policy::default() },
        has_tracker: false,
        is_alone: false,
        seed,
    }
}

/// The world's side of everything the core has asked for and not heard of.
pub(crate) struct World {
    pub(crate) core: Core,
    /// All that the core was told, and when.
    pub(crate) told: Vec<(u64, Input)>,
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) requests: BTreeMap<RequestId, (LinkId, u32)>,
    pub(crate) fetches: BTreeMap<FetchId, Range<u32>>,
    pub(crate) links: BTreeMap<LinkId, BTreeSet<u32>>,
    pub(crate) serving: BTreeSet<(LinkId, u64)>,
    pub(crate) refused: BTreeMap<(LinkId, u64), freshet_swarm::ServeRefusal>,
    pub(crate) held: BTreeSet<u32>,
    pub(crate) is_complete: bool,
    pub(crate) received_bytes: u64,
    pub(crate) fetched_ranges: Vec<Range<u32>>,
    next_link: u64,
}

impl World {
    pub(crate) fn new(config: CoreConfig, seed: u64) -> Self {
        let held = config.held.iter().cloned().flatten().collect();
        let mut world = Self {
            core: Core::new(0, config),
            told: Vec::new(),
            now: 0,
            random: Random(seed),
            requests: BTreeMap::new(),
            fetches: BTreeMap::new(),
            links: BTreeMap::new(),
            serving: BTreeSet::new(),
            refused: BTreeMap::new(),
            held,
            is_complete: false,
            received_bytes: 0,
            fetched_ranges: Vec::new(),
            next_link: 0,
        };
        world.drain();
        world
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.told.push((self.now, input.clone()));
        self.core.handle_input(self.now, input);
        self.drain();
    }

    pub(crate) fn advance(&mut self, by_us: u64) {
        let end = self.now + by_us;
        while let Some(at) = self.core.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn link(&mut self, holds: Vec<Range<u32>>) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(link, holds.iter().cloned().flatten().collect());
        self.input(Input::LinkUp { link, locality: Locality::Any, rtt_us: 1_000 });
        if self.links.contains_key(&link) {
            self.input(Input::Have { link, ranges: holds });
        }
        link
    }

    pub(crate) fn end_request(&mut self, request: RequestId, end: RequestEnd) {
        let Some((_, chunk)) = self.requests.remove(&request) else { return };
        if end == RequestEnd::Verified {
            self.arrived(chunk);
        }
        if end == RequestEnd::Corrupt {
            self.received_bytes += u64::from(CHUNK_BYTES);
        }
        self.input(Input::RequestEnded { request, end });
    }

    fn arrived(&mut self, chunk: u32) {
        self.received_bytes += u64::from(CHUNK_BYTES);
        self.held.insert(chunk);
    }

    /// Delivers the next chunk of an origin fetch, and its end after the last.
    pub(crate) fn serve_origin(&mut self, fetch: FetchId, verified: bool) {
        let Some(range) = self.fetches.get_mut(&fetch) else { return };
        let chunk = range.start;
        range.start += 1;
        let is_last = range.start == range.end;
        if is_last {
            self.fetches.remove(&fetch);
        }
        if verified {
            self.arrived(chunk);
        } else {
            self.received_bytes += u64::from(CHUNK_BYTES);
        }
        self.input(Input::OriginChunk { fetch, chunk, verified });
        if is_last {
            self.input(Input::OriginEnded { fetch, end: FetchEnd::Complete });
        }
    }

    pub(crate) fn fail_origin(&mut self, fetch: FetchId) {
        if self.fetches.remove(&fetch).is_some() {
            self.input(Input::OriginEnded { fetch, end: FetchEnd::Failed { retry_after_us: None } });
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.check(output);
        }
    }

    /// What every output must keep to.
    fn check(&mut self, output: Output) {
        match output {
            Output::Request { link, request, chunk } => {
                assert!(!self.held.contains(&chunk), "asked for what is held");
                assert!(self.links[&link].contains(&chunk), "asked a peer for what it lacks");
                let on_chunk = self.requests.values().filter(|(_, asked)| *asked == chunk).count();
                assert!(on_chunk < 2, "more than one duplicate");
                assert!(
                    !self.requests.values().any(|&asked| asked == (link, chunk)),
                    "asked twice on one link"
                );
                assert!(self.requests.insert(request, (link, chunk)).is_none());
                let on_link = self.requests.values().filter(|(asked, _)| *asked == link).count();
                assert!(on_link <= freshet_swarm::limits::DEPTH_MAX as usize);
            }
            Output::Cancel { request } => assert!(self.requests.remove(&request).is_some()),
            Output::FetchOrigin { fetch, first, count, .. } => {
                assert!(count > 0 && !(first..first + count).any(|chunk| self.held.contains(&chunk)));
                assert!(self.fetches.insert(fetch, first..first + count).is_none());
                assert!(self.fetches.len() <= freshet_swarm::limits::FETCHES_MAX);
                self.fetched_ranges.push(first..first + count);
            }
            Output::CancelOrigin { fetch } => assert!(self.fetches.remove(&fetch).is_some(), "{fetch:?}"),
            Output::SendHave { ranges, .. } => {
                assert!(ranges.into_iter().flatten().all(|chunk| self.held.contains(&chunk)));
            }
            Output::Serve { link, request, chunk } => {
                assert!(self.held.contains(&chunk), "serves what it does not hold");
                assert!(self.serving.insert((link, request)));
                assert!(self.serving.len() <= freshet_swarm::limits::SLOTS_MAX as usize);
            }
            Output::Refuse { link, request, reason } => {
                self.refused.insert((link, request), reason);
            }
            Output::DropLink { link, .. } => self.unlink(link),
            Output::Complete => {
                assert!(!std::mem::replace(&mut self.is_complete, true), "completes once");
                assert!(self.requests.is_empty() && self.fetches.is_empty(), "nothing is left in flight");
            }
            Output::SendWithdraw { .. } | Output::SendFetching { .. } | Output::AskShards { .. } => {}
        }
    }

    pub(crate) fn unlink(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.requests.retain(|_, (asked, _)| *asked != link);
        self.serving.retain(|(served, _)| *served != link);
    }

    pub(crate) fn drop_link(&mut self, link: LinkId) {
        self.unlink(link);
        self.input(Input::LinkDown { link });
    }

    /// One random event.
    pub(crate) fn step(&mut self, chunks: u32) {
        let dice = self.random.below(100);
        let time = self.random.below(60_000);
        self.advance(time);
        let request = nth(self.requests.keys().copied(), self.random.below(1 << 30));
        let fetch = nth(self.fetches.keys().copied(), self.random.below(1 << 30));
        let link = nth(self.links.keys().copied(), self.random.below(1 << 30));
        match dice {
            0..40 => request.into_iter().for_each(|request| self.end_request(request, RequestEnd::Verified)),
            40..42 => request.into_iter().for_each(|request| self.end_request(request, RequestEnd::Corrupt)),
            42..45 => request.into_iter().for_each(|request| self.end_request(request, RequestEnd::Failed)),
            45..48 => {
                let refusal =
                    [Refusal::NotHeld, Refusal::Busy, Refusal::Exhausted][self.random.below(3) as usize];
                if let Some(request) = request {
                    if let (Refusal::NotHeld, Some((link, chunk))) =
                        (refusal, self.requests.get(&request).copied())
                    {
                        self.links.get_mut(&link).unwrap().remove(&chunk);
                    }
                    self.end_request(request, RequestEnd::Refused(refusal));
                }
            }
            48..70 => fetch.into_iter().for_each(|fetch| self.serve_origin(fetch, true)),
            70..72 => fetch.into_iter().for_each(|fetch| self.serve_origin(fetch, false)),
            72..74 => fetch.into_iter().for_each(|fetch| self.fail_origin(fetch)),
            74..80 if self.links.len() < 12 => {
                let start = self.random.below(u64::from(chunks)) as u32;
                let end = start + 1 + self.random.below(u64::from(chunks - start)) as u32;
                self.link(vec![start..end]);
            }
            80..83 => link.into_iter().for_each(|link| self.drop_link(link)),
            83..92 => {
                if let Some(link) = link {
                    let request = self.random.below(1 << 40);
                    let chunk = self.random.below(u64::from(chunks) + 1) as u32;
                    self.input(Input::PeerRequest { link, request, chunk });
                }
            }
            92..98 => {
                let served = nth(self.serving.iter().copied(), self.random.below(1 << 30));
                if let Some((link, request)) = served {
                    self.serving.remove(&(link, request));
                    self.input(Input::Sent { link, request, bytes: CHUNK_BYTES });
                }
            }
            _ => self.advance(3_000_000),
        }
    }
}

fn nth<T>(items: impl Iterator<Item = T>, at: u64) -> Option<T> {
    let items: Vec<T> = items.collect();
    let len = items.len() as u64;
    items.into_iter().nth((at % len.max(1)) as usize)
}
