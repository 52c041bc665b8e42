//! Pack indexes of pages.

use freshet_protocol::{Encoding, PackId, PackIndex, Place, WireError, put_varint};
use serde_json::{Value, json};

use super::case::{Case, hex_input, with};
use super::{Cases, Form, Judged};
use crate::faults::Fault;

pub(super) const FORM: Form = Form {
    file: "pack_index",
    what: "pack indexes; chunks is the number of places that the page asks for",
    build,
    judge,
    corpus: Some(("pack_index", |case| {
        [(case.number("chunks") as u16).to_be_bytes().as_slice(), &case.bytes()].concat()
    })),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let index = PackIndex::decode(&case.bytes(), case.number("chunks") as u32)?;
    Ok(Judged::written(index_json(&index), index.encode()))
}

/// An index as the vectors show it.
pub(super) fn index_json(index: &PackIndex) -> Value {
    let place = |place: &Place| {
        json!({
            "pack": place.pack.to_string(),
            "offset": place.offset,
            "stored_bytes": place.stored_bytes,
            "encoding": match place.encoding {
                Encoding::Identity => "identity",
                Encoding::Zstd => "zstd",
                Encoding::Gzip => "gzip",
            },
        })
    };
    json!({ "places": index.places.iter().map(place).collect::<Vec<_>>() })
}

fn place(pack: u8, offset: u64, encoding: Encoding) -> Place {
    Place { pack: PackId([pack; 16]), offset, stored_bytes: 77, encoding }
}

fn input(bytes: &[u8], chunks: u32) -> Value {
    with(hex_input(bytes), json!({ "chunks": chunks }))
}

/// An index written by hand: version, packs by their byte, places as numbers.
fn raw(version: u64, packs: &[u8], places: &[[u64; 4]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, version);
    put_varint(&mut out, packs.len() as u64);
    packs.iter().for_each(|pack| out.extend_from_slice(&[*pack; 16]));
    put_varint(&mut out, places.len() as u64);
    places.iter().flatten().for_each(|number| put_varint(&mut out, *number));
    out
}

const OFFSET_MAX: u64 = (1 << 53) - 1 - (2 << 20);

fn build(cases: &mut Cases) {
    let mut valid = |name: &str, places: Vec<Place>| {
        let index = PackIndex { places };
        cases.valid(name, input(&index.encode(), index.places.len() as u32), index_json(&index));
    };
    let (identity, zstd) = (Encoding::Identity, Encoding::Zstd);
    valid("no places", vec![]);
    valid("three places in two packs", vec![place(2, 0, zstd), place(1, 77, identity), place(2, 77, zstd)]);
    valid(
        "the largest offset and size",
        vec![Place { stored_bytes: 2 << 20, ..place(1, OFFSET_MAX, identity) }],
    );
    let unsorted = PackIndex { places: vec![place(1, 5, identity)] };
    let bytes = raw(1, &[9, 1], &[[1, 5, 77, 0]]);
    cases.lenient("packs out of order and unused", input(&bytes, 1), index_json(&unsorted));

    let mut refused = |name: &str, bytes: Vec<u8>, chunks, error: WireError| {
        cases.invalid(name, input(&bytes, chunks), error.into());
    };
    let good = || raw(1, &[1], &[[0, 5, 77, 1]]);
    refused("nothing", vec![], 0, WireError::Truncated);
    refused("cut off", good()[..good().len() - 1].to_vec(), 1, WireError::Truncated);
    refused("bytes behind the last place", [good(), vec![0]].concat(), 1, WireError::Trailing);
    refused("version 2", raw(2, &[], &[]), 0, WireError::Invalid("pack index version"));
    refused("fewer places than the page has chunks", good(), 2, WireError::Invalid("number of places"));
    refused("more places than the page has chunks", good(), 0, WireError::Invalid("number of places"));
    refused(
        "a pack that is not listed",
        raw(1, &[1], &[[1, 5, 77, 1]]),
        1,
        WireError::Invalid("pack number"),
    );
    refused("gzip", raw(1, &[1], &[[0, 5, 77, 2]]), 1, WireError::Invalid("encoding"));
    refused(
        "an offset too far",
        raw(1, &[1], &[[0, OFFSET_MAX + 1, 77, 0]]),
        1,
        WireError::OverLimit("offset"),
    );
    refused(
        "a chunk beyond 2 MiB",
        raw(1, &[1], &[[0, 0, (2 << 20) + 1, 0]]),
        1,
        WireError::OverLimit("stored size"),
    );
    let mut many = raw(1, &[], &[]);
    many.pop();
    many.extend([0x5f, 0x08]);
    refused("7944 places", many, 7944, WireError::OverLimit("number of places"));
    refused("4097 packs", vec![1, 0x50, 0x01], 0, WireError::OverLimit("number of packs"));
    let long = json!({ "parts": [{ "hex": "01", "times": (512 << 10) + 1 }], "chunks": 0 });
    cases.invalid("524289 bytes", long, WireError::OverLimit("pack index size").into());
}
