//! Where clients are, and how near two of them are.
//!
//! The address that the tracker sees tells who shares a line. Autonomous systems and countries come from databases that the
//! operator brings, groups from the operator's own table. Without either, addresses that begin alike stand in for a system.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freshet_protocol::{Locality, line};
use serde::{Deserialize, Serialize};

/// What is known about the network of an address, beside the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Network {
    /// The system it is part of.
    pub system: Option<System>,
    /// The country it is in, by ISO 3166-1.
    pub country: Option<[u8; 2]>,
}

/// A network with lines of its own between its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// An autonomous system, by its number.
    Autonomous(u32),
    /// A group of the operator's own, by what its name makes; it counts before the system that it is in.
    Group(u32),
    /// Addresses that begin alike: nobody has said what they are.
    Prefix(IpAddr),
}

/// A part of the network that peers may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    Line(IpAddr),
    System(System),
    Country([u8; 2]),
}

/// Where a client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// By which families of addresses it is known.
    lines: Vec<IpAddr>,
    pub(super) system: System,
    country: Option<[u8; 2]>,
}

impl Place {
    /// Of a client that comes from `seen`, and has been seen at the addresses `mapped` as well.
    pub(super) fn new(seen: IpAddr, network: Network, mapped: impl Iterator<Item = IpAddr>) -> Self {
        let mut lines = vec![line(seen)];
        for line in mapped.map(line) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let system = network.system.unwrap_or_else(|| System::Prefix(prefix(seen)));
        Self { lines, system, country: network.country }
    }

    /// Number of its lines.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Whether two are behind one line.
    pub(super) fn shares_line(&self, other: &Self) -> bool {
        self.lines.iter().any(|line| other.lines.contains(line))
    }

    pub(super) fn locality(&self, other: &Self) -> Locality {
        if self.shares_line(other) {
            Locality::SameAddress
        } else if self.system == other.system {
            Locality::SameAs
        } else if self.country.is_some() && self.country == other.country {
            Locality::SameCountry
        } else {
            Locality::Any
        }
    }

    /// What it is in, from the smallest to the largest.
    pub(super) fn areas(&self) -> impl Iterator<Item = Area> {
        let lines = self.lines.iter().copied().map(Area::Line);
        lines.chain([Area::System(self.system)]).chain(self.country.map(Area::Country))
    }
}

/// What equal for addresses that were mostly given to one provider: the IPv4 /16, or the IPv6 /32.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            Ipv4Addr::new(a, b, 0, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seen: &str, network: Network, mapped: &[&str]) -> Place {
        let parse = |text: &str| text.parse().expect("address");
        Place::new(parse(seen), network, mapped.iter().map(|text| parse(text)))
    }

    #[test]
    fn addresses_alone() {
        use Locality::{Any, SameAddress, SameAs};
        let check = |a: &str, b: &str, expected| {
            let [a, b] = [a, b].map(|seen| place(seen, Network::default(), &[]));
            assert_eq!(a.locality(&b), expected, "{a:?} {b:?}");
        };
        check("203.0.113.1", "203.0.113.1", SameAddress);
        check("203.0.113.1", "::ffff:203.0.113.1", SameAddress);
        check("203.0.113.1", "203.0.114.2", SameAs);
        check("203.0.113.1", "203.1.113.1", Any);
        check("2001:db8::1", "2001:db8::2", SameAddress);
        check("2001:db8::1", "2001:db8:0:1::1", SameAs);
        check("2001:db8::1", "2001:db9::1", Any);
        check("127.0.0.1", "127.0.0.1", SameAddress);
    }

    #[test]
    fn networks() {
        use Locality::{Any, SameAddress, SameAs, SameCountry};
        let network = |system, country: Option<&[u8; 2]>| Network { system, country: country.copied() };
        let check = |a: Network, b: Network, expected| {
            let [a, b] = [("203.0.113.1", a), ("203.0.114.1", b)].map(|(seen, net)| place(seen, net, &[]));
            assert_eq!(a.locality(&b), expected, "{a:?} {b:?}");
        };
        let (kt, skb) = (Some(System::Autonomous(4766)), Some(System::Autonomous(9318)));
        check(network(kt, None), network(kt, Some(b"KR")), SameAs);
        check(network(kt, Some(b"KR")), network(skb, Some(b"KR")), SameCountry);
        check(network(kt, Some(b"KR")), network(skb, Some(b"JP")), Any);
        check(network(kt, None), network(skb, None), Any);
        // A group of the operator's own is not the system around it, and numbers of both are apart.
        check(network(Some(System::Group(4766)), None), network(kt, None), Any);
        // Of whom nothing is known, nothing is guessed beside one of whom something is.
        check(network(None, None), network(kt, None), Any);
        let here = place("203.0.113.1", network(kt, None), &[]);
        assert_eq!(here.locality(&place("203.0.113.1", network(skb, None), &[])), SameAddress);
    }

    #[test]
    fn one_site_has_lines_in_both_families() {
        let none = Network::default();
        let old = place("203.0.113.1", none, &["203.0.113.1", "2001:db8:7:7::1"]);
        let new = place("2001:db8:7:7::2", none, &["2001:db8:7:7::2"]);
        assert_eq!(old.locality(&new), Locality::SameAddress);
        assert_eq!(old.areas().filter(|area| matches!(area, Area::Line(_))).count(), 2);
        assert_eq!(old.areas().count(), 3);
    }
}
