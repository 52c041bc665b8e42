//! What lies between this node's socket and the internet: how its NAT behaves, and the ways through it to peers.

mod forwarding;
mod probing;
mod survey;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::stun::{self, Transaction};
use freshet_protocol::{Candidate, MappedAddress, Transport};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::event::TransportEvent;
use super::quic::{Aside, AsideSocket};
use super::switchboard::Switchboard;
use crate::clock::sleep_until;
use crate::random::random_bytes;
use forwarding::Forwarding;
use probing::Prober;
use survey::Survey;

/// Words to the task that may wait; more are dropped, and a link comes about without them or not at all.
const COMMANDS_MAX: usize = 256;
/// Datagrams that may wait for the task.
const ASIDE_MAX: usize = 256;
/// How often it is looked again: NATs forget an address that nothing was sent from for 30 s and more.
const LOOK_EVERY: Duration = Duration::from_secs(25);
/// Time for the name of a STUN service to be resolved.
const RESOLVE_TIME: Duration = Duration::from_secs(2);
/// After that it is told what is known: links need not wait for a service that does not answer.
const TELL_TIME: Duration = Duration::from_millis(300);

/// How this node's socket looks from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// As the tracker's STUN service sees it, by family of addresses.
    pub mapped: Vec<MappedAddress>,
    /// As its own network does, where that differs.
    pub local: Vec<SocketAddr>,
    /// A port of the router that leads to it.
    pub forwarded: Option<SocketAddr>,
}

impl Outside {
    /// Whether another one says the same, whatever its proofs.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let said = |outside: &Self| {
            outside.mapped.iter().map(|mapped| (mapped.address, mapped.nat)).collect::<Vec<_>>()
        };
        said(self) == said(other) && self.local == other.local && self.forwarded == other.forwarded
    }
}

/// A STUN service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StunService {
    pub(crate) host: String,
    pub(crate) ports: [u16; 2],
}

#[derive(Debug)]
enum Command {
    Look(StunService),
    Probe { pair: u64, addresses: Vec<SocketAddr>, heard: Option<mpsc::Sender<SocketAddr>> },
    End,
}

/// The way to the task.
#[derive(Debug, Clone)]
pub(super) struct NatHandle {
    commands: mpsc::Sender<Command>,
}

/// Where QUIC's socket leaves what is not its own.
pub(super) fn aside() -> (mpsc::Sender<Aside>, mpsc::Receiver<Aside>) {
    mpsc::channel(ASIDE_MAX)
}

impl NatHandle {
    /// Starts the task; `forward` says whether the router is asked for a port.
    pub(super) fn start(
        socket: AsideSocket,
        aside: mpsc::Receiver<Aside>,
        board: Arc<Switchboard>,
        forward: bool,
    ) -> Self {
        let forwarding = forward.then(|| Forwarding::of(socket.bound.port())).flatten();
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let (resolved, resolutions) = mpsc::channel(1);
        let looker = Looker {
            socket,
            board,
            surveys: BTreeMap::new(),
            prober: Prober::default(),
            service: None,
            look_at: None,
            resolved,
            own: BTreeMap::new(),
            found: BTreeMap::new(),
            forwarding,
            forwarded: None,
            tell_at: None,
            told: None,
        };
        tokio::spawn(looker.run(queue, aside, resolutions));
        Self { commands }
    }

    /// Gives back what was asked for.
    pub(super) fn end(&self) {
        let _ = self.commands.try_send(Command::End);
    }

    /// Looks by this service from now on. What is found is told, also that there is nothing.
    pub(super) fn look(&self, service: StunService) {
        let _ = self.commands.try_send(Command::Look(service));
    }

    /// Opens the way to the QUIC candidates of a pairing for a while. Who dials hears from where probes come.
    pub(super) fn open_way(
        &self,
        pair: u64,
        candidates: &[Candidate],
        heard: Option<mpsc::Sender<SocketAddr>>,
    ) {
        let is_quic = |candidate: &&Candidate| candidate.transport == Transport::Quic;
        let addresses = candidates.iter().filter(is_quic).map(|candidate| candidate.address).collect();
        let _ = self.commands.try_send(Command::Probe { pair, addresses, heard });
    }
}

/// Families of addresses, by whether it is IPv6.
type Family = bool;

struct Looker {
    socket: AsideSocket,
    board: Arc<Switchboard>,
    surveys: BTreeMap<Family, Survey>,
    prober: Prober,
    service: Option<StunService>,
    /// When to look again.
    look_at: Option<Instant>,
    resolved: mpsc::Sender<Vec<SocketAddr>>,
    /// The socket on this machine, and what has been found.
    own: BTreeMap<Family, SocketAddr>,
    found: BTreeMap<Family, MappedAddress>,
    /// The port at the router.
    forwarding: Option<Forwarding>,
    forwarded: Option<SocketAddr>,
    /// When the first word about the service is due.
    tell_at: Option<Instant>,
    /// What was told last.
    told: Option<Outside>,
}

