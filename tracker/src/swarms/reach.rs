//! How a peer can be reached: the transports it speaks, the addresses at which it can be dialled, and what lies in between.

use std::net::{IpAddr, SocketAddr};

use freshet_protocol::limits::ADDRESSES_MAX;
use freshet_protocol::{Announce, Candidate, Dialer, Hash, Nat, Transport, is_private, line};
use serde::{Deserialize, Serialize};

use super::locality::{Network, Place};

/// A set of transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Transports(u8);

impl Transports {
    const NONE: Self = Self(0);

    fn of(transport: Transport) -> Self {
        match transport {
            Transport::Quic => Self(1),
            Transport::WebTransport => Self(2),
            Transport::WebRtc => Self(4),
            Transport::Unknown => Self::NONE,
        }
    }

    fn contains(self, transport: Transport) -> bool {
        self.0 & Self::of(transport).0 != 0
    }
}

/// What is known about reaching a peer. Other trackers of a cluster are told of it in this form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reach {
    /// Where it is: who shares its line meets it within.
    pub(super) place: Place,
    transports: Transports,
    /// Where it can be dialled by whoever it is.
    candidates: Vec<Candidate>,
    /// Its QUIC socket as seen from outside, with what is in between.
    mapped: Vec<Mapped>,
    /// The same within its own network.
    local: Vec<SocketAddr>,
    /// Under which certificates its WebTransport candidates answer.
    certificates: Vec<Hash>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mapped {
    address: SocketAddr,
    nat: Nat,
}

impl Reach {
    /// Keeps what a client may say about itself: every transport it names, but only addresses with a port at the
    /// address `seen` by the tracker or one of those `mapped`, which the tracker has seen too, so that no client can make
    /// others dial a third party. Addresses of its own network are kept for who shares its line.
    ///
    /// The unspecified address stands for those seen: where it is known what is in between, for those that let everybody in.
    /// WebRTC is kept with port 0: not to be dialed, but from there. A client that names nothing is a node that can only
    /// dial, over QUIC.
    pub(super) fn sanitised(seen: IpAddr, network: Network, announce: &Announce) -> Self {
        let Announce { candidates: announced, certificates, .. } = announce;
        let seen = seen.to_canonical();
        let mut transports = announced
            .iter()
            .fold(Transports::NONE, |set, c| Transports(set.0 | Transports::of(c.transport).0));
        if announced.is_empty() {
            transports = Transports::of(Transport::Quic);
        }
        let mapped = announce
            .mapped
            .iter()
            .map(|mapped| Mapped { address: canonical(mapped.address), nat: mapped.nat });
        let local = announce.local.iter().copied().map(canonical).filter(|address| is_local(*address, seen));
        let mut reach = Self {
            place: Place::new(seen, network, announce.mapped.iter().map(|mapped| mapped.address.ip())),
            transports,
            candidates: Vec::new(),
            mapped: mapped.collect(),
            local: local.collect(),
            certificates: certificates.clone(),
        };
        announced.iter().for_each(|candidate| reach.add(seen, *candidate));
        reach
    }

    fn add(&mut self, seen: IpAddr, candidate: Candidate) {
        let Candidate { transport, address } = candidate;
        let is_signalled = transport == Transport::WebRtc;
        let is_wherever = address.ip().is_unspecified();
        let addresses: Vec<SocketAddr> = match is_wherever {
            _ if is_signalled => {
                let ip = if is_wherever { seen } else { address.ip() };
                vec![SocketAddr::new(ip, 0)]
            }
            true if self.mapped.is_empty() => vec![SocketAddr::new(seen, address.port())],
            true => self.mapped.iter().filter(|m| m.nat == Nat::Open).map(|m| m.address).collect(),
            false => vec![address],
        };
        for address in addresses.into_iter().map(canonical) {
            let ip = address.ip();
            let is_own = ip == seen
                || (seen.is_loopback() && ip.is_loopback())
                || self.mapped.iter().any(|mapped| mapped.address.ip() == ip);
            let is_usable = (is_signalled || address.port() != 0) && self.transports.contains(transport);
            let kept = Candidate { transport, address };
            if is_own && is_usable && !self.candidates.contains(&kept) {
                self.candidates.push(kept);
            }
        }
    }

