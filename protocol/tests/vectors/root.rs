//! Roots of releases.

use freshet_protocol::limits::PARTS_MAX;
use freshet_protocol::{
    Chunker, PARTS_FEATURE, PageId, PageRef, Part, PublicKey, ROOT_KIND, ROOT_SCHEMA, Root, RootId,
};
use serde_json::{Value, json};

use super::case::{Case, with};
use super::envelope::{padded_input, paged_input, signed_input};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "root",
    what: "signed roots: json is the envelope, payload what it holds (for people), wanted the id asked for",
    build,
    judge,
    corpus: Some(("root", |case| {
        case.text_if_any("payload").map_or_else(|| case.bytes(), |text| text.into())
    })),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let trusted = case.list::<PublicKey>("trusted");
    let (id, root) = Root::open(&case.bytes(), &trusted)?;
    if let Some(wanted) = case.text_if_any("wanted") {
        Root::open_as(wanted.parse::<RootId>()?, &case.bytes(), &trusted)?;
    }
    Ok(Judged::read(json!({ "id": id, "root": root })))
}

/// A good root.
pub(super) fn root() -> Root {
    let page = |n: u32, first: &str| PageRef {
        id: PageId::of(&n.to_be_bytes()),
        bytes: 100 * n,
        chunks: n,
        first: first.to_owned(),
    };
    Root {
        schema: ROOT_SCHEMA,
        content: "game/demo".parse().expect("name"),
        version: "1.2".parse().expect("name"),
        chunker: Chunker {
            algorithm: "fastcdc-2020".to_owned(),
            bytes_min: 32 << 10,
            bytes_avg: 128 << 10,
            bytes_max: 512 << 10,
        },
        entries: 9,
        bytes: 123_456_789,
        chunks: 3,
        pages: vec![page(1, "data/a.pak"), page(2, "data/한국어.pak")],
        parts: vec![],
        sealed: None,
        requires: vec![],
    }
}

/// A root whose release has parts of these names and bytes.
pub(super) fn with_parts(parts: &[(&str, u64)]) -> Root {
    let part = |&(name, bytes): &(&str, u64)| Part {
        name: name.parse().expect("name"),
        default: name != "ja",
        bytes,
    };
    Root { parts: parts.iter().map(part).collect(), requires: vec![PARTS_FEATURE.to_owned()], ..root() }
}

fn signed(root: &Root) -> Value {
    signed_input(ROOT_KIND, &serde_json::to_string(root).expect("JSON"))
}

fn fields(root: &Root, payload: &str) -> Value {
    json!({ "id": RootId::of(payload.as_bytes()), "root": root })
}

fn build(cases: &mut Cases) {
    let plain = serde_json::to_string(&root()).expect("JSON");
    cases.valid("a root", signed(&root()), fields(&root(), &plain));
    let wanted = json!({ "wanted": RootId::of(plain.as_bytes()) });
    cases.valid("the root asked for", with(signed(&root()), wanted), fields(&root(), &plain));
    let empty = Root { entries: 0, bytes: 0, chunks: 0, pages: vec![], ..root() };
    cases.valid(
        "an empty release",
        signed(&empty),
        fields(&empty, &serde_json::to_string(&empty).expect("JSON")),
    );
    let later = plain.replacen('{', "{\"notes\":{\"schema\":9,\"list\":[[],{}]},", 1);
    cases.valid("fields of a later version", signed_input(ROOT_KIND, &later), fields(&root(), &later));
    let explicit = plain.replacen('{', "{\"requires\":[],", 1);
    cases.valid(
        "an empty list of required features",
        signed_input(ROOT_KIND, &explicit),
        fields(&root(), &explicit),
    );
    let parts = with_parts(&[("ko", 100), ("ja", 123_456_689)]);
    cases.valid("parts", signed(&parts), fields(&parts, &serde_json::to_string(&parts).expect("JSON")));
    let largest = Root {
        entries: 4 << 20,
        bytes: (1 << 53) - 1,
        chunks: 1 << 19,
        pages: vec![PageRef {
            bytes: 256 << 10,
            chunks: 1 << 19,
            first: "x".repeat(1024),
            ..root().pages[0].clone()
        }],
        chunker: Chunker { bytes_max: 2 << 20, ..root().chunker },
        ..root()
    };
    cases.valid(
        "each number at its limit",
        signed(&largest),
        fields(&largest, &serde_json::to_string(&largest).expect("JSON")),
    );
    let padded = format!("{plain}{}", " ".repeat((64 << 10) - plain.len()));
    cases.valid("a payload of 64 KiB", padded_input(ROOT_KIND, &plain, 64 << 10), fields(&root(), &padded));
    cases.invalid(
        "a payload one byte longer",
        padded_input(ROOT_KIND, &plain, (64 << 10) + 1),
        fault("too-long"),
    );

    build_next_version(cases);
    build_limits(cases);
    build_forms(cases, &plain);
}

fn build_next_version(cases: &mut Cases) {
    let mut unsupported = |name: &str, root: Root, what: &str| {
        cases.invalid(name, signed(&root), fault_about("unsupported", what));
    };
    unsupported("schema 2", Root { schema: 2, ..root() }, "schema 2");
    let requires = ["parts", "sealed-chunks", "deltas"].map(str::to_owned).to_vec();
    unsupported("a required feature", Root { requires, ..root() }, "sealed-chunks");
    let chunker = Chunker { algorithm: "fastcdc-2030".to_owned(), ..root().chunker };
    unsupported("another chunker", Root { chunker, ..root() }, "fastcdc-2030");
}

