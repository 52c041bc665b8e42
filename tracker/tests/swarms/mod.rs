//! The pure part, driven as the server drives it.

mod bounds;
mod cluster;
mod connectivity;
mod leases;
mod news;
mod pairing;
mod rules;
mod uptake;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use freshet_protocol::{
    Announce, Candidate, ClientMessage, ContentName, HaveSummary, KeyId, Locality, PairOutcome, PeerId,
    RootId, ServerMessage, Transport,
};
use freshet_tracker::swarms::{Client, Config, Network, Output, Swarms};

pub(crate) const SECOND_US: u64 = 1_000_000;

pub(crate) fn peer(n: u64) -> PeerId {
    PeerId::try_from(n).expect("test ids are small")
}

pub(crate) fn content() -> ContentName {
    "game/demo".parse().expect("a good name")
}

pub(crate) fn root() -> RootId {
    RootId::of(b"root")
}

/// An address of its own for each peer.
pub(crate) fn address(n: u64) -> IpAddr {
    let [_, a, b, c] = (n as u32).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(100, a, b, c))
}

/// A sharing fetcher of a release of 400 shards, which can be dialled at any address that the tracker sees.
pub(crate) fn fetcher(links_wanted: u8) -> Announce {
    Announce {
        content: content(),
        root: root(),
        chunks: 1600,
        have: HaveSummary::None,
        left_bytes: 1,
        sharing: true,
        links: 0,
        links_wanted,
        mapped: Vec::new(),
        local: Vec::new(),
        certificates: Vec::new(),
        candidates: vec![Candidate {
            transport: Transport::Quic,
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7)),
        }],
    }
}

/// A peer that holds all and shares it.
pub(crate) fn seed(links_wanted: u8) -> Announce {
    Announce { have: HaveSummary::All, left_bytes: 0, ..fetcher(links_wanted) }
}

/// A fetcher that shares nothing.
pub(crate) fn leech(links_wanted: u8) -> Announce {
    Announce { sharing: false, ..fetcher(links_wanted) }
}

/// A Pair message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paired {
    pub(crate) pair: u64,
    pub(crate) to: u64,
    pub(crate) other: u64,
    pub(crate) dial: bool,
    pub(crate) random: bool,
    pub(crate) locality: Locality,
}

/// Swarms, and what came out of them.
pub(crate) struct World {
    pub(crate) swarms: Swarms,
    pub(crate) now_us: u64,
    pub(crate) outputs: Vec<Output>,
}

impl World {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        config.check().expect("a good configuration");
        Self { swarms: Swarms::new(config, seed), now_us: SECOND_US, outputs: Vec::new() }
    }

    pub(crate) fn connect(&mut self, n: u64) {
        self.connect_from(n, address(n));
    }

    pub(crate) fn connect_from(&mut self, n: u64, address: IpAddr) {
        self.connect_in(n, address, Network::default());
    }

    pub(crate) fn connect_in(&mut self, n: u64, address: IpAddr, network: Network) {
        let client = Client { peer: peer(n), key: KeyId::of(&n.to_be_bytes()), address, network };
        self.swarms.connected(self.now_us, client).expect("there is room");
    }

    pub(crate) fn say(&mut self, n: u64, message: ClientMessage) {
        self.swarms.message(self.now_us, peer(n), message);
        self.drain();
    }

    pub(crate) fn announce(&mut self, n: u64, announce: Announce) {
        self.say(n, ClientMessage::Announce(announce));
    }

    /// Connects and announces.
    pub(crate) fn join(&mut self, n: u64, announce: Announce) {
        self.connect(n);
        self.announce(n, announce);
    }

    pub(crate) fn outcome(&mut self, n: u64, pair: u64, outcome: PairOutcome) {
        self.say(n, ClientMessage::Paired { pair, outcome });
    }

    pub(crate) fn disconnect(&mut self, n: u64) {
        self.swarms.disconnected(self.now_us, peer(n));
        self.drain();
    }

    /// Lets time pass, with each timer at its time.
    pub(crate) fn advance(&mut self, by_us: u64) {
        let end_us = self.now_us + by_us;
        while let Some(due_us) = self.swarms.poll_timeout().filter(|&due_us| due_us <= end_us) {
            self.now_us = self.now_us.max(due_us);
            self.swarms.timeout(self.now_us);
            self.drain();
        }
        self.now_us = end_us;
    }

    /// Asks for shards; returns those granted.
    pub(crate) fn lease(&mut self, n: u64, want: u32, done: &[u32]) -> Vec<u32> {
        self.outputs.clear();
        let done = done.to_vec();
        self.say(n, ClientMessage::Lease { content: content(), root: root(), want, done });
        let answer = self.outputs.iter().find_map(|output| match output {
            Output::Send { client, message: ServerMessage::Shards { granted, .. } } if *client == peer(n) => {
                Some(granted.clone())
            }
            _ => None,
        });
        answer.expect("every lease message is answered")
    }

    /// Takes the Pair messages that came out.
    pub(crate) fn pairs(&mut self) -> Vec<Paired> {
        let take = |output: Output| match output {
            Output::Send {
                client,
                message: ServerMessage::Pair { pair, peer, dial, random, locality, .. },
            } => Some(Paired { pair, to: client.get(), other: peer.get(), dial, random, locality }),
            _ => None,
        };
        std::mem::take(&mut self.outputs).into_iter().filter_map(take).collect()
    }

    /// Takes the Shards messages that came out: client, shards, jobs.
    pub(crate) fn shards(&mut self) -> Vec<(u64, Vec<u32>, u32)> {
        let take = |output: Output| match output {
            Output::Send { client, message: ServerMessage::Shards { granted, active_jobs, .. } } => {
                Some((client.get(), granted, active_jobs))
            }
            _ => None,
        };
        std::mem::take(&mut self.outputs).into_iter().filter_map(take).collect()
    }

    /// Takes the codes of the errors that came out.
    pub(crate) fn errors(&mut self) -> Vec<String> {
        let take = |output: Output| match output {
            Output::Send { message: ServerMessage::Error { code, .. }, .. } => Some(code),
            _ => None,
        };
        std::mem::take(&mut self.outputs).into_iter().filter_map(take).collect()
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.swarms.poll_output() {
            self.outputs.push(output);
        }
    }
}

/// Number of Pair messages for each peer.
pub(crate) fn degrees(pairs: &[Paired]) -> BTreeMap<u64, usize> {
    let mut degrees = BTreeMap::new();
    pairs.iter().for_each(|paired| *degrees.entry(paired.to).or_default() += 1);
    degrees
}
