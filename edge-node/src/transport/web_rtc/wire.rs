//! A data channel as a link sees it: frames that share one channel, sorted by what they are about.
//!
//! A message is one frame. Data and Refuse belong to an own request, Request opens one of the peer's and Cancel takes it
//! back; everything else is a control frame. What one reader does not take keeps the others waiting, and in the end
//! the peer: its window fills.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use freshet_protocol::limits::{DATA_CHANNEL_BYTES_MAX, LINK_REQUESTS_MAX};
use freshet_protocol::{Data, Decoded, Frame, Side, Transport};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::PeerConnection;

use super::connection::Connection;
use super::keeper;
use crate::transport::limits::{
    ANSWER_MESSAGES_MAX, CONTROL_MESSAGES_MAX, LINK_COMMANDS_MAX, TAKEN_BACK_MAX,
};
use crate::transport::wire::{CloseCode, Gone, Halves, LinkLost, Receiving, Sending, Wire};

/// A Data frame with its head.
pub(super) const MESSAGE_BYTES_NEEDED: usize = DATA_CHANNEL_BYTES_MAX + 64;
/// Requests that a peer may have open, with those that are still being refused.
const OPEN_MAX: usize = 2 * LINK_REQUESTS_MAX;
/// How often it is looked whether an answer has been acknowledged.
const ACKNOWLEDGED_TIME: Duration = Duration::from_millis(5);

/// A connection with its one channel.
#[derive(Clone)]
pub(in crate::transport) struct ChannelWire {
    shared: Arc<Shared>,
}

/// What the link's tasks and the channel's keeper see.
pub(super) struct Shared {
    pub(super) peer: Arc<dyn PeerConnection>,
    pub(super) channel: Arc<dyn DataChannel>,
    remote: Mutex<SocketAddr>,
    pub(super) rtt_us: AtomicU64,
    /// Bytes handed to the channel.
    sent_bytes: AtomicU64,
    requests: Mutex<Requests>,
    control: Mutex<Option<mpsc::Receiver<Bytes>>>,
    /// None once nothing more comes.
    control_in: Mutex<Option<mpsc::Sender<Bytes>>>,
    asked: tokio::sync::Mutex<mpsc::Receiver<Asked>>,
    asked_in: mpsc::Sender<Asked>,
    /// Own requests to be taken back.
    cancels: mpsc::Sender<u64>,
    /// Set once the connection is over for either side.
    pub(super) gone: CancellationToken,
    end: OnceLock<End>,
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) struct End {
    pub(super) lost: LinkLost,
    /// What the peer has to be told first.
    pub(super) farewell: Option<String>,
}

#[derive(Default)]
struct Requests {
    own: BTreeMap<u64, OwnRequest>,
    /// Own requests that were taken back, and may still be answered; the oldest is forgotten first.
    taken_back: VecDeque<u64>,
    theirs: BTreeMap<u64, CancellationToken>,
}

struct OwnRequest {
    answer: mpsc::Sender<Bytes>,
    received: u64,
}

/// A request of the peer that waits to be looked at.
struct Asked {
    request: u64,
    frame: Bytes,
    taken_back: CancellationToken,
    is_registered: bool,
}

/// A half that is written.
pub(in crate::transport) struct ChannelSending {
    shared: Arc<Shared>,
    role: Role,
}

enum Role {
    /// Control frames, or the one frame of an own request.
    Plain,
    /// The answer to a request of the peer.
    Answer {
        request: u64,
        taken_back: CancellationToken,
        is_registered: bool,
        /// Bytes handed to the channel when the answer was whole.
        ends_at: Option<u64>,
    },
}

/// A half that is read.
pub(in crate::transport) struct ChannelReceiving {
    shared: Arc<Shared>,
    /// The own request whose answer this is.
    request: Option<u64>,
    messages: mpsc::Receiver<Bytes>,
    /// Read of the channel and not yet of here.
    current: Bytes,
}

