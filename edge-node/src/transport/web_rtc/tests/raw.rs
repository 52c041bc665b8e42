//! A peer on a data channel that says what a test wants it to say.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use freshet_protocol::{Decoded, Frame, LinkBinding, Locality, Side};
use tokio::sync::{Semaphore, mpsc};
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::PeerConnection;

use super::meeting::{PAIR, candidates};
use crate::transport::frames::FrameReader;
use crate::transport::hello::{Introduction, introduce};
use crate::transport::limits::SIGNALS_MAX;
use crate::transport::meet::Ends;
use crate::transport::quic::tests::node::{Node, identity, soon, ticket, tracker};
use crate::transport::quic::tests::raw::AdmitAny;
use crate::transport::seats::Pairing;
use crate::transport::switchboard::Switchboard;
use crate::transport::web_rtc::connection::ConnectionConfig;
use crate::transport::web_rtc::partners::{Partner, Partners};
use crate::transport::web_rtc::set_up::{self, Begin};
use crate::transport::web_rtc::signal::Signal;
use crate::transport::web_rtc::wire::{ChannelReceiving, ChannelSending, ChannelWire};
use crate::transport::wire::Wire;
use crate::transport::{LinkHandle, TransportEvent};

/// A raw peer's end of a link.
pub(super) struct Raw {
    pub(super) wire: ChannelWire,
    pub(super) reader: FrameReader<ChannelReceiving>,
    _send: ChannelSending,
}

impl Raw {
    /// Dials the node and links with it.
    pub(super) async fn link(seed: u8, node: &mut Node) -> (Self, LinkHandle) {
        let identity = identity(seed);
        let (events_in, mut events) = mpsc::channel(100);
        let board = Arc::new(Switchboard::new(
            Arc::clone(&identity),
            "raw".to_owned(),
            4,
            Default::default(),
            None,
            events_in,
        ));
        let pairing = Pairing { pair: PAIR, locality: Locality::Any, since: Instant::now() };
        let partner = Partner::new(pairing, &candidates(), node.key);
        let config = ConnectionConfig {
            listen: "127.0.0.1:0".parse().expect("address"),
            stun: vec![],
            is_browser: partner.is_browser,
        };
        node.transport.expect(PAIR, &candidates(), identity.key_id(), Locality::Any);
        let (signals_in, signals) = mpsc::channel(SIGNALS_MAX);
        let mut partners = Partners::default();
        partners.talk(partner.clone(), signals_in, Instant::now());
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        let mut connecting = Box::pin(set_up::connect(&board, config, partner, Begin::Offer, signals, place));
        let ends: Ends<ChannelWire> = soon(async {
            loop {
                tokio::select! {
                    ends = &mut connecting => break ends.expect("connected"),
                    Some(TransportEvent::Signal { pair, data }) = events.recv() => node.transport.signal(pair, &data),
                    Some(TransportEvent::Signal { data, .. }) = node.events.recv() => {
                        partners.hear(PAIR, Signal::read(&data).expect("a signal"), Instant::now());
                    }
                }
            }
        })
        .await;
        let (mut send, recv) = ends.wire.control(Side::Dialer).await.expect("control frames");
        let mut reader = FrameReader::new(recv);
        let introduction = Introduction {
            identity: &identity,
            agent: "raw",
            ticket: ticket(identity.key_id()).seal(&tracker()),
            side: Side::Dialer,
            binding: LinkBinding { dialer: ends.own, acceptor: ends.theirs },
            expected: None,
        };
        introduce(&introduction, &AdmitAny, &mut reader, &mut send).await.expect("introduced");
        let handle = loop {
            match node.next().await {
                TransportEvent::LinkUp { handle, .. } => break handle,
                TransportEvent::Signal { .. } => {}
                other => panic!("instead of LinkUp: {other:?}"),
            }
        };
        (Self { wire: ends.wire, reader, _send: send }, handle)
    }

    pub(super) fn channel(&self) -> &dyn DataChannel {
        self.wire.shared().channel.as_ref()
    }

    pub(super) fn connection(&self) -> &dyn PeerConnection {
        self.wire.shared().peer.as_ref()
    }

    /// Sends a message as it is.
    pub(super) async fn say(&self, message: &[u8]) {
        soon(self.channel().send(BytesMut::from(message))).await.expect("sent");
    }

    /// The reason of the node's Bye.
    pub(super) async fn bye(&mut self) -> String {
        loop {
            let frame = soon(self.reader.next()).await.expect("frames").expect("Bye comes before the end");
            if let Decoded::Frame(Frame::Bye { reason }) = frame.decoded {
                return reason;
            }
        }
    }
}
