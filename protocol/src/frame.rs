//! Frames of the peer protocol, ALPN `freshet/1` (PROTOCOL.md 7).
//!
//! ```text
//! frame = type:varint length:varint body
//! ```
//! Even types are critical: a reader that does not know one closes the link and names it. Odd types are optional and
//! skipped. On QUIC and WebTransport the first bidirectional stream carries control frames, and each Request has a
//! stream of its own on which Data or Refuse answer; on a data channel all frames share the channel.

use std::ops::Range;

use bytes::Bytes;

use crate::id::{ContentName, Hash, RootId};
use crate::key::PublicKey;
use crate::limits::{
    AGENT_BYTES_MAX, BYE_BYTES_MAX, CHUNK_BYTES_MAX, CHUNKS_MAX, DATA_BYTES_MAX, FRAME_BYTES_MAX,
    KEY_DOCUMENT_BYTES_MAX, LINK_RELEASES_MAX, POINTER_BYTES_MAX, SEGMENT_ENTRY_BYTES_MAX, TICKET_BYTES_MAX,
};
use crate::ranges::{put_ranges, read_ranges};
use crate::segment::{read_stream, read_url_path};
use crate::wire::{Reader, WireError, put_bytes, put_varint, varint_len};

/// The protocol version that this program speaks.
pub const PEER_VERSION: u64 = 1;
/// ALPN of the peer protocol.
pub const PEER_ALPN: &[u8] = b"freshet/1";

/// Why a frame was refused. The sender is the guilty side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body is not what its type says.
    #[error("frame of type {kind}: {error}")]
    Body {
        /// Type of the frame.
        kind: u64,
        /// What is wrong.
        error: WireError,
    },
    /// The head is not valid.
    #[error("frame head: {0}")]
    Head(WireError),
    /// A critical type that this version does not know.
    #[error("frame type {0} is critical and unknown")]
    UnknownCritical(u64),
}

/// Opens each link, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Lowest version spoken.
    pub version_min: u64,
    /// Highest version spoken.
    pub version_max: u64,
    /// Feature bits; unknown ones are ignored.
    pub features: u64,
    /// Fresh random bytes, which the other's Proof signs.
    pub nonce: [u8; 32],
    /// The peer's signing key.
    pub key: PublicKey,
    /// The tracker's word for that key.
    pub ticket: Vec<u8>,
    /// Program and version, for people.
    pub agent: String,
}

impl Hello {
    /// The highest version that both sides speak.
    pub fn common_version(&self, own_min: u64, own_max: u64) -> Option<u64> {
        let version = self.version_max.min(own_max);
        (version >= self.version_min.max(own_min)).then_some(version)
    }
}

/// Kinds of blobs that can be asked for by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// A chunk.
    Chunk,
    /// A manifest page, plain.
    Page,
    /// A root's envelope; the hash is the root id.
    Root,
}

/// How payload bytes are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// As they are; every peer offers it.
    Identity,
    /// Zstandard (RFC 8878).
    Zstd,
    /// gzip (RFC 1952).
    Gzip,
}

impl Encoding {
    fn code(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Zstd => 1,
            Self::Gzip => 2,
        }
    }

    /// The bit of this encoding in [`Request::encodings`].
    pub fn bit(self) -> u64 {
        1 << self.code()
    }
}

/// Asks for a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number of the request, unique on its link.
    pub request: u64,
    /// What kind of blob.
    pub kind: BlobKind,
    /// Its hash.
    pub hash: Hash,
    /// Where to start, in bytes of the plain blob.
    pub offset: u32,
    /// Set of [`Encoding::bit`]s that the asker can read beside identity.
    pub encodings: u64,
}

/// Bytes of a blob. Several follow each other until `total` is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Number of the request.
    pub request: u64,
    /// Encoding of the whole answer.
    pub encoding: Encoding,
    /// Size of the whole answer as encoded, in bytes.
    pub total: u32,
    /// The bytes.
    pub payload: Bytes,
}

