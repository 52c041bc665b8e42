//! Generated messages between clients and trackers.

use std::net::{IpAddr, SocketAddr};

use freshet_protocol::{
    Announce, Base64, Candidate, ClientMessage, HaveSummary, KeyId, Locality, MappedAddress, Nat,
    PairOutcome, ServerMessage, Transport,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{content_name, hash, integer, peer_id, public_key, root_id};

fn base64(bytes_max: usize) -> impl Strategy<Value = Base64> {
    vec(any::<u8>(), 0..=bytes_max).prop_map(Base64)
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let transport = prop_oneof![
        Just(Transport::Quic),
        Just(Transport::WebTransport),
        Just(Transport::WebRtc),
        Just(Transport::Unknown),
    ];
    vec((transport, address()).prop_map(|(transport, address)| Candidate { transport, address }), 0..=8)
}

fn announce() -> impl Strategy<Value = Announce> {
    let have = prop_oneof![
        Just(HaveSummary::None),
        Just(HaveSummary::All),
        base64(512).prop_map(HaveSummary::Shards),
    ];
    let numbers = (0..=1_u32 << 19, integer(), any::<u8>(), 0..=32_u8);
    let nat = prop_oneof![
        Just(Nat::Open),
        Just(Nat::AddressRestricted),
        Just(Nat::PortRestricted),
        Just(Nat::Symmetric),
        Just(Nat::Unknown),
    ];
    let mapped =
        (address(), nat, base64(24)).prop_map(|(address, nat, proof)| MappedAddress { address, nat, proof });
    let local = vec(address(), 0..=2);
    let reach = (candidates(), vec(mapped, 0..=2), local, vec(hash(), 0..=2));
    (content_name(), root_id(), numbers, have, any::<bool>(), reach).prop_map(
        |(
            content,
            root,
            (chunks, left_bytes, links, links_wanted),
            have,
            sharing,
            (candidates, mapped, local, certificates),
        )| Announce {
            content,
            root,
            chunks,
            have,
            left_bytes,
            sharing,
            links,
            links_wanted,
            candidates,
            mapped,
            local,
            certificates,
        },
    )
}

/// What clients say.
pub(crate) fn client_message() -> impl Strategy<Value = ClientMessage> {
    let hello = (any::<(u32, u32)>(), public_key(), base64(64), "\\PC{0,16}", option::of("[ -~]{0,200}"));
    let outcome = prop_oneof![
        Just(PairOutcome::Linked),
        Just(PairOutcome::Failed),
        Just(PairOutcome::Closed),
        Just(PairOutcome::Unknown),
    ];
    prop_oneof![
        hello.prop_map(|((version_min, version_max), key, proof, agent, token)| ClientMessage::Hello {
            version_min,
            version_max,
            key,
            proof,
            agent,
            token
        }),
        announce().prop_map(ClientMessage::Announce),
        content_name().prop_map(|content| ClientMessage::Leave { content }),
        (content_name(), root_id(), 0..=256_u32, vec(0..4096_u32, 0..=256))
            .prop_map(|(content, root, want, done)| ClientMessage::Lease { content, root, want, done }),
        (integer(), any::<String>()).prop_map(|(pair, data)| ClientMessage::Signal { pair, data }),
        (content_name(), base64(300)).prop_map(|(content, entry)| ClientMessage::Entry { content, entry }),
        (content_name(), base64(300))
            .prop_map(|(content, pointer)| ClientMessage::Pointer { content, pointer }),
        (integer(), outcome).prop_map(|(pair, outcome)| ClientMessage::Paired { pair, outcome }),
        Just(ClientMessage::Unknown),
    ]
}

fn pair() -> impl Strategy<Value = ServerMessage> {
    let locality = prop_oneof![
        Just(Locality::SameAddress),
        Just(Locality::SameAs),
        Just(Locality::SameCountry),
        Just(Locality::Any),
        Just(Locality::Unknown),
    ];
    let other = (peer_id(), hash().prop_map(KeyId), candidates(), vec(hash(), 0..=2));
    (integer(), content_name(), other, any::<(bool, bool)>(), locality).prop_map(
        |(pair, content, (peer, key, candidates, certificates), (dial, random), locality)| {
            ServerMessage::Pair { pair, content, peer, key, candidates, certificates, dial, locality, random }
        },
    )
}

/// What trackers say.
pub(crate) fn server_message() -> impl Strategy<Value = ServerMessage> {
    let stun = (vec(any::<u16>(), 0..=2), option::of("[a-z0-9.:-]{0,40}"));
    let welcome = (any::<(u32, u32)>(), peer_id(), public_key(), address(), stun);
    let shards = (content_name(), root_id(), vec(0..4096_u32, 0..=256), any::<u32>(), option::of(integer()));
    prop_oneof![
        base64(64).prop_map(|nonce| ServerMessage::Challenge { nonce }),
        welcome.prop_map(|((version, announce_ms), peer, tracker_key, address, (stun_ports, stun_host))| {
            ServerMessage::Welcome { version, peer, tracker_key, address, stun_ports, stun_host, announce_ms }
        }),
        (base64(1024), integer()).prop_map(|(ticket, expires)| ServerMessage::Ticket { ticket, expires }),
        pair(),
        shards.prop_map(|(content, root, granted, active_jobs, origin_budget_bytes_s)| {
            ServerMessage::Shards { content, root, granted, active_jobs, origin_budget_bytes_s }
        }),
        (integer(), any::<String>()).prop_map(|(pair, data)| ServerMessage::Signal { pair, data }),
        (content_name(), base64(300)).prop_map(|(content, entry)| ServerMessage::Entry { content, entry }),
        (content_name(), base64(300))
            .prop_map(|(content, pointer)| ServerMessage::Pointer { content, pointer }),
        any::<u32>().prop_map(|reconnect_ms| ServerMessage::Drain { reconnect_ms }),
        ("[a-z-]{0,20}", "\\PC{0,80}").prop_map(|(code, message)| ServerMessage::Error { code, message }),
        Just(ServerMessage::Unknown),
    ]
}
