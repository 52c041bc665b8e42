//! Pages of patches.

use bytes::Bytes;
use freshet_protocol::{ChunkId, Delta, PageId, PatchChunk, PatchPage, PatchPageRef, WireError, put_varint};
use serde_json::{Value, json};

use super::case::{Case, hex_input, with};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "patch_page",
    what: "pages of patches, plain; where there is a page reference, the bytes must be that page",
    build,
    judge,
    corpus: Some(("patch_page", Case::bytes)),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let bytes = Bytes::from(case.bytes());
    let page = if case.has("page") {
        let page: PatchPageRef = serde_json::from_value(case.get("page").clone()).expect("a page reference");
        PatchPage::open(&page, &bytes)?
    } else {
        PatchPage::decode(&bytes)?
    };
    Ok(Judged::written(page_json(&page), page.encode()))
}

fn page_json(page: &PatchPage) -> Value {
    let chunk = |PatchChunk { target, delta }: &PatchChunk| match delta {
        None => json!({ "target": target }),
        Some(Delta { id, bytes, base }) => {
            json!({ "target": target, "id": id, "bytes": bytes, "base": [base.start, base.end] })
        }
    };
    json!({ "chunks": page.chunks.iter().map(chunk).collect::<Vec<_>>() })
}

fn whole(target: u32) -> PatchChunk {
    PatchChunk { target, delta: None }
}

fn by_delta(target: u32, bytes: u32, base: std::ops::Range<u32>) -> PatchChunk {
    PatchChunk { target, delta: Some(Delta { id: ChunkId::of(&target.to_be_bytes()), bytes, base }) }
}

fn good() -> PatchPage {
    let chunks =
        vec![by_delta(3, 900, 2..5), whole(4), by_delta(5, 64, 5..6), by_delta(70_000, 20_000, 0..256)];
    PatchPage { chunks }
}

/// A page written by hand: gap, number of base chunks, base and size of each chunk's delta.
fn raw(chunks: &[[u64; 4]]) -> Vec<u8> {
    let mut out = vec![1];
    put_varint(&mut out, chunks.len() as u64);
    for [gap, base_chunks, base, bytes] in chunks {
        put_varint(&mut out, *gap);
        put_varint(&mut out, *base_chunks);
        put_varint(&mut out, *base);
        out.extend_from_slice(&[7; 32]);
        put_varint(&mut out, *bytes);
    }
    out
}

fn build(cases: &mut Cases) {
    let mut valid =
        |name: &str, page: PatchPage| cases.valid(name, hex_input(&page.encode()), page_json(&page));
    valid("no chunks", PatchPage::default());
    valid("whole chunks and deltas", good());
    let last = (1 << 19) - 1;
    let chunks = vec![by_delta(0, 1, 0..1), by_delta(last, 2 << 20, (1 << 19) - 256..1 << 19)];
    valid("each number at its limit", PatchPage { chunks });

    let bytes = good().encode();
    let input = |id: PageId, size: usize, chunks: u32| {
        with(hex_input(&bytes), json!({ "page": { "id": id, "bytes": size, "chunks": chunks } }))
    };
    let id = PageId::of(&bytes);
    cases.valid("the page that the patch names", input(id, bytes.len(), 4), page_json(&good()));
    cases.invalid("another page than named", input(PageId::of(b"x"), bytes.len(), 4), fault("mismatch"));
    cases.invalid("another size than named", input(id, bytes.len() + 1, 4), fault("mismatch"));
    let counts = fault_about("inconsistent", "chunk count differs from the patch's");
    cases.invalid("another count than named", input(id, bytes.len(), 5), counts);

    let mut over =
        |name: &str, input: Value, what: &str| cases.invalid(name, input, fault_about("over-limit", what));
    let one = |chunk: [u64; 4]| hex_input(&raw(&[chunk]));
    over("262145 bytes", json!({ "parts": [{ "hex": "01", "times": (256 << 10) + 1 }] }), "page size");
    let mut many = vec![1];
    put_varint(&mut many, (128 << 10) + 1);
    over("more chunks than a page holds", hex_input(&many), "number of chunks");
    over("a target beyond all positions", one([1 << 19, 1, 0, 1]), "target");
    over("a gap beyond all positions", one([(1 << 19) + 1, 1, 0, 1]), "gap between targets");
    let second = raw(&[[5, 1, 0, 1], [(1 << 19) - 6, 1, 0, 1]]);
    over("a second target beyond all positions", hex_input(&second), "target");
    over("a delta beyond 2 MiB", one([0, 1, 0, (2 << 20) + 1]), "delta size");
    over("a base that ends beyond all positions", one([0, 2, (1 << 19) - 1, 1]), "base");
    over("a base of 257 chunks", one([0, 257, 0, 1]), "number of base chunks");

    let mut wire =
        |name: &str, bytes: &[u8], error: WireError| cases.invalid(name, hex_input(bytes), error.into());
    wire("nothing", &[], WireError::Truncated);
    wire("cut off", &bytes[..bytes.len() - 1], WireError::Truncated);
    wire("cut off in an id", &bytes[..20], WireError::Truncated);
    wire("bytes behind the last chunk", &[bytes.as_slice(), &[0]].concat(), WireError::Trailing);
    wire("version 2", &[2, 0], WireError::Invalid("page version"));
    wire("a delta of nothing", &raw(&[[0, 1, 0, 0]]), WireError::Invalid("delta size"));
    wire("a version in two bytes", &[0x40, 1, 0], WireError::IntegerNotShortest);
}
