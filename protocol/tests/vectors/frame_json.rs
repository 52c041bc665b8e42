//! Frames as the vectors show them.

use std::ops::Range;

use freshet_protocol::{BlobKind, Data, Encoding, Frame, Hello, RefuseReason, Request};
use serde_json::{Value, json};

use super::case::hex;

/// The frame as JSON.
pub(super) fn frame_json(frame: &Frame) -> Value {
    match frame {
        Frame::Hello(hello) => hello_json(hello),
        Frame::Proof { signature } => json!({ "type": "proof", "signature": hex(signature) }),
        Frame::Release { release, root, chunks, sharing } => {
            json!({ "type": "release", "release": release, "root": root, "chunks": chunks, "sharing": sharing })
        }
        Frame::Rendition { release, stream, epoch, rendition, sharing } => json!({
            "type": "rendition",
            "release": release,
            "stream": stream,
            "epoch": epoch,
            "rendition": rendition,
            "sharing": sharing,
        }),
        Frame::Have { release, ranges } => positions_json("have", *release, ranges),
        Frame::Withdraw { release, ranges } => positions_json("withdraw", *release, ranges),
        Frame::Fetching { release, ranges } => positions_json("fetching", *release, ranges),
        Frame::Request(request) => request_json(request),
        Frame::Data(data) => data_json(data),
        Frame::Refuse { request, reason } => {
            json!({ "type": "refuse", "request": request, "reason": reason_text(*reason) })
        }
        Frame::Cancel { request } => json!({ "type": "cancel", "request": request }),
        Frame::Pointer { envelope } => json!({ "type": "pointer", "envelope": hex(envelope) }),
        Frame::Keys { envelope } => json!({ "type": "keys", "envelope": hex(envelope) }),
        Frame::Entry { entry } => json!({ "type": "entry", "entry": hex(entry) }),
        Frame::Ticket { ticket } => json!({ "type": "ticket", "ticket": hex(ticket) }),
        Frame::Peers { asks, keys } => json!({ "type": "peers", "asks": asks, "keys": keys }),
        Frame::Signal { key, seen, data } => {
            let seen = seen.map(|seen| json!({ "address": seen.address, "near": seen.is_near }));
            json!({ "type": "signal", "key": key, "seen": seen, "data": hex(data) })
        }
        Frame::Bye { reason } => json!({ "type": "bye", "reason": reason }),
    }
}

fn hello_json(hello: &Hello) -> Value {
    json!({
        "type": "hello",
        "version_min": hello.version_min,
        "version_max": hello.version_max,
        "features": hello.features,
        "nonce": hex(&hello.nonce),
        "key": hello.key,
        "ticket": hex(&hello.ticket),
        "agent": hello.agent,
    })
}

fn positions_json(kind: &str, release: u64, ranges: &[Range<u64>]) -> Value {
    let ranges: Vec<_> =
        ranges.iter().map(|range| json!({ "start": range.start, "end": range.end })).collect();
    json!({ "type": kind, "release": release, "ranges": ranges })
}

fn request_json(request: &Request) -> Value {
    json!({
        "type": "request",
        "request": request.request,
        "kind": match request.kind {
            BlobKind::Chunk => "chunk",
            BlobKind::Page => "page",
            BlobKind::Root => "root",
        },
        "hash": request.hash,
        "offset": request.offset,
        "encodings": request.encodings,
    })
}

fn data_json(data: &Data) -> Value {
    json!({
        "type": "data",
        "request": data.request,
        "encoding": encoding_text(data.encoding),
        "total": data.total,
        "payload": hex(&data.payload),
    })
}

fn encoding_text(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Identity => "identity",
        Encoding::Zstd => "zstd",
        Encoding::Gzip => "gzip",
    }
}

fn reason_text(reason: RefuseReason) -> &'static str {
    match reason {
        RefuseReason::NotHeld => "not-held",
        RefuseReason::Busy => "busy",
        RefuseReason::Budget => "budget",
        RefuseReason::NotSharing => "not-sharing",
        RefuseReason::Other => "other",
    }
}
