//! Messages between clients and trackers that are accepted.

use freshet_protocol::{
    Announce, Base64, Candidate, ClientMessage, Hash, HaveSummary, KeyId, Locality, MappedAddress, Nat,
    PairOutcome, PeerId, PublicKey, RootId, ServerMessage, Transport,
};
use serde_json::json;

use super::case::{Case, json_input};
use super::{Cases, Form, Judged, message_faults};
use crate::faults::Fault;

pub(super) const CLIENT: Form = Form {
    file: "client_message",
    what: "what clients say to trackers; fields is the message as JSON, in which unknown is a type of a later version",
    build: build_client,
    judge: judge_client,
    corpus: Some(("client_message", Case::bytes)),
};

pub(super) const SERVER: Form = Form {
    file: "server_message",
    what: "what trackers say to clients; fields is the message as JSON, in which unknown is a type of a later version",
    build: build_server,
    judge: judge_server,
    corpus: Some(("server_message", Case::bytes)),
};

fn judge_client(case: &Case) -> Result<Judged, Fault> {
    let message = ClientMessage::decode(&case.bytes())?;
    Ok(Judged::written(json!(message), message.encode()))
}

fn judge_server(case: &Case) -> Result<Judged, Fault> {
    let message = ServerMessage::decode(&case.bytes())?;
    Ok(Judged::written(json!(message), message.encode()))
}

const MAX: u64 = (1 << 53) - 1;

fn key() -> PublicKey {
    PublicKey([2; 32])
}

fn candidate(transport: Transport, address: &str) -> Candidate {
    Candidate { transport, address: address.parse().expect("an address") }
}

/// An announce that fills the usual fields.
pub(super) fn announce() -> Announce {
    Announce {
        content: "game/demo".parse().expect("name"),
        root: RootId::of(b"root"),
        chunks: 480_000,
        have: HaveSummary::Shards(Base64(vec![1, 2, 255])),
        left_bytes: 60_000_000_000,
        sharing: true,
        links: 3,
        links_wanted: 5,
        candidates: vec![
            candidate(Transport::Quic, "192.0.2.7:4433"),
            candidate(Transport::WebTransport, "[2001:db8::7]:4433"),
        ],
        mapped: vec![MappedAddress {
            address: "192.0.2.7:40001".parse().expect("an address"),
            nat: Nat::PortRestricted,
            proof: Base64(vec![8; 24]),
        }],
        local: vec!["192.168.1.7:4433".parse().expect("an address")],
        certificates: vec![Hash([3; 32])],
    }
}

/// A hello with all its fields.
pub(super) fn hello() -> ClientMessage {
    ClientMessage::Hello {
        version_min: 1,
        version_max: 1,
        key: key(),
        proof: Base64(vec![7; 64]),
        agent: "freshet/0.1".to_owned(),
        token: Some("eyJh.bGci.OiJF".to_owned()),
    }
}

/// A request for shards.
pub(super) fn lease(want: u32, done: Vec<u32>) -> ClientMessage {
    let Announce { content, root, .. } = announce();
    ClientMessage::Lease { content, root, want, done }
}

fn build_client(cases: &mut Cases) {
    let mut valid = |name: &str, message: ClientMessage| {
        cases.valid(name, json_input(message.encode()), json!(message));
    };
    valid("hello", hello());
    let plain = ClientMessage::Hello {
        version_min: 0,
        version_max: u32::MAX,
        key: key(),
        proof: Base64(vec![]),
        agent: "é".repeat(32),
        token: None,
    };
    valid("hello without token, longest agent", plain);
    valid("announce", ClientMessage::Announce(announce()));
    let with = |have, candidates| ClientMessage::Announce(Announce { have, candidates, ..announce() });
    valid("announce of who has nothing", with(HaveSummary::None, vec![]));
    valid("announce of who has all", with(HaveSummary::All, vec![]));
    let eight = vec![candidate(Transport::WebRtc, "[::1]:9"); 8];
    valid(
        "announce with 4096 shards and 8 candidates",
        with(HaveSummary::Shards(Base64(vec![255; 512])), eight),
    );
    let largest = Announce { chunks: 1 << 19, left_bytes: MAX, links: 255, links_wanted: 32, ..announce() };
    valid("announce, each number at its limit", ClientMessage::Announce(largest));
    let pushed = |bytes| ClientMessage::Entry { content: announce().content, entry: Base64(vec![6; bytes]) };
    valid("entry", pushed(400));
    valid("entry of 8 KiB", pushed(8 << 10));
    valid("leave", ClientMessage::Leave { content: announce().content });
    valid("lease", lease(3, vec![0, 4095]));
    valid("lease of 256 shards", lease(256, vec![9; 256]));
    valid(
        "signal",
        ClientMessage::Signal { pair: 5, data: "{\"sdp\":\"v=0\\r\\n\"}\u{2028}\u{1}".to_owned() },
    );
    valid("signal of 4 KiB", ClientMessage::Signal { pair: MAX, data: "x".repeat(4096) });
    for outcome in [PairOutcome::Linked, PairOutcome::Failed, PairOutcome::Closed] {
        valid(&format!("paired, {outcome:?}"), ClientMessage::Paired { pair: 5, outcome });
    }
    message_faults::build_later_client(cases);
    message_faults::build_client(cases);
}

