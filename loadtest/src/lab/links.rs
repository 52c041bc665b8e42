//! Links and routes of the laboratory, as lines for `ip -batch`.

use super::LabIp;
use super::topology::{
    DELAY_LINK, End, Ends, HOST_LINK, LabName, Place, ROUTER_LAN, ROUTER_WAN, SWITCH_UP, Seat,
};

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

/// The router's links, made from inside it; their other ends appear where they belong. `far` is the namespace behind it:
/// its host or its switch.
pub(super) fn router_links(lab: &LabName, far: &str, place: Place, ip: LabIp) -> String {
    let core = lab.core();
    let core_link = place.core_link();
    let [wan_mac, core_mac] = [End::RouterWan, End::Core].map(|end| place.mac(end));
    let mut lines = format!(
        "link add {ROUTER_WAN} address {wan_mac} type veth peer name {core_link} address {core_mac} netns {core}\n\
         link set lo up\n"
    );
    lines += &link_up(ROUTER_WAN, place.router_wan(), place.core(), &core_mac, ip);
    lines += &default_routes(place.core(), ip, "");
    if place.has_switch() {
        let [lan_mac, up_mac] = [End::RouterLan, End::SwitchUp].map(|end| place.mac(end));
        lines += &format!(
            "link add {ROUTER_LAN} address {lan_mac} type veth peer name {SWITCH_UP} address {up_mac} netns {far}\n"
        );
        lines += &link_up(ROUTER_LAN, place.router_lan(), place.switch_up(), &up_mac, ip);
        let far = place.switch_up();
        lines.extend(ip.has_v4().then(|| format!("route add {} via {}\n", place.subnet(), far.v4)));
        lines.extend(ip.has_v6().then(|| format!("route add {} via {}\n", place.subnet_v6(), far.v6)));
    } else {
        lines.extend(place.seats().map(|seat| gateway(seat, far, ip)));
    }
    lines
}

/// The switch, from inside it; `hosts` are the namespaces of its hosts.
pub(super) fn switch_links(hosts: impl Iterator<Item = String>, place: Place, ip: LabIp) -> String {
    let mut lines = String::from("link set lo up\n");
    lines += &link_up(SWITCH_UP, place.switch_up(), place.router_lan(), &place.mac(End::RouterLan), ip);
    lines += &default_routes(place.router_lan(), ip, "");
    lines.extend(place.seats().zip(hosts).map(|(seat, host)| gateway(seat, &host, ip)));
    lines
}

/// The link to a host, from inside what it is attached to.
fn gateway(seat: Seat, host: &str, ip: LabIp) -> String {
    let link = seat.gateway_link();
    let [own_mac, host_mac] = [End::Gateway, End::Host].map(|end| seat.mac(end));
    let made = format!(
        "link add {link} address {own_mac} type veth peer name {HOST_LINK} address {host_mac} netns {host}\n"
    );
    made + &link_up(&link, seat.gateway(), seat.host(), &host_mac, ip)
}

/// The host's end. Congestion control goes with the route: as a setting, Linux refuses a namespace all but the
/// machine's `tcp_allowed_congestion_control`, which need not hold cubic.
pub(super) fn host_links(seat: Seat, congestion_control: &str, ip: LabIp) -> String {
    let mut lines = String::from("link set lo up\n");
    lines += &link_up(HOST_LINK, seat.host(), seat.gateway(), &seat.mac(End::Gateway), ip);
    lines += &default_routes(seat.gateway(), ip, &format!(" congctl {congestion_control}"));
    lines
}

/// The core's ends of all links and the ways between them.
pub(super) fn core_routes(places: impl Iterator<Item = (Place, LabIp)>, is_delayed: bool) -> String {
    // Without a relay these routes are the only ones.
    let table = if is_delayed { format!(" table {AFTER_DELAY}") } else { String::new() };
    let mut lines = String::new();
    for (place, ip) in places {
        let (link, far_mac) = (place.core_link(), place.mac(End::RouterWan));
        let (own, far) = (place.core(), place.router_wan());
        // Their own routes would lead past the relay.
        lines += &link_up_with(&link, own, far, &far_mac, ip, " noprefixroute");
        if ip.has_v4() {
            lines += &format!("route add {}/31 dev {link}{table}\n", own.v4);
            lines += &format!("route add {} via {} dev {link} onlink{table}\n", place.subnet(), far.v4);
        }
        if ip.has_v6() {
            lines += &format!("route add {}/127 dev {link}{table}\n", own.v6);
            lines += &format!("route add {} via {} dev {link} onlink{table}\n", place.subnet_v6(), far.v6);
        }
    }
    lines
}

