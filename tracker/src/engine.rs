//! The one task that owns the swarms: connections send it events, it sends them messages.
//!
//! Each client's queue is bounded, and the engine never waits for a client: one that does not read is cut.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::limits::INTEGER_MAX;
use freshet_protocol::{ClientMessage, KeyId, PeerId, ServerMessage};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::address_proofs::AddressProofs;
use crate::cluster::{Cluster, ClusterEvent};
use crate::counters::Counters;
use crate::networks::Networks;
use crate::random::random_u64;
use crate::swarms::{Client, Config, Output, Refused, Stats, Swarms, Uptake};
use crate::tickets::Tickets;

/// Events that may wait for the engine; connections wait when it is full, and so do their clients.
pub(crate) const EVENTS_MAX: usize = 1024;
/// Events taken before timers are looked at again.
const EVENTS_PER_TURN: usize = 64;
/// Tries for an unused peer id; of 2^53, more than one is never needed.
const PEER_ID_TRIES: usize = 8;

/// The engine's end of a connection.
#[derive(Debug)]
pub(crate) struct ClientLink {
    /// Messages for the client. Dropping it closes the connection in order.
    pub(crate) outgoing: mpsc::Sender<ServerMessage>,
    /// Cuts the connection at once.
    pub(crate) cut: CancellationToken,
}

/// What happens outside.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client has proved its key.
    Connected {
        key: KeyId,
        address: IpAddr,
        link: ClientLink,
        reply: oneshot::Sender<Result<PeerId, Refused>>,
    },
    /// It says something.
    Message { peer: PeerId, message: ClientMessage },
    /// It is gone.
    Disconnected { peer: PeerId },
    /// Something of the other trackers.
    Cluster(ClusterEvent),
    /// Somebody wants figures.
    Stats { reply: oneshot::Sender<(Stats, Vec<Uptake>)> },
    /// The tracker is to stop: all clients are told, then closed one by one within `over`.
    Drain { over: Duration },
}

/// How clients are closed at the end.
#[derive(Debug)]
struct Closing {
    next: Instant,
    step: Duration,
}

pub(crate) struct Engine {
    swarms: Swarms,
    links: BTreeMap<PeerId, ClientLink>,
    tickets: Tickets,
    proofs: Arc<AddressProofs>,
    networks: watch::Receiver<Arc<Networks>>,
    cluster: Box<dyn Cluster>,
    counters: Arc<Counters>,
    start: Instant,
    closing: Option<Closing>,
}

impl Engine {
    pub(crate) fn new(
        config: Config,
        tickets: Tickets,
        proofs: Arc<AddressProofs>,
        networks: watch::Receiver<Arc<Networks>>,
        cluster: Box<dyn Cluster>,
        counters: Arc<Counters>,
    ) -> Self {
        let seed = random_u64();
        Self {
            swarms: Swarms::new(config, seed),
            links: BTreeMap::new(),
            tickets,
            proofs,
            networks,
            cluster,
            counters,
            start: Instant::now(),
            closing: None,
        }
    }

