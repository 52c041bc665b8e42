//! Tickets.

use freshet_protocol::{
    KeyId, PeerId, PublicKey, RIGHT_RECEIVE, RIGHT_SEND, SigningKey, SwarmId, Ticket, WireError, put_varint,
};
use serde_json::{Value, json};

use super::case::{Case, hex_input, with};
use super::{Cases, Form, Judged};
use crate::checks::signing_key;
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "ticket",
    what: "tickets; trackers are the keys that may sign; where there is a key, its holder opens a link in swarm at now, within grace seconds of expiry",
    build,
    judge,
    corpus: Some(("ticket", Case::bytes)),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let trackers = case.list::<PublicKey>("trackers");
    let ticket = Ticket::open(&case.bytes(), &trackers)?;
    if case.has("key") {
        let key: PublicKey = case.text("key").parse()?;
        ticket.check(&key, case.text("swarm").parse()?, case.number("now"), case.number("grace"))?;
    }
    Ok(Judged::read(fields(&ticket)))
}

fn owner() -> PublicKey {
    SigningKey::from_seed(&[2; 32]).public()
}

fn ticket() -> Ticket {
    Ticket {
        peer: PeerId::try_from(9).expect("small"),
        key: owner().id(),
        issued: 100,
        expires: 200,
        rights: RIGHT_RECEIVE | RIGHT_SEND,
        swarms: vec![SwarmId::of(b"swarm")],
    }
}

fn input(bytes: &[u8]) -> Value {
    with(
        hex_input(bytes),
        json!({ "trackers": [SigningKey::from_seed(&[7; 32]).public(), signing_key().public()] }),
    )
}

fn fields(ticket: &Ticket) -> Value {
    json!({
        "peer": ticket.peer,
        "key": ticket.key,
        "issued": ticket.issued,
        "expires": ticket.expires,
        "rights": ticket.rights,
        "swarms": ticket.swarms,
    })
}

fn build(cases: &mut Cases) {
    let mut valid = |name: &str, ticket: &Ticket| {
        cases.valid(name, input(&ticket.seal(&signing_key())), fields(ticket));
    };
    valid("a ticket", &ticket());
    valid("no swarm and no right", &Ticket { rights: 0, swarms: vec![], ..ticket() });
    valid("16 swarms", &Ticket { swarms: (0..16).map(|n| SwarmId::of(&[n])).collect(), ..ticket() });
    let max = (1 << 53) - 1;
    let largest = Ticket {
        peer: PeerId::try_from(max).expect("limit"),
        issued: max,
        expires: max,
        rights: max,
        ..ticket()
    };
    valid("each number at its limit, unknown rights", &largest);

    build_checks(cases);
    build_forms(cases);
    build_trust(cases);
}

fn build_checks(cases: &mut Cases) {
    let at = |key: PublicKey, swarm: &[u8], now: u64, grace: u64| {
        let link = json!({ "key": key, "swarm": SwarmId::of(swarm), "now": now, "grace": grace });
        with(input(&ticket().seal(&signing_key())), link)
    };
    cases.valid("in its last second", at(owner(), b"swarm", 199, 0), fields(&ticket()));
    cases.valid("in the last second of its grace", at(owner(), b"swarm", 259, 60), fields(&ticket()));
    cases.invalid("expired", at(owner(), b"swarm", 200, 0), fault("expired"));
    cases.invalid("grace has passed", at(owner(), b"swarm", 260, 60), fault("expired"));
    cases.invalid("another swarm", at(owner(), b"x", 199, 0), fault("other-swarm"));
    cases.invalid("a thief's key", at(signing_key().public(), b"swarm", 199, 0), fault("other-key"));
}

/// A signed ticket whose body is written by hand.
fn raw(version: u64, numbers: [u64; 3], swarms: u64, swarm_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, version);
    put_varint(&mut out, 9);
    out.extend_from_slice(&owner().id().0.0);
    numbers.iter().for_each(|number| put_varint(&mut out, *number));
    put_varint(&mut out, swarms);
    out.resize(out.len() + swarm_bytes, 5);
    signed(out, signing_key().public().id())
}

fn signed(mut body: Vec<u8>, signer: KeyId) -> Vec<u8> {
    body.extend_from_slice(&signer.0.0);
    let signature = signing_key().sign(&[b"freshet ticket 1\n", body.as_slice()].concat());
    body.extend_from_slice(&signature);
    body
}

fn build_forms(cases: &mut Cases) {
    let good = ticket().seal(&signing_key());
    let mut wire =
        |name: &str, bytes: &[u8], error: WireError| cases.invalid(name, input(bytes), error.into());
    wire("nothing", &[], WireError::Truncated);
    wire("cut off in the signature", &good[..good.len() - 1], WireError::Truncated);
    wire("cut off in the key id", &good[..20], WireError::Truncated);
    wire("a byte behind", &[good.as_slice(), &[0]].concat(), WireError::Trailing);
    wire("17 swarms", &raw(1, [1, 2, 3], 17, 17 * 32), WireError::OverLimit("number of swarms"));
    wire("fewer swarms than it says", &raw(1, [1, 2, 3], 4, 32), WireError::Truncated);
    wire(
        "1025 bytes",
        &[good.as_slice(), &vec![0; 1025 - good.len()]].concat(),
        WireError::OverLimit("ticket size"),
    );
    let long_form = signed([&[0x40, 0x01], &good[1..good.len() - 96]].concat(), signing_key().public().id());
    wire("a version in two bytes", &long_form, WireError::IntegerNotShortest);
    let too_large = [&good[..1], &[0xc0, 0x20, 0, 0, 0, 0, 0, 0], &good[2..]].concat();
    wire("a peer id beyond 2^53-1", &too_large, WireError::IntegerTooLarge);
    cases.invalid("version 2", input(&raw(2, [1, 2, 3], 0, 0)), fault_about("unsupported", "version 2"));
}

fn build_trust(cases: &mut Cases) {
    let good = ticket().seal(&signing_key());
    let mut untrusted = |name: &str, bytes: &[u8]| cases.invalid(name, input(bytes), fault("untrusted"));
    let mut forged = good.clone();
    forged[1] ^= 1;
    untrusted("another peer id", &forged);
    let mut flipped = good.clone();
    *flipped.last_mut().expect("a signature") ^= 1;
    untrusted("one bit of the signature changed", &flipped);
    untrusted("signed by a stranger", &ticket().seal(&SigningKey::from_seed(&[3; 32])));
    let body = &good[..good.len() - 96];
    untrusted(
        "under another tracker's key id",
        &signed(body.to_vec(), SigningKey::from_seed(&[7; 32]).public().id()),
    );
    let bare = [body, &signing_key().public().id().0.0].concat();
    untrusted("a signature for something else", &[bare.as_slice(), &signing_key().sign(&bare)].concat());
}
