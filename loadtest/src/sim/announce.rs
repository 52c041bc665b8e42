//! The node's side of its talk with the tracker: the rules by which a shell announces itself.

use freshet_protocol::{
    Announce, Base64, Candidate, ClientMessage, HaveSummary, PairOutcome, ServerMessage, ShardMap, Transport,
};
use freshet_swarm::Input;

use super::links::Pairing;
use super::message::Body;
use super::node::Stage;
use super::queue::Event;
use super::tracker::{address_of, content_name, node_of_peer, root_id};
use super::wire;
use super::world::{TRACKER, World, host_of};

/// How often to announce when nothing changes (the tracker's default).
const ANNOUNCE_US: u64 = 30_000_000;
/// Least time between two announces.
const ANNOUNCE_US_MIN: u64 = 1_000_000;
/// UDP port of every node.
const PORT: u16 = 4433;

impl World<'_> {
    pub(super) fn tracker_welcome(&mut self, node: u32) {
        if self.nodes[node as usize].stage == Stage::Gone {
            return;
        }
        self.nodes[node as usize].announcer.is_connected = true;
        self.input(node, Input::TrackerUp);
        self.announce(node);
    }

    /// Something changed that the tracker should know: announces now, or as soon as it may.
    pub(super) fn announce(&mut self, node: u32) {
        let place = &self.nodes[node as usize];
        if !place.is_running() || !place.announcer.is_connected {
            return;
        }
        let due_us = place.announcer.announced_us.map_or(0, |at_us| at_us + ANNOUNCE_US_MIN);
        self.announce_by(node, due_us.max(self.now_us()));
    }

    pub(super) fn announce_timer(&mut self, node: u32) {
        let now_us = self.now_us();
        if self.nodes[node as usize].announcer.due_us != Some(now_us) {
            return;
        }
        self.nodes[node as usize].announcer.announced_us = Some(now_us);
        self.nodes[node as usize].announcer.due_us = None;
        let announce = self.announcement(node);
        self.tell_tracker(node, ClientMessage::Announce(announce));
        self.announce_by(node, now_us + ANNOUNCE_US);
    }

    fn announce_by(&mut self, node: u32, at_us: u64) {
        let announcer = &mut self.nodes[node as usize].announcer;
        if announcer.due_us.is_none_or(|due_us| at_us < due_us) {
            announcer.due_us = Some(at_us);
            self.queue.push(at_us, Event::AnnounceTimer { node });
        }
    }

    fn announcement(&self, node: u32) -> Announce {
        let place = &self.nodes[node as usize];
        let is_hostile = place.behaviour.is_hostile();
        let held_bytes = place.run.peer_bytes + place.origin_bytes;
        let is_done = is_hostile || place.held.is_full();
        let links = place.links_open() as u8;
        let wants = !is_done && self.plan.p2p;
        Announce {
            content: content_name(),
            root: root_id(),
            chunks: self.chunk_bytes.len() as u32,
            have: if is_done { HaveSummary::All } else { self.summary(node) },
            left_bytes: if is_done { 0 } else { self.needed_bytes - held_bytes },
            sharing: is_hostile || self.plan.groups[place.group as usize].sharing,
            links,
            links_wanted: if wants { self.plan.links.saturating_sub(links) } else { 0 },
            mapped: Vec::new(),
            local: Vec::new(),
            certificates: Vec::new(),
            candidates: vec![Candidate {
                transport: Transport::Quic,
                address: (address_of(node), PORT).into(),
            }],
        }
    }

    fn summary(&self, node: u32) -> HaveSummary {
        let held = &self.nodes[node as usize].held;
        if held.count() == 0 {
            return HaveSummary::None;
        }
        let shards = ShardMap::new(self.chunk_bytes.len() as u32);
        let mut bits = vec![0; shards.count().div_ceil(8) as usize];
        for shard in (0..shards.count()).filter(|&shard| held.contains_all(shards.positions(shard))) {
            bits[(shard / 8) as usize] |= 1 << (shard % 8);
        }
        HaveSummary::Shards(Base64(bits))
    }

    pub(super) fn ask_shards(&mut self, node: u32, want: u32, done: Vec<u32>) {
        if self.nodes[node as usize].announcer.is_connected {
            let message = ClientMessage::Lease { content: content_name(), root: root_id(), want, done };
            self.tell_tracker(node, message);
        }
    }

    pub(super) fn report_pair(&mut self, node: u32, pair: u64, outcome: PairOutcome) {
        if self.nodes[node as usize].is_running() {
            self.tell_tracker(node, ClientMessage::Paired { pair, outcome });
        }
    }

    fn tell_tracker(&mut self, node: u32, message: ClientMessage) {
        let wire_bytes = wire::to_tracker_bytes(&message);
        self.send(host_of(node), TRACKER, wire_bytes, Body::ToTracker(Box::new(message)));
    }

    /// A message of the tracker is there.
    pub(super) fn tracker_says(&mut self, node: u32, message: ServerMessage) {
        if !self.nodes[node as usize].is_running() {
            return;
        }
        match message {
            ServerMessage::Pair { pair, peer, dial: true, locality, .. } => {
                self.dial(node, Pairing { pair, peer: node_of_peer(peer), locality });
            }
            ServerMessage::Shards { granted, active_jobs, origin_budget_bytes_s, .. } => {
                self.input(node, Input::Shards { granted, active_jobs, origin_budget_bytes_s });
            }
            ServerMessage::Error { code, message } => {
                self.violation(format!("the tracker refuses node {node}: {code}: {message}"));
            }
            ServerMessage::Pair { .. }
            | ServerMessage::Challenge { .. }
            | ServerMessage::Welcome { .. }
            | ServerMessage::Ticket { .. }
            | ServerMessage::Entry { .. }
            | ServerMessage::Pointer { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::Drain { .. }
            | ServerMessage::Unknown => {}
        }
    }
}
