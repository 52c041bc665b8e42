//! What addresses say of networks: who shares a line, and what is not reached from outside.

use std::net::{IpAddr, Ipv6Addr};

/// What is equal for peers behind the same line: the IPv4 address, or the IPv6 /64 that one site is given.
pub fn line(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}

/// Whether an address is one of a network of its own, which means something else elsewhere. Link-local ones of IPv6 do not
/// count: they need a scope that the other side does not know.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        // With the range between carriers and their customers (RFC 6598).
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}
