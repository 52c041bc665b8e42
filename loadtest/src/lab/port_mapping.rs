//! Routers that forward a port to a host that asks for one, by miniupnpd, as many a home router does.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::topology::{ROUTER_LAN, ROUTER_WAN};

/// What answers on the router.
pub(super) const PROGRAM: &str = "/usr/sbin/miniupnpd";
/// The table of its own in which it enters what it forwards.
const TABLE: &str = "forwarded";

/// How a router may be asked for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabPortMapping {
    /// By PCP (RFC 6887) and NAT-PMP (RFC 6886).
    Pcp,
    /// By UPnP IGD.
    Upnp,
}

impl LabPortMapping {
    /// As plans have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pcp => "pcp",
            Self::Upnp => "upnp",
        }
    }

    /// What the program is told.
    fn config(self) -> String {
        let says = |is_spoken: bool| if is_spoken { "yes" } else { "no" };
        let (pcp, upnp) = (says(self == Self::Pcp), says(self == Self::Upnp));
        format!(
            "ext_ifname={ROUTER_WAN}\n\
             listening_ip={ROUTER_LAN}\n\
             enable_natpmp={pcp}\n\
             enable_upnp={upnp}\n\
             uuid=00000000-0000-4000-8000-000000000046\n\
             upnp_table_name={TABLE}\n\
             upnp_nat_table_name={TABLE}\n\
             upnp_forward_chain=through\n\
             upnp_nat_chain=in\n\
             upnp_nat_postrouting_chain=out\n\
             allow 1024-65535 0.0.0.0/0 1024-65535\n\
             deny 0-65535 0.0.0.0/0 0-65535\n"
        )
    }
}

/// Rules of the router for `nft`, beside those of its NAT.
pub(super) fn rules() -> String {
    format!(
        "table inet {TABLE} {{\n\
         chain through {{\n\
         }}\n\
         chain in {{\n\
         type nat hook prerouting priority dstnat\n\
         }}\n\
         chain out {{\n\
         }}\n\
         }}\n"
    )
}

/// The program on a router; ended when it is dropped.
#[derive(Debug)]
pub(super) struct PortMapper(Child);

impl PortMapper {
    /// Starts it with a command that leads to the router.
    pub(super) fn start(mut command: Command, mapping: LabPortMapping) -> Result<Self> {
        // Who runs a program in a namespace cannot tell that it is not there.
        ensure!(Path::new(PROGRAM).exists(), "there is no {PROGRAM}: apt-get install miniupnpd-nftables");
        let words = || format!("start {PROGRAM}");
        // Its number is of no interest, and all routers would write it into one file.
        command.args(["-d", "-P", "/dev/null", "-f", "/dev/stdin"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut mapper = Self(child.with_context(words)?);
        let mut input = mapper.0.stdin.take().expect("it was asked for");
        input.write_all(mapping.config().as_bytes()).with_context(words)?;
        Ok(mapper)
    }
}

impl Drop for PortMapper {
    fn drop(&mut self) {
        // One that has ended by itself is only waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
