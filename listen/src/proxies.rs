//! Who a client is, where proxies stand between: only what a trusted proxy says counts.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use clap::ValueEnum;
use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::forwarded;

/// Most entries of a header that are looked at; nobody has so many proxies.
const ENTRIES_MAX: usize = 32;

/// Why a text names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a network.
    #[error("must be an address such as 192.0.2.1, or a network such as 10.0.0.0/8 or fd00::/8")]
    Malformed,
    /// An address within a network, where the network alone was meant, or the address alone.
    #[error("is an address within a network; write {network}, or the address alone")]
    NotItsFirst {
        /// The network.
        network: IpNet,
    },
}

/// Addresses that begin alike, such as `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// The network of that many leading bits that an address is in; none where addresses have fewer.
    pub fn around(address: IpAddr, length: u8) -> Option<Self> {
        IpNet::new(address, length).ok().map(|network| Self(network.trunc()))
    }

    /// Its first address.
    pub fn first(&self) -> IpAddr {
        self.0.addr()
    }

    /// Number of the bits that its addresses have in common.
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| NetworkError::Malformed)?;
        // A slip here would trust strangers, so nothing is guessed.
        if network.trunc() == network {
            Ok(Self(network))
        } else {
            Err(NetworkError::NotItsFirst { network: network.trunc() })
        }
    }
}

/// The header in which proxies name the client. It is one, as proxies pass on the others as the client sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProxyHeader {
    /// What nearly all proxies write.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl ProxyHeader {
    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => header::FORWARDED,
        }
    }
}

/// The proxies that are believed; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies {
    /// Where they are.
    pub trusted: Vec<Network>,
    /// Where they name the client.
    pub header: ProxyHeader,
}

