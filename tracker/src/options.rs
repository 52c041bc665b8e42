//! Knobs of the server, checked before a port opens.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use freshet_listen::{Proxies, TlsOptions};
use freshet_protocol::limits::HOST_BYTES_MAX;

use crate::cluster::{ClusterOptions, ClusterOptionsError};
use crate::networks::{NETWORK_DATABASES_MAX, NetworkFiles};
use crate::swarms::{Config, ConfigError};

/// Why [`Options`] were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A knob of the swarms.
    #[error(transparent)]
    Swarms(#[from] ConfigError),
    /// The way to the other trackers.
    #[error(transparent)]
    Cluster(#[from] ClusterOptionsError),
    /// A knob of the server.
    #[error("{knob} is {value}, but must be within {min} and {max}")]
    OutOfBounds {
        /// The knob.
        knob: &'static str,
        /// What it was set to.
        value: u64,
        /// Least allowed value.
        min: u64,
        /// Largest allowed value.
        max: u64,
    },
    /// Clients would lose their leases between two announces.
    #[error(
        "leases run out after {lease_fresh_ms} ms without an announce, but clients announce every {announce_ms} ms only"
    )]
    LeasesTooShort {
        /// Time after which leases of a silent client are freed, in milliseconds.
        lease_fresh_ms: u64,
        /// Announce interval, in milliseconds.
        announce_ms: u32,
    },
    /// Clients could not find the STUN service by this.
    #[error("the STUN host {host:?} must be a host name or an address without brackets and port")]
    StunHost {
        /// The host.
        host: String,
    },
    /// Clients could not tell kinds of NAT apart by these.
    #[error("the advertised STUN ports {ports:?} must be two different ones, neither of them 0")]
    StunAdvertise {
        /// The ports.
        ports: [u16; 2],
    },
    /// Clients would be sent to a service that there is not.
    #[error("a STUN host or STUN ports are advertised, but there is no STUN service")]
    NoStun,
}

/// Bounds on what one connection may do to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Time for the whole way from the TCP connection to a good Hello.
    pub hello_timeout: Duration,
    /// A client from which nothing has come for so long, not even the answer to a ping, is gone.
    pub idle_timeout: Duration,
    /// A client that does not take a message for so long is cut.
    pub write_timeout: Duration,
    /// Messages a second that one client may send in the long run; faster ones wait.
    pub messages_per_s: u32,
    /// Messages that one client may send at once.
    pub messages_burst: u32,
    /// Messages that wait for one client; a client with more is cut. Must hold the answers to a burst.
    pub outgoing_max: usize,
    /// Malformed messages after which a client is cut.
    pub faults_max: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(10),
            messages_per_s: 50,
            messages_burst: 200,
            outgoing_max: 512,
            faults_max: 16,
        }
    }
}

/// How to [`serve`](crate::serve).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// TCP address for WebSocket clients, health and figures; port 0 picks one.
    pub listen: SocketAddr,
    /// Folder of the ticket key.
    pub state_dir: PathBuf,
    /// The two UDP addresses of the STUN service; `None` for no STUN.
    pub stun: Option<[SocketAddr; 2]>,
    /// Host at which clients reach the STUN service, where it is not the one at which they reach the tracker.
    pub stun_host: Option<String>,
    /// Ports at which clients reach the STUN service, where they are not its own.
    pub stun_advertise: Option<[u16; 2]>,
    /// The certificate to serve over TLS with; `None` for plain TCP.
    pub tls: Option<TlsOptions>,
    /// Proxies in front that are believed when they name the client; none by default.
    pub proxies: Proxies,
    /// What is known about networks; nothing by default.
    pub networks: NetworkFiles,
    /// How to find the other trackers of the cluster; `None` for a tracker by itself. Those of one cluster have the same
    /// ticket key.
    pub cluster: Option<ClusterOptions>,
    /// How often clients announce when nothing changes, in milliseconds. Short ones cost messages, long ones leave
    /// leases of silent clients lying.
    pub announce_ms: u32,
    /// Life of a ticket, in seconds; renewed at half of it.
    pub ticket_life_s: u64,
    /// Time over which connections are closed at shutdown, in milliseconds, so that not all clients come back at once.
    pub drain_ms: u32,
    /// Bounds of one connection.
    pub limits: ConnectionLimits,
    /// Knobs of the swarms. [`Config::ticket_renew_us`] follows from `ticket_life_s`.
    pub swarms: Config,
}

