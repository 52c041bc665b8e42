//! Peers and tracker as one thing that a job can do without: the socket, the tracker's client, and who speaks to it.

mod announcer;
mod documents;
mod introductions;
mod learn;
mod links;
mod peer_cache;
mod remembered;
mod stun_service;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use freshet_protocol::{
    Base64, Candidate, ContentName, INTRODUCED_PAIRS_MIN, KeyId, Locality, PairOutcome, Party, Placed,
    PublicKey, ServerMessage, SwarmId, Transport as Way, rendezvous_order,
};
use freshet_swarm::{Input, LinkId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::identity::{Identity, IdentityError};
use crate::limiter::Limiter;
use crate::node::GetError;
use crate::store::Positions;
use crate::tracker_client::{TrackerClient, TrackerConfig, TrackerEvent, Welcome};
use crate::transport::{
    LinkHandle, Outside, PeerInfo, Transport, TransportConfig, TransportError, TransportEvent,
};
use crate::uplink::Uplink;

use announcer::OwnReach;
use introductions::{Act, Introductions, Meeting, Own, new_pair};
use peer_cache::KeptTicket;
use remembered::Remembered;
use stun_service::stun_service;

pub(crate) use announcer::{Announcer, Standing};
pub(crate) use documents::{Documents, News};
pub(crate) use learn::{Learning, learn};
pub(crate) use links::{Link, LinkTally, Links};

/// How to take part in a swarm.
pub(crate) struct NetworkConfig<'a> {
    pub(crate) content: &'a ContentName,
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: &'a [SocketAddr],
    /// Whether to ask the router for a port.
    pub(crate) map_port: bool,
    /// Whether browsers may dial over WebTransport.
    pub(crate) web_transport: bool,
    /// Whether to make data channels.
    pub(crate) web_rtc: bool,
    pub(crate) state_dir: Option<&'a Path>,
    /// Bound of what peers send.
    pub(crate) limiter: Limiter,
    /// What answers leave through, where they yield to what else uses the line.
    pub(crate) uplink: Option<Uplink>,
    /// Trackers to try, at least one; the content says in which order.
    pub(crate) trackers: Vec<String>,
    /// Trackers' keys that the tenant has named; where it names none, the tracker that answers is taken at its word.
    pub(crate) tracker_keys: Vec<PublicKey>,
}

/// Remembered peers that are dialed at once where no tracker answers and no link is left.
const REMEMBERED_DIALS: usize = 8;

/// A node's place in a swarm. It follows pairings and links by itself; the job hears of the rest.
pub(crate) struct Network {
    pub(crate) transport: Transport,
    pub(crate) transport_events: mpsc::Receiver<TransportEvent>,
    pub(crate) announcer: Announcer,
    pub(crate) tracker_events: mpsc::Receiver<TrackerEvent>,
    /// Events that came before the job began and are its to handle, in order.
    pub(crate) early: Vec<TransportEvent>,
    links: BTreeMap<LinkId, (LinkHandle, PeerInfo)>,
    introductions: Introductions,
    remembered: Remembered,
    is_tracker_up: bool,
    /// Of a tracker that answers, while it is being found out how this node looks from outside.
    welcome: Option<Welcome>,
    key: PublicKey,
}

