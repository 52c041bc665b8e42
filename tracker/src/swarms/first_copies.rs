//! Lease messages, and what clients are told about shards and jobs without asking.

use freshet_protocol::limits::SHARDS_PER_MESSAGE_MAX;
use freshet_protocol::{ContentName, PeerId, RootId, ServerMessage};

use super::state::Swarms;
use super::swarm::Swarm;
use super::timers::Timer;

/// A Lease message.
pub(super) struct LeaseRequest<'a> {
    pub(super) content: ContentName,
    pub(super) root: RootId,
    pub(super) want: u32,
    pub(super) done: &'a [u32],
}

impl Swarms {
    /// Every lease message is answered, also where nothing can be granted.
    pub(super) fn lease(&mut self, now_us: u64, client: PeerId, request: LeaseRequest<'_>) {
        let LeaseRequest { content, root, want, done } = request;
        let number = self.names.get(&content).copied();
        let Some((number, swarm)) = number.and_then(|number| Some((number, self.swarms.get_mut(&number)?)))
        else {
            return self.send_no_shards(client, content, root, 0);
        };
        let release = swarm.members.get(&client).map(|member| member.release);
        let Some(release) = release.filter(|release| release.root == root) else {
            let jobs = swarm.all_jobs();
            return self.send_no_shards(client, content, root, jobs);
        };
        let bounded = &done[..done.len().min(SHARDS_PER_MESSAGE_MAX)];
        swarm.hold(now_us, client, bounded);
        let spreaders = swarm.spreaders(release);
        // Who does not hand out what it fetched would make the origin send it twice.
        let is_spreader =
            swarm.members.get(&client).is_some_and(|member| member.is_sharing && member.is_fetching);
        let want = if is_spreader { want } else { 0 };
        let granted = match swarm.leases_of(now_us, release, &self.config, self.cluster.own()) {
            None => Vec::new(),
            Some(leases) => {
                leases.touch(now_us, client);
                leases.ask(now_us, client, want, spreaders)
            }
        };
        self.send_shards(now_us, number, client, root, granted);
        self.swarm_changed(now_us, number);
    }

    /// Frees what has run out and tells those who must know.
    pub(super) fn swarm_timed_out(&mut self, now_us: u64, number: u64) {
        if let Some(swarm) = self.swarms.get_mut(&number) {
            swarm.leases.values_mut().for_each(|leases| leases.expire(now_us));
            self.serve_asks(now_us, number, true);
            self.swarm_changed(now_us, number);
        }
    }

    /// After anything that changes a swarm: serves those who wait for shards, tells about jobs, sets the timer.
    pub(super) fn swarm_changed(&mut self, now_us: u64, number: u64) {
        self.serve_asks(now_us, number, false);
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        let jobs = swarm.all_jobs();
        let due: Vec<_> = swarm.notices.due(now_us, jobs);
        for client in due {
            let root = self
                .swarms
                .get(&number)
                .and_then(|swarm| swarm.members.get(&client))
                .map(|member| member.release.root);
            if let Some(root) = root {
                self.send_shards(now_us, number, client, root, Vec::new());
            }
        }
        let next = self.swarms.get(&number).and_then(next_timeout);
        self.timers.set(Timer::Swarm(number), next);
    }

    fn serve_asks(&mut self, now_us: u64, number: u64, is_timeout: bool) {
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        let mut served = Vec::new();
        let releases: Vec<_> = swarm.leases.keys().copied().collect();
        for release in releases {
            let spreaders = swarm.spreaders(release);
            if let Some(leases) = swarm.leases.get_mut(&release)
                && (is_timeout || leases.can_serve_asks())
            {
                let grants = leases.serve_asks(now_us, spreaders);
                served.extend(grants.into_iter().map(|(client, shards)| (client, release.root, shards)));
            }
        }
        for (client, root, granted) in served {
            self.send_shards(now_us, number, client, root, granted);
        }
    }

    fn send_shards(&mut self, now_us: u64, number: u64, client: PeerId, root: RootId, granted: Vec<u32>) {
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        let active_jobs = swarm.all_jobs();
        swarm.notices.told(now_us, client, active_jobs);
        let has_granted = !granted.is_empty();
        self.counters.leases_total += granted.len() as u64;
        let message = ServerMessage::Shards {
            content: swarm.content.clone(),
            root,
            granted,
            active_jobs,
            origin_budget_bytes_s: self.config.origin_budget_bytes_s,
        };
        self.outputs.send(client, message);
        if has_granted {
            self.digest_soon(now_us, number);
        }
    }

    fn send_no_shards(&mut self, client: PeerId, content: ContentName, root: RootId, active_jobs: u32) {
        let origin_budget_bytes_s = self.config.origin_budget_bytes_s;
        let granted = Vec::new();
        let message = ServerMessage::Shards { content, root, granted, active_jobs, origin_budget_bytes_s };
        self.outputs.send(client, message);
    }
}

fn next_timeout(swarm: &Swarm) -> Option<u64> {
    let leases = swarm.leases.values().filter_map(|leases| leases.next_timeout());
    leases.chain(swarm.notices.next_sweep(swarm.all_jobs())).min()
}