impl Data {
    /// The frame up to the payload, so that a sender need not copy `payload_len` bytes.
    pub fn head(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(24);
        put_varint(&mut fields, self.request);
        put_varint(&mut fields, self.encoding.code());
        put_varint(&mut fields, u64::from(self.total));
        let mut out = Vec::with_capacity(32);
        put_varint(&mut out, TYPE_DATA);
        put_varint(&mut out, (fields.len() + self.payload.len()) as u64);
        out.extend_from_slice(&fields);
        out
    }
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefuseReason {
    /// The blob is not here (any more).
    NotHeld,
    /// Too much to do; ask later or elsewhere.
    Busy,
    /// The budget for sending is used up.
    Budget,
    /// The owner does not share.
    NotSharing,
    /// A reason that this version does not know.
    Other,
}

impl RefuseReason {
    fn code(self) -> u64 {
        match self {
            Self::NotHeld => 0,
            Self::Busy => 1,
            Self::Budget => 2,
            Self::NotSharing => 3,
            Self::Other => 4,
        }
    }

    fn of_code(code: u64) -> Self {
        match code {
            0 => Self::NotHeld,
            1 => Self::Busy,
            2 => Self::Budget,
            3 => Self::NotSharing,
            _ => Self::Other,
        }
    }
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// First frame of each side.
    Hello(Hello),
    /// Signature over [`crate::proof_message`]; second frame of each side.
    Proof {
        /// Ed25519 signature.
        signature: [u8; 64],
    },
    /// Names a release by a short number for the frames that follow on this link.
    Release {
        /// The number, below 16.
        release: u64,
        /// The release.
        root: RootId,
        /// Its number of chunk positions.
        chunks: u32,
        /// Whether the sender hands out chunks of it.
        sharing: bool,
    },
    /// Names a rendition of a stream by a short number, out of those that releases have too. Its positions are
    /// [`piece_position`](crate::piece_position)s.
    Rendition {
        /// The number, below 16.
        release: u64,
        /// The stream.
        stream: ContentName,
        /// Its epoch.
        epoch: u64,
        /// Path of the rendition's playlist, as in [`SegmentEntry::path`](crate::SegmentEntry::path).
        rendition: String,
        /// Whether the sender hands out pieces of it.
        sharing: bool,
    },
    /// Positions that the sender holds now.
    Have {
        /// Number of the release.
        release: u64,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<u64>>,
    },
    /// Positions that the sender no longer holds.
    Withdraw {
        /// Number of the release.
        release: u64,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<u64>>,
    },
    /// Positions that the sender is fetching from the origin now; replaces what it said before. Optional.
    Fetching {
        /// Number of the release.
        release: u64,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<u64>>,
    },
    /// Asks for a blob.
    Request(Request),
    /// Bytes of a blob.
    Data(Data),
    /// A request is not answered.
    Refuse {
        /// Number of the request.
        request: u64,
        /// Why.
        reason: RefuseReason,
    },
    /// A request is no longer wanted (data channels; on QUIC the stream is reset).
    Cancel {
        /// Number of the request.
        request: u64,
    },
    /// The newest channel pointer that the sender knows: an envelope. Optional.
    Pointer {
        /// The envelope's JSON.
        envelope: Vec<u8>,
    },
    /// The newest key document that the sender knows: an envelope, good only under the tenant's key that the reader
    /// pins. Lets a peer join while the origin is away. Optional.
    Keys {
        /// The envelope's JSON.
        envelope: Vec<u8>,
    },
    /// A signed entry of a segment, new to the sender. Optional.
    Entry {
        /// The entry.
        entry: Vec<u8>,
    },
    /// A fresh ticket of the sender. Optional.
    Ticket {
        /// The ticket.
        ticket: Vec<u8>,
    },
    /// The sender closes the link.
    Bye {
        /// Why, for people.
        reason: String,
    },
}

const TYPE_HELLO: u64 = 0;
const TYPE_PROOF: u64 = 2;
const TYPE_RELEASE: u64 = 4;
const TYPE_HAVE: u64 = 6;
const TYPE_WITHDRAW: u64 = 8;
const TYPE_REQUEST: u64 = 10;
pub(crate) const TYPE_DATA: u64 = 12;
const TYPE_REFUSE: u64 = 14;
const TYPE_CANCEL: u64 = 16;
const TYPE_BYE: u64 = 18;
const TYPE_RENDITION: u64 = 20;
const TYPE_FETCHING: u64 = 1;
const TYPE_POINTER: u64 = 3;
const TYPE_TICKET: u64 = 5;
const TYPE_KEYS: u64 = 7;
const TYPE_ENTRY: u64 = 9;

/// An envelope of a pointer is base64 around its payload, with signatures.
const POINTER_ENVELOPE_BYTES_MAX: usize = POINTER_BYTES_MAX * 2 + 4096;

/// As [`POINTER_ENVELOPE_BYTES_MAX`], for key documents.
const KEYS_ENVELOPE_BYTES_MAX: usize = KEY_DOCUMENT_BYTES_MAX * 2 + 4096;

/// What [`Frame::decode`] found at the front of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame(Frame),
    /// An optional frame of a type that this version does not know.
    Skipped(u64),
}

