//! Entries of streams: the signed word about one segment, so that its pieces can be taken from anybody (PROTOCOL.md 9).
//!
//! ```text
//! entry = version:int(1) signer:hash stream:bytes epoch:int rendition:bytes kind:int sequence:int
//!         path:bytes offset:int bytes:int duration_us:int init:int piece:hash* extension:bytes signature:64
//! ```
//!
//! The number of pieces follows from `bytes`. `extension` is for fields of later versions; readers skip it.

use crate::id::{ChunkId, ContentName, KeyId};
use crate::key::{PublicKey, SigningKey, is_signed};
use crate::limits::{
    CONTENT_BYTES_MAX, ENTRY_EXTENSION_BYTES_MAX, INTEGER_MAX, PATH_BYTES_MAX, PIECE_BYTES,
    SEGMENT_BYTES_MAX, SEGMENT_ENTRY_BYTES_MAX,
};
use crate::wire::{Reader, WireError, put_bytes, put_varint};

const ENTRY_VERSION: u64 = 1;
const SIGNED_PREFIX: &[u8] = b"freshet entry 1\n";
/// Pieces of the largest segment: the distance between two segments in [`piece_position`].
const PIECES_PER_SEGMENT: u64 = SEGMENT_BYTES_MAX / PIECE_BYTES as u64;

/// Why an entry was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The bytes are not an entry.
    #[error("entry: {0}")]
    Wire(#[from] WireError),
    /// A version or kind that this program does not know.
    #[error("entry has {0}, which this version does not know")]
    Unsupported(String),
    /// Signed by none of the keys that may sign streams.
    #[error("entry is not signed by a trusted key")]
    Untrusted,
    /// Belongs to another stream than asked for.
    #[error("entry is of {0}, which was not asked for")]
    Other(String),
}

/// What a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// Played.
    Media,
    /// Prepares a decoder (`EXT-X-MAP`).
    Init,
}

impl SegmentKind {
    fn to_wire(self) -> u64 {
        match self {
            Self::Media => 0,
            Self::Init => 2,
        }
    }

    fn of_wire(value: u64) -> Result<Self, SegmentError> {
        match value {
            0 => Ok(Self::Media),
            2 => Ok(Self::Init),
            other => Err(SegmentError::Unsupported(format!("kind {other}"))),
        }
    }
}

/// Where a segment stands in its stream. There is one entry for a place; a second one that says otherwise is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentPlace {
    /// Counts up when a publisher begins to number anew.
    pub epoch: u64,
    /// Path of the rendition's playlist, as in [`SegmentEntry::path`].
    pub rendition: String,
    /// What it is for.
    pub kind: SegmentKind,
    /// Media sequence number of the playlist; of initialisations, their number in the rendition.
    pub sequence: u64,
}

/// The signed word about a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEntry {
    /// The stream.
    pub stream: ContentName,
    /// Where it stands.
    pub place: SegmentPlace,
    /// Path of its URL as the URL standard serialises it, without query: below the folder of the stream's first
    /// playlist, or from `/` on where it lies elsewhere. So several hosts and tokens give one stream.
    pub path: String,
    /// First byte of the resource that belongs to it (`EXT-X-BYTERANGE`).
    pub offset: u64,
    /// Its size, in bytes; at least one.
    pub bytes: u64,
    /// How long it plays, in microseconds.
    pub duration_us: u64,
    /// Sequence of the initialisation that it needs, of the same rendition.
    pub init: Option<u64>,
    /// Hashes of its pieces: [`PIECE_BYTES`] each, the last one what is left.
    pub pieces: Vec<ChunkId>,
}

impl SegmentEntry {
    /// Signs the entry.
    ///
    /// # Errors
    /// [`WireError`] when a value breaks a limit, or pieces and size do not fit each other.
    pub fn seal(&self, key: &SigningKey) -> Result<Vec<u8>, WireError> {
        check_path(&self.place.rendition, "rendition")?;
        check_path(&self.path, "path")?;
        self.check()?;
        if self.pieces.len() as u64 != piece_count(self.bytes) {
            return Err(WireError::Invalid("number of pieces"));
        }
        let mut out = Vec::new();
        put_varint(&mut out, ENTRY_VERSION);
        out.extend_from_slice(&key.public().id().0.0);
        put_bytes(&mut out, self.stream.as_str().as_bytes());
        put_varint(&mut out, self.place.epoch);
        put_bytes(&mut out, self.place.rendition.as_bytes());
        put_varint(&mut out, self.place.kind.to_wire());
        put_varint(&mut out, self.place.sequence);
        put_bytes(&mut out, self.path.as_bytes());
        put_varint(&mut out, self.offset);
        put_varint(&mut out, self.bytes);
        put_varint(&mut out, self.duration_us);
        put_varint(&mut out, self.init.map_or(0, |init| init + 1));
        self.pieces.iter().for_each(|piece| out.extend_from_slice(&piece.0.0));
        put_bytes(&mut out, &[]);
        let signature = key.sign(&[SIGNED_PREFIX, &out].concat());
        out.extend_from_slice(&signature);
        Ok(out)
    }

