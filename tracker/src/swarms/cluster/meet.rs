//! Pairs of which the two sides are clients of different trackers.
//!
//! The tracker of the side that wants a partner asks the other one for a peer that it was told of. That one agrees or not,
//! as if the asker were its own client; then both sides are told, under one number, which the asking tracker has chosen.
//! Each tracker keeps its side, passes signalling on, and tells the other how it ended.

use freshet_protocol::{ContentName, Dialer, Locality, PeerId, ServerMessage};

use super::card::Card;
use super::message::{ClusterMessage, NodeId, Outcome, To};
use crate::swarms::limits::{ASK_TIMEOUT_US, PAIR_ASKS_MAX};
use crate::swarms::member::{Member, OwnPair};
use crate::swarms::pair::{Elsewhere, Pair};
use crate::swarms::pairing::{Among, pair_message};
use crate::swarms::signal::End;
use crate::swarms::state::Swarms;
use crate::swarms::timers::Timer;

/// An Ask, and from whom.
pub(super) struct Asked {
    pub(super) from: NodeId,
    pub(super) pair: u64,
    pub(super) content: ContentName,
    pub(super) asker: Card,
    pub(super) other: PeerId,
    pub(super) random: bool,
}

impl Swarms {
    /// Asks other trackers for the links that `peer` wants and this tracker has nobody for.
    pub(in crate::swarms) fn ask_elsewhere(&mut self, now_us: u64, number: u64, peer: PeerId) {
        while self.ask_one_elsewhere(now_us, number, peer, false) {}
    }

    /// Asks for one partner, the best or a random one; false where there is nobody to ask for.
    pub(in crate::swarms) fn ask_one_elsewhere(
        &mut self,
        now_us: u64,
        number: u64,
        peer: PeerId,
        random: bool,
    ) -> bool {
        if self.cluster.own().is_none() || self.cluster.asks >= PAIR_ASKS_MAX {
            return false;
        }
        let Some(mut chooser) = self.chooser(now_us, number, peer, Among::Open) else { return false };
        let Some((node, other)) = chooser.elsewhere(random) else { return false };
        let Some(swarm) = self.swarms.get_mut(&number) else { return false };
        let Some(theirs) = swarm.remote.take(node, other) else { return false };
        let Some(asker) = swarm.members.get(&peer).map(|member| Card::new(peer, member)) else {
            return false;
        };
        let content = swarm.content.clone();
        self.cluster.cards -= 1;
        self.cluster.asks += 1;
        let pair = self.pairs.add(Pair::asked(number, peer, other, node));
        self.timers.set(Timer::Pair(pair), Some(now_us.saturating_add(ASK_TIMEOUT_US)));
        swarm.add_pair(peer, other, OwnPair { pair, key: theirs.key, random, is_linked: false });
        self.say(
            To::Node(node),
            ClusterMessage::Ask { pair, content, asker: Box::new(asker), other, random },
        );
        true
    }

    pub(super) fn asked(&mut self, now_us: u64, ask: Asked) {
        let (from, pair) = (ask.from, ask.pair);
        let answer = match self.grant(now_us, ask) {
            Some((other, dial)) => ClusterMessage::Grant { pair, other: Box::new(other), dial },
            None => ClusterMessage::Deny { pair },
        };
        self.say(To::Node(from), answer);
    }

    /// Pairs a client with another tracker's peer, if it would be paired with one like it here.
    fn grant(&mut self, now_us: u64, ask: Asked) -> Option<(Card, bool)> {
        let Asked { from, pair, content, asker, other, random } = ask;
        let number = *self.names.get(&content)?;
        if self.pairs.get(pair).is_some() {
            return None;
        }
        self.yield_to(now_us, number, other, &asker, pair);
        let theirs = asker.member(now_us, &content, &self.config);
        let mut chooser = self.chooser(now_us, number, other, Among::Waiting)?;
        let locality = chooser.accepts(asker.peer, &theirs, random)?;
        let swarm = self.swarms.get_mut(&number)?;
        let own = swarm.members.get(&other)?;
        let (dialer, acceptor) = match theirs.reach.route(&own.reach)? {
            Dialer::First => (asker.peer, other),
            Dialer::Second => (other, asker.peer),
            Dialer::Either => (asker.peer.min(other), asker.peer.max(other)),
        };
        let card = Card::new(other, own);
        let elsewhere = Elsewhere { node: from, peer: asker.peer, is_asked: false };
        self.pairs.insert(pair, Pair::across(number, dialer, acceptor, elsewhere));
        swarm.add_pair(other, asker.peer, OwnPair { pair, key: asker.key, random, is_linked: false });
        self.name(now_us, pair, other, (asker.peer, &theirs), locality);
        Some((card, dialer == asker.peer))
    }

    /// Two trackers may ask each other for the same two peers: the ask with the lower number counts.
    fn yield_to(&mut self, now_us: u64, number: u64, own: PeerId, asker: &Card, pair: u64) {
        let member = self.swarms.get(&number).and_then(|swarm| swarm.members.get(&own));
        let same = member.and_then(|member| member.pairs.values().find(|own| own.key == asker.key));
        if let Some(same) = same.map(|same| same.pair)
            && pair < same
            && self.pairs.get(same).is_some_and(Pair::is_asked)
        {
            self.end_pair_here(now_us, same, End::Left);
        }
    }

