//! How near two peers are, from the addresses that the tracker sees.
//!
//! Autonomous systems and countries need a database that the operator brings; without one, all that is known is whether
//! two peers share a line.

use std::net::{IpAddr, Ipv6Addr};

use freshet_protocol::Locality;

/// What equal for peers behind the same line: the IPv4 address, or the IPv6 /64 that one site is given.
pub(super) fn line(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}

pub(super) fn locality(a: IpAddr, b: IpAddr) -> Locality {
    if line(a) == line(b) { Locality::SameAddress } else { Locality::Any }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_line() {
        let check = |a: &str, b: &str, expected| {
            let parse = |text: &str| text.parse().expect("address");
            assert_eq!(locality(parse(a), parse(b)), expected, "{a} {b}");
        };
        check("203.0.113.1", "203.0.113.1", Locality::SameAddress);
        check("203.0.113.1", "::ffff:203.0.113.1", Locality::SameAddress);
        check("203.0.113.1", "203.0.113.2", Locality::Any);
        check("2001:db8::1", "2001:db8::2", Locality::SameAddress);
        check("2001:db8::1", "2001:db8:0:1::1", Locality::Any);
        check("::1", "::2", Locality::Any);
        check("127.0.0.1", "127.0.0.1", Locality::SameAddress);
    }
}