    /// Runs until it is drained, stopped, or nobody can send events any more.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let wake = self.next_wake();
            tokio::select! {
                () = stop.cancelled() => return,
                count = events.recv_many(&mut batch, EVENTS_PER_TURN) => {
                    if count == 0 {
                        return;
                    }
                    for event in batch.drain(..) {
                        self.take(event);
                        self.carry_out();
                    }
                }
                () = tokio::time::sleep_until(wake.unwrap_or(self.start)), if wake.is_some() => {}
            }
            self.swarms.timeout(self.now_us());
            self.carry_out();
            if self.close_some() {
                return;
            }
        }
    }

    fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn next_wake(&self) -> Option<Instant> {
        let timer = self.swarms.poll_timeout().map(|due_us| self.start + Duration::from_micros(due_us));
        timer.into_iter().chain(self.closing.as_ref().map(|closing| closing.next)).min()
    }

    fn take(&mut self, event: Event) {
        let now_us = self.now_us();
        match event {
            Event::Connected { key, address, link, reply } => {
                let taken = self.connected(now_us, key, address, link);
                if let Err(Ok(peer)) = reply.send(taken) {
                    // The connection ended while it waited for its id.
                    self.forget(peer);
                }
            }
            Event::Message { peer, mut message } => {
                if let ClientMessage::Announce(announce) = &mut message {
                    // What is left has been seen by this tracker itself.
                    announce.mapped.retain(|mapped| self.proofs.is_good(mapped));
                }
                self.swarms.message(now_us, peer, message);
            }
            Event::Disconnected { peer } => self.forget(peer),
            Event::Stats { reply } => {
                // Who asked may be gone, and then nobody misses the answer.
                let _ = reply.send((self.swarms.stats(), self.swarms.uptakes(now_us)));
            }
            Event::Cluster(event) => self.take_from_cluster(now_us, event),
            Event::Drain { over } => self.start_closing(over),
        }
    }

    fn take_from_cluster(&mut self, now_us: u64, event: ClusterEvent) {
        match event {
            // Who is about to stop takes no further peers, so others need not know of its own.
            ClusterEvent::Up(_) if self.closing.is_some() => {}
            ClusterEvent::Up(own) => self.swarms.cluster_up(now_us, own),
            ClusterEvent::Down => self.swarms.cluster_down(now_us),
            ClusterEvent::Message { from, message } => self.swarms.cluster_message(now_us, from, message),
        }
    }

    fn connected(
        &mut self,
        now_us: u64,
        key: KeyId,
        address: IpAddr,
        link: ClientLink,
    ) -> Result<PeerId, Refused> {
        if self.closing.is_some() {
            return Err(Refused::Full);
        }
        let network = self.networks.borrow().of(address);
        for _ in 0..PEER_ID_TRIES {
            let number = random_u64() & INTEGER_MAX;
            let peer = PeerId::try_from(number).expect("masked to 53 bits");
            match self.swarms.connected(now_us, Client { peer, key, address, network }) {
                Ok(()) => {
                    self.links.insert(peer, link);
                    return Ok(peer);
                }
                Err(Refused::InUse) => {}
                Err(Refused::Full) => return Err(Refused::Full),
            }
        }
        Err(Refused::InUse)
    }

    fn forget(&mut self, peer: PeerId) {
        if self.links.remove(&peer).is_some() {
            self.swarms.disconnected(self.now_us(), peer);
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.swarms.poll_output() {
            match output {
                Output::Send { client, message } => self.send(client, message),
                Output::IssueTicket { client, key, swarms } => {
                    let message = self.tickets.issue(client, key, swarms);
                    self.send(client, message);
                }
                Output::Cluster { to, message } => self.cluster.send(to, &message),
            }
        }
    }

    fn send(&mut self, peer: PeerId, message: ServerMessage) {
        let Some(link) = self.links.get(&peer) else { return };
        match link.outgoing.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.counters.slow_cut.add(1);
                link.cut.cancel();
                self.forget(peer);
            }
            Err(TrySendError::Closed(_)) => self.forget(peer),
        }
    }

    fn start_closing(&mut self, over: Duration) {
        // Links across trackers stay, and the other sides go on.
        self.swarms.cluster_bye();
        self.swarms.cluster_down(self.now_us());
        let reconnect_ms = u32::try_from(over.as_millis()).unwrap_or(u32::MAX);
        let peers: Vec<_> = self.links.keys().copied().collect();
        for &peer in &peers {
            self.send(peer, ServerMessage::Drain { reconnect_ms });
        }
        let count = u32::try_from(peers.len()).unwrap_or(u32::MAX).max(1);
        self.closing = Some(Closing { next: Instant::now(), step: over / count });
    }

    /// Closes the clients whose turn has come; true when none is left. Ids are random, so their order is.
    fn close_some(&mut self) -> bool {
        let Some(closing) = &mut self.closing else {
            return false;
        };
        let now = Instant::now();
        while closing.next <= now && self.links.pop_first().is_some() {
            closing.next += closing.step;
        }
        self.links.is_empty()
    }
}
