//! Sealed releases: their roots, the pointers that name them, their chunks and the heads of their files. Browsers have no
//! use for them: they refuse such roots by the feature, and pass over these fields of a pointer.

use freshet_protocol::{
    BadSeal, ChunkId, Chunker, Encoding, FIXED_CHUNKER, PARTS_FEATURE, POINTER_KIND, Pointer, Preload,
    PublicKey, ROOT_KIND, ReleaseKey, Root, RootId, SEALED_FEATURE, Sealed, SealedBlob, SealedHeadReader,
    SealedItem, Unsealed, put_bytes, put_varint, sealed_head_start,
};
use serde_json::{Value, json};

use super::case::{Case, hex, hex_input, with};
use super::envelope::signed_input;
use super::pointer::pointer;
use super::root::{root, with_parts};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const ROOTS: Form = Form {
    file: "sealed_root",
    what: "signed roots of sealed releases: json is the envelope, payload what it holds (for people). Readers that do not know the feature refuse all of them",
    build: build_roots,
    judge: judge_root,
    corpus: Some(("root", payload)),
};

pub(super) const POINTERS: Form = Form {
    file: "sealed_pointer",
    what: "signed channel pointers that name sealed releases: json is the envelope, payload what it holds (for people). Readers that do not know these fields pass over them",
    build: build_pointers,
    judge: |case| Ok(Judged::read(json!(Pointer::open(&case.bytes(), &trusted(case))?))),
    corpus: Some(("pointer", payload)),
};

pub(super) const CHUNKS: Form = Form {
    file: "sealed_chunk",
    what: "chunks of sealed files: hex opens with key as the indexth chunk of the file at path; key_hash is what the root says of the key",
    build: build_chunks,
    judge: judge_chunk,
    corpus: None,
};

pub(super) const HEADS: Form = Form {
    file: "sealed_head",
    what: "plain bytes of sealed files, as far as their heads reach",
    build: build_heads,
    judge: judge_head,
    corpus: Some(("sealed_head", |case| [vec![7], case.bytes()].concat())),
};

fn payload(case: &Case) -> Vec<u8> {
    case.text_if_any("payload").map_or_else(|| case.bytes(), |text| text.into())
}

fn trusted(case: &Case) -> Vec<PublicKey> {
    case.list("trusted")
}

fn judge_root(case: &Case) -> Result<Judged, Fault> {
    let (id, root) = Root::open(&case.bytes(), &trusted(case))?;
    Ok(Judged::read(json!({ "id": id, "root": root })))
}

const CHUNK_BYTES: u32 = 256 << 10;

fn sealed_root() -> Root {
    Root {
        version: "1.2-sealed".parse().expect("name"),
        chunker: Chunker {
            algorithm: FIXED_CHUNKER.to_owned(),
            bytes_min: CHUNK_BYTES,
            bytes_avg: CHUNK_BYTES,
            bytes_max: CHUNK_BYTES,
        },
        entries: 3,
        bytes: 3 * u64::from(CHUNK_BYTES),
        sealed: Some(Sealed { opens: 1_800_000_000, key_hash: ReleaseKey([1; 32]).hash() }),
        requires: vec![SEALED_FEATURE.to_owned()],
        ..root()
    }
}

fn of_size(bytes: u32) -> Root {
    let chunker = Chunker { bytes_min: bytes, bytes_avg: bytes, bytes_max: bytes, ..sealed_root().chunker };
    Root { chunker, bytes: 3 * u64::from(bytes), ..sealed_root() }
}

fn build_roots(cases: &mut Cases) {
    let signed = |root: &Root| {
        let text = serde_json::to_string(root).expect("JSON");
        let id = RootId::of(text.as_bytes());
        (signed_input(ROOT_KIND, &text), json!({ "id": id, "root": root }))
    };
    for (name, root) in [("a sealed release", sealed_root()), ("chunks of 2 MiB", of_size(2 << 20))] {
        let (input, fields) = signed(&root);
        cases.valid(name, input, fields);
    }
    let seal = || sealed_root().sealed.expect("sealed");
    let late = Root { sealed: Some(Sealed { opens: (1 << 53) - 1, ..seal() }), ..sealed_root() };
    let (input, fields) = signed(&late);
    cases.valid("opens at the end of time", input, fields);
    let mut refused = |name: &str, root: Root, fault: Fault| cases.invalid(name, signed(&root).0, fault);
    let inconsistent = |what: &str| fault_about("inconsistent", what);
    let sizes = "a sealed release has chunks of one size, and no parts";
    let required = "a seal is not required, or there is none";
    refused("not required", Root { requires: vec![], ..sealed_root() }, inconsistent(required));
    let bare = Root { requires: vec![SEALED_FEATURE.to_owned()], ..root() };
    refused("required, and not there", bare, inconsistent(required));
    let cut = Root { chunker: root().chunker, ..sealed_root() };
    refused("cut where its content says", cut, fault_about("unsupported", "fastcdc-2020"));
    let plain = Root { chunker: sealed_root().chunker, ..root() };
    refused("a plain one in chunks of one size", plain, fault_about("unsupported", "fixed"));
    refused("chunks of 128 KiB", of_size(128 << 10), inconsistent(sizes));
    refused("chunks of 384 KiB", of_size(384 << 10), inconsistent(sizes));
    refused("a byte more", Root { bytes: sealed_root().bytes + 1, ..sealed_root() }, inconsistent(sizes));
    let two_sizes = Chunker { bytes_min: 1, ..sealed_root().chunker };
    refused("chunks of two sizes", Root { chunker: two_sizes, ..sealed_root() }, inconsistent(sizes));
    let late = Root { sealed: Some(Sealed { opens: 1 << 53, ..seal() }), ..sealed_root() };
    refused("opens at 2^53", late, inconsistent(sizes));
    let requires = vec![PARTS_FEATURE.to_owned(), SEALED_FEATURE.to_owned()];
    let parts = Root { parts: with_parts(&[("ko", 1)]).parts, requires, ..sealed_root() };
    refused("with parts", parts, inconsistent(sizes));
}

