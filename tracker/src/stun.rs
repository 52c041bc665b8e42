//! STUN binding requests and their answers (RFC 8489): a client learns the address that its datagrams come from.

use std::net::{IpAddr, SocketAddr};

const HEAD_BYTES: usize = 20;
const MAGIC: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// Attributes up to this type must be understood (RFC 8489, 14).
const REQUIRED_MAX: u16 = 0x7fff;
/// Most unknown attributes named in an error: two fill one word.
const UNKNOWN_NAMED_MAX: usize = 2;

/// Answer to a datagram from `source`; `None` where it is not a binding request.
///
/// No answer is longer than 44 bytes, and no request shorter than 20, so there is little to amplify.
pub(crate) fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let (head, body) = datagram.split_at_checked(HEAD_BYTES)?;
    let length = usize::from(u16_at(head, 2)?);
    let is_request = u16_at(head, 0)? == BINDING_REQUEST && head[4..8] == MAGIC;
    if !is_request || length != body.len() || !length.is_multiple_of(4) {
        return None;
    }
    let unknown = unknown_required(body)?;
    let transaction = &head[4..HEAD_BYTES];
    Some(if unknown.is_empty() {
        message(BINDING_SUCCESS, transaction, &mapped_address(source, transaction))
    } else {
        message(BINDING_ERROR, transaction, &unknown_attributes(&unknown))
    })
}

fn message(kind: u16, transaction: &[u8], attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).expect("answers have a few attributes");
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), transaction, attributes].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("own attributes are short");
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

/// XOR-MAPPED-ADDRESS (RFC 8489, 14.2); `transaction` starts with the magic cookie.
fn mapped_address(source: SocketAddr, transaction: &[u8]) -> Vec<u8> {
    let (family, octets) = match source.ip().to_canonical() {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let masked =
        |bytes: &[u8]| bytes.iter().zip(transaction).map(|(byte, mask)| byte ^ mask).collect::<Vec<_>>();
    let value = [&[0, family], &masked(&source.port().to_be_bytes())[..], &masked(&octets)].concat();
    attribute(XOR_MAPPED_ADDRESS, &value)
}

/// Error 420 (RFC 8489, 14.8 and 14.9).
fn unknown_attributes(unknown: &[u16]) -> Vec<u8> {
    // An odd list is padded by naming its first again.
    let named: Vec<u8> =
        unknown.iter().cycle().take(UNKNOWN_NAMED_MAX).flat_map(|kind| kind.to_be_bytes()).collect();
    [attribute(ERROR_CODE, &[0, 0, 4, 20]), attribute(UNKNOWN_ATTRIBUTES, &named)].concat()
}

/// The first attributes that must be understood and are not; `None` where the attributes are malformed.
fn unknown_required(mut body: &[u8]) -> Option<Vec<u16>> {
    let mut unknown = Vec::new();
    while !body.is_empty() {
        let (kind, length) = (u16_at(body, 0)?, usize::from(u16_at(body, 2)?));
        body = body.get(4 + length.next_multiple_of(4)..)?;
        // Binding requests need none of the required attributes.
        if kind <= REQUIRED_MAX && unknown.len() < UNKNOWN_NAMED_MAX {
            unknown.push(kind);
        }
    }
    Some(unknown)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let transaction = [&MAGIC[..], b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"].concat();
        message(kind, &transaction, attributes)
    }

    #[test]
    fn answers_of_rfc_5769() {
        // Sections 2.2 and 2.3: the address as these attributes carry it for this transaction.
        let check = |source: &str, attribute: &[u8]| {
            let found =
                answer(&request(BINDING_REQUEST, &[]), source.parse().expect("address")).expect("answered");
            assert_eq!(found[..2], BINDING_SUCCESS.to_be_bytes());
            assert_eq!(usize::from(u16_at(&found, 2).expect("length")), attribute.len());
            assert_eq!(found[4..20], request(BINDING_REQUEST, &[])[4..20]);
            assert_eq!(&found[20..], attribute, "{source}");
        };
        check("192.0.2.1:32853", b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
        check("[::ffff:192.0.2.1]:32853", b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
        check(
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
            b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9",
        );
    }

    #[test]
    fn what_is_no_request_is_dropped() {
        let source = SocketAddr::from(([192, 0, 2, 1], 7));
        let check = |datagram: &[u8], expected| {
            assert_eq!(answer(datagram, source).is_some(), expected, "{datagram:02x?}")
        };
        let good = request(BINDING_REQUEST, &[]);
        check(&good, true);
        (0..good.len()).for_each(|length| check(&good[..length], false));
        check(&[&good[..], &[0]].concat(), false);
        check(&request(BINDING_SUCCESS, &[]), false);
        check(&request(0x0011, &[]), false);
        let mut other_magic = good.clone();
        other_magic[4] ^= 1;
        check(&other_magic, false);
        let software = attribute(0x8022, b"demo");
        check(&request(BINDING_REQUEST, &software), true);
        check(&request(BINDING_REQUEST, &software[..6]), false);
        check(&request(BINDING_REQUEST, &attribute(0x8022, &[0; 9])[..12]), false);
    }

    #[test]
    fn unknown_required_attributes_are_refused_by_name() {
        let source = SocketAddr::from(([192, 0, 2, 1], 7));
        let many: Vec<u8> = (0x0003..0x0040).flat_map(|kind| attribute(kind, &[])).collect();
        let found = answer(&request(BINDING_REQUEST, &many), source).expect("answered");
        assert_eq!(found[..2], BINDING_ERROR.to_be_bytes());
        assert_eq!(&found[20..], b"\x00\x09\x00\x04\x00\x00\x04\x14\x00\x0a\x00\x04\x00\x03\x00\x04");
        assert!(found.len() <= 44);
    }
}
