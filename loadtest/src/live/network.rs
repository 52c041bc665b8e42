//! Where the programs run: on the laboratory's hosts, or on this machine's loopback.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::{DelayReport, Lab, LabHost, LabPlan, Rate, WireBytes, WireMeter};
use crate::plan::Plan;
use crate::refused::{Refused, refuse_unless};
use crate::report::Shaping;

/// The origin's host; its counters come first.
pub(super) const ORIGIN: &str = "origin";
/// The tracker's host.
pub(super) const TRACKER: &str = "tracker";
/// Host names before those of the nodes.
const FIRST_NODE: usize = 2;
/// Below this round trip no packet is delayed: the laboratory's own way takes some tenths of a millisecond, and
/// delaying costs processor time that the programs under load then lack.
const RTT_MS_MIN: f64 = 5.0;
/// TCP congestion control of all senders, the default of most servers.
const CONGESTION_CONTROL: &str = "cubic";

/// Name of a node's host.
pub(crate) fn node_host(number: usize) -> String {
    format!("node-{number}")
}

/// The network of one run.
#[derive(Debug)]
pub(crate) enum Network {
    /// Everybody on 127.0.0.1.
    Loopback,
    /// A host of its own for everybody.
    Lab(Box<Lab>),
}

/// Wire bytes of everybody, in the laboratory.
#[derive(Debug, Clone, Default)]
pub(super) struct WireReading {
    /// The origin's line.
    pub(super) origin: WireBytes,
    /// The nodes' lines, in their order.
    pub(super) nodes: Vec<WireBytes>,
}

impl Network {
    /// Builds it as the plan says.
    pub(super) fn build(plan: &Plan, shaping: Shaping) -> Result<Self> {
        match shaping {
            Shaping::User | Shaping::None => Ok(Self::Loopback),
            Shaping::Lab => Ok(Self::Lab(Box::new(Lab::build(&lab_plan(plan)?)?))),
        }
    }

    /// A command that runs `program` on `host`.
    pub(crate) fn command(&self, host: &str, program: impl AsRef<OsStr>) -> Result<Command> {
        match self {
            Self::Loopback => Ok(Command::new(program)),
            Self::Lab(lab) => lab.command(host, program),
        }
    }

    /// Where a program on `host` listens; the system picks the port.
    pub(crate) fn listen(&self, host: &str) -> Result<SocketAddr> {
        let address = match self {
            Self::Loopback => Ipv4Addr::LOCALHOST,
            Self::Lab(lab) => lab.address(host)?,
        };
        Ok(SocketAddr::new(IpAddr::V4(address), 0))
    }

    /// A way to read the lines' counters, where there are any.
    pub(super) fn meter(&self) -> Option<WireMeter> {
        match self {
            Self::Loopback => None,
            Self::Lab(lab) => Some(lab.meter()),
        }
    }

    /// The process that delays packets, if one does.
    pub(super) fn delay_pid(&self) -> Option<u32> {
        match self {
            Self::Loopback => None,
            Self::Lab(lab) => lab.delay_pid(),
        }
    }

    /// Takes it down, with all that still runs in it.
    pub(super) fn finish(self) -> Result<Option<DelayReport>> {
        match self {
            Self::Loopback => Ok(None),
            Self::Lab(lab) => lab.finish(),
        }
    }
}

/// Reads all counters; blocks for some 2 ms a host.
pub(super) fn read_wire(meter: &WireMeter) -> Result<WireReading> {
    let all = meter.read().context("read the lines' counters")?;
    let origin = all.first().copied().unwrap_or_default();
    Ok(WireReading { origin, nodes: all.into_iter().skip(FIRST_NODE).collect() })
}

fn lab_plan(plan: &Plan) -> Result<LabPlan> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let own = own.into_os_string().into_string().ok().context("this program's path is not Unicode")?;
    let host = |name: String, up_mbit, down_mbit| LabHost {
        name,
        up: Rate::mbit(up_mbit),
        down: Rate::mbit(down_mbit),
    };
    let unlimited = |name: &str, up| LabHost { name: name.to_owned(), up, down: Rate::Unlimited };
    let mut hosts =
        vec![unlimited(ORIGIN, Rate::mbit(plan.origin.up_mbit)), unlimited(TRACKER, Rate::Unlimited)];
    let nodes = plan.groups.iter().flat_map(|group| (0..group.count).map(move |_| group));
    hosts.extend(
        nodes.enumerate().map(|(number, group)| host(node_host(number), group.up_mbit, group.down_mbit)),
    );
    Ok(LabPlan {
        hosts,
        rtt: rtt(plan)?,
        tcp_congestion_control: CONGESTION_CONTROL.to_owned(),
        delay_program: vec![own, super::DELAY_COMMAND.to_owned()],
    })
}

/// The one round trip between any two hosts.
pub(super) fn rtt(plan: &Plan) -> Result<Duration, Refused> {
    let rtt_ms = plan.origin.rtt_ms;
    refuse_unless(plan.groups.iter().all(|group| group.rtt_ms == rtt_ms), || {
        "the laboratory has one round trip for all: give origin.rtt_ms and every group's rtt_ms the same value"
            .to_owned()
    })?;
    Ok(if rtt_ms < RTT_MS_MIN { Duration::ZERO } else { Duration::from_secs_f64(rtt_ms / 1000.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;

    #[test]
    fn round_trips() {
        let check = |name: &str, settings: &[&str], expected: Option<u64>| {
            let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
            let plan = read_plan(name, &settings).expect("built in");
            let found = rtt(&plan).ok().map(|rtt| rtt.as_millis() as u64);
            assert_eq!(found, expected, "{name} {settings:?}");
        };
        check("flash-offload", &[], Some(0));
        check("flash-40ms", &[], Some(40));
        check("flash-40ms", &["origin.rtt_ms=10"], None);
        check("flash-40ms", &["origin.rtt_ms=10", "groups.0.rtt_ms=10"], Some(10));
    }

    #[test]
    fn counters_lie_where_the_hosts_do() {
        let plan = read_plan("flash-leavers", &[]).expect("built in");
        let hosts = lab_plan(&plan).expect("one round trip").hosts;
        assert_eq!(hosts.len(), FIRST_NODE + 20);
        assert_eq!((hosts[0].name.as_str(), hosts[1].name.as_str()), (ORIGIN, TRACKER));
        assert_eq!(hosts[FIRST_NODE + 19].name, node_host(19));
    }
}
