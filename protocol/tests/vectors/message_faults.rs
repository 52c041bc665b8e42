//! Messages between clients and trackers of a later version, and those that are refused.

use freshet_protocol::{
    Announce, Base64, Candidate, ClientMessage, Hash, HaveSummary, Nat, ServerMessage, Transport,
};
use serde_json::{Value, json};

use super::Cases;
use super::case::{hex_input, json_input};
use super::message::{announce, hello, lease, pair, shards, welcome, welcome_with_host};
use crate::faults::{fault, fault_about};

const TOO_LARGE: u64 = 1 << 53;

pub(super) fn build_later_client(cases: &mut Cases) {
    let later = r#"{"type":"teleport","to":{"x":[1.5e300,-0,"\ud83d\ude00"]},"to":null}"#;
    cases.lenient("next version: an unknown type", json_input(later), json!({ "type": "unknown" }));
    let text = lease(3, vec![1]).encode().replacen('{', "{\"why\":{\"type\":\"x\"},", 1);
    cases.lenient("next version: an unknown field", json_input(text), json!(lease(3, vec![1])));
    let paired = r#"{"type":"paired","pair":5,"outcome":"relayed"}"#;
    let known = json!({ "type": "paired", "pair": 5, "outcome": "unknown" });
    cases.lenient("next version: an unknown outcome", json_input(paired), known);
    let message = ClientMessage::Announce(announce());
    let text = message.encode().replacen("\"quic\"", "\"carrier-pigeon\"", 1);
    let mut known = announce();
    known.candidates[0].transport = Transport::Unknown;
    cases.lenient(
        "next version: an unknown transport",
        json_input(text),
        json!(ClientMessage::Announce(known)),
    );
    let text = message.encode().replacen("\"port-restricted\"", "\"moody\"", 1);
    let mut known = announce();
    known.mapped[0].nat = Nat::Unknown;
    cases.lenient("next version: an unknown NAT", json_input(text), json!(ClientMessage::Announce(known)));
    let (head, _) =
        message.encode().split_once(",\"candidates\"").map(|(a, b)| (a.to_owned(), b.len())).expect("list");
    let bare = ClientMessage::Announce(Announce {
        candidates: vec![],
        mapped: vec![],
        local: vec![],
        certificates: vec![],
        ..announce()
    });
    cases.lenient("announce without list of candidates", json_input(format!("{head}}}")), json!(bare));
    let leave = " {\r\n\t\"content\" : \"game/d\\u0065mo\" ,\"type\":\"leave\" } ";
    let content = announce().content;
    cases.lenient(
        "white space, escapes, type behind",
        json_input(leave),
        json!(ClientMessage::Leave { content }),
    );
    let null = hello().encode().replace("\"eyJh.bGci.OiJF\"", "null");
    let mut fields = json!(hello());
    fields.as_object_mut().expect("object").remove("token");
    cases.lenient("hello with a token of null", json_input(null), fields);
}

pub(super) fn build_later_server(cases: &mut Cases) {
    let drain = r#"{"type":"drain","reconnect_ms":5,"why":"new field"}"#;
    cases.lenient(
        "next version: an unknown field",
        json_input(drain),
        json!({ "type": "drain", "reconnect_ms": 5 }),
    );
    let unknown = json!({ "type": "unknown" });
    cases.lenient("next version: an unknown type", json_input(r#"{"type":"policy","sequence":1}"#), unknown);
    let null = welcome_with_host("stun.example").encode().replace("\"stun.example\"", "null");
    cases.lenient("welcome with a STUN host of null", json_input(null), json!(welcome(vec![3478, 3479])));
    let text = pair().encode().replace("same-address", "same-planet");
    let mut known = json!(pair());
    known["locality"] = json!("unknown");
    cases.lenient("next version: an unknown locality", json_input(text), known);
}

/// Cases that each differ from `good` by one replacement.
struct Changes<'a> {
    cases: &'a mut Cases,
    good: String,
}

impl Changes<'_> {
    fn malformed(&mut self, name: &str, from: &str, to: &str) {
        let text = self.good.replacen(from, to, 1);
        assert_ne!(text, self.good, "{name}");
        self.cases.invalid(name, json_input(text), fault("malformed"));
    }
}

