//! The half of a link's stream that is read: the frames that were sorted out for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::shared::Shared;
use crate::transport::wire::Receiving;

/// A half that is read.
pub(in crate::transport) struct ChannelReceiving {
    shared: Arc<Shared>,
    /// The own request whose answer this is.
    request: Option<u64>,
    messages: mpsc::Receiver<Bytes>,
    /// Read of the channel and not yet of here.
    current: Bytes,
}

impl ChannelReceiving {
    /// Reads `messages`, which are the answer to an own `request` where there is one.
    pub(super) fn new(shared: &Arc<Shared>, request: Option<u64>, messages: mpsc::Receiver<Bytes>) -> Self {
        Self { shared: Arc::clone(shared), request, messages, current: Bytes::new() }
    }

    /// Reads one frame, and then the end.
    pub(super) fn of(shared: &Arc<Shared>, frame: Bytes) -> Self {
        let (_, nothing) = mpsc::channel(1);
        Self { shared: Arc::clone(shared), request: None, messages: nothing, current: frame }
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
