//! Manifest pages.

use bytes::Bytes;
use freshet_protocol::{
    ChunkId, ChunkRef, Entry, FileExtent, Page, PageId, PageRef, WireError, put_bytes, put_varint,
};
use serde_json::{Value, json};

use super::case::{Case, hex_input, with};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "page",
    what: "manifest pages, plain; where there is a page reference, the bytes must be that page",
    build,
    judge,
    corpus: Some(("page", Case::bytes)),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let bytes = Bytes::from(case.bytes());
    let page = if case.has("page") {
        let page: PageRef = serde_json::from_value(case.get("page").clone()).expect("a page reference");
        Page::open(&page, &bytes)?
    } else {
        Page::decode(&bytes)?
    };
    Ok(Judged::written(page_json(&page), page.encode()))
}

/// A page as the vectors show it.
pub(super) fn page_json(page: &Page) -> Value {
    let body = |entry: &Entry| match entry {
        Entry::File(file) => json!({
            "type": "file",
            "path": file.path,
            "executable": file.executable,
            "size": file.size,
            "offset": file.offset,
            "chunks": file.chunks.iter().map(|c| json!({ "id": c.id, "bytes": c.bytes })).collect::<Vec<_>>(),
        }),
        Entry::Folder { path, .. } => json!({ "type": "folder", "path": path }),
        Entry::Link { path, target, .. } => json!({ "type": "link", "path": path, "target": target }),
    };
    let entry = |entry: &Entry| match entry.part() {
        Some(part) => with(body(entry), json!({ "part": part })),
        None => body(entry),
    };
    json!({ "entries": page.entries.iter().map(entry).collect::<Vec<_>>() })
}

fn path(text: &str) -> freshet_protocol::RelPath {
    text.parse().expect("good path")
}

fn file(name: &str, offset: u64, chunks: &[u32]) -> Entry {
    let size = chunks.iter().map(|&bytes| u64::from(bytes)).sum::<u64>() + offset;
    let chunks =
        chunks.iter().map(|&bytes| ChunkRef { id: ChunkId::of(&bytes.to_be_bytes()), bytes }).collect();
    let executable = name.ends_with(".sh");
    Entry::File(FileExtent { path: path(name), part: None, executable, size, offset, chunks })
}

fn folder(name: &str) -> Entry {
    Entry::Folder { path: path(name), part: None }
}

fn link(name: &str, target: &str) -> Entry {
    Entry::Link { path: path(name), part: None, target: target.to_owned() }
}

fn of_part(number: u8, mut entry: Entry) -> Entry {
    match &mut entry {
        Entry::File(FileExtent { part, .. }) | Entry::Folder { part, .. } | Entry::Link { part, .. } => {
            *part = Some(number);
        }
    }
    entry
}

fn build(cases: &mut Cases) {
    let mut valid = |name: &str, entries: Vec<Entry>| {
        let page = Page { entries };
        cases.valid(name, hex_input(&page.encode()), page_json(&page));
    };
    valid("no entries", vec![]);
    valid("an empty file", vec![file("a", 0, &[])]);
    valid("a file of two chunks", vec![file("data/a.pak", 0, &[131_072, 5])]);
    valid("a program", vec![file("run.sh", 0, &[63])]);
    valid("the later extent of a file", vec![file("huge", 1 << 40, &[2 << 20])]);
    valid("the largest file", vec![file("huge", (1 << 53) - 1 - 64, &[64])]);
    valid("a folder and a link", vec![folder("empty"), link("lib/x.so", "../lib/x.so.1")]);
    // U+FF5E comes after U+1F600 in UTF-16 and before it in UTF-8: order is that of the bytes.
    valid("order of characters beyond 16 bits", vec![file("a～", 0, &[]), file("a😀", 0, &[])]);
    valid("a path of 1024 bytes", vec![folder(&vec!["x".repeat(204); 5].join("/"))]);
    valid(
        "entries of parts",
        vec![
            file("base.pak", 0, &[9]),
            of_part(0, file("ja/voice.pak", 0, &[9, 10])),
            of_part(63, folder("ko/empty")),
            of_part(1, link("ko/voice.pak", "../ja/voice.pak")),
        ],
    );

    let later = Raw::new(2).entry(7, b"anything").entry(0, &file_body("a", 0, 0, 0, &[]));
    let known = Page { entries: vec![file("a", 0, &[])] };
    cases.lenient("an optional entry of a later version is skipped", hex_input(&later.0), page_json(&known));
    build_opened(cases);
    build_next_version(cases);
    build_limits(cases);
    build_paths(cases);
    build_forms(cases);
}