/// The detour by the relay, for one family of addresses. The last route keeps packets for nobody from circling through the
/// relay; it does not answer them.
pub(super) fn detour(subnets: &[&str]) -> String {
    let mut lines = format!(
        "rule add iif {DELAY_LINK} lookup {AFTER_DELAY}\n\
         route add blackhole default table {AFTER_DELAY}\n"
    );
    lines.extend(subnets.iter().map(|subnet| format!("route add {subnet} dev {DELAY_LINK}\n")));
    lines
}

fn default_routes(via: Ends, ip: LabIp, more: &str) -> String {
    let v4 = ip.has_v4().then(|| format!("route add default via {}{more}\n", via.v4));
    let v6 = ip.has_v6().then(|| format!("route add default via {}{more}\n", via.v6));
    v4.into_iter().chain(v6).collect()
}

/// One end of a link.
fn link_up(link: &str, own: Ends, far: Ends, far_mac: &str, ip: LabIp) -> String {
    link_up_with(link, own, far, far_mac, ip, "")
}

/// The same, with flags of its addresses. No IPv6 address makes itself, and the neighbour is known: nothing is on the wire
/// unless a program sends it.
fn link_up_with(link: &str, own: Ends, far: Ends, far_mac: &str, ip: LabIp, flags: &str) -> String {
    let mut lines = format!(
        "link set {link} addrgenmode none gso_max_size {TRAIN_BYTES_MAX} gro_max_size {TRAIN_BYTES_MAX} up\n"
    );
    let mut add = |own: String, far: String| {
        lines += &format!("address add {own} dev {link}{flags}\n");
        lines += &format!("neigh replace {far} lladdr {far_mac} nud permanent dev {link}\n");
    };
    if ip.has_v4() {
        add(format!("{}/31", own.v4), far.v4.to_string());
    }
    if ip.has_v6() {
        // Whether another one has the address need not be asked for a second.
        add(format!("{}/127 nodad", own.v6), far.v6.to_string());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_delayed_core_has_the_detour() {
        let places = || (0..2).map(|index| (Place::new(index, 1).expect("small"), LabIp::V4));
        let check = |is_delayed: bool, part: &str, expected: bool| {
            let lines = core_links(is_delayed) + &core_routes(places(), is_delayed);
            assert_eq!(lines.contains(part), expected, "{is_delayed}: {part} in\n{lines}");
        };
        check(false, "route add 10.64.1.0/24 via 11.65.1.1 dev c1 onlink\n", true);
        check(false, DELAY_LINK, false);
        check(true, "route add 10.64.1.0/24 via 11.65.1.1 dev c1 onlink table 100\n", true);
        check(true, "route add 11.65.1.0/31 dev c1 table 100\n", true);
        check(true, "2001:db8", false);
    }

    #[test]
    fn a_site_of_one_has_its_host_at_the_router() {
        let lab = LabName::new(7, 0);
        let check = |seats: usize, ip: LabIp, part: &str, expected: bool| {
            let lines = router_links(&lab, "far", Place::new(1, seats).expect("small"), ip);
            assert_eq!(lines.contains(part), expected, "{seats} {ip:?}: {part} in\n{lines}");
        };
        check(1, LabIp::V4, "address add 10.64.1.0/31 dev lan\n", true);
        check(1, LabIp::V4, SWITCH_UP, false);
        check(1, LabIp::V6, "address add 2001:db8:40:1::/127 nodad dev lan\n", true);
        check(1, LabIp::V6, "10.64", false);
        check(2, LabIp::Dual, "route add 10.64.1.0/24 via 10.66.1.1\n", true);
        check(2, LabIp::Dual, "route add 2001:db8:40:1::/64 via 2001:db8:42:1::1\n", true);
    }
}
