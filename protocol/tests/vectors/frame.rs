//! Frames of the peer protocol, and of an invented next version.

use bytes::Bytes;
use freshet_protocol::{
    BlobKind, Data, Decoded, Encoding, Frame, Hash, Hello, PublicKey, RefuseReason, Request, RootId,
    WireError, put_bytes, put_varint,
};
use serde_json::json;

use super::case::{Case, hex, hex_input};
use super::frame_json::frame_json;
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "frame",
    what: "frames, one a case (trailing: bytes follow it); incomplete means that more bytes are awaited, skipped that an optional frame is not known",
    build,
    judge: judge_common,
    corpus: Some(("frame", Case::bytes)),
};

/// Frames by which peers are introduced have vectors of their own; here they are skipped, as by browsers.
fn judge_common(case: &Case) -> Result<Judged, Fault> {
    const UNKNOWN: u8 = 63;
    let mut bytes = case.bytes();
    let Some(kind) = bytes.first().copied().filter(|kind| [11, 13].contains(kind)) else {
        return judge_bytes(bytes);
    };
    bytes[0] = UNKNOWN;
    judge_bytes(bytes).map(|_| Judged::read(json!({ "type": "skipped", "kind": kind })))
}

pub(super) fn judge(case: &Case) -> Result<Judged, Fault> {
    judge_bytes(case.bytes())
}

fn judge_bytes(bytes: Vec<u8>) -> Result<Judged, Fault> {
    let mut bytes = Bytes::from(bytes);
    let decoded = Frame::decode(&mut bytes)?.ok_or_else(|| fault("incomplete"))?;
    if !bytes.is_empty() {
        return Err(WireError::Trailing.into());
    }
    Ok(match decoded {
        Decoded::Frame(frame) => Judged::written(frame_json(&frame), frame.encode()),
        Decoded::Skipped(kind) => Judged::read(json!({ "type": "skipped", "kind": kind })),
    })
}

pub(super) fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        features: 0,
        nonce: [1; 32],
        key: PublicKey([2; 32]),
        ticket: vec![3; 8],
        agent: "freshet/0.1 물결".to_owned(),
    }
}

/// A frame whose type and body are written by hand.
pub(super) fn raw(kind: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, kind);
    put_bytes(&mut out, body);
    out
}

/// Numbers, one after the other.
pub(super) fn numbers(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| put_varint(&mut out, *value));
    out
}

const MAX: u64 = (1 << 53) - 1;

fn build(cases: &mut Cases) {
    build_openings(cases);
    build_positions(cases);
    build_transfers(cases);
    build_next_version(cases);
    build_heads(cases);
    build_opening_faults(cases);
    build_position_faults(cases);
    build_transfer_faults(cases);
    build_other_faults(cases);
}

pub(super) fn valid(cases: &mut Cases, name: &str, frame: &Frame) {
    cases.valid(name, hex_input(&frame.encode()), frame_json(frame));
}

fn build_openings(cases: &mut Cases) {
    let mut valid = |name: &str, frame: Frame| valid(cases, name, &frame);
    valid("hello", Frame::Hello(hello()));
    let largest = Hello {
        version_min: 0,
        version_max: MAX,
        features: MAX,
        ticket: vec![9; 1024],
        agent: "a".repeat(64),
        ..hello()
    };
    valid("hello, each value at its limit", Frame::Hello(largest));
    valid(
        "hello of who speaks versions 2 to 3",
        Frame::Hello(Hello { version_min: 2, version_max: 3, ..hello() }),
    );
    valid(
        "hello without ticket and agent",
        Frame::Hello(Hello { ticket: vec![], agent: String::new(), ..hello() }),
    );
    valid("proof", Frame::Proof { signature: [7; 64] });
    let root = RootId::of(b"root");
    valid("release", Frame::Release { release: 0, root, chunks: 480_000, sharing: true });
    valid(
        "release, each value at its limit",
        Frame::Release { release: 15, root, chunks: 1 << 19, sharing: false },
    );
    let rendition = |release, epoch, rendition: String| Frame::Rendition {
        release,
        stream: "site/show".parse().expect("name"),
        epoch,
        rendition,
        sharing: true,
    };
    valid("rendition", rendition(3, 1, "720p/index.m3u8".to_owned()));
    valid("rendition, each value at its limit", rendition(15, MAX, "x".repeat(1024)));
    valid("entry", Frame::Entry { entry: vec![1, 2, 3] });
    valid("entry of the largest size", Frame::Entry { entry: vec![1; 36 << 10] });
    valid("pointer", Frame::Pointer { envelope: b"{}".to_vec() });
    valid("keys", Frame::Keys { envelope: b"{}".to_vec() });
    valid("ticket", Frame::Ticket { ticket: vec![1; 1024] });
    valid("ticket of no bytes", Frame::Ticket { ticket: vec![] });
    valid("bye", Frame::Bye { reason: "done".to_owned() });
    valid("bye with the longest reason", Frame::Bye { reason: "é".repeat(64) });
    valid("bye with a byte order mark", Frame::Bye { reason: "\u{feff}done".to_owned() });
}

