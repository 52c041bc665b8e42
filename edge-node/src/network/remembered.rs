//! What a node with a state folder remembers for its next start: when it is written, and when those peers are dialed.

use std::path::Path;
use std::time::Duration;

use freshet_protocol::{Base64, PublicKey, SwarmId, Transport as Way};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::peer_cache::{KeptTicket, PeerCache};
use crate::clock::unix_now;
use crate::transport::PeerInfo;

/// How often remembered peers may be dialed.
const DIAL_EVERY: Duration = Duration::from_secs(30);
/// Time at the end for what is remembered to reach the disk.
const WRITE_TIME: Duration = Duration::from_millis(500);

pub(super) struct Remembered {
    cache: Option<PeerCache>,
    /// What is being written, beside all else that goes on.
    writing: Option<JoinHandle<()>>,
    dial_at: Instant,
}

impl Remembered {
    /// What an earlier run knew; without a folder nothing is remembered.
    pub(super) fn open(folder: Option<&Path>, swarm: SwarmId) -> Self {
        let cache = folder.map(|folder| PeerCache::open(folder, swarm, unix_now()));
        Self { cache, writing: None, dial_at: Instant::now() }
    }

    /// What an earlier run knew, if its peers may be dialed now.
    pub(super) fn peers_to_dial(&mut self, now: Instant) -> Option<&PeerCache> {
        let cache = self.cache.as_ref().filter(|_| self.dial_at <= now)?;
        self.dial_at = now + DIAL_EVERY;
        Some(cache)
    }

    pub(super) fn ticket(&mut self, ticket: &Base64, trackers: &[PublicKey]) {
        if let Some(cache) = &mut self.cache {
            let (ticket, trackers) = (ticket.clone(), trackers.to_vec());
            cache.set_ticket(KeptTicket { ticket, arrived: unix_now(), trackers });
        }
    }

    /// Notes a peer that has its link over the socket at which it can be dialed.
    pub(super) fn seen(&mut self, peer: &PeerInfo) {
        if let Some(cache) = self.cache.as_mut().filter(|_| peer.transport == Way::Quic) {
            cache.seen(peer.key, peer.address, unix_now());
        }
    }

    /// Writes it with the peers that are linked now, if that is due.
    pub(super) fn write_when_due<'a>(&mut self, now: Instant, linked: impl Iterator<Item = &'a PeerInfo>) {
        if self.cache.as_ref().is_some_and(|cache| cache.is_due(now)) {
            self.write(now, linked);
        }
    }

    /// Writes it with the peers that are linked now.
    pub(super) fn write<'a>(&mut self, now: Instant, linked: impl Iterator<Item = &'a PeerInfo>) {
        let Some(cache) = &mut self.cache else { return };
        let linked = linked.filter(|peer| peer.transport == Way::Quic).map(|peer| (peer.key, peer.address));
        let writing = cache.write(now, unix_now(), linked);
        let before = self.writing.take();
        self.writing = Some(tokio::spawn(async move {
            if let Some(before) = before {
                // They write the same file, one after the other.
                let _ = before.await;
            }
            let _ = tokio::task::spawn_blocking(move || writing.run()).await;
        }));
    }

    /// Waits until all is written; a disk that hangs keeps nobody.
    pub(super) async fn written(&mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = tokio::time::timeout(WRITE_TIME, writing).await;
        }
    }
}
