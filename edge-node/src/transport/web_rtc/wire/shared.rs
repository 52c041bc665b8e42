//! A connection with its channel, as the link's tasks and the channel's keeper share it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::{Bytes, BytesMut};
use freshet_protocol::limits::LINK_REQUESTS_MAX;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::PeerConnection;

use crate::transport::limits::{
    ANSWER_MESSAGES_MAX, CONTROL_MESSAGES_MAX, LINK_COMMANDS_MAX, TAKEN_BACK_MAX,
};
use crate::transport::wire::{Gone, LinkLost};

/// Requests that a peer may have open, with those that are still being refused.
pub(super) const OPEN_MAX: usize = 2 * LINK_REQUESTS_MAX;

/// What the link's tasks and the channel's keeper see.
pub(in crate::transport) struct Shared {
    pub(in crate::transport) peer: Arc<dyn PeerConnection>,
    pub(in crate::transport) channel: Arc<dyn DataChannel>,
    remote: Mutex<SocketAddr>,
    pub(in crate::transport) rtt_us: AtomicU64,
    /// Time from handing over bytes to their acknowledgement, as last taken; 0 once it has been looked at.
    pub(in crate::transport) timed_us: AtomicU64,
    /// Bytes handed to the channel.
    sent_bytes: AtomicU64,
    pub(super) requests: Mutex<Requests>,
    control: Mutex<Option<mpsc::Receiver<Bytes>>>,
    /// None once nothing more comes.
    pub(super) control_in: Mutex<Option<mpsc::Sender<Bytes>>>,
    asked: tokio::sync::Mutex<mpsc::Receiver<Asked>>,
    pub(super) asked_in: mpsc::Sender<Asked>,
    /// Own requests to be taken back.
    cancels: mpsc::Sender<u64>,
    /// Set once the connection is over for either side.
    pub(in crate::transport) gone: CancellationToken,
    end: OnceLock<End>,
}

/// Why a connection is over.
#[derive(Debug)]
pub(in crate::transport) struct End {
    pub(in crate::transport) lost: LinkLost,
    /// What the peer has to be told first.
    pub(in crate::transport) farewell: Option<String>,
}

#[derive(Default)]
pub(super) struct Requests {
    pub(super) own: BTreeMap<u64, OwnRequest>,
    /// Own requests that were taken back, and may still be answered; the oldest is forgotten first.
    pub(super) taken_back: VecDeque<u64>,
    pub(super) theirs: BTreeMap<u64, CancellationToken>,
}

pub(super) struct OwnRequest {
    pub(super) answer: mpsc::Sender<Bytes>,
    pub(super) received: u64,
}

/// A request of the peer that waits to be looked at.
pub(super) struct Asked {
    pub(super) request: u64,
    pub(super) frame: Bytes,
    pub(super) taken_back: CancellationToken,
    pub(super) is_registered: bool,
}

impl Shared {
    /// With the own requests that are to be taken back, for the task that tells the peer.
    pub(super) fn new(
        peer: Arc<dyn PeerConnection>,
        channel: Arc<dyn DataChannel>,
        remote: SocketAddr,
    ) -> (Self, mpsc::Receiver<u64>) {
        let (control_in, control) = mpsc::channel(CONTROL_MESSAGES_MAX);
        let (asked_in, asked) = mpsc::channel(OPEN_MAX);
        let (cancels, cancels_out) = mpsc::channel(LINK_COMMANDS_MAX);
        let shared = Self {
            peer,
            channel,
            remote: Mutex::new(remote),
            rtt_us: AtomicU64::new(0),
            timed_us: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            requests: Mutex::default(),
            control: Mutex::new(Some(control)),
            control_in: Mutex::new(Some(control_in)),
            asked: tokio::sync::Mutex::new(asked),
            asked_in,
            cancels,
            gone: CancellationToken::new(),
            end: OnceLock::new(),
        };
        (shared, cancels_out)
    }

    /// The control frames of the peer; none when they are read already.
    pub(super) fn control(&self) -> Option<mpsc::Receiver<Bytes>> {
        lock(&self.control).take()
    }

    /// Opens an own request; the frames of its answer.
    pub(super) fn open(&self, request: u64) -> Result<mpsc::Receiver<Bytes>, Gone> {
        let (answer, messages) = mpsc::channel(ANSWER_MESSAGES_MAX);
        let mut requests = lock(&self.requests);
        if self.gone.is_cancelled() || requests.own.contains_key(&request) {
            return Err(Gone);
        }
        requests.taken_back.retain(|&taken_back| taken_back != request);
        requests.own.insert(request, OwnRequest { answer, received: 0 });
        Ok(messages)
    }

    /// The next request of the peer.
    pub(super) async fn accept(&self) -> Result<Asked, LinkLost> {
        let mut asked = self.asked.lock().await;
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(self.lost()),
            Some(asked) = asked.recv() => Ok(asked),
        }
    }

    /// Ends the connection; the first end counts.
    pub(in crate::transport) fn end(&self, end: End) {
        // Another end came first.
        let _ = self.end.set(end);
        self.gone.cancel();
        // Their readers come to an end.
        lock(&self.requests).own.clear();
        lock(&self.control_in).take();
    }

    pub(in crate::transport) fn lost_by(&self, reason: &str) {
        self.end(End { lost: LinkLost::Lost(reason.to_owned()), farewell: None });
    }

    pub(in crate::transport) fn farewell(&self) -> Option<&str> {
        self.end.get()?.farewell.as_deref()
    }

    pub(super) fn remote(&self) -> SocketAddr {
        *lock(&self.remote)
    }

    pub(in crate::transport) fn set_remote(&self, address: SocketAddr) {
        *lock(&self.remote) = address;
    }

    pub(super) fn lost(&self) -> LinkLost {
        self.end.get().map_or_else(|| LinkLost::Lost("closed".to_owned()), |end| end.lost.clone())
    }

    /// Hands a frame to the channel, when it has room.
    pub(in crate::transport) async fn send(&self, message: BytesMut) -> Result<(), Gone> {
        let bytes = message.len() as u64;
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(Gone),
            sent = self.channel.send(message) => {
                sent.map_err(|_| Gone)?;
                self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Bytes handed to the channel so far.
    pub(in crate::transport) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Whether all bytes up to `mark` have been acknowledged.
    pub(in crate::transport) async fn is_acknowledged(&self, mark: u64) -> bool {
        match self.channel.outstanding_bytes().await {
            Ok(outstanding) => self.sent_bytes().saturating_sub(outstanding as u64) >= mark,
            Err(_) => true,
        }
    }

    /// Takes back an own request that is still open.
    pub(super) fn take_back(&self, request: u64) {
        let mut requests = lock(&self.requests);
        if requests.own.remove(&request).is_none() {
            return;
        }
        if requests.taken_back.len() == TAKEN_BACK_MAX {
            requests.taken_back.pop_front();
        }
        requests.taken_back.push_back(request);
        drop(requests);
        if self.cancels.try_send(request).is_err() {
            self.lost_by("the peer does not read what it is told");
        }
    }

    #[cfg(test)]
    pub(in crate::transport) fn open_requests(&self) -> (usize, usize, usize) {
        let requests = lock(&self.requests);
        (requests.own.len(), requests.taken_back.len(), requests.theirs.len())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
