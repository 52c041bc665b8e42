//! Names and addresses of the laboratory: pure, so that they are tested without root.
//!
//! ```text
//!  host namespace        router namespace             core namespace
//!  eth0 ───────── lan │ forwards │ wan ───────── c<i> │ routes, delays │ ...
//! 10.64.i.1   10.64.i.0           10.65.i.1   10.65.i.0
//! ```
//!
//! Each link is a /31 of its own and every hop is routed: a bridge would keep a packet charged to its sender's
//! socket, so that a UDP sender would never see a drop.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

/// Most hosts in one lab: they are numbered in the third byte of an address.
pub const LAB_HOSTS_MAX: usize = 250;
/// Longest name of a host, in bytes.
const HOST_NAME_BYTES_MAX: usize = 32;
/// Start of every namespace's name, by which the lab of a crashed process is found and removed.
const PREFIX: &str = "fr-";

/// Interfaces, named alike in every namespace: the namespace tells them apart.
pub(super) const HOST_LINK: &str = "eth0";
pub(super) const ROUTER_LAN: &str = "lan";
pub(super) const ROUTER_WAN: &str = "wan";
pub(super) const DELAY_LINK: &str = "delay";

/// All host addresses: what the core sends through the delay relay.
pub(super) const HOSTS_SUBNET: &str = "10.64.0.0/16";

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

    pub(super) fn router(&self, host: &str) -> String {
        format!("{}r-{host}", self.prefix())
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

/// The addresses of one host and of what lies between it and the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    index: u8,
}

impl Place {
    pub(super) fn new(index: usize) -> Result<Self> {
        ensure!(index < LAB_HOSTS_MAX, "a lab has at most {LAB_HOSTS_MAX} hosts");
        Ok(Self { index: u8::try_from(index)? })
    }

    pub(super) fn host(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 64, self.index, 1)
    }

    pub(super) fn router_lan(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 64, self.index, 0)
    }

    pub(super) fn router_wan(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 65, self.index, 1)
    }

    pub(super) fn core(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 65, self.index, 0)
    }

    pub(super) fn core_link(self) -> String {
        format!("c{}", self.index)
    }

    /// Fixed hardware addresses: neighbours are entered by hand, no ARP packet is ever sent or counted, and the
    /// machine-wide neighbour table cannot overflow.
    pub(super) fn mac(self, end: End) -> String {
        format!("02:46:52:00:{:02x}:{:02x}", self.index, end as u8)
    }
}

/// The four interfaces between a host and the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Host = 1,
    RouterLan = 2,
    RouterWan = 3,
    Core = 4,
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
    fn addresses_of_all_hosts_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..LAB_HOSTS_MAX {
            let place = Place::new(index).expect("within the limit");
            for address in [place.host(), place.router_lan(), place.router_wan(), place.core()] {
                assert!(seen.insert(address), "{address} twice");
            }
        }
        assert!(Place::new(LAB_HOSTS_MAX).is_err());
    }
}
