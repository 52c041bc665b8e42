//! Candidates of ICE as this node lets them in and out (PROTOCOL.md 8).
//!
//! Nobody may make this node send to a third party. So of a peer's candidates only those count whose address is one
//! that the tracker sees the peer at, and, where the tracker sees both at the same address, those of private networks.

use std::net::IpAddr;

use freshet_protocol::Locality;

/// Longest foundation, in characters (RFC 8839, section 5.1).
const FOUNDATION_CHARS_MAX: usize = 32;

/// How a candidate's address was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is the machine's own.
    Host,
    /// A STUN server saw it.
    Reflexive,
}

/// An address over UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IceCandidate {
    pub(super) foundation: String,
    pub(super) priority: u32,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) kind: Kind,
}

impl IceCandidate {
    /// Reads a `candidate:` attribute; none where it is of another sort: over TCP, relayed, a name instead of an address.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix("a=").unwrap_or(text).strip_prefix("candidate:")?;
        let mut words = text.split_ascii_whitespace();
        let foundation = words.next()?;
        let is_good = foundation.len() <= FOUNDATION_CHARS_MAX
            && foundation.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/');
        let (component, protocol) = (words.next()?, words.next()?);
        if !is_good || component != "1" || !protocol.eq_ignore_ascii_case("udp") {
            return None;
        }
        let priority = words.next()?.parse().ok()?;
        let ip: IpAddr = words.next()?.parse().ok()?;
        let port = words.next()?.parse().ok().filter(|&port| port != 0)?;
        let kind = match (words.next()?, words.next()?) {
            ("typ", "host") => Kind::Host,
            ("typ", "srflx") => Kind::Reflexive,
            _ => return None,
        };
        Some(Self { foundation: foundation.to_owned(), priority, ip: ip.to_canonical(), port, kind })
    }

    /// The attribute, without what it does not need.
    pub(super) fn write(&self) -> String {
        let Self { foundation, priority, ip, port, kind } = self;
        let kind = match kind {
            Kind::Host => "host",
            // What it is related to is nobody's business; the form wants something there.
            Kind::Reflexive => "srflx raddr 0.0.0.0 rport 0",
        };
        format!("candidate:{foundation} 1 udp {priority} {ip} {port} typ {kind}")
    }

    /// Whether a peer that the tracker sees at `seen` may name it.
    pub(super) fn is_of(&self, seen: &[IpAddr], locality: Locality) -> bool {
        seen.contains(&self.ip) || (locality == Locality::SameAddress && is_private(self.ip))
    }

    /// Whether an own candidate is for a peer at this distance: those of private networks are of no use far away, and
    /// tell about the owner's home.
    pub(super) fn is_for(&self, seen: &[IpAddr], locality: Locality) -> bool {
        let is_same_machine = seen.iter().all(IpAddr::is_loopback) && self.ip.is_loopback();
        locality == Locality::SameAddress || is_same_machine || !is_private(self.ip)
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || is_shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let check = |text: &str, expected: Option<&str>| {
            let written = IceCandidate::read(text).map(|candidate| candidate.write());
            assert_eq!(written.as_deref(), expected, "{text}");
        };
        let host = "candidate:842163049 1 udp 2122260223 192.168.0.7 51010 typ host";
        check(&format!("a={host} generation 0 ufrag sXJ3 network-cost 999"), Some(host));
        check(
            "candidate:1 1 UDP 5 ::ffff:192.0.2.1 9 typ host",
            Some("candidate:1 1 udp 5 192.0.2.1 9 typ host"),
        );
        check(
            "candidate:1 1 udp 5 192.0.2.1 9 typ srflx raddr 10.0.0.1 rport 77",
            Some("candidate:1 1 udp 5 192.0.2.1 9 typ srflx raddr 0.0.0.0 rport 0"),
        );
        check("candidate:1 1 udp 5 1f4712db.local 9 typ host", None);
        check("candidate:1 1 tcp 5 192.0.2.1 9 typ host tcptype active", None);
        check("candidate:1 1 udp 5 192.0.2.1 9 typ relay raddr 0.0.0.0 rport 0", None);
        check("candidate:1 1 udp 5 192.0.2.1 9 typ prflx", None);
        check("candidate:1 2 udp 5 192.0.2.1 9 typ host", None);
        check("candidate:1 1 udp 5 192.0.2.1 0 typ host", None);
        check("candidate:1 1 udp 5 192.0.2.1 99999 typ host", None);
        check("candidate:1\u{e9} 1 udp 5 192.0.2.1 9 typ host", None);
        check(&format!("candidate:{} 1 udp 5 192.0.2.1 9 typ host", "1".repeat(33)), None);
        check("candidate:1 1 udp 5", None);
        check("", None);
    }

    #[test]
    fn only_addresses_of_the_pair() {
        let check = |seen: &str, ip: &str, near: bool, far: bool| {
            let seen = [seen.parse().expect("address")];
            let text = format!("candidate:1 1 udp 5 {ip} 9 typ host");
            let candidate = IceCandidate::read(&text).expect("good");
            assert_eq!(candidate.is_of(&seen, Locality::SameAddress), near, "{ip}");
            assert_eq!(candidate.is_of(&seen, Locality::Any), far, "{ip}");
        };
        check("203.0.113.1", "203.0.113.1", true, true);
        check("203.0.113.1", "203.0.113.2", false, false);
        check("203.0.113.1", "192.168.1.2", true, false);
        check("203.0.113.1", "100.64.0.9", true, false);
        check("203.0.113.1", "100.128.0.9", false, false);
        check("203.0.113.1", "127.0.0.1", true, false);
        check("203.0.113.1", "fd00::1", true, false);
        check("2001:db8::1", "2001:db8::1", true, true);
        check("2001:db8::1", "2001:db8::2", false, false);
    }

    #[test]
    fn homes_are_told_to_neighbours_alone() {
        let check = |seen: &str, ip: &str, near: bool, far: bool| {
            let seen = [seen.parse().expect("address")];
            let candidate =
                IceCandidate::read(&format!("candidate:1 1 udp 5 {ip} 9 typ host")).expect("good");
            assert_eq!(candidate.is_for(&seen, Locality::SameAddress), near, "{ip}");
            assert_eq!(candidate.is_for(&seen, Locality::SameCountry), far, "{ip}");
        };
        check("203.0.113.1", "192.168.1.2", true, false);
        check("203.0.113.1", "203.0.113.9", true, true);
        check("203.0.113.1", "127.0.0.1", true, false);
        check("127.0.0.1", "127.0.0.1", true, true);
    }
}
