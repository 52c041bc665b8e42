//! Several trackers as one, driven as the server drives them, with a broker that can be lost.

mod first_copies;
mod islands;
mod pairing;

use std::collections::VecDeque;

use freshet_protocol::{Announce, PeerId};
use freshet_tracker::swarms::{ClusterMessage, Config, NodeId, Output, Stats, To};

use super::{Paired, SECOND_US, World, content};

/// Trackers that hear each other after `LATENCY_US`.
pub(crate) struct Trackers {
    pub(crate) worlds: Vec<World>,
    pub(crate) now_us: u64,
    /// Whether the broker carries anything.
    is_up: bool,
    /// Who does not hear or say anything.
    dead: Vec<usize>,
    wire: VecDeque<(u64, usize, To, Vec<u8>)>,
    /// Messages sent so far.
    pub(crate) sent: u64,
}

const LATENCY_US: u64 = 1000;

fn node(at: usize) -> NodeId {
    NodeId(at as u64 + 1)
}

impl Trackers {
    pub(crate) fn new(count: usize) -> Self {
        Self::with(count, &Config::default())
    }

    pub(crate) fn with(count: usize, config: &Config) -> Self {
        let worlds = (0..count).map(|at| World::new(config.clone(), at as u64)).collect();
        let (wire, dead) = (VecDeque::new(), Vec::new());
        let mut trackers = Self { worlds, now_us: SECOND_US, is_up: false, dead, wire, sent: 0 };
        trackers.broker_up();
        trackers
    }

    pub(crate) fn broker_up(&mut self) {
        self.is_up = true;
        for (at, world) in self.worlds.iter_mut().enumerate() {
            world.swarms.cluster_up(world.now_us, node(at));
        }
        self.collect();
    }

    pub(crate) fn broker_down(&mut self) {
        self.is_up = false;
        self.wire.clear();
        self.worlds.iter_mut().for_each(|world| world.swarms.cluster_down(world.now_us));
        self.collect();
    }

    /// From now on a tracker says nothing, and hears nothing.
    pub(crate) fn kill(&mut self, at: usize) {
        self.dead.push(at);
    }

    /// Does something at one tracker.
    pub(crate) fn at<T>(&mut self, at: usize, act: impl FnOnce(&mut World) -> T) -> T {
        let done = act(&mut self.worlds[at]);
        self.collect();
        done
    }

    /// Peer `n` joins the swarm at one tracker.
    pub(crate) fn join(&mut self, at: usize, n: u64, announce: Announce) {
        self.at(at, |world| world.join(n, announce));
    }

    pub(crate) fn advance(&mut self, by_us: u64) {
        let end_us = self.now_us + by_us;
        loop {
            let timers = self.worlds.iter().filter_map(|world| world.swarms.poll_timeout());
            let arrival = self.wire.front().map(|&(at_us, ..)| at_us);
            let Some(due_us) = timers.chain(arrival).min().filter(|&due_us| due_us <= end_us) else { break };
            self.now_us = self.now_us.max(due_us);
            let now_us = self.now_us;
            for world in &mut self.worlds {
                world.now_us = now_us;
                world.swarms.timeout(now_us);
                world.drain();
            }
            self.deliver();
            self.collect();
        }
        self.now_us = end_us;
        self.worlds.iter_mut().for_each(|world| world.now_us = end_us);
    }

    pub(crate) fn stats(&self, at: usize) -> Stats {
        self.worlds[at].swarms.stats()
    }

    /// Takes the Pair messages that came out of all trackers.
    pub(crate) fn pairs(&mut self) -> Vec<Paired> {
        self.worlds.iter_mut().flat_map(World::pairs).collect()
    }

    /// Puts what trackers say to each other on the wire, in the form that it has there.
    fn collect(&mut self) {
        let arrival_us = self.now_us + LATENCY_US;
        for (at, world) in self.worlds.iter_mut().enumerate() {
            world.drain();
            let (cluster, rest) = std::mem::take(&mut world.outputs)
                .into_iter()
                .partition::<Vec<_>, _>(|output| matches!(output, Output::Cluster { .. }));
            world.outputs = rest;
            for output in cluster {
                let Output::Cluster { to, message } = output else { continue };
                self.sent += 1;
                if self.is_up && !self.dead.contains(&at) {
                    self.wire.push_back((arrival_us, at, to, message.encode()));
                }
            }
        }
    }

    fn deliver(&mut self) {
        while self.wire.front().is_some_and(|&(at_us, ..)| at_us <= self.now_us) {
            let Some((_, from, to, text)) = self.wire.pop_front() else { return };
            for (at, world) in self.worlds.iter_mut().enumerate() {
                let is_meant = at != from && (to == To::All || to == To::Node(node(at)));
                if is_meant && !self.dead.contains(&at) {
                    let message = ClusterMessage::decode(&text).expect("trackers speak well");
                    world.swarms.cluster_message(self.now_us, node(from), message);
                    world.drain();
                }
            }
        }
    }
}

pub(crate) fn peer(n: u64) -> PeerId {
    super::peer(n)
}

/// An ask for peer `other`, of somebody who is not there.
pub(crate) fn ask(pair: u64, asker: u64, other: u64) -> ClusterMessage {
    // Nobody outside makes cards, so one is taken from a digest.
    let mut far = World::new(Config::default(), 9);
    far.swarms.cluster_up(far.now_us, NodeId(99));
    far.join(asker, super::fetcher(4));
    far.advance(SECOND_US);
    let card = far.outputs.into_iter().find_map(|output| match output {
        Output::Cluster { message: ClusterMessage::Digest(digest), .. } => digest.cards.into_iter().next(),
        _ => None,
    });
    let asker = Box::new(card.expect("a digest has a card"));
    ClusterMessage::Ask { pair, content: content(), asker, other: peer(other), random: false }
}
