//! Randomness from the operating system.

use ring::rand::{SecureRandom, SystemRandom};

/// A fresh number, each as likely.
pub(crate) fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).expect("a system that gave random numbers for the key still does");
    u64::from_be_bytes(bytes)
}
