//! What a link needs of the connection that it runs on, whichever transport that is.
//!
//! A link has one pair of control halves for as long as it is up, and a pair of halves for each request: the asker writes
//! its Request and nothing more, the asked writes the answer. How that travels is the transport's business.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{Data, Side, Transport};
use tokio::io::AsyncRead;

use super::rtt::RttMark;

/// With what a connection is closed (PROTOCOL.md 7). The reason beside it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// The link is over, and nobody is at fault.
    Bye = 0,
    /// The peer may not link.
    Refused = 1,
    /// The peer broke a rule.
    Misbehaved = 2,
}

impl CloseCode {
    /// The number on the wire.
    pub(super) fn number(self) -> u32 {
        self as u32
    }
}

/// A half cannot be written any more: the other side took it back, or the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side takes no more")]
pub(super) struct Gone;

/// Why a connection is gone, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LinkLost {
    /// It broke, or one side closed it.
    #[error("{0}")]
    Lost(String),
    /// The peer broke a rule that the transport itself watches over.
    #[error("{0}")]
    Misbehaved(String),
}

/// A connection of two peers. Cheap to clone.
pub(super) trait Wire: Clone + Send + Sync + 'static {
    /// The half that is written.
    type Sending: Sending;
    /// The half that is read.
    type Receiving: Receiving;

    /// Which transport it is.
    const TRANSPORT: Transport;

    /// The halves of the control frames; called once. A dialer's are open at once, an acceptor waits for them.
    fn control(&self, side: Side) -> impl Future<Output = Result<Halves<Self>, String>> + Send;

    /// Opens the halves of the own request with this number.
    fn open(&self, request: u64) -> impl Future<Output = Result<Halves<Self>, Gone>> + Send;

    /// The halves of the next request of the peer, or why there are no more. Safe to cancel.
    fn accept(&self) -> impl Future<Output = Result<Halves<Self>, LinkLost>> + Send;

    /// Closes it and tells the peer why; at once, whatever is still queued.
    fn close(&self, code: CloseCode, reason: &str);

    /// Waits until it is gone on both sides, as far as that can be seen.
    fn closed(&self) -> impl Future<Output = ()> + Send;

    /// Why it is gone; none while it is up.
    fn close_reason(&self) -> Option<LinkLost>;

    /// Round-trip time as last measured.
    fn rtt(&self) -> Duration;

    /// Mean round-trip time of what was measured since `mark`, which moves on; none where nothing was.
    fn rtt_since(&self, mark: &mut RttMark) -> Option<Duration>;

    /// Where the peer's datagrams come from.
    fn remote_address(&self) -> SocketAddr;
}

/// Both halves of a request or of the control frames.
pub(super) type Halves<W> = (<W as Wire>::Sending, <W as Wire>::Receiving);

/// A half that is written in whole frames.
pub(super) trait Sending: Send + 'static {
    /// Most payload in one Data frame, in bytes.
    const DATA_BYTES_MAX: usize;

    /// Writes a frame.
    fn write(&mut self, frame: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Writes a Data frame, and adds to `taken` the payload bytes that the connection has taken, also where it fails.
    fn write_data(&mut self, data: Data, taken: &mut u32) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Lets its frames go before those of other halves.
    fn go_first(&mut self);

    /// Nothing more will be written.
    ///
    /// # Errors
    /// [`Gone`] when the other side has taken it back.
    fn finish(&mut self) -> Result<(), Gone>;

    /// Breaks it off; what is queued need not arrive.
    fn reset(&mut self);

    /// Waits until the other side takes no more: because it has all of a finished half, or because it took it back.
    fn stopped(&self) -> impl Future<Output = ()> + Send;
}

/// A half that is read.
pub(super) trait Receiving: AsyncRead + Unpin + Send + 'static {
    /// What comes is not wanted any more.
    fn stop(&mut self);
}