    /// Who can dial whom; `None` where the two cannot link. WebRTC finds its addresses by signalling alone.
    pub(super) fn route(&self, other: &Self) -> Option<Dialer> {
        let common = Transports(self.transports.0 & other.transports.0);
        let has_quic = common.contains(Transport::Quic);
        let is_near = has_quic && self.place.shares_line(&other.place);
        let is_dialable = |side: &Self| {
            let is_candidate = |c: &Candidate| c.address.port() != 0 && common.contains(c.transport);
            (is_near && !side.local.is_empty()) || side.candidates.iter().any(is_candidate)
        };
        match (is_dialable(self), is_dialable(other)) {
            (true, true) => Some(Dialer::Either),
            (false, true) => Some(Dialer::First),
            (true, false) => Some(Dialer::Second),
            (false, false) => has_quic
                .then(|| self.meeting(other))
                .flatten()
                .or_else(|| common.contains(Transport::WebRtc).then_some(Dialer::Either)),
        }
    }

    /// Who dials when both write to each other; `None` where that leads to nothing.
    fn meeting(&self, other: &Self) -> Option<Dialer> {
        let mut found = None;
        for (own, theirs) in self.meetings(other) {
            match own.nat.dialer(theirs.nat) {
                Some(Dialer::Either) => return Some(Dialer::Either),
                dialer => found = dialer,
            }
        }
        found
    }

