//! Probes towards the other side of pairings: each opens the own NAT for what comes from there, and tells the other side, once
//! one of its own NAT's openings lets it in, that the way is free.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use freshet_protocol::limits::ADDRESSES_MAX;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pairings probed at once; of more, the oldest is given up.
const PAIRINGS_MAX: usize = 64;
/// Probes follow each other so fast at first: a pairing reaches its two sides some tens of milliseconds apart.
const FAST: Duration = Duration::from_millis(50);
const FAST_TIME: Duration = Duration::from_millis(600);
/// And so later, until they end.
const SLOW: Duration = Duration::from_millis(250);
const PROBE_TIME: Duration = Duration::from_secs(3);

/// A pairing whose way is being opened.
#[derive(Debug)]
struct Probing {
    addresses: Vec<SocketAddr>,
    /// Hears from where probes of the other side come.
    heard: Option<mpsc::Sender<SocketAddr>>,
    began: Instant,
    due: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Prober {
    pairings: BTreeMap<u64, Probing>,
}

impl Prober {
    /// Begins to probe.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        pair: u64,
        addresses: Vec<SocketAddr>,
        heard: Option<mpsc::Sender<SocketAddr>>,
    ) {
        if self.pairings.len() >= PAIRINGS_MAX
            && let Some(oldest) = self.pairings.iter().min_by_key(|(_, probing)| probing.began)
        {
            let oldest = *oldest.0;
            self.pairings.remove(&oldest);
        }
        if !addresses.is_empty() {
            self.pairings.insert(pair, Probing { addresses, heard, began: now, due: now });
        }
    }

    /// A probe has come. Only addresses that the pairing names are believed: whoever dials there is sent to nobody else.
    pub(super) fn heard(&mut self, pair: u64, from: SocketAddr) {
        let Some(Probing { addresses, heard, .. }) = self.pairings.get_mut(&pair) else { return };
        if addresses.iter().all(|address| address.ip() != from.ip()) {
            return;
        }
        // Who is behind a symmetric NAT is nowhere else: it hears nobody who does not write there.
        if !addresses.contains(&from) && addresses.len() < ADDRESSES_MAX {
            addresses.push(from);
        }
        if let Some(heard) = heard {
            // Who is busy with what it heard before needs no more.
            let _ = heard.try_send(from);
        }
    }

    /// When the next probe is due, or the last one was.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pairings.values().map(|probing| probing.due.min(probing.began + PROBE_TIME)).min()
    }

    /// Pairings and addresses to be probed now.
    pub(super) fn probes(&mut self, now: Instant) -> Vec<(u64, SocketAddr)> {
        let mut probes = Vec::new();
        self.pairings.retain(|&pair, probing| {
            // Nobody listens once the link is there, or cannot be.
            let is_over = now >= probing.began + PROBE_TIME
                || probing.heard.as_ref().is_some_and(mpsc::Sender::is_closed);
            if !is_over && now >= probing.due {
                probes.extend(probing.addresses.iter().map(|&address| (pair, address)));
                probing.due = now + if now < probing.began + FAST_TIME { FAST } else { SLOW };
            }
            !is_over
        });
        probes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("address")
    }

    #[test]
    fn probes_go_fast_then_slowly_then_end() {
        let began = Instant::now();
        let mut prober = Prober::default();
        prober.begin(began, 7, vec![address("203.0.113.1:1"), address("192.168.1.1:2")], None);
        prober.begin(began, 8, Vec::new(), None);
        let (mut count, mut at) = (0, began);
        while let Some(due) = prober.due() {
            at = due;
            let probes = prober.probes(due);
            assert!(probes.iter().all(|(pair, _)| *pair == 7) && probes.len() <= 2);
            count += probes.len() / 2;
        }
        assert_eq!(at - began, PROBE_TIME);
        assert_eq!(count, 12 + 10);
    }

    #[test]
    fn who_dials_hears_of_ways_that_are_free() {
        let now = Instant::now();
        let mut prober = Prober::default();
        let (sender, mut heard) = mpsc::channel(1);
        prober.begin(now, 7, vec![address("203.0.113.1:1")], Some(sender));
        prober.heard(7, address("203.0.113.2:1"));
        prober.heard(8, address("203.0.113.1:1"));
        assert!(heard.try_recv().is_err());
        // The port may be another than was said.
        prober.heard(7, address("203.0.113.1:9"));
        prober.heard(7, address("203.0.113.1:1"));
        assert_eq!(heard.try_recv(), Ok(address("203.0.113.1:9")));
        drop(heard);
        assert_eq!(prober.probes(now), []);
        assert_eq!(prober.due(), None);
    }

    #[test]
    fn where_the_other_side_is_heard_it_is_answered() {
        let now = Instant::now();
        let mut prober = Prober::default();
        prober.begin(now, 7, vec![address("203.0.113.1:1")], None);
        for port in 1..100 {
            prober.heard(7, SocketAddr::from(([203, 0, 113, 1], port)));
            prober.heard(7, SocketAddr::from(([203, 0, 113, 2], port)));
        }
        let probes = prober.probes(now);
        assert_eq!(probes.len(), ADDRESSES_MAX, "no more than a pairing may name");
        assert!(probes.iter().all(|(_, to)| to.ip() == address("203.0.113.1:1").ip()));
    }

    #[test]
    fn pairings_are_bounded() {
        let now = Instant::now();
        let mut prober = Prober::default();
        for pair in 0..=PAIRINGS_MAX as u64 {
            prober.begin(now + Duration::from_millis(pair), pair, vec![address("203.0.113.1:1")], None);
        }
        assert_eq!(prober.pairings.len(), PAIRINGS_MAX);
        assert!(!prober.pairings.contains_key(&0));
    }
}
