//! Who may link: tickets of trusted trackers for this node's swarm, judged by the tracker's clock.

use freshet_protocol::{KeyId, PublicKey, SwarmId, Ticket};

use super::hello::NotAdmitted;
use super::limits::{BANS_MAX, GRACE_S};

/// What tickets are held against.
#[derive(Debug, Default)]
pub(super) struct Admission {
    swarm: Option<SwarmId>,
    trackers: Vec<PublicKey>,
    has_grace: bool,
    own_ticket: Option<OwnTicket>,
    /// In the order of banning.
    banned: std::collections::VecDeque<KeyId>,
}

#[derive(Debug)]
struct OwnTicket {
    bytes: Vec<u8>,
    /// Own clock at its arrival, Unix seconds.
    arrived: u64,
}

impl Admission {
    pub(super) fn set_swarm(&mut self, swarm: SwarmId) {
        self.swarm = Some(swarm);
    }

    pub(super) fn trust_trackers(&mut self, keys: Vec<PublicKey>) {
        self.trackers = keys;
    }

    pub(super) fn set_grace(&mut self, has_grace: bool) {
        self.has_grace = has_grace;
    }

    /// Takes the ticket that a tracker has just issued, at `now` (Unix seconds).
    pub(super) fn set_ticket(&mut self, bytes: Vec<u8>, now: u64) {
        self.own_ticket = Some(OwnTicket { bytes, arrived: now });
    }

    /// What to show to others.
    pub(super) fn own_ticket(&self) -> Option<Vec<u8>> {
        self.own_ticket.as_ref().map(|ticket| ticket.bytes.clone())
    }

    pub(super) fn ban(&mut self, key: KeyId) {
        if self.banned.contains(&key) {
            return;
        }
        if self.banned.len() == BANS_MAX {
            self.banned.pop_front();
        }
        self.banned.push_back(key);
    }

    pub(super) fn is_banned(&self, key: KeyId) -> bool {
        self.banned.contains(&key)
    }

    /// Whether the owner of `key` may link with `ticket` at `now` (own clock, Unix seconds).
    pub(super) fn judge(&self, key: &PublicKey, ticket: &[u8], now: u64) -> Result<Ticket, NotAdmitted> {
        if self.is_banned(key.id()) {
            return Err(NotAdmitted::Banned);
        }
        let swarm = self.swarm.ok_or(NotAdmitted::NoSwarm)?;
        let ticket = Ticket::open(ticket, &self.trackers)?;
        let grace = if self.has_grace { GRACE_S } else { 0 };
        ticket.check(key, swarm, self.tracker_time(now), grace)?;
        Ok(ticket)
    }

    /// The tracker's time. Players' clocks are wrong by hours, tickets live for minutes; but an own ticket shows the
    /// tracker's clock at the moment it came.
    fn tracker_time(&self, now: u64) -> u64 {
        let Some(own) = &self.own_ticket else { return now };
        match Ticket::open(&own.bytes, &self.trackers) {
            Ok(ticket) => now.saturating_sub(own.arrived).saturating_add(ticket.issued),
            Err(_) => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Hash, PeerId, RIGHT_RECEIVE, SigningKey, TicketError};

    use super::*;

    fn tracker() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn ticket(key: &PublicKey, swarm: SwarmId, issued: u64) -> Vec<u8> {
        let peer = PeerId::try_from(7).expect("small");
        let swarms = vec![swarm];
        Ticket { peer, key: key.id(), issued, expires: issued + 600, rights: RIGHT_RECEIVE, swarms }
            .seal(&tracker())
    }

    #[test]
    fn tickets_are_judged() {
        let swarm = SwarmId::of(b"swarm");
        let peer = SigningKey::from_seed(&[2; 32]).public();
        let good = ticket(&peer, swarm, 1000);
        let mut admission = Admission::default();
        assert_eq!(admission.judge(&peer, &good, 1100), Err(NotAdmitted::NoSwarm));
        admission.set_swarm(swarm);
        assert_eq!(admission.judge(&peer, &good, 1100), Err(TicketError::Untrusted.into()));
        admission.trust_trackers(vec![tracker().public()]);
        assert!(admission.judge(&peer, &good, 1100).is_ok());
        assert!(matches!(admission.judge(&peer, b"", 1100), Err(NotAdmitted::Ticket(TicketError::Wire(_)))));
        let foreign = ticket(&peer, SwarmId::of(b"other"), 1000);
        assert_eq!(admission.judge(&peer, &foreign, 1100), Err(TicketError::OtherSwarm.into()));
        let thief = SigningKey::from_seed(&[3; 32]).public();
        assert_eq!(admission.judge(&thief, &good, 1100), Err(TicketError::OtherKey.into()));
        admission.ban(peer.id());
        assert_eq!(admission.judge(&peer, &good, 1100), Err(NotAdmitted::Banned));
    }

    #[test]
    fn expiry_follows_the_trackers_clock_and_the_grace() {
        let swarm = SwarmId::of(b"swarm");
        let own = SigningKey::from_seed(&[4; 32]).public();
        let peer = SigningKey::from_seed(&[2; 32]).public();
        let mut admission = Admission::default();
        admission.set_swarm(swarm);
        admission.trust_trackers(vec![tracker().public()]);
        // Issued at 1000 of the tracker's clock, which is 90 000 of this node's.
        admission.set_ticket(ticket(&own, swarm, 1000), 90_000);
        let theirs = ticket(&peer, swarm, 1000);
        assert!(admission.judge(&peer, &theirs, 90_599).is_ok());
        let expired = Err(TicketError::Expired { expires: 1600, now: 1600 }.into());
        assert_eq!(admission.judge(&peer, &theirs, 90_600), expired);
        admission.set_grace(true);
        assert!(admission.judge(&peer, &theirs, 90_599 + GRACE_S).is_ok());
        assert!(admission.judge(&peer, &theirs, 90_600 + GRACE_S).is_err());
        admission.set_grace(false);
        assert_eq!(admission.judge(&peer, &theirs, 90_600), expired);
    }

    #[test]
    fn bans_are_bounded() {
        let key = |number: usize| KeyId(Hash::of(&number.to_be_bytes()));
        let mut admission = Admission::default();
        (0..=BANS_MAX).for_each(|number| admission.ban(key(number)));
        admission.ban(key(BANS_MAX));
        assert_eq!(admission.banned.len(), BANS_MAX);
        assert!(!admission.is_banned(key(0)), "the oldest is forgotten");
        assert!(admission.is_banned(key(1)) && admission.is_banned(key(BANS_MAX)));
    }
}