    pub(super) fn granted(&mut self, now_us: u64, from: NodeId, number: u64, card: &Card, dial: bool) {
        let asked = self.pairs.shared_with(number, from).filter(|pair| pair.is_asked());
        // One that is no longer waited for has been called off.
        let Some((swarm, peer)) = asked.map(|pair| (pair.swarm, pair.own())) else { return };
        let Some(swarm) = self.swarms.get(&swarm) else { return };
        let Some(own) = swarm.members.get(&peer) else { return };
        if own.pairs.get(&card.peer).is_none_or(|own| own.pair != number || own.key != card.key) {
            return;
        }
        let theirs = card.member(now_us, &swarm.content, &self.config);
        let locality = own.place().locality(theirs.place());
        self.ask_ended();
        self.pairs.grant(number, dial);
        self.name(now_us, number, peer, (card.peer, &theirs), locality);
    }

    pub(super) fn denied(&mut self, now_us: u64, from: NodeId, number: u64) {
        if self.pairs.shared_with(number, from).is_some_and(|pair| pair.is_asked())
            && let Some(pair) = self.end_pair_here(now_us, number, End::Left)
        {
            self.match_peer(now_us, pair.swarm, pair.own());
        }
    }

    /// Nobody has answered an ask: the tracker is overloaded or gone, so it is not asked again before it is heard.
    pub(in crate::swarms) fn ask_timed_out(&mut self, now_us: u64, number: u64) {
        let Some(pair) = self.end_pair(now_us, number, End::Left) else { return };
        if let Some(elsewhere) = pair.elsewhere {
            self.count_cards_out(pair.swarm, elsewhere.node);
            if let Some(swarm) = self.swarms.get_mut(&pair.swarm) {
                swarm.remote.distrust(elsewhere.node);
            }
        }
        self.match_peer(now_us, pair.swarm, pair.own());
    }

    pub(super) fn signal_from_afar(&mut self, from: NodeId, number: u64, data: String) {
        let Some(elsewhere) = self.pairs.shared_with(number, from).and_then(|pair| pair.elsewhere) else {
            return;
        };
        if let Some((pair, own)) = self.pairs.of_peer(number, elsewhere.peer)
            && pair.count_signal(elsewhere.peer)
        {
            self.counters.signals_total += 1;
            self.outputs.send(own, ServerMessage::Signal { pair: number, data });
        }
    }

    pub(super) fn outcome_from_afar(&mut self, now_us: u64, from: NodeId, number: u64, outcome: Outcome) {
        if self.pairs.shared_with(number, from).is_none_or(|pair| pair.is_asked()) {
            return;
        }
        let end = match outcome {
            Outcome::Linked => {
                self.link(number);
                return;
            }
            Outcome::Failed => End::Failed,
            Outcome::Closed => End::Closed,
            Outcome::Left => End::Left,
            Outcome::Unknown => return,
        };
        if let Some(pair) = self.end_pair_here(now_us, number, end) {
            self.match_peer(now_us, pair.swarm, pair.own());
        }
    }

    /// Tells the other tracker of a pair, where there is one, what became of it.
    pub(in crate::swarms) fn tell_elsewhere(&mut self, number: u64, pair: &Pair, outcome: Outcome) {
        if let Some(Elsewhere { node, .. }) = pair.elsewhere
            && self.cluster.own().is_some()
        {
            self.say(To::Node(node), ClusterMessage::Outcome { pair: number, outcome });
        }
    }

    /// Passes signalling on to the other tracker of a pair.
    pub(in crate::swarms) fn signal_elsewhere(&mut self, node: NodeId, pair: u64, data: String) {
        if self.cluster.own().is_some() {
            self.say(To::Node(node), ClusterMessage::Signal { pair, data });
        }
    }

    /// An ask has ended, whichever way.
    pub(in crate::swarms) fn ask_ended(&mut self) {
        self.cluster.asks -= 1;
    }

    /// Names a peer of another tracker to a client.
    fn name(
        &mut self,
        now_us: u64,
        pair: u64,
        client: PeerId,
        (other, theirs): (PeerId, &Member),
        locality: Locality,
    ) {
        self.timers.set(Timer::Pair(pair), Some(now_us.saturating_add(self.config.pair_timeout_us)));
        self.counters.pairs_total += 1;
        self.counters.pairs_across_total += 1;
        let dial = self.pairs.get(pair).is_some_and(|pair| pair.dialer == client);
        let Some(swarm) = self.pairs.get(pair).and_then(|pair| self.swarms.get_mut(&pair.swarm)) else {
            return;
        };
        let content = swarm.content.clone();
        let Some(own) = swarm.members.get_mut(&client) else { return };
        own.spend_allowance(now_us, &self.config);
        let random = own.pairs.get(&other).is_some_and(|own| own.random);
        let message = pair_message(pair, content, own, (other, theirs), dial, locality, random);
        self.outputs.send(client, message);
    }
}