impl Frame {
    /// The frame's bytes.
    ///
    /// # Panics
    /// When a value is over its limit: only own frames are encoded.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let kind = self.put_body(&mut body);
        assert!(body.len() <= FRAME_BYTES_MAX, "own frames stay within the limit");
        let mut out = Vec::with_capacity(body.len() + 10);
        put_varint(&mut out, kind);
        put_bytes(&mut out, &body);
        out
    }

    /// Reads one frame off the front of `bytes`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`] when what is there can never become a good frame.
    pub fn decode(bytes: &mut Bytes) -> Result<Option<Decoded>, FrameError> {
        let mut reader = Reader::new(bytes);
        let head = reader
            .varint()
            .and_then(|kind| Ok((kind, reader.varint_max(FRAME_BYTES_MAX as u64, "frame size")? as usize)));
        let (kind, len) = match head {
            Ok(head) => head,
            Err(WireError::Truncated) => return Ok(None),
            Err(error) => return Err(FrameError::Head(error)),
        };
        if !is_known(kind) && kind.is_multiple_of(2) {
            return Err(FrameError::UnknownCritical(kind));
        }
        if reader.remaining() < len {
            return Ok(None);
        }
        let head_len = bytes.len() - reader.remaining();
        let _head = bytes.split_to(head_len);
        let body = bytes.split_to(len);
        if !is_known(kind) {
            return Ok(Some(Decoded::Skipped(kind)));
        }
        let frame = Self::read_body(kind, &body).map_err(|error| FrameError::Body { kind, error })?;
        Ok(Some(Decoded::Frame(frame)))
    }

    fn put_body(&self, out: &mut Vec<u8>) -> u64 {
        match self {
            Self::Hello(hello) => {
                put_varint(out, hello.version_min);
                put_varint(out, hello.version_max);
                put_varint(out, hello.features);
                out.extend_from_slice(&hello.nonce);
                out.extend_from_slice(&hello.key.0);
                put_bytes(out, &hello.ticket);
                put_bytes(out, hello.agent.as_bytes());
                TYPE_HELLO
            }
            Self::Proof { signature } => {
                out.extend_from_slice(signature);
                TYPE_PROOF
            }
            Self::Release { release, root, chunks, sharing } => {
                put_varint(out, *release);
                out.extend_from_slice(&root.0.0);
                put_varint(out, u64::from(*chunks));
                out.push(u8::from(*sharing));
                TYPE_RELEASE
            }
            Self::Rendition { release, stream, epoch, rendition, sharing } => {
                put_varint(out, *release);
                put_bytes(out, stream.as_str().as_bytes());
                put_varint(out, *epoch);
                put_bytes(out, rendition.as_bytes());
                out.push(u8::from(*sharing));
                TYPE_RENDITION
            }
            Self::Have { release, ranges } => put_release_ranges(out, *release, ranges, TYPE_HAVE),
            Self::Withdraw { release, ranges } => put_release_ranges(out, *release, ranges, TYPE_WITHDRAW),
            Self::Fetching { release, ranges } => put_release_ranges(out, *release, ranges, TYPE_FETCHING),
            Self::Request(request) => {
                put_varint(out, request.request);
                out.push(match request.kind {
                    BlobKind::Chunk => 0,
                    BlobKind::Page => 1,
                    BlobKind::Root => 2,
                });
                out.extend_from_slice(&request.hash.0);
                put_varint(out, u64::from(request.offset));
                put_varint(out, request.encodings);
                TYPE_REQUEST
            }
            Self::Data(data) => {
                put_varint(out, data.request);
                put_varint(out, data.encoding.code());
                put_varint(out, u64::from(data.total));
                out.extend_from_slice(&data.payload);
                TYPE_DATA
            }
            Self::Refuse { request, reason } => {
                put_varint(out, *request);
                put_varint(out, reason.code());
                TYPE_REFUSE
            }
            Self::Cancel { request } => {
                put_varint(out, *request);
                TYPE_CANCEL
            }
            Self::Pointer { envelope } => {
                out.extend_from_slice(envelope);
                TYPE_POINTER
            }
            Self::Keys { envelope } => {
                out.extend_from_slice(envelope);
                TYPE_KEYS
            }
            Self::Entry { entry } => {
                out.extend_from_slice(entry);
                TYPE_ENTRY
            }
            Self::Ticket { ticket } => {
                out.extend_from_slice(ticket);
                TYPE_TICKET
            }
            Self::Bye { reason } => {
                put_bytes(out, reason.as_bytes());
                TYPE_BYE
            }
        }
    }

    fn read_body(kind: u64, body: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let frame = match kind {
            TYPE_HELLO => Self::Hello(read_hello(&mut reader)?),
            TYPE_PROOF => Self::Proof { signature: reader.array()? },
            TYPE_RELEASE => Self::Release {
                release: read_release(&mut reader)?,
                root: RootId(reader.hash()?),
                chunks: reader.u32_max(CHUNKS_MAX, "number of chunks")?,
                sharing: read_sharing(&mut reader)?,
            },
            TYPE_RENDITION => Self::Rendition {
                release: read_release(&mut reader)?,
                stream: read_stream(&mut reader)?,
                epoch: reader.varint()?,
                rendition: read_url_path(&mut reader, "rendition")?,
                sharing: read_sharing(&mut reader)?,
            },
            TYPE_HAVE => {
                let (release, ranges) = read_release_ranges(&mut reader)?;
                Self::Have { release, ranges }
            }
            TYPE_WITHDRAW => {
                let (release, ranges) = read_release_ranges(&mut reader)?;
                Self::Withdraw { release, ranges }
            }
            TYPE_FETCHING => {
                let (release, ranges) = read_release_ranges(&mut reader)?;
                Self::Fetching { release, ranges }
            }
            TYPE_REQUEST => Self::Request(read_request(&mut reader)?),
            TYPE_DATA => return read_data(reader, body).map(Self::Data),
            TYPE_REFUSE => {
                Self::Refuse { request: reader.varint()?, reason: RefuseReason::of_code(reader.varint()?) }
            }
            TYPE_CANCEL => Self::Cancel { request: reader.varint()? },
            TYPE_POINTER => {
                Self::Pointer { envelope: rest_max(&mut reader, POINTER_ENVELOPE_BYTES_MAX, "pointer")? }
            }
            TYPE_KEYS => {
                Self::Keys { envelope: rest_max(&mut reader, KEYS_ENVELOPE_BYTES_MAX, "key document")? }
            }
            TYPE_ENTRY => {
                Self::Entry { entry: rest_max(&mut reader, SEGMENT_ENTRY_BYTES_MAX, "entry size")? }
            }
            TYPE_TICKET => Self::Ticket { ticket: rest_max(&mut reader, TICKET_BYTES_MAX, "ticket")? },
            TYPE_BYE => Self::Bye { reason: reader.text_max(BYE_BYTES_MAX, "reason")?.to_owned() },
            _ => return Err(WireError::Invalid("frame type")),
        };
        reader.finish()?;
        Ok(frame)
    }
}

