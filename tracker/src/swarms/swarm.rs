//! One swarm: its peers, and the indexes by which partners and first copies are found without walking them.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::{Announce, ContentName, PeerId, SwarmId};

use super::cluster::{NodeId, Remote};
use super::config::Config;
use super::held::Held;
use super::leases::Leases;
use super::limits::LEASED_RELEASES_MAX;
use super::locality::{Area, Place};
use super::member::{Member, OwnPair, Release};
use super::notices::Notices;
use super::roster::Roster;
use super::state::Client;

/// Counts of the peers of one release.
#[derive(Debug, Default)]
pub(super) struct ReleasePeers {
    peers: u32,
    /// Peers among which first copies are spread: they fetch and share.
    pub(super) spreaders: u32,
}

#[derive(Debug)]
pub(super) struct Swarm {
    pub(super) content: ContentName,
    pub(super) id: SwarmId,
    pub(super) members: BTreeMap<PeerId, Member>,
    /// Peers that can take a further link.
    pub(super) open: Roster,
    /// Open peers that want one.
    pub(super) waiting: Roster,
    /// Open peers by the areas that they are in.
    near: BTreeSet<(Area, PeerId)>,
    releases: BTreeMap<Release, ReleasePeers>,
    pub(super) leases: BTreeMap<Release, Leases>,
    pub(super) notices: Notices,
    /// Peers that still fetch.
    pub(super) jobs: u32,
    /// What other trackers have told.
    pub(super) remote: Remote,
    /// When they were told last.
    pub(super) digest_us: u64,
    links_max: usize,
}

impl Swarm {
    pub(super) fn new(content: ContentName, config: &Config) -> Self {
        Self {
            id: SwarmId::of_content(&content),
            content,
            members: BTreeMap::new(),
            open: Roster::default(),
            waiting: Roster::default(),
            near: BTreeSet::new(),
            releases: BTreeMap::new(),
            leases: BTreeMap::new(),
            notices: Notices::default(),
            jobs: 0,
            remote: Remote::default(),
            digest_us: 0,
            links_max: config.links_max.into(),
        }
    }

    /// Adds a peer.
    pub(super) fn join(&mut self, now_us: u64, client: Client, announce: &Announce, config: &Config) {
        let peer = client.peer;
        let member = Member::new(now_us, client, announce, config);
        self.count(&member, true);
        if let Some(leases) = self.leases.get_mut(&member.release) {
            leases.update(now_us, peer, &Held::None, member.offered());
        }
        self.members.insert(peer, member);
        self.refresh(peer);
    }

    /// Takes over what a peer now says about itself.
    pub(super) fn take_over(&mut self, now_us: u64, peer: PeerId, announce: &Announce) {
        let Some(mut member) = self.members.remove(&peer) else {
            return;
        };
        self.set_near(member.place(), peer, false);
        self.count(&member, false);
        let (old_release, old_offered) = (member.release, member.offered().clone());
        member.take_over(announce);
        self.count(&member, true);
        if old_release == member.release {
            if let Some(leases) = self.leases.get_mut(&old_release) {
                leases.update(now_us, peer, &old_offered, member.offered());
                leases.touch(now_us, peer);
                if !(member.is_fetching && member.is_sharing) {
                    leases.release(now_us, peer);
                }
            }
        } else {
            self.leave_release(now_us, peer, old_release, &old_offered);
            if let Some(leases) = self.leases.get_mut(&member.release) {
                leases.update(now_us, peer, &Held::None, member.offered());
            }
        }
        self.members.insert(peer, member);
        self.refresh(peer);
    }

    /// Removes a peer; its pairs must be gone.
    pub(super) fn leave(&mut self, now_us: u64, peer: PeerId) {
        let Some(member) = self.members.remove(&peer) else {
            return;
        };
        self.count(&member, false);
        self.leave_release(now_us, peer, member.release, member.offered());
        self.notices.forget(peer);
        self.open.set(peer, false);
        self.waiting.set(peer, false);
        self.set_near(member.place(), peer, false);
    }

    /// Notes that a peer holds further shards.
    pub(super) fn hold(&mut self, now_us: u64, peer: PeerId, shards: &[u32]) {
        let Some(member) = self.members.get_mut(&peer) else {
            return;
        };
        let old = member.offered().clone();
        let count = member.release.shards();
        let held = std::mem::replace(&mut member.held, Held::None);
        member.held = shards.iter().fold(held, |held, &shard| held.with(shard, count));
        if let Some(leases) = self.leases.get_mut(&member.release) {
            leases.update(now_us, peer, &old, member.offered());
        }
        self.refresh(peer);
    }