fn build_positions(cases: &mut Cases) {
    let mut valid = |name: &str, frame: Frame| valid(cases, name, &frame);
    valid("have", Frame::Have { release: 1, ranges: vec![0..4, 6..7, 100..20_000] });
    valid("have, nothing", Frame::Have { release: 1, ranges: Vec::new() });
    valid("have, ranges that touch", Frame::Have { release: 1, ranges: vec![0..4, 4..5] });
    let whole = 0..MAX;
    valid("have, all that can be", Frame::Have { release: 15, ranges: Vec::from([whole]) });
    let last = MAX - 1..MAX;
    valid("withdraw, the last position", Frame::Withdraw { release: 0, ranges: Vec::from([last]) });
    valid("fetching", Frame::Fetching { release: 2, ranges: vec![5..9, 11..12] });
    let many = (0..1024).map(|n| 2 * n..2 * n + 1).collect();
    valid("have, 1024 ranges", Frame::Have { release: 1, ranges: many });
}

fn build_transfers(cases: &mut Cases) {
    let mut valid = |name: &str, frame: Frame| valid(cases, name, &frame);
    let request = Request { request: 1, kind: BlobKind::Chunk, hash: Hash([4; 32]), offset: 0, encodings: 2 };
    valid("request of a chunk", Frame::Request(request));
    valid("request of a page", Frame::Request(Request { kind: BlobKind::Page, ..request }));
    valid("request of a root", Frame::Request(Request { kind: BlobKind::Root, ..request }));
    let largest = Request { request: MAX, offset: 2 << 20, encodings: MAX, ..request };
    valid("request, each value at its limit, unknown encodings", Frame::Request(largest));
    let payload = Bytes::from_static(b"payload");
    let data = |encoding, total| Frame::Data(Data { request: 1, encoding, total, payload: payload.clone() });
    valid("data, plain, whole", data(Encoding::Identity, 7));
    valid("data, zstd, part of the largest", data(Encoding::Zstd, 2 << 20));
    valid("data, gzip", data(Encoding::Gzip, 8));
    let none = Data { request: 1, encoding: Encoding::Identity, total: 0, payload: Bytes::new() };
    valid("data, nothing", Frame::Data(none));
    let refuse = |reason| Frame::Refuse { request: 1, reason };
    valid("refuse, not held", refuse(RefuseReason::NotHeld));
    valid("refuse, busy", refuse(RefuseReason::Busy));
    valid("refuse, budget", refuse(RefuseReason::Budget));
    valid("refuse, not sharing", refuse(RefuseReason::NotSharing));
    valid("refuse, other", refuse(RefuseReason::Other));
    valid("cancel", Frame::Cancel { request: MAX });
}

fn build_next_version(cases: &mut Cases) {
    let skipped = |kind: u64| json!({ "type": "skipped", "kind": kind });
    cases.valid("next version: optional frame 1001", hex_input(&raw(1001, b"anything")), skipped(1001));
    cases.valid("next version: optional frame of a high type", hex_input(&raw(MAX, b"")), skipped(MAX));
    let longer = [&Frame::Hello(hello()).encode()[3..], b"fields of a later version"].concat();
    let fields = frame_json(&Frame::Hello(hello()));
    cases.lenient("next version: hello with further fields", hex_input(&raw(0, &longer)), fields);
    let other = frame_json(&Frame::Refuse { request: 1, reason: RefuseReason::Other });
    cases.lenient("next version: refuse for a new reason", hex_input(&raw(14, &numbers(&[1, 77]))), other);

    let mut critical = |name: &str, kind: u64, bytes: &[u8]| {
        cases.invalid(name, hex_input(bytes), fault_about("unknown-critical", kind));
    };
    critical("next version: critical frame 1000", 1000, &raw(1000, b"anything"));
    critical("next version: critical frame of a high type", MAX - 1, &raw(MAX - 1, b""));
    critical("next version: critical frame, known from its head", 1002, &numbers(&[1002, 500]));
}

