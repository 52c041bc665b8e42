//! Envelopes of signed documents, shown on channel pointers; and how the files of all documents hold them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use freshet_protocol::{
    DocumentKind, POINTER_KIND, Pointer, PublicKey, ROOT_KIND, SigningKey, envelope_bytes_max,
};
use serde_json::{Value, json};

use super::case::{Case, with};
use super::pointer::pointer;
use super::{Cases, Form, Judged};
use crate::checks::{seal, signing_key};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "envelope",
    what: "DSSE envelopes around channel pointers: json is what travels, trusted are the keys that may sign",
    build,
    judge,
    corpus: None,
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let pointer = Pointer::open(&case.bytes(), &case.list::<PublicKey>("trusted"))?;
    Ok(Judged::read(json!({ "sequence": pointer.sequence })))
}

/// Input of an envelope, to be opened with the usual key.
pub(super) fn envelope_input(envelope: &[u8]) -> Value {
    let text = std::str::from_utf8(envelope).expect("an envelope is UTF-8");
    json!({ "json": text, "trusted": [signing_key().public()] })
}

/// Input of a document of `kind` that the usual key has signed. `payload` stands beside it for people.
pub(super) fn signed_input(kind: DocumentKind, payload: &str) -> Value {
    let envelope = seal(kind, payload.as_bytes(), &[&signing_key()]);
    with(envelope_input(&envelope), json!({ "payload": payload }))
}

/// As [`signed_input`], with spaces behind the payload up to `bytes` bytes.
pub(super) fn padded_input(kind: DocumentKind, payload: &str, bytes: usize) -> Value {
    let payload = format!("{payload}{}", " ".repeat(bytes - payload.len()));
    folded_input(&seal(kind, payload.as_bytes(), &[&signing_key()]), &STANDARD.encode("   "))
}

/// Input of an envelope in which `block` stands many times in a row, written as parts.
pub(super) fn folded_input(envelope: &[u8], block: &str) -> Value {
    let text = std::str::from_utf8(envelope).expect("an envelope is UTF-8");
    let start = text.find(&block.repeat(2)).expect("the block is there");
    let times =
        text.as_bytes()[start..].chunks(block.len()).take_while(|chunk| *chunk == block.as_bytes()).count();
    let end = start + times * block.len();
    let parts = json!([
        { "text": text[..start] },
        { "text": block, "times": times },
        { "text": text[end..] },
    ]);
    json!({ "parts": parts, "trusted": [signing_key().public()] })
}

/// Input of a signed document whose empty list of pages is replaced by `count` times the same page, each padded so that
/// its base64 form repeats. Returns the payload, too.
pub(super) fn paged_input(kind: DocumentKind, empty: &str, page: &str, count: usize) -> (Value, String) {
    let (head, tail) = empty.split_once("\"pages\":[]").expect("a list of pages");
    let pad = |text: String| format!("{text}{}", " ".repeat((3 - text.len() % 3) % 3));
    let head = pad(format!("{head}\"pages\":["));
    let block = pad(format!("{page},"));
    let payload = format!("{head}{}{page}]{tail}", block.repeat(count - 1));
    let envelope = seal(kind, payload.as_bytes(), &[&signing_key()]);
    (folded_input(&envelope, &STANDARD.encode(block)), payload)
}

fn other_key() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

fn payload() -> Vec<u8> {
    serde_json::to_vec(&pointer()).expect("JSON")
}

/// A good envelope as a JSON value, to be changed.
fn good() -> Value {
    serde_json::from_slice(&seal(POINTER_KIND, &payload(), &[&signing_key()])).expect("JSON")
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut envelope = good();
    change(&mut envelope);
    envelope_input(envelope.to_string().as_bytes())
}

fn build(cases: &mut Cases) {
    let fields = || json!({ "sequence": 7 });
    cases.valid("one signature", envelope_input(good().to_string().as_bytes()), fields());
    let pretty = serde_json::to_string_pretty(&good()).expect("JSON");
    cases.valid("white space", envelope_input(format!("\r\n\t {pretty}\n").as_bytes()), fields());
    let both = seal(POINTER_KIND, &payload(), &[&other_key(), &signing_key()]);
    cases.valid("a second signature by a stranger", envelope_input(&both), fields());
    cases.valid(
        "a field of a later version",
        changed(|e| e["proof"] = json!({ "log": [1, null, -2.5e3] })),
        fields(),
    );
    let unreadable = |e: &mut Value| {
        let stranger = json!({ "keyid": other_key().public().id(), "sig": "?" });
        e["signatures"].as_array_mut().expect("list").insert(0, stranger);
    };
    cases.valid("an unreadable signature beside a good one", changed(unreadable), fields());
    cases.valid("eight signatures", with_signatures(8), fields());
    cases.valid("escapes in strings", escaped(), fields());
    let longest = |bytes: usize| {
        let mut text = good().to_string();
        let pad = bytes - text.len();
        text.truncate(text.len() - 1);
        json!({
            "parts": [{ "text": text }, { "text": " ", "times": pad }, { "text": "}" }],
            "trusted": [signing_key().public()],
        })
    };
    cases.valid("the longest envelope", longest(envelope_bytes_max(POINTER_KIND)), fields());
    cases.invalid(
        "an envelope one byte longer",
        longest(envelope_bytes_max(POINTER_KIND) + 1),
        fault("too-long"),
    );

    build_forms(cases);
    build_trust(cases);
}