fn build_opened(cases: &mut Cases) {
    let page = Page { entries: vec![file("data/a.pak", 0, &[131_072, 5])] };
    let bytes = page.encode();
    let input = |id: PageId, size: usize, chunks: u32| {
        let page = json!({ "id": id, "bytes": size, "chunks": chunks, "first": "data/a.pak" });
        with(hex_input(&bytes), json!({ "page": page }))
    };
    let id = PageId::of(&bytes);
    cases.valid("the page that the root names", input(id, bytes.len(), 2), page_json(&page));
    cases.invalid(
        "another page than the root names",
        input(PageId::of(b"x"), bytes.len(), 2),
        fault("mismatch"),
    );
    cases.invalid("another size than the root says", input(id, bytes.len() + 1, 2), fault("mismatch"));
    let counts = fault_about("inconsistent", "chunk count differs from the root's");
    cases.invalid("another chunk count than the root says", input(id, bytes.len(), 3), counts);
}

/// A page written by hand, so that it can be wrong.
struct Raw(Vec<u8>);

impl Raw {
    fn new(entries: u64) -> Self {
        let mut out = Vec::new();
        put_varint(&mut out, 1);
        put_varint(&mut out, entries);
        Self(out)
    }

    fn entry(mut self, kind: u64, body: &[u8]) -> Self {
        put_varint(&mut self.0, kind);
        put_bytes(&mut self.0, body);
        self
    }
}

/// Body of a file entry with as many chunks as `sizes` has.
fn file_body(name: &str, flags: u8, size: u64, offset: u64, sizes: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, name.as_bytes());
    out.push(flags);
    put_varint(&mut out, size);
    put_varint(&mut out, offset);
    put_varint(&mut out, sizes.len() as u64);
    for bytes in sizes {
        out.extend_from_slice(&[7; 32]);
        put_varint(&mut out, *bytes);
    }
    out
}

fn texts(texts: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    texts.iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
    out
}

fn build_next_version(cases: &mut Cases) {
    let later = Raw::new(1).entry(6, b"anything");
    cases.invalid("a critical entry of a later version", hex_input(&later.0), fault_about("unknown-kind", 6));
    let later = Raw::new(1).entry(1 << 40, b"");
    cases.invalid(
        "a critical entry of a high kind",
        hex_input(&later.0),
        fault_about("unknown-kind", 1_u64 << 40),
    );
    let mut version = Raw::new(0).0;
    version[0] = 2;
    cases.invalid("version 2", hex_input(&version), fault_about("invalid", "page version"));
}

fn build_limits(cases: &mut Cases) {
    let mut over =
        |name: &str, input: Value, what: &str| cases.invalid(name, input, fault_about("over-limit", what));
    let one = |body: Vec<u8>| hex_input(&Raw::new(1).entry(0, &body).0);
    over("16385 entries", hex_input(&Raw::new((16 << 10) + 1).0), "number of entries");
    over("262145 bytes", json!({ "parts": [{ "hex": "01", "times": (256 << 10) + 1 }] }), "page size");
    let mut long_entry = Raw::new(1).0;
    put_varint(&mut long_entry, 0);
    put_varint(&mut long_entry, (256 << 10) + 1);
    over("an entry of 262145 bytes", hex_input(&long_entry), "entry size");
    let in_part = |mut body: Vec<u8>| {
        put_varint(&mut body, 64);
        body
    };
    let of_64 = Raw::new(1).entry(2, &in_part(texts(&["a"])));
    over("a folder of the 65th part", hex_input(&of_64.0), "part number");
    over("a file of the 65th part", one(in_part(file_body("a", 0, 0, 0, &[]))), "part number");
    over("an extent that starts behind its file", one(file_body("a", 0, 9, 10, &[])), "file offset");
    over("a chunk beyond 2 MiB", one(file_body("a", 0, 1 << 30, 0, &[(2 << 20) + 1])), "chunk size");
    let mut many = file_body("a", 0, 9, 0, &[]);
    many.pop();
    put_varint(&mut many, 7944);
    over("more chunks than a page holds", one(many), "number of chunks");
    let long_path = Raw::new(1).entry(2, &texts(&["x".repeat(1025).as_str()]));
    over("a path of 1025 bytes", hex_input(&long_path.0), "path");
    let long_target = Raw::new(1).entry(4, &texts(&["a", "x".repeat(1025).as_str()]));
    over("a link target of 1025 bytes", hex_input(&long_target.0), "link target");
}

