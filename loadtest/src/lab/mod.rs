//! A laboratory network on one machine: hosts with shaped lines around a core that has a round-trip time.
//!
//! Everything lies in network namespaces of its own, none of which has a link to the machine's network: programs in
//! the lab reach each other and nothing else. The load test itself stays outside, starts programs inside with
//! [`Lab::command`] and talks to them over files and pipes.

mod counters;
mod delay;
mod links;
mod netns;
mod relay;
mod shape;
mod topology;

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub use counters::WireBytes;
pub(crate) use delay::serve_delay;
use relay::DelayRelay;
pub use relay::DelayReport;
pub use shape::Rate;
pub use topology::LAB_HOSTS_MAX;
use topology::{LabName, Place};

/// The relay goes before all ordinary programs (real-time scheduling). On a saturated machine (UDP, 500 Mbit/s) its
/// packets were up to 370 ms late without this, 6 ms with it.
const RELAY_PRIORITY: &str = "10";
/// Links are made by several programs at once, as far as the kernel's own lock lets them.
const BUILDERS: usize = 4;

/// One host and its line.
#[derive(Clone, Debug)]
pub struct LabHost {
    /// Name: 1 to 32 of a-z, 0-9 and '-'.
    pub name: String,
    /// What it may send.
    pub up: Rate,
    /// What it may be sent.
    pub down: Rate,
}

/// What a lab is to look like.
#[derive(Clone, Debug)]
pub struct LabPlan {
    /// At most [`LAB_HOSTS_MAX`], of different names.
    pub hosts: Vec<LabHost>,
    /// Between any two hosts, without queues. Zero: no relay.
    pub rtt: Duration,
    /// Of all TCP senders in the lab. Given, because machines differ in their default (some have BBR).
    pub tcp_congestion_control: String,
    /// Starts the delay relay: a program and its arguments, to which the one-way delay in microseconds is added.
    pub delay_program: Vec<String>,
}

#[derive(Debug)]
struct Host {
    name: String,
    place: Place,
}

/// A network that is there until it is dropped.
#[derive(Debug)]
pub struct Lab {
    name: LabName,
    hosts: Vec<Host>,
    delay: Option<DelayRelay>,
}

impl Lab {
    /// Removes what dead processes have left, then builds the network.
    ///
    /// # Errors
    /// When the plan breaks a bound, or the system refuses a step; nothing is left behind then.
    pub fn build(plan: &LabPlan) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let hosts = hosts_of(plan)?;
        remove_stale_labs()?;
        let name = LabName::new(std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Left by a dead process that had this one's number.
        netns::remove(&netns::with_prefix(&name.prefix())?)?;

        // From here on, dropping the lab removes what has been made.
        let mut lab = Self { name, hosts, delay: None };
        lab.lay(plan).context("build the lab network")?;
        Ok(lab)
    }

    fn lay(&mut self, plan: &LabPlan) -> Result<()> {
        netns::create(&self.namespaces())?;
        let is_delayed = !plan.rtt.is_zero();
        netns::within(&self.name.core(), || {
            netns::set("ipv4/ip_forward", "1")?;
            // A packet leaves the core twice, by different routes, so its way back never looks right.
            netns::set("ipv4/conf/all/rp_filter", "0")?;
            netns::set("ipv4/conf/default/rp_filter", "0")?;
            netns::run("ip", &["-batch", "-"], &links::core_links(is_delayed))
        })?;
        self.lay_hosts(plan)?;
        let places = self.hosts.iter().map(|host| host.place);
        netns::within(&self.name.core(), || {
            netns::run("ip", &["-batch", "-"], &links::core_routes(places, is_delayed))
        })?;
        if is_delayed {
            self.delay = Some(self.start_relay(plan)?);
        }
        Ok(())
    }

    fn lay_hosts(&self, plan: &LabPlan) -> Result<()> {
        let lines: Vec<(&Host, &LabHost)> = self.hosts.iter().zip(&plan.hosts).collect();
        let share = lines.len().div_ceil(BUILDERS).max(1);
        let build = |part: &[(&Host, &LabHost)]| -> Result<()> {
            part.iter().try_for_each(|(host, line)| {
                self.lay_host(host, line, plan).with_context(|| format!("host {}", host.name))
            })
        };
        std::thread::scope(|scope| {
            let builders: Vec<_> = lines.chunks(share).map(|part| scope.spawn(move || build(part))).collect();
            let built: Vec<Result<()>> =
                builders.into_iter().map(|builder| builder.join().expect("builders do not panic")).collect();
            built.into_iter().collect()
        })
    }

