//! Randomness for keys, nonces and waits, from the operating system.

use ring::rand::{SecureRandom, SystemRandom};

/// Fresh random bytes.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
