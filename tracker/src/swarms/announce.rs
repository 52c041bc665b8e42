//! Entering, refreshing and leaving swarms, and the tickets that go with it.

use freshet_protocol::{Announce, ContentName, PeerId, SwarmId};

use super::output::Output;
use super::signal::End;
use super::state::Swarms;
use super::swarm::Swarm;
use super::timers::Timer;
use super::uptake::standing;

impl Swarms {
    pub(super) fn announce(&mut self, now_us: u64, client: PeerId, announce: &Announce) {
        let number = match self.swarm_to_announce(client, &announce.content) {
            Ok(number) => number,
            Err((code, message)) => return self.refuse(client, code, message),
        };
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        self.uptakes.note(now_us, swarm.members.get(&client).map(standing), announce);
        if swarm.members.contains_key(&client) {
            swarm.take_over(now_us, client, announce);
        } else if let Some(state) = self.clients.get_mut(&client) {
            swarm.join(now_us, state.client, announce, &self.config);
            state.swarms.insert(number);
            self.issue_ticket(now_us, client);
            self.digest_soon(now_us, number);
        }
        self.match_peer(now_us, number, client);
        self.swarm_changed(now_us, number);
    }

    pub(super) fn leave(&mut self, now_us: u64, client: PeerId, content: &ContentName) {
        if let Some(&number) = self.names.get(content) {
            if let Some(state) = self.clients.get_mut(&client) {
                state.swarms.remove(&number);
            }
            self.leave_swarm(now_us, client, number);
        }
    }

    /// Takes a peer out of a swarm; whom it was paired with is free for others.
    pub(super) fn leave_swarm(&mut self, now_us: u64, client: PeerId, number: u64) {
        let Some(swarm) = self.swarms.get(&number) else { return };
        let Some(member) = swarm.members.get(&client) else { return };
        let pairs: Vec<_> = member.pairs.iter().map(|(&other, own)| (other, own.pair)).collect();
        for &(_, pair) in &pairs {
            self.end_pair(now_us, pair, End::Left);
        }
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        swarm.leave(now_us, client);
        if swarm.members.is_empty() {
            self.names.remove(&swarm.content);
            if let Some(swarm) = self.swarms.remove(&number) {
                self.digest_of_none(now_us, &swarm);
            }
            self.timers.set(Timer::Swarm(number), None);
            self.timers.set(Timer::Digest(number), None);
            return;
        }
        for (other, _) in pairs {
            self.match_peer(now_us, number, other);
        }
        self.swarm_changed(now_us, number);
    }

    /// Issues a ticket for the swarms that a client is in now, and sets the time of the next.
    pub(super) fn issue_ticket(&mut self, now_us: u64, client: PeerId) {
        let Some(state) = self.clients.get(&client) else { return };
        let swarms: Vec<SwarmId> =
            state.swarms.iter().filter_map(|number| Some(self.swarms.get(number)?.id)).collect();
        if swarms.is_empty() {
            return;
        }
        let due_us = now_us.saturating_add(self.config.ticket_renew_us);
        self.timers.set(Timer::Ticket(client), Some(due_us));
        self.counters.tickets_total += 1;
        self.outputs.push(Output::IssueTicket { client, key: state.client.key, swarms });
    }

    /// The swarm that `client` may announce in, made where there is none.
    fn swarm_to_announce(
        &mut self,
        client: PeerId,
        content: &ContentName,
    ) -> Result<u64, (&'static str, &'static str)> {
        let swarm = self.names.get(content).and_then(|number| Some((*number, self.swarms.get(number)?)));
        let own_swarms = self.clients.get(&client).map_or(0, |state| state.swarms.len());
        match swarm {
            Some((number, swarm)) if swarm.members.contains_key(&client) => Ok(number),
            _ if own_swarms >= self.config.client_swarms_max => {
                Err(("too-many-swarms", "this client is in as many swarms as it may be; leave one first"))
            }
            Some((_, swarm)) if swarm.members.len() >= self.config.swarm_peers_max => {
                Err(("swarm-full", "this swarm is full; use the origin and try again later"))
            }
            Some((number, _)) => Ok(number),
            None if self.swarms.len() >= self.config.swarms_max => {
                Err(("tracker-full", "this tracker has no room for another swarm; use the origin"))
            }
            None => {
                let number = self.next_swarm;
                self.next_swarm += 1;
                self.names.insert(content.clone(), number);
                self.swarms.insert(number, Swarm::new(content.clone(), &self.config));
                Ok(number)
            }
        }
    }
}
