//! WebRTC: data channels with browsers that cannot dial this node, and with nodes behind NATs. Its connections are made
//! by signals that the tracker passes on within a pairing.

mod candidate;
mod connection;
mod description;
mod keeper;
mod partners;
mod runtime;
mod set_up;
mod signal;
#[cfg(test)]
mod tests;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use freshet_protocol::{Candidate, KeyId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::limits::{CHANNELS_MAX, SIGNALS_MAX};
use super::link_task::Opened;
use super::meet::Meant;
use super::nat::StunService;
use super::seats::Pairing;
use super::switchboard::Switchboard;
use connection::ConnectionConfig;
use partners::{Partner, Partners};
use set_up::Begin;
use signal::Signal;
use wire::ChannelWire;

/// Makes connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct WebRtc {
    board: Arc<Switchboard>,
    listen: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    partners: Mutex<Partners>,
    stun: Mutex<Vec<String>>,
    places: Arc<Semaphore>,
}

impl WebRtc {
    /// `listen` says which of the machine's addresses to use; ports are picked.
    pub(super) fn new(listen: SocketAddr, board: Arc<Switchboard>) -> Self {
        let shared = Shared {
            partners: Mutex::default(),
            stun: Mutex::default(),
            places: Arc::new(Semaphore::new(CHANNELS_MAX)),
        };
        Self { board, listen, shared: Arc::new(shared) }
    }

    /// The STUN service to ask from now on.
    pub(super) fn set_stun(&self, service: &StunService) {
        let StunService { host, ports: [port, _] } = service;
        // An IPv6 address stands in brackets (RFC 7064).
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let urls = vec![format!("stun:{host}:{port}")];
        *self.shared.stun.lock().unwrap_or_else(PoisonError::into_inner) = urls;
    }

    /// Remembers that the owner of `key` may offer.
    pub(super) fn expect(&self, pairing: Pairing, candidates: &[Candidate], key: KeyId) {
        self.partners().expect(Partner::new(pairing, candidates, key), Instant::now());
    }

    /// Offers a channel to the owner of `key`, and brings up a link on it.
    pub(super) async fn reach(
        &self,
        pairing: Pairing,
        candidates: &[Candidate],
        key: KeyId,
    ) -> Result<Opened<ChannelWire>, String> {
        let partner = Partner::new(pairing, candidates, key);
        let place = self.place()?;
        let (signals_in, signals) = mpsc::channel(SIGNALS_MAX);
        self.partners().talk(partner.clone(), signals_in, Instant::now());
        self.meet(partner, Begin::Offer, signals, place).await
    }

    /// Takes what the other side of a pairing says.
    pub(super) fn signal(&self, pair: u64, data: &str) {
        let Ok(signal) = Signal::read(data) else {
            return tracing::debug!(pair, "a signal that is none");
        };
        let Some((partner, sdp)) = self.partners().hear(pair, signal, Instant::now()) else { return };
        let place = match self.place() {
            Ok(place) => place,
            Err(reason) => return tracing::debug!(pair, reason, "an offer is not answered"),
        };
        let (signals_in, signals) = mpsc::channel(SIGNALS_MAX);
        self.partners().talk(partner.clone(), signals_in, Instant::now());
        self.board.tasks.spawn(self.clone().answer(partner, sdp, signals, place));
    }

    /// Answers an offer, and stays as the link's task.
    async fn answer(
        self,
        partner: Partner,
        sdp: String,
        signals: mpsc::Receiver<Signal>,
        place: OwnedSemaphorePermit,
    ) {
        let pair = partner.pairing.pair;
        match self.meet(partner, Begin::Answer(sdp), signals, place).await {
            Ok(link) => link.run().await,
            Err(reason) => tracing::debug!(pair, reason, "no channel came of an offer"),
        }
    }

    async fn meet(
        &self,
        partner: Partner,
        begin: Begin,
        signals: mpsc::Receiver<Signal>,
        place: OwnedSemaphorePermit,
    ) -> Result<Opened<ChannelWire>, String> {
        let config = ConnectionConfig {
            listen: self.listen,
            stun: self.shared.stun.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            is_browser: partner.is_browser,
        };
        let meant = Meant { key: partner.key, pairing: partner.pairing };
        let ends = set_up::connect(&self.board, config, partner, begin, signals, place).await;
        self.partners().forget(meant.pairing.pair);
        ends?.meet(&self.board, Some(meant)).await
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, String> {
        let place = Arc::clone(&self.shared.places).try_acquire_owned();
        place.map_err(|_| format!("all {CHANNELS_MAX} connections of WebRTC are taken"))
    }

    fn partners(&self) -> MutexGuard<'_, Partners> {
        self.shared.partners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
