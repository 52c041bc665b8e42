//! A data channel as a link sees it: frames that share one channel, sorted by what they are about.
//!
//! A message is one frame. Data and Refuse belong to an own request, Request opens one of the peer's and Cancel takes it
//! back; everything else is a control frame. What one reader does not take keeps the others waiting, and in the end
//! the peer: its window fills.

mod receiving;
mod sending;
mod shared;
mod sort;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use freshet_protocol::limits::DATA_CHANNEL_BYTES_MAX;
use freshet_protocol::{Side, Transport};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;
use webrtc::data_channel::DataChannel;

use super::connection::Connection;
use super::keeper;
use crate::transport::rtt::RttMark;
use crate::transport::wire::{CloseCode, Gone, Halves, LinkLost, Wire};
use shared::Asked;

pub(in crate::transport) use receiving::ChannelReceiving;
pub(in crate::transport) use sending::ChannelSending;
pub(super) use shared::{End, Shared};

/// A Data frame with its head.
pub(super) const MESSAGE_BYTES_NEEDED: usize = DATA_CHANNEL_BYTES_MAX + 64;

/// A connection with its one channel.
#[derive(Clone)]
pub(in crate::transport) struct ChannelWire {
    shared: Arc<Shared>,
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
        let (shared, cancels) = Shared::new(connection.peer, channel, remote);
        let shared = Arc::new(shared);
        keeper::measure(&shared).await;
        tasks.spawn(keeper::keep(Arc::clone(&shared), connection.events, place));
        tasks.spawn(keeper::cancel(Arc::clone(&shared), cancels));
        tasks.spawn(keeper::time(Arc::clone(&shared)));
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
        let messages = self.shared.control().ok_or("the control frames are read already")?;
        Ok((ChannelSending::plain(&self.shared), ChannelReceiving::new(&self.shared, None, messages)))
    }

    async fn open(&self, request: u64) -> Result<Halves<Self>, Gone> {
        let messages = self.shared.open(request)?;
        Ok((
            ChannelSending::plain(&self.shared),
            ChannelReceiving::new(&self.shared, Some(request), messages),
        ))
    }

    async fn accept(&self) -> Result<Halves<Self>, LinkLost> {
        let Asked { request, frame, taken_back, is_registered } = self.shared.accept().await?;
        let sending = ChannelSending::answer(&self.shared, request, taken_back, is_registered);
        Ok((sending, ChannelReceiving::of(&self.shared, frame)))
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

    fn rtt_since(&self, _: &mut RttMark) -> Option<Duration> {
        let timed_us = self.shared.timed_us.swap(0, Ordering::Relaxed);
        (timed_us > 0).then(|| Duration::from_micros(timed_us))
    }

    fn remote_address(&self) -> SocketAddr {
        self.shared.remote()
    }
}
