//! A laboratory network on one machine: hosts with shaped lines around a core that has a round-trip time.
//!
//! Everything lies in network namespaces of its own, none of which has a link to the machine's network: programs in
//! the lab reach each other and nothing else. The load test itself stays outside, starts programs inside with
//! [`Lab::command`] and talks to them over files and pipes.

mod counters;
mod delay;
mod ip;
mod links;
mod nat;
mod netns;
mod port_mapping;
mod relay;
mod shape;
mod topology;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub use counters::WireBytes;
pub(crate) use delay::serve_delay;
pub use ip::LabIp;
pub use nat::LabNat;
pub use port_mapping::LabPortMapping;
use port_mapping::PortMapper;
use relay::DelayRelay;
pub use relay::DelayReport;
pub use shape::{BUFFER, Rate};
use topology::{Ends, LabName, Place, SITES_SUBNETS, SITES_SUBNETS_V6, Seat};
pub use topology::{LAB_HOSTS_MAX, SITE_HOSTS_MAX};

/// The relay goes before all ordinary programs (real-time scheduling). On a saturated machine (UDP, 500 Mbit/s) its
/// packets were up to 370 ms late without this, 6 ms with it.
const RELAY_PRIORITY: &str = "10";
/// Links are made by several programs at once, as far as the kernel's own lock lets them.
const BUILDERS: usize = 4;

/// A line, and the hosts behind it.
#[derive(Clone, Debug)]
pub struct LabSite {
    /// Their names: 1 to 32 of a-z, 0-9 and '-'. Several are a LAN, which has no limit of its own; at most
    /// [`SITE_HOSTS_MAX`].
    pub hosts: Vec<String>,
    /// What they may send.
    pub up: Rate,
    /// What they may be sent.
    pub down: Rate,
    /// How long a packet waits at most in a full buffer, each way.
    pub buffer: Duration,
    /// What stands between them and the others.
    pub nat: LabNat,
    /// How their router forwards ports to them, if it does: to a host that is alone behind it.
    pub port_mapping: Option<LabPortMapping>,
    /// Which addresses they have.
    pub ip: LabIp,
}

/// What a lab is to look like.
#[derive(Clone, Debug)]
pub struct LabPlan {
    /// At most [`LAB_HOSTS_MAX`] hosts in all, of different names.
    pub sites: Vec<LabSite>,
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
    seat: Seat,
}

#[derive(Debug)]
struct Site {
    place: Place,
    hosts: Vec<Host>,
    ip: LabIp,
}

impl Site {
    /// As its router is called.
    fn name(&self) -> &str {
        &self.hosts[0].name
    }
}

/// A network that is there until it is dropped.
#[derive(Debug)]
pub struct Lab {
    name: LabName,
    sites: Vec<Site>,
    delay: Option<DelayRelay>,
    mappers: Vec<PortMapper>,
}

impl Lab {
    /// Removes what dead processes have left, then builds the network.
    ///
    /// # Errors
    /// When the plan breaks a bound, or the system refuses a step; nothing is left behind then.
    pub fn build(plan: &LabPlan) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let sites = sites_of(plan)?;
        remove_stale_labs()?;
        let name = LabName::new(std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Left by a dead process that had this one's number.
        netns::remove(&netns::with_prefix(&name.prefix())?)?;

        // From here on, dropping the lab removes what has been made.
        let mut lab = Self { name, sites, delay: None, mappers: Vec::new() };
        lab.lay(plan).context("build the lab network")?;
        Ok(lab)
    }

    fn lay(&mut self, plan: &LabPlan) -> Result<()> {
        netns::create(&self.namespaces())?;
        let is_delayed = !plan.rtt.is_zero();
        let has_names = self.has_names();
        netns::within(&self.name.core(), || {
            forward(has_names)?;
            // A packet leaves the core twice, by different routes, so its way back never looks right.
            netns::set("ipv4/conf/all/rp_filter", "0")?;
            netns::set("ipv4/conf/default/rp_filter", "0")?;
            netns::run("ip", &["-batch", "-"], &links::core_links(is_delayed))
        })?;
        self.lay_sites(plan)?;
        self.start_mappers(plan)?;
        let places = self.sites.iter().map(|site| (site.place, site.ip));
        netns::within(&self.name.core(), || {
            netns::run("ip", &["-batch", "-"], &links::core_routes(places, is_delayed))?;
            if is_delayed {
                netns::run("ip", &["-4", "-batch", "-"], &links::detour(&SITES_SUBNETS))?;
            }
            if is_delayed && has_names {
                netns::run("ip", &["-6", "-batch", "-"], &links::detour(&SITES_SUBNETS_V6))?;
            }
            Ok(())
        })?;
        if has_names {
            netns::set_names(&self.namespaces(), &self.names())?;
        }
        if is_delayed {
            self.delay = Some(self.start_relay(plan)?);
        }
        Ok(())
    }