impl Proxies {
    /// The client of a request that came from `peer`.
    ///
    /// Each proxy adds at the right whom it was asked by. So the way leads from the right to the left, as long as a
    /// trusted proxy vouches for the next entry, and ends at the first address that is none. What is left of that may
    /// be forged and is not looked at. An entry that is no address (malformed, `unknown`, hidden) ends the way at the
    /// proxy that wrote it. The port is 0 where the proxy does not tell it.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let mut client = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let values = headers.get_all(self.header.name());
        let mut entries = values.iter().rev().flat_map(|value| self.entries(value.as_bytes()));
        for _ in 0..ENTRIES_MAX {
            if !self.is_trusted(client.ip()) {
                break;
            }
            match entries.next() {
                Some(Some(address)) => client = address,
                Some(None) | None => break,
            }
        }
        client
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The entries of one header line from the right to the left; `None` for one that is no address.
    fn entries<'a>(&self, line: &'a [u8]) -> Box<dyn Iterator<Item = Option<SocketAddr>> + 'a> {
        match self.header {
            ProxyHeader::XForwardedFor => Box::new(forwarded::x_forwarded_for(line)),
            ProxyHeader::Forwarded => Box::new(forwarded::forwarded(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let check = |text: &str, inside: &str, outside: &str| {
            let network: Network = text.parse().expect(text);
            assert!(network.contains(inside.parse().expect("address")), "{text} {inside}");
            assert!(!network.contains(outside.parse().expect("address")), "{text} {outside}");
        };
        check("10.0.0.0/8", "10.255.0.1", "11.0.0.0");
        check("192.0.2.1", "192.0.2.1", "192.0.2.2");
        check("::ffff:192.0.2.1", "192.0.2.1", "::1");
        check("192.0.2.1/32", "192.0.2.1", "192.0.2.0");
        check("fd00::/8", "fd12::1", "fe80::1");
        check("::1", "::1", "127.0.0.1");
        check("0.0.0.0/0", "203.0.113.7", "::1");
        let check = |text: &str, expected: &str| {
            let error = text.parse::<Network>().expect_err(text).to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        };
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0/8", "10.0.0.1:80", "10.0.0.0/", "[::1]", "*"] {
            check(text, "must be an address such as");
        }
        check("10.1.2.3/8", "is an address within a network; write 10.0.0.0/8, or");
        check("fd00::1/8", "is an address within a network; write fd00::/8, or");
    }

    fn client(trusted: &[&str], header: ProxyHeader, peer: &str, lines: &[&[u8]]) -> String {
        let trusted = trusted.iter().map(|text| text.parse().expect("network")).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header.name(), http::HeaderValue::from_bytes(line).expect("a value"));
        }
        // The other header is never looked at.
        for other in [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded] {
            if other != header {
                headers.append(other.name(), "for=198.51.100.99".parse().expect("a value"));
                headers.append(other.name(), "198.51.100.99".parse().expect("a value"));
            }
        }
        Proxies { trusted, header }.client(peer.parse().expect("address"), &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        let check = |trusted: &[&str], peer: &str, expected: &str| {
            let lines: [&[u8]; 1] = [b"203.0.113.1"];
            assert_eq!(
                client(trusted, ProxyHeader::XForwardedFor, peer, &lines),
                expected,
                "{trusted:?} {peer}"
            );
        };
        check(&[], "192.0.2.1:5", "192.0.2.1:5");
        check(&[], "127.0.0.1:5", "127.0.0.1:5");
        check(&[], "[::ffff:192.0.2.1]:5", "192.0.2.1:5");
        check(&["192.0.2.2"], "192.0.2.1:5", "192.0.2.1:5");
        check(&["192.0.2.1"], "192.0.2.1:5", "203.0.113.1:0");
        check(&["192.0.2.1"], "[::ffff:192.0.2.1]:5", "203.0.113.1:0");
        check(&["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.1:5", "203.0.113.1:0");
    }

    #[test]
    fn x_forwarded_for() {
        let check = |lines: &[&str], expected: &str| {
            let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            let found = client(&["10.0.0.0/8"], ProxyHeader::XForwardedFor, "10.0.0.1:5", &lines);
            assert_eq!(found, expected, "{lines:?}");
        };
        check(&[], "10.0.0.1:5");
        check(&["203.0.113.1"], "203.0.113.1:0");
        check(&["203.0.113.1:4711"], "203.0.113.1:4711");
        check(&["2001:db8::1"], "[2001:db8::1]:0");
        check(&["[2001:db8::1]"], "[2001:db8::1]:0");
        check(&["[2001:db8::1]:4711"], "[2001:db8::1]:4711");
        check(&["::ffff:203.0.113.1"], "203.0.113.1:0");
        // What the client wrote itself stands to the left.
        check(&["198.51.100.9, 203.0.113.1"], "203.0.113.1:0");
        check(&["198.51.100.9", "203.0.113.1"], "203.0.113.1:0");
        check(&["nonsense\",;=, 203.0.113.1"], "203.0.113.1:0");
        // Trusted proxies in a row.
        check(&["198.51.100.9, 203.0.113.1, 10.0.0.3,10.0.0.2"], "203.0.113.1:0");
        check(&["198.51.100.9,203.0.113.1", " 10.0.0.3 ", "10.0.0.2"], "203.0.113.1:0");
        check(&["10.0.0.4, 10.0.0.3"], "10.0.0.4:0");
        check(&["203.0.113.1, , ,"], "203.0.113.1:0");
        // A malformed entry: the proxy that wrote it is the last that is known.
        check(&["203.0.113.1, unknown"], "10.0.0.1:5");
        check(&["203.0.113.1, 10.0.0.2 10.0.0.3"], "10.0.0.1:5");
        check(&["203.0.113.1, proxy.example, 10.0.0.2:99"], "10.0.0.2:99");
        check(&["203.0.113.300"], "10.0.0.1:5");
        check(&["0.0.0.0"], "10.0.0.1:5");
        check(&["203.0.113.1:65536"], "10.0.0.1:5");
    }

    #[test]
    fn forwarded() {
        let check = |lines: &[&str], expected: &str| {
            let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            let found = client(&["10.0.0.0/8"], ProxyHeader::Forwarded, "10.0.0.1:5", &lines);
            assert_eq!(found, expected, "{lines:?}");
        };
        check(&[], "10.0.0.1:5");
        check(&["for=203.0.113.1"], "203.0.113.1:0");
        check(&["For=203.0.113.1;Proto=https;By=10.0.0.1"], "203.0.113.1:0");
        check(&["proto=https ; for=203.0.113.1"], "203.0.113.1:0");
        check(&["for=\"203.0.113.1:4711\""], "203.0.113.1:4711");
        check(&["for=\"[2001:db8::1]\""], "[2001:db8::1]:0");
        check(&["for=\"[2001:db8::1]:4711\""], "[2001:db8::1]:4711");
        check(&["for=\"[2001:db8::1]:_port\""], "[2001:db8::1]:0");
        check(&["for=\"203.0.113.1:_port\""], "203.0.113.1:0");
        check(&["for=\"203.0\\.113.1\""], "203.0.113.1:0");
        check(&["for=203.0.113.1;host=\"a,b;for=x\\\"\""], "203.0.113.1:0");
        check(&["for=198.51.100.9, for=203.0.113.1, for=10.0.0.2"], "203.0.113.1:0");
        check(&["for=198.51.100.9", "for=203.0.113.1,for=10.0.0.2"], "203.0.113.1:0");
        // A client cannot swallow what its proxy adds behind an open quote.
        check(&["for=\", for=203.0.113.1"], "203.0.113.1:0");
        check(&["for=\"\\, for=203.0.113.1"], "203.0.113.1:0");
        check(&["for=203.0.113.1, for=unknown"], "10.0.0.1:5");
        check(&["for=203.0.113.1, for=_hidden"], "10.0.0.1:5");
        check(&["for=203.0.113.1, proto=https"], "10.0.0.1:5");
        check(&["for=203.0.113.1;for=203.0.113.2"], "10.0.0.1:5");
        check(&["for=203.0.113.1, for=unknown, for=10.0.0.2"], "10.0.0.2:0");
        check(&["for="], "10.0.0.1:5");
        check(&["for=\"203.0.113.1"], "10.0.0.1:5");
        check(&["for=\"203.0.113.1\"x"], "10.0.0.1:5");
        check(&["203.0.113.1"], "10.0.0.1:5");
    }

    #[test]
    fn bytes_that_are_no_text_are_no_address() {
        for header in [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded] {
            let lines: [&[u8]; 1] = [b"for=203.0.113.1, \xff\xfe"];
            assert_eq!(client(&["10.0.0.1"], header, "10.0.0.1:5", &lines), "10.0.0.1:5");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_client_writes_wins(written in "[\\t -~\u{e9}]{0,40}") {
            for (header, added) in
                [(ProxyHeader::XForwardedFor, ", 203.0.113.1"), (ProxyHeader::Forwarded, ", for=203.0.113.1")]
            {
                let line = format!("{written}{added}");
                let found = client(&["10.0.0.1"], header, "10.0.0.1:5", &[line.as_bytes()]);
                proptest::prop_assert_eq!(found, "203.0.113.1:0");
            }
        }
    }

    #[test]
    fn a_long_way_ends() {
        let check = |count: usize, expected: &str| {
            let line = format!("203.0.113.1{}", ", 10.0.0.2".repeat(count));
            let found = client(&["10.0.0.0/8"], ProxyHeader::XForwardedFor, "10.0.0.1:5", &[line.as_bytes()]);
            assert_eq!(found, expected, "{count}");
        };
        check(ENTRIES_MAX - 1, "203.0.113.1:0");
        check(ENTRIES_MAX, "10.0.0.2:0");
        check(1000, "10.0.0.2:0");
    }
}
