//! Where the programs run: on the laboratory's hosts, or on this machine's loopback.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::{BUFFER, DelayReport, Lab, LabIp, LabNat, LabPlan, LabSite, Rate, WireBytes, WireMeter};
use crate::plan::Plan;
use crate::refused::{Refused, refuse_unless};
use crate::report::Shaping;

/// The origin's host; its counters come first.
pub(super) const ORIGIN: &str = "origin";
/// The broker's host.
pub(super) const BROKER: &str = "broker";
/// Below this round trip no packet is delayed: the laboratory's own way takes some tenths of a millisecond, and
/// delaying costs processor time that the programs under load then lack.
const RTT_MS_MIN: f64 = 5.0;
/// TCP congestion control of all senders, the default of most servers.
const CONGESTION_CONTROL: &str = "cubic";

/// Name of a tracker's host.
pub(super) fn tracker_host(number: usize) -> String {
    format!("tracker-{number}")
}

/// The hosts of the servers; their lines are before those of the nodes.
fn server_hosts(plan: &Plan) -> Vec<String> {
    let trackers = (0..plan.trackers.count as usize).map(tracker_host);
    let broker = plan.trackers.is_cluster().then(|| BROKER.to_owned());
    [ORIGIN.to_owned()].into_iter().chain(trackers).chain(broker).collect()
}

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
    /// The nodes' lines, in their order; some may share one.
    pub(super) lines: Vec<WireBytes>,
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
        Ok(SocketAddr::new(self.place(host)?.0, 0))
    }

    /// What others call it, where it listens on `port`.
    pub(crate) fn authority(&self, host: &str, port: u16) -> Result<String> {
        Ok(format!("{}:{port}", self.place(host)?.1))
    }

    /// The name of `host`, where its address alone does not do.
    pub(crate) fn name(&self, host: &str) -> Result<Option<String>> {
        let (listen, name) = self.place(host)?;
        Ok(listen.is_unspecified().then_some(name))
    }

    fn place(&self, host: &str) -> Result<(IpAddr, String)> {
        match self {
            Self::Loopback => Ok((Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.to_string())),
            Self::Lab(lab) => lab.listen(host),
        }
    }

    /// A way to read the lines' counters, where there are any.
    pub(crate) fn meter(&self) -> Option<WireMeter> {
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
pub(super) fn read_wire(meter: &WireMeter, plan: &Plan) -> Result<WireReading> {
    let all = meter.read().context("read the lines' counters")?;
    let origin = all.first().copied().unwrap_or_default();
    Ok(WireReading { origin, lines: all.into_iter().skip(server_hosts(plan).len()).collect() })
}

fn lab_plan(plan: &Plan) -> Result<LabPlan> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let own = own.into_os_string().into_string().ok().context("this program's path is not Unicode")?;
    let has_v6 = plan.groups.iter().any(|group| group.ip != LabIp::V4);
    let server = |name: String| LabSite {
        up: if name == ORIGIN { Rate::mbit(plan.origin.up_mbit) } else { Rate::Unlimited },
        hosts: vec![name],
        down: Rate::Unlimited,
        buffer: BUFFER,
        nat: LabNat::Open,
        port_mapping: None,
        ip: if has_v6 { LabIp::Dual } else { LabIp::V4 },
    };
    let mut sites: Vec<LabSite> = server_hosts(plan).into_iter().map(server).collect();
    let mut names = (0..).map(node_host);
    for group in &plan.groups {
        let hosts: Vec<String> = names.by_ref().take(group.count as usize).collect();
        let lines =
            if group.shared_line { vec![hosts] } else { hosts.into_iter().map(|host| vec![host]).collect() };
        sites.extend(lines.into_iter().filter(|hosts| !hosts.is_empty()).map(|hosts| LabSite {
            hosts,
            up: Rate::mbit(group.up_mbit),
            down: Rate::mbit(group.down_mbit),
            buffer: Duration::from_millis(group.line_buffer_ms.into()),
            nat: group.nat,
            port_mapping: group.port_mapping,
            ip: group.ip,
        }));
    }
    Ok(LabPlan {
        sites,
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
        let sites = lab_plan(&plan).expect("one round trip").sites;
        assert_eq!(sites.len(), 2 + 20);
        assert_eq!(
            (&sites[0].hosts[..], &sites[1].hosts[..]),
            (&[ORIGIN.to_owned()][..], &[tracker_host(0)][..])
        );
        assert_eq!(sites[2 + 19].hosts, [node_host(19)]);
    }
}