fn build_limits(cases: &mut Cases) {
    let mut inconsistent = |name: &str, change: &dyn Fn(&mut Root), what: &str| {
        let mut root = root();
        change(&mut root);
        cases.invalid(name, signed(&root), fault_about("inconsistent", what));
    };
    let many: Vec<String> = (0..=PARTS_MAX).map(|n| format!("part-{n}")).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|name| (name.as_str(), 1)).collect();
    inconsistent("65 parts", &|r| *r = with_parts(&many), "too many parts");
    inconsistent(
        "two parts of one name",
        &|r| *r = with_parts(&[("ko", 1), ("ko", 2)]),
        "two parts have one name",
    );
    let required = "parts are not required, or there are none";
    inconsistent("parts that are not required", &|r| r.parts = with_parts(&[("ko", 1)]).parts, required);
    inconsistent("no parts that are required", &|r| r.requires = vec![PARTS_FEATURE.to_owned()], required);
    let larger = "parts are larger than the release";
    inconsistent("parts of more bytes", &|r| *r = with_parts(&[("ko", 123_456_789), ("ja", 1)]), larger);
    inconsistent("parts of 2^64 bytes", &|r| *r = with_parts(&[("ko", 1 << 63), ("ja", 1 << 63)]), larger);
    let order = "chunk sizes are out of order";
    inconsistent("smallest chunk of nothing", &|r| r.chunker.bytes_min = 0, order);
    inconsistent("smallest chunk above the average", &|r| r.chunker.bytes_min = 1 << 20, order);
    inconsistent("average chunk above the largest", &|r| r.chunker.bytes_avg = 1 << 20, order);
    inconsistent(
        "chunks beyond 2 MiB",
        &|r| r.chunker.bytes_max = (2 << 20) + 1,
        "chunks are larger than the limit",
    );
    inconsistent("2^53 bytes", &|r| r.bytes = 1 << 53, "size is larger than 2^53-1");
    inconsistent("2^64-1 bytes", &|r| r.bytes = u64::MAX, "size is larger than 2^53-1");
    inconsistent("too many entries", &|r| r.entries = (4 << 20) + 1, "too many entries");
    let too_many_chunks = |r: &mut Root| {
        r.chunks = (1 << 19) + 1;
        r.pages.truncate(1);
        r.pages[0].chunks = r.chunks;
    };
    inconsistent("too many chunks", &too_many_chunks, "too many chunks");
    inconsistent(
        "a page beyond 256 KiB",
        &|r| r.pages[1].bytes = (256 << 10) + 1,
        "a page is larger than the limit",
    );
    inconsistent(
        "a first path of 1025 bytes",
        &|r| r.pages[0].first = "x".repeat(1025),
        "a page's first path is too long",
    );
    inconsistent(
        "a first path of 342 characters and 1026 bytes",
        &|r| r.pages[0].first = "한".repeat(342),
        "a page's first path is too long",
    );
    inconsistent("chunk counts that do not add up", &|r| r.chunks = 4, "page chunk counts do not add up");
    cases.invalid("513 pages", many_pages(513), fault_about("inconsistent", "too many pages"));
}

fn many_pages(count: usize) -> Value {
    let empty = Root { chunks: 0, pages: vec![], ..root() };
    let page = PageRef { chunks: 0, first: String::new(), ..root().pages[0].clone() };
    let [empty, page] =
        [serde_json::to_string(&empty), serde_json::to_string(&page)].map(|text| text.expect("JSON"));
    paged_input(ROOT_KIND, &empty, &page, count).0
}

fn build_forms(cases: &mut Cases, plain: &str) {
    let mut malformed = |name: &str, from: &str, to: &str| {
        let payload = plain.replacen(from, to, 1);
        assert_ne!(payload, plain, "{name}");
        cases.invalid(name, signed_input(ROOT_KIND, &payload), fault("malformed"));
    };
    malformed("no chunker", "\"chunker\"", "\"cutter\"");
    malformed("a field twice", "\"schema\":1", "\"schema\":1,\"schema\":1");
    malformed("a number with a fraction", "\"chunks\":3", "\"chunks\":3.0");
    malformed("a number with an exponent", "\"chunks\":3", "\"chunks\":3e0");
    malformed("a negative number", "\"chunks\":3", "\"chunks\":-3");
    malformed("minus zero", "\"chunks\":3", "\"chunks\":-0");
    malformed("a number with a zero in front", "\"chunks\":3", "\"chunks\":03");
    malformed("a number in a string", "\"chunks\":3", "\"chunks\":\"3\"");
    malformed("a number beyond 32 bits", "\"chunks\":3", "\"chunks\":4294967296");
    malformed("a number beyond 64 bits", "\"bytes\":123456789", "\"bytes\":18446744073709551616");
    malformed("a bad content name", "game/demo", "game/../demo");
    malformed("a bad version", "\"1.2\"", "\"\"");
    malformed("a page id with a character too many", "\"id\":\"", "\"id\":\"x");
    malformed("pages that are null", "\"pages\":[", "\"pages\":null,\"more\":[");
    malformed("half a surrogate pair", "data/a.pak", "data/\\ud800");
    malformed("a line feed in a string", "data/a.pak", "data/\n");
    malformed("a payload cut off", "}]}", "}]");
    let other = with(signed(&root()), json!({ "wanted": RootId::of(b"other") }));
    cases.invalid("not the root asked for", other, fault("other"));
    let stranger = with(signed(&root()), json!({ "trusted": [PublicKey([9; 32])] }));
    cases.invalid("a key that nobody trusts", stranger, fault("untrusted"));
    cases.invalid(
        "a pointer's envelope",
        signed_input(freshet_protocol::POINTER_KIND, plain),
        fault_about("wrong-type", freshet_protocol::POINTER_KIND.payload_type),
    );
}
