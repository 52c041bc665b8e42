//! The core of a large release with 30 links: its memory, and the processor time of its decisions. Runs as a process
//! of its own, so that nothing else is in the memory that is measured.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result};
use freshet_protocol::Locality;
use freshet_swarm::{
    Core, CoreConfig, FetchEnd, FetchId, Goal, Input, LinkId, Output, Policy, RequestEnd, RequestId,
};
use serde::{Deserialize, Serialize};

use super::{CHUNK_BYTES, CHUNKS, LINKS};
use crate::cli::cpu_s;
use crate::random::Random;

/// Decisions whose processor time is measured.
const DECISIONS: u64 = 200_000;
/// Links whose peers hold everything; the others hold parts, and more as time goes by.
const FULL_LINKS: u32 = 15;
/// Links after which the memory of one is measured: the first ones pay for what all share.
const WARM_LINKS: u32 = 5;
/// Time between two chunks, in microseconds: 100 MB/s in all.
const CHUNK_US: u64 = 1_250;
/// Time between two announcements of a peer, in microseconds, and the positions in one.
const HAVE_US: u64 = 100_000;
const HAVE_CHUNKS: u32 = 8;
/// A peer asks for a chunk after so many that came in.
const CHUNKS_PER_ASK: u64 = 2;
const RTT_US: u64 = 20_000;

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CoreMeasured {
    /// Making the core, 30 links with what they hold, and the first decisions, in microseconds.
    pub(super) links_us: f64,
    /// What the core and all links hold after that, in bytes.
    pub(super) links_bytes: f64,
    /// The same after all decisions.
    pub(super) core_bytes: f64,
    /// What one link holds whose peer has everything, in bytes.
    pub(super) link_bytes: f64,
    /// Processor time of one decision, in microseconds.
    pub(super) decision_us: f64,
    /// How many were measured.
    pub(super) decisions: u64,
}

/// Measures, and prints one line of JSON.
///
/// # Errors
/// When the system does not tell memory and processor time.
pub(crate) fn measure_core() -> Result<()> {
    let before = resident_bytes()?;
    let started = Instant::now();
    let mut peers = Peers::new();
    for link in 0..WARM_LINKS {
        peers.link_up(link);
    }
    let warm = resident_bytes()?;
    for link in WARM_LINKS..FULL_LINKS {
        peers.link_up(link);
    }
    let link_bytes = (resident_bytes()? - warm) / f64::from(FULL_LINKS - WARM_LINKS);
    for link in FULL_LINKS..LINKS {
        peers.link_up(link);
    }
    let links_us = started.elapsed().as_secs_f64() * 1e6;
    let links_bytes = resident_bytes()? - before;
    peers.decisions = 0;
    let started_s = cpu()?;
    while peers.decisions < DECISIONS {
        peers.next_chunk();
    }
    let decision_us = (cpu()? - started_s) * 1e6 / peers.decisions as f64;
    let core_bytes = resident_bytes()? - before;
    let decisions = peers.decisions;
    let measured = CoreMeasured { links_us, links_bytes, core_bytes, link_bytes, decision_us, decisions };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn cpu() -> Result<f64> {
    cpu_s().context("the system tells no processor time")
}

fn resident_bytes() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read the own memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().next().context("no number in VmRSS")?.parse()?;
    Ok(kib * 1024.0)
}

/// Peers that answer every request, and ask for what the core holds.
struct Peers {
    core: Core,
    now_us: u64,
    random: Random,
    requests: VecDeque<RequestId>,
    fetches: BTreeMap<FetchId, Range<u32>>,
    /// How far the peers with parts have got.
    parts: Vec<u32>,
    next_have_us: u64,
    asked: u64,
    came: u64,
    held: Vec<u32>,
    /// Requests and fetches that the core decided on.
    decisions: u64,
}

impl Peers {
    fn new() -> Self {
        let config = CoreConfig {
            chunk_bytes: vec![CHUNK_BYTES; CHUNKS as usize].into(),
            wanted: vec![0..CHUNKS],
            held: Vec::new(),
            leased: None,
            policy: Policy { sharing: true, goal: Goal::Offload, ..Policy::default() },
            has_tracker: false,
            is_alone: false,
            seed: 1,
        };
        let mut peers = Self {
            core: Core::new(0, config),
            now_us: 0,
            random: Random::new(1),
            requests: VecDeque::new(),
            fetches: BTreeMap::new(),
            parts: Vec::new(),
            next_have_us: HAVE_US,
            asked: 0,
            came: 0,
            held: Vec::new(),
            decisions: 0,
        };
        peers.carry_out();
        peers
    }

