//! Links: set-up, end, and what an end of a link takes with it.

use freshet_protocol::{Locality, PairOutcome};
use freshet_swarm::{Input, LinkId};

use super::connection::Path;
use super::message::PeerMessage;
use super::node::{LinkEnd, LinkState};
use super::queue::Event;
use super::wire::{self, Overhead};
use super::world::{World, host_of};
use crate::plan::Behaviour;

/// Rate of each link of a slow node, in bytes a second.
const SLOW_LINK_BYTES_S: u64 = 16_000;

/// A pair of nodes that the tracker has named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairing {
    pub(super) pair: u64,
    pub(super) peer: u32,
    pub(super) locality: Locality,
}

impl World<'_> {
    /// The dialling side sets a link up: a QUIC round trip, then Hello and Proof.
    pub(super) fn dial(&mut self, node: u32, pairing: Pairing) {
        let Pairing { pair, peer, locality } = pairing;
        let is_welcome = self.nodes[peer as usize].is_running()
            && !self.nodes[node as usize].banned.contains(&peer)
            && !self.nodes[peer as usize].banned.contains(&node);
        if !is_welcome {
            self.report_pair(node, pair, PairOutcome::Failed);
            return;
        }
        let links = [node, peer].map(|end| self.nodes[end as usize].links.len() as u32);
        for (own, other, other_link) in [(node, peer, links[1]), (peer, node, links[0])] {
            let is_slow = self.nodes[own as usize].behaviour == Behaviour::Slow;
            let connection = self.net.connect(Path {
                from: host_of(own),
                to: host_of(other),
                overhead: Overhead::Quic,
                bytes_s_max: is_slow.then_some(SLOW_LINK_BYTES_S),
            });
            let state = LinkState::Opening;
            let end = LinkEnd { peer: other, peer_link: other_link, state, connection, pair, locality };
            self.nodes[own as usize].links.push(end);
        }
        let now_us = self.now_us();
        let there_us = self.net.send_message(now_us, host_of(node), host_of(peer), wire::HANDSHAKE_BYTES);
        self.net.send_message(now_us, host_of(peer), host_of(node), wire::HANDSHAKE_BYTES);
        let rtt_us = self.net.rtt_us(host_of(node), host_of(peer));
        self.queue.push(there_us + rtt_us, Event::LinkUp { node, link: links[0] });
    }

    /// Both ends of a link are up, unless one has left meanwhile.
    pub(super) fn link_up(&mut self, node: u32, link: u32) {
        let end = &self.nodes[node as usize].links[link as usize];
        let (peer, peer_link, pair) = (end.peer, end.peer_link, end.pair);
        let ends = [(node, link), (peer, peer_link)];
        if ends.iter().any(|&(own, _)| !self.nodes[own as usize].is_running()) {
            for (own, own_link) in ends {
                self.nodes[own as usize].links[own_link as usize].state = LinkState::Down;
                self.report_pair(own, pair, PairOutcome::Failed);
            }
            return;
        }
        for (own, own_link) in ends {
            self.nodes[own as usize].links[own_link as usize].state = LinkState::Up;
        }
        for (own, own_link) in ends {
            self.report_pair(own, pair, PairOutcome::Linked);
            self.greet(own, own_link);
        }
    }

    /// Tells the core of a link; hostile nodes claim to hold everything.
    fn greet(&mut self, node: u32, link: u32) {
        if !self.nodes[node as usize].is_up(link) {
            return;
        }
        if self.nodes[node as usize].behaviour.is_hostile() {
            let everything = 0..self.chunk_bytes.len() as u32;
            let ranges = std::iter::once(everything).collect();
            self.send_to_peer(node, link, wire::small_bytes(), PeerMessage::Have(ranges));
            return;
        }
        let end = &self.nodes[node as usize].links[link as usize];
        let (peer, locality) = (end.peer, end.locality);
        let rtt_us = self.net.rtt_us(host_of(node), host_of(peer)).max(1);
        self.input(node, Input::LinkUp { link: LinkId(u64::from(link)), locality, rtt_us });
    }

    /// The other side has closed a link, or is dead.
    pub(super) fn link_down(&mut self, node: u32, link: u32) {
        if self.nodes[node as usize].is_running() && self.nodes[node as usize].is_up(link) {
            self.close_end(node, link);
            self.input(node, Input::LinkDown { link: LinkId(u64::from(link)) });
        }
    }

    /// Ends what this end of a link has under way.
    pub(super) fn close_end(&mut self, node: u32, link: u32) {
        let place = &mut self.nodes[node as usize];
        let end = &mut place.links[link as usize];
        end.state = LinkState::Down;
        let pair = end.pair;
        place.asked.retain(|asked| asked.link != link);
        let (gone, kept) =
            std::mem::take(&mut place.serving).into_iter().partition(|serving| serving.link == link);
        place.serving = kept;
        let gone: Vec<super::node::Serving> = gone;
        for serving in gone {
            self.net.stop(serving.transfer);
        }
        self.report_pair(node, pair, PairOutcome::Closed);
        self.announce(node);
    }

    /// The receiver of what an end serves is gone: nothing flows, and the end does not know yet.
    pub(super) fn stall_serving(&mut self, node: u32, link: u32) {
        let transfers: Vec<_> = self.nodes[node as usize]
            .serving
            .iter()
            .filter(|serving| serving.link == link)
            .map(|serving| serving.transfer)
            .collect();
        for transfer in transfers {
            self.net.stop(transfer);
        }
    }
}