impl Looker {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut aside: mpsc::Receiver<Aside>,
        mut resolutions: mpsc::Receiver<Vec<SocketAddr>>,
    ) {
        loop {
            let now = Instant::now();
            let surveys = self.surveys.values().filter_map(|survey| survey.due(now));
            let due = surveys.chain(self.prober.due()).chain(self.look_at).chain(self.tell_at).min();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some((from, datagram)) = aside.recv() => self.datagram(from, &datagram),
                Some(addresses) = resolutions.recv() => self.survey(&addresses),
                forwarded = forwarding::changed(&mut self.forwarding) => {
                    self.forwarded = forwarded;
                    // Before a tracker has been heard of there is nobody to tell.
                    if self.told.is_some() {
                        self.tell().await;
                    }
                }
                () = sleep_until(due) => {}
            }
            self.go_on().await;
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Look(service) => {
                if self.service.as_ref() != Some(&service) {
                    // Another service's word counts for nothing with its tracker.
                    self.found.clear();
                }
                self.service = Some(service);
                (self.told, self.tell_at) = (None, Some(Instant::now() + TELL_TIME));
                self.look();
            }
            Command::Probe { pair, addresses, heard } => {
                self.prober.begin(Instant::now(), pair, addresses, heard);
            }
            Command::End => {
                self.forwarding = None;
            }
        }
    }

    fn look(&mut self) {
        let Some(StunService { host, ports: [port, _] }) = self.service.clone() else { return };
        self.look_at = Some(Instant::now() + LOOK_EVERY);
        let resolved = self.resolved.clone();
        tokio::spawn(async move {
            let looking = tokio::net::lookup_host((host.as_str(), port));
            let found = tokio::time::timeout(RESOLVE_TIME, looking).await;
            let addresses = found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default();
            // The node may have gone.
            let _ = resolved.send(addresses).await;
        });
    }

    /// Asks the service at the first of its addresses of each family that this socket speaks.
    fn survey(&mut self, addresses: &[SocketAddr]) {
        let Some(StunService { ports, .. }) = &self.service else { return };
        self.surveys.clear();
        let now = Instant::now();
        for is_ipv6 in [false, true] {
            let server = addresses.iter().find(|address| address.is_ipv6() == is_ipv6);
            let Some(server) = server.filter(|_| self.socket.speaks(is_ipv6)) else { continue };
            let Some(own) = self.socket.own_address(*server) else { continue };
            self.own.insert(is_ipv6, own);
            let ports = ports.map(|port| SocketAddr::new(server.ip(), port));
            let transactions: [Transaction; 3] = std::array::from_fn(|_| random_bytes());
            self.surveys.insert(is_ipv6, Survey::new(now, own, ports, transactions));
        }
    }

    fn datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if let Some(pair) = stun::read_probe(datagram) {
            return self.prober.heard(pair, from);
        }
        let Some(response) = stun::read_response(datagram) else { return };
        let now = Instant::now();
        self.surveys.values_mut().any(|survey| survey.answer(now, &response));
    }

    /// Sends what is due, and tells what is found.
    async fn go_on(&mut self) {
        let now = Instant::now();
        if self.look_at.is_some_and(|at| at <= now) {
            self.look();
        }
        for survey in self.surveys.values_mut() {
            survey.requests(now).iter().for_each(|(to, request)| self.socket.send(*to, request));
        }
        for (pair, to) in self.prober.probes(now) {
            self.socket.send(to, &stun::probe(random_bytes(), pair));
        }
        let is_settled = !self.surveys.is_empty() && self.surveys.values().all(|s| s.is_settled(now));
        if is_settled || self.tell_at.is_some_and(|at| at <= now) {
            for (is_ipv6, survey) in &self.surveys {
                match survey.found() {
                    Some(found) => drop(self.found.insert(*is_ipv6, found)),
                    None => drop(self.found.remove(is_ipv6)),
                }
            }
            self.tell_at = None;
            self.tell().await;
        }
    }

    async fn tell(&mut self) {
        let mapped: Vec<MappedAddress> = self.found.values().cloned().collect();
        let is_inside = |own: &&SocketAddr| mapped.iter().all(|mapped| mapped.address != **own);
        let local = self.own.values().filter(is_inside).copied().collect();
        let outside = Outside { mapped, local, forwarded: self.forwarded };
        if self.told.as_ref() != Some(&outside) {
            self.told = Some(outside.clone());
            // Without a job nobody wants to know.
            let _ = self.board.tell(TransportEvent::Outside(outside)).await;
        }
    }
}
