//! Generated frames.

use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;
use freshet_protocol::{BlobKind, Data, Encoding, Frame, Hello, KeyId, RefuseReason, Request, Seen};
use proptest::array::uniform32;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{content_name, hash, integer, public_key, root_id};

/// Frames of every type.
pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        hello().prop_map(Frame::Hello),
        vec(any::<u8>(), 64)
            .prop_map(|bytes| Frame::Proof { signature: bytes.try_into().expect("64 bytes") }),
        (0..16_u64, root_id(), 0..=1_u32 << 19, any::<bool>())
            .prop_map(|(release, root, chunks, sharing)| Frame::Release { release, root, chunks, sharing }),
        (0..16_u64, ranges()).prop_map(|(release, ranges)| Frame::Have { release, ranges }),
        (0..16_u64, ranges()).prop_map(|(release, ranges)| Frame::Withdraw { release, ranges }),
        (0..16_u64, ranges()).prop_map(|(release, ranges)| Frame::Fetching { release, ranges }),
        request().prop_map(Frame::Request),
        data().prop_map(Frame::Data),
        (integer(), reason()).prop_map(|(request, reason)| Frame::Refuse { request, reason }),
        integer().prop_map(|request| Frame::Cancel { request }),
        vec(any::<u8>(), 0..300).prop_map(|envelope| Frame::Pointer { envelope }),
        vec(any::<u8>(), 0..300).prop_map(|envelope| Frame::Keys { envelope }),
        rendition(),
        vec(any::<u8>(), 0..300).prop_map(|entry| Frame::Entry { entry }),
        vec(any::<u8>(), 0..=1024).prop_map(|ticket| Frame::Ticket { ticket }),
        (any::<bool>(), vec(hash().prop_map(KeyId), 0..=16))
            .prop_map(|(asks, keys)| Frame::Peers { asks, keys }),
        signal(),
        "\\PC{0,32}".prop_map(|reason| Frame::Bye { reason }),
    ]
}

fn signal() -> impl Strategy<Value = Frame> {
    let seen = (any::<IpAddr>(), any::<u16>(), any::<bool>())
        .prop_map(|(ip, port, is_near)| Seen { address: (ip.to_canonical(), port).into(), is_near });
    (hash(), proptest::option::of(seen), vec(any::<u8>(), 0..300))
        .prop_map(|(key, seen, data)| Frame::Signal { key: KeyId(key), seen, data })
}

fn rendition() -> impl Strategy<Value = Frame> {
    (0..16_u64, content_name(), integer(), "[a-z0-9/]{1,40}", any::<bool>()).prop_map(
        |(release, stream, epoch, rendition, sharing)| Frame::Rendition {
            release,
            stream,
            epoch,
            rendition,
            sharing,
        },
    )
}

fn hello() -> impl Strategy<Value = Hello> {
    let versions = (integer(), integer()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    (versions, integer(), uniform32(any::<u8>()), public_key(), vec(any::<u8>(), 0..=1024), "\\PC{0,16}")
        .prop_map(|((version_min, version_max), features, nonce, key, ticket, agent)| Hello {
            version_min,
            version_max,
            features,
            nonce,
            key,
            ticket,
            agent,
        })
}

/// Up to the most ranges that a frame holds.
fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
    let most = prop_oneof![9 => 0..20_usize, 1 => Just(1024_usize)];
    most.prop_flat_map(|count| vec((0..1_u64 << 42, 1..200_u64), count)).prop_map(|gaps| {
        let mut end = 0;
        let mut next = |(gap, len): (u64, u64)| {
            let start = end + gap;
            end = start + len;
            start..end
        };
        gaps.into_iter().map(&mut next).collect()
    })
}

fn request() -> impl Strategy<Value = Request> {
    let kind = prop_oneof![Just(BlobKind::Chunk), Just(BlobKind::Page), Just(BlobKind::Root)];
    (integer(), kind, hash(), 0..=2_u32 << 20, integer()).prop_map(
        |(request, kind, hash, offset, encodings)| Request { request, kind, hash, offset, encodings },
    )
}

fn data() -> impl Strategy<Value = Data> {
    let encoding = prop_oneof![Just(Encoding::Identity), Just(Encoding::Zstd), Just(Encoding::Gzip)];
    let payload = prop_oneof![9 => vec(any::<u8>(), 0..300), 1 => Just(vec![7; 64 << 10])];
    (integer(), encoding, 0..=1_u32 << 20, payload).prop_map(|(request, encoding, more, payload)| Data {
        request,
        encoding,
        total: payload.len() as u32 + more,
        payload: Bytes::from(payload),
    })
}

fn reason() -> impl Strategy<Value = RefuseReason> {
    prop_oneof![
        Just(RefuseReason::NotHeld),
        Just(RefuseReason::Busy),
        Just(RefuseReason::Budget),
        Just(RefuseReason::NotSharing),
        Just(RefuseReason::Other),
    ]
}
