//! Links and routes of the laboratory, as lines for `ip -batch`.

use std::net::Ipv4Addr;

use super::topology::{DELAY_LINK, End, HOST_LINK, HOSTS_SUBNET, LabName, Place, ROUTER_LAN, ROUTER_WAN};

/// Longest packet train: a quarter of what Linux would send in one piece, so that shaping stays smooth.
const TRAIN_BYTES_MAX: u32 = 16_384;
/// The delay link must not drop before the relay has read: 10 000 trains are more than it ever holds.
const DELAY_QUEUE_PACKETS: u32 = 10_000;
/// Routing table for packets that come back from the delay relay.
const AFTER_DELAY: u32 = 100;

/// The core before any router is there.
pub(super) fn core_links(is_delayed: bool) -> String {
    let mut lines = String::from("link set lo up\n");
    if is_delayed {
        lines += &format!(
            "tuntap add dev {DELAY_LINK} mode tun vnet_hdr\n\
             link set {DELAY_LINK} addrgenmode none txqueuelen {DELAY_QUEUE_PACKETS} mtu 1500\n\
             link set {DELAY_LINK} gso_max_size {TRAIN_BYTES_MAX} gro_max_size {TRAIN_BYTES_MAX} up\n"
        );
    }
    lines
}

/// The router's two links, made from inside it; their other ends appear where they belong.
pub(super) fn router_links(lab: &LabName, host: &str, place: Place) -> String {
    let far_host = lab.host(host);
    let core = lab.core();
    let core_link = place.core_link();
    let mut lines = format!(
        "link add {ROUTER_LAN} address {} type veth peer name {HOST_LINK} address {} netns {far_host}\n\
         link add {ROUTER_WAN} address {} type veth peer name {core_link} address {} netns {core}\n\
         link set lo up\n",
        place.mac(End::RouterLan),
        place.mac(End::Host),
        place.mac(End::RouterWan),
        place.mac(End::Core),
    );
    lines += &link_up(ROUTER_LAN, place.router_lan(), place.host(), &place.mac(End::Host));
    lines += &link_up(ROUTER_WAN, place.router_wan(), place.core(), &place.mac(End::Core));
    lines += &format!("route add default via {}\n", place.core());
    lines
}

/// The host's end. Congestion control goes with the route: as a setting, Linux refuses a namespace all but the
/// machine's `tcp_allowed_congestion_control`, which need not hold cubic.
pub(super) fn host_links(place: Place, congestion_control: &str) -> String {
    let mut lines = String::from("link set lo up\n");
    lines += &link_up(HOST_LINK, place.host(), place.router_lan(), &place.mac(End::RouterLan));
    lines += &format!("route add default via {} congctl {congestion_control}\n", place.router_lan());
    lines
}

/// The core's ends of all links and the ways between them.
pub(super) fn core_routes(places: impl Iterator<Item = Place> + Clone, is_delayed: bool) -> String {
    let mut lines = String::new();
    for place in places.clone() {
        lines += &link_up(&place.core_link(), place.core(), place.router_wan(), &place.mac(End::RouterWan));
    }
    // Without a relay the same routes are the only ones.
    let table = if is_delayed { AFTER_DELAY.to_string() } else { "main".to_owned() };
    for place in places {
        lines += &format!("route add {}/31 via {} table {table}\n", place.router_lan(), place.router_wan());
    }
    if is_delayed {
        // The last one keeps packets for nobody from circling through the relay; it does not answer them.
        lines += &format!(
            "rule add iif {DELAY_LINK} lookup {AFTER_DELAY}\n\
             route add {HOSTS_SUBNET} dev {DELAY_LINK}\n\
             route add blackhole default table {AFTER_DELAY}\n"
        );
    }
    lines
}

/// One end of a link. No IPv6 address makes itself, and the neighbour is known: nothing is on the wire unless a
/// program sends it.
fn link_up(link: &str, own: Ipv4Addr, far: Ipv4Addr, far_mac: &str) -> String {
    format!(
        "link set {link} addrgenmode none gso_max_size {TRAIN_BYTES_MAX} gro_max_size {TRAIN_BYTES_MAX} up\n\
         address add {own}/31 dev {link}\n\
         neigh replace {far} lladdr {far_mac} nud permanent dev {link}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_delayed_core_has_the_detour() {
        let places = || (0..2).map(|index| Place::new(index).expect("small"));
        let check = |is_delayed: bool, part: &str, expected: bool| {
            let lines = core_links(is_delayed) + &core_routes(places(), is_delayed);
            assert_eq!(lines.contains(part), expected, "{is_delayed}: {part} in\n{lines}");
        };
        check(false, "route add 10.64.1.0/31 via 10.65.1.1 table main\n", true);
        check(false, DELAY_LINK, false);
        check(true, "route add 10.64.1.0/31 via 10.65.1.1 table 100\n", true);
        check(true, "route add 10.64.0.0/16 dev delay\n", true);
    }
}
