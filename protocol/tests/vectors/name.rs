//! Hashes, names and ids. Digests of the examples are those of FIPS 180-4's example values.

use freshet_protocol::{ChunkId, ContentName, Hash, IdError, Name, PackId, PeerId, SwarmId};
use serde_json::{Value, json};

use super::case::{Case, hex_input, text_input, with};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault};

pub(super) const HASHES: Form = Form {
    file: "hash",
    what: "SHA-256 of bytes (hex or parts), and the text form of hashes and ids (text)",
    build: build_hashes,
    judge: judge_hash,
    corpus: None,
};

pub(super) const NAMES: Form = Form {
    file: "name",
    what: "content names, version and channel names, peer ids and pack ids, told apart by form",
    build: build_names,
    judge: judge_name,
    corpus: None,
};

fn judge_hash(case: &Case) -> Result<Judged, Fault> {
    if case.has("text") {
        let id: ChunkId = case.text("text").parse()?;
        return Ok(Judged::written(json!({ "prefix32": id.0.prefix32() }), id.to_string()));
    }
    let hash = Hash::of(&case.bytes());
    Ok(Judged::read(json!({ "sha256": hash.to_string(), "prefix32": hash.prefix32() })))
}

fn build_hashes(cases: &mut Cases) {
    let mut digest = |name: &str, input: Value, sha256: &str, prefix32: u32| {
        cases.valid(name, input, json!({ "sha256": sha256, "prefix32": prefix32 }));
    };
    digest(
        "FIPS 180-4: abc",
        hex_input(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        0xba78_16bf,
    );
    digest(
        "FIPS 180-4: two blocks",
        hex_input(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        0x248d_6a61,
    );
    digest(
        "nothing",
        hex_input(b""),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        0xe3b0_c442,
    );
    digest(
        "FIPS 180-4: a million times a",
        json!({ "parts": [{ "text": "a", "times": 1_000_000 }] }),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        0xcdc7_6e5c,
    );
    cases.valid("text of 64 digits", text_input(&"0f".repeat(32)), json!({ "prefix32": 0x0f0f_0f0f }));
    cases.valid("text of zeros", text_input(&"0".repeat(64)), json!({ "prefix32": 0 }));

    let mut invalid = |name: &str, text: &str| cases.invalid(name, text_input(text), fault("hash"));
    invalid("no text", "");
    invalid("63 digits", &"a".repeat(63));
    invalid("65 digits", &"a".repeat(65));
    invalid("upper case", &"AB".repeat(32));
    invalid("a letter beyond f", &format!("{}g", "0".repeat(63)));
    invalid("a prefix", &format!("0x{}", "0".repeat(62)));
    invalid("a space in front", &format!(" {}", "0".repeat(63)));
    invalid("64 bytes that are not digits", &"é".repeat(32));
}

fn judge_name(case: &Case) -> Result<Judged, Fault> {
    let text = || case.input_text();
    Ok(match case.text("form") {
        "content" => {
            let name: ContentName = text().parse()?;
            let swarm = SwarmId::of_content(&name);
            Judged::written(json!({ "tenant": name.tenant(), "swarm": swarm.to_string() }), name.to_string())
        }
        "name" => Judged::written(json!({}), text().parse::<Name>()?.to_string()),
        "pack" => Judged::written(json!({}), text().parse::<PackId>()?.to_string()),
        "peer" => {
            let number: u64 = text().parse().map_err(|_| IdError::Peer)?;
            Judged::read(json!({ "text": PeerId::try_from(number)?.to_string() }))
        }
        other => panic!("{other} is no form"),
    })
}

fn build_names(cases: &mut Cases) {
    build_content_names(cases);
    build_version_names(cases);
    build_numbers(cases);
}

fn build_content_names(cases: &mut Cases) {
    let form = |text: &str| with(text_input(text), json!({ "form": "content" }));
    let mut valid = |name: &str, text: &str, tenant: &str, swarm: &str| {
        cases.valid(name, form(text), json!({ "tenant": tenant, "swarm": swarm }));
    };
    let swarm_of = |text: &str| Hash::of(format!("freshet content swarm\n{text}").as_bytes()).to_string();
    // sha256("freshet content swarm\ngame/demo"), by coreutils' sha256sum.
    valid("two segments", "game/demo", "game", GAME_DEMO_SWARM);
    valid("four segments", "a/b/c/d", "a", &swarm_of("a/b/c/d"));
    valid("all kinds of characters", "studio-7/game_2.0", "studio-7", &swarm_of("studio-7/game_2.0"));
    let longest = format!("a/{}", "b".repeat(126));
    valid("128 bytes", &longest, "a", &swarm_of(&longest));

    let mut invalid = |name: &str, text: &str| cases.invalid(name, form(text), fault("content-name"));
    invalid("no content name", "");
    invalid("one segment", "game");
    invalid("five segments", "a/b/c/d/e");
    invalid("a capital letter", "Game/demo");
    invalid("an empty segment", "game//demo");
    invalid("a slash in front", "/game/demo");
    invalid("a slash behind", "game/demo/");
    invalid("a segment of dots", "game/..");
    invalid("a dot in front of a segment", "game/.hidden");
    invalid("a letter beyond ASCII", "game/démo");
    for reserved in ["channels", "files", "index", "keys", "packs", "pages", "policy", "roots", "versions"] {
        invalid(&format!("a reserved segment, {reserved}"), &format!("game/{reserved}"));
    }
    invalid("129 bytes", &format!("a/{}", "b".repeat(127)));
}

const GAME_DEMO_SWARM: &str = "33d431fd134adb33c6b7e627a99bcec930b76aedb1b1cd72d0f40adb62966f85";

fn build_version_names(cases: &mut Cases) {
    let form = |text: &str| with(text_input(text), json!({ "form": "name" }));
    let mut valid = |name: &str, text: &str| cases.valid(name, form(text), json!({}));
    valid("a version", "1.2");
    valid("a channel", "live");
    valid("a semantic version", "1.2.0-rc1+build.7_x");
    valid("64 bytes", &"v".repeat(64));
    let mut invalid = |name: &str, text: &str| cases.invalid(name, form(text), fault("name"));
    invalid("no name", "");
    invalid("a dot in front", ".x");
    invalid("a path", "../x");
    invalid("a space", "1 2");
    invalid("a letter beyond ASCII in a name", "é");
    invalid("65 bytes", &"v".repeat(65));
}

fn build_numbers(cases: &mut Cases) {
    let form = |form: &str, text: &str| with(text_input(text), json!({ "form": form }));
    cases.valid("smallest peer id", form("peer", "0"), json!({ "text": "00000000000000" }));
    cases.valid("largest peer id", form("peer", "9007199254740991"), json!({ "text": "1fffffffffffff" }));
    cases.invalid("peer id beyond 2^53-1", form("peer", "9007199254740992"), fault("peer-id"));
    cases.valid("pack id", form("pack", &"0a".repeat(16)), json!({}));
    cases.invalid("pack id of 31 digits", form("pack", &"a".repeat(31)), fault("hash"));
    cases.invalid("pack id in upper case", form("pack", &"AB".repeat(16)), fault("hash"));
    cases.invalid("pack id with signs", form("pack", &"+b".repeat(16)), fault("hash"));
}
