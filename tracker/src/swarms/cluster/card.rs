//! A peer as its tracker describes it to others: enough to choose it, and to name it to its partner.

use std::net::{IpAddr, Ipv4Addr};

use freshet_protocol::{Announce, ContentName, HaveSummary, KeyId, PeerId, RootId};
use serde::{Deserialize, Serialize};

use crate::swarms::config::Config;
use crate::swarms::locality::Network;
use crate::swarms::member::Member;
use crate::swarms::reach::Reach;
use crate::swarms::state::Client;

const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A peer of one tracker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    pub(super) peer: PeerId,
    pub(super) key: KeyId,
    /// Where it is, and how it can be reached; its tracker has left out what is not its own.
    pub(super) reach: Reach,
    pub(super) root: RootId,
    pub(super) chunks: u32,
    pub(super) have: HaveSummary,
    pub(super) fetching: bool,
    pub(super) sharing: bool,
    /// Links it has, and those on the way.
    pub(super) load: u8,
}

impl Card {
    pub(super) fn new(peer: PeerId, member: &Member) -> Self {
        Self {
            peer,
            key: member.key,
            reach: member.reach.clone(),
            root: member.release.root,
            chunks: member.release.chunks,
            have: member.held.summary(member.release.shards()),
            fetching: member.is_fetching,
            sharing: member.is_sharing,
            load: u8::try_from(member.load()).unwrap_or(u8::MAX),
        }
    }

    /// The peer as if it were a client of this tracker.
    pub(super) fn member(&self, now_us: u64, content: &ContentName, config: &Config) -> Member {
        let announce = Announce {
            content: content.clone(),
            root: self.root,
            chunks: self.chunks,
            have: self.have.clone(),
            left_bytes: self.fetching.into(),
            sharing: self.sharing,
            links: self.load,
            links_wanted: 0,
            candidates: Vec::new(),
            mapped: Vec::new(),
            local: Vec::new(),
            certificates: Vec::new(),
        };
        // Where it is comes with how it is reached.
        let client = Client { peer: self.peer, key: self.key, address: NOWHERE, network: Network::default() };
        let mut member = Member::new(now_us, client, &announce, config);
        member.reach = self.reach.clone();
        member
    }

    #[cfg(test)]
    pub(super) fn of_nobody() -> Self {
        let announce = Announce {
            content: "game/demo".parse().expect("name"),
            root: RootId::of(b""),
            chunks: 1,
            have: HaveSummary::None,
            left_bytes: 1,
            sharing: true,
            links: 0,
            links_wanted: 1,
            candidates: Vec::new(),
            mapped: Vec::new(),
            local: Vec::new(),
            certificates: Vec::new(),
        };
        let (peer, address) = (PeerId::try_from(1).expect("small"), IpAddr::from([203, 0, 113, 1]));
        let client = Client { peer, key: KeyId::of(b""), address, network: Network::default() };
        Self::new(peer, &Member::new(0, client, &announce, &Config::default()))
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::Base64;

    use super::*;

    #[test]
    fn a_peer_looks_alike_from_afar() {
        let content = "game/demo".parse().expect("name");
        let check = |card: Card| {
            let member = card.member(5, &content, &Config::default());
            assert_eq!(Card::new(card.peer, &member), card);
        };
        let nobody = Card::of_nobody();
        check(nobody.clone());
        check(Card { load: 7, fetching: false, have: HaveSummary::All, ..nobody.clone() });
        // Nine shards: one bit in the second byte.
        check(Card { chunks: 36, have: HaveSummary::Shards(Base64(vec![5, 1])), ..nobody.clone() });
        check(Card { sharing: false, ..nobody });
    }
}