    /// Reads an entry of `stream` signed by one of `trusted`. Nothing of it may be used before.
    ///
    /// # Errors
    /// [`SegmentError`] says which check failed.
    pub fn open(bytes: &[u8], stream: &ContentName, trusted: &[PublicKey]) -> Result<Self, SegmentError> {
        if bytes.len() > SEGMENT_ENTRY_BYTES_MAX {
            return Err(WireError::OverLimit("entry size").into());
        }
        let mut reader = Reader::new(bytes);
        let version = reader.varint()?;
        if version != ENTRY_VERSION {
            return Err(SegmentError::Unsupported(format!("version {version}")));
        }
        let signer = KeyId(reader.hash()?);
        let entry = Self::read(&mut reader)?;
        reader.bytes_max(ENTRY_EXTENSION_BYTES_MAX, "extension")?;
        let signed = &bytes[..bytes.len() - reader.remaining()];
        let signature: [u8; 64] = reader.array()?;
        reader.finish()?;
        entry.check()?;
        if !is_signed(trusted, signer, &[SIGNED_PREFIX, signed].concat(), &signature) {
            return Err(SegmentError::Untrusted);
        }
        if entry.stream != *stream {
            return Err(SegmentError::Other(entry.stream.to_string()));
        }
        Ok(entry)
    }

    /// Whether both are about one place and say different things: one of them is a fraud, or the publisher's mistake.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.stream == other.stream && self.place == other.place && self != other
    }

    /// Size of a piece, in bytes; 0 for one that is not there.
    pub fn piece_bytes(&self, piece: u32) -> u32 {
        let before = u64::from(piece) * u64::from(PIECE_BYTES);
        self.bytes.saturating_sub(before).min(u64::from(PIECE_BYTES)) as u32
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, SegmentError> {
        let stream = read_stream(reader)?;
        let epoch = reader.varint()?;
        let rendition = read_url_path(reader, "rendition")?;
        let kind = SegmentKind::of_wire(reader.varint()?)?;
        let sequence = reader.varint()?;
        let path = read_url_path(reader, "path")?;
        let offset = reader.varint()?;
        let bytes = reader.varint_max(SEGMENT_BYTES_MAX, "segment size")?;
        let duration_us = reader.varint()?;
        let init = reader.varint()?.checked_sub(1);
        let pieces = (0..piece_count(bytes)).map(|_| reader.hash().map(ChunkId)).collect::<Result<_, _>>()?;
        let place = SegmentPlace { epoch, rendition, kind, sequence };
        Ok(Self { stream, place, path, offset, bytes, duration_us, init, pieces })
    }

    fn check(&self) -> Result<(), WireError> {
        let Self { place, offset, bytes, duration_us, init, .. } = self;
        if *bytes > SEGMENT_BYTES_MAX {
            return Err(WireError::OverLimit("segment size"));
        }
        let numbers = [place.epoch, place.sequence, *duration_us, offset.saturating_add(*bytes)];
        // One is added to the number of an initialisation.
        let is_over = |number: &u64| *number > INTEGER_MAX;
        if numbers.iter().any(is_over) || init.is_some_and(|init| init >= INTEGER_MAX) {
            return Err(WireError::IntegerTooLarge);
        }
        if *bytes == 0 {
            Err(WireError::Invalid("segment size"))
        } else if place.kind == SegmentKind::Init && init.is_some() {
            Err(WireError::Invalid("init"))
        } else {
            Ok(())
        }
    }
}

/// Position of a piece among all pieces of its rendition, as Have and Fetching count them; none for a sequence that is
/// too large to be announced. Only media is: initialisations are small and come over HTTP.
pub fn piece_position(sequence: u64, piece: u32) -> Option<u64> {
    let first = sequence.checked_mul(PIECES_PER_SEGMENT)?;
    Some(first + u64::from(piece)).filter(|&position| position < INTEGER_MAX)
}

/// Sequence and piece of a position.
pub fn piece_at(position: u64) -> (u64, u32) {
    (position / PIECES_PER_SEGMENT, (position % PIECES_PER_SEGMENT) as u32)
}

pub(crate) fn read_stream(reader: &mut Reader<'_>) -> Result<ContentName, WireError> {
    reader.text_max(CONTENT_BYTES_MAX, "stream")?.parse().map_err(|_| WireError::Invalid("stream"))
}

pub(crate) fn read_url_path(reader: &mut Reader<'_>, what: &'static str) -> Result<String, WireError> {
    let path = reader.text_max(PATH_BYTES_MAX, what)?;
    check_path(path, what)?;
    Ok(path.to_owned())
}

fn piece_count(bytes: u64) -> u64 {
    bytes.div_ceil(u64::from(PIECE_BYTES))
}

