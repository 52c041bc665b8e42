//! What peers sign to prove that they hold their keys, to each other and to a tracker.

use freshet_protocol::{
    Hash, LinkBinding, PublicKey, Side, SigningKey, proof_message, tracker_proof_message,
};
use serde_json::{Value, json};

use super::case::{Case, hex, with};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault};

pub(super) const FORM: Form = Form {
    file: "proof",
    what: "proofs: the message for side (dialer or acceptor of a link; tracker: the client's to its tracker), and a signature over it by key; an invalid one was made for something else",
    build,
    judge,
    corpus: None,
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let nonce = |key: &str| -> [u8; 32] { case.hex(key).try_into().expect("a nonce has 32 bytes") };
    let hash = |key: &str| case.text(key).parse::<Hash>().expect("a hash");
    let link = |side| {
        let binding = LinkBinding { dialer: hash("dialer"), acceptor: hash("acceptor") };
        proof_message(side, &nonce("their_nonce"), &nonce("own_nonce"), &binding)
    };
    let message = match case.text("side") {
        "dialer" => link(Side::Dialer),
        "acceptor" => link(Side::Acceptor),
        "tracker" => tracker_proof_message(&case.hex("challenge")),
        other => panic!("{other} is no side"),
    };
    let key: PublicKey = case.text("key").parse()?;
    key.verify(&message, &case.hex("signature"))?;
    Ok(Judged::read(json!({ "message": hex(&message) })))
}

fn link(side: &str) -> Value {
    json!({
        "side": side,
        "their_nonce": "01".repeat(32),
        "own_nonce": "02".repeat(32),
        "dialer": "03".repeat(32),
        "acceptor": "04".repeat(32),
    })
}

fn tracker() -> Value {
    json!({ "side": "tracker", "challenge": "05".repeat(16) })
}

/// The message of `side`, put together by hand.
fn message(side: &str) -> Vec<u8> {
    let parts: &[&[u8]] = match side {
        "dialer" => &[b"freshet proof 1\ndialer\n", &[1; 32], &[2; 32], &[3; 32], &[4; 32]],
        "acceptor" => &[b"freshet proof 1\nacceptor\n", &[1; 32], &[2; 32], &[3; 32], &[4; 32]],
        _ => &[b"freshet tracker proof 1\n", &[5; 16]],
    };
    parts.concat()
}

fn build(cases: &mut Cases) {
    let key = SigningKey::from_seed(&[2; 32]);
    let signed = |input: Value, message: &[u8]| {
        with(input, json!({ "key": key.public(), "signature": hex(&key.sign(message)) }))
    };
    let mut valid = |name: &str, input: Value, side: &str| {
        cases.valid(name, signed(input, &message(side)), json!({ "message": hex(&message(side)) }));
    };
    valid("the dialer's", link("dialer"), "dialer");
    valid("the acceptor's", link("acceptor"), "acceptor");
    valid("the client's to its tracker", tracker(), "tracker");

    let mut invalid = |name: &str, input: Value, side: &str| {
        cases.invalid(name, signed(input, &message(side)), fault("bad-signature"));
    };
    invalid("the other side's, sent back", link("dialer"), "acceptor");
    invalid(
        "for another nonce of the other",
        with(link("dialer"), json!({ "their_nonce": "09".repeat(32) })),
        "dialer",
    );
    invalid("for another own nonce", with(link("dialer"), json!({ "own_nonce": "09".repeat(32) })), "dialer");
    invalid(
        "for another dialer's channel",
        with(link("dialer"), json!({ "dialer": "09".repeat(32) })),
        "dialer",
    );
    invalid(
        "for another acceptor's channel",
        with(link("acceptor"), json!({ "acceptor": "09".repeat(32) })),
        "acceptor",
    );
    invalid("for a peer, shown to a tracker", tracker(), "dialer");
    invalid("for another challenge", with(tracker(), json!({ "challenge": "06".repeat(16) })), "tracker");
}