fn is_known(kind: u64) -> bool {
    (kind <= TYPE_RENDITION && kind.is_multiple_of(2))
        || matches!(kind, TYPE_FETCHING | TYPE_POINTER | TYPE_TICKET | TYPE_KEYS | TYPE_ENTRY)
}

fn put_release_ranges(out: &mut Vec<u8>, release: u64, ranges: &[Range<u64>], kind: u64) -> u64 {
    put_varint(out, release);
    put_ranges(out, ranges);
    kind
}

fn read_release(reader: &mut Reader<'_>) -> Result<u64, WireError> {
    reader.varint_max(LINK_RELEASES_MAX as u64 - 1, "release number")
}

fn read_sharing(reader: &mut Reader<'_>) -> Result<bool, WireError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::Invalid("sharing flag")),
    }
}

fn read_release_ranges(reader: &mut Reader<'_>) -> Result<(u64, Vec<Range<u64>>), WireError> {
    Ok((read_release(reader)?, read_ranges(reader)?))
}

fn read_hello(reader: &mut Reader<'_>) -> Result<Hello, WireError> {
    let hello = Hello {
        version_min: reader.varint()?,
        version_max: reader.varint()?,
        features: reader.varint()?,
        nonce: reader.array()?,
        key: PublicKey(reader.array()?),
        ticket: reader.bytes_max(TICKET_BYTES_MAX, "ticket")?.to_vec(),
        agent: reader.text_max(AGENT_BYTES_MAX, "agent")?.to_owned(),
    };
    // A later version may add fields: what follows is theirs.
    reader.take_rest();
    if hello.version_min > hello.version_max {
        return Err(WireError::Invalid("version range"));
    }
    Ok(hello)
}

