//! Key documents of tenants.

use freshet_protocol::{
    Grant, KEY_DOCUMENT_KIND, KEY_DOCUMENT_SCHEMA, KeyDocument, PublicKey, Role, SigningKey,
};
use serde_json::{Value, json};

use super::case::{Case, with};
use super::envelope::{envelope_input, padded_input, signed_input};
use super::{Cases, Form, Judged};
use crate::checks::seal;
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "key_document",
    what: "signed key documents: json is the envelope, payload what it holds (for people), trusted the tenant's key, now the time at which keys may sign",
    build,
    judge,
    corpus: Some(("pointer", |case| {
        case.text_if_any("payload").map_or_else(|| case.bytes(), |text| text.into())
    })),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let tenant = case.list::<PublicKey>("trusted")[0];
    let document = KeyDocument::open(&case.bytes(), tenant)?;
    let now = case.number("now");
    let keys = |role| document.keys_for(role, now);
    Ok(Judged::read(json!({
        "document": document,
        "pointer": keys(Role::Pointer),
        "root": keys(Role::Root),
        "tracker": keys(Role::Tracker),
        "stream": keys(Role::Stream),
    })))
}

fn online() -> PublicKey {
    SigningKey::from_seed(&[2; 32]).public()
}

fn tracker() -> PublicKey {
    SigningKey::from_seed(&[3; 32]).public()
}

fn document() -> KeyDocument {
    KeyDocument {
        schema: KEY_DOCUMENT_SCHEMA,
        tenant: "game".to_owned(),
        sequence: 1,
        keys: vec![
            Grant { key: online(), roles: vec![Role::Pointer, Role::Root], expires: Some(100) },
            Grant { key: tracker(), roles: vec![Role::Tracker], expires: None },
        ],
    }
}

fn at(now: u64, input: Value) -> Value {
    with(input, json!({ "now": now }))
}

fn signed(document: &KeyDocument) -> Value {
    at(0, signed_input(KEY_DOCUMENT_KIND, &serde_json::to_string(document).expect("JSON")))
}

fn fields(document: &KeyDocument, pointer: &[PublicKey], root: &[PublicKey], tracker: &[PublicKey]) -> Value {
    json!({ "document": document, "pointer": pointer, "root": root, "tracker": tracker, "stream": [] })
}

fn build(cases: &mut Cases) {
    let plain = serde_json::to_string(&document()).expect("JSON");
    let all = || fields(&document(), &[online()], &[online()], &[tracker()]);
    cases.valid("in the last second of a grant", at(99, signed(&document())), all());
    let expired = fields(&document(), &[], &[online()], &[tracker()]);
    cases.valid("after a grant, roots stay good", at(100, signed(&document())), expired);
    let later = plain.replacen("\"keys\"", "\"policy\":{\"p2p\":false},\"keys\"", 1);
    cases.valid("a field of a later version", at(0, signed_input(KEY_DOCUMENT_KIND, &later)), all());
    let mut unknown = document();
    unknown.keys[1].roles = vec![Role::Unknown];
    let text = plain.replace("[\"tracker\"]", "[\"policy\"]");
    cases.valid(
        "a role of a later version gives no right",
        at(0, signed_input(KEY_DOCUMENT_KIND, &text)),
        fields(&unknown, &[online()], &[online()], &[]),
    );
    let mut streams = document();
    streams.keys[0].roles = vec![Role::Stream];
    let mut signs_streams = fields(&streams, &[], &[], &[tracker()]);
    signs_streams["stream"] = json!([online()]);
    cases.valid("after a grant, entries of streams stay good", at(100, signed(&streams)), signs_streams);
    let null = plain.replace("[\"tracker\"]", "[\"tracker\"],\"expires\":null");
    cases.valid("an expiry of null", at(0, signed_input(KEY_DOCUMENT_KIND, &null)), all());
    let none = KeyDocument { keys: vec![], sequence: (1 << 53) - 1, ..document() };
    cases.valid("no keys, largest sequence", signed(&none), fields(&none, &[], &[], &[]));
    let many = |count: usize| KeyDocument { keys: vec![document().keys[1].clone(); count], ..document() };
    cases.valid("64 keys", signed(&many(64)), fields(&many(64), &[], &[], &[tracker(); 64]));
    cases.valid("a payload of 16 KiB", at(0, padded_input(KEY_DOCUMENT_KIND, &plain, 16 << 10)), all());

    cases.invalid("65 keys", signed(&many(65)), fault_about("inconsistent", "too many keys"));
    let longer = padded_input(KEY_DOCUMENT_KIND, &plain, (16 << 10) + 1);
    cases.invalid("a payload one byte longer", at(0, longer), fault("too-long"));
    build_refused(cases, &plain);
}

fn build_refused(cases: &mut Cases, plain: &str) {
    let second = KeyDocument { schema: 2, ..document() };
    cases.invalid("schema 2", signed(&second), fault_about("unsupported", "schema 2"));
    let sequence = KeyDocument { sequence: 1 << 53, ..document() };
    cases.invalid(
        "sequence 2^53",
        signed(&sequence),
        fault_about("inconsistent", "sequence is larger than 2^53-1"),
    );
    let mut expires = document();
    expires.keys[0].expires = Some(1 << 53);
    cases.invalid(
        "expires 2^53",
        signed(&expires),
        fault_about("inconsistent", "an expiry is larger than 2^53-1"),
    );
    let by_online = seal(KEY_DOCUMENT_KIND, plain.as_bytes(), &[&SigningKey::from_seed(&[2; 32])]);
    cases.invalid("signed by a key that it grants", at(0, envelope_input(&by_online)), fault("untrusted"));

    let mut malformed = |name: &str, from: &str, to: &str| {
        let payload = plain.replacen(from, to, 1);
        assert_ne!(payload, plain, "{name}");
        cases.invalid(name, at(0, signed_input(KEY_DOCUMENT_KIND, &payload)), fault("malformed"));
    };
    malformed("no tenant", "\"tenant\"", "\"owner\"");
    malformed("another algorithm", "ed25519:", "es256:");
    let key = online().to_string();
    malformed("a key one character short", &key, &key[..key.len() - 1]);
    malformed("no roles", "\"roles\"", "\"rules\"");
    malformed("a role that is a list", "\"tracker\"", "[\"tracker\"]");
    malformed("an expiry that is a string", "\"expires\":100", "\"expires\":\"100\"");
    malformed("an expiry twice", "\"expires\":100", "\"expires\":100,\"expires\":1");
}
