//! Reading an answer as it comes: the head of a Data frame first, so that its payload needs no second buffer and a
//! broken answer is counted to the byte.

use bytes::Bytes;

use crate::frame::{Decoded, Encoding, Frame, FrameError, TYPE_DATA, read_data_fields};
use crate::limits::{DATA_BYTES_MAX, FRAME_BYTES_MAX};
use crate::wire::{Reader, WireError};

/// A Data frame without its payload, which follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHead {
    /// Number of the request.
    pub request: u64,
    /// Encoding of the whole answer.
    pub encoding: Encoding,
    /// Size of the whole answer as encoded, in bytes.
    pub total: u32,
    /// Size of the payload that follows, in bytes.
    pub payload_bytes: u32,
}

/// What is at the front of the bytes on the stream of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerFrame {
    /// A Data frame; its payload is next.
    Data(DataHead),
    /// Any other frame, whole.
    Other(Decoded),
}

impl AnswerFrame {
    /// Reads the head of a Data frame, or any other frame whole, off the front of `bytes`; `None` when more bytes are
    /// needed.
    ///
    /// # Errors
    /// [`FrameError`] when what is there can never become a good frame.
    pub fn decode(bytes: &mut Bytes) -> Result<Option<Self>, FrameError> {
        let mut reader = Reader::new(bytes);
        match reader.varint() {
            Ok(TYPE_DATA) => {}
            _ => return Ok(Frame::decode(bytes)?.map(Self::Other)),
        }
        let len = match reader.varint_max(FRAME_BYTES_MAX as u64, "frame size") {
            Ok(len) => len as usize,
            Err(WireError::Truncated) => return Ok(None),
            Err(error) => return Err(FrameError::Head(error)),
        };
        let body_at = bytes.len() - reader.remaining();
        let body = &bytes[body_at..bytes.len().min(body_at + len)];
        let mut reader = Reader::new(body);
        let (request, encoding, total) = match read_data_fields(&mut reader) {
            Ok(fields) => fields,
            // The frame goes on beyond what came.
            Err(WireError::Truncated) if body.len() < len => return Ok(None),
            Err(error) => return Err(FrameError::Body { kind: TYPE_DATA, error }),
        };
        let fields_len = body.len() - reader.remaining();
        let payload_len = len - fields_len;
        if payload_len > DATA_BYTES_MAX || payload_len > total as usize {
            let error = WireError::OverLimit("data size");
            return Err(FrameError::Body { kind: TYPE_DATA, error });
        }
        let _head = bytes.split_to(body_at + fields_len);
        Ok(Some(Self::Data(DataHead { request, encoding, total, payload_bytes: payload_len as u32 })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Data;

    fn data(total: u32, payload_len: usize) -> Vec<u8> {
        let payload = Bytes::from(vec![7; payload_len]);
        Frame::Data(Data { request: 70, encoding: Encoding::Identity, total, payload }).encode()
    }

    #[test]
    fn a_head_is_read_as_soon_as_it_is_there() {
        let frame = data(100_000, 65_536);
        let head_len = frame.len() - 65_536;
        for len in 0..head_len {
            assert_eq!(AnswerFrame::decode(&mut Bytes::copy_from_slice(&frame[..len])), Ok(None), "{len}");
        }
        for len in head_len..head_len + 2 {
            let mut bytes = Bytes::copy_from_slice(&frame[..len]);
            let head =
                DataHead { request: 70, encoding: Encoding::Identity, total: 100_000, payload_bytes: 65_536 };
            assert_eq!(AnswerFrame::decode(&mut bytes), Ok(Some(AnswerFrame::Data(head))));
            assert_eq!(bytes.len(), len - head_len, "the payload is left");
        }
    }

    #[test]
    fn heads_and_whole_frames_are_judged_alike() {
        let over = |error| Err(FrameError::Body { kind: TYPE_DATA, error });
        let check = |frame: Vec<u8>, expected: Result<(), FrameError>| {
            let head = AnswerFrame::decode(&mut Bytes::from(frame.clone())).map(drop);
            assert_eq!(head, expected);
            assert_eq!(Frame::decode(&mut Bytes::from(frame)).map(drop), expected);
        };
        check(data(5, 5), Ok(()));
        check(data(0, 0), Ok(()));
        check(data(5, 6), over(WireError::OverLimit("data size")));
        check(data(100_000, 65_537), over(WireError::OverLimit("data size")));
        check(data((2 << 20) + 1, 1), over(WireError::OverLimit("answer size")));
        check(vec![12, 0], over(WireError::Truncated));
        check(vec![12, 2, 1, 0], over(WireError::Truncated));
        check(vec![12, 3, 1, 9, 0], over(WireError::Invalid("encoding")));
        check(vec![12, 0xbf, 0xff, 0xff, 0xff], Err(FrameError::Head(WireError::OverLimit("frame size"))));
        check(vec![22, 0], Err(FrameError::UnknownCritical(22)));
        check(vec![23, 0], Ok(()));
    }
}
