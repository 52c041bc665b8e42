//! How NATs behave, and whom that lets meet.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Base64;

/// How what stands between a client's socket and the internet treats it, NAT or firewall (RFC 4787, in the words of RFC 3489).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// The socket's address is its own, and who sends to it need not have been written to.
    Open,
    /// One address towards everybody; lets in who has been written to, from whatever port.
    AddressRestricted,
    /// One address towards everybody; lets in only addresses and ports that have been written to.
    PortRestricted,
    /// Another address towards each: nobody can tell where a packet for it has to go before it has come from there.
    Symmetric,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Which of two sides dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialer {
    /// The one that is named first.
    First,
    /// The other one.
    Second,
    /// Whichever.
    Either,
}

impl Nat {
    /// Whether two can link, when both write to each other.
    pub fn meets(self, other: Self) -> bool {
        self.dialer(other).is_some()
    }

    /// Who dials when both write to each other; `None` where that leads to nothing. Who is behind a symmetric NAT has to:
    /// nobody knows where to dial it.
    pub fn dialer(self, other: Self) -> Option<Dialer> {
        match (self, other) {
            (Self::Symmetric, Self::Symmetric | Self::PortRestricted)
            | (Self::PortRestricted, Self::Symmetric)
            | (Self::Unknown, _)
            | (_, Self::Unknown) => None,
            (Self::Symmetric, _) => Some(Dialer::First),
            (_, Self::Symmetric) => Some(Dialer::Second),
            _ => Some(Dialer::Either),
        }
    }
}

/// An address of a client's socket as a tracker's STUN service sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedAddress {
    /// Where.
    pub address: SocketAddr,
    /// How what is in between behaves.
    pub nat: Nat,
    /// The service's word for the address ([`stun::AddressProof`](crate::stun::AddressProof)).
    pub proof: Base64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_whom() {
        use Nat::{AddressRestricted, Open, PortRestricted, Symmetric, Unknown};
        let check = |a: Nat, b: Nat, expected: bool| {
            assert_eq!((a.meets(b), b.meets(a)), (expected, expected), "{a:?} {b:?}");
        };
        for easy in [Open, AddressRestricted] {
            for other in [Open, AddressRestricted, PortRestricted, Symmetric] {
                check(easy, other, true);
            }
        }
        check(PortRestricted, PortRestricted, true);
        check(PortRestricted, Symmetric, false);
        check(Symmetric, Symmetric, false);
        for other in [Open, AddressRestricted, PortRestricted, Symmetric, Unknown] {
            check(Unknown, other, false);
        }
        assert_eq!(Symmetric.dialer(Open), Some(Dialer::First));
        assert_eq!(AddressRestricted.dialer(Symmetric), Some(Dialer::Second));
        assert_eq!(PortRestricted.dialer(PortRestricted), Some(Dialer::Either));
    }
}
