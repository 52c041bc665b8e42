//! STUN (RFC 8489) as far as peers and trackers need it: a client learns the address that its datagrams come from, how its
//! NAT behaves (RFC 5780, 4), and gets the tracker's word for that address; and peers open their NATs towards each other.
//!
//! All of it is told from QUIC by the first byte: QUIC's fixed bit is clear in it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::limits::ADDRESS_PROOF_BYTES;

const HEAD_BYTES: usize = 20;
const MAGIC: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_INDICATION: u16 = 0x0011;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const CHANGE_REQUEST: u16 = 0x0003;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// An [`AddressProof`], or in a request as many zeros and more, so that an answer is no longer than its request.
const ADDRESS_PROOF: u16 = 0xf5e7;
/// Number of the pairing that a probe is about.
const PAIRING: u16 = 0xf5e8;
/// Attributes up to this type must be understood (RFC 8489, 14).
const REQUIRED_MAX: u16 = 0x7fff;
/// Most unknown attributes named in an error: two fill one word.
const UNKNOWN_NAMED_MAX: usize = 2;
/// Flag in CHANGE-REQUEST (RFC 5780, 7.2).
const CHANGE_PORT: u32 = 0x2;
/// Zeros in a request for a proof: an answer has a head of 20 bytes, an IPv6 address in 24 and a proof in 28.
const PROOF_ROOM_BYTES: usize = 48;

/// Identifies a request and its answer.
pub type Transaction = [u8; 12];
/// A tracker's word that datagrams sent to an address reach who has this; opaque to all others.
pub type AddressProof = [u8; ADDRESS_PROOF_BYTES];

/// Whether a datagram may be STUN: QUIC's fixed bit is clear (RFC 9443), and the first two bits are.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEAD_BYTES && datagram[0] & 0xc0 == 0
}

/// What a request asks for beside the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// An answer from a port to which nothing was sent.
    pub other_port: bool,
    /// A proof of the address.
    pub proof: bool,
}

/// A good request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingRequest {
    transaction: Transaction,
    /// What it asks for.
    pub wish: Wish,
}

/// An answer that tells an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingResponse {
    /// That of the request.
    pub transaction: Transaction,
    /// Where the request came from, as the server saw it.
    pub mapped: SocketAddr,
    /// The server's word for it.
    pub proof: Option<AddressProof>,
}

/// A binding request.
pub fn binding_request(transaction: Transaction, wish: Wish) -> Vec<u8> {
    let change = wish.other_port.then(|| attribute(CHANGE_REQUEST, &CHANGE_PORT.to_be_bytes()));
    let room = wish.proof.then(|| attribute(ADDRESS_PROOF, &[0; PROOF_ROOM_BYTES]));
    let attributes: Vec<u8> = change.into_iter().chain(room).flatten().collect();
    message(BINDING_REQUEST, &transaction, &attributes)
}

/// What a client asks for. An error is the answer where it asks for more than is understood; none where it is no request.
pub fn read_request(datagram: &[u8]) -> Option<Result<BindingRequest, Vec<u8>>> {
    let (kind, transaction, body) = split(datagram)?;
    if kind != BINDING_REQUEST {
        return None;
    }
    let (mut wish, mut unknown) = (Wish::default(), Vec::new());
    for (kind, value) in attributes(body)? {
        match kind {
            CHANGE_REQUEST => {
                let flags = u32::from_be_bytes(value.try_into().ok()?);
                // Answers come from one address.
                if flags & !CHANGE_PORT != 0 {
                    unknown.push(kind);
                }
                wish.other_port = flags & CHANGE_PORT != 0;
            }
            ADDRESS_PROOF => wish.proof = value.len() >= PROOF_ROOM_BYTES,
            kind if kind <= REQUIRED_MAX => unknown.push(kind),
            _ => {}
        }
    }
    unknown.truncate(UNKNOWN_NAMED_MAX);
    Some(match unknown.is_empty() {
        true => Ok(BindingRequest { transaction, wish }),
        false => Err(message(BINDING_ERROR, &transaction, &unknown_attributes(&unknown))),
    })
}

impl BindingRequest {
    /// The answer, which tells `source`; no longer than the request where it has a proof, and 44 bytes at most where not.
    pub fn answer(&self, source: SocketAddr, proof: Option<&AddressProof>) -> Vec<u8> {
        let address = mapped_address(source, &self.transaction);
        let proof = proof.map(|proof| attribute(ADDRESS_PROOF, proof)).unwrap_or_default();
        message(BINDING_SUCCESS, &self.transaction, &[address, proof].concat())
    }
}

/// An answer that tells an address; none where it is none.
pub fn read_response(datagram: &[u8]) -> Option<BindingResponse> {
    let (kind, transaction, body) = split(datagram)?;
    if kind != BINDING_SUCCESS {
        return None;
    }
    let (mut mapped, mut proof) = (None, None);
    for (kind, value) in attributes(body)? {
        match kind {
            XOR_MAPPED_ADDRESS => mapped = Some(read_address(value, &transaction)?),
            ADDRESS_PROOF => proof = value.try_into().ok(),
            kind if kind <= REQUIRED_MAX => return None,
            _ => {}
        }
    }
    Some(BindingResponse { transaction, mapped: mapped?, proof })
}

