//! The half of a link's stream that is written: all of them share the channel.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use freshet_protocol::Data;
use freshet_protocol::limits::DATA_CHANNEL_BYTES_MAX;
use tokio_util::sync::CancellationToken;

use super::MESSAGE_BYTES_NEEDED;
use super::shared::{Shared, lock};
use crate::transport::wire::{Gone, Sending};

/// How often it is looked whether an answer has been acknowledged.
const ACKNOWLEDGED_TIME: Duration = Duration::from_millis(5);

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

impl ChannelSending {
    /// A half for control frames, or for an own request.
    pub(super) fn plain(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), role: Role::Plain }
    }

    /// The half on which a request of the peer is answered.
    pub(super) fn answer(
        shared: &Arc<Shared>,
        request: u64,
        taken_back: CancellationToken,
        is_registered: bool,
    ) -> Self {
        let role = Role::Answer { request, taken_back, is_registered, ends_at: None };
        Self { shared: Arc::clone(shared), role }
    }

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
            *ends_at = Some(self.shared.sent_bytes());
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
