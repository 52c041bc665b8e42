//! What bytes cost on the wire.

use std::ops::Range;

use freshet_protocol::{ClientMessage, ServerMessage, varint_len};

use crate::random::Random;

/// Window from which on a connection is no longer held back.
pub(super) const WINDOW_BYTES_OPEN: u64 = 4 << 20;
/// Bytes of one packet, for counting losses.
const PACKET_BYTES: u64 = 1452;
/// IP, UDP and QUIC around a small message: 20 + 8, a short header, a packet number, a tag, a STREAM frame's head.
const MESSAGE_OVERHEAD_BYTES: u64 = 64;
/// IP, TCP, TLS and WebSocket around a tracker's message.
const TRACKER_OVERHEAD_BYTES: u64 = 80;
/// A Request frame: number, kind, 32 bytes of hash, offset, encodings, head.
const REQUEST_BYTES: u64 = 44;
/// An HTTP request for a range of a pack.
pub(super) const HTTP_REQUEST_BYTES: u64 = 350;
/// The head of its answer.
pub(super) const HTTP_HEAD_BYTES: u64 = 300;
/// A QUIC handshake with Hello, ticket and Proof, each way.
pub(super) const HANDSHAKE_BYTES: u64 = 4_000;
/// The tracker's Welcome.
pub(super) const TRACKER_WELCOME_BYTES: u64 = 400;
/// Pointer, key document and root with their envelopes.
pub(super) const ROOT_BYTES: u64 = 4_000;
/// A page's bytes for each chunk: 32 of hash, a size, its share of a file's entry.
pub(super) const PAGE_BYTES_PER_CHUNK: u64 = 40;

/// How much more than the payload travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overhead {
    /// QUIC over UDP: 94.3 % is payload. A packet of 1452 bytes carries about 1400, and the acknowledgements of what
    /// comes the other way take another 2.2 %.
    Quic,
    /// HTTP over TCP: 95 % is payload, 1460 of 1538 bytes on Ethernet.
    Tcp,
}

impl Overhead {
    /// Window that a connection starts with: 32 packets as nodes set it for QUIC, 10 for TCP (RFC 6928).
    pub(super) fn first_window_bytes(self) -> u64 {
        match self {
            Self::Quic => 32 * 1472,
            Self::Tcp => 10 * 1472,
        }
    }

    /// Bytes on the wire for `payload_bytes`.
    pub(super) fn wire_bytes(self, payload_bytes: u64) -> u64 {
        let payload_permille = match self {
            Self::Quic => 943,
            Self::Tcp => 950,
        };
        (payload_bytes * 1000).div_ceil(payload_permille)
    }
}

/// What loss costs a quantum: bytes sent again, and the delay in microseconds.
pub(super) fn loss(random: &mut Random, loss_ppm: u64, payload_bytes: u64, rtt_us: u64) -> (u64, u64) {
    if loss_ppm == 0 {
        return (0, 0);
    }
    let packets = payload_bytes.div_ceil(PACKET_BYTES);
    let lost = (0..packets).filter(|_| random.below(1_000_000) < loss_ppm).count() as u64;
    (lost * PACKET_BYTES, if lost > 0 { rtt_us } else { 0 })
}

/// A frame with ranges of positions.
pub(super) fn ranges_bytes(ranges: &[Range<u32>]) -> u64 {
    let mut end = 0;
    let mut bytes = MESSAGE_OVERHEAD_BYTES + 4;
    for range in ranges {
        bytes += (varint_len(u64::from(range.start.saturating_sub(end)))
            + varint_len(u64::from(range.end - range.start))) as u64;
        end = range.end;
    }
    bytes
}

/// A request for a chunk.
pub(super) fn request_bytes() -> u64 {
    MESSAGE_OVERHEAD_BYTES + REQUEST_BYTES
}

/// A frame of a few bytes: Refuse, Cancel, Bye.
pub(super) fn small_bytes() -> u64 {
    MESSAGE_OVERHEAD_BYTES + 8
}

/// A message to the tracker.
pub(super) fn to_tracker_bytes(message: &ClientMessage) -> u64 {
    TRACKER_OVERHEAD_BYTES + message.encode().len() as u64
}

/// A message from the tracker.
pub(super) fn from_tracker_bytes(message: &ServerMessage) -> u64 {
    TRACKER_OVERHEAD_BYTES + message.encode().len() as u64
}