fn read_request(reader: &mut Reader<'_>) -> Result<Request, WireError> {
    Ok(Request {
        request: reader.varint()?,
        kind: match reader.byte()? {
            0 => BlobKind::Chunk,
            1 => BlobKind::Page,
            2 => BlobKind::Root,
            _ => return Err(WireError::Invalid("blob kind")),
        },
        hash: reader.hash()?,
        offset: reader.u32_max(CHUNK_BYTES_MAX, "offset")?,
        encodings: reader.varint()?,
    })
}

fn read_data(mut reader: Reader<'_>, body: &Bytes) -> Result<Data, WireError> {
    let (request, encoding, total) = read_data_fields(&mut reader)?;
    let len = reader.remaining();
    if len > DATA_BYTES_MAX || len > total as usize {
        return Err(WireError::OverLimit("data size"));
    }
    Ok(Data { request, encoding, total, payload: body.slice(body.len() - len..) })
}

/// What stands before the payload of a Data frame: request, encoding and size of the whole answer.
pub(crate) fn read_data_fields(reader: &mut Reader<'_>) -> Result<(u64, Encoding, u32), WireError> {
    let request = reader.varint()?;
    let encoding = match reader.varint()? {
        0 => Encoding::Identity,
        1 => Encoding::Zstd,
        2 => Encoding::Gzip,
        _ => return Err(WireError::Invalid("encoding")),
    };
    let total = reader.u32_max(CHUNK_BYTES_MAX, "answer size")?;
    Ok((request, encoding, total))
}

fn rest_max(reader: &mut Reader<'_>, max: usize, what: &'static str) -> Result<Vec<u8>, WireError> {
    if reader.remaining() > max { Err(WireError::OverLimit(what)) } else { Ok(reader.take_rest().to_vec()) }
}

/// Bytes of a Data frame with `payload_len` bytes beyond the payload, at most; for sizing buffers.
pub const DATA_HEAD_BYTES_MAX: usize = 32;

const _: () = assert!(DATA_BYTES_MAX + DATA_HEAD_BYTES_MAX <= FRAME_BYTES_MAX);

/// Length of the encoded head of a frame with a body of `body_len` bytes; for accounting.
pub fn frame_head_len(kind: u64, body_len: usize) -> usize {
    varint_len(kind) + varint_len(body_len as u64)
}
