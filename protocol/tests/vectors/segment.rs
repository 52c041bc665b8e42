//! Entries of streams.

use freshet_protocol::{
    ChunkId, ContentName, PublicKey, SegmentEntry, SegmentKind, SegmentPlace, SigningKey, WireError, limits,
    put_bytes, put_varint,
};
use serde_json::{Value, json};

use super::case::{Case, hex, with};
use super::{Cases, Form, Judged};
use crate::checks::signing_key;
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "segment",
    what: "entries of stream's segments, signed by one of the keys in trusted; init is the number of the initialisation that the segment needs",
    build,
    judge,
    corpus: Some(("segment", Case::bytes)),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let stream: ContentName = case.text("stream").parse()?;
    let entry = SegmentEntry::open(&case.bytes(), &stream, &case.list::<PublicKey>("trusted"))?;
    Ok(Judged::read(fields(&entry)))
}

fn pieces(count: usize) -> Vec<ChunkId> {
    (0..count).map(|piece| ChunkId::of(&piece.to_be_bytes())).collect()
}

fn entry() -> SegmentEntry {
    SegmentEntry {
        stream: "site/show".parse().expect("name"),
        place: SegmentPlace {
            epoch: 1,
            rendition: "720p.m3u8".to_owned(),
            kind: SegmentKind::Media,
            sequence: 7,
        },
        path: "720p/7.ts".to_owned(),
        offset: 0,
        bytes: 100_000,
        duration_us: 2_000_000,
        init: None,
        pieces: pieces(2),
    }
}

fn input(parts: Value) -> Value {
    let trusted = json!([SigningKey::from_seed(&[7; 32]).public(), signing_key().public()]);
    with(parts, json!({ "stream": "site/show", "trusted": trusted }))
}

fn bytes_input(bytes: &[u8]) -> Value {
    input(super::case::hex_input(bytes))
}

fn sealed(entry: &SegmentEntry) -> Vec<u8> {
    entry.seal(&signing_key()).expect("within its limits")
}

fn fields(entry: &SegmentEntry) -> Value {
    let SegmentEntry { stream, place, path, offset, bytes, duration_us, init, pieces } = entry;
    let kind = match place.kind {
        SegmentKind::Media => "media",
        SegmentKind::Init => "init",
    };
    let mut fields = json!({
        "stream": stream,
        "place": { "epoch": place.epoch, "rendition": place.rendition, "kind": kind, "sequence": place.sequence },
        "path": path,
        "offset": offset,
        "bytes": bytes,
        "duration_us": duration_us,
        "pieces": pieces,
    });
    if let Some(init) = init {
        fields["init"] = json!(init);
    }
    fields
}

fn build(cases: &mut Cases) {
    let mut valid = |name: &str, entry: &SegmentEntry| {
        cases.valid(name, bytes_input(&sealed(entry)), fields(entry));
    };
    valid("an entry", &entry());
    valid("one byte", &SegmentEntry { bytes: 1, pieces: pieces(1), ..entry() });
    valid("a whole piece", &SegmentEntry { bytes: 65_536, pieces: pieces(1), ..entry() });
    valid("a byte more than a piece", &SegmentEntry { bytes: 65_537, pieces: pieces(2), ..entry() });
    let init = SegmentPlace { kind: SegmentKind::Init, sequence: 0, ..entry().place };
    valid("an initialisation", &SegmentEntry { place: init, duration_us: 0, ..entry() });
    valid("a range of a resource", &SegmentEntry { offset: 1_000_000, init: Some(0), ..entry() });
    valid("on another host's folder", &SegmentEntry { path: "/cdn/v1/7%20a.m4s".to_owned(), ..entry() });
    let max = (1 << 53) - 1;
    let largest = SegmentEntry {
        place: SegmentPlace { epoch: max, sequence: max, rendition: "r".repeat(1024), ..entry().place },
        path: "p".repeat(1024),
        offset: max - (64 << 20),
        bytes: 64 << 20,
        duration_us: max,
        init: Some(max - 1),
        pieces: pieces(1024),
        ..entry()
    };
    valid("each value at its limit", &largest);
    let extended = Raw { extension: vec![9; 1024], ..Raw::default() }.signed();
    cases.valid("fields of a later version", bytes_input(&extended), fields(&entry()));

    build_forms(cases);
    build_values(cases);
    build_trust(cases);
}

/// A signed entry whose body is written by hand.
struct Raw {
    version: u64,
    stream: Vec<u8>,
    rendition: Vec<u8>,
    kind: u64,
    path: Vec<u8>,
    offset: u64,
    bytes: u64,
    init: u64,
    pieces: usize,
    extension: Vec<u8>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            version: 1,
            stream: b"site/show".to_vec(),
            rendition: b"720p.m3u8".to_vec(),
            kind: 0,
            path: b"720p/7.ts".to_vec(),
            offset: 0,
            bytes: 100_000,
            init: 0,
            pieces: 2,
            extension: vec![],
        }
    }
}

