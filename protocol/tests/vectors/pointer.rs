//! Channel pointers.

use freshet_protocol::{
    POINTER_KIND, POINTER_SCHEMA, PatchId, PatchRef, Pointer, PublicKey, Rollout, RootId,
};
use serde_json::{Value, json};

use super::case::{Case, with};
use super::envelope::{padded_input, signed_input};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault, fault_about};

pub(super) const FORM: Form = Form {
    file: "pointer",
    what: "signed channel pointers: json is the envelope, payload what it holds (for people); where there is a time now, the pointer must be current for who has seen sequence seen",
    build,
    judge,
    corpus: Some(("pointer", |case| {
        case.text_if_any("payload").map_or_else(|| case.bytes(), |text| text.into())
    })),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let pointer = Pointer::open(&case.bytes(), &case.list::<PublicKey>("trusted"))?;
    if let Some(now) = case.number_if_any("now") {
        pointer.check_current(case.number_if_any("seen"), now)?;
    }
    Ok(Judged::read(json!(pointer)))
}

/// A good pointer.
pub(super) fn pointer() -> Pointer {
    Pointer {
        schema: POINTER_SCHEMA,
        content: "game/demo".parse().expect("name"),
        channel: "live".parse().expect("name"),
        sequence: 7,
        expires: 1000,
        root: RootId::of(b"root"),
        version: "1.2".parse().expect("name"),
        trackers: vec!["ws://127.0.0.1:1/".to_owned()],
        patches: vec![],
        rollout: None,
        preload: None,
        unsealed: None,
        start_window_s: 0,
    }
}

/// A rollout to so many of 1000.
fn rollout(permille: u32) -> Option<Rollout> {
    let (root, version) = (RootId::of(b"next"), "1.3".parse().expect("name"));
    Some(Rollout { permille, root, version, patches: patches(1) })
}

fn patches(count: u8) -> Vec<PatchRef> {
    (0..count).map(|n| PatchRef { from: RootId::of(&[n]), patch: PatchId::of(&[n]) }).collect()
}

fn signed(pointer: &Pointer) -> Value {
    signed_input(POINTER_KIND, &serde_json::to_string(pointer).expect("JSON"))
}

fn build(cases: &mut Cases) {
    let plain = serde_json::to_string(&pointer()).expect("JSON");
    cases.valid("a pointer", signed(&pointer()), json!(pointer()));
    let at = |seen: Option<u64>, now: u64| match seen {
        Some(seen) => with(signed(&pointer()), json!({ "seen": seen, "now": now })),
        None => with(signed(&pointer()), json!({ "now": now })),
    };
    cases.valid("current, none seen before", at(None, 999), json!(pointer()));
    cases.valid("current, the same seen before", at(Some(7), 999), json!(pointer()));
    let bare = Pointer { trackers: vec![], ..pointer() };
    let text = serde_json::to_string(&bare).expect("JSON").replace(",\"trackers\":[]", "");
    cases.valid("no list of trackers", signed_input(POINTER_KIND, &text), json!(bare));
    let later = plain.replacen('{', "{\"rollback\":true,", 1);
    cases.valid("a field of a later version", signed_input(POINTER_KIND, &later), json!(pointer()));
    let patched = Pointer { patches: patches(2), ..pointer() };
    cases.valid("patches from two releases", signed(&patched), json!(patched));
    let most = Pointer { patches: patches(16), ..pointer() };
    cases.valid("patches from sixteen releases", signed(&most), json!(most));
    for permille in [1, 999] {
        let pointer = Pointer { rollout: rollout(permille), ..pointer() };
        cases.valid(&format!("a rollout to {permille} of 1000"), signed(&pointer), json!(pointer));
    }
    let url = format!("wss://{}", "x".repeat(250));
    let largest =
        Pointer { sequence: (1 << 53) - 1, expires: (1 << 53) - 1, trackers: vec![url; 8], ..pointer() };
    cases.valid("each value at its limit", signed(&largest), json!(largest));
    cases.valid("a payload of 4 KiB", padded_input(POINTER_KIND, &plain, 4096), json!(pointer()));
    cases.invalid("a payload one byte longer", padded_input(POINTER_KIND, &plain, 4097), fault("too-long"));

    cases.invalid("older than one seen", at(Some(8), 999), fault("older"));
    cases.invalid("older and expired", at(Some(8), 1000), fault("older"));
    cases.invalid("expired", at(None, 1000), fault("expired"));
    let second = Pointer { schema: 2, ..pointer() };
    cases.invalid("schema 2", signed(&second), fault_about("unsupported", "schema 2"));
    build_limits(cases);
    build_forms(cases, &plain);
}

