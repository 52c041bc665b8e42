//! The knobs of QUIC and of its UDP socket, and why they stand where they stand.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::limits::LINK_REQUESTS_MAX;
use quinn::congestion::{BbrConfig, CubicConfig};
use quinn::{
    AckFrequencyConfig, Connection, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::connection_ids::ConnectionIds;
use crate::transport::{Congestion, QuicSettings};

/// Socket buffers asked for, in bytes; systems cap them. The kernel's default overflows at bursts of a few
/// milliseconds, and each overflow halves the rate.
const SOCKET_BUFFER_BYTES: [usize; 2] = [8 << 20, 4 << 20];
/// Unread bytes that a peer may have under way on one stream: the largest chunk and its heads.
const STREAM_WINDOW_BYTES: u32 = 5 << 19;
/// The same for the whole link: 64 chunks of average size.
const LINK_WINDOW_BYTES: u32 = 8 << 20;
/// Bytes taken from the job and not yet acknowledged; full 80 MB/s at a round trip of 100 ms.
const SEND_WINDOW_BYTES: u64 = 8 << 20;
/// Streams a peer may have open: its requests, and the control stream.
const STREAMS_MAX: u32 = LINK_REQUESTS_MAX as u32 + 1;
/// Streams in one direction that a dialer may open: HTTP/3, which WebTransport runs on, has three and some for the future.
const UNI_STREAMS_MAX: u32 = 8;
/// HTTP/3 with WebTransport must take datagrams. Nobody sends any here; what comes beyond this is dropped.
const DATAGRAM_BYTES_MAX: usize = 4 << 10;
/// Largest UDP payload probed for: Ethernet less IPv4 and UDP heads. Over IPv6 the probes end at 1452.
const MTU_MAX: u16 = 1472;
/// Bytes under way on a new link before the first acknowledgement: 32 packets, as Google's QUIC has it, not the 10 of RFC
/// 9002. A chunk is 100 of them, and a link may be asked for no more than a few.
const FIRST_WINDOW_BYTES: u64 = 32 * MTU_MAX as u64;
/// Packets after which a peer must acknowledge. Home uplinks are narrow, and each acknowledgement takes from one.
const ACK_PACKETS: u32 = 20;
/// Longest wait of a peer with an acknowledgement.
const ACK_DELAY: Duration = Duration::from_millis(20);
/// Keeps NAT mappings open, of which the shortest live about 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Silence after which a link is gone.
const IDLE_MS: u32 = 15_000;
/// Assumed until measured. Quinn's 333 ms makes a first packet lost in a NAT cost a second.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Connections that wait to be looked at; the kernel's buffer before them is larger.
pub(super) const INCOMING_MAX: usize = 256;
/// Bytes that a connection may send before it is looked at.
pub(super) const INCOMING_BYTES_MAX: u64 = 64 << 10;

/// Settings of the socket.
pub(super) fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    // STUN shares the socket and is told from QUIC by this bit.
    config.grease_quic_bit(false);
    config.cid_generator(|| Box::new(ConnectionIds));
    config
}

/// Settings of each connection that this node dials.
pub(super) fn dialed(settings: QuicSettings) -> Arc<TransportConfig> {
    Arc::new(connection(settings))
}

/// Settings of each connection that comes in, whose protocol is not known before its handshake.
pub(super) fn accepted(settings: QuicSettings) -> Arc<TransportConfig> {
    let mut config = connection(settings);
    if settings.web_transport {
        config
            .max_concurrent_uni_streams(UNI_STREAMS_MAX.into())
            .datagram_receive_buffer_size(Some(DATAGRAM_BYTES_MAX));
    }
    Arc::new(config)
}

/// Makes room for the stream that a WebTransport session takes beside those of its link. A limit that grows by less
/// than an eighth is not told to the peer.
pub(super) fn allow_web_transport(connection: &Connection) {
    connection.set_max_concurrent_bi_streams((STREAMS_MAX + STREAMS_MAX / 4).into());
}

fn connection(settings: QuicSettings) -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_MAX);
    let mut ack = AckFrequencyConfig::default();
    ack.ack_eliciting_threshold(ACK_PACKETS.into()).max_ack_delay(Some(ACK_DELAY));
    config
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(ack))
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(LINK_WINDOW_BYTES.into())
        .send_window(SEND_WINDOW_BYTES)
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(0_u32.into())
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .initial_rtt(INITIAL_RTT)
        .enable_segmentation_offload(settings.segmentation_offload);
    match settings.congestion {
        Congestion::Cubic => {
            let mut cubic = CubicConfig::default();
            cubic.initial_window(FIRST_WINDOW_BYTES);
            config.congestion_controller_factory(Arc::new(cubic))
        }
        Congestion::Bbr => {
            let mut bbr = BbrConfig::default();
            bbr.initial_window(FIRST_WINDOW_BYTES);
            config.congestion_controller_factory(Arc::new(bbr))
        }
    };
    config
}

/// The one UDP socket of the node. Where a system has no IPv6, everywhere is everywhere in IPv4.
pub(super) fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let bound = bound_socket(address);
    let is_everywhere = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match bound {
        Err(error) if is_everywhere && error.kind() != io::ErrorKind::AddrInUse => {
            tracing::info!(%error, "no IPv6 here; IPv4 alone is listened to");
            bound_socket((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn bound_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // IPv4 peers come through the same socket.
        socket.set_only_v6(false)?;
    }
    // A smaller buffer costs speed, nothing else.
    let _ = SOCKET_BUFFER_BYTES.iter().find(|&&bytes| socket.set_recv_buffer_size(bytes).is_ok());
    let _ = SOCKET_BUFFER_BYTES.iter().find(|&&bytes| socket.set_send_buffer_size(bytes).is_ok());
    socket.bind(&address.into())?;
    tracing::debug!(
        receive_bytes = socket.recv_buffer_size().unwrap_or_default(),
        send_bytes = socket.send_buffer_size().unwrap_or_default(),
        "socket buffers"
    );
    Ok(socket.into())
}