impl ChannelWire {
    /// Takes an open channel, and the connection that it is on.
    pub(super) async fn start(
        connection: Connection,
        channel: Arc<dyn DataChannel>,
        remote: SocketAddr,
        tasks: &TaskTracker,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (control_in, control) = mpsc::channel(CONTROL_MESSAGES_MAX);
        let (asked_in, asked) = mpsc::channel(OPEN_MAX);
        let (cancels, cancels_out) = mpsc::channel(LINK_COMMANDS_MAX);
        let shared = Arc::new(Shared {
            peer: connection.peer,
            channel,
            remote: Mutex::new(remote),
            rtt_us: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            requests: Mutex::default(),
            control: Mutex::new(Some(control)),
            control_in: Mutex::new(Some(control_in)),
            asked: tokio::sync::Mutex::new(asked),
            asked_in,
            cancels,
            gone: CancellationToken::new(),
            end: OnceLock::new(),
        });
        keeper::measure(&shared).await;
        tasks.spawn(keeper::keep(Arc::clone(&shared), connection.events, place));
        tasks.spawn(keeper::cancel(Arc::clone(&shared), cancels_out));
        Self { shared }
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Wire for ChannelWire {
    type Sending = ChannelSending;
    type Receiving = ChannelReceiving;

    const TRANSPORT: Transport = Transport::WebRtc;

    async fn control(&self, _: Side) -> Result<Halves<Self>, String> {
        let messages = lock(&self.shared.control).take().ok_or("the control frames are read already")?;
        Ok((
            ChannelSending { shared: Arc::clone(&self.shared), role: Role::Plain },
            ChannelReceiving::new(&self.shared, None, messages),
        ))
    }

    async fn open(&self, request: u64) -> Result<Halves<Self>, Gone> {
        let (answer, messages) = mpsc::channel(ANSWER_MESSAGES_MAX);
        let mut requests = lock(&self.shared.requests);
        if self.shared.gone.is_cancelled() || requests.own.contains_key(&request) {
            return Err(Gone);
        }
        requests.taken_back.retain(|&taken_back| taken_back != request);
        requests.own.insert(request, OwnRequest { answer, received: 0 });
        drop(requests);
        Ok((
            ChannelSending { shared: Arc::clone(&self.shared), role: Role::Plain },
            ChannelReceiving::new(&self.shared, Some(request), messages),
        ))
    }

    async fn accept(&self) -> Result<Halves<Self>, LinkLost> {
        let mut asked = self.shared.asked.lock().await;
        tokio::select! {
            biased;
            () = self.shared.gone.cancelled() => Err(self.shared.lost()),
            Some(Asked { request, frame, taken_back, is_registered }) = asked.recv() => {
                let (_, nothing) = mpsc::channel(1);
                let mut receiving = ChannelReceiving::new(&self.shared, None, nothing);
                receiving.current = frame;
                let role = Role::Answer { request, taken_back, is_registered, ends_at: None };
                Ok((ChannelSending { shared: Arc::clone(&self.shared), role }, receiving))
            }
        }
    }

    fn close(&self, code: CloseCode, reason: &str) {
        // PROTOCOL.md 7: a channel has no codes, so Bye tells what is wrong; a link that is over has said it.
        let farewell = match code {
            CloseCode::Bye => None,
            CloseCode::Refused | CloseCode::Misbehaved => Some(reason.to_owned()),
        };
        self.shared.end(End { lost: LinkLost::Lost(reason.to_owned()), farewell });
    }

    async fn closed(&self) {
        self.shared.gone.cancelled().await;
    }

    fn close_reason(&self) -> Option<LinkLost> {
        self.shared.gone.is_cancelled().then(|| self.shared.lost())
    }

    fn rtt(&self) -> Duration {
        Duration::from_micros(self.shared.rtt_us.load(Ordering::Relaxed))
    }

    fn remote_address(&self) -> SocketAddr {
        *lock(&self.shared.remote)
    }
}

impl Shared {
    /// Ends the connection; the first end counts.
    pub(super) fn end(&self, end: End) {
        // Another end came first.
        let _ = self.end.set(end);
        self.gone.cancel();
        // Their readers come to an end.
        lock(&self.requests).own.clear();
        lock(&self.control_in).take();
    }

    pub(super) fn lost_by(&self, reason: &str) {
        self.end(End { lost: LinkLost::Lost(reason.to_owned()), farewell: None });
    }

    pub(super) fn farewell(&self) -> Option<&str> {
        self.end.get()?.farewell.as_deref()
    }

    pub(super) fn set_remote(&self, address: SocketAddr) {
        *lock(&self.remote) = address;
    }

    fn lost(&self) -> LinkLost {
        self.end.get().map_or_else(|| LinkLost::Lost("closed".to_owned()), |end| end.lost.clone())
    }

    /// Takes a message of the peer, and waits where its reader is behind.
    pub(super) async fn take(&self, message: BytesMut) -> Result<(), String> {
        let message = message.freeze();
        let mut rest = message.clone();
        if rest.is_empty() {
            return Err("a message without a frame".to_owned());
        }
        while !rest.is_empty() {
            let start = message.len() - rest.len();
            let decoded = Frame::decode(&mut rest).map_err(|error| error.to_string())?;
            let decoded = decoded.ok_or("a message that is no whole frame")?;
            let frame = message.slice(start..message.len() - rest.len());
            tokio::select! {
                () = self.gone.cancelled() => return Ok(()),
                sorted = self.sort(decoded, frame) => sorted?,
            }
        }
        Ok(())
    }

    async fn sort(&self, decoded: Decoded, frame: Bytes) -> Result<(), String> {
        // A reader that is gone has seen enough, or the link ends.
        match decoded {
            Decoded::Frame(Frame::Data(data)) => {
                if data.payload.len() > DATA_CHANNEL_BYTES_MAX {
                    return Err("a data frame that is too long for a channel".to_owned());
                }
                if let Some(answer) = self.answer_part(data.request, data.payload.len(), Some(data.total))? {
                    let _ = answer.send(frame).await;
                }
            }
            Decoded::Frame(Frame::Refuse { request, .. }) => {
                if let Some(answer) = self.answer_part(request, 0, None)? {
                    let _ = answer.send(frame).await;
                }
            }
            Decoded::Frame(Frame::Request(asked)) => self.asked(asked.request, frame)?,
            Decoded::Frame(Frame::Cancel { request }) => {
                // One that is answered already is none any more.
                if let Some(taken_back) = lock(&self.requests).theirs.get(&request) {
                    taken_back.cancel();
                }
            }
            Decoded::Frame(_) | Decoded::Skipped(_) => {
                let control = lock(&self.control_in).clone();
                if let Some(control) = control {
                    let _ = control.send(frame).await;
                }
            }
        }
        Ok(())
    }

    /// Where a part of an answer goes; nowhere when the request was taken back. The last part ends the request.
    fn answer_part(
        &self,
        request: u64,
        bytes: usize,
        total: Option<u32>,
    ) -> Result<Option<mpsc::Sender<Bytes>>, String> {
        let mut requests = lock(&self.requests);
        let Some(own) = requests.own.get_mut(&request) else {
            if requests.taken_back.contains(&request) || self.gone.is_cancelled() {
                return Ok(None);
            }
            return Err(format!("an answer to request {request}, which is not open"));
        };
        own.received += bytes as u64;
        let answer = own.answer.clone();
        if total.is_none_or(|total| own.received >= u64::from(total)) {
            requests.own.remove(&request);
        }
        Ok(Some(answer))
    }

    fn asked(&self, request: u64, frame: Bytes) -> Result<(), String> {
        let mut requests = lock(&self.requests);
        if requests.theirs.len() >= OPEN_MAX {
            return Err(format!("more than {LINK_REQUESTS_MAX} requests at once"));
        }
        // A number that is in use is for the link to judge.
        let is_registered = !requests.theirs.contains_key(&request);
        let taken_back = CancellationToken::new();
        if is_registered {
            requests.theirs.insert(request, taken_back.clone());
        }
        drop(requests);
        let asked = Asked { request, frame, taken_back, is_registered };
        self.asked_in.try_send(asked).map_err(|_| format!("more than {LINK_REQUESTS_MAX} requests at once"))
    }

    /// Hands a frame to the channel, when it has room.
    pub(super) async fn send(&self, message: BytesMut) -> Result<(), Gone> {
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

    /// Whether all bytes up to `mark` have been acknowledged.
    async fn is_acknowledged(&self, mark: u64) -> bool {
        match self.channel.outstanding_bytes().await {
            Ok(outstanding) => {
                self.sent_bytes.load(Ordering::Relaxed).saturating_sub(outstanding as u64) >= mark
            }
            Err(_) => true,
        }
    }

    /// Takes back an own request that is still open.
    fn take_back(&self, request: u64) {
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
    pub(super) fn open_requests(&self) -> (usize, usize, usize) {
        let requests = lock(&self.requests);
        (requests.own.len(), requests.taken_back.len(), requests.theirs.len())
    }
}

impl ChannelSending {
    /// Waits until the peer has taken back what it asked for.
    async fn taken_back(&self) {
        match &self.role {
            Role::Plain => std::future::pending().await,
            Role::Answer { taken_back, .. } => taken_back.cancelled().await,
        }
    }

    async fn send(&self, message: BytesMut) -> Result<(), Gone> {
        tokio::select! {
            biased;
            () = self.taken_back() => Err(Gone),
            sent = self.shared.send(message) => sent,
        }
    }
}

impl Sending for ChannelSending {
    const DATA_BYTES_MAX: usize = DATA_CHANNEL_BYTES_MAX;

    async fn write(&mut self, frame: Bytes) -> Result<(), Gone> {
        self.send(frame.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))).await
    }

    async fn write_data(&mut self, data: Data, taken: &mut u32) -> Result<(), Gone> {
        let mut message = BytesMut::with_capacity(MESSAGE_BYTES_NEEDED);
        message.extend_from_slice(&data.head());
        message.extend_from_slice(&data.payload);
        self.send(message).await?;
        *taken += data.payload.len() as u32;
        Ok(())
    }

    fn go_first(&mut self) {
        // All frames share one queue, which is kept short.
    }

    fn finish(&mut self) -> Result<(), Gone> {
        if let Role::Answer { ends_at, .. } = &mut self.role {
            *ends_at = Some(self.shared.sent_bytes.load(Ordering::Relaxed));
        }
        if self.shared.gone.is_cancelled() { Err(Gone) } else { Ok(()) }
    }

    fn reset(&mut self) {
        // What is queued cannot be taken back, and nothing more comes.
    }

    async fn stopped(&self) {
        let acknowledged = async {
            let Role::Answer { ends_at: Some(mark), .. } = self.role else {
                return std::future::pending().await;
            };
            while !self.shared.is_acknowledged(mark).await {
                tokio::time::sleep(ACKNOWLEDGED_TIME).await;
            }
        };
        tokio::select! {
            () = self.shared.gone.cancelled() => {}
            () = self.taken_back() => {}
            () = acknowledged => {}
        }
    }
}

impl Drop for ChannelSending {
    fn drop(&mut self) {
        if let Role::Answer { request, is_registered: true, .. } = self.role {
            lock(&self.shared.requests).theirs.remove(&request);
        }
    }
}

impl ChannelReceiving {
    fn new(shared: &Arc<Shared>, request: Option<u64>, messages: mpsc::Receiver<Bytes>) -> Self {
        Self { shared: Arc::clone(shared), request, messages, current: Bytes::new() }
    }
}

impl AsyncRead for ChannelReceiving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.current.is_empty() {
            match ready!(self.messages.poll_recv(context)) {
                Some(message) => self.current = message,
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.current.len().min(buffer.remaining());
        buffer.put_slice(&self.current[..len]);
        self.current.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl Receiving for ChannelReceiving {
    fn stop(&mut self) {
        if let Some(request) = self.request.take() {
            self.shared.take_back(request);
        }
    }
}

impl Drop for ChannelReceiving {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
