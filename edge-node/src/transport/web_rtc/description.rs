//! Session descriptions as this node lets them in and out: the few values that a data channel needs, and nothing else.
//!
//! What comes from a peer is read into these values and written anew before the library sees it. So a peer reaches
//! neither the library's parser with what it likes, nor the parts that are about media.

use std::collections::BTreeSet;
use std::fmt::Write;

use freshet_protocol::Hash;

/// Longest user name and password of ICE, in characters (RFC 8839, section 5.4).
const CREDENTIAL_CHARS_MAX: usize = 256;
/// Longest name of a section, in characters.
const MID_CHARS_MAX: usize = 32;
/// What a description without a size means (RFC 8841, section 6.1).
const MESSAGE_BYTES_DEFAULT: u32 = 64 << 10;
/// Most candidates taken out of one description.
const CANDIDATES_MAX: usize = 16;

/// Why a description is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DescriptionError {
    #[error("the description is about something else than one data channel")]
    NotOneChannel,
    #[error("the description has no good {0}")]
    Missing(&'static str),
    #[error("the description has two values for {0}")]
    Two(&'static str),
}

/// Who begins the DTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setup {
    /// Either; said by who offers.
    ActPass,
    /// This side.
    Active,
    /// The other side.
    Passive,
}

/// A description of one data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    mid: String,
    user: String,
    password: String,
    fingerprint: [u8; 32],
    setup: Setup,
    sctp_port: u16,
    message_bytes_max: u32,
}

impl Description {
    /// Reads a description, and the candidates that stand in it.
    pub(super) fn read(sdp: &str) -> Result<(Self, Vec<String>), DescriptionError> {
        let lines = || sdp.lines().map(str::trim_end);
        let mut media = lines().filter_map(|line| line.strip_prefix("m="));
        let is_channel = |media: &str| {
            media.starts_with("application ") && media.ends_with(" UDP/DTLS/SCTP webrtc-datachannel")
        };
        if !media.next().is_some_and(is_channel) || media.next().is_some() {
            return Err(DescriptionError::NotOneChannel);
        }
        let one = |name: &'static str, attribute: &'static str| -> Result<Option<&str>, DescriptionError> {
            let values: BTreeSet<&str> = lines()
                .filter_map(|line| line.strip_prefix("a=")?.strip_prefix(attribute)?.strip_prefix(':'))
                .collect();
            match values.len() {
                0 | 1 => Ok(values.first().copied()),
                _ => Err(DescriptionError::Two(name)),
            }
        };
        let needed = |name: &'static str, attribute: &'static str| {
            one(name, attribute)?.ok_or(DescriptionError::Missing(name))
        };
        let credential = |name, attribute, chars_min: usize| {
            let text = needed(name, attribute)?;
            let is_good = (chars_min..=CREDENTIAL_CHARS_MAX).contains(&text.len()) && is_ice_text(text);
            if is_good { Ok(text.to_owned()) } else { Err(DescriptionError::Missing(name)) }
        };
        let mid = needed("section name", "mid")?;
        if mid.len() > MID_CHARS_MAX || mid.is_empty() || !mid.bytes().all(|c| c.is_ascii_alphanumeric()) {
            return Err(DescriptionError::Missing("section name"));
        }
        let setup = match needed("setup", "setup")? {
            "actpass" => Setup::ActPass,
            "active" => Setup::Active,
            "passive" => Setup::Passive,
            _ => return Err(DescriptionError::Missing("setup")),
        };
        let number = |name, attribute, otherwise: u32| match one(name, attribute)? {
            Some(text) => text.parse().map_err(|_| DescriptionError::Missing(name)),
            None => Ok(otherwise),
        };
        let sctp_port = number("SCTP port", "sctp-port", 5000)?;
        let description = Self {
            mid: mid.to_owned(),
            user: credential("ICE user", "ice-ufrag", 4)?,
            password: credential("ICE password", "ice-pwd", 22)?,
            fingerprint: read_fingerprint(needed("fingerprint", "fingerprint")?)
                .ok_or(DescriptionError::Missing("fingerprint"))?,
            setup,
            sctp_port: sctp_port.try_into().map_err(|_| DescriptionError::Missing("SCTP port"))?,
            message_bytes_max: number("message size", "max-message-size", MESSAGE_BYTES_DEFAULT)?,
        };
        let candidates =
            lines().filter_map(|line| line.strip_prefix("a=").filter(|a| a.starts_with("candidate:")));
        Ok((description, candidates.take(CANDIDATES_MAX).map(str::to_owned).collect()))
    }

