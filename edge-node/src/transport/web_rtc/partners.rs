//! Who may speak to this node by signals, and where what they say goes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use freshet_protocol::{Candidate, KeyId, Transport};
use tokio::sync::mpsc;

use super::signal::Signal;
use crate::transport::limits::{EXPECTED_MAX, EXPECTED_TIME};
use crate::transport::seats::Pairing;

/// The other side of a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partner {
    pub(super) pairing: Pairing,
    pub(super) key: KeyId,
    /// Where the tracker sees it.
    pub(super) seen: Vec<IpAddr>,
    /// Whether it is a browser, as far as can be told: one that does not speak QUIC.
    pub(super) is_browser: bool,
}

impl Partner {
    pub(super) fn new(pairing: Pairing, candidates: &[Candidate], key: KeyId) -> Self {
        let mut seen: Vec<IpAddr> = candidates.iter().map(|c| c.address.ip().to_canonical()).collect();
        seen.dedup();
        let is_browser = !candidates.iter().any(|candidate| candidate.transport == Transport::Quic);
        Self { pairing, key, seen, is_browser }
    }
}

#[derive(Debug)]
struct Entry {
    partner: Partner,
    since: Instant,
    /// Where its signals go once a connection is being made.
    signals: Option<mpsc::Sender<Signal>>,
}

/// Partners by the number of their pairing.
#[derive(Debug, Default)]
pub(super) struct Partners {
    entries: BTreeMap<u64, Entry>,
}

impl Partners {
    /// Remembers who may offer. The one that has been silent for longest is forgotten for it, where there are too many.
    pub(super) fn expect(&mut self, partner: Partner, now: Instant) {
        self.entries.retain(|_, entry| {
            entry.signals.is_some() || now.saturating_duration_since(entry.since) < EXPECTED_TIME
        });
        let silent = self.entries.iter().filter(|(_, entry)| entry.signals.is_none());
        if silent.clone().count() >= EXPECTED_MAX
            && let Some((&oldest, _)) = silent.min_by_key(|(_, entry)| entry.since)
        {
            self.entries.remove(&oldest);
        }
        let pair = partner.pairing.pair;
        let is_talking = self.entries.get(&pair).is_some_and(|entry| entry.signals.is_some());
        if !is_talking {
            self.entries.insert(pair, Entry { partner, since: now, signals: None });
        }
    }

    /// A connection with the partner is being made, and takes its signals.
    pub(super) fn talk(&mut self, partner: Partner, signals: mpsc::Sender<Signal>, now: Instant) {
        let pair = partner.pairing.pair;
        self.entries.insert(pair, Entry { partner, since: now, signals: Some(signals) });
    }

    /// Passes on what a partner says. The first offer of one that is expected is returned, to be answered.
    pub(super) fn hear(&mut self, pair: u64, signal: Signal, now: Instant) -> Option<(Partner, String)> {
        let entry = self.entries.get(&pair)?;
        match (&entry.signals, signal) {
            (Some(signals), signal) => {
                // Who says more than is looked at in time is not heard to the end.
                let _ = signals.try_send(signal);
                None
            }
            (None, Signal::Offer { sdp }) if now.saturating_duration_since(entry.since) < EXPECTED_TIME => {
                Some((entry.partner.clone(), sdp))
            }
            // Nothing else can come first.
            (None, _) => None,
        }
    }

    /// The connection stands, or came to nothing.
    pub(super) fn forget(&mut self, pair: u64) {
        self.entries.remove(&pair);
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Hash, Locality};

    use super::*;

    fn partner(pair: u64, since: Instant) -> Partner {
        let address = "192.0.2.1:0".parse().expect("address");
        let candidates = [Candidate { transport: Transport::WebRtc, address }];
        let pairing = Pairing { pair, locality: Locality::Any, since };
        Partner::new(pairing, &candidates, KeyId(Hash([pair as u8; 32])))
    }

    fn offer() -> Signal {
        Signal::Offer { sdp: "v=0".to_owned() }
    }

    #[test]
    fn only_the_expected_may_offer_and_once() {
        let now = Instant::now();
        let mut partners = Partners::default();
        assert_eq!(partners.hear(1, offer(), now), None);
        partners.expect(partner(1, now), now);
        assert_eq!(partners.hear(1, Signal::End, now), None);
        assert_eq!(partners.hear(1, offer(), now), Some((partner(1, now), "v=0".to_owned())));
        let (signals, mut heard) = mpsc::channel(1);
        partners.talk(partner(1, now), signals, now);
        assert_eq!(partners.hear(1, offer(), now), None);
        assert_eq!(partners.hear(1, Signal::End, now), None, "more than is looked at");
        assert_eq!((heard.try_recv().ok(), heard.try_recv().ok()), (Some(offer()), None));
        partners.forget(1);
        assert_eq!(partners.hear(1, offer(), now), None);
        partners.expect(partner(2, now), now);
        assert_eq!(partners.hear(2, offer(), now + EXPECTED_TIME), None, "too late");
    }

    #[test]
    fn the_expected_are_bounded() {
        let now = Instant::now();
        let mut partners = Partners::default();
        let (signals, _heard) = mpsc::channel(1);
        partners.talk(partner(1000, now), signals, now);
        for pair in 0..=EXPECTED_MAX as u64 {
            partners.expect(partner(pair, now), now + std::time::Duration::from_millis(pair));
        }
        assert_eq!(partners.entries.len(), EXPECTED_MAX + 1);
        assert!(!partners.entries.contains_key(&0) && partners.entries.contains_key(&1000));
        partners.expect(partner(7, now), now + EXPECTED_TIME * 2);
        assert_eq!(partners.entries.len(), 2, "those of long ago are forgotten");
    }

    #[test]
    fn who_speaks_no_quic_is_a_browser() {
        let address: std::net::SocketAddr = "192.0.2.1:7".parse().expect("address");
        let check = |transports: &[Transport], is_browser: bool| {
            let candidates: Vec<_> =
                transports.iter().map(|&transport| Candidate { transport, address }).collect();
            let pairing = Pairing { pair: 1, locality: Locality::Any, since: Instant::now() };
            let partner = Partner::new(pairing, &candidates, KeyId(Hash([1; 32])));
            assert_eq!(partner.is_browser, is_browser, "{transports:?}");
            assert!(partner.seen.len() <= 1, "{:?}", partner.seen);
        };
        check(&[], true);
        check(&[Transport::WebRtc], true);
        check(&[Transport::Quic, Transport::WebRtc], false);
    }
}