fn build_pointers(cases: &mut Cases) {
    let signed =
        |pointer: &Pointer| signed_input(POINTER_KIND, &serde_json::to_string(pointer).expect("JSON"));
    let preload = |name: &[u8], opens| {
        Some(Preload { root: RootId::of(name), version: "2.0".parse().expect("name"), opens })
    };
    let unsealed = |name: &[u8]| Some(Unsealed { root: RootId::of(name), key: ReleaseKey([1; 32]) });
    let coming = Pointer { preload: preload(b"sealed", 2000), ..pointer() };
    let opened = Pointer { unsealed: unsealed(b"sealed"), ..pointer() };
    let both =
        Pointer { preload: preload(b"next", (1 << 53) - 1), unsealed: unsealed(b"sealed"), ..pointer() };
    for (name, pointer) in [("a preload", &coming), ("opened", &opened), ("one opened, one to come", &both)] {
        cases.valid(name, signed(pointer), json!(pointer));
    }
    let mut refused = |name: &str, pointer: Pointer, what: &str| {
        cases.invalid(name, signed(&pointer), fault_about("inconsistent", what));
    };
    let to_come = "a preload is of a release that is neither shown nor opened";
    refused("a preload of what is shown", Pointer { preload: preload(b"root", 1), ..pointer() }, to_come);
    refused("opens at 2^53", Pointer { preload: preload(b"sealed", 1 << 53), ..pointer() }, to_come);
    let opened = Pointer { preload: preload(b"sealed", 1), unsealed: unsealed(b"sealed"), ..pointer() };
    refused("a preload of what is opened", opened, to_come);
    let shown = Pointer { unsealed: unsealed(b"root"), ..pointer() };
    refused(
        "the sealed release is shown",
        shown,
        "what is opened is another release than the one that was sealed",
    );
    let text = serde_json::to_string(&opened_text()).expect("JSON");
    let short = text.replace(&"01".repeat(32), &"01".repeat(31));
    assert_ne!(short, text);
    cases.invalid("a key of 31 bytes", signed_input(POINTER_KIND, &short), fault("malformed"));
}

fn opened_text() -> Pointer {
    Pointer { unsealed: Some(Unsealed { root: RootId::of(b"s"), key: ReleaseKey([1; 32]) }), ..pointer() }
}

fn judge_chunk(case: &Case) -> Result<Judged, Fault> {
    let key: ReleaseKey = case.text("key").parse()?;
    let (path, index) = (case.text("path"), case.number("index") as u32);
    let mut chunk = case.bytes();
    let plain = key.open_chunk(path, index, &mut chunk).map_err(|BadSeal| fault("bad-seal"))?.to_vec();
    let mut again = plain.clone();
    key.seal_chunk(path, index, &mut again);
    Ok(Judged::written(json!({ "plain": hex(&plain), "key_hash": key.hash() }), again))
}

fn build_chunks(cases: &mut Cases) {
    let key = ReleaseKey([1; 32]);
    let sealed = |path: &str, index: u32, plain: &[u8]| {
        let mut chunk = plain.to_vec();
        key.seal_chunk(path, index, &mut chunk);
        let place = json!({ "key": key, "path": path, "index": index });
        (chunk.clone(), with(hex_input(&chunk), place))
    };
    for (name, path, index, plain) in [
        ("a first chunk", "full", 0, &b"plain"[..]),
        ("a later one", "full", 300, b"plain"),
        ("of another file", "inner", 0, b"plain"),
        ("nothing", "full", 1, b""),
    ] {
        let fields = json!({ "plain": hex(plain), "key_hash": key.hash() });
        cases.valid(name, sealed(path, index, plain).1, fields);
    }
    let (chunk, input) = sealed("full", 0, b"plain");
    let mut refused = |name: &str, more: Value| {
        cases.invalid(name, with(input.clone(), more), fault("bad-seal"));
    };
    refused("another key", json!({ "key": ReleaseKey([2; 32]) }));
    refused("another file", json!({ "path": "inner" }));
    refused("another place", json!({ "index": 1 }));
    refused("cut off", json!({ "hex": hex(&chunk[..chunk.len() - 1]) }));
    refused("no bytes", json!({ "hex": "" }));
}

