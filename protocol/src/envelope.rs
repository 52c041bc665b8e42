//! Signed JSON documents in a DSSE envelope.
//!
//! DSSE (Dead Simple Signing Envelope 1.0, github.com/secure-systems-lab/dsse) signs the exact payload bytes together
//! with a payload type, so no canonical JSON is needed and a signature for one kind of document is worthless for another.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::id::KeyId;
use crate::key::{PublicKey, SigningKey, is_signed};
use crate::limits::SIGNATURES_MAX;

/// Why a signed document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not a JSON envelope, or not base64 inside.
    #[error("not a signed document: {0}")]
    Malformed(String),
    /// The payload type is another one.
    #[error("signed document is of type {found:?}, expected {expected:?}")]
    Type {
        /// What the envelope says.
        found: String,
        /// What the reader asked for.
        expected: &'static str,
    },
    /// Longer than the limit of its kind.
    #[error("signed document is longer than {limit} bytes")]
    TooLong {
        /// Limit of the payload, in bytes.
        limit: usize,
    },
    /// More signatures than anyone needs.
    #[error("signed document carries more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// No signature by a trusted key matches.
    #[error("no valid signature by a trusted key")]
    Untrusted,
}

/// A kind of signed document: its payload type and its size limit.
#[derive(Debug, Clone, Copy)]
pub struct DocumentKind {
    /// DSSE payload type.
    pub payload_type: &'static str,
    /// Largest payload, in bytes.
    pub bytes_max: usize,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    keyid: KeyId,
    sig: String,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

/// DSSE pre-authentication encoding.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// Signs `payload`; the result is the envelope's JSON.
pub(crate) fn seal(kind: DocumentKind, payload: &[u8], key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(&signed_bytes(kind.payload_type, payload));
    let envelope = Envelope {
        payload_type: kind.payload_type.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: vec![Signature { keyid: key.public().id(), sig: STANDARD.encode(signature) }],
    };
    serde_json::to_vec(&envelope).expect("an envelope of strings is valid JSON")
}

/// Largest envelope that can hold a payload of `kind`.
pub fn envelope_bytes_max(kind: DocumentKind) -> usize {
    kind.bytes_max.div_ceil(3) * 4 + 256 * SIGNATURES_MAX + 256
}

/// Opens an envelope and returns its payload, which at least one of `trusted` has signed.
///
/// # Errors
/// [`EnvelopeError`] says what is wrong; nothing of the payload is looked at before the signature matches.
pub(crate) fn open(
    kind: DocumentKind,
    envelope: &[u8],
    trusted: &[PublicKey],
) -> Result<Vec<u8>, EnvelopeError> {
    let (payload, signatures) = read(kind, envelope)?;
    let message = signed_bytes(kind.payload_type, &payload);
    let is_trusted = signatures.iter().any(|signature| {
        let bytes = STANDARD.decode(&signature.sig);
        bytes.is_ok_and(|bytes| is_signed(trusted, signature.keyid, &message, &bytes))
    });
    if is_trusted { Ok(payload) } else { Err(EnvelopeError::Untrusted) }
}

/// The payload of an envelope, whoever signed it.
///
/// # Errors
/// [`EnvelopeError`], but no signature is looked at.
pub(crate) fn open_unchecked(kind: DocumentKind, envelope: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    read(kind, envelope).map(|(payload, _)| payload)
}

fn read(kind: DocumentKind, envelope: &[u8]) -> Result<(Vec<u8>, Vec<Signature>), EnvelopeError> {
    let too_long = EnvelopeError::TooLong { limit: kind.bytes_max };
    if envelope.len() > envelope_bytes_max(kind) {
        return Err(too_long);
    }
    let envelope: Envelope =
        serde_json::from_slice(envelope).map_err(|error| EnvelopeError::Malformed(error.to_string()))?;
    if envelope.payload_type != kind.payload_type {
        let found = envelope.payload_type.chars().take(80).collect();
        return Err(EnvelopeError::Type { found, expected: kind.payload_type });
    }
    if envelope.signatures.len() > SIGNATURES_MAX {
        return Err(EnvelopeError::TooManySignatures);
    }
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|_| EnvelopeError::Malformed("payload is not base64".to_owned()))?;
    if payload.len() > kind.bytes_max {
        return Err(too_long);
    }
    Ok((payload, envelope.signatures))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: DocumentKind = DocumentKind { payload_type: "application/x-test", bytes_max: 16 };

    #[test]
    fn refuses_each_fault() {
        let key = SigningKey::from_seed(&[1; 32]);
        let other = SigningKey::from_seed(&[2; 32]).public();
        let good = seal(KIND, b"0123456789abcdef", &key);
        assert_eq!(open(KIND, &good, &[other, key.public()]), Ok(b"0123456789abcdef".to_vec()));
        assert_eq!(open(KIND, &good, &[other]), Err(EnvelopeError::Untrusted));
        assert_eq!(open(KIND, &good, &[]), Err(EnvelopeError::Untrusted));

        let long = seal(KIND, b"0123456789abcdefg", &key);
        assert_eq!(open(KIND, &long, &[key.public()]), Err(EnvelopeError::TooLong { limit: 16 }));
        let huge = vec![b' '; envelope_bytes_max(KIND) + 1];
        assert_eq!(open(KIND, &huge, &[key.public()]), Err(EnvelopeError::TooLong { limit: 16 }));

        let other_kind = DocumentKind { payload_type: "application/x-other", bytes_max: 16 };
        assert!(matches!(open(other_kind, &good, &[key.public()]), Err(EnvelopeError::Type { .. })));
        assert!(matches!(open(KIND, b"{}", &[key.public()]), Err(EnvelopeError::Malformed(_))));

        let text = String::from_utf8(good).expect("JSON");
        let altered =
            text.replace(&STANDARD.encode(b"0123456789abcdef"), &STANDARD.encode(b"0123456789abcdeF"));
        assert_eq!(open(KIND, altered.as_bytes(), &[key.public()]), Err(EnvelopeError::Untrusted));
        let doubled = text.replace(
            "\"signatures\":[",
            &format!("\"signatures\":[{}", {
                let one = text.split("\"signatures\":[").nth(1).expect("list").trim_end_matches("]}");
                format!("{one},").repeat(SIGNATURES_MAX)
            }),
        );
        assert_eq!(open(KIND, doubled.as_bytes(), &[key.public()]), Err(EnvelopeError::TooManySignatures));
    }
}
