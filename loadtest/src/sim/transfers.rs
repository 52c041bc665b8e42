//! Chunks between peers: asking, serving, and what comes of it.

use std::ops::Range;

use freshet_swarm::{Input, LinkId, Refusal, RequestEnd, RequestId};

use super::message::PeerMessage;
use super::net::Purpose;
use super::node::{Asked, Serving};
use super::wire;
use super::world::World;
use crate::plan::Behaviour;

impl World<'_> {
    /// A core asks a peer for a chunk.
    pub(super) fn request(&mut self, node: u32, link: LinkId, request: RequestId, chunk: u32) {
        let link = link.0 as u32;
        let place = &mut self.nodes[node as usize];
        if !place.is_up(link) {
            self.violation(format!("node {node} asks over link {link}, which is down"));
            return;
        }
        place.run.requests += 1;
        place.asked.push(Asked { request: request.0, link, chunk, come_bytes: 0 });
        self.send_to_peer(
            node,
            link,
            wire::request_bytes(),
            PeerMessage::Request { request: request.0, chunk },
        );
    }

    /// A core takes a request back.
    pub(super) fn cancel(&mut self, node: u32, request: RequestId) {
        let place = &mut self.nodes[node as usize];
        let Some(at) = place.asked.iter().position(|asked| asked.request == request.0) else { return };
        let link = place.asked.swap_remove(at).link;
        if place.is_up(link) {
            self.send_to_peer(node, link, wire::small_bytes(), PeerMessage::Cancel { request: request.0 });
        }
    }

    /// A message of a peer is there.
    pub(super) fn peer_message(&mut self, node: u32, link: u32, message: PeerMessage) {
        if !self.nodes[node as usize].is_running() || !self.nodes[node as usize].is_up(link) {
            return;
        }
        let core_link = LinkId(u64::from(link));
        let owned = |ranges: &[Range<u32>]| ranges.to_vec();
        match message {
            PeerMessage::Have(ranges) => {
                self.input(node, Input::Have { link: core_link, ranges: owned(&ranges) })
            }
            PeerMessage::Withdraw(ranges) => {
                self.input(node, Input::Withdraw { link: core_link, ranges: owned(&ranges) });
            }
            PeerMessage::Fetching(ranges) => {
                self.input(node, Input::Fetching { link: core_link, ranges: owned(&ranges) });
            }
            PeerMessage::Request { request, chunk } => self.asked_for(node, link, request, chunk),
            PeerMessage::Cancel { request } => self.cancelled(node, link, request),
            PeerMessage::Refuse { request, refusal } => self.refused(node, request, refusal),
            PeerMessage::Bye => self.link_down(node, link),
        }
    }

    /// A peer asks. Hostile nodes answer past any decision.
    fn asked_for(&mut self, node: u32, link: u32, request: u64, chunk: u32) {
        let core_link = LinkId(u64::from(link));
        match self.nodes[node as usize].behaviour {
            Behaviour::Honest | Behaviour::Slow => {
                self.input(node, Input::PeerRequest { link: core_link, request, chunk });
            }
            Behaviour::Corrupt => {
                self.send_chunk(node, link, request, u64::from(self.chunk_bytes[chunk as usize]))
            }
            Behaviour::Stall => {
                let half_bytes = u64::from(self.chunk_bytes[chunk as usize]).div_ceil(2);
                self.send_chunk(node, link, request, half_bytes);
            }
        }
    }

    /// A core hands out a chunk.
    pub(super) fn serve(&mut self, node: u32, link: LinkId, request: u64, chunk: u32) {
        let link = link.0 as u32;
        if !self.nodes[node as usize].held.contains(chunk) {
            self.violation(format!("node {node} serves chunk {chunk}, which it does not hold"));
        }
        if self.nodes[node as usize].is_up(link) {
            self.send_chunk(node, link, request, u64::from(self.chunk_bytes[chunk as usize]));
        }
    }

    fn send_chunk(&mut self, server: u32, server_link: u32, request: u64, payload_bytes: u64) {
        let end = &self.nodes[server as usize].links[server_link as usize];
        let purpose = Purpose::Chunk { asker: end.peer, link: end.peer_link, request, server, server_link };
        let transfer = self.net.start(&mut self.queue, end.connection, payload_bytes, purpose);
        self.nodes[server as usize].serving.push(Serving { link: server_link, request, transfer });
    }

    /// A peer takes its request back. What was sent until now is accounted for.
    fn cancelled(&mut self, node: u32, link: u32, request: u64) {
        let core_link = LinkId(u64::from(link));
        let serving = self.take_serving(node, link, request);
        self.input(node, Input::PeerCancel { link: core_link, request });
        if let Some(serving) = serving {
            let bytes = self.net.stop(serving.transfer).unwrap_or(0) as u32;
            self.input(node, Input::Sent { link: core_link, request, bytes });
        }
    }

    fn refused(&mut self, node: u32, request: u64, refusal: Refusal) {
        if self.take_asked(node, request).is_some() {
            let end = RequestEnd::Refused(refusal);
            self.input(node, Input::RequestEnded { request: RequestId(request), end });
        }
    }

    /// A sender is done with a transfer.
    pub(super) fn sent(&mut self, purpose: Purpose, payload_bytes: u64) {
        match purpose {
            Purpose::Manifest { .. } => {}
            Purpose::Fetch { node, fetch } => self.fetch_sent(node, fetch),
            Purpose::Chunk { server, server_link, request, .. } => {
                if self.take_serving(server, server_link, request).is_some() {
                    let link = LinkId(u64::from(server_link));
                    self.input(server, Input::Sent { link, request, bytes: payload_bytes as u32 });
                }
            }
        }
    }

    /// Bytes of a transfer came in.
    pub(super) fn came(&mut self, purpose: Purpose, payload_bytes: u32, is_last: bool) {
        match purpose {
            Purpose::Manifest { node } if is_last => self.begin_job(node),
            Purpose::Manifest { .. } => {}
            Purpose::Fetch { node, fetch } => self.fetch_came(node, fetch, payload_bytes),
            Purpose::Chunk { asker, request, server, .. } => {
                self.chunk_came(asker, request, server, payload_bytes);
            }
        }
    }

    fn chunk_came(&mut self, node: u32, request: u64, server: u32, payload_bytes: u32) {
        // Counted as waste until the chunk is whole, right and new: then `hold` takes it back.
        self.nodes[node as usize].run.waste_bytes += u64::from(payload_bytes);
        let Some(asked) = self.nodes[node as usize].asked.iter_mut().find(|asked| asked.request == request)
        else {
            return;
        };
        asked.come_bytes += payload_bytes;
        let chunk = asked.chunk;
        let is_whole = asked.come_bytes >= self.chunk_bytes[chunk as usize];
        self.input(node, Input::Progress { request: RequestId(request), bytes: payload_bytes });
        if !is_whole || self.take_asked(node, request).is_none() {
            return;
        }
        let end = match self.nodes[server as usize].behaviour {
            Behaviour::Honest | Behaviour::Slow => {
                self.hold(node, chunk, Some(server));
                RequestEnd::Verified
            }
            Behaviour::Corrupt | Behaviour::Stall => {
                self.nodes[node as usize].run.corrupt_bytes += u64::from(self.chunk_bytes[chunk as usize]);
                RequestEnd::Corrupt
            }
        };
        self.input(node, Input::RequestEnded { request: RequestId(request), end });
    }

    /// A chunk is whole and right, from a peer or the origin.
    pub(super) fn hold(&mut self, node: u32, chunk: u32, server: Option<u32>) {
        let bytes = u64::from(self.chunk_bytes[chunk as usize]);
        let place = &mut self.nodes[node as usize];
        if !place.held.insert(chunk) {
            return;
        }
        self.deliveries += 1;
        place.run.waste_bytes -= bytes;
        match server {
            Some(_) => place.run.peer_bytes += bytes,
            None => place.origin_bytes += bytes,
        }
        self.series.held(place.run.is_counted, bytes);
        self.fed.add(node, server, bytes);
    }

    fn take_asked(&mut self, node: u32, request: u64) -> Option<Asked> {
        let asked = &mut self.nodes[node as usize].asked;
        let at = asked.iter().position(|asked| asked.request == request)?;
        Some(asked.swap_remove(at))
    }

    fn take_serving(&mut self, node: u32, link: u32, request: u64) -> Option<Serving> {
        let serving = &mut self.nodes[node as usize].serving;
        let at = serving.iter().position(|serving| (serving.link, serving.request) == (link, request))?;
        Some(serving.swap_remove(at))
    }
}
