//! Frames as bytes: a head with type and length, and the body behind it.

use bytes::Bytes;

use super::body::{TYPE_DATA, is_known};
use super::{Data, Frame, FrameError};
use crate::limits::{DATA_BYTES_MAX, FRAME_BYTES_MAX};
use crate::wire::{Reader, WireError, put_bytes, put_varint, varint_len};

/// Bytes of a Data frame with `payload_len` bytes beyond the payload, at most; for sizing buffers.
pub const DATA_HEAD_BYTES_MAX: usize = 32;

const _: () = assert!(DATA_BYTES_MAX + DATA_HEAD_BYTES_MAX <= FRAME_BYTES_MAX);

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

/// Length of the encoded head of a frame with a body of `body_len` bytes; for accounting.
pub fn frame_head_len(kind: u64, body_len: usize) -> usize {
    varint_len(kind) + varint_len(body_len as u64)
}