    fn lay_host(&self, host: &Host, line: &LabHost, plan: &LabPlan) -> Result<()> {
        netns::within(&self.name.router(&host.name), || {
            netns::set("ipv4/ip_forward", "1")?;
            let router_links = links::router_links(&self.name, &host.name, host.place);
            netns::run("ip", &["-batch", "-"], &router_links)?;
            netns::run("tc", &["-batch", "-"], &shape::commands(line.up, line.down))
        })?;
        netns::within(&self.name.host(&host.name), || {
            // What one download learnt about a path must not help the next.
            netns::set("ipv4/tcp_no_metrics_save", "1")?;
            let host_links = links::host_links(host.place, &plan.tcp_congestion_control);
            netns::run("ip", &["-batch", "-"], &host_links)
        })
    }

    fn start_relay(&self, plan: &LabPlan) -> Result<DelayRelay> {
        let (program, args) = plan.delay_program.split_first().context("no delay program given")?;
        let mut command = in_namespace(&self.name.core(), "chrt");
        command
            .args(["--fifo", RELAY_PRIORITY, program])
            .args(args)
            .arg((plan.rtt / 2).as_micros().to_string());
        DelayRelay::start(command)
    }

    /// A command that will run `program` on this host. Its process is the program itself, so it can be killed and
    /// waited for as usual. A process that was started a moment ago may not have entered the host yet, and is then not
    /// found when the lab is taken down: who started it ends it.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn command(&self, host: &str, program: impl AsRef<OsStr>) -> Result<Command> {
        let host = self.host(host)?;
        Ok(in_namespace(&self.name.host(&host.name), program))
    }

    /// The host's address.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn address(&self, host: &str) -> Result<Ipv4Addr> {
        Ok(self.host(host)?.place.host())
    }

    /// A way to read the counters of all lines while others hold the lab.
    pub fn meter(&self) -> WireMeter {
        let router = |host: &Host| self.name.router(&host.name);
        WireMeter { routers: self.hosts.iter().map(router).collect() }
    }

    /// The relay's process, for those who measure what the lab itself costs.
    pub fn delay_pid(&self) -> Option<u32> {
        self.delay.as_ref().map(DelayRelay::pid)
    }

    /// Takes the lab down, with all that still runs in it, and tells whether its relay kept time.
    ///
    /// # Errors
    /// When the relay did not end as it should, or a namespace cannot be removed.
    pub fn finish(mut self) -> Result<Option<DelayReport>> {
        let report = self.delay.take().map(DelayRelay::finish).transpose();
        netns::remove(&self.existing()?)?;
        report
    }

    fn host(&self, name: &str) -> Result<&Host> {
        self.hosts.iter().find(|host| host.name == name).with_context(|| format!("no host {name} in the lab"))
    }

    fn namespaces(&self) -> Vec<String> {
        let ends = |host: &Host| [self.name.host(&host.name), self.name.router(&host.name)];
        self.hosts.iter().flat_map(ends).chain([self.name.core()]).collect()
    }

    fn existing(&self) -> Result<Vec<String>> {
        netns::with_prefix(&self.name.prefix())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.delay.take());
        if let Err(error) = self.existing().and_then(|names| netns::remove(&names)) {
            let lab = self.name.prefix();
            eprintln!("the lab network {lab}* is not removed, the next one will try again: {error:#}");
        }
    }
}

/// Reads the counters of all lines of a lab.
#[derive(Clone, Debug)]
pub struct WireMeter {
    routers: Vec<String>,
}

impl WireMeter {
    /// Of all hosts, in the plan's order. Takes about 2 ms a host.
    ///
    /// # Errors
    /// When the lab is gone.
    pub fn read(&self) -> Result<Vec<WireBytes>> {
        self.routers.iter().map(|router| counters::read(router)).collect()
    }

    /// Of the plan's first host alone: what may be asked often.
    ///
    /// # Errors
    /// When the lab is gone, or has no host.
    pub fn read_first(&self) -> Result<WireBytes> {
        counters::read(self.routers.first().context("the lab has no host")?)
    }
}

/// Removes labs whose process is dead, with all that still runs in them; returns how many namespaces there were.
///
/// # Errors
/// When one of them cannot be removed.
pub fn remove_stale_labs() -> Result<usize> {
    let stale = netns::stale()?;
    netns::remove(&stale).context("remove the lab of a dead process")?;
    Ok(stale.len())
}

fn hosts_of(plan: &LabPlan) -> Result<Vec<Host>> {
    let mut hosts: Vec<Host> = Vec::with_capacity(plan.hosts.len());
    topology::check_name(&plan.tcp_congestion_control).context("congestion control")?;
    for (index, host) in plan.hosts.iter().enumerate() {
        topology::check_name(&host.name)?;
        ensure!(hosts.iter().all(|other| other.name != host.name), "two hosts are called {}", host.name);
        host.up.check().and_then(|()| host.down.check()).with_context(|| format!("host {}", host.name))?;
        hosts.push(Host { name: host.name.clone(), place: Place::new(index)? });
    }
    Ok(hosts)
}

/// `ip netns exec` gives the program a `/sys` of its namespace too.
fn in_namespace(namespace: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}