/// A path as the URL standard serialises one: visible ASCII without `?`, `#` and `\`, and no part `.` or `..`.
fn check_path(path: &str, what: &'static str) -> Result<(), WireError> {
    if path.len() > PATH_BYTES_MAX {
        return Err(WireError::OverLimit(what));
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\');
    let has_dots = path.split('/').any(|part| matches!(part, "." | ".."));
    if path.is_empty() || has_dots || !path.bytes().all(is_plain) {
        return Err(WireError::Invalid(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: u64) -> SegmentEntry {
        SegmentEntry {
            stream: "site/show".parse().expect("name"),
            place: SegmentPlace {
                epoch: 1,
                rendition: "720p.m3u8".to_owned(),
                kind: SegmentKind::Media,
                sequence: 7,
            },
            path: "720p/7.m4s".to_owned(),
            offset: 0,
            bytes,
            duration_us: 2_000_000,
            init: Some(0),
            pieces: (0..piece_count(bytes)).map(|n| ChunkId::of(&n.to_be_bytes())).collect(),
        }
    }

    #[test]
    fn pieces_cover_the_segment() {
        let piece = u64::from(PIECE_BYTES);
        let check = |bytes, expected: &[u32]| {
            let entry = entry(bytes);
            let sizes: Vec<u32> = (0..=entry.pieces.len() as u32).map(|n| entry.piece_bytes(n)).collect();
            assert_eq!(sizes, expected, "{bytes}");
        };
        check(1, &[1, 0]);
        check(piece, &[PIECE_BYTES, 0]);
        check(piece + 1, &[PIECE_BYTES, 1, 0]);
    }

    #[test]
    fn the_largest_entry_fits_its_limit_and_a_frame() {
        let long = "x".repeat(PATH_BYTES_MAX);
        let largest = SegmentEntry {
            stream: format!("{}/{}", "a".repeat(63), "b".repeat(64)).parse().expect("name"),
            place: SegmentPlace { epoch: INTEGER_MAX, rendition: long.clone(), ..entry(1).place },
            path: long,
            offset: INTEGER_MAX - SEGMENT_BYTES_MAX,
            duration_us: INTEGER_MAX,
            init: Some(INTEGER_MAX - 1),
            ..entry(SEGMENT_BYTES_MAX)
        };
        let sealed = largest.seal(&SigningKey::from_seed(&[1; 32])).expect("within all limits");
        // The extension is empty here, and its length takes a byte more when it is full.
        assert!(sealed.len() + 1 + ENTRY_EXTENSION_BYTES_MAX <= SEGMENT_ENTRY_BYTES_MAX, "{}", sealed.len());
        const { assert!(SEGMENT_ENTRY_BYTES_MAX <= crate::limits::FRAME_BYTES_MAX) };
    }

    #[test]
    fn positions_and_back() {
        let check = |sequence, piece, expected: Option<u64>| {
            assert_eq!(piece_position(sequence, piece), expected, "{sequence} {piece}");
            assert!(expected.is_none_or(|position| piece_at(position) == (sequence, piece)));
        };
        check(0, 0, Some(0));
        check(7, 1023, Some(8191));
        check((1 << 43) - 1, 1022, Some((1 << 53) - 2));
        check(1 << 43, 0, None);
        check(u64::MAX, 0, None);
    }

    #[test]
    fn only_another_word_about_the_same_place_contradicts() {
        let first = entry(9);
        assert!(!first.contradicts(&first.clone()));
        assert!(first.contradicts(&SegmentEntry { duration_us: 1, ..first.clone() }));
        let next = SegmentPlace { sequence: 8, ..first.place.clone() };
        assert!(!first.contradicts(&SegmentEntry { place: next, ..first.clone() }));
        assert!(
            !first
                .contradicts(&SegmentEntry { stream: "site/other".parse().expect("name"), ..first.clone() })
        );
    }

    #[test]
    fn own_faults_are_not_signed() {
        let key = SigningKey::from_seed(&[1; 32]);
        let check = |change: fn(&mut SegmentEntry), expected| {
            let mut entry = entry(9);
            change(&mut entry);
            assert_eq!(entry.seal(&key).expect_err("refused"), expected);
        };
        check(|entry| entry.pieces.clear(), WireError::Invalid("number of pieces"));
        check(|entry| entry.bytes = 0, WireError::Invalid("segment size"));
        check(|entry| entry.bytes = SEGMENT_BYTES_MAX + 1, WireError::OverLimit("segment size"));
        check(|entry| entry.path = "a/../b".to_owned(), WireError::Invalid("path"));
        check(|entry| entry.path = "x".repeat(PATH_BYTES_MAX + 1), WireError::OverLimit("path"));
        check(|entry| entry.place.rendition.clear(), WireError::Invalid("rendition"));
        check(|entry| entry.place.kind = SegmentKind::Init, WireError::Invalid("init"));
        check(|entry| entry.offset = INTEGER_MAX, WireError::IntegerTooLarge);
        check(|entry| entry.init = Some(INTEGER_MAX), WireError::IntegerTooLarge);
    }
}