    /// A link comes up and tells what it holds: everything, or a part in pieces.
    fn link_up(&mut self, link: u32) {
        let id = LinkId(u64::from(link));
        self.input(Input::LinkUp { link: id, locality: Locality::Any, rtt_us: RTT_US });
        let ranges = if link < FULL_LINKS {
            vec![0..CHUNKS]
        } else {
            let start = self.random.below(u64::from(CHUNKS / 2)) as u32;
            self.parts.push(start);
            (0..1000).map(|piece| start + piece * 200..start + piece * 200 + 100).collect()
        };
        self.input(Input::Have { link: id, ranges });
    }

    /// The oldest request is answered; time passes, peers announce and ask.
    fn next_chunk(&mut self) {
        self.now_us += CHUNK_US;
        while let Some(at) = self.core.poll_timeout().filter(|&at| at <= self.now_us) {
            self.core.handle_timeout(at.max(self.now_us));
            self.carry_out();
        }
        if self.now_us >= self.next_have_us {
            self.next_have_us += HAVE_US;
            self.announce();
        }
        if let Some(request) = self.requests.pop_front() {
            self.input(Input::RequestEnded { request, end: RequestEnd::Verified });
            self.came += 1;
        } else if let Some((fetch, range)) = self.fetches.pop_first() {
            for chunk in range {
                self.input(Input::OriginChunk { fetch, chunk, verified: true });
            }
            self.input(Input::OriginEnded { fetch, end: FetchEnd::Complete });
        }
        if self.came.is_multiple_of(CHUNKS_PER_ASK) && !self.held.is_empty() {
            self.ask();
        }
    }

    fn announce(&mut self) {
        for part in 0..self.parts.len() {
            let start = self.parts[part].min(CHUNKS - HAVE_CHUNKS);
            self.parts[part] = start + HAVE_CHUNKS;
            let link = LinkId(u64::from(FULL_LINKS) + part as u64);
            self.input(Input::Have { link, ranges: vec![start..start + HAVE_CHUNKS] });
        }
    }

    /// A peer asks for something that the core holds.
    fn ask(&mut self) {
        let chunk = self.held[self.random.below(self.held.len() as u64) as usize];
        let link = LinkId(self.random.below(u64::from(LINKS)));
        self.asked += 1;
        self.input(Input::PeerRequest { link, request: self.asked, chunk });
    }

    fn input(&mut self, input: Input) {
        self.core.handle_input(self.now_us, input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Request { request, chunk, .. } => {
                    self.decisions += 1;
                    self.requests.push_back(request);
                    self.held.push(chunk);
                }
                Output::FetchOrigin { fetch, first, count, .. } => {
                    self.decisions += 1;
                    self.fetches.insert(fetch, first..first + count);
                }
                Output::Cancel { request } => self.requests.retain(|&other| other != request),
                Output::CancelOrigin { fetch } => {
                    self.fetches.remove(&fetch);
                }
                Output::Serve { link, request, .. } => {
                    self.core.handle_input(self.now_us, Input::Sent { link, request, bytes: CHUNK_BYTES });
                }
                Output::SendHave { .. }
                | Output::SendWithdraw { .. }
                | Output::SendFetching { .. }
                | Output::AskShards { .. }
                | Output::Refuse { .. }
                | Output::DropLink { .. }
                | Output::Complete => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_keep_the_core_busy() {
        let mut peers = Peers::new();
        (0..LINKS).for_each(|link| peers.link_up(link));
        let planned = peers.decisions;
        assert!(planned >= u64::from(LINKS), "every link has something to do: {planned}");
        (0..2_000).for_each(|_| peers.next_chunk());
        let totals = peers.core.totals();
        assert!(peers.decisions >= planned + 2_000, "{}", peers.decisions);
        assert!(totals.held_chunks >= 2_000 && totals.sent_bytes > 0, "{totals:?}");
    }
}