impl Network {
    /// Opens the socket and starts to look for a tracker.
    ///
    /// # Errors
    /// When the port is taken or the identity cannot be kept.
    pub(crate) async fn open(config: NetworkConfig<'_>) -> Result<Self, GetError> {
        let identity = match config.state_dir {
            None => Ok(Identity::generate()),
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|error| GetError::io(folder, &error))?;
                Identity::load_or_create(folder)
            }
        };
        let identity = Arc::new(identity.map_err(identity_error)?);
        let mut transport_config = TransportConfig::new(config.listen, Arc::clone(&identity));
        transport_config.quic.web_transport = config.web_transport;
        transport_config.web_rtc = config.web_rtc;
        transport_config.map_port = config.map_port;
        transport_config.limiter = config.limiter;
        transport_config.uplink = config.uplink;
        let (key, swarm) = (identity.key(), SwarmId::of_content(config.content));
        let bound = Transport::bind(transport_config).await;
        let (transport, transport_events) = bound.map_err(transport_error)?;
        transport.set_swarm(swarm);
        transport.trust_trackers(config.tracker_keys.clone());
        let agent = concat!("freshet-node/", env!("CARGO_PKG_VERSION")).to_owned();
        let urls = rendezvous_order(config.content, &config.trackers);
        let (handle, tracker_events) = TrackerClient::start(TrackerConfig::new(urls, identity, agent));
        let reach = OwnReach {
            port: transport.local_address().port(),
            advertise: config.advertise.to_vec(),
            web_transport: config.web_transport,
            web_rtc: config.web_rtc,
        };
        let announcer = Announcer::new(handle, config.content.clone(), reach, config.tracker_keys);
        Ok(Self {
            transport,
            transport_events,
            announcer,
            tracker_events,
            early: Vec::new(),
            links: BTreeMap::new(),
            introductions: Introductions::new(key.id(), Instant::now()),
            remembered: Remembered::open(config.state_dir, swarm),
            is_tracker_up: false,
            welcome: None,
            key,
        })
    }

    /// Who this node is to peers.
    pub(crate) fn key(&self) -> KeyId {
        self.key.id()
    }

    pub(crate) fn link_count(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn is_tracker_up(&self) -> bool {
        self.is_tracker_up
    }

    /// When this node's place in the swarm is to be announced next.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.announcer.due().into_iter().chain(self.introductions.due()).min()
    }

    /// Announces this node's place in the swarm; where no tracker hears it, links that are missing are looked for among
    /// peers.
    pub(crate) fn announce(&mut self, standing: &Standing, held: &Positions) {
        let now = Instant::now();
        self.keep(now);
        if self.is_tracker_up {
            return self.announcer.announce(standing, held, self.transport.certificates());
        }
        if self.introductions.is_alone(now) {
            // A tracker that is silent has not failed yet.
            self.transport.set_grace(true);
            if self.links.is_empty() {
                self.dial_remembered(now);
            }
        }
        let acts =
            self.introduce(|introductions, own| introductions.look(now, standing.links_missing(), own));
        self.act(acts);
    }

    /// Dials the peers of an earlier run.
    fn dial_remembered(&mut self, now: Instant) {
        let Some(cache) = self.remembered.peers_to_dial(now) else { return };
        if let Some(KeptTicket { ticket, arrived, trackers }) = cache.ticket() {
            self.transport.restore_ticket(ticket.0.clone(), *arrived);
            if self.announcer.trusted().is_empty() {
                self.transport.trust_trackers(trackers.clone());
            }
        }
        if self.transport.ticket().is_none() {
            return;
        }
        for (key, address) in cache.peers().take(REMEMBERED_DIALS) {
            let candidate = Candidate { transport: Way::Quic, address };
            self.transport.dial(new_pair(), vec![candidate], key, Locality::Any);
        }
    }

    /// Follows what the tracker says; what the core should know of it, if anything.
    pub(crate) fn tracker_event(&mut self, event: TrackerEvent) -> Option<Input> {
        match event {
            TrackerEvent::Up { welcome } => {
                self.introductions.tracker_up();
                match stun_service(&welcome) {
                    // Who is asked for peers should know how they can reach this node.
                    Some(service) => {
                        self.transport.set_stun(service);
                        self.welcome = Some(welcome);
                        None
                    }
                    None => {
                        self.announcer.set_outside(Outside::default());
                        Some(self.tracker_up(welcome))
                    }
                }
            }
            TrackerEvent::Down { reason } => {
                tracing::info!(%reason, "the tracker does not answer; links stay");
                (self.is_tracker_up, self.welcome) = (false, None);
                self.announcer.down();
                self.introductions.tracker_down(Instant::now());
                self.transport.set_grace(true);
                Some(Input::TrackerDown)
            }
            TrackerEvent::Message(message) if self.announcer.is_ours(&message) => {
                self.tracker_message(message)
            }
            TrackerEvent::Message(_) => None,
        }
    }

    fn tracker_up(&mut self, welcome: Welcome) -> Input {
        self.is_tracker_up = true;
        let trusted = self.announcer.up(welcome.tracker_key, welcome.announce_ms);
        self.transport.trust_trackers(trusted);
        self.transport.set_grace(false);
        Input::TrackerUp
    }

    fn tracker_message(&mut self, message: ServerMessage) -> Option<Input> {
        match message {
            ServerMessage::Ticket { ticket, .. } => self.ticket(ticket),
            ServerMessage::Pair { pair, key, candidates, dial: true, locality, .. } => {
                self.transport.dial(pair, candidates, key, locality);
            }
            ServerMessage::Pair { pair, key, candidates, locality, .. } => {
                self.transport.expect(pair, &candidates, key, locality);
            }
            ServerMessage::Signal { pair, data } => self.transport.signal(pair, &data),
            ServerMessage::Shards { granted, active_jobs, origin_budget_bytes_s, .. } => {
                return Some(Input::Shards { granted, active_jobs, origin_budget_bytes_s });
            }
            ServerMessage::Error { code, message } => {
                tracing::warn!(%code, %message, "the tracker refused a message");
            }
            // The tracker's client has dealt with the opening and with drains; who takes part in a stream, or follows a
            // channel, has dealt with entries and pointers.
            ServerMessage::Challenge { .. }
            | ServerMessage::Welcome { .. }
            | ServerMessage::Drain { .. }
            | ServerMessage::Entry { .. }
            | ServerMessage::Pointer { .. }
            | ServerMessage::Unknown => {}
        }
        None
    }

    fn ticket(&mut self, ticket: Base64) {
        self.remembered.ticket(&ticket, self.announcer.trusted());
        self.transport.set_ticket(ticket.0);
        self.keep(Instant::now());
    }

    /// Follows links and tells the tracker what became of its pairings; the job handles the event itself. What the core
    /// should know beside it, if anything.
    pub(crate) fn transport_event(&mut self, event: &TransportEvent) -> Option<Input> {
        match event {
            TransportEvent::Outside(outside) => {
                self.announcer.set_outside(outside.clone());
                return self.welcome.take().map(|welcome| self.tracker_up(welcome));
            }
            TransportEvent::LinkUp { link, handle, peer } => {
                self.links.insert(*link, (handle.clone(), peer.clone()));
                self.introductions.link_up(Instant::now(), *link, peer);
                self.remember(peer);
                self.paired(peer.pair, PairOutcome::Linked);
            }
            TransportEvent::LinkDown { link, .. } => {
                self.introductions.link_down(*link);
                if let Some((_, peer)) = self.links.remove(link) {
                    self.remember(&peer);
                    self.paired(peer.pair, PairOutcome::Closed);
                }
            }
            TransportEvent::DialFailed { pair, reason } => {
                tracing::debug!(pair, %reason, "no link came of a pairing");
                self.introductions.failed(*pair);
                self.paired(Some(*pair), PairOutcome::Failed);
            }
            TransportEvent::Signal { pair, data } => self.announcer.signal(*pair, data.clone()),
            TransportEvent::Frame { link, frame } => {
                let now = Instant::now();
                let acts = self.introduce(|introductions, own| introductions.frame(now, *link, frame, own));
                self.act(acts);
            }
            TransportEvent::Progress { .. }
            | TransportEvent::Answer { .. }
            | TransportEvent::Asked { .. }
            | TransportEvent::AskCancelled { .. }
            | TransportEvent::Sent { .. } => {}
        }
        None
    }

    /// Tells the tracker what became of a pairing, where it made it, and that links have changed.
    fn paired(&mut self, pair: Option<u64>, outcome: PairOutcome) {
        if let Some(pair) = pair.filter(|pair| *pair < INTRODUCED_PAIRS_MIN) {
            self.announcer.paired(pair, outcome);
        }
        self.announcer.changed();
    }

    fn introduce(&mut self, what: impl FnOnce(&mut Introductions, &OwnSide<'_>) -> Vec<Act>) -> Vec<Act> {
        let own = OwnSide { key: self.key, transport: &self.transport, outside: self.announcer.outside() };
        what(&mut self.introductions, &own)
    }

    fn act(&self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send(link, frame) => {
                    if let Some((handle, _)) = self.links.get(&link) {
                        handle.send(frame);
                    }
                }
                Act::Dial(Meeting { pair, key, candidates, locality }) => {
                    self.transport.dial_heard(pair, candidates, key, locality);
                }
                Act::Expect(Meeting { pair, key, candidates, locality }) => {
                    self.transport.expect(pair, &candidates, key, locality);
                }
            }
        }
    }

    fn remember(&mut self, peer: &PeerInfo) {
        self.remembered.seen(peer);
        self.keep(Instant::now());
    }

    /// Writes what is remembered, where that is due, beside what else goes on.
    fn keep(&mut self, now: Instant) {
        self.remembered.write_when_due(now, self.links.values().map(|(_, peer)| peer));
    }

    /// Says goodbye to tracker and peers, within half a second, and notes who was there.
    pub(crate) async fn close(&mut self) {
        self.remembered.write(Instant::now(), self.links.values().map(|(_, peer)| peer));
        self.announcer.leave();
        self.transport.close().await;
        self.remembered.written().await;
    }
}

