//! Links without a tracker: the frames that peers are introduced by, and what is said in them. Both are for nodes.

use std::net::SocketAddr;

use freshet_protocol::{
    Base64, Frame, Hash, Introduction, KeyId, Nat, Party, Placed, PublicKey, Seen, WireError,
};
use serde_json::{Value, json};

use super::case::{Case, hex_input, json_input};
use super::frame::{judge, numbers, raw, refused, valid};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FRAMES: Form = Form {
    file: "introduction_frame",
    what: "frames by which peers are introduced, one a case, judged as frames are; who does not introduce skips them",
    build: build_frames,
    judge,
    corpus: Some(("frame", Case::bytes)),
};

pub(super) const FORM: Form = Form {
    file: "introduction",
    what: "what two peers say to each other through a third one; fields is it as JSON, in which unknown is a type of a later version",
    build,
    judge: judge_introduction,
    corpus: Some(("introduction", Case::bytes)),
};

fn judge_introduction(case: &Case) -> Result<Judged, Fault> {
    let introduction = Introduction::decode(&case.bytes())?;
    Ok(Judged::written(json!(introduction), introduction.encode()))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn build_frames(cases: &mut Cases) {
    let key = |byte: u8| KeyId(Hash([byte; 32]));
    let mut good = |name: &str, frame: Frame| valid(cases, name, &frame);
    good("peers, none", Frame::Peers { asks: false, keys: vec![] });
    good("peers, a question", Frame::Peers { asks: true, keys: vec![key(1), key(2)] });
    good("peers, 16 of them", Frame::Peers { asks: false, keys: (0..16).map(key).collect() });
    let signal = |seen, data| Frame::Signal { key: key(1), seen, data };
    let seen = |text: &str, is_near| Some(Seen { address: address(text), is_near });
    good("signal to be passed on", signal(None, b"{}".to_vec()));
    good("signal of nothing", signal(None, vec![]));
    good("signal of who is seen over IPv4", signal(seen("192.0.2.7:4433", false), b"{}".to_vec()));
    good("signal of who is near, over IPv6", signal(seen("[2001:db8::7]:65535", true), b"{}".to_vec()));
    good("signal of the largest size", signal(seen("192.0.2.7:4433", true), vec![b' '; 4096]));

    let mut fault = |name: &str, kind, body: &[u8], error| refused(cases, name, kind, body, error);
    let keys = |count: u64, there: usize| [&[0][..], &numbers(&[count]), &vec![1; 32 * there]].concat();
    fault("peers, 17 of them", 11, &keys(17, 17), WireError::OverLimit("number of peers"));
    fault("peers, fewer than it says", 11, &keys(2, 1), WireError::Truncated);
    fault("peers, more than it says", 11, &keys(1, 2), WireError::Trailing);
    fault("peers with question 2", 11, &[2, 0], WireError::Invalid("question"));
    fault("peers of nothing at all", 11, &[], WireError::Truncated);
    let signal = |tail: &[u8]| [&[1; 32][..], tail].concat();
    fault("signal to half a key", 13, &[1; 31], WireError::Truncated);
    fault("signal without a place", 13, &signal(&[]), WireError::Truncated);
    fault("signal of place 5", 13, &signal(&[5]), WireError::Invalid("place"));
    fault("signal of an address cut off", 13, &signal(&[4, 192, 0, 2, 7, 1]), WireError::Truncated);
    let near = signal(&[4, 192, 0, 2, 7, 17, 81, 2]);
    fault("signal with nearness 2", 13, &near, WireError::Invalid("nearness"));
    let mapped = [&[6][..], &[0; 10], &[0xff, 0xff, 192, 0, 2, 7, 17, 81, 0]].concat();
    fault("signal of IPv4 in IPv6", 13, &signal(&mapped), WireError::Invalid("place"));
    let long = [&[0][..], &[b' '; 4097]].concat();
    fault("signal of 4097 bytes", 13, &signal(&long), WireError::OverLimit("signal"));
    let cut_off = raw(11, &[0, 0]);
    cases.invalid("peers, not all there", hex_input(&cut_off[..3]), self::fault("incomplete"));
}

fn party() -> Party {
    Party {
        pair: 1 << 52,
        key: PublicKey([2; 32]),
        ticket: Base64(vec![3; 8]),
        mapped: vec![Placed { address: address("192.0.2.7:40001"), nat: Nat::PortRestricted }],
        local: vec![address("192.168.1.7:4433")],
    }
}

fn build(cases: &mut Cases) {
    let mut valid = |name: &str, introduction: Introduction| {
        cases.valid(name, json_input(introduction.encode()), json!(introduction));
    };
    valid("meet", Introduction::Meet(party()));
    valid("met", Introduction::Met(party()));
    let least = Party { mapped: vec![], local: vec![], ticket: Base64(vec![]), ..party() };
    valid("meet of who knows nothing of itself", Introduction::Meet(least));
    let v6 = |nat| Placed { address: address("[2001:db8::7]:4433"), nat };
    let largest = Party {
        pair: (1 << 53) - 1,
        ticket: Base64(vec![9; 1024]),
        mapped: vec![v6(Nat::Open), v6(Nat::Symmetric)],
        local: vec![address("192.168.1.7:4433"), address("[fd00::7]:4433")],
        ..party()
    };
    valid("met, each value at its limit", Introduction::Met(largest));

    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = json!(Introduction::Meet(party()));
        change(&mut value);
        value
    };
    let later = json!({ "type": "greet", "with": "a song" });
    cases.lenient(
        "next version: an unknown type",
        json_input(later.to_string()),
        json!({ "type": "unknown" }),
    );
    let further = changed(&|value| value["mood"] = json!("good"));
    cases.lenient(
        "next version: a further field",
        json_input(further.to_string()),
        json!(Introduction::Meet(party())),
    );
    let nat = changed(&|value| value["mapped"][0]["nat"] = json!("enchanted"));
    let unknown = changed(&|value| value["mapped"][0]["nat"] = json!("unknown"));
    cases.lenient("next version: an unknown NAT", json_input(nat.to_string()), unknown);

    let mut invalid =
        |name: &str, value: Value, fault: Fault| cases.invalid(name, json_input(value.to_string()), fault);
    let over = |what: &str| fault_about("over-limit", what);
    let pair = |pair: u64| changed(&|value| value["pair"] = json!(pair));
    invalid("the number of a tracker's pairing", pair((1 << 52) - 1), fault_about("pair", (1_u64 << 52) - 1));
    invalid("a number beyond 2^53-1", pair(1 << 53), fault_about("pair", 1_u64 << 53));
    let ticket = changed(&|value| value["ticket"] = json!(Base64(vec![1; 1025])));
    invalid("a ticket of 1025 bytes", ticket, over("ticket"));
    let three =
        |field: &'static str| changed(&|value| value[field] = json!(vec![value[field][0].clone(); 3]));
    invalid("3 mapped addresses", three("mapped"), over("number of mapped addresses"));
    invalid("3 local addresses", three("local"), over("number of local addresses"));
    invalid("a key that is none", changed(&|value| value["key"] = json!("ed25519:AA")), fault("malformed"));
    invalid(
        "an address that is none",
        changed(&|value| value["local"] = json!(["host:1"])),
        fault("malformed"),
    );
    invalid(
        "no ticket",
        changed(&|value| drop(value.as_object_mut().map(|o| o.remove("ticket")))),
        fault("malformed"),
    );
    invalid("no type", json!({}), fault("malformed"));
    let long = changed(&|value| value["mood"] = json!("x".repeat(4096)));
    invalid("one of more than 4096 bytes", long, over("signal"));
}