fn judge_head(case: &Case) -> Result<Judged, Fault> {
    let (bytes, mut reader, mut items) = (case.bytes(), SealedHeadReader::default(), Vec::new());
    reader.push(&bytes)?;
    while let Some(item) = reader.next_item()? {
        items.push(item);
    }
    let fields: Vec<Value> = items.iter().map(item_json).collect();
    let encoded: Vec<u8> = items.iter().flat_map(SealedItem::encode).collect();
    let again = [sealed_head_start(encoded.len() as u64), encoded].concat();
    Ok(Judged::written(json!({ "items": fields, "done": reader.is_done() }), again))
}

fn item_json(item: &SealedItem) -> Value {
    match item {
        SealedItem::Root(bytes) => json!({ "root": hex(bytes) }),
        SealedItem::Page(bytes) => json!({ "page": hex(bytes) }),
        SealedItem::Patch(bytes) => json!({ "patch": hex(bytes) }),
        SealedItem::PatchPage(bytes) => json!({ "patch_page": hex(bytes) }),
        SealedItem::Blobs(blobs) => {
            let blob = |blob: &SealedBlob| {
                let is_zstd = blob.encoding == Encoding::Zstd;
                json!({ "id": blob.id, "bytes": blob.bytes, "stored": blob.stored_bytes, "zstd": is_zstd })
            };
            json!({ "blobs": blobs.iter().map(blob).collect::<Vec<_>>() })
        }
    }
}

fn blob(bytes: u32, stored_bytes: u32, encoding: Encoding) -> SealedBlob {
    SealedBlob { id: ChunkId::of(b"blob"), bytes, stored_bytes, encoding }
}

fn head(items: &[u8]) -> Vec<u8> {
    [sealed_head_start(items.len() as u64).as_slice(), items].concat()
}

fn build_heads(cases: &mut Cases) {
    let all = [
        SealedItem::Root(b"root".to_vec()),
        SealedItem::Page(b"page".to_vec()),
        SealedItem::Patch(b"patch".to_vec()),
        SealedItem::PatchPage(b"of a patch".to_vec()),
        SealedItem::Blobs(vec![
            blob(900, 900, Encoding::Identity),
            blob(2 << 20, 7, Encoding::Zstd),
            blob(1, 2 << 20, Encoding::Zstd),
        ]),
    ];
    let encode = |items: &[SealedItem]| items.iter().flat_map(SealedItem::encode).collect::<Vec<u8>>();
    let fields = |items: &[SealedItem]| json!({ "items": items.iter().map(item_json).collect::<Vec<_>>(), "done": true });
    cases.valid("each kind of item", hex_input(&head(&encode(&all))), fields(&all));
    cases.valid("no items", hex_input(&head(&[])), fields(&[]));
    let odd = [vec![11, 2, 1, 1], encode(&all[..1])].concat();
    cases.lenient("an item of a later version", hex_input(&head(&odd)), fields(&all[..1]));
    let beyond = [head(&encode(&all)), vec![9; 40]].concat();
    cases.lenient("blobs follow", hex_input(&beyond), fields(&all));
    let mut refused = |name: &str, bytes: &[u8], fault: Fault| cases.invalid(name, hex_input(bytes), fault);
    let long = |what: &str| fault_about("over-limit", what);
    refused("a head beyond 256 MiB", &((256 << 20) + 1_u64).to_be_bytes(), long("head of a sealed file"));
    refused("version 2", &[0, 0, 0, 0, 0, 0, 0, 1, 2], fault_about("invalid", "version of a sealed file"));
    refused("no version", &[0; 8], fault("truncated"));
    refused("an unknown critical item", &head(&[10, 0]), fault_about("unknown-kind", 10));
    refused("an item that is cut off", &head(&[2, 5, 1]), fault("truncated"));
    let mut item = vec![2];
    put_varint(&mut item, (256 << 10) + 1);
    refused("an item beyond 256 KiB", &head(&item), long("item of a sealed file"));
    let of = |blob: SealedBlob| head(&encode(&[SealedItem::Blobs(vec![blob])]));
    let (large, stored) = ((2 << 20) + 1, fault_about("invalid", "stored size"));
    refused("a blob beyond 2 MiB", &of(blob(large, 1, Encoding::Zstd)), long("blob size"));
    refused("stored in more than 2 MiB", &of(blob(1, large, Encoding::Zstd)), long("stored size"));
    refused("an empty blob", &of(blob(0, 0, Encoding::Identity)), stored.clone());
    refused("another size as it is", &of(blob(2, 3, Encoding::Identity)), stored);
    let mut encoding = of(blob(2, 2, Encoding::Identity));
    *encoding.last_mut().expect("bytes") = 2;
    refused("an unknown encoding", &encoding, fault_about("invalid", "encoding"));
    let mut list = vec![8];
    put_bytes(&mut list, &[0x40, 64]);
    refused("fewer blobs than said", &head(&list), fault("truncated"));
    let mut list = vec![8];
    put_bytes(&mut list, &[0, 7]);
    refused("bytes behind the blobs", &head(&list), fault("trailing"));
}
