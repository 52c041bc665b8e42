//! A peer connection of the library with the settings that it needs, and its events in our own words.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidate, RTCIceGatheringState, RTCIceServer, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
    SettingEngineBuilder,
};

use super::runtime::ChannelRuntime;
use crate::transport::limits::CHANNEL_EVENTS_MAX;

/// Largest message, on both sides.
pub(super) const MESSAGE_BYTES_MAX: u32 = 64 << 10;
/// Bytes that a peer may have under way.
const RECEIVE_BUFFER_BYTES: u32 = 8 << 20;
/// Bytes handed over and not yet acknowledged, towards a node: full 25 MB/s at a round trip of 40 ms.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// The same towards a browser, whose sockets are small: what is sent in one go overflows them.
const BROWSER_SEND_BUFFER_BYTES: usize = 256 << 10;
/// How often ICE tries; the library's 200 ms make each connection wait for 0.6 s.
const CHECK_TIME: Duration = Duration::from_millis(50);
/// How often ICE tries each pair of candidates: for 3 s.
const CHECKS_MAX: u16 = 60;
/// How long ICE looks for something better than a candidate that a STUN server saw, or that came unannounced.
const BETTER_TIME: Duration = Duration::from_millis(100);
/// Silence after which a connection is in doubt, and then lost.
const DOUBT_TIME: Duration = Duration::from_secs(5);
const LOST_TIME: Duration = Duration::from_secs(10);
/// How often it is looked whether the peer is still there.
const ALIVE_TIME: Duration = Duration::from_secs(2);

/// What is made of.
#[derive(Debug, Clone)]
pub(super) struct ConnectionConfig {
    /// Where to listen; an unspecified address stands for each interface.
    pub(super) listen: SocketAddr,
    /// STUN servers, as `stun:HOST:PORT`.
    pub(super) stun: Vec<String>,
    /// Whether the other side is a browser.
    pub(super) is_browser: bool,
}

/// What happens on a connection.
pub(super) enum ConnectionEvent {
    Candidate(RTCIceCandidate),
    /// There are no further own candidates.
    Gathered,
    State(RTCPeerConnectionState),
    /// The peer opened a channel.
    Channel(Arc<dyn DataChannel>),
}

/// A connection and what happens on it.
pub(super) struct Connection {
    pub(super) peer: Arc<dyn PeerConnection>,
    pub(super) events: mpsc::Receiver<ConnectionEvent>,
}

impl Connection {
    pub(super) async fn open(config: ConnectionConfig) -> Result<Self, webrtc::error::Error> {
        let (sender, events) = mpsc::channel(CHANNEL_EVENTS_MAX);
        let settings = SettingEngineBuilder::new()
            // A peer near by is reached by its private address, or reaches this node by its own. Names of the
            // local network would need a socket on a port of the system's for each connection.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_sctp_max_receive_buffer_size(RECEIVE_BUFFER_BYTES)
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(MESSAGE_BYTES_MAX))
            .with_ice_timeouts(Some(DOUBT_TIME), Some(LOST_TIME), Some(ALIVE_TIME))
            .with_ice_connection_attempts(Some(CHECK_TIME), Some(CHECKS_MAX))
            .with_srflx_acceptance_min_wait(Some(BETTER_TIME))
            .with_prflx_acceptance_min_wait(Some(BETTER_TIME))
            .build();
        let servers = match config.stun.is_empty() {
            true => Vec::new(),
            false => vec![RTCIceServer { urls: config.stun, ..RTCIceServer::default() }],
        };
        let builder = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::default().with_ice_servers(servers).build())
            .with_setting_engine(settings)
            .with_runtime(Arc::new(ChannelRuntime { is_paced: config.is_browser }))
            .with_handler(Arc::new(Handler { events: sender }))
            .with_udp_addrs(listen_addresses(config.listen))
            .with_data_channel_send_buffer_limit(if config.is_browser {
                BROWSER_SEND_BUFFER_BYTES
            } else {
                SEND_BUFFER_BYTES
            });
        // What the library holds while it builds is large.
        let peer = Box::pin(builder.build()).await?;
        Ok(Self { peer: Arc::new(peer), events })
    }
}

/// Ports of their own: each connection has its sockets for itself. An IPv6 wildcard stands for both families.
fn listen_addresses(listen: SocketAddr) -> Vec<SocketAddr> {
    let own = SocketAddr::new(listen.ip(), 0);
    if listen.ip() == Ipv6Addr::UNSPECIFIED {
        vec![SocketAddr::from(([0, 0, 0, 0], 0)), own]
    } else {
        vec![own]
    }
}

/// Passes events on. The library stands still while it is called, so nothing waits here.
struct Handler {
    events: mpsc::Sender<ConnectionEvent>,
}

impl Handler {
    fn tell(&self, event: ConnectionEvent) {
        // Only a peer that opens channel after channel fills the queue, and it is dropped for the second.
        let _ = self.events.try_send(event);
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        self.tell(ConnectionEvent::Candidate(event.candidate));
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.tell(ConnectionEvent::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.tell(ConnectionEvent::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.tell(ConnectionEvent::Channel(channel));
    }
}
