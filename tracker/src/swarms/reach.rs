//! How a peer can be reached: the transports it speaks and the addresses at which it can be dialled.

use std::net::{IpAddr, SocketAddr};

use freshet_protocol::{Candidate, Hash, Transport};

/// A set of transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What is known about reaching a peer.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    transports: Transports,
    candidates: Vec<Candidate>,
    /// Under which certificates its WebTransport candidates answer.
    certificates: Vec<Hash>,
}

/// Which of two peers dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialer {
    First,
    Second,
    Either,
}

impl Reach {
    /// Keeps what a client may say about itself: every transport it names, but only addresses with a port at the
    /// address `seen` by the tracker, so that no client can make others dial a third party. The unspecified address
    /// stands for the one seen. WebRTC is kept with port 0: not to be dialed, but from there. A client that names nothing
    /// is a node that can only dial, over QUIC.
    pub(super) fn sanitised(seen: IpAddr, announced: &[Candidate], certificates: &[Hash]) -> Self {
        let seen = seen.to_canonical();
        let mut transports = announced
            .iter()
            .fold(Transports::NONE, |set, c| Transports(set.0 | Transports::of(c.transport).0));
        if announced.is_empty() {
            transports = Transports::of(Transport::Quic);
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for candidate in announced {
            let ip = match candidate.address.ip().to_canonical() {
                ip if ip.is_unspecified() => seen,
                ip => ip,
            };
            let is_own = ip == seen || (seen.is_loopback() && ip.is_loopback());
            let is_signalled = candidate.transport == Transport::WebRtc;
            let port = if is_signalled { 0 } else { candidate.address.port() };
            let kept = Candidate { address: SocketAddr::new(ip, port), ..*candidate };
            let is_usable = (is_signalled || port != 0) && transports.contains(kept.transport);
            if is_own && is_usable && !candidates.contains(&kept) {
                candidates.push(kept);
            }
        }
        Self { transports, candidates, certificates: certificates.to_vec() }
    }

    /// Who can dial whom; `None` where the two cannot link. WebRTC finds its addresses by signalling alone.
    pub(super) fn route(&self, other: &Self) -> Option<Dialer> {
        let common = Transports(self.transports.0 & other.transports.0);
        let is_dialable = |side: &Self| {
            side.candidates.iter().any(|c| c.address.port() != 0 && common.contains(c.transport))
        };
        match (is_dialable(self), is_dialable(other)) {
            (true, true) => Some(Dialer::Either),
            (false, true) => Some(Dialer::First),
            (true, false) => Some(Dialer::Second),
            (false, false) => common.contains(Transport::WebRtc).then_some(Dialer::Either),
        }
    }

    /// Hashes of certificates that `other` needs to reach this peer.
    pub(super) fn certificates_for(&self, other: &Self) -> Vec<Hash> {
        let is_needed = other.transports.contains(Transport::WebTransport)
            && self.candidates.iter().any(|c| c.transport == Transport::WebTransport);
        if is_needed { self.certificates.clone() } else { Vec::new() }
    }

    /// The addresses that `other` can use, and the one that a data channel with it comes from.
    pub(super) fn candidates_for(&self, other: &Self) -> Vec<Candidate> {
        self.candidates.iter().filter(|c| other.transports.contains(c.transport)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(seen: &str, announced: &[(Transport, &str)]) -> Reach {
        let candidates: Vec<_> = announced
            .iter()
            .map(|&(transport, address)| Candidate { transport, address: address.parse().expect("address") })
            .collect();
        Reach::sanitised(seen.parse().expect("address"), &candidates, &[Hash([7; 32])])
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