impl Options {
    /// Defaults for everything else; STUN on two ports that the system picks.
    pub fn new(listen: SocketAddr, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            state_dir: state_dir.into(),
            stun: Some(Self::stun_beside(listen.ip())),
            stun_host: None,
            stun_advertise: None,
            tls: None,
            proxies: Proxies::default(),
            networks: NetworkFiles::default(),
            cluster: None,
            announce_ms: 30_000,
            ticket_life_s: 600,
            drain_ms: 2000,
            limits: ConnectionLimits::default(),
            swarms: Config::default(),
        }
    }

    /// Two UDP ports that the system picks, on the address of the TCP port.
    pub fn stun_beside(ip: IpAddr) -> [SocketAddr; 2] {
        [SocketAddr::new(ip, 0); 2]
    }

    /// Checks every knob.
    ///
    /// # Errors
    /// [`OptionsError`] names the first knob that is out of bounds.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.swarms.check()?;
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let hour_ms = 3_600_000;
        let limits = &self.limits;
        let rows = [
            ("announce interval in ms", self.announce_ms.into(), 1000, hour_ms),
            ("ticket life in s", self.ticket_life_s, 60, 86_400),
            ("drain time in ms", self.drain_ms.into(), 0, hour_ms),
            ("hello timeout in ms", ms(limits.hello_timeout), 100, 60_000),
            ("idle timeout in ms", ms(limits.idle_timeout), 100, hour_ms),
            ("write timeout in ms", ms(limits.write_timeout), 100, hour_ms),
            ("messages a second", limits.messages_per_s.into(), 1, 1_000_000),
            ("messages at once", limits.messages_burst.into(), 1, 1_000_000),
            ("waiting messages", limits.outgoing_max as u64, 1, 65_536),
            ("malformed messages", limits.faults_max.into(), 0, 65_536),
            ("network databases", self.networks.databases.len() as u64, 0, NETWORK_DATABASES_MAX as u64),
        ];
        for (knob, value, min, max) in rows {
            if value < min || value > max {
                return Err(OptionsError::OutOfBounds { knob, value, min, max });
            }
        }
        self.check_stun()?;
        self.cluster.as_ref().map_or(Ok(()), ClusterOptions::check)?;
        let lease_fresh_ms = self.swarms.lease_fresh_us / 1000;
        if lease_fresh_ms <= u64::from(self.announce_ms) {
            return Err(OptionsError::LeasesTooShort { lease_fresh_ms, announce_ms: self.announce_ms });
        }
        Ok(())
    }

    fn check_stun(&self) -> Result<(), OptionsError> {
        if self.stun.is_none() && (self.stun_host.is_some() || self.stun_advertise.is_some()) {
            return Err(OptionsError::NoStun);
        }
        if let Some(host) = self.stun_host.as_ref().filter(|host| !is_host(host)) {
            return Err(OptionsError::StunHost { host: host.clone() });
        }
        match self.stun_advertise {
            Some(ports) if ports[0] == ports[1] || ports.contains(&0) => {
                Err(OptionsError::StunAdvertise { ports })
            }
            _ => Ok(()),
        }
    }
}

/// A name as DNS has it (RFC 1123, 2.1; underscores occur), or an address.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let is_name = text.len() <= HOST_BYTES_MAX && text.split('.').all(is_label);
    is_name || text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_checked() {
        let check = |change: fn(&mut Options), expected: Result<(), &str>| {
            let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), "state");
            change(&mut options);
            let found = options.check().map_err(|error| error.to_string());
            assert!(
                match (&found, expected) {
                    (Ok(()), Ok(())) => true,
                    (Err(found), Err(expected)) => found.starts_with(expected),
                    _ => false,
                },
                "{found:?} {expected:?}"
            );
        };
        check(|_| {}, Ok(()));
        check(|o| o.announce_ms = 999, Err("announce interval"));
        check(|o| o.announce_ms = 45_000, Err("leases run out"));
        check(|o| o.ticket_life_s = 59, Err("ticket life"));
        check(|o| o.drain_ms = 3_600_001, Err("drain time"));
        check(|o| o.limits.hello_timeout = Duration::ZERO, Err("hello timeout"));
        check(|o| o.limits.idle_timeout = Duration::ZERO, Err("idle timeout"));
        check(|o| o.limits.write_timeout = Duration::MAX, Err("write timeout"));
        check(|o| o.limits.messages_per_s = 0, Err("messages a second"));
        check(|o| o.limits.messages_burst = 0, Err("messages at once"));
        check(|o| o.limits.outgoing_max = 0, Err("waiting messages"));
        check(|o| o.limits.faults_max = 70_000, Err("malformed messages"));
        check(|o| o.swarms.links_max = 0, Err("links_max"));
        check(|o| o.stun_advertise = Some([3478, 3479]), Ok(()));
        check(|o| o.stun_advertise = Some([3478, 3478]), Err("the advertised STUN ports [3478, 3478]"));
        check(|o| o.stun_advertise = Some([0, 3478]), Err("the advertised STUN ports"));
        check(|o| (o.stun, o.stun_advertise) = (None, Some([1, 2])), Err("a STUN host or STUN ports"));
        check(|o| (o.stun, o.stun_host) = (None, Some("a".to_owned())), Err("a STUN host or STUN ports"));
    }

    #[test]
    fn hosts() {
        let check = |host: &str, expected: bool| assert_eq!(is_host(host), expected, "{host}");
        check("stun.example", true);
        check("localhost", true);
        check("192.0.2.1", true);
        check("2001:db8::1", true);
        check(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join("."), true);
        check(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join("."), false);
        check(&"a".repeat(64), false);
        check("", false);
        check("stun.example.", false);
        check("stun..example", false);
        check("stun.example:3478", false);
        check("[2001:db8::1]", false);
        check("stun example", false);
        check("슈툰.example", false);
    }
}
