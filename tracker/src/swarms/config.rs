//! Knobs of the pure part.

use std::collections::BTreeSet;

use freshet_protocol::KeyId;
use freshet_protocol::limits::{SHARDS_MAX, TICKET_SWARMS_MAX};

const SECOND_US: u64 = 1_000_000;

/// Why a [`Config`] was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{knob} is {value}, but must be within {min} and {max}")]
pub struct ConfigError {
    /// The knob.
    pub knob: &'static str,
    /// What it was set to.
    pub value: u64,
    /// Least allowed value.
    pub min: u64,
    /// Largest allowed value.
    pub max: u64,
}

/// Knobs of [`super::Swarms`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Most clients connected at a time. More cost memory (a few KiB each), fewer turn players away to the origin.
    pub clients_max: usize,
    /// Most swarms at a time.
    pub swarms_max: usize,
    /// Most peers in one swarm.
    pub swarm_peers_max: usize,
    /// Most swarms that one client may be in; at most what a ticket can name (16).
    pub client_swarms_max: usize,
    /// Most links of one peer in one swarm, accepted and pending ones included, 1 to 64. Few make a swarm fragile, many
    /// cost each peer memory and keep-alives.
    pub links_max: u8,
    /// How long a pair may stay without an outcome before it counts as failed, in microseconds.
    pub pair_timeout_us: u64,
    /// How long a pair that failed again and again is not tried, in microseconds. After its first failure it is tried
    /// after a few seconds; each further one doubles the wait up to this.
    pub pair_retry_us: u64,
    /// Pairs that a client may be given in a burst. Bounds how many addresses one client can collect.
    pub pair_burst: u16,
    /// Time after which a client may be given one further pair, in microseconds.
    pub pair_interval_us: u64,
    /// A client that neither leases nor announces for so long loses its leases, in microseconds. Must be longer than
    /// the announce interval, or slow clients lose their leases between two announces.
    pub lease_fresh_us: u64,
    /// Least age of a lease that may be granted to a second client, in microseconds.
    pub lease_again_us: u64,
    /// How long after a ticket the next one is issued, in microseconds: half a ticket's life.
    pub ticket_renew_us: u64,
    /// What the origin may send to all clients of one content together, in bytes a second; none: no limit known.
    pub origin_budget_bytes_s: Option<u64>,
    /// Keys of clients that may send entries of streams to a whole swarm.
    pub publishers: BTreeSet<KeyId>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            clients_max: 100_000,
            swarms_max: 10_000,
            swarm_peers_max: 50_000,
            client_swarms_max: TICKET_SWARMS_MAX,
            links_max: 16,
            pair_timeout_us: 30 * SECOND_US,
            pair_retry_us: 120 * SECOND_US,
            pair_burst: 64,
            pair_interval_us: SECOND_US,
            lease_fresh_us: 45 * SECOND_US,
            lease_again_us: 5 * SECOND_US,
            ticket_renew_us: 300 * SECOND_US,
            origin_budget_bytes_s: None,
            publishers: BTreeSet::new(),
        }
    }
}

impl Config {
    /// Checks every knob against its bounds.
    ///
    /// # Errors
    /// [`ConfigError`] names the first knob that is out of bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let day_us = 86_400 * SECOND_US;
        let rows = [
            ("clients_max", self.clients_max as u64, 1, 10_000_000),
            ("swarms_max", self.swarms_max as u64, 1, 1_000_000),
            ("swarm_peers_max", self.swarm_peers_max as u64, 1, 10_000_000),
            ("client_swarms_max", self.client_swarms_max as u64, 1, TICKET_SWARMS_MAX as u64),
            ("links_max", self.links_max.into(), 1, 64),
            ("pair_timeout_us", self.pair_timeout_us, SECOND_US, day_us),
            ("pair_retry_us", self.pair_retry_us, SECOND_US, day_us),
            ("pair_burst", self.pair_burst.into(), 1, 4096),
            ("pair_interval_us", self.pair_interval_us, 1, day_us),
            ("lease_fresh_us", self.lease_fresh_us, SECOND_US, day_us),
            ("lease_again_us", self.lease_again_us, SECOND_US, day_us),
            ("ticket_renew_us", self.ticket_renew_us, SECOND_US, day_us),
            ("publishers", self.publishers.len() as u64, 0, 64),
        ];
        let is_out = |&(_, value, min, max): &(_, u64, u64, u64)| value < min || value > max;
        match rows.into_iter().find(is_out) {
            Some((knob, value, min, max)) => Err(ConfigError { knob, value, min, max }),
            None => Ok(()),
        }
    }
}

const _: () = assert!(super::limits::CLIENT_LEASES_MAX <= SHARDS_MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_checked() {
        let check = |change: fn(&mut Config), knob| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.check().map_err(|error| error.knob), knob);
        };
        check(|_| {}, Ok(()));
        check(|c| c.publishers = (0..65_u8).map(|n| KeyId::of(&[n])).collect(), Err("publishers"));
        check(|c| c.clients_max = 0, Err("clients_max"));
        check(|c| c.swarms_max = 0, Err("swarms_max"));
        check(|c| c.swarm_peers_max = 0, Err("swarm_peers_max"));
        check(|c| c.client_swarms_max = 17, Err("client_swarms_max"));
        check(|c| c.links_max = 65, Err("links_max"));
        check(|c| c.pair_timeout_us = 0, Err("pair_timeout_us"));
        check(|c| c.pair_retry_us = u64::MAX, Err("pair_retry_us"));
        check(|c| c.pair_burst = 0, Err("pair_burst"));
        check(|c| c.pair_interval_us = 0, Err("pair_interval_us"));
        check(|c| c.lease_fresh_us = 1, Err("lease_fresh_us"));
        check(|c| c.lease_again_us = 1, Err("lease_again_us"));
        check(|c| c.ticket_renew_us = 1, Err("ticket_renew_us"));
    }
}
