//! The tracker's site: the real pairing code.

use std::net::{IpAddr, Ipv4Addr};

use freshet_protocol::{ClientMessage, ContentName, KeyId, PeerId, RootId};
use freshet_tracker::swarms::{Client, Config, Network, Output, Swarms};

use super::message::Body;
use super::queue::Event;
use super::wire;
use super::world::{FIRST_NODE, TRACKER, World, host_of};
use crate::plan::{Plan, bytes_s_of_mbit};

/// Bytes of a message that carries a ticket.
const TICKET_MESSAGE_BYTES: u64 = 400;

/// The tracker.
#[derive(Debug)]
pub(super) struct TrackerSite {
    swarms: Swarms,
    timer_us: Option<u64>,
}

impl TrackerSite {
    pub(super) fn new(plan: &Plan, seed: u64) -> Self {
        let config = Config {
            origin_budget_bytes_s: plan.origin.budget_mbit.map(bytes_s_of_mbit),
            ..Config::default()
        };
        Self { swarms: Swarms::new(config, seed), timer_us: None }
    }
}

/// The content that every node fetches.
pub(super) fn content_name() -> ContentName {
    "sim/content".parse().expect("two segments of letters are a name")
}

/// Its release.
pub(super) fn root_id() -> RootId {
    RootId::of(b"simulated release")
}

/// A node's public address: one each.
pub(super) fn address_of(node: u32) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + host_of(node)).into()
}

/// The tracker calls a node by its host's number.
fn peer_of(node: u32) -> PeerId {
    PeerId::try_from(u64::from(host_of(node))).expect("host numbers are small")
}

pub(super) fn node_of_peer(peer: PeerId) -> u32 {
    peer.get() as u32 - FIRST_NODE
}

impl World<'_> {
    pub(super) fn tracker_hello(&mut self, node: u32) {
        let now_us = self.now_us();
        let key = KeyId::of(&node.to_be_bytes());
        let client =
            Client { peer: peer_of(node), key, address: address_of(node), network: Network::default() };
        match self.tracker.swarms.connected(now_us, client) {
            Ok(()) => {
                self.send(TRACKER, host_of(node), wire::TRACKER_WELCOME_BYTES, Body::TrackerWelcome);
            }
            Err(error) => self.violation(format!("the tracker does not take node {node}: {error}")),
        }
    }

    pub(super) fn tracker_gone(&mut self, node: u32) {
        let now_us = self.now_us();
        self.tracker.swarms.disconnected(now_us, peer_of(node));
        self.drain_tracker();
    }

    pub(super) fn tracker_hears(&mut self, node: u32, message: ClientMessage) {
        let now_us = self.now_us();
        self.tracker.swarms.message(now_us, peer_of(node), message);
        self.drain_tracker();
    }

    pub(super) fn tracker_timer(&mut self) {
        let now_us = self.now_us();
        if self.tracker.timer_us == Some(now_us) {
            self.tracker.timer_us = None;
            self.tracker.swarms.timeout(now_us);
            self.drain_tracker();
        }
    }

    fn drain_tracker(&mut self) {
        while let Some(output) = self.tracker.swarms.poll_output() {
            match output {
                Output::Send { client, message } => {
                    let wire_bytes = wire::from_tracker_bytes(&message);
                    let to = host_of(node_of_peer(client));
                    self.send(TRACKER, to, wire_bytes, Body::FromTracker(Box::new(message)));
                }
                // This tracker is alone.
                Output::Cluster { .. } => {}
                // A ticket is the shell's affair; its bytes travel all the same.
                Output::IssueTicket { client, .. } => {
                    let (now_us, to) = (self.now_us(), host_of(node_of_peer(client)));
                    self.net.send_message(now_us, TRACKER, to, TICKET_MESSAGE_BYTES);
                }
            }
        }
        let Some(at_us) = self.tracker.swarms.poll_timeout() else { return };
        let at_us = at_us.max(self.now_us() + 1);
        if self.tracker.timer_us.is_none_or(|timer_us| at_us < timer_us) {
            self.tracker.timer_us = Some(at_us);
            self.queue.push(at_us, Event::TrackerTimer);
        }
    }
}