/// A datagram that opens the sender's NAT towards the other side of a pairing, and tells it that it did. It is a binding
/// indication, which nobody answers.
pub fn probe(transaction: Transaction, pair: u64) -> Vec<u8> {
    message(BINDING_INDICATION, &transaction, &attribute(PAIRING, &pair.to_be_bytes()))
}

/// Number of the pairing that a probe is about; none where it is none.
pub fn read_probe(datagram: &[u8]) -> Option<u64> {
    let (kind, _, body) = split(datagram)?;
    let pairing = attributes(body)?.into_iter().find(|(kind, _)| *kind == PAIRING)?;
    (kind == BINDING_INDICATION).then_some(u64::from_be_bytes(pairing.1.try_into().ok()?))
}

fn message(kind: u16, transaction: &Transaction, attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).expect("own messages have a few attributes");
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), &MAGIC, transaction, attributes].concat()
}

/// Type, transaction and attributes of a message.
fn split(datagram: &[u8]) -> Option<(u16, Transaction, &[u8])> {
    let (head, body) = datagram.split_at_checked(HEAD_BYTES)?;
    let length = usize::from(u16_at(head, 2)?);
    let is_whole = head[4..8] == MAGIC && length == body.len() && length.is_multiple_of(4);
    is_whole.then_some((u16_at(head, 0)?, head[8..].try_into().ok()?, body))
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("own attributes are short");
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

/// Types and values; none where they are malformed.
fn attributes(mut body: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while !body.is_empty() {
        let (kind, length) = (u16_at(body, 0)?, usize::from(u16_at(body, 2)?));
        found.push((kind, body.get(4..4 + length)?));
        body = body.get(4 + length.next_multiple_of(4)..)?;
    }
    Some(found)
}

/// XOR-MAPPED-ADDRESS (RFC 8489, 14.2).
fn mapped_address(source: SocketAddr, transaction: &Transaction) -> Vec<u8> {
    let (family, octets) = match source.ip().to_canonical() {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let port = masked(&source.port().to_be_bytes(), transaction);
    attribute(XOR_MAPPED_ADDRESS, &[&[0, family], &port[..], &masked(&octets, transaction)].concat())
}

fn read_address(value: &[u8], transaction: &Transaction) -> Option<SocketAddr> {
    let (head, octets) = value.split_at_checked(4)?;
    let port = u16::from_be_bytes(masked(&head[2..], transaction).try_into().ok()?);
    let octets = masked(octets, transaction);
    let ip = match head[1] {
        1 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Bytes under the mask of addresses: the magic cookie, and the transaction after it.
fn masked(bytes: &[u8], transaction: &Transaction) -> Vec<u8> {
    bytes.iter().zip(MAGIC.iter().chain(transaction)).map(|(byte, mask)| byte ^ mask).collect()
}

/// Error 420 (RFC 8489, 14.8 and 14.9).
fn unknown_attributes(unknown: &[u16]) -> Vec<u8> {
    // An odd list is padded by naming its first again.
    let named: Vec<u8> =
        unknown.iter().cycle().take(UNKNOWN_NAMED_MAX).flat_map(|kind| kind.to_be_bytes()).collect();
    [attribute(ERROR_CODE, &[0, 0, 4, 20]), attribute(UNKNOWN_ATTRIBUTES, &named)].concat()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: Transaction = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

    fn request(kind: u16, attributes: &[u8]) -> Vec<u8> {
        message(kind, &TRANSACTION, attributes)
    }

    fn read(datagram: &[u8]) -> BindingRequest {
        read_request(datagram).expect("a request").expect("understood")
    }

    #[test]
    fn answers_of_rfc_5769() {
        // Sections 2.2 and 2.3: the address as these attributes carry it for this transaction.
        let check = |source: &str, attribute: &[u8]| {
            let source: SocketAddr = source.parse().expect("address");
            let found = read(&binding_request(TRANSACTION, Wish::default())).answer(source, None);
            assert_eq!(found[..2], BINDING_SUCCESS.to_be_bytes());
            assert_eq!(found[4..20], request(BINDING_REQUEST, &[])[4..20]);
            assert_eq!(&found[20..], attribute, "{source}");
            let mapped = SocketAddr::new(source.ip().to_canonical(), source.port());
            let expected = BindingResponse { transaction: TRANSACTION, mapped, proof: None };
            assert_eq!(read_response(&found), Some(expected));
            assert!(is_stun(&found));
        };
        check("192.0.2.1:32853", b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
        check("[::ffff:192.0.2.1]:32853", b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
        check(
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
            b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9",
        );
    }

    #[test]
    fn a_proof_is_no_longer_than_the_room_for_it() {
        for other_port in [false, true] {
            let asked = binding_request(TRANSACTION, Wish { other_port, proof: true });
            let request = read(&asked);
            assert_eq!(request.wish, Wish { other_port, proof: true });
            let proof = [9; ADDRESS_PROOF_BYTES];
            let answer = request.answer("[2001:db8::1]:7".parse().expect("address"), Some(&proof));
            assert!(answer.len() <= asked.len());
            assert_eq!(read_response(&answer).expect("an answer").proof, Some(proof));
        }
        // Who leaves less room gets none.
        let asked = request(BINDING_REQUEST, &attribute(ADDRESS_PROOF, &[0; PROOF_ROOM_BYTES - 4]));
        assert_eq!(read(&asked).wish, Wish::default());
    }

    #[test]
    fn what_is_no_request_is_dropped() {
        let check = |datagram: &[u8], expected| {
            assert_eq!(read_request(datagram).is_some(), expected, "{datagram:02x?}")
        };
        let good = request(BINDING_REQUEST, &[]);
        check(&good, true);
        (0..good.len()).for_each(|length| check(&good[..length], false));
        check(&[&good[..], &[0]].concat(), false);
        check(&request(BINDING_SUCCESS, &[]), false);
        check(&request(BINDING_INDICATION, &[]), false);
        let mut other_magic = good.clone();
        other_magic[4] ^= 1;
        check(&other_magic, false);
        let software = attribute(0x8022, b"demo");
        check(&request(BINDING_REQUEST, &software), true);
        check(&request(BINDING_REQUEST, &software[..6]), false);
        check(&request(BINDING_REQUEST, &attribute(0x8022, &[0; 9])[..12]), false);
        check(&request(BINDING_REQUEST, &attribute(CHANGE_REQUEST, &[0; 8])), false);
    }

    #[test]
    fn unknown_required_attributes_are_refused_by_name() {
        let check = |attributes: &[u8], named: &[u8]| {
            let answer = read_request(&request(BINDING_REQUEST, attributes)).expect("a request");
            let found = answer.expect_err("not understood");
            assert_eq!(found[..2], BINDING_ERROR.to_be_bytes());
            assert_eq!(
                found[20..],
                [&b"\x00\x09\x00\x04\x00\x00\x04\x14\x00\x0a\x00\x04"[..], named].concat()
            );
            assert!(found.len() <= 44);
        };
        let many: Vec<u8> = (0x0004..0x0040).flat_map(|kind| attribute(kind, &[])).collect();
        check(&many, b"\x00\x04\x00\x05");
        // The same server at another address is not there.
        check(&attribute(CHANGE_REQUEST, &[0, 0, 0, 6]), b"\x00\x03\x00\x03");
    }

    #[test]
    fn answers_that_are_none() {
        let good = read(&binding_request(TRANSACTION, Wish::default()))
            .answer("192.0.2.1:32853".parse().expect("address"), None);
        (0..good.len()).for_each(|length| assert_eq!(read_response(&good[..length]), None, "{length}"));
        let check = |attributes: &[u8]| {
            assert_eq!(read_response(&request(BINDING_SUCCESS, attributes)), None, "{attributes:02x?}");
        };
        check(&[]);
        check(&attribute(XOR_MAPPED_ADDRESS, &[0, 3, 1, 1, 1, 1, 1, 1]));
        check(&attribute(XOR_MAPPED_ADDRESS, &[0, 1, 1, 1, 1, 1]));
        check(&attribute(XOR_MAPPED_ADDRESS, &[0, 2, 1, 1, 1, 1, 1, 1]));
        check(&[attribute(XOR_MAPPED_ADDRESS, &[0, 1, 1, 1, 1, 1, 1, 1]), attribute(0x0042, &[])].concat());
        assert_eq!(read_response(&request(BINDING_REQUEST, &[])), None);
    }

    #[test]
    fn probes() {
        let probe = probe(TRANSACTION, 1 << 52);
        assert!(is_stun(&probe));
        assert_eq!(read_probe(&probe), Some(1 << 52));
        assert_eq!(read_probe(&binding_request(TRANSACTION, Wish::default())), None);
        assert_eq!(read_probe(&request(BINDING_INDICATION, &[])), None);
        assert_eq!(read_probe(&request(BINDING_INDICATION, &attribute(PAIRING, &[0; 4]))), None);
        assert_eq!(read_probe(&request(BINDING_REQUEST, &attribute(PAIRING, &[0; 8]))), None);
        assert_eq!((read_request(&probe), read_response(&probe)), (None, None));
    }

    #[test]
    fn quic_is_none() {
        // Long and short headers, and what is too short for either.
        for first in [0xc0, 0xff, 0x40, 0x7f, 0x80] {
            assert!(!is_stun(&[first; 40]), "{first:02x}");
        }
        assert!(!is_stun(&[0; 19]));
    }
}
