//! Ed25519 keys and signatures. The first three are those of RFC 8032, 7.1.

use freshet_protocol::{PublicKey, SigningKey};
use serde_json::{Value, json};

use super::case::{Case, hex, text_input, unhex, with};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault};

pub(super) const FORM: Form = Form {
    file: "key",
    what: "public keys as text; where a case has a signature, it is checked over message; seed is the private key",
    build,
    judge,
    corpus: None,
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let key: PublicKey = case.input_text().parse()?;
    if case.has("signature") {
        key.verify(&case.hex("message"), &case.hex("signature"))?;
    }
    if case.has("seed") {
        let seed = case.hex("seed").try_into().expect("a seed has 32 bytes");
        let signing = SigningKey::from_seed(&seed);
        assert_eq!(signing.public(), key, "{}", case.name());
        assert_eq!(hex(&signing.sign(&case.hex("message"))), case.text("signature"), "{}", case.name());
    }
    Ok(Judged::written(json!({ "bytes": hex(&key.0), "id": key.id().to_string() }), key.to_string()))
}

/// A test of RFC 8032, 7.1.
struct Rfc8032 {
    name: &'static str,
    seed: &'static str,
    key: &'static str,
    message: &'static str,
    signature: &'static str,
}

const RFC_8032: [Rfc8032; 3] = [
    Rfc8032 {
        name: "RFC 8032 7.1, test 1",
        seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message: "",
        signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    },
    Rfc8032 {
        name: "RFC 8032 7.1, test 2",
        seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        message: "72",
        signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
    Rfc8032 {
        name: "RFC 8032 7.1, test 3",
        seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        key: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        message: "af82",
        signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    },
];

/// Order of Ed25519's base point, little-endian (RFC 8032, 5.1).
const GROUP_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn key_of(hex: &str) -> PublicKey {
    PublicKey(unhex(hex).try_into().expect("a key has 32 bytes"))
}

fn build(cases: &mut Cases) {
    for test in &RFC_8032 {
        let key = key_of(test.key);
        let input = with(
            text_input(&key.to_string()),
            json!({ "seed": test.seed, "message": test.message, "signature": test.signature }),
        );
        cases.valid(test.name, input, json!({ "bytes": test.key, "id": key.id().to_string() }));
    }
    build_text_faults(cases, &key_of(RFC_8032[0].key).to_string());
    build_signature_faults(cases);
}

fn build_text_faults(cases: &mut Cases, text: &str) {
    let mut invalid = |name: &str, text: String, error| cases.invalid(name, text_input(&text), fault(error));
    invalid("no text", String::new(), "key-algorithm");
    invalid("another algorithm", text.replace("ed25519", "es256"), "key-algorithm");
    invalid("upper case algorithm", text.replace("ed25519", "Ed25519"), "key-algorithm");
    invalid("no key", "ed25519:".to_owned(), "key-encoding");
    invalid("one character too few", text[..text.len() - 1].to_owned(), "key-encoding");
    invalid("one character too many", format!("{text}A"), "key-encoding");
    invalid("padding", format!("{text}="), "key-encoding");
    invalid("a space", format!("{text} "), "key-encoding");
    invalid("the other base64 alphabet", format!("ed25519:+{}", &text[9..]), "key-encoding");
    // The 43rd character carries four bits; the lowest two must be zero, so that a key has one text.
    invalid("bits beyond the last byte", format!("{}p", &text[..text.len() - 1]), "key-encoding");
}

fn build_signature_faults(cases: &mut Cases) {
    let test = &RFC_8032[1];
    let good = || json!({ "text": key_of(test.key).to_string(), "message": test.message, "signature": test.signature });
    let mut invalid =
        |name: &str, change: Value| cases.invalid(name, with(good(), change), fault("bad-signature"));
    invalid("another message", json!({ "message": "73" }));
    invalid("a longer message", json!({ "message": "7200" }));
    invalid("another key", json!({ "text": key_of(RFC_8032[0].key).to_string() }));
    invalid("a signature of 63 bytes", json!({ "signature": test.signature[..126] }));
    invalid("a signature of 65 bytes", json!({ "signature": format!("{}00", test.signature) }));
    invalid("no signature", json!({ "signature": "" }));
    invalid("a signature of zeros", json!({ "signature": "00".repeat(64) }));
    invalid("one bit of R changed", json!({ "signature": format!("93{}", &test.signature[2..]) }));
    invalid("S beyond the group's order", json!({ "signature": with_order_added(test.signature) }));
}

/// The same point R with S + L: verifies where an implementation does not reduce, so that a signature has a twin.
fn with_order_added(signature: &str) -> String {
    let mut bytes = unhex(signature);
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(unhex(GROUP_ORDER)) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S + L fits 32 bytes");
    hex(&bytes)
}