fn build_paths(cases: &mut Cases) {
    let mut refused =
        |name: &str, raw: Raw, why: &str| cases.invalid(name, hex_input(&raw.0), fault_about("path", why));
    refused("a file above the folder", Raw::new(1).entry(0, &file_body("../a", 0, 0, 0, &[])), "dots");
    refused("an absolute folder", Raw::new(1).entry(2, &texts(&["/etc"])), "absolute");
    refused("a device", Raw::new(1).entry(2, &texts(&["NUL.txt"])), "reserved");
    refused("a link out of the folder", Raw::new(1).entry(4, &texts(&["a/b", "../../x"])), "escapes");
    refused("a link to nothing", Raw::new(1).entry(4, &texts(&["a", ""])), "empty");
}

fn build_forms(cases: &mut Cases) {
    let mut wire =
        |name: &str, bytes: &[u8], error: WireError| cases.invalid(name, hex_input(bytes), error.into());
    let good = Page { entries: vec![file("data/a.pak", 0, &[131_072, 5])] }.encode();
    wire("nothing", &[], WireError::Truncated);
    wire("cut off", &good[..good.len() - 1], WireError::Truncated);
    wire("cut off in a chunk id", &good[..30], WireError::Truncated);
    wire("bytes behind the last entry", &[good.as_slice(), &[0]].concat(), WireError::Trailing);
    wire("an entry fewer than there are", &[&[1, 0], &good[2..]].concat(), WireError::Trailing);
    let longer = [file_body("a", 0, 0, 0, &[]), vec![0, 0]].concat();
    wire("bytes behind a file", &Raw::new(1).entry(0, &longer).0, WireError::Trailing);
    wire("bytes behind a folder", &Raw::new(1).entry(2, &texts(&["a", "", ""])).0, WireError::Trailing);
    wire("bytes behind a link", &Raw::new(1).entry(4, &texts(&["a", "b", "", ""])).0, WireError::Trailing);
    wire(
        "an unknown flag",
        &Raw::new(1).entry(0, &file_body("a", 2, 0, 0, &[])).0,
        WireError::Invalid("file flags"),
    );
    wire(
        "a chunk of nothing",
        &Raw::new(1).entry(0, &file_body("a", 0, 9, 0, &[0])).0,
        WireError::Invalid("chunk size"),
    );
    wire("a path that is not UTF-8", &Raw::new(1).entry(2, &[2, b'a', 0xff]).0, WireError::Invalid("path"));
    let long_form = [&[0x40, 0x01], &good[1..]].concat();
    wire("a version in two bytes", &long_form, WireError::IntegerNotShortest);

    let mut order = |name: &str, first: &str, second: &str| {
        let page = Raw::new(2).entry(2, &texts(&[first])).entry(2, &texts(&[second]));
        cases.invalid(name, hex_input(&page.0), fault_about("inconsistent", "entries are not in path order"));
    };
    order("entries out of order", "b", "a");
    order("an entry twice", "a", "a");
    order("UTF-16 order instead of UTF-8 order", "a😀", "a～");
    let beyond = Raw::new(1).entry(0, &file_body("a", 0, 9, 5, &[5]));
    let what = "chunks reach beyond the end of their file";
    cases.invalid(
        "chunks beyond the end of their file",
        hex_input(&beyond.0),
        fault_about("inconsistent", what),
    );
}
