//! Where a peer that another one introduces may be, and who of both dials. No tracker has seen it there, so little is
//! believed: the address at which who introduces it sees its link, and what it says of itself where that is the same line.

use std::net::{IpAddr, SocketAddr};

use freshet_protocol::{Dialer, Nat, Party, Seen, is_private, line};

/// Most addresses that are probed for one introduction.
pub(super) const PLACES_MAX: usize = 4;

/// How two peers come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Where the other one may be, at least one address.
    pub(super) places: Vec<SocketAddr>,
    /// Who dials; first is who asked.
    pub(super) dialer: Dialer,
}

/// The way to a peer that is `seen` by one whose datagrams come from `via`; none where there is none. `asker` and `asked`
/// are the two, of whom `other` is not this node.
pub(super) fn way(via: SocketAddr, seen: Seen, [asker, asked]: [&Party; 2], other: &Party) -> Option<Way> {
    let Seen { address, is_near } = seen;
    let (ip, via) = (address.ip(), via.ip());
    // Both have their link with it over this family of addresses.
    if ip.is_ipv4() != via.is_ipv4() || !is_dialable(address, via) {
        return None;
    }
    // Who introduces it may see it within its own network: then it has the line that is seen from here.
    let is_beside = is_inside(ip) && !is_inside(via);
    let local = other.local.iter().filter(|local| is_near && is_private(local.ip()));
    let seen_at = (!is_beside).then_some(&address);
    let mapped = other.mapped.iter().map(|mapped| &mapped.address);
    let mapped = mapped.filter(|mapped| is_beside && line(mapped.ip()) == line(via));
    let mut places: Vec<SocketAddr> = Vec::new();
    for &place in local.chain(seen_at).chain(mapped) {
        if places.len() < PLACES_MAX && !places.contains(&place) && is_dialable(place, via) {
            places.push(place);
        }
    }
    let nat = |party: &Party| {
        let same = party.mapped.iter().find(|mapped| mapped.address.is_ipv4() == ip.is_ipv4());
        // Without a tracker nobody has told it: most homes are like this.
        same.map_or(Nat::PortRestricted, |mapped| mapped.nat)
    };
    let dialer = if is_near { Dialer::Either } else { nat(asker).dialer(nat(asked))? };
    (!places.is_empty()).then_some(Way { places, dialer })
}

/// Whether an address means something in its own network alone.
fn is_inside(ip: IpAddr) -> bool {
    is_private(ip) || ip.is_loopback()
}

/// Whether it can be that of a peer's socket, for one who reaches `via`: this machine is meant only by who is on it.
fn is_dialable(address: SocketAddr, via: IpAddr) -> bool {
    let ip = address.ip();
    let is_nobody = ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]);
    address.port() != 0 && !is_nobody && (!ip.is_loopback() || via.is_loopback())
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Base64, INTRODUCED_PAIRS_MIN, Placed, PublicKey};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("address")
    }

    fn party(mapped: &[(&str, Nat)], local: &[&str]) -> Party {
        Party {
            pair: INTRODUCED_PAIRS_MIN,
            key: PublicKey([1; 32]),
            ticket: Base64(Vec::new()),
            mapped: mapped.iter().map(|(at, nat)| Placed { address: address(at), nat: *nat }).collect(),
            local: local.iter().map(|at| address(at)).collect(),
        }
    }

    #[test]
    fn little_is_believed() {
        let check = |via: &str, seen: &str, is_near: bool, said: (&[&str], &[&str]), expected: &[&str]| {
            let (mapped, local) = said;
            let mapped: Vec<_> = mapped.iter().map(|at| (*at, Nat::PortRestricted)).collect();
            let (own, other) = (party(&[], &[]), party(&mapped, local));
            let seen = Seen { address: address(seen), is_near };
            let found = way(address(via), seen, [&own, &other], &other);
            let found: Vec<_> = found.iter().flat_map(|way| &way.places).map(SocketAddr::to_string).collect();
            assert_eq!(found, expected, "{via} {seen:?} {mapped:?} {local:?}");
        };
        let none: (&[&str], &[&str]) = (&[], &[]);
        let (z, x) = ("198.51.100.1:1", "203.0.113.1:7");
        check(z, x, false, none, &[x]);
        check(z, x, false, (&["203.0.113.1:8", "203.0.113.9:8", x], &["192.168.1.2:7"]), &[x]);
        check(z, x, true, (&[], &["192.168.1.2:7", "192.0.2.1:7"]), &["192.168.1.2:7", x]);
        // Who introduces it is in its network: that has the line which is seen from here.
        let home = "192.168.1.2:7";
        check(z, home, false, (&["198.51.100.1:8", "203.0.113.1:8"], &[home]), &["198.51.100.1:8"]);
        check(z, home, false, none, &[]);
        // All three are in it.
        check("192.168.1.1:1", home, true, none, &[home]);
        // Over which family of addresses it has its link matters, and what nobody can be at does not count.
        check("[2001:db8::1]:1", x, false, none, &[]);
        check("[2001:db8::1]:1", "[2001:db8:1::7]:7", false, none, &["[2001:db8:1::7]:7"]);
        for nobody in ["203.0.113.1:0", "0.0.0.0:7", "224.0.0.1:7", "255.255.255.255:7", "127.0.0.1:7"] {
            check(z, nobody, false, none, &[]);
            check(z, x, true, (&[nobody], &[nobody]), &[x]);
        }
        check("127.0.0.1:1", "127.0.0.1:7", true, none, &["127.0.0.1:7"]);
        let many: Vec<String> = (1..9).map(|port| format!("198.51.100.1:{port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(z, home, false, (&many, &[]), &many[..PLACES_MAX]);
    }

    #[test]
    fn both_sides_agree_on_who_dials() {
        use Nat::{AddressRestricted, Open, PortRestricted, Symmetric};
        let check = |asker: Option<Nat>, asked: Option<Nat>, is_near: bool, expected: Option<Dialer>| {
            let at = |ip: &'static str, nat: Option<Nat>| {
                party(&nat.map(|nat| (ip, nat)).into_iter().collect::<Vec<_>>(), &[])
            };
            let (asker, asked) = (at("203.0.113.1:7", asker), at("198.51.100.1:7", asked));
            let sides = [("203.0.113.1:7", &asker), ("198.51.100.1:7", &asked)];
            for (seen, other) in sides {
                let seen = Seen { address: address(seen), is_near };
                let found = way(address("192.0.2.1:1"), seen, [&asker, &asked], other);
                assert_eq!(found.map(|way| way.dialer), expected, "{asker:?} {asked:?}");
            }
        };
        check(None, None, false, Some(Dialer::Either));
        check(None, Some(Symmetric), false, None);
        check(Some(Symmetric), Some(Symmetric), false, None);
        check(Some(Symmetric), Some(Symmetric), true, Some(Dialer::Either));
        check(Some(Symmetric), Some(AddressRestricted), false, Some(Dialer::First));
        check(Some(Open), Some(Symmetric), false, Some(Dialer::Second));
        check(Some(PortRestricted), None, false, Some(Dialer::Either));
    }
}