    fn lay_sites(&self, plan: &LabPlan) -> Result<()> {
        let lines: Vec<(&Site, &LabSite)> = self.sites.iter().zip(&plan.sites).collect();
        let share = lines.len().div_ceil(BUILDERS).max(1);
        let build = |part: &[(&Site, &LabSite)]| -> Result<()> {
            part.iter().try_for_each(|(site, line)| {
                self.lay_site(site, line, plan).with_context(|| format!("host {}", site.name()))
            })
        };
        std::thread::scope(|scope| {
            let builders: Vec<_> = lines.chunks(share).map(|part| scope.spawn(move || build(part))).collect();
            let built: Vec<Result<()>> =
                builders.into_iter().map(|builder| builder.join().expect("builders do not panic")).collect();
            built.into_iter().collect()
        })
    }

    fn lay_site(&self, site: &Site, line: &LabSite, plan: &LabPlan) -> Result<()> {
        let (place, ip) = (site.place, site.ip);
        let switch = place.has_switch().then(|| self.name.switch(site.name()));
        let far = switch.clone().unwrap_or_else(|| self.name.host(site.name()));
        netns::within(&self.name.router(site.name()), || {
            forward(ip.has_v6())?;
            netns::run("ip", &["-batch", "-"], &links::router_links(&self.name, &far, place, ip))?;
            netns::run("tc", &["-batch", "-"], &shape::commands(line.up, line.down, line.buffer))?;
            let rules = line.nat.rules().into_iter().chain(line.port_mapping.map(|_| port_mapping::rules()));
            rules.into_iter().try_for_each(|rules| netns::run("nft", &["-f", "-"], &rules))
        })?;
        if let Some(switch) = switch {
            let hosts = site.hosts.iter().map(|host| self.name.host(&host.name));
            netns::within(&switch, || {
                forward(ip.has_v6())?;
                netns::run("ip", &["-batch", "-"], &links::switch_links(hosts, place, ip))
            })?;
        }
        site.hosts.iter().try_for_each(|host| {
            netns::within(&self.name.host(&host.name), || {
                // What one download learnt about a path must not help the next.
                netns::set("ipv4/tcp_no_metrics_save", "1")?;
                let host_links = links::host_links(host.seat, &plan.tcp_congestion_control, ip);
                netns::run("ip", &["-batch", "-"], &host_links)
            })
        })
    }

    fn start_mappers(&mut self, plan: &LabPlan) -> Result<()> {
        for (site, line) in self.sites.iter().zip(&plan.sites) {
            if let Some(mapping) = line.port_mapping {
                let router = self.name.router(site.name());
                self.mappers.push(PortMapper::start(in_namespace(&router, port_mapping::PROGRAM), mapping)?);
            }
        }
        Ok(())
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

    /// Where a program on this host listens, and what others call it: by its address, or by its name where some hosts have
    /// IPv6. The system picks the port.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn listen(&self, host: &str) -> Result<(IpAddr, String)> {
        let site = self.site(host)?;
        let Ends { v4, v6 } = self.host(host)?.seat.host();
        Ok(match site.ip {
            LabIp::V4 if self.has_names() => (v4.into(), host.to_owned()),
            LabIp::V4 => (v4.into(), v4.to_string()),
            LabIp::V6 => (v6.into(), host.to_owned()),
            LabIp::Dual => (Ipv6Addr::UNSPECIFIED.into(), host.to_owned()),
        })
    }

    /// Whether hosts know each other by name.
    fn has_names(&self) -> bool {
        self.sites.iter().any(|site| site.ip.has_v6())
    }