    /// The same in the form that goes to peers and to the library.
    pub(super) fn write(&self) -> String {
        let Self { mid, user, password, fingerprint, setup, sctp_port, message_bytes_max } = self;
        let setup = match setup {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        };
        let mut hex = String::new();
        for (at, byte) in fingerprint.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(hex, "{colon}{byte:02X}").expect("a string takes all");
        }
        format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:{user}\r\na=ice-pwd:{password}\r\na=ice-options:trickle\r\n\
             a=fingerprint:sha-256 {hex}\r\na=setup:{setup}\r\na=mid:{mid}\r\n\
             a=sctp-port:{sctp_port}\r\na=max-message-size:{message_bytes_max}\r\n"
        )
    }

    /// What Proof signs of this end: the hash of the fingerprint's 32 bytes (PROTOCOL.md 6).
    pub(super) fn certificate(&self) -> Hash {
        Hash::of(&self.fingerprint)
    }

    /// The section that candidates belong to.
    pub(super) fn mid(&self) -> &str {
        &self.mid
    }

    /// Largest message that this end takes, in bytes; 0 stands for any.
    pub(super) fn takes(&self, message_bytes: usize) -> bool {
        self.message_bytes_max == 0 || self.message_bytes_max as usize >= message_bytes
    }
}

fn is_ice_text(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/')
}

/// The bytes of `sha-256 AA:BB:...`.
fn read_fingerprint(text: &str) -> Option<[u8; 32]> {
    let (kind, hex) = text.split_once(' ')?;
    if !kind.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = [0; 32];
    let mut pairs = hex.split(':');
    for byte in &mut bytes {
        let pair =
            pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Chromium offers.
    const OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
        c=IN IP4 0.0.0.0\r\na=candidate:1 1 udp 2113937151 1f4712db.local 51010 typ host generation 0\r\n\
        a=ice-ufrag:sXJ3\r\na=ice-pwd:yEclOTrLg1gEubBFefOqtmyV\r\na=ice-options:trickle\r\n\
        a=fingerprint:sha-256 22:14:B5:AF:66:12:C7:C7:8D:EF:4B:DE:40:25:ED:5D:8F:17:54:DD:88:33:C0:13:2E:FD:1A:FA:7E:7A:1B:79\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=sctp-init:AQAAXAA\r\na=max-message-size:262144\r\n";

    #[test]
    fn what_a_browser_offers_passes_in_short() {
        let (description, candidates) = Description::read(OFFER).expect("good");
        assert_eq!(candidates, ["candidate:1 1 udp 2113937151 1f4712db.local 51010 typ host generation 0"]);
        let written = description.write();
        assert_eq!(Description::read(&written), Ok((description.clone(), vec![])));
        assert!(
            !written.contains("sctp-init") && !written.contains("extmap") && !written.contains("candidate")
        );
        assert_eq!((description.mid(), description.setup), ("0", Setup::ActPass));
        assert_eq!(description.certificate(), Hash::of(&description.fingerprint));
        assert_eq!(description.fingerprint[..3], [0x22, 0x14, 0xb5]);
        assert!(description.takes(262_144) && !description.takes(262_145));
    }

    #[test]
    fn others_are_refused() {
        let check = |from: &str, to: &str, expected: DescriptionError| {
            assert!(OFFER.contains(from), "{from}");
            assert_eq!(
                Description::read(&OFFER.replace(from, to)).map(drop),
                Err(expected),
                "{from} -> {to}"
            );
        };
        use DescriptionError::{Missing, NotOneChannel, Two};
        check("m=application", "m=audio", NotOneChannel);
        check("a=mid:0\r\n", "a=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", NotOneChannel);
        check("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", "", NotOneChannel);
        check("a=ice-ufrag:sXJ3", "a=ice-ufrag:sX", Missing("ICE user"));
        check("a=ice-ufrag:sXJ3", "a=ice-ufrag:sXJ3 injected", Missing("ICE user"));
        check("a=ice-pwd:yEclOTrLg1gEubBFefOqtmyV\r\n", "", Missing("ICE password"));
        check("sha-256", "sha-1", Missing("fingerprint"));
        check("22:14", "22:14:14", Missing("fingerprint"));
        check("22:14", "é:14", Missing("fingerprint"));
        check("a=mid:0\r\n", "a=mid:0\r\na=fingerprint:sha-256 00:11\r\n", Two("fingerprint"));
        check("a=mid:0", "a=mid:a b", Missing("section name"));
        check("a=setup:actpass", "a=setup:holdconn", Missing("setup"));
        check("a=sctp-port:5000", "a=sctp-port:66000", Missing("SCTP port"));
        check("a=max-message-size:262144", "a=max-message-size:-1", Missing("message size"));
        assert_eq!(Description::read("").map(drop), Err(NotOneChannel));
        let crowd = OFFER.to_owned() + &"a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n".repeat(50);
        assert_eq!(Description::read(&crowd).expect("good").1.len(), CANDIDATES_MAX);
    }
}
