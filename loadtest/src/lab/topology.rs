//! Names and addresses of the laboratory: pure, so that they are tested without root.
//!
//! ```text
//!  host namespace        router namespace             core namespace
//!  eth0 ───────── lan │ forwards │ wan ───────── c<i> │ routes, delays │ ...
//! 10.64.i.1   10.64.i.0           11.65.i.1   11.65.i.0
//! ```
//!
//! Several hosts at one router have a switch between them and it:
//!
//! ```text
//!  host namespaces        switch namespace            router namespace
//!  eth0 ────────── p<k> │ forwards │ uplink ───── lan │ ...
//! 10.64.i.2k+1  10.64.i.2k     10.66.i.1   10.66.i.0
//! ```
//!
//! Each link is a /31 of its own and every hop is routed: a bridge would keep a packet charged to its sender's
//! socket, so that a UDP sender would never see a drop. Lines have addresses that are not private, since routers forward
//! ports of no others. Where there is IPv6, addresses differ in the same places.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};

/// Most hosts in one lab, and routers.
pub const LAB_HOSTS_MAX: usize = 1000;
/// Most hosts at one router: each has two addresses of a last byte.
pub const SITE_HOSTS_MAX: usize = 120;
/// Longest name of a host, in bytes.
const HOST_NAME_BYTES_MAX: usize = 32;
/// Start of every namespace's name, by which the lab of a crashed process is found and removed.
const PREFIX: &str = "fr-";

/// Interfaces, named alike in every namespace: the namespace tells them apart.
pub(super) const HOST_LINK: &str = "eth0";
pub(super) const ROUTER_LAN: &str = "lan";
pub(super) const ROUTER_WAN: &str = "wan";
pub(super) const SWITCH_UP: &str = "uplink";
pub(super) const DELAY_LINK: &str = "delay";

/// All addresses of hosts and lines: what the core sends through the delay relay.
pub(super) const SITES_SUBNETS: [&str; 2] = ["10.64.0.0/12", "11.64.0.0/12"];
pub(super) const SITES_SUBNETS_V6: [&str; 1] = ["2001:db8:40::/44"];

/// One lab of one process: `fr-<pid>-<number>-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabName {
    pid: u32,
    number: u32,
}

impl LabName {
    pub(super) fn new(pid: u32, number: u32) -> Self {
        Self { pid, number }
    }

    pub(super) fn prefix(&self) -> String {
        format!("{PREFIX}{}-{}-", self.pid, self.number)
    }

    pub(super) fn core(&self) -> String {
        format!("{}core", self.prefix())
    }

    pub(super) fn host(&self, host: &str) -> String {
        format!("{}h-{host}", self.prefix())
    }

    pub(super) fn router(&self, site: &str) -> String {
        format!("{}r-{site}", self.prefix())
    }

    pub(super) fn switch(&self, site: &str) -> String {
        format!("{}s-{site}", self.prefix())
    }
}

/// The process that a namespace belongs to, if its name is one of a lab's.
pub(super) fn owner_of(namespace: &str) -> Option<u32> {
    let (pid, rest) = namespace.strip_prefix(PREFIX)?.split_once('-')?;
    rest.contains('-').then(|| pid.parse().ok())?
}

/// Names end up in file names and in lines of `ip -batch`, so only what is harmless there is allowed.
pub(super) fn check_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        (1..=HOST_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_plain),
        "the name {name:?} is not 1 to {HOST_NAME_BYTES_MAX} of a-z, 0-9 and '-'"
    );
    Ok(())
}

/// Both addresses of one end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ends {
    pub(super) v4: Ipv4Addr,
    pub(super) v6: Ipv6Addr,
}

impl Ends {
    fn new([first, second]: [u8; 2], site: u16, last: u8) -> Self {
        let (second, site) = (u16::from(second) + site / NET_SITES * NETS, site % NET_SITES);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, second, site, 0, 0, 0, last.into());
        Self { v4: Ipv4Addr::new(first, second as u8, site as u8, last), v6 }
    }
}

/// Networks: of the hosts, of the lines, and of what lies between a switch and its router.
const HOSTS: [u8; 2] = [10, 64];
const LINES: [u8; 2] = [11, 65];
const SWITCHES: [u8; 2] = [10, 66];
/// So many sites have the numbers of one network, their third byte; those after them those of the next network but so many.
const NET_SITES: u16 = 250;
const NETS: u16 = 4;

/// A router, its line and what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    index: u16,
    seats: u8,
}

