//! `mutation.json`: what becomes of good inputs when they are cut off or one bit of them is changed.
//!
//! The outcome of each change is one line: `ok` and the value written again, or the error's name and subject. The file
//! holds the digest of all lines of a case, so that both languages are compared on thousands of inputs that nobody chose.

use freshet_protocol::Hash;
use serde_json::json;

use super::case::{Case, hex};
use super::{Cases, Form, Judged, envelope, frame, keep, message, pack_index, page, segment, ticket};
use crate::faults::Fault;

/// Forms that are compared, and their largest input that is changed bit by bit, in bytes: longer ones would only repeat
/// what the others show.
const FORMS: [(&Form, usize); 8] = [
    (&frame::FORM, 120),
    (&page::FORM, 150),
    (&pack_index::FORM, 150),
    (&ticket::FORM, 140),
    (&segment::FORM, 180),
    (&envelope::FORM, 530),
    (&message::CLIENT, 250),
    (&message::SERVER, 250),
];

#[test]
fn mutations() {
    let digests: Vec<_> = FORMS.iter().flat_map(|(form, bytes_max)| digests_of(form, *bytes_max)).collect();
    let what = "SHA-256 over the outcomes of all changes to a valid case: each cut from none to all but one byte, then \
                each bit of each byte, lowest bit first; a line is \"ok HEX\" with the value written again or \
                \"ERROR SUBJECT\"";
    let text = format!("{{\n\"what\": {},\n\"digests\": [\n{}\n]\n}}\n", json!(what), digests.join(",\n"));
    keep("mutation", &text);
}

fn digests_of(form: &Form, bytes_max: usize) -> Vec<String> {
    let mut cases = Cases::default();
    (form.build)(&mut cases);
    let is_small = |case: &Case| case.bytes().len() <= bytes_max;
    cases.into_valid().into_iter().filter(is_small).map(|case| digest_of(form, case)).collect()
}

fn digest_of(form: &Form, mut case: Case) -> String {
    let mutants = mutants(&case.bytes());
    let mut outcome_of = |bytes| {
        case.change(bytes);
        outcome((form.judge)(&case))
    };
    let lines: Vec<String> = mutants.into_iter().map(&mut outcome_of).collect();
    let sha256 = Hash::of(lines.join("\n").as_bytes());
    let (file, name) = (json!(form.file), json!(case.name()));
    format!("{{\"form\":{file},\"name\":{name},\"changes\":{},\"sha256\":\"{sha256}\"}}", lines.len())
}

/// All cuts of `bytes`, then all changes of one bit.
fn mutants(bytes: &[u8]) -> Vec<Vec<u8>> {
    let cuts = (0..bytes.len()).map(|len| bytes[..len].to_vec());
    let flips = (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    });
    cuts.chain(flips).collect()
}

fn outcome(judged: Result<Judged, Fault>) -> String {
    match judged {
        Ok(judged) => format!("ok {}", hex(&judged.again.unwrap_or_default())),
        Err(fault) => format!("{} {}", fault.error, fault.subject.unwrap_or_default()),
    }
}
