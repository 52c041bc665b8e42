//! The state machine that routes what happens to the parts that decide.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use freshet_protocol::{ClientMessage, ContentName, KeyId, PeerId, ServerMessage};

use super::cluster::Cluster;
use super::config::Config;
use super::failures::Failures;
use super::first_copies::LeaseRequest;
use super::locality::Network;
use super::mixer::Mixer;
use super::odds::Odds;
use super::output::{Output, Outputs};
use super::pair::Pairs;
use super::stats::Stats;
use super::swarm::Swarm;
use super::timers::{Timer, Timers};
use super::uptake::{Uptake, Uptakes};

/// Pair numbers start below this, so that they stay within 2^53-1 however long a tracker runs.
const FIRST_PAIR_MAX: u64 = 1 << 52;

/// A client that has proved its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// What the tracker calls it, in all its swarms; unique among those connected.
    pub peer: PeerId,
    /// Its key.
    pub key: KeyId,
    /// The address that the tracker sees.
    pub address: IpAddr,
    /// What is known of its network.
    pub network: Network,
}

/// Why a client was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many clients as there may be.
    #[error("this tracker has no room for another client; use the origin")]
    Full,
    /// The id is in use.
    #[error("a client with this peer id is connected")]
    InUse,
}

/// What is kept about a client beside its swarms.
#[derive(Debug)]
pub(super) struct ClientState {
    pub(super) client: Client,
    /// Numbers of the swarms it is in.
    pub(super) swarms: BTreeSet<u64>,
    /// Failures of its pairings that counted since one of them linked.
    pub(super) failures: u8,
}

/// All swarms of a tracker. See the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Swarms {
    pub(super) config: Config,
    pub(super) mixer: Mixer,
    pub(super) clients: BTreeMap<PeerId, ClientState>,
    pub(super) names: BTreeMap<ContentName, u64>,
    pub(super) swarms: BTreeMap<u64, Swarm>,
    pub(super) next_swarm: u64,
    pub(super) pairs: Pairs,
    pub(super) failures: Failures,
    pub(super) odds: Odds,
    pub(super) timers: Timers,
    pub(super) outputs: Outputs,
    pub(super) counters: Stats,
    pub(super) uptakes: Uptakes,
    pub(super) cluster: Cluster,
}

impl Swarms {
    /// An empty tracker. `seed` decides every choice that is made at random.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut mixer = Mixer::new(seed);
        let first_pair = mixer.next() % FIRST_PAIR_MAX;
        Self {
            config,
            mixer,
            clients: BTreeMap::new(),
            names: BTreeMap::new(),
            swarms: BTreeMap::new(),
            next_swarm: 0,
            pairs: Pairs::new(first_pair),
            failures: Failures::default(),
            odds: Odds::default(),
            timers: Timers::default(),
            outputs: Outputs::default(),
            counters: Stats::default(),
            uptakes: Uptakes::default(),
            cluster: Cluster::default(),
        }
    }

    /// Takes a client that has proved its key.
    ///
    /// # Errors
    /// [`Refused`] when there is no room, or its id is in use.
    pub fn connected(&mut self, _now_us: u64, client: Client) -> Result<(), Refused> {
        if self.clients.contains_key(&client.peer) {
            return Err(Refused::InUse);
        }
        if self.clients.len() >= self.config.clients_max {
            return Err(Refused::Full);
        }
        self.clients.insert(client.peer, ClientState { client, swarms: BTreeSet::new(), failures: 0 });
        Ok(())
    }

    /// Takes a message that is within its limits ([`ClientMessage::decode`]). Messages of clients that are not connected
    /// and of types that do not belong here are ignored.
    pub fn message(&mut self, now_us: u64, client: PeerId, message: ClientMessage) {
        if !self.clients.contains_key(&client) {
            return;
        }
        self.counters.messages_total += 1;
        match message {
            ClientMessage::Announce(announce) => self.announce(now_us, client, &announce),
            ClientMessage::Leave { content } => self.leave(now_us, client, &content),
            ClientMessage::Lease { content, root, want, done } => {
                self.lease(now_us, client, LeaseRequest { content, root, want, done: &done });
            }
            ClientMessage::Signal { pair, data } => self.signal(client, pair, data),
            ClientMessage::Entry { content, entry } => {
                self.news(
                    now_us,
                    client,
                    &content,
                    &ServerMessage::Entry { content: content.clone(), entry },
                );
            }
            ClientMessage::Pointer { content, pointer } => {
                let message = ServerMessage::Pointer { content: content.clone(), pointer };
                self.news(now_us, client, &content, &message);
            }
            ClientMessage::Paired { pair, outcome } => self.paired(now_us, client, pair, outcome),
            ClientMessage::Hello { .. } | ClientMessage::Unknown => {}
        }
    }

    /// Forgets a client: its pairs end, its leases are free at once.
    pub fn disconnected(&mut self, now_us: u64, client: PeerId) {
        if let Some(state) = self.clients.remove(&client) {
            self.timers.set(Timer::Ticket(client), None);
            for swarm in state.swarms {
                self.leave_swarm(now_us, client, swarm);
            }
        }
    }

    /// Does what is due at `now_us`.
    pub fn timeout(&mut self, now_us: u64) {
        while let Some(timer) = self.timers.pop(now_us) {
            match timer {
                Timer::Pair(pair) => self.pair_timed_out(now_us, pair),
                Timer::Ticket(client) => self.issue_ticket(now_us, client),
                Timer::Swarm(swarm) => self.swarm_timed_out(now_us, swarm),
                Timer::Digest(swarm) => self.digest_due(now_us, swarm),
                Timer::Alive => self.alive(now_us),
            }
        }
    }

    /// The next thing to do for the driver.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// When to call [`Swarms::timeout`], in microseconds; `None` while nothing is due.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next()
    }

    /// Figures about the state. Walks the swarms.
    pub fn stats(&self) -> Stats {
        let swarms = || self.swarms.values();
        Stats {
            clients: self.clients.len(),
            swarms: self.swarms.len(),
            peers: swarms().map(|swarm| swarm.members.len()).sum(),
            jobs: swarms().map(|swarm| swarm.jobs as usize).sum(),
            pairs_pending: self.pairs.pending(),
            pairs_linked: self.pairs.linked(),
            kinds_hopeless: self.odds.hopeless(),
            pairs_across: self.pairs.across(),
            trackers: self.cluster.nodes(),
            remote_peers: self.cluster.cards(),
            leases: swarms().flat_map(|swarm| swarm.leases.values()).map(|leases| leases.count()).sum(),
            outputs_dropped: self.outputs.dropped(),
            ..self.counters
        }
    }

    /// How far each swarm is with what was pushed to it last.
    pub fn uptakes(&self, now_us: u64) -> Vec<Uptake> {
        self.uptakes.figures(now_us)
    }

    pub(super) fn refuse(&mut self, client: PeerId, code: &str, message: &str) {
        self.counters.refused_total += 1;
        self.outputs.refuse(client, code, message);
    }
}