fn build_limits(cases: &mut Cases) {
    let numbers = "a number is larger than 2^53-1";
    let trackers = "at most 8 trackers, ws:// or wss://, of up to 256 bytes";
    let mut inconsistent = |name: &str, pointer: Pointer, what: &str| {
        cases.invalid(name, signed(&pointer), fault_about("inconsistent", what));
    };
    inconsistent("sequence 2^53", Pointer { sequence: 1 << 53, ..pointer() }, numbers);
    inconsistent("expires 2^64-1", Pointer { expires: u64::MAX, ..pointer() }, numbers);
    inconsistent("seventeen patches", Pointer { patches: patches(17), ..pointer() }, "too many patches");
    let many = Pointer { patches: patches(16), rollout: rollout(1), ..pointer() };
    inconsistent("seventeen patches with those of a rollout", many, "too many patches");
    let share = "a rollout is of another release, to 1 to 999 of 1000";
    inconsistent("a rollout to nobody", Pointer { rollout: rollout(0), ..pointer() }, share);
    inconsistent("a rollout to all", Pointer { rollout: rollout(1000), ..pointer() }, share);
    let itself = Pointer { root: RootId::of(b"next"), rollout: rollout(500), ..pointer() };
    inconsistent("a rollout of the release itself", itself, share);
    let with_trackers = |urls: Vec<String>| Pointer { trackers: urls, ..pointer() };
    inconsistent("nine trackers", with_trackers(vec!["ws://x".to_owned(); 9]), trackers);
    inconsistent(
        "a tracker of 257 bytes",
        with_trackers(vec![format!("ws://{}", "x".repeat(252))]),
        trackers,
    );
    inconsistent("a tracker over HTTP", with_trackers(vec!["http://x".to_owned()]), trackers);
    inconsistent("a tracker in upper case", with_trackers(vec!["WS://x".to_owned()]), trackers);
}

fn build_forms(cases: &mut Cases, plain: &str) {
    let mut malformed = |name: &str, from: &str, to: &str| {
        let payload = plain.replacen(from, to, 1);
        assert_ne!(payload, plain, "{name}");
        cases.invalid(name, signed_input(POINTER_KIND, &payload), fault("malformed"));
    };
    malformed("no root", "\"root\"", "\"stem\"");
    malformed("a root in upper case", "\"root\":\"48", "\"root\":\"AB");
    malformed("a field twice", "\"sequence\":7", "\"sequence\":7,\"sequence\":8");
    malformed("a sequence with a fraction", "\"sequence\":7", "\"sequence\":7.0");
    malformed("a sequence beyond 64 bits", "\"sequence\":7", "\"sequence\":18446744073709551616");
    malformed("trackers that are null", "\"trackers\":[\"ws://127.0.0.1:1/\"]", "\"trackers\":null");
    malformed("a tracker that is a number", "\"ws://127.0.0.1:1/\"", "1");
    malformed("a channel with a slash", "\"live\"", "\"live/beta\"");
    malformed("a schema beyond 32 bits", "\"schema\":1", "\"schema\":4294967297");
    let stranger = with(signed(&pointer()), json!({ "trusted": [PublicKey([9; 32])] }));
    cases.invalid("a key that nobody trusts", stranger, fault("untrusted"));
}
