//! The tracker's word for addresses that its STUN service has seen, so that no client can have others dial a third party:
//! whoever shows it has received a datagram there.

use std::net::{IpAddr, SocketAddr};

use freshet_protocol::MappedAddress;
use freshet_protocol::limits::ADDRESS_PROOF_BYTES;
use freshet_protocol::stun::AddressProof;
use ring::hmac;
use ring::rand::SystemRandom;

use crate::clock::unix_now;

/// How long a word counts. Clients ask anew long before, since a NAT forgets them.
const LIFE_S: u64 = 300;
const TIME_BYTES: usize = 8;

/// Gives the word, and knows it again. It is this process's own.
#[derive(Debug)]
pub(crate) struct AddressProofs {
    key: hmac::Key,
}

impl AddressProofs {
    pub(crate) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self { key: key.expect("a system that gave random numbers for the key still does") }
    }

    pub(crate) fn give(&self, address: SocketAddr) -> AddressProof {
        self.until(address, unix_now() + LIFE_S)
    }

    pub(crate) fn is_good(&self, mapped: &MappedAddress) -> bool {
        let Some(Ok(expires)) = mapped.proof.0.get(..TIME_BYTES).map(<[u8; TIME_BYTES]>::try_from) else {
            return false;
        };
        let expires = u64::from_be_bytes(expires);
        // Of what an attacker could learn by time, a 16-byte tag that it cannot choose is not worth anything.
        expires > unix_now() && mapped.proof.0 == self.until(mapped.address, expires)
    }

    /// The time when it ends, and as much of the tag as fits: 16 bytes.
    fn until(&self, address: SocketAddr, expires: u64) -> AddressProof {
        let ip = match address.ip().to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let signed = [&expires.to_be_bytes()[..], &ip.octets(), &address.port().to_be_bytes()].concat();
        let tag = hmac::sign(&self.key, &signed);
        let mut proof = [0; ADDRESS_PROOF_BYTES];
        let (time, rest) = proof.split_at_mut(TIME_BYTES);
        time.copy_from_slice(&expires.to_be_bytes());
        let length = rest.len();
        rest.copy_from_slice(&tag.as_ref()[..length]);
        proof
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Base64, Nat};

    use super::*;

    #[test]
    fn a_word_is_about_one_address_for_a_while() {
        let proofs = AddressProofs::new();
        let address: SocketAddr = "203.0.113.1:7".parse().expect("address");
        let is_good = |address: &str, proof: &[u8]| {
            let address = address.parse().expect("address");
            proofs.is_good(&MappedAddress { address, nat: Nat::Open, proof: Base64(proof.to_vec()) })
        };
        let proof = proofs.give(address);
        assert!(is_good("203.0.113.1:7", &proof) && is_good("[::ffff:203.0.113.1]:7", &proof));
        for other in ["203.0.113.1:8", "203.0.113.2:7", "[::1]:7"] {
            assert!(!is_good(other, &proof), "{other}");
        }
        assert!(!is_good("203.0.113.1:7", &AddressProofs::new().give(address)), "another tracker's");
        assert!(!is_good("203.0.113.1:7", &proofs.until(address, unix_now())), "too old");
        (0..proof.len()).for_each(|length| assert!(!is_good("203.0.113.1:7", &proof[..length])));
        for at in 0..proof.len() {
            let mut changed = proof;
            changed[at] ^= 1;
            assert!(!is_good("203.0.113.1:7", &changed), "{at}");
        }
    }
}