/// The payload type with a character that JSON lets one escape.
fn escaped() -> Value {
    let text = good().to_string().replace("application/vnd", "application\\/\\u0076nd");
    envelope_input(text.as_bytes())
}

fn with_signatures(count: usize) -> Value {
    let strangers = (1..count).map(|n| SigningKey::from_seed(&[100 + n as u8; 32]));
    let keys: Vec<_> = strangers.chain([signing_key()]).collect();
    envelope_input(&seal(POINTER_KIND, &payload(), &keys.iter().collect::<Vec<_>>()))
}

fn build_forms(cases: &mut Cases) {
    let text = good().to_string();
    let mut malformed = |name: &str, input: Value| cases.invalid(name, input, fault("malformed"));
    malformed("nothing", envelope_input(b""));
    malformed("not JSON", envelope_input(b"pointer"));
    malformed("an empty object", envelope_input(b"{}"));
    malformed("a string", envelope_input(b"\"pointer\""));
    malformed("cut off", envelope_input(&text.as_bytes()[..text.len() - 1]));
    malformed("bytes behind the object", envelope_input(format!("{text} x").as_bytes()));
    malformed("a byte order mark", envelope_input(format!("\u{feff}{text}").as_bytes()));
    malformed("bytes that are not UTF-8", not_utf8(&text));
    malformed("a comma too many", envelope_input(format!("{},}}", &text[..text.len() - 1]).as_bytes()));
    malformed(
        "a field twice",
        envelope_input(format!("{},\"payload\":\"\"}}", &text[..text.len() - 1]).as_bytes()),
    );
    malformed("no payload", changed(|e| e["payload"] = Value::Null));
    malformed("a payload type that is a number", changed(|e| e["payloadType"] = json!(1)));
    malformed("signatures that are no list", changed(|e| e["signatures"] = json!({})));
    malformed("a signature without key id", changed(|e| e["signatures"][0] = json!({ "sig": "" })));
    malformed("a key id in upper case", changed(|e| e["signatures"][0]["keyid"] = "AB".repeat(32).into()));
    malformed("a payload that is not base64", changed(|e| e["payload"] = json!("{}")));
    malformed(
        "a payload with white space",
        changed(|e| e["payload"] = format!(" {}", STANDARD.encode(payload())).into()),
    );
    malformed("a payload without padding", changed(|e| e["payload"] = json!("e30")));
    malformed("a payload with bits beyond its last byte", changed(|e| e["payload"] = json!("e31=")));
    malformed("a payload in base64url", changed(|e| e["payload"] = json!("_-8=")));
}

fn not_utf8(text: &str) -> Value {
    let text = text.as_bytes();
    let bytes = [&text[..text.len() - 1], b",\"payloadType\":\"\xff\"}".as_slice()].concat();
    with(super::case::hex_input(&bytes), json!({ "trusted": [signing_key().public()] }))
}

fn build_trust(cases: &mut Cases) {
    let untrusted = || fault("untrusted");
    let by_stranger = seal(POINTER_KIND, &payload(), &[&other_key()]);
    cases.invalid("signed by a stranger", envelope_input(&by_stranger), untrusted());
    cases.invalid("no signature", changed(|e| e["signatures"] = json!([])), untrusted());
    let nobody = with(envelope_input(good().to_string().as_bytes()), json!({ "trusted": [] }));
    cases.invalid("nobody is trusted", nobody, untrusted());
    let altered = String::from_utf8(payload()).expect("JSON").replace("live", "beta");
    cases.invalid(
        "another payload",
        changed(|e| e["payload"] = STANDARD.encode(altered).into()),
        untrusted(),
    );
    let zeros = STANDARD.encode([0; 64]);
    cases.invalid("another signature", changed(|e| e["signatures"][0]["sig"] = zeros.into()), untrusted());
    cases.invalid(
        "a signature that is not base64",
        changed(|e| e["signatures"][0]["sig"] = json!("?")),
        untrusted(),
    );
    let own_key = signing_key().public().id();
    let stolen_id = String::from_utf8(by_stranger).expect("JSON");
    let stolen_id = stolen_id.replace(&other_key().public().id().to_string(), &own_key.to_string());
    cases.invalid(
        "a stranger's signature under a trusted key id",
        envelope_input(stolen_id.as_bytes()),
        untrusted(),
    );
    let root: Value = serde_json::from_slice(&seal(ROOT_KIND, &payload(), &[&signing_key()])).expect("JSON");
    let signature = root["signatures"].clone();
    cases.invalid("a signature for another type", changed(|e| e["signatures"] = signature), untrusted());
    let found = fault_about("wrong-type", ROOT_KIND.payload_type);
    cases.invalid("another type", envelope_input(root.to_string().as_bytes()), found);
    cases.invalid("nine signatures", with_signatures(9), fault("too-many-signatures"));
}