    /// Addresses of both sides between which packets pass once both have sent some.
    fn meetings<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (Mapped, Mapped)> + 'a {
        let fits = |own: &Mapped, theirs: &Mapped| {
            own.address.is_ipv4() == theirs.address.is_ipv4() && own.nat.meets(theirs.nat)
        };
        self.mapped.iter().flat_map(move |own| {
            other.mapped.iter().filter(move |theirs| fits(own, theirs)).map(move |theirs| (*own, *theirs))
        })
    }

    /// What is in between, over IPv4 where it has both families: there are the NATs.
    pub(super) fn nat(&self) -> Option<Nat> {
        self.mapped.iter().min_by_key(|mapped| mapped.address.is_ipv6()).map(|mapped| mapped.nat)
    }

    /// Numbers of lines, candidates, mapped and local addresses, and certificates.
    pub(super) fn counts(&self) -> [usize; 5] {
        let lines = self.place.line_count();
        [lines, self.candidates.len(), self.mapped.len(), self.local.len(), self.certificates.len()]
    }

    /// Hashes of certificates that `other` needs to reach this peer.
    pub(super) fn certificates_for(&self, other: &Self) -> Vec<Hash> {
        let is_needed = other.transports.contains(Transport::WebTransport)
            && self.candidates.iter().any(|c| c.transport == Transport::WebTransport);
        if is_needed { self.certificates.clone() } else { Vec::new() }
    }

    /// The addresses that `other` can use, nearest first, and the one that a data channel with it comes from.
    pub(super) fn candidates_for(&self, other: &Self) -> Vec<Candidate> {
        let quic = |address| Candidate { transport: Transport::Quic, address };
        let is_near = self.place.shares_line(&other.place);
        let local = self.local.iter().filter(|_| is_near).map(|&address| quic(address));
        let meetings = self.meetings(other).map(|(own, _)| quic(own.address));
        let all = local.chain(self.candidates.iter().copied()).chain(meetings);
        let mut usable: Vec<Candidate> = Vec::new();
        for candidate in
            all.filter(|c| self.transports.contains(c.transport) && other.transports.contains(c.transport))
        {
            if usable.len() < ADDRESSES_MAX && !usable.contains(&candidate) {
                usable.push(candidate);
            }
        }
        usable
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether an address is one of a network that is not reached from outside, for a client that comes from `seen`.
fn is_local(address: SocketAddr, seen: IpAddr) -> bool {
    let ip = address.ip();
    let is_of_site = ip.is_ipv6() && line(ip) == line(seen);
    address.port() != 0 && (is_private(ip) || is_of_site || (seen.is_loopback() && ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Base64, HaveSummary, MappedAddress, RootId};

    use super::*;

    fn reach(seen: &str, announced: &[(Transport, &str)]) -> Reach {
        let candidates: Vec<_> = announced
            .iter()
            .map(|&(transport, address)| Candidate { transport, address: address.parse().expect("address") })
            .collect();
        sanitised(seen, candidates, &[], &[])
    }

    fn sanitised(seen: &str, candidates: Vec<Candidate>, mapped: &[(&str, Nat)], local: &[&str]) -> Reach {
        let mapped = mapped.iter().map(|(address, nat)| {
            let (address, proof) = (address.parse().expect("address"), Base64(Vec::new()));
            MappedAddress { address, nat: *nat, proof }
        });
        let announce = Announce {
            content: "game/demo".parse().expect("name"),
            root: RootId::of(b""),
            chunks: 0,
            have: HaveSummary::None,
            left_bytes: 0,
            sharing: true,
            links: 0,
            links_wanted: 0,
            candidates,
            mapped: mapped.collect(),
            local: local.iter().map(|address| address.parse().expect("address")).collect(),
            certificates: vec![Hash([7; 32])],
        };
        Reach::sanitised(seen.parse().expect("address"), Network::default(), &announce)
    }

    /// A node whose NAT is known.
    fn behind(seen: &str, mapped: &[(&str, Nat)], local: &[&str]) -> Reach {
        let transports = [(Transport::Quic, "0.0.0.0:7"), (Transport::WebTransport, "0.0.0.0:7")];
        let candidates = transports
            .map(|(transport, address)| Candidate { transport, address: address.parse().expect("address") });
        sanitised(seen, candidates.to_vec(), mapped, local)
    }

    fn shown(from: &Reach, to: &Reach) -> Vec<String> {
        from.candidates_for(to).iter().map(|c| format!("{:?} {}", c.transport, c.address)).collect()
    }

    #[test]
    fn who_is_behind_a_nat_is_met_where_that_can_work() {
        use Nat::{AddressRestricted, Open, PortRestricted, Symmetric};
        let check = |first: Nat, second: Nat, expected: Option<Dialer>, shown_first: &[&str]| {
            let first_reach = behind("203.0.113.1", &[("203.0.113.1:1001", first)], &["192.168.1.2:7"]);
            let second_reach = behind("198.51.100.1", &[("198.51.100.1:2002", second)], &["192.168.1.2:7"]);
            assert_eq!(first_reach.route(&second_reach), expected, "{first:?} {second:?}");
            assert_eq!(shown(&first_reach, &second_reach), shown_first, "{first:?} {second:?}");
        };
        let own = &["Quic 203.0.113.1:1001"][..];
        check(PortRestricted, PortRestricted, Some(Dialer::Either), own);
        check(AddressRestricted, PortRestricted, Some(Dialer::Either), own);
        check(Symmetric, AddressRestricted, Some(Dialer::First), own);
        check(AddressRestricted, Symmetric, Some(Dialer::Second), own);
        check(Symmetric, PortRestricted, None, &[]);
        check(Symmetric, Symmetric, None, &[]);
        check(Symmetric, Open, Some(Dialer::First), own);
        let open = &["Quic 203.0.113.1:1001", "WebTransport 203.0.113.1:1001"];
        check(Open, Symmetric, Some(Dialer::Second), open);
        check(Open, Open, Some(Dialer::Either), open);
        // Who does not know what is in between may be dialed where the tracker sees it, as ever.
        let unknown = reach("198.51.100.1", &[(Transport::Quic, "0.0.0.0:7")]);
        let symmetric = behind("203.0.113.1", &[("203.0.113.1:1001", Symmetric)], &[]);
        assert_eq!(symmetric.route(&unknown), Some(Dialer::First));
    }

    #[test]
    fn each_family_has_its_own_way() {
        use Nat::{PortRestricted, Symmetric};
        let dual = |v4: &str, v6: &str| behind("203.0.113.1", &[(v4, Symmetric), (v6, PortRestricted)], &[]);
        let (first, second) =
            (dual("203.0.113.1:1", "[2001:db8:1::1]:7"), dual("203.0.113.9:2", "[2001:db8:2::1]:7"));
        assert_eq!(first.route(&second), Some(Dialer::Either));
        assert_eq!(shown(&first, &second), ["Quic [2001:db8:1::1]:7"]);
        let v6_only = behind("2001:db8:3::1", &[("[2001:db8:3::1]:7", PortRestricted)], &[]);
        assert_eq!(v6_only.route(&first), Some(Dialer::Either));
        let v4_only = behind("203.0.113.1", &[("203.0.113.1:1", PortRestricted)], &[]);
        assert_eq!(v4_only.route(&v6_only), None);
    }

    #[test]
    fn who_shares_a_line_meets_within() {
        use Nat::Symmetric;
        let at = |address: &str, local: &[&str]| behind("203.0.113.1", &[(address, Symmetric)], local);
        let (first, second) =
            (at("203.0.113.1:1", &["192.168.1.2:7"]), at("203.0.113.1:2", &["192.168.1.3:7"]));
        assert_eq!(first.route(&second), Some(Dialer::Either));
        assert_eq!(shown(&first, &second), ["Quic 192.168.1.2:7"]);
        let silent = at("203.0.113.1:3", &[]);
        assert_eq!((silent.route(&first), first.route(&silent)), (Some(Dialer::First), Some(Dialer::Second)));
        let elsewhere = behind("203.0.113.2", &[("203.0.113.2:1", Symmetric)], &["192.168.1.4:7"]);
        assert_eq!(first.route(&elsewhere), None);
        let check = |seen: &str, local: &str, is_kept: bool| {
            assert_eq!(behind(seen, &[], &[local]).local.len(), usize::from(is_kept), "{seen} {local}");
        };
        for local in ["10.0.0.1:7", "172.16.0.1:7", "100.64.0.1:7", "[fd00::1]:7", "[::ffff:10.0.0.1]:7"] {
            check("203.0.113.1", local, true);
        }
        for other in
            ["203.0.113.9:7", "10.0.0.1:0", "127.0.0.1:7", "[2001:db8::1]:7", "[fe80::1]:7", "100.128.0.1:7"]
        {
            check("203.0.113.1", other, false);
        }
        check("127.0.0.1", "127.0.0.1:7", true);
        check("2001:db8::5", "[2001:db8::1]:7", true);
    }

    #[test]
    fn only_own_addresses_are_kept() {
        let check = |seen: &str, announced: &str, kept: Option<&str>| {
            let reach = reach(seen, &[(Transport::Quic, announced)]);
            let found = reach.candidates.first().map(|c| c.address);
            assert_eq!(found, kept.map(|text| text.parse().expect("address")), "{seen} {announced}");
        };
        check("203.0.113.1", "203.0.113.1:7", Some("203.0.113.1:7"));
        check("::ffff:203.0.113.1", "203.0.113.1:7", Some("203.0.113.1:7"));
        check("203.0.113.1", "0.0.0.0:7", Some("203.0.113.1:7"));
        check("203.0.113.1", "203.0.113.1:0", None);
        check("203.0.113.1", "203.0.113.2:7", None);
        check("203.0.113.1", "127.0.0.1:7", None);
        check("203.0.113.1", "192.168.0.1:7", None);
        check("203.0.113.1", "[::1]:7", None);
        check("127.0.0.1", "127.0.0.2:7", Some("127.0.0.2:7"));
        check("127.0.0.1", "[::1]:7", Some("[::1]:7"));
        check("127.0.0.1", "203.0.113.1:7", None);
        check("2001:db8::1", "[2001:db8::1]:7", Some("[2001:db8::1]:7"));
        check("2001:db8::1", "[2001:db8::2]:7", None);
    }

    #[test]
    fn routes() {
        const A: &str = "203.0.113.1";
        const OWN: &str = "203.0.113.1:7";
        const HIDDEN: &str = "192.168.0.1:7";
        use Transport::{Quic, Unknown, WebRtc, WebTransport};
        let check = |first: &[(Transport, &str)], second: &[(Transport, &str)], expected| {
            assert_eq!(reach(A, first).route(&reach(A, second)), expected, "{first:?} {second:?}");
        };
        check(&[(Quic, OWN)], &[(Quic, OWN)], Some(Dialer::Either));
        check(&[(Quic, HIDDEN)], &[(Quic, OWN)], Some(Dialer::First));
        check(&[(Quic, OWN)], &[(Quic, HIDDEN)], Some(Dialer::Second));
        check(&[], &[(Quic, OWN)], Some(Dialer::First));
        check(&[], &[], None);
        check(&[(Quic, HIDDEN)], &[(Quic, HIDDEN)], None);
        check(&[(Quic, OWN)], &[(WebRtc, OWN)], None);
        check(&[(WebRtc, "0.0.0.0:0")], &[(WebRtc, "0.0.0.0:0")], Some(Dialer::Either));
        check(&[(WebTransport, "0.0.0.0:0")], &[(Quic, OWN), (WebTransport, OWN)], Some(Dialer::First));
        check(&[(Unknown, OWN)], &[(Unknown, OWN)], None);
    }

    #[test]
    fn where_a_data_channel_comes_from() {
        let check = |announced: &str, expected: &[&str]| {
            let page = reach("203.0.113.1", &[(Transport::WebRtc, announced)]);
            let found: Vec<_> = page.candidates_for(&page).iter().map(|c| c.address.to_string()).collect();
            assert_eq!(found, expected, "{announced}");
        };
        check("0.0.0.0:0", &["203.0.113.1:0"]);
        check("0.0.0.0:99", &["203.0.113.1:0"]);
        check("203.0.113.1:0", &["203.0.113.1:0"]);
        check("203.0.113.2:0", &[]);
    }

    #[test]
    fn nodes_dial_each_other_over_quic_whatever_else_they_speak() {
        const OWN: &str = "203.0.113.1:7";
        use Transport::{Quic, WebRtc, WebTransport};
        let all = |address| {
            reach("203.0.113.1", &[(Quic, address), (WebTransport, address), (WebRtc, "0.0.0.0:0")])
        };
        let check = |first: &Reach, second: &Reach, expected, quic_there: bool| {
            assert_eq!(first.route(second), Some(expected));
            let has_quic = second.candidates_for(first).iter().any(|c| c.transport == Quic);
            assert_eq!(has_quic, quic_there);
        };
        let (open, hidden) = (all(OWN), all("192.168.0.1:7"));
        check(&open, &open, Dialer::Either, true);
        check(&hidden, &open, Dialer::First, true);
        check(&open, &hidden, Dialer::Second, false);
        // Only here a data channel is the way.
        check(&hidden, &hidden, Dialer::Either, false);
    }

    #[test]
    fn candidates_speak_a_common_transport() {
        const OWN: &str = "203.0.113.1:7";
        let node = reach("203.0.113.1", &[(Transport::Quic, OWN), (Transport::WebTransport, OWN)]);
        let page = reach("203.0.113.1", &[(Transport::WebTransport, "0.0.0.0:0")]);
        let transports: Vec<_> = node.candidates_for(&page).iter().map(|c| c.transport).collect();
        assert_eq!(transports, [Transport::WebTransport]);
        assert_eq!(node.certificates_for(&page), [Hash([7; 32])]);
        assert_eq!(node.certificates_for(&node), [Hash([7; 32])]);
        assert_eq!(page.certificates_for(&node), []);
        let native = reach("203.0.113.1", &[(Transport::Quic, OWN)]);
        assert_eq!(node.certificates_for(&native), []);
    }
}
