//! The body of each type of frame (PROTOCOL.md 7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use bytes::Bytes;

use super::{BlobKind, Data, Encoding, Frame, Hello, RefuseReason, Request, Seen};
use crate::id::{KeyId, RootId};
use crate::key::PublicKey;
use crate::limits::{
    AGENT_BYTES_MAX, BYE_BYTES_MAX, CHUNK_BYTES_MAX, CHUNKS_MAX, DATA_BYTES_MAX, KEY_DOCUMENT_BYTES_MAX,
    LINK_RELEASES_MAX, PEERS_MAX, POINTER_BYTES_MAX, SEGMENT_ENTRY_BYTES_MAX, SIGNAL_BYTES_MAX,
    TICKET_BYTES_MAX,
};
use crate::ranges::{put_ranges, read_ranges};
use crate::segment::{read_stream, read_url_path};
use crate::wire::{Reader, WireError, put_bytes, put_varint};

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
const TYPE_PEERS: u64 = 11;
const TYPE_SIGNAL: u64 = 13;

/// An envelope of a pointer is base64 around its payload, with signatures.
const POINTER_ENVELOPE_BYTES_MAX: usize = POINTER_BYTES_MAX * 2 + 4096;

/// As [`POINTER_ENVELOPE_BYTES_MAX`], for key documents.
const KEYS_ENVELOPE_BYTES_MAX: usize = KEY_DOCUMENT_BYTES_MAX * 2 + 4096;

/// Whether this version knows a type of frame.
pub(super) fn is_known(kind: u64) -> bool {
    (kind <= TYPE_RENDITION && kind.is_multiple_of(2)) || (kind <= TYPE_SIGNAL && !kind.is_multiple_of(2))
}

impl Frame {
    /// Appends the body, and tells the type.
    pub(super) fn put_body(&self, out: &mut Vec<u8>) -> u64 {
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
            Self::Peers { asks, keys } => {
                out.push(u8::from(*asks));
                put_varint(out, keys.len() as u64);
                keys.iter().for_each(|key| out.extend_from_slice(&key.0.0));
                TYPE_PEERS
            }
            Self::Signal { key, seen, data } => {
                out.extend_from_slice(&key.0.0);
                put_seen(out, *seen);
                out.extend_from_slice(data);
                TYPE_SIGNAL
            }
            Self::Bye { reason } => {
                put_bytes(out, reason.as_bytes());
                TYPE_BYE
            }
        }
    }

    /// Reads a body of a known type.
    pub(super) fn read_body(kind: u64, body: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let frame = match kind {
            TYPE_HELLO => Self::Hello(read_hello(&mut reader)?),
            TYPE_PROOF => Self::Proof { signature: reader.array()? },
            TYPE_RELEASE => Self::Release {
                release: read_release(&mut reader)?,
                root: RootId(reader.hash()?),
                chunks: reader.u32_max(CHUNKS_MAX, "number of chunks")?,
                sharing: read_flag(&mut reader, "sharing flag")?,
            },
            TYPE_RENDITION => Self::Rendition {
                release: read_release(&mut reader)?,
                stream: read_stream(&mut reader)?,
                epoch: reader.varint()?,
                rendition: read_url_path(&mut reader, "rendition")?,
                sharing: read_flag(&mut reader, "sharing flag")?,
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
            TYPE_PEERS => {
                let asks = read_flag(&mut reader, "question")?;
                let count = reader.varint_max(PEERS_MAX as u64, "number of peers")?;
                let keys = (0..count).map(|_| reader.hash().map(KeyId)).collect::<Result<_, _>>()?;
                Self::Peers { asks, keys }
            }
            TYPE_SIGNAL => Self::Signal {
                key: KeyId(reader.hash()?),
                seen: read_seen(&mut reader)?,
                data: rest_max(&mut reader, SIGNAL_BYTES_MAX, "signal")?,
            },
            TYPE_BYE => Self::Bye { reason: reader.text_max(BYE_BYTES_MAX, "reason")?.to_owned() },
            _ => return Err(WireError::Invalid("frame type")),
        };
        reader.finish()?;
        Ok(frame)
    }
}

fn put_release_ranges(out: &mut Vec<u8>, release: u64, ranges: &[Range<u64>], kind: u64) -> u64 {
    put_varint(out, release);
    put_ranges(out, ranges);
    kind
}

fn read_release(reader: &mut Reader<'_>) -> Result<u64, WireError> {
    reader.varint_max(LINK_RELEASES_MAX as u64 - 1, "release number")
}

fn read_flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, WireError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::Invalid(what)),
    }
}

/// Place: 0 for none, else 4 or 6 by the family of the address.
fn put_seen(out: &mut Vec<u8>, seen: Option<Seen>) {
    let Some(Seen { address, is_near }) = seen else { return out.push(0) };
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => {
            out.push(4);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.push(6);
            out.extend_from_slice(&v6.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
    out.push(u8::from(is_near));
}

fn read_seen(reader: &mut Reader<'_>) -> Result<Option<Seen>, WireError> {
    let ip = match reader.byte()? {
        0 => return Ok(None),
        4 => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
        6 => IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)),
        _ => return Err(WireError::Invalid("place")),
    };
    // An IPv4 address has one form.
    if ip != ip.to_canonical() {
        return Err(WireError::Invalid("place"));
    }
    let address = SocketAddr::new(ip, u16::from_be_bytes(reader.array()?));
    Ok(Some(Seen { address, is_near: read_flag(reader, "nearness")? }))
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