fn build_heads(cases: &mut Cases) {
    let mut incomplete =
        |name: &str, bytes: &[u8]| cases.invalid(name, hex_input(bytes), fault("incomplete"));
    let cancel = Frame::Cancel { request: 300 }.encode();
    incomplete("nothing", &[]);
    incomplete("type only", &cancel[..1]);
    incomplete("head only", &cancel[..2]);
    incomplete("cut off", &cancel[..3]);
    incomplete("half a type", &[0x40]);
    incomplete("an optional frame cut off", &raw(1001, b"anything")[..5]);

    let mut head =
        |name: &str, bytes: &[u8], error: WireError| cases.invalid(name, hex_input(bytes), error.into());
    head("a type in two bytes", &[0x40, 0x10, 1, 1], WireError::IntegerNotShortest);
    head("a type beyond 2^53-1", &[0xff; 8], WireError::IntegerTooLarge);
    head("a length in two bytes", &[0x10, 0x40, 0x01, 1], WireError::IntegerNotShortest);
    head("a body one byte over the limit", &numbers(&[16, 65_601]), WireError::OverLimit("frame size"));
    head("an optional body over the limit", &numbers(&[1001, MAX]), WireError::OverLimit("frame size"));
}

pub(super) fn refused(cases: &mut Cases, name: &str, kind: u64, body: &[u8], error: WireError) {
    cases.invalid(name, hex_input(&raw(kind, body)), error.into());
}

fn build_opening_faults(cases: &mut Cases) {
    let body = |hello: Hello| Frame::Hello(hello).encode()[3..].to_vec();
    let good = body(hello());
    let mut hello_fault = |name: &str, bytes: &[u8], error| refused(cases, name, 0, bytes, error);
    hello_fault("hello cut off", &good[..good.len() - 1], WireError::Truncated);
    hello_fault("hello of nothing", &[], WireError::Truncated);
    let upside_down = [&[3, 2], &good[2..]].concat();
    hello_fault("hello with versions 3 to 2", &upside_down, WireError::Invalid("version range"));
    let head = &good[..3 + 64];
    let ticket = [head, &numbers(&[1025]), &[0; 1026]].concat();
    hello_fault("hello with a ticket of 1025 bytes", &ticket, WireError::OverLimit("ticket"));
    let agent = [head, &[0], &numbers(&[65]), &[b'a'; 65]].concat();
    hello_fault("hello with an agent of 65 bytes", &agent, WireError::OverLimit("agent"));
    let agent = [head, &[0, 1, 0xff]].concat();
    hello_fault("hello with an agent that is not UTF-8", &agent, WireError::Invalid("agent"));

    let mut fault = |name: &str, kind, bytes: &[u8], error| refused(cases, name, kind, bytes, error);
    fault("proof of 63 bytes", 2, &[7; 63], WireError::Truncated);
    fault("proof of 65 bytes", 2, &[7; 65], WireError::Trailing);
    let release = |number: u64, chunks: u64, tail: &[u8]| {
        [&numbers(&[number]), &[5; 32][..], &numbers(&[chunks]), tail].concat()
    };
    fault("release number 16", 4, &release(16, 1, &[1]), WireError::OverLimit("release number"));
    fault(
        "release of too many chunks",
        4,
        &release(1, (1 << 19) + 1, &[1]),
        WireError::OverLimit("number of chunks"),
    );
    fault("release with sharing 2", 4, &release(1, 1, &[2]), WireError::Invalid("sharing flag"));
    let rendition = |stream: &[u8], path: &[u8], sharing: &[u8]| {
        let (stream_len, path_len) = (numbers(&[stream.len() as u64]), numbers(&[path.len() as u64]));
        [&[3], &stream_len[..], stream, &[1], &path_len, path, sharing].concat()
    };
    let mut of_rendition = |name: &str, bytes: &[u8], error| fault(name, 20, bytes, error);
    of_rendition("rendition of no stream", &rendition(b"show", b"a", &[1]), WireError::Invalid("stream"));
    of_rendition(
        "rendition with a query",
        &rendition(b"site/show", b"a?b", &[1]),
        WireError::Invalid("rendition"),
    );
    let long = rendition(b"site/show", &[b'a'; 1025], &[1]);
    of_rendition("rendition of 1025 bytes", &long, WireError::OverLimit("rendition"));
    of_rendition(
        "rendition with sharing 2",
        &rendition(b"site/show", b"a", &[2]),
        WireError::Invalid("sharing flag"),
    );
    of_rendition("rendition without sharing", &rendition(b"site/show", b"a", &[]), WireError::Truncated);
    fault("release without sharing", 4, &release(1, 1, &[]), WireError::Truncated);
    fault("release with a byte behind", 4, &release(1, 1, &[1, 0]), WireError::Trailing);
}

