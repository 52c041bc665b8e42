//! Pages of entries, each entry as bytes: they are judged by `segment`.

use freshet_protocol::{WireError, decode_entry_page, encode_entry_page};
use serde_json::{Value, json};

use super::case::{Case, hex, hex_input};
use super::{Cases, Form, Judged};
use crate::faults::Fault;

pub(super) const FORM: Form = Form {
    file: "entry_page",
    what: "pages of entries; an entry in them is any bytes here",
    build,
    judge,
    corpus: Some(("entry_page", Case::bytes)),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let bytes = case.bytes();
    let entries = decode_entry_page(&bytes)?;
    Ok(Judged::written(page_json(&entries), encode_entry_page(&entries)))
}

fn page_json(entries: &[&[u8]]) -> Value {
    json!({ "entries": entries.iter().map(|entry| hex(entry)).collect::<Vec<_>>() })
}

fn build(cases: &mut Cases) {
    let mut valid = |name: &str, entries: Vec<&[u8]>| {
        cases.valid(name, hex_input(&encode_entry_page(&entries)), page_json(&entries));
    };
    valid("no entry", vec![]);
    valid("two entries and an empty one", vec![b"first", b"", b"second"]);
    valid("128 entries", vec![b"x"; 128]);
    let mut refused =
        |name: &str, bytes: &[u8], error: WireError| cases.invalid(name, hex_input(bytes), error.into());
    refused("129 entries", &encode_entry_page([b"x"; 129]), WireError::OverLimit("number of entries"));
    refused("an entry cut off", &[3, 1, 2], WireError::Truncated);
    refused("half a length", &[1, 7, 0x40], WireError::Truncated);
    refused("an entry over 36 KiB", &[0x80, 0, 0x90, 1], WireError::OverLimit("entry size"));
    let long = json!({ "parts": [{ "hex": "00", "times": (5 << 20) + 1 }] });
    cases.invalid("a page over 5 MiB", long, WireError::OverLimit("entry page size").into());
}
