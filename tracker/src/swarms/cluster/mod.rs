//! Several trackers as one: each takes any client, pairs from its own memory first, and asks the others for what it lacks.
//!
//! All of it is soft. A tracker that is alone does as it always did; what another has told is forgotten when it falls
//! silent, and at once when the broker is gone ([`Swarms::cluster_down`]). Links that were made across trackers stay.

mod card;
mod digests;
mod meet;
mod message;
mod remote;

use std::collections::BTreeMap;

pub use card::Card;
pub use message::{ClusterMessage, Digest, NodeId, Outcome, Taken, To};
pub(super) use remote::Remote;

use super::limits::{
    ALIVE_INTERVAL_US, CLUSTER_NODES_MAX, DIGESTS_BURST, DIGESTS_PER_S, NODE_SILENCE_US, REJOIN_SPREAD_US,
};
use super::pair::Pair;
use super::signal::End;
use super::state::Swarms;
use super::timers::Timer;
use crate::rate::{Meter, Rate};

/// What is known of the cluster beside its swarms.
#[derive(Debug)]
pub(super) struct Cluster {
    /// What the others call this tracker; none while it is alone.
    own: Option<NodeId>,
    /// When each of the others was heard last.
    heard: BTreeMap<NodeId, u64>,
    /// Peers with a card, over all swarms.
    cards: usize,
    /// Asks without an answer.
    asks: usize,
    rate: Rate,
    meter: Meter,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            own: None,
            heard: BTreeMap::new(),
            cards: 0,
            asks: 0,
            rate: Rate::new(DIGESTS_PER_S, DIGESTS_BURST),
            meter: Meter::default(),
        }
    }
}

impl Cluster {
    pub(super) fn own(&self) -> Option<NodeId> {
        self.own
    }

    /// Other trackers that are heard.
    pub(super) fn nodes(&self) -> usize {
        self.heard.len()
    }

    /// Peers of other trackers that can be asked for.
    pub(super) fn cards(&self) -> usize {
        self.cards
    }

    /// Notes a sign of life; false for one tracker too many.
    fn hear(&mut self, now_us: u64, node: NodeId) -> bool {
        let is_known = self.heard.contains_key(&node);
        if is_known || self.heard.len() < CLUSTER_NODES_MAX {
            self.heard.insert(node, now_us);
            return true;
        }
        false
    }
}

impl Swarms {
    /// The broker answers, and this tracker is `own` to the others. What it has is told to them little by little.
    pub fn cluster_up(&mut self, now_us: u64, own: NodeId) {
        if self.cluster.own.is_some() {
            self.cluster_down(now_us);
        }
        self.cluster.own = Some(own);
        self.timers.set(Timer::Alive, Some(now_us));
        let numbers: Vec<u64> = self.swarms.keys().copied().collect();
        for number in numbers {
            let due_us = now_us.saturating_add(self.mixer.below_u64(REJOIN_SPREAD_US));
            self.timers.set(Timer::Digest(number), Some(due_us));
        }
    }

    /// The broker is gone: this tracker goes on alone.
    pub fn cluster_down(&mut self, now_us: u64) {
        if self.cluster.own.take().is_none() {
            return;
        }
        self.timers.set(Timer::Alive, None);
        let nodes: Vec<NodeId> = std::mem::take(&mut self.cluster.heard).into_keys().collect();
        for pair in self.pairs.asked() {
            self.end_ask(now_us, pair);
        }
        let numbers: Vec<u64> = self.swarms.keys().copied().collect();
        for number in numbers {
            self.timers.set(Timer::Digest(number), None);
            nodes.iter().for_each(|&node| self.forget_digest(now_us, number, node));
            self.swarm_changed(now_us, number);
        }
    }

    /// Takes what another tracker says. Who it is has been proved.
    pub fn cluster_message(&mut self, now_us: u64, from: NodeId, message: ClusterMessage) {
        let is_new = !self.cluster.heard.contains_key(&from);
        if self.cluster.own.is_none_or(|own| own == from) || !self.cluster.hear(now_us, from) {
            return;
        }
        self.counters.cluster_received_total += 1;
        if is_new {
            // It may have come after this tracker's last sign of life.
            self.say(To::Node(from), ClusterMessage::Alive);
        }
        match message {
            ClusterMessage::Alive | ClusterMessage::Unknown => {}
            ClusterMessage::Bye => self.forget_node(now_us, from),
            ClusterMessage::Digest(digest) => self.heard_digest(now_us, from, digest),
            ClusterMessage::Ask { pair, content, asker, other, random } => {
                self.asked(now_us, meet::Asked { from, pair, content, asker: *asker, other, random });
            }
            ClusterMessage::Grant { pair, other, dial } => self.granted(now_us, from, pair, &other, dial),
            ClusterMessage::Deny { pair } => self.denied(now_us, from, pair),
            ClusterMessage::Signal { pair, data } => self.signal_from_afar(from, pair, data),
            ClusterMessage::Outcome { pair, outcome } => self.outcome_from_afar(now_us, from, pair, outcome),
        }
    }

    /// Tells the other trackers that this one stops.
    pub fn cluster_bye(&mut self) {
        if self.cluster.own.is_some() {
            self.say(To::All, ClusterMessage::Bye);
        }
    }

    /// Says that this tracker is there, and forgets those that no longer do.
    pub(super) fn alive(&mut self, now_us: u64) {
        let is_silent =
            |&(_, &heard_us): &(&NodeId, &u64)| heard_us.saturating_add(NODE_SILENCE_US) <= now_us;
        let silent: Vec<NodeId> =
            self.cluster.heard.iter().filter(is_silent).map(|(&node, _)| node).collect();
        silent.into_iter().for_each(|node| self.forget_node(now_us, node));
        self.forget_old_digests(now_us);
        self.say(To::All, ClusterMessage::Alive);
        let due_us = now_us.saturating_add(self.mixer.around_us(ALIVE_INTERVAL_US));
        self.timers.set(Timer::Alive, Some(due_us));
    }

    fn say(&mut self, to: To, message: ClusterMessage) {
        self.counters.cluster_sent_total += 1;
        self.outputs.cluster(to, message);
    }

    fn forget_node(&mut self, now_us: u64, node: NodeId) {
        self.cluster.heard.remove(&node);
        let is_its = |number: &u64| self.pairs.shared_with(*number, node).is_some();
        let asked: Vec<u64> = self.pairs.asked().into_iter().filter(is_its).collect();
        let numbers: Vec<u64> = self.swarms.keys().copied().collect();
        for number in numbers {
            self.forget_digest(now_us, number, node);
        }
        for pair in asked {
            if let Some(pair) = self.end_ask(now_us, pair) {
                self.match_peer(now_us, pair.swarm, pair.own());
            }
        }
    }

    /// Ends a pair that was asked for and is not known to anybody else.
    fn end_ask(&mut self, now_us: u64, pair: u64) -> Option<Pair> {
        self.end_pair_here(now_us, pair, End::Left)
    }
}
