//! A node: a real core, and the state that the edge node's shell would keep around it.

use freshet_swarm::Core;

use super::positions::Positions;
use super::queue::TransferId;
use crate::plan::Behaviour;
use crate::report::NodeRun;

/// Where a node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not started.
    Waiting,
    /// Fetches root and pages.
    Preparing,
    /// Has a job, or shares.
    Running,
    /// Left.
    Gone,
}

/// State of a link's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    /// Being set up.
    Opening,
    Up,
    Down,
}

/// One end of a link. Its number in the node is the core's `LinkId`.
#[derive(Debug)]
pub(super) struct LinkEnd {
    pub(super) peer: u32,
    pub(super) peer_link: u32,
    pub(super) state: LinkState,
    /// The direction from here to the peer.
    pub(super) connection: u32,
    /// The tracker's number.
    pub(super) pair: u64,
    pub(super) locality: freshet_protocol::Locality,
}

/// An own request that waits for its chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) request: u64,
    pub(super) link: u32,
    pub(super) chunk: u32,
    pub(super) come_bytes: u32,
}

/// An own fetch from the origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch {
    pub(super) fetch: u64,
    pub(super) next: u32,
    pub(super) end: u32,
    /// Bytes that came of the chunk `next`.
    pub(super) come_bytes: u64,
}

/// A chunk being handed to a peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Serving {
    pub(super) link: u32,
    pub(super) request: u64,
    pub(super) transfer: TransferId,
}

/// The node's side of its talk with the tracker.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Announcer {
    pub(super) is_connected: bool,
    /// When to announce next, if known; what the pending event is compared with.
    pub(super) due_us: Option<u64>,
    pub(super) announced_us: Option<u64>,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) group: u32,
    pub(super) behaviour: Behaviour,
    pub(super) stage: Stage,
    /// None for who has no job: not started, hostile, gone.
    pub(super) core: Option<Core>,
    pub(super) core_seed: u32,
    pub(super) core_timer_us: Option<u64>,
    pub(super) held: Positions,
    /// Verified bytes that came from the origin and were new.
    pub(super) origin_bytes: u64,
    pub(super) links: Vec<LinkEnd>,
    pub(super) asked: Vec<Asked>,
    pub(super) fetches: Vec<Fetch>,
    pub(super) serving: Vec<Serving>,
    /// The direction from the origin to here.
    pub(super) origin_connection: u32,
    pub(super) announcer: Announcer,
    pub(super) banned: Vec<u32>,
    pub(super) run: NodeRun,
}

impl Node {
    pub(super) fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// Links up or being set up.
    pub(super) fn links_open(&self) -> usize {
        self.links.iter().filter(|end| end.state != LinkState::Down).count()
    }

    /// Numbers of the links that are up.
    pub(super) fn links_up(&self) -> impl Iterator<Item = u32> + '_ {
        let is_up = |&link: &u32| self.links[link as usize].state == LinkState::Up;
        (0..self.links.len() as u32).filter(is_up)
    }

    pub(super) fn is_up(&self, link: u32) -> bool {
        self.links.get(link as usize).is_some_and(|end| end.state == LinkState::Up)
    }

    /// Whether it does its job no longer, or never had one.
    pub(super) fn is_settled(&self) -> bool {
        !self.run.is_counted || self.run.finish_ms.is_some() || self.stage == Stage::Gone
    }
}
