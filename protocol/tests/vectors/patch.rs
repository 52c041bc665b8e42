//! Heads of patches.

use freshet_protocol::{
    PATCH_ALGORITHM, PATCH_KIND, PATCH_SCHEMA, PageId, Patch, PatchId, PatchPageRef, PublicKey, RootId,
};
use serde_json::{Value, json};

use super::case::{Case, with};
use super::envelope::{padded_input, paged_input, signed_input};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "patch",
    what: "signed patches: json is the envelope, payload what it holds (for people), wanted the id asked for",
    build,
    judge,
    corpus: Some(("patch", |case| {
        case.text_if_any("payload").map_or_else(|| case.bytes(), |text| text.into())
    })),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let wanted = case.text("wanted").parse::<PatchId>()?;
    let patch = Patch::open_as(wanted, &case.bytes(), &case.list::<PublicKey>("trusted"))?;
    Ok(Judged::read(json!(patch)))
}

fn patch() -> Patch {
    let page = |n: u32| PatchPageRef { id: PageId::of(&n.to_be_bytes()), bytes: 100 * n, chunks: n };
    Patch {
        schema: PATCH_SCHEMA,
        content: "game/demo".parse().expect("name"),
        from: RootId::of(b"from"),
        to: RootId::of(b"to"),
        algorithm: PATCH_ALGORITHM.to_owned(),
        chunks: 3,
        bytes: 12_345,
        pages: vec![page(1), page(2)],
    }
}

fn wanting(input: Value, payload: &str) -> Value {
    with(input, json!({ "wanted": PatchId::of(payload.as_bytes()) }))
}

fn signed_text(payload: &str) -> Value {
    wanting(signed_input(PATCH_KIND, payload), payload)
}

fn text(patch: &Patch) -> String {
    serde_json::to_string(patch).expect("JSON")
}

fn build(cases: &mut Cases) {
    let plain = text(&patch());
    cases.valid("a patch", signed_text(&plain), json!(patch()));
    let empty = Patch { chunks: 0, bytes: 0, pages: vec![], ..patch() };
    cases.valid("no chunks", signed_text(&text(&empty)), json!(empty));
    let later = plain.replacen('{', "{\"notes\":{\"list\":[[],{}]},", 1);
    cases.valid("a field of a later version", signed_text(&later), json!(patch()));
    let largest = Patch {
        chunks: 1 << 19,
        bytes: (1 << 53) - 1,
        pages: vec![PatchPageRef { bytes: 256 << 10, chunks: 1 << 19, ..patch().pages[0].clone() }],
        ..patch()
    };
    cases.valid("each number at its limit", signed_text(&text(&largest)), json!(largest));
    let padded = |bytes: usize| {
        let payload = format!("{plain}{}", " ".repeat(bytes - plain.len()));
        wanting(padded_input(PATCH_KIND, &plain, bytes), &payload)
    };
    cases.valid("a payload of 64 KiB", padded(64 << 10), json!(patch()));
    cases.invalid("a payload one byte longer", padded((64 << 10) + 1), fault("too-long"));

    let mut unsupported = |name: &str, patch: Patch, what: &str| {
        cases.invalid(name, signed_text(&text(&patch)), fault_about("unsupported", what));
    };
    unsupported("schema 2", Patch { schema: 2, ..patch() }, "schema 2");
    let algorithm = "bsdiff".to_owned();
    unsupported("another algorithm", Patch { algorithm, ..patch() }, "bsdiff");
    build_limits(cases);
    build_forms(cases, &plain);
}

fn build_limits(cases: &mut Cases) {
    let mut inconsistent = |name: &str, change: &dyn Fn(&mut Patch), what: &str| {
        let mut patch = patch();
        change(&mut patch);
        cases.invalid(name, signed_text(&text(&patch)), fault_about("inconsistent", what));
    };
    inconsistent("from a release to itself", &|p| p.to = p.from, "it leads from a release to itself");
    inconsistent("2^53 bytes", &|p| p.bytes = 1 << 53, "size is larger than 2^53-1");
    let too_many = |p: &mut Patch| {
        p.pages.truncate(1);
        p.pages[0].chunks = (1 << 19) + 1;
        p.chunks = p.pages[0].chunks;
    };
    inconsistent("too many chunks", &too_many, "too many chunks");
    inconsistent(
        "a page beyond 256 KiB",
        &|p| p.pages[1].bytes = (256 << 10) + 1,
        "a page is larger than the limit",
    );
    inconsistent("chunk counts that do not add up", &|p| p.chunks = 4, "page chunk counts do not add up");
    let empty = Patch { chunks: 0, pages: vec![], ..patch() };
    let page = PatchPageRef { chunks: 0, ..patch().pages[0].clone() };
    let page = serde_json::to_string(&page).expect("JSON");
    let (input, payload) = paged_input(PATCH_KIND, &text(&empty), &page, 513);
    cases.invalid("513 pages", wanting(input, &payload), fault_about("inconsistent", "too many pages"));
}

fn build_forms(cases: &mut Cases, plain: &str) {
    let mut malformed = |name: &str, from: &str, to: &str| {
        let payload = plain.replacen(from, to, 1);
        assert_ne!(payload, plain, "{name}");
        cases.invalid(name, signed_text(&payload), fault("malformed"));
    };
    malformed("no algorithm", "\"algorithm\"", "\"method\"");
    malformed("a field twice", "\"schema\":1", "\"schema\":1,\"schema\":1");
    malformed("a negative number", "\"chunks\":3", "\"chunks\":-3");
    malformed("a number beyond 32 bits", "\"chunks\":3", "\"chunks\":4294967296");
    malformed("a release id that is too short", "\"from\":\"7", "\"from\":\"");
    malformed("a payload cut off", "}]}", "}]");
    cases.invalid(
        "not the patch asked for",
        wanting(signed_input(PATCH_KIND, plain), "other"),
        fault("other"),
    );
    let stranger = with(signed_text(plain), json!({ "trusted": [PublicKey([9; 32])] }));
    cases.invalid("a key that nobody trusts", stranger, fault("untrusted"));
    cases.invalid(
        "a root's envelope",
        wanting(signed_input(freshet_protocol::ROOT_KIND, plain), plain),
        fault_about("wrong-type", freshet_protocol::ROOT_KIND.payload_type),
    );
}