impl Raw {
    fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.version);
        out.extend_from_slice(&signing_key().public().id().0.0);
        put_bytes(&mut out, &self.stream);
        put_varint(&mut out, 1);
        put_bytes(&mut out, &self.rendition);
        put_varint(&mut out, self.kind);
        put_varint(&mut out, 7);
        put_bytes(&mut out, &self.path);
        [self.offset, self.bytes, 2_000_000, self.init].iter().for_each(|&value| put_varint(&mut out, value));
        pieces(self.pieces).iter().for_each(|piece| out.extend_from_slice(&piece.0.0));
        put_bytes(&mut out, &self.extension);
        out
    }

    fn signed(&self) -> Vec<u8> {
        let body = self.body();
        let signature = signing_key().sign(&[b"freshet entry 1\n", body.as_slice()].concat());
        [body, signature.to_vec()].concat()
    }
}

fn build_forms(cases: &mut Cases) {
    let good = sealed(&entry());
    let mut wire = |name: &str, bytes: &[u8], error: WireError| {
        cases.invalid(name, bytes_input(bytes), error.into());
    };
    wire("nothing", &[], WireError::Truncated);
    wire("cut off in the signature", &good[..good.len() - 1], WireError::Truncated);
    wire("cut off in the path", &good[..70], WireError::Truncated);
    wire("a byte behind", &[good.as_slice(), &[0]].concat(), WireError::Trailing);
    wire(
        "fewer pieces than its size needs",
        &Raw { pieces: 0, ..Raw::default() }.signed(),
        WireError::Truncated,
    );
    let extension = Raw { extension: vec![9; 1025], ..Raw::default() };
    wire("an extension of 1025 bytes", &extension.signed(), WireError::OverLimit("extension"));
    let version_long = [&[0x40, 0x01], &good[1..]].concat();
    wire("a version in two bytes", &version_long, WireError::IntegerNotShortest);

    let size = limits::SEGMENT_ENTRY_BYTES_MAX + 1;
    let padded = json!({ "parts": [{ "hex": hex(&good) }, { "hex": "00", "times": size - good.len() }] });
    cases.invalid("an entry of 36 KiB and a byte", input(padded), WireError::OverLimit("entry size").into());
    let second = Raw { version: 2, ..Raw::default() }.signed();
    cases.invalid("version 2", bytes_input(&second), fault_about("unsupported", "version 2"));
    for kind in [1, 4] {
        let other = Raw { kind, ..Raw::default() }.signed();
        cases.invalid(
            &format!("kind {kind}"),
            bytes_input(&other),
            fault_about("unsupported", format!("kind {kind}")),
        );
    }
}

fn build_values(cases: &mut Cases) {
    let mut refused = |name: &str, raw: Raw, error: WireError| {
        cases.invalid(name, bytes_input(&raw.signed()), error.into());
    };
    let base = Raw::default;
    refused("no byte", Raw { bytes: 0, pieces: 0, ..base() }, WireError::Invalid("segment size"));
    let beyond = Raw { bytes: (64 << 20) + 1, pieces: 0, ..base() };
    refused("64 MiB and a byte", beyond, WireError::OverLimit("segment size"));
    let far = Raw { offset: (1 << 53) - 100_000, ..base() };
    refused("a range that ends at 2^53", far, WireError::IntegerTooLarge);
    let init = Raw { kind: 2, init: 1, ..base() };
    refused("an initialisation that needs another", init, WireError::Invalid("init"));
    let name = |stream: &[u8]| Raw { stream: stream.to_vec(), ..base() };
    refused("a stream that is no name", name(b"Site"), WireError::Invalid("stream"));
    refused("a stream of 129 bytes", name(&[b'a'; 129]), WireError::OverLimit("stream"));
    let rendition = |rendition: &[u8]| Raw { rendition: rendition.to_vec(), ..base() };
    refused("no rendition", rendition(b""), WireError::Invalid("rendition"));
    refused("a rendition of 1025 bytes", rendition(&[b'r'; 1025]), WireError::OverLimit("rendition"));
    let path = |path: &[u8]| Raw { path: path.to_vec(), ..base() };
    refused("a path of 1025 bytes", path(&[b'p'; 1025]), WireError::OverLimit("path"));
    for (name, text) in [
        ("no path", &b""[..]),
        ("a path with a query", b"7.ts?token=1"),
        ("a path with a fragment", b"7.ts#1"),
        ("a path with a space", b"7 a.ts"),
        ("a path with a letter beyond ASCII", "가.ts".as_bytes()),
        ("a path with a backslash", b"a\\7.ts"),
        ("a path that climbs", b"../7.ts"),
        ("a path with a dot for a folder", b"a/./7.ts"),
        ("a path that is not UTF-8", &[0xff]),
    ] {
        refused(name, path(text), WireError::Invalid("path"));
    }
}

fn build_trust(cases: &mut Cases) {
    let good = sealed(&entry());
    let mut untrusted =
        |name: &str, bytes: &[u8]| cases.invalid(name, bytes_input(bytes), fault("untrusted"));
    let mut forged = good.clone();
    let last_piece = forged.len() - 64 - 2;
    forged[last_piece] ^= 1;
    untrusted("another piece", &forged);
    let mut flipped = good.clone();
    *flipped.last_mut().expect("a signature") ^= 1;
    untrusted("one bit of the signature changed", &flipped);
    untrusted("signed by a stranger", &entry().seal(&SigningKey::from_seed(&[3; 32])).expect("good"));
    let body = Raw::default().body();
    untrusted("a signature for something else", &[body.as_slice(), &signing_key().sign(&body)].concat());
    let other = SegmentEntry { stream: "site/other".parse().expect("name"), ..entry() };
    cases.invalid("of another stream", bytes_input(&sealed(&other)), fault("other"));
}
