//! From a WebSocket to a client: challenge, proof, welcome.

use freshet_protocol::{ClientMessage, KeyId, TRACKER_VERSION, tracker_proof_message};

/// Lowest version spoken.
const VERSION_MIN: u32 = 1;
/// Bytes in a challenge.
pub(crate) const NONCE_BYTES: usize = 32;

/// Why a Hello was refused. The client is the guilty side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    /// The first message is another one.
    #[error("the first message must be a hello")]
    NotHello,
    /// No version that both speak.
    #[error(
        "this tracker speaks versions {VERSION_MIN} to {TRACKER_VERSION}, the client {min} to {max}; update the older one"
    )]
    Version { min: u32, max: u32 },
    /// The proof does not match the challenge and the key.
    #[error("the proof does not match the challenge and the key")]
    Proof,
}

impl HelloError {
    /// Stable name for clients.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotHello => "not-hello",
            Self::Version { .. } => "version",
            Self::Proof => "proof",
        }
    }
}

/// What a good Hello says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: u32,
    pub(crate) key: KeyId,
    pub(crate) agent: String,
}

/// Checks the answer to the challenge `nonce`.
pub(crate) fn check(message: ClientMessage, nonce: &[u8]) -> Result<Greeting, HelloError> {
    let ClientMessage::Hello { version_min, version_max, key, proof, agent, token: _ } = message else {
        return Err(HelloError::NotHello);
    };
    let version = version_max.min(TRACKER_VERSION);
    if version < version_min.max(VERSION_MIN) {
        return Err(HelloError::Version { min: version_min, max: version_max });
    }
    key.verify(&tracker_proof_message(nonce), &proof.0).map_err(|_| HelloError::Proof)?;
    Ok(Greeting { version, key: key.id(), agent })
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Base64, SigningKey};

    use super::*;

    #[test]
    fn each_fault_is_named() {
        let key = SigningKey::from_seed(&[1; 32]);
        let hello = |(version_min, version_max), signed: &[u8]| ClientMessage::Hello {
            version_min,
            version_max,
            key: key.public(),
            proof: Base64(key.sign(signed).to_vec()),
            agent: "test".to_owned(),
            token: None,
        };
        let good = tracker_proof_message(b"nonce");
        let check =
            |message, expected| assert_eq!(check(message, b"nonce").map(|good| good.version), expected);
        check(hello((1, 1), &good), Ok(1));
        check(hello((1, 9), &good), Ok(1));
        check(hello((0, 1), &good), Ok(1));
        check(hello((2, 9), &good), Err(HelloError::Version { min: 2, max: 9 }));
        check(hello((0, 0), &good), Err(HelloError::Version { min: 0, max: 0 }));
        check(hello((1, 1), b"nonce"), Err(HelloError::Proof));
        check(hello((1, 1), &tracker_proof_message(b"other")), Err(HelloError::Proof));
        check(ClientMessage::Unknown, Err(HelloError::NotHello));
    }
}