fn build_position_faults(cases: &mut Cases) {
    let mut fault = |name: &str, kind, body: &[u64], error| refused(cases, name, kind, &numbers(body), error);
    fault("have for release 16", 6, &[16, 0], WireError::OverLimit("release number"));
    fault("have, 1025 ranges", 6, &[1, 1025], WireError::OverLimit("number of ranges"));
    fault("have, fewer ranges than it says", 6, &[1, 2, 0, 0], WireError::Truncated);
    fault("have, more ranges than it says", 6, &[1, 1, 0, 0, 5, 5], WireError::Trailing);
    fault(
        "have, a second start beyond 2^53-1",
        6,
        &[1, 2, 0, 0, MAX, 0],
        WireError::OverLimit("range start"),
    );
    fault("have, a length beyond 2^53-1", 6, &[1, 1, 0, MAX], WireError::OverLimit("range length"));
    fault("have, an end beyond 2^53-1", 6, &[1, 1, 1, MAX - 1], WireError::OverLimit("range end"));
    fault("have, a second range beyond", 6, &[1, 2, 0, MAX - 1, 1, 0], WireError::OverLimit("range start"));
    fault("withdraw for release 16", 8, &[16, 0], WireError::OverLimit("release number"));
    fault("withdraw of nothing at all", 8, &[], WireError::Truncated);
    fault("fetching, 1025 ranges", 1, &[1, 1025], WireError::OverLimit("number of ranges"));
    fault("fetching with a number behind", 1, &[1, 0, 0], WireError::Trailing);
}

fn build_transfer_faults(cases: &mut Cases) {
    let request =
        |kind: u8, offset: u64, tail: &[u8]| [&[1, kind], &[4; 32][..], &numbers(&[offset]), tail].concat();
    let mut fault = |name: &str, kind, bytes: &[u8], error| refused(cases, name, kind, bytes, error);
    fault("request of blob kind 3", 10, &request(3, 0, &[0]), WireError::Invalid("blob kind"));
    fault("request beyond 2 MiB", 10, &request(0, (2 << 20) + 1, &[0]), WireError::OverLimit("offset"));
    fault("request cut off", 10, &request(0, 0, &[]), WireError::Truncated);
    fault("request with a byte behind", 10, &request(0, 0, &[0, 0]), WireError::Trailing);
    fault("request number beyond 2^53-1", 10, &[0xc0, 0x20, 0, 0, 0, 0, 0, 0], WireError::IntegerTooLarge);
    fault("data in encoding 3", 12, &numbers(&[1, 3, 7]), WireError::Invalid("encoding"));
    fault(
        "data of an answer beyond 2 MiB",
        12,
        &numbers(&[1, 0, (2 << 20) + 1]),
        WireError::OverLimit("answer size"),
    );
    fault("data longer than its answer", 12, &[1, 0, 1, 9, 9], WireError::OverLimit("data size"));
    fault("data cut off in its head", 12, &[1, 0], WireError::Truncated);
    fault("refuse without reason", 14, &[1], WireError::Truncated);
    fault("refuse with a byte behind", 14, &[1, 0, 0], WireError::Trailing);
    fault("cancel of nothing", 16, &[], WireError::Truncated);
    fault("cancel with a byte behind", 16, &[1, 1], WireError::Trailing);
    let large = numbers(&[12, 65_537 + 6, 1, 0, 70_000]);
    let large = json!({ "parts": [{ "hex": hex(&large) }, { "hex": "00", "times": 65_537 }] });
    cases.invalid("data of 65537 bytes", large, WireError::OverLimit("data size").into());
}

fn build_other_faults(cases: &mut Cases) {
    let bye = |len: u64, bytes: &[u8]| [&numbers(&[len]), bytes].concat();
    let mut fault = |name: &str, kind, bytes: &[u8], error| refused(cases, name, kind, bytes, error);
    fault("bye with a reason of 129 bytes", 18, &bye(129, &[b'a'; 129]), WireError::OverLimit("reason"));
    fault("bye with a reason that is not UTF-8", 18, &bye(2, &[0xc0, 0x80]), WireError::Invalid("reason"));
    fault("bye with half a surrogate pair", 18, &bye(3, &[0xed, 0xa0, 0x80]), WireError::Invalid("reason"));
    fault("bye cut off", 18, &bye(2, b"a"), WireError::Truncated);
    fault("bye with a byte behind", 18, &bye(1, b"ab"), WireError::Trailing);
    fault("ticket of 1025 bytes", 5, &[1; 1025], WireError::OverLimit("ticket"));
    let entry = numbers(&[9, (36 << 10) + 1]);
    let entry = json!({ "parts": [{ "hex": hex(&entry) }, { "hex": "20", "times": (36 << 10) + 1 }] });
    cases.invalid("entry over 36 KiB", entry, WireError::OverLimit("entry size").into());
    let pointer = numbers(&[3, 12_289]);
    let pointer = json!({ "parts": [{ "hex": hex(&pointer) }, { "hex": "20", "times": 12_289 }] });
    cases.invalid("pointer of 12289 bytes", pointer, WireError::OverLimit("pointer").into());
    let keys = numbers(&[7, 36_865]);
    let keys = json!({ "parts": [{ "hex": hex(&keys) }, { "hex": "20", "times": 36_865 }] });
    cases.invalid("key document of 36865 bytes", keys, WireError::OverLimit("key document").into());
}
