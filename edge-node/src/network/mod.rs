//! Peers and tracker as one thing that a job can do without: the socket, the tracker's client, and who speaks to it.

mod announcer;
mod documents;
mod learn;
mod links;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use freshet_protocol::{ContentName, KeyId, PairOutcome, PublicKey, ServerMessage, SwarmId};
use freshet_swarm::{Input, LinkId};
use tokio::sync::mpsc;

use crate::identity::{Identity, IdentityError};
use crate::limiter::Limiter;
use crate::node::GetError;
use crate::store::Positions;
use crate::tracker_client::{TrackerClient, TrackerConfig, TrackerEvent, Welcome};
use crate::transport::{Transport, TransportConfig, TransportError, TransportEvent};

use announcer::OwnReach;

pub(crate) use announcer::{Announcer, Standing};
pub(crate) use documents::{Documents, News};
pub(crate) use learn::{Learning, learn};
pub(crate) use links::{Link, LinkTally, Links};

/// How to take part in a swarm.
pub(crate) struct NetworkConfig<'a> {
    pub(crate) content: &'a ContentName,
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: &'a [SocketAddr],
    /// Whether browsers may dial over WebTransport.
    pub(crate) web_transport: bool,
    /// Whether to make data channels.
    pub(crate) web_rtc: bool,
    pub(crate) state_dir: Option<&'a Path>,
    /// Bound of what peers send.
    pub(crate) limiter: Limiter,
    /// Trackers to try, at least one.
    pub(crate) trackers: Vec<String>,
    /// Trackers' keys that the tenant has named; where it names none, the tracker that answers is taken at its word.
    pub(crate) tracker_keys: Vec<PublicKey>,
}

/// A node's place in a swarm. It follows pairings and links by itself; the job hears of the rest.
pub(crate) struct Network {
    pub(crate) transport: Transport,
    pub(crate) transport_events: mpsc::Receiver<TransportEvent>,
    pub(crate) announcer: Announcer,
    pub(crate) tracker_events: mpsc::Receiver<TrackerEvent>,
    /// Events that came before the job began and are its to handle, in order.
    pub(crate) early: Vec<TransportEvent>,
    /// Live links, with the pairings that they answer.
    links: BTreeMap<LinkId, Option<u64>>,
    is_tracker_up: bool,
    key: KeyId,
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
        transport_config.limiter = config.limiter;
        let key = identity.key_id();
        let bound = Transport::bind(transport_config).await;
        let (transport, transport_events) = bound.map_err(transport_error)?;
        transport.set_swarm(SwarmId::of_content(config.content));
        transport.trust_trackers(config.tracker_keys.clone());
        let agent = concat!("freshet-node/", env!("CARGO_PKG_VERSION")).to_owned();
        let (handle, tracker_events) =
            TrackerClient::start(TrackerConfig { urls: config.trackers, identity, agent });
        let reach = OwnReach {
            port: transport.local_address().port(),
            advertise: config.advertise,
            web_transport: config.web_transport,
            web_rtc: config.web_rtc,
        };
        let announcer = Announcer::new(handle, config.content.clone(), &reach, config.tracker_keys);
        Ok(Self {
            transport,
            transport_events,
            announcer,
            tracker_events,
            early: Vec::new(),
            links: BTreeMap::new(),
            is_tracker_up: false,
            key,
        })
    }

    /// Who this node is to peers.
    pub(crate) fn key(&self) -> KeyId {
        self.key
    }

    pub(crate) fn link_count(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn is_tracker_up(&self) -> bool {
        self.is_tracker_up
    }

    /// Announces this node's place in the swarm.
    pub(crate) fn announce(&mut self, standing: &Standing, held: &Positions) {
        self.announcer.announce(standing, held, self.transport.certificates());
    }

    /// Follows what the tracker says; what the core should know of it, if anything.
    pub(crate) fn tracker_event(&mut self, event: TrackerEvent) -> Option<Input> {
        match event {
            TrackerEvent::Up { welcome } => {
                self.is_tracker_up = true;
                self.transport.set_stun_servers(&stun_servers(&welcome));
                let trusted = self.announcer.up(welcome.tracker_key, welcome.announce_ms);
                self.transport.trust_trackers(trusted);
                self.transport.set_grace(false);
                Some(Input::TrackerUp)
            }
            TrackerEvent::Down { reason } => {
                tracing::info!(%reason, "the tracker does not answer; links stay");
                self.is_tracker_up = false;
                self.announcer.down();
                self.transport.set_grace(true);
                Some(Input::TrackerDown)
            }
            TrackerEvent::Message(message) if self.announcer.is_ours(&message) => {
                self.tracker_message(message)
            }
            TrackerEvent::Message(_) => None,
        }
    }

    fn tracker_message(&mut self, message: ServerMessage) -> Option<Input> {
        match message {
            ServerMessage::Ticket { ticket, .. } => self.transport.set_ticket(ticket.0),
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

    /// Follows links and tells the tracker what became of its pairings; the job handles the event itself.
    pub(crate) fn transport_event(&mut self, event: &TransportEvent) {
        match event {
            TransportEvent::LinkUp { link, peer, .. } => {
                self.links.insert(*link, peer.pair);
                if let Some(pair) = peer.pair {
                    self.announcer.paired(pair, PairOutcome::Linked);
                }
                self.announcer.changed();
            }
            TransportEvent::LinkDown { link, .. } => {
                if let Some(Some(pair)) = self.links.remove(link) {
                    self.announcer.paired(pair, PairOutcome::Closed);
                }
                self.announcer.changed();
            }
            TransportEvent::DialFailed { pair, reason } => {
                tracing::debug!(pair, %reason, "no link came of a pairing");
                self.announcer.paired(*pair, PairOutcome::Failed);
                self.announcer.changed();
            }
            TransportEvent::Signal { pair, data } => self.announcer.signal(*pair, data.clone()),
            TransportEvent::Frame { .. }
            | TransportEvent::Progress { .. }
            | TransportEvent::Answer { .. }
            | TransportEvent::Asked { .. }
            | TransportEvent::AskCancelled { .. }
            | TransportEvent::Sent { .. } => {}
        }
    }

    /// Says goodbye to tracker and peers, within half a second.
    pub(crate) async fn close(&mut self) {
        self.announcer.leave();
        self.transport.close().await;
    }
}

/// The tracker's STUN service: one port of it, since the second one only tells kinds of NAT apart.
fn stun_servers(welcome: &Welcome) -> Vec<String> {
    let host = host_of(&welcome.url);
    let port = welcome.stun_ports.first();
    host.zip(port).map(|(host, port)| format!("{host}:{port}")).into_iter().collect()
}

/// The host in a tracker's address, an IPv6 address with its brackets.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let end = if host.starts_with('[') { host.find(']')? + 1 } else { host.find(':').unwrap_or(host.len()) };
    Some(&host[..end]).filter(|host| !host.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_trackers() {
        let check = |url: &str, expected: Option<&str>| assert_eq!(host_of(url), expected, "{url}");
        check("ws://127.0.0.1:7000", Some("127.0.0.1"));
        check("wss://tracker.example/socket?x=a:b", Some("tracker.example"));
        check("wss://[2001:db8::1]:7000/", Some("[2001:db8::1]"));
        check("ws://user@host:1", Some("host"));
        check("ws://", None);
        check("ws://[::1", None);
        check("host:1", None);
    }
}
