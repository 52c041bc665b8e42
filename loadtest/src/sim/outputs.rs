//! Carrying out what a core says: the edge node's shell in short.

use freshet_swarm::{DropReason, LinkId, Output, Refusal, ServeRefusal};

use super::message::{Body, PeerMessage, Ranges};
use super::wire;
use super::world::{World, host_of};

impl World<'_> {
    pub(super) fn carry_out(&mut self, node: u32, output: Output) {
        match output {
            Output::Request { link, request, chunk } => self.request(node, link, request, chunk),
            Output::Cancel { request } => self.cancel(node, request),
            Output::FetchOrigin { fetch, first, count, reason: _ } => {
                self.fetch_origin(node, fetch, first..first + count);
            }
            Output::CancelOrigin { fetch } => self.cancel_origin(node, fetch),
            Output::SendHave { link: Some(link), ranges } => {
                self.send_ranges(node, link.0 as u32, &ranges.into(), PeerMessage::Have);
            }
            Output::SendHave { link: None, ranges } => {
                self.send_to_all(node, ranges.into(), PeerMessage::Have)
            }
            Output::SendWithdraw { ranges } => self.send_to_all(node, ranges.into(), PeerMessage::Withdraw),
            Output::SendFetching { ranges } => self.send_to_all(node, ranges.into(), PeerMessage::Fetching),
            Output::AskShards { want, done } => self.ask_shards(node, want, done),
            Output::Serve { link, request, chunk } => self.serve(node, link, request, chunk),
            Output::Refuse { link, request, reason } => self.refuse(node, link, request, reason),
            Output::DropLink { link, reason } => self.drop_link(node, link, reason),
            Output::Complete => self.completed(node),
        }
    }

    fn send_to_all(&mut self, node: u32, ranges: Ranges, message: fn(Ranges) -> PeerMessage) {
        for link in 0..self.nodes[node as usize].links.len() as u32 {
            self.send_ranges(node, link, &ranges, message);
        }
    }

    fn send_ranges(&mut self, node: u32, link: u32, ranges: &Ranges, message: fn(Ranges) -> PeerMessage) {
        if self.nodes[node as usize].is_up(link) {
            let wire_bytes = wire::ranges_bytes(ranges);
            self.send_to_peer(node, link, wire_bytes, message(ranges.clone()));
        }
    }

    /// Sends a message over a link that is up.
    pub(super) fn send_to_peer(&mut self, node: u32, link: u32, wire_bytes: u64, message: PeerMessage) {
        let end = &self.nodes[node as usize].links[link as usize];
        let (peer, peer_link) = (end.peer, end.peer_link);
        self.send(host_of(node), host_of(peer), wire_bytes, Body::Peer { link: peer_link, message });
    }

    fn refuse(&mut self, node: u32, link: LinkId, request: u64, reason: ServeRefusal) {
        let refusal = match reason {
            ServeRefusal::NotHeld => Refusal::NotHeld,
            ServeRefusal::Busy => Refusal::Busy,
            ServeRefusal::Budget | ServeRefusal::NotSharing => Refusal::Exhausted,
        };
        if self.nodes[node as usize].is_up(link.0 as u32) {
            self.send_to_peer(
                node,
                link.0 as u32,
                wire::small_bytes(),
                PeerMessage::Refuse { request, refusal },
            );
        }
    }

    fn drop_link(&mut self, node: u32, link: LinkId, reason: DropReason) {
        let link = link.0 as u32;
        if !self.nodes[node as usize].is_up(link) {
            return;
        }
        let peer = self.nodes[node as usize].links[link as usize].peer;
        if reason == DropReason::Corrupt {
            self.nodes[node as usize].banned.push(peer);
            self.nodes[node as usize].run.bans += 1;
        }
        self.send_to_peer(node, link, wire::small_bytes(), PeerMessage::Bye);
        self.close_end(node, link);
    }
}