    /// The leases of a release, made when first asked for. Of too many releases, those with the most peers have them. `own`
    /// is what other trackers call this one.
    pub(super) fn leases_of(
        &mut self,
        now_us: u64,
        release: Release,
        config: &Config,
        own: Option<NodeId>,
    ) -> Option<&mut Leases> {
        if !self.leases.contains_key(&release) {
            if self.leases.len() >= LEASED_RELEASES_MAX {
                let peers = |release: &Release| self.releases.get(release).map_or(0, |counts| counts.peers);
                let smallest = *self.leases.keys().min_by_key(|&release| peers(release))?;
                if peers(&smallest) >= peers(&release) {
                    return None;
                }
                self.leases.remove(&smallest);
            }
            let mut leases = Leases::new(release.shards(), config);
            for (&peer, member) in self.members.iter().filter(|(_, member)| member.release == release) {
                leases.update(now_us, peer, &Held::None, member.offered());
            }
            if let Some(own) = own {
                let others: Vec<NodeId> = self.remote.nodes().map(|(node, _)| node).collect();
                leases.divide(now_us, own, &others);
                for (node, told) in self.remote.nodes() {
                    leases.tell(now_us, node, told.taken.get(&release));
                }
            }
            self.leases.insert(release, leases);
        }
        self.leases.get_mut(&release)
    }

    /// Another tracker has told something new of the swarm, or is gone.
    pub(super) fn leases_heard(&mut self, now_us: u64, node: NodeId) {
        let told = self.remote.told(node);
        for (release, leases) in &mut self.leases {
            match told {
                Some(told) => leases.tell(now_us, node, told.taken.get(release)),
                None => leases.forget(now_us, node),
            }
        }
    }

    /// Peers of all trackers that still fetch.
    pub(super) fn all_jobs(&self) -> u32 {
        self.jobs.saturating_add(self.remote.jobs())
    }

    /// Number of peers that first copies of a release are spread over.
    pub(super) fn spreaders(&self, release: Release) -> u32 {
        self.releases.get(&release).map_or(0, |counts| counts.spreaders)
    }

    /// Notes a pair on one side.
    pub(super) fn add_pair(&mut self, peer: PeerId, other: PeerId, own: OwnPair) {
        if let Some(member) = self.members.get_mut(&peer) {
            member.pairs.insert(other, own);
            self.refresh(peer);
        }
    }

    /// Notes on one side that a pair has a link.
    pub(super) fn mark_linked(&mut self, peer: PeerId, other: PeerId) {
        if let Some(own) = self.members.get_mut(&peer).and_then(|member| member.pairs.get_mut(&other)) {
            own.is_linked = true;
        }
    }

    /// Forgets a pair on one side; `was_link` where a link has closed, so that no other is wanted in its place.
    pub(super) fn remove_pair(&mut self, peer: PeerId, other: PeerId, was_link: bool) {
        if let Some(member) = self.members.get_mut(&peer) {
            member.pairs.remove(&other);
            if was_link {
                member.lower_target();
            }
            self.refresh(peer);
        }
    }

    /// Further links that a peer can take.
    pub(super) fn room(&self, member: &Member) -> usize {
        if member.is_idle() { 0 } else { self.links_max.saturating_sub(member.load()) }
    }

    /// Open peers of an area, at most `max`, from a place that differs by peer.
    pub(super) fn near(&self, area: Area, peer: PeerId, max: usize) -> impl Iterator<Item = PeerId> {
        let first = PeerId::try_from(0).expect("zero is within 2^53-1");
        let last = PeerId::try_from(freshet_protocol::limits::INTEGER_MAX).expect("the largest id");
        let after = self.near.range((area, peer)..=(area, last));
        let before = self.near.range((area, first)..(area, peer));
        after.chain(before).map(|&(_, peer)| peer).take(max)
    }

    /// Brings the indexes in line with a peer's state.
    fn refresh(&mut self, peer: PeerId) {
        let Some(member) = self.members.get(&peer) else {
            return;
        };
        let is_open = self.room(member) > 0;
        let is_waiting = is_open && member.wanted() > 0;
        self.open.set(peer, is_open);
        self.waiting.set(peer, is_waiting);
        let place = member.place().clone();
        self.set_near(&place, peer, is_open);
    }

    fn set_near(&mut self, place: &Place, peer: PeerId, is_open: bool) {
        for area in place.areas() {
            if is_open {
                self.near.insert((area, peer));
            } else {
                self.near.remove(&(area, peer));
            }
        }
    }

    fn leave_release(&mut self, now_us: u64, peer: PeerId, release: Release, offered: &Held) {
        if !self.releases.contains_key(&release) {
            self.leases.remove(&release);
        } else if let Some(leases) = self.leases.get_mut(&release) {
            leases.update(now_us, peer, offered, &Held::None);
            leases.release(now_us, peer);
        }
    }

    fn count(&mut self, member: &Member, is_added: bool) {
        let by = |count: &mut u32, counts: bool| {
            let step = u32::from(counts);
            *count = if is_added { *count + step } else { *count - step };
        };
        by(&mut self.jobs, member.is_fetching);
        let counts = self.releases.entry(member.release).or_default();
        by(&mut counts.peers, true);
        by(&mut counts.spreaders, member.is_fetching && member.is_sharing);
        if counts.peers == 0 {
            self.releases.remove(&member.release);
        }
    }
}
