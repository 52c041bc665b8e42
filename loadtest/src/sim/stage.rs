//! How nodes come and go.

use freshet_swarm::{Core, CoreConfig, Input, Policy};

use super::message::{Body, PeerMessage};
use super::node::{LinkState, Stage};
use super::queue::Event;
use super::wire;
use super::world::{ORIGIN, TRACKER, World, host_of};

/// Round trips to the origin before pages are asked for: TCP, pointer, root.
const ORIGIN_SETUP_RTTS: u64 = 3;
/// Round trips to the tracker before a client's Hello is there: TCP, WebSocket.
const TRACKER_SETUP_RTTS: u64 = 2;
/// After so long without a sign of life a link, or a client of the tracker, counts as dead.
const DEAD_US: u64 = 10_000_000;

impl World<'_> {
    pub(super) fn start(&mut self, node: u32) {
        let place = &mut self.nodes[node as usize];
        let has_job = !place.behaviour.is_hostile();
        let is_seed = place.held.is_full();
        place.stage = if has_job && !is_seed { Stage::Preparing } else { Stage::Running };
        if self.plan.p2p {
            let rtt_us = self.net.rtt_us(host_of(node), TRACKER);
            let at_us = self.now_us() + rtt_us * TRACKER_SETUP_RTTS + rtt_us / 2;
            self.send_at(at_us, host_of(node), TRACKER, Body::TrackerHello);
        }
        if has_job && is_seed {
            self.begin_job(node);
        } else if has_job {
            let rtt_us = self.net.rtt_us(host_of(node), ORIGIN);
            let at_us = self.now_us() + rtt_us * ORIGIN_SETUP_RTTS + rtt_us / 2;
            self.send_at(at_us, host_of(node), ORIGIN, Body::Manifest);
        }
    }

    /// Root and pages are there: the core begins.
    pub(super) fn begin_job(&mut self, node: u32) {
        let now_us = self.now_us();
        let chunks = self.chunk_bytes.len() as u32;
        let place = &mut self.nodes[node as usize];
        if place.stage == Stage::Gone {
            return;
        }
        place.stage = Stage::Running;
        let config = CoreConfig {
            chunk_bytes: self.chunk_bytes.clone(),
            wanted: std::iter::once(0..chunks).collect(),
            held: place.held.is_full().then_some(0..chunks).into_iter().collect(),
            leased: None,
            policy: self.plan.policy(&self.plan.groups[place.group as usize]),
            has_tracker: self.plan.p2p,
            is_alone: false,
            seed: place.core_seed,
        };
        place.core = Some(Core::new(now_us, config));
        let is_connected = place.announcer.is_connected;
        self.drain(node);
        if is_connected {
            self.input(node, Input::TrackerUp);
        }
        self.announce(node);
    }

    /// A core says that it holds all.
    pub(super) fn completed(&mut self, node: u32) {
        let now_us = self.now_us();
        let seed_until_last = self.plan.seed_until_last;
        let place = &mut self.nodes[node as usize];
        if !place.run.is_counted || place.run.finish_ms.is_some() {
            return;
        }
        place.run.finish_ms = Some(now_us as f64 / 1000.0);
        self.unsettled -= 1;
        match self.plan.groups[place.group as usize].seed_ms {
            Some(seed_ms) => self.queue.push(now_us + u64::from(seed_ms) * 1000, Event::Goodbye { node }),
            None if !seed_until_last => self.queue.push(now_us, Event::Goodbye { node }),
            None => {}
        }
        self.announce(node);
    }

    /// All are told that peers are used no longer: as a policy that comes by another way than the peers.
    pub(super) fn p2p_off(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            let group = &self.plan.groups[self.nodes[node as usize].group as usize];
            let policy = Policy { p2p: false, sharing: false, ..self.plan.policy(group) };
            self.input(node, Input::Policy(policy));
        }
    }

    /// A node leaves as a program does that ends well.
    pub(super) fn goodbye(&mut self, node: u32) {
        if self.nodes[node as usize].stage == Stage::Gone {
            return;
        }
        let up: Vec<u32> = self.nodes[node as usize].links_up().collect();
        for link in up {
            let end = &self.nodes[node as usize].links[link as usize];
            let (peer, peer_link) = (end.peer, end.peer_link);
            let body = Body::Peer { link: peer_link, message: PeerMessage::Bye };
            self.send(host_of(node), host_of(peer), wire::small_bytes(), body);
        }
        if self.plan.p2p {
            self.send(host_of(node), TRACKER, wire::small_bytes(), Body::TrackerGone);
        }
        self.leave(node);
    }

    /// A node is gone without a word, as in a crash: the others notice later.
    pub(super) fn vanish(&mut self, node: u32) {
        let place = &mut self.nodes[node as usize];
        if place.stage == Stage::Gone {
            return;
        }
        if !place.is_settled() {
            place.run.left_early = true;
            self.unsettled -= 1;
        }
        let dead_us = self.now_us() + DEAD_US;
        let up: Vec<u32> = self.nodes[node as usize].links_up().collect();
        for link in up {
            let end = &self.nodes[node as usize].links[link as usize];
            self.queue.push(dead_us, Event::LinkDead { node: end.peer, link: end.peer_link });
        }
        self.send_at(dead_us, host_of(node), TRACKER, Body::TrackerGone);
        self.leave(node);
    }

    /// Ends all of a node's own activity. What it has in queues still travels.
    fn leave(&mut self, node: u32) {
        self.settle(node);
        let place = &mut self.nodes[node as usize];
        place.stage = Stage::Gone;
        place.core_timer_us = None;
        place.announcer.due_us = None;
        place.asked.clear();
        for serving in std::mem::take(&mut place.serving) {
            self.net.stop(serving.transfer);
        }
        for fetch in std::mem::take(&mut self.nodes[node as usize].fetches) {
            self.fetch_cancelled(node, fetch.fetch);
        }
        for link in 0..self.nodes[node as usize].links.len() {
            let end = &mut self.nodes[node as usize].links[link];
            let (peer, peer_link) = (end.peer, end.peer_link);
            end.state = LinkState::Down;
            self.stall_serving(peer, peer_link);
        }
    }
}