/// This node as introductions need it.
struct OwnSide<'a> {
    key: PublicKey,
    transport: &'a Transport,
    outside: &'a Outside,
}

impl Own for OwnSide<'_> {
    fn party(&self, pair: u64) -> Option<Party> {
        let mapped = self.outside.mapped.iter();
        Some(Party {
            pair,
            key: self.key,
            ticket: Base64(self.transport.ticket()?),
            mapped: mapped.map(|mapped| Placed { address: mapped.address, nat: mapped.nat }).collect(),
            local: self.outside.local.clone(),
        })
    }

    fn admits(&self, key: &PublicKey, ticket: &[u8]) -> bool {
        self.transport.admits(key, ticket)
    }
}

fn identity_error(error: IdentityError) -> GetError {
    match &error {
        IdentityError::Io { path, source, .. } => GetError::io(path, source),
        IdentityError::Seed(_) => GetError::Other(error.to_string()),
    }
}

fn transport_error(error: TransportError) -> GetError {
    match &error {
        TransportError::Bind { address, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
            GetError::PortInUse(format!(
                "UDP port {} is in use by another program; choose another with --listen, or port 0 for any",
                address.port()
            ))
        }
        TransportError::Bind { .. } | TransportError::Certificate(_) | TransportError::Agent(_) => {
            GetError::Other(error.to_string())
        }
    }
}