    /// Names and addresses, as a file of hosts has them.
    fn names(&self) -> String {
        let mut lines = String::from("127.0.0.1 localhost\n");
        for site in &self.sites {
            for host in &site.hosts {
                let Ends { v4, v6 } = host.seat.host();
                lines.extend(site.ip.has_v4().then(|| format!("{v4} {}\n", host.name)));
                lines.extend(site.ip.has_v6().then(|| format!("{v6} {}\n", host.name)));
            }
        }
        lines
    }

    /// Lets the line of this host lose so many of 1000 packets, in both directions: none, some or all.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn lose(&self, host: &str, permille: u32) -> Result<()> {
        let router = self.name.router(self.site(host)?.name());
        netns::within(&router, || netns::run("nft", &["-f", "-"], &nat::loss(permille)))
    }

    /// A way to read the counters of all lines while others hold the lab.
    pub fn meter(&self) -> WireMeter {
        let router = |site: &Site| self.name.router(site.name());
        WireMeter { routers: self.sites.iter().map(router).collect() }
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
        self.mappers.clear();
        let report = self.delay.take().map(DelayRelay::finish).transpose();
        netns::remove(&self.existing()?)?;
        report
    }

    fn host(&self, name: &str) -> Result<&Host> {
        let mut hosts = self.sites.iter().flat_map(|site| &site.hosts);
        hosts.find(|host| host.name == name).with_context(|| format!("no host {name} in the lab"))
    }

    fn site(&self, host: &str) -> Result<&Site> {
        let is_there = |site: &&Site| site.hosts.iter().any(|other| other.name == host);
        self.sites.iter().find(is_there).with_context(|| format!("no host {host} in the lab"))
    }

    fn namespaces(&self) -> Vec<String> {
        let of_site = |site: &Site| {
            let switch = site.place.has_switch().then(|| self.name.switch(site.name()));
            let hosts: Vec<_> = site.hosts.iter().map(|host| self.name.host(&host.name)).collect();
            hosts.into_iter().chain(switch).chain([self.name.router(site.name())])
        };
        self.sites.iter().flat_map(of_site).chain([self.name.core()]).collect()
    }

    fn existing(&self) -> Result<Vec<String>> {
        netns::with_prefix(&self.name.prefix())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.delay.take());
        self.mappers.clear();
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
    /// Of all lines, in the plan's order. Takes about 2 ms a line.
    ///
    /// # Errors
    /// When the lab is gone.
    pub fn read(&self) -> Result<Vec<WireBytes>> {
        self.routers.iter().map(|router| counters::read(router)).collect()
    }

    /// Of the plan's first line alone: what may be asked often.
    ///
    /// # Errors
    /// When the lab is gone, or has no line.
    pub fn read_first(&self) -> Result<WireBytes> {
        counters::read(self.routers.first().context("the lab has no line")?)
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

fn sites_of(plan: &LabPlan) -> Result<Vec<Site>> {
    topology::check_name(&plan.tcp_congestion_control).context("congestion control")?;
    let count = plan.sites.iter().map(|site| site.hosts.len()).sum::<usize>();
    ensure!(count <= LAB_HOSTS_MAX, "a lab has at most {LAB_HOSTS_MAX} hosts, not {count}");
    let mut names = BTreeSet::new();
    let site = |(index, site): (usize, &LabSite)| {
        let place = Place::new(index, site.hosts.len())?;
        for name in &site.hosts {
            topology::check_name(name)?;
            ensure!(names.insert(name.clone()), "two hosts are called {name}");
        }
        let words = || format!("host {}", site.hosts[0]);
        site.up.check().and_then(|()| site.down.check()).with_context(words)?;
        let is_alone = site.hosts.len() == 1;
        ensure!(
            is_alone || site.port_mapping.is_none(),
            "{}: ports are forwarded to a host that is alone",
            words()
        );
        let hosts = site.hosts.iter().cloned().zip(place.seats()).map(|(name, seat)| Host { name, seat });
        Ok(Site { place, hosts: hosts.collect(), ip: site.ip })
    };
    plan.sites.iter().enumerate().map(site).collect()
}

/// Lets the namespace of this thread pass packets on.
fn forward(has_v6: bool) -> Result<()> {
    netns::set("ipv4/ip_forward", "1")?;
    if has_v6 { netns::set("ipv6/conf/all/forwarding", "1") } else { Ok(()) }
}

/// `ip netns exec` gives the program a `/sys` of its namespace too.
fn in_namespace(namespace: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}