pub(super) fn build_client(cases: &mut Cases) {
    build_client_limits(cases);
    build_forms(cases);
    let mut hello = Changes { cases, good: hello().encode() };
    hello.malformed("hello without key", "\"key\"", "\"lock\"");
    hello.malformed("hello with a proof that is not base64", "\"proof\":\"B", "\"proof\":\"-");
    hello.malformed("hello with a proof without padding", "Bw==", "Bw");
    hello.malformed("hello with a version beyond 32 bits", "\"version_min\":1", "\"version_min\":4294967296");
    hello.malformed("hello with a token that is a number", "\"eyJh.bGci.OiJF\"", "1");
    let mut announce = Changes { cases, good: ClientMessage::Announce(announce()).encode() };
    announce.malformed("announce with links beyond 255", "\"links\":3", "\"links\":256");
    announce.malformed("announce with sharing 1", "\"sharing\":true", "\"sharing\":1");
    announce.malformed("announce with an unknown have", "{\"shards\":\"AQL/\"}", "\"some\"");
    announce.malformed("announce with a have of two forms", "{\"shards\"", "{\"all\":null,\"shards\"");
    announce.malformed("announce with shards in no form", "{\"shards\":\"AQL/\"}", "\"shards\"");
    announce.malformed("announce with negative bytes", "\"left_bytes\":60", "\"left_bytes\":-60");
    announce.malformed(
        "announce with candidates of null",
        "\"candidates\":[",
        "\"candidates\":null,\"more\":[",
    );
    announce.malformed("candidate without port", "192.0.2.7:4433", "192.0.2.7");
    announce.malformed("candidate with a name", "192.0.2.7:4433", "localhost:4433");
    announce.malformed("candidate with port 65536", "192.0.2.7:4433", "192.0.2.7:65536");
    announce.malformed("candidate with a zero in front", "192.0.2.7:4433", "192.0.2.07:4433");
    announce.malformed("candidate with three numbers", "192.0.2.7:4433", "192.0.2:4433");
    announce.malformed("candidate with 256", "192.0.2.7:4433", "192.0.2.256:4433");
    announce.malformed("candidate without brackets", "[2001:db8::7]:4433", "2001:db8::7:4433");
    announce.malformed("candidate with nine groups", "[2001:db8::7]", "[1:2:3:4:5:6:7:8:9]");
    announce.malformed("candidate with seven groups", "[2001:db8::7]", "[1:2:3:4:5:6:7]");
    announce.malformed("candidate with two gaps", "[2001:db8::7]", "[2001::db8::7]");
    announce.malformed("candidate with a group of five digits", "[2001:db8::7]", "[2001:0db80::7]");
    announce.malformed("candidate with a named scope", "[2001:db8::7]", "[2001:db8::7%eth0]");
    announce.malformed("candidate without transport", "\"transport\":\"quic\",", "");
    let mut paired = Changes { cases, good: r#"{"type":"paired","pair":5,"outcome":"linked"}"#.to_owned() };
    paired.malformed("pair number beyond 64 bits", "5", "18446744073709551616");
    paired.malformed("pair number with a fraction", "5", "5.0");
    paired.malformed("outcome that is a number", "\"linked\"", "0");
}

fn build_client_limits(cases: &mut Cases) {
    let mut over = |name: &str, message: ClientMessage, what: &str| {
        cases.invalid(name, json_input(message.encode()), fault_about("over-limit", what));
    };
    let with_hello = |proof: usize, agent: usize, token: usize| {
        let ClientMessage::Hello { version_min, version_max, key, .. } = hello() else {
            unreachable!("a hello")
        };
        let (proof, agent, token) = (Base64(vec![7; proof]), "a".repeat(agent), Some("t".repeat(token)));
        ClientMessage::Hello { version_min, version_max, key, proof, agent, token }
    };
    over("agent of 65 bytes", with_hello(64, 65, 1), "agent");
    over("proof of 65 bytes", with_hello(65, 1, 1), "proof");
    over("token of 8193 bytes", with_hello(64, 1, 8193), "token");
    let mut announced = |name: &str, change: &dyn Fn(&mut Announce), what: &str| {
        let mut announce = announce();
        change(&mut announce);
        over(name, ClientMessage::Announce(announce), what);
    };
    announced("too many chunks", &|a| a.chunks = (1 << 19) + 1, "number of chunks");
    announced("2^53 bytes left", &|a| a.left_bytes = TOO_LARGE, "bytes left");
    announced("33 links wanted", &|a| a.links_wanted = 33, "number of links wanted");
    announced("9 candidates", &|a| a.candidates = vec![a.candidates[0]; 9], "number of candidates");
    announced(
        "3 mapped addresses",
        &|a| a.mapped = vec![a.mapped[0].clone(); 3],
        "number of mapped addresses",
    );
    announced("3 local addresses", &|a| a.local = vec![a.local[0]; 3], "number of local addresses");
    announced("proof of 25 bytes", &|a| a.mapped[0].proof = Base64(vec![0; 25]), "proof of an address");
    announced("3 certificates", &|a| a.certificates = vec![Hash([0; 32]); 3], "number of certificates");
    announced("4097 shards held", &|a| a.have = HaveSummary::Shards(Base64(vec![0; 513])), "have summary");
    let entry = Base64(vec![6; (8 << 10) + 1]);
    over("entry over 8 KiB", ClientMessage::Entry { content: announce().content, entry }, "entry size");
    over("lease of 257 shards", lease(257, vec![]), "number of shards");
    over("257 shards done", lease(1, vec![1; 257]), "number of shards");
    over("shard 4096 done", lease(1, vec![4096]), "shard");
    over("signal of 4097 bytes", ClientMessage::Signal { pair: 1, data: "x".repeat(4097) }, "signal");
    over(
        "signal of 1366 characters and 4098 bytes",
        ClientMessage::Signal { pair: 1, data: "한".repeat(1366) },
        "signal",
    );
    over(
        "signal for pair 2^53",
        ClientMessage::Signal { pair: TOO_LARGE, data: String::new() },
        "pair number",
    );
    let paired = json!({ "type": "paired", "pair": u64::MAX, "outcome": "linked" });
    cases.invalid(
        "outcome of pair 2^64-1",
        json_input(paired.to_string()),
        fault_about("over-limit", "pair number"),
    );
    let leave = r#"{"type":"leave","content":"game/demo"}"#;
    let long =
        |bytes: usize| json!({ "parts": [{ "text": leave }, { "text": " ", "times": bytes - leave.len() }] });
    cases.lenient("a message of 16 KiB", long(16 << 10), json!({ "type": "leave", "content": "game/demo" }));
    cases.invalid("a message one byte longer", long((16 << 10) + 1), fault("too-long"));
}

/// Faults of JSON itself, which both directions share.
fn build_forms(cases: &mut Cases) {
    let mut malformed = |name: &str, text: &str| cases.invalid(name, json_input(text), fault("malformed"));
    malformed("nothing", "");
    malformed("not JSON", "hello");
    malformed("null", "null");
    malformed("an empty object", "{}");
    malformed("no type", r#"{"content":"game/demo"}"#);
    malformed("a type that is a list", r#"{"type":["leave"],"content":"game/demo"}"#);
    malformed("two messages", r#"{"type":"unknown"}{"type":"unknown"}"#);
    malformed("a type twice", r#"{"type":"leave","content":"game/demo","type":"leave"}"#);
    malformed("a field twice", r#"{"type":"leave","content":"game/demo","content":"game/demo"}"#);
    malformed("single quotes", "{'type':'leave','content':'game/demo'}");
    malformed("a comment", r#"{"type":"leave",/* who? */"content":"game/demo"}"#);
    malformed("a comma behind the last field", r#"{"type":"leave","content":"game/demo",}"#);
    malformed(
        "a control character in a string",
        "{\"type\":\"leave\",\"content\":\"game/demo\",\"x\":\"\t\"}",
    );
    malformed("an unknown escape", r#"{"type":"leave","content":"game/d\x65mo"}"#);
    malformed("half an escape", r#"{"type":"leave","content":"game/d\u006"}"#);
    malformed("half a surrogate pair", r#"{"type":"signal","pair":1,"data":"\ud83d"}"#);
    malformed("the other half of a surrogate pair", r#"{"type":"signal","pair":1,"data":"\ude00"}"#);
    malformed("a number that is none", r#"{"type":"signal","pair":NaN,"data":""}"#);
    malformed("a number that starts with a dot", r#"{"type":"unknown","x":.5}"#);
    malformed("a number that ends with a dot", r#"{"type":"unknown","x":5.}"#);
    malformed("white space that JSON does not know", "{\u{a0}\"type\":\"unknown\"}");
    malformed("a bad content name", r#"{"type":"leave","content":"game"}"#);
    let deep = format!("{{\"type\":\"unknown\",\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    malformed("200 lists within each other", &deep);
    cases.invalid("bytes that are not UTF-8", hex_input(b"{\"type\":\"leav\xff\"}"), fault("malformed"));
}

pub(super) fn build_server(cases: &mut Cases) {
    build_server_limits(cases);
    let mut welcome = Changes { cases, good: welcome(vec![3478]).encode() };
    welcome.malformed("peer id beyond 2^53-1", "9007199254740991", "9007199254740992");
    welcome.malformed("STUN port 65536", "3478", "65536");
    welcome.malformed("address without port", "192.0.2.7:50000", "192.0.2.7");
    welcome.malformed("tracker key in another form", "ed25519:", "");
    welcome.malformed("welcome without version", "\"version\"", "\"release\"");
    let mut host = Changes { cases, good: welcome_with_host("stun.example").encode() };
    host.malformed("STUN host that is a number", "\"stun.example\"", "1");
    host.malformed("STUN host twice", "\"stun_host\"", "\"stun_host\":\"a\",\"stun_host\"");
    let mut pair = Changes { cases, good: pair().encode() };
    pair.malformed("pair without dial", "\"dial\":true,", "");
    pair.malformed("pair with dial null", "\"dial\":true", "\"dial\":null");
    pair.malformed("pair with a key id too long", "\"key\":\"", "\"key\":\"0");
    pair.malformed("pair with a field twice", "\"random\":false", "\"random\":false,\"random\":false");
    let mut shards = Changes { cases, good: shards(vec![1]).encode() };
    shards.malformed("shards with a negative shard", "[1]", "[-1]");
    shards.malformed("shards with a budget in a string", "125000000", "\"125000000\"");
    shards.malformed("shards without root", "\"root\"", "\"stem\"");
    let mut malformed = |name: &str, text: &str| cases.invalid(name, json_input(text), fault("malformed"));
    malformed("nothing", "");
    malformed("a list", "[]");
    malformed("a client's message", r#"{"type":"signal","pair":1}"#);
    malformed("challenge that is not base64", r#"{"type":"challenge","nonce":"?"}"#);
    malformed("drain without time", r#"{"type":"drain"}"#);
    malformed("error without code", r#"{"type":"error","message":"no"}"#);
}

fn build_server_limits(cases: &mut Cases) {
    let mut over = |name: &str, message: ServerMessage, what: &str| {
        cases.invalid(name, json_input(message.encode()), fault_about("over-limit", what));
    };
    over("challenge of 65 bytes", ServerMessage::Challenge { nonce: Base64(vec![5; 65]) }, "nonce");
    over("three STUN ports", welcome(vec![1, 2, 3]), "number of STUN ports");
    over("STUN host of 254 bytes", welcome_with_host(&"a".repeat(254)), "STUN host");
    over("STUN host of 127 characters and 254 bytes", welcome_with_host(&"é".repeat(127)), "STUN host");
    let ticket =
        |bytes: usize, expires: u64| ServerMessage::Ticket { ticket: Base64(vec![1; bytes]), expires };
    over("ticket of 1025 bytes", ticket(1025, 1), "ticket");
    over("ticket that expires at 2^53", ticket(1, TOO_LARGE), "expires");
    over("257 shards", shards(vec![1; 257]), "number of shards");
    over("shard 4096", shards(vec![4096]), "shard");
    over("signal of 4097 bytes", ServerMessage::Signal { pair: 1, data: "x".repeat(4097) }, "signal");
    over(
        "signal for pair 2^53",
        ServerMessage::Signal { pair: TOO_LARGE, data: String::new() },
        "pair number",
    );
    let mut changed = |name: &str, change: &dyn Fn(&mut Value), message: ServerMessage, what: &str| {
        let mut message = json!(message);
        change(&mut message);
        cases.invalid(name, json_input(message.to_string()), fault_about("over-limit", what));
    };
    changed("pair 2^64-1", &|m| m["pair"] = json!(u64::MAX), pair(), "pair number");
    changed(
        "budget of 2^53",
        &|m| m["origin_budget_bytes_s"] = json!(TOO_LARGE),
        shards(vec![]),
        "origin budget",
    );
    let nine = json!(vec![Candidate { transport: Transport::Quic, address: ([192, 0, 2, 1], 1).into() }; 9]);
    changed("9 candidates", &|m| m["candidates"] = nine.clone(), pair(), "number of candidates");
    let three = json!(vec![Hash([0; 32]); 3]);
    changed("3 certificates", &|m| m["certificates"] = three.clone(), pair(), "number of certificates");
    let entry = ServerMessage::Entry { content: announce().content, entry: Base64(vec![6; (8 << 10) + 1]) };
    changed("entry over 8 KiB", &|_| (), entry, "entry size");
    let error = ServerMessage::Error { code: "x".to_owned(), message: "y".repeat(16 << 10) };
    cases.invalid("a message over 16 KiB", json_input(error.encode()), fault("too-long"));
}