/// A pairing with all its fields.
pub(super) fn pair() -> ServerMessage {
    ServerMessage::Pair {
        pair: 5,
        content: announce().content,
        peer: PeerId::try_from(9).expect("small"),
        key: KeyId::of(&[2; 32]),
        candidates: announce().candidates,
        certificates: announce().certificates,
        dial: true,
        locality: Locality::SameAddress,
        random: false,
    }
}

/// Granted shards.
pub(super) fn shards(granted: Vec<u32>) -> ServerMessage {
    let Announce { content, root, .. } = announce();
    ServerMessage::Shards {
        content,
        root,
        granted,
        active_jobs: 40,
        origin_budget_bytes_s: Some(125_000_000),
    }
}

/// A welcome.
pub(super) fn welcome(stun_ports: Vec<u16>) -> ServerMessage {
    ServerMessage::Welcome {
        version: 1,
        peer: PeerId::try_from(MAX).expect("limit"),
        tracker_key: key(),
        address: "192.0.2.7:50000".parse().expect("an address"),
        stun_ports,
        stun_host: None,
        announce_ms: 30_000,
    }
}

/// A welcome that names the host of the STUN service.
pub(super) fn welcome_with_host(host: &str) -> ServerMessage {
    let ServerMessage::Welcome { version, peer, tracker_key, address, announce_ms, .. } = welcome(vec![])
    else {
        unreachable!("a welcome")
    };
    let (stun_ports, stun_host) = (vec![3478, 3479], Some(host.to_owned()));
    ServerMessage::Welcome { version, peer, tracker_key, address, stun_ports, stun_host, announce_ms }
}

fn build_server(cases: &mut Cases) {
    let mut valid = |name: &str, message: ServerMessage| {
        cases.valid(name, json_input(message.encode()), json!(message));
    };
    valid("challenge", ServerMessage::Challenge { nonce: Base64(vec![5; 32]) });
    valid("challenge of 64 bytes", ServerMessage::Challenge { nonce: Base64(vec![5; 64]) });
    valid("welcome", welcome(vec![3478, 65_535]));
    valid("welcome without STUN", welcome(vec![]));
    valid("welcome with a STUN host", welcome_with_host("stun.example"));
    valid("welcome with a STUN host of 253 bytes", welcome_with_host(&"a".repeat(253)));
    valid("ticket", ServerMessage::Ticket { ticket: Base64(vec![1; 200]), expires: 1_800_000_000 });
    valid("the largest ticket", ServerMessage::Ticket { ticket: Base64(vec![1; 1024]), expires: MAX });
    valid("pair", pair());
    for locality in [Locality::SameAs, Locality::SameCountry, Locality::Any] {
        let ServerMessage::Pair { pair, content, peer, key, .. } = pair() else { continue };
        let (candidates, certificates) = (vec![], vec![]);
        let waiting = ServerMessage::Pair {
            pair,
            content,
            peer,
            key,
            candidates,
            certificates,
            dial: false,
            locality,
            random: true,
        };
        valid(&format!("pair that waits, {locality:?}"), waiting);
    }
    valid("shards", shards(vec![0, 4095]));
    valid("256 shards", shards(vec![1; 256]));
    let Announce { content, root, .. } = announce();
    let none =
        ServerMessage::Shards { content, root, granted: vec![], active_jobs: 0, origin_budget_bytes_s: None };
    valid("no shards, no budget known", none);
    let pushed = |bytes| ServerMessage::Entry { content: announce().content, entry: Base64(vec![6; bytes]) };
    valid("entry", pushed(400));
    valid("entry of 8 KiB", pushed(8 << 10));
    valid("signal", ServerMessage::Signal { pair: 5, data: String::new() });
    valid("signal of 4 KiB", ServerMessage::Signal { pair: MAX, data: "한".repeat(1365) });
    valid("drain", ServerMessage::Drain { reconnect_ms: u32::MAX });
    let error =
        ServerMessage::Error { code: "too-many-swarms".to_owned(), message: "Leave one first.".to_owned() };
    valid("error", error);
    message_faults::build_later_server(cases);
    message_faults::build_server(cases);
}
