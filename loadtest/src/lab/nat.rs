//! What stands between a host and the core, as rules for `nft`.

use serde::{Deserialize, Serialize};

use super::topology::{ROUTER_LAN, ROUTER_WAN};

/// How a host's router treats it (RFC 4787; the words are those of RFC 3489).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabNat {
    /// It routes, and nothing else.
    #[default]
    Open,
    /// No address is changed; only answers come in.
    Firewall,
    /// One address and port towards everybody; only answers come in, from where something was sent to.
    PortRestricted,
    /// Another port towards each; only answers come in.
    Symmetric,
    /// No UDP passes at all.
    NoUdp,
}

impl LabNat {
    /// As plans have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Firewall => "firewall",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::NoUdp => "no-udp",
        }
    }

    /// Rules of the router; IPv6 addresses are never translated. What comes from outside unasked is dropped, not refused: a
    /// router that takes it in would remember it, and give the host's own packets another port.
    pub(super) fn rules(self) -> Option<String> {
        let masquerade = match self {
            Self::Open => return None,
            Self::Firewall | Self::NoUdp => "",
            Self::PortRestricted => "masquerade",
            Self::Symmetric => "masquerade random,fully-random",
        };
        let source = match masquerade {
            "" => String::new(),
            masquerade => format!(
                "table ip nat {{\n\
                 chain post {{\n\
                 type nat hook postrouting priority srcnat\n\
                 oifname \"{ROUTER_WAN}\" {masquerade}\n\
                 }}\n\
                 }}\n"
            ),
        };
        let no_udp = if self == Self::NoUdp { "meta l4proto udp drop\n" } else { "" };
        Some(format!(
            "{source}table inet guard {{\n\
             chain in {{\n\
             type filter hook input priority filter\n\
             iifname \"{ROUTER_WAN}\" ct state established,related accept\n\
             iifname \"{ROUTER_WAN}\" drop\n\
             }}\n\
             chain through {{\n\
             type filter hook forward priority filter; policy drop\n\
             {no_udp}ct state established,related accept\n\
             ct status dnat accept\n\
             iifname \"{ROUTER_LAN}\" oifname \"{ROUTER_WAN}\" accept\n\
             }}\n\
             }}\n"
        ))
    }
}

/// Rules of a router that loses so many of 1000 packets.
pub(super) fn loss(permille: u32) -> String {
    let drop = match permille {
        0 => String::new(),
        1000.. => "drop\n".to_owned(),
        some => format!("numgen random mod 1000 < {some} drop\n"),
    };
    format!(
        "table inet loss\n\
         delete table inet loss\n\
         table inet loss {{\n\
         chain through {{\n\
         type filter hook forward priority -300\n\
         {drop}}}\n\
         }}\n"
    )
}
