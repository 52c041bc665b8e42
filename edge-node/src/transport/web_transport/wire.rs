//! A WebTransport session as a link sees it: a stream for the control frames, and one for each request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::limits::DATA_BYTES_MAX;
use freshet_protocol::{Data, Side, Transport};
use web_transport_quinn::{RecvStream, SendStream, Session, SessionError, WebTransportError};

use crate::transport::printable::{cut, printable};
use crate::transport::rtt::RttMark;
use crate::transport::wire::{CloseCode, Gone, Halves, LinkLost, Receiving, Sending, Wire};

/// Longest reason sent with a close, in bytes.
const REASON_BYTES_MAX: usize = 256;
/// Code with which a stream is reset or stopped: its blob is no longer wanted, or no longer to be had.
const CODE_CANCELLED: u32 = 0;
/// Priority of the control stream; streams of requests have 0.
const CONTROL_PRIORITY: i32 = 1;

/// A session, which has its connection for itself.
#[derive(Debug, Clone)]
pub(in crate::transport) struct WebWire {
    session: Session,
}

impl WebWire {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }
}

impl Wire for WebWire {
    type Sending = SendStream;
    type Receiving = RecvStream;

    const TRANSPORT: Transport = Transport::WebTransport;

    async fn control(&self, side: Side) -> Result<Halves<Self>, String> {
        match side {
            Side::Dialer => self.session.open_bi().await,
            Side::Acceptor => self.session.accept_bi().await,
        }
        .map_err(|error| describe(&error))
    }

    async fn open(&self, _: u64) -> Result<Halves<Self>, Gone> {
        self.session.open_bi().await.map_err(|_| Gone)
    }

    async fn accept(&self) -> Result<Halves<Self>, LinkLost> {
        self.session.accept_bi().await.map_err(|error| LinkLost::Lost(describe(&error)))
    }

    fn close(&self, code: CloseCode, reason: &str) {
        self.session.close(code.number(), cut(reason, REASON_BYTES_MAX).as_bytes());
    }

    async fn closed(&self) {
        self.session.closed().await;
    }

    fn close_reason(&self) -> Option<LinkLost> {
        self.session.close_reason().map(|error| LinkLost::Lost(describe(&error)))
    }

    fn rtt(&self) -> Duration {
        self.session.rtt()
    }

    fn rtt_since(&self, mark: &mut RttMark) -> Option<Duration> {
        let stats = quinn::Connection::stats(&self.session);
        mark.since(stats.path.rtt, stats.frame_rx.acks)
    }

    fn remote_address(&self) -> SocketAddr {
        self.session.remote_address()
    }
}

impl Sending for SendStream {
    const DATA_BYTES_MAX: usize = DATA_BYTES_MAX;

    async fn write(&mut self, frame: Bytes) -> Result<(), Gone> {
        self.write_chunk(frame).await.map_err(|_| Gone)
    }

    async fn write_data(&mut self, data: Data, taken: &mut u32) -> Result<(), Gone> {
        self.write_chunk(data.head().into()).await.map_err(|_| Gone)?;
        let mut pieces = [data.payload];
        while !pieces[0].is_empty() {
            *taken += self.write_chunks(&mut pieces).await.map_err(|_| Gone)?.bytes as u32;
        }
        Ok(())
    }

    fn go_first(&mut self) {
        // Fails only for a stream that is closed already, as do the others here.
        let _ = self.set_priority(CONTROL_PRIORITY);
    }

    fn finish(&mut self) -> Result<(), Gone> {
        SendStream::finish(self).map_err(|_| Gone)
    }

    fn reset(&mut self) {
        let _ = SendStream::reset(self, CODE_CANCELLED);
    }

    async fn stopped(&self) {
        // When the session is gone, its link says so.
        let _ = SendStream::stopped(self).await;
    }
}

impl Receiving for RecvStream {
    fn stop(&mut self) {
        let _ = RecvStream::stop(self, CODE_CANCELLED);
    }
}

/// Why a session is gone, for people.
fn describe(error: &SessionError) -> String {
    match error {
        SessionError::WebTransportError(WebTransportError::Closed(code, reason)) => {
            let reason = printable(reason);
            if *code == CloseCode::Bye.number() {
                format!("the peer closed: {reason}")
            } else {
                format!("the peer refused: {reason}")
            }
        }
        SessionError::ConnectionError(quinn::ConnectionError::TimedOut) => {
            "the peer does not answer".to_owned()
        }
        // A page that was left closes its connection without a word.
        SessionError::ConnectionError(quinn::ConnectionError::ApplicationClosed(_)) => {
            "the peer closed its connection".to_owned()
        }
        other => printable(&other.to_string()),
    }
}