impl Place {
    pub(super) fn new(index: usize, seats: usize) -> Result<Self> {
        ensure!(index < LAB_HOSTS_MAX, "a lab has at most {LAB_HOSTS_MAX} routers");
        ensure!(
            (1..=SITE_HOSTS_MAX).contains(&seats),
            "a router has 1 to {SITE_HOSTS_MAX} hosts, not {seats}"
        );
        Ok(Self { index: u16::try_from(index)?, seats: u8::try_from(seats)? })
    }

    pub(super) fn has_switch(self) -> bool {
        self.seats > 1
    }

    pub(super) fn seats(self) -> impl Iterator<Item = Seat> {
        (0..self.seats).map(move |number| Seat { place: self, number })
    }

    pub(super) fn router_wan(self) -> Ends {
        Ends::new(LINES, self.index, 1)
    }

    pub(super) fn core(self) -> Ends {
        Ends::new(LINES, self.index, 0)
    }

    /// Towards the switch.
    pub(super) fn router_lan(self) -> Ends {
        Ends::new(SWITCHES, self.index, 0)
    }

    pub(super) fn switch_up(self) -> Ends {
        Ends::new(SWITCHES, self.index, 1)
    }

    pub(super) fn core_link(self) -> String {
        format!("c{}", self.index)
    }

    /// The networks of the hosts behind it.
    pub(super) fn subnet(self) -> String {
        format!("{}/24", Ends::new(HOSTS, self.index, 0).v4)
    }

    pub(super) fn subnet_v6(self) -> String {
        format!("{}/64", Ends::new(HOSTS, self.index, 0).v6)
    }

    /// Fixed hardware addresses: neighbours are entered by hand, no ARP packet is ever sent or counted, and the
    /// machine-wide neighbour table cannot overflow.
    pub(super) fn mac(self, end: End) -> String {
        mac(self.index, 0, end)
    }
}

/// A host's place behind its router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    place: Place,
    number: u8,
}

impl Seat {
    pub(super) fn host(self) -> Ends {
        Ends::new(HOSTS, self.place.index, 2 * self.number + 1)
    }

    /// At the router or the switch, towards the host.
    pub(super) fn gateway(self) -> Ends {
        Ends::new(HOSTS, self.place.index, 2 * self.number)
    }

    /// The same as a link.
    pub(super) fn gateway_link(self) -> String {
        if self.place.has_switch() { format!("p{}", self.number) } else { ROUTER_LAN.to_owned() }
    }

    pub(super) fn mac(self, end: End) -> String {
        mac(self.place.index, self.number, end)
    }
}

fn mac(index: u16, seat: u8, end: End) -> String {
    let [high, low] = index.to_be_bytes();
    format!("02:46:{high:02x}:{seat:02x}:{low:02x}:{:02x}", end as u8)
}

/// The interfaces between a host and the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Host = 1,
    Gateway = 2,
    SwitchUp = 3,
    RouterLan = 4,
    RouterWan = 5,
    Core = 6,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_process() {
        let check = |name: &str, expected| assert_eq!(owner_of(name), expected, "{name}");
        let lab = LabName::new(71, 2);
        check(&lab.core(), Some(71));
        check(&lab.host("node-3"), Some(71));
        check(&lab.router("origin"), Some(71));
        check("fr-x-1-core", None);
        check("fr-7", None);
        check("fr-7-core", None);
        check("other-7-1-core", None);
        check("fr--1-core", None);
    }

    #[test]
    fn names_are_harmless_in_a_batch_file() {
        let check = |name: &str, expected| assert_eq!(check_name(name).is_ok(), expected, "{name:?}");
        check("node-12", true);
        check(&"a".repeat(HOST_NAME_BYTES_MAX), true);
        check(&"a".repeat(HOST_NAME_BYTES_MAX + 1), false);
        check("", false);
        check("a b", false);
        check("a\nnetns del x", false);
        check("../x", false);
        check("UP", false);
    }

    #[test]
    fn addresses_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..LAB_HOSTS_MAX {
            let place = Place::new(index, SITE_HOSTS_MAX).expect("within the limits");
            let ends = [place.router_wan(), place.core(), place.router_lan(), place.switch_up()];
            for end in ends.into_iter().chain(place.seats().flat_map(|seat| [seat.host(), seat.gateway()])) {
                assert!(seen.insert(end.v4.to_string()) && seen.insert(end.v6.to_string()), "{end:?} twice");
            }
        }
        assert!(Place::new(LAB_HOSTS_MAX, 1).is_err());
        assert!(Place::new(0, 0).is_err() && Place::new(0, SITE_HOSTS_MAX + 1).is_err());
    }
}
