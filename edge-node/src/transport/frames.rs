//! Reads whole frames off a stream of bytes.

use bytes::BytesMut;
use freshet_protocol::{Decoded, Frame, FrameError};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes asked of the stream at a time.
const READ_BYTES: usize = 16 << 10;

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameReadError {
    /// The stream broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// The peer sent what is no frame.
    #[error("{0}")]
    Frame(#[from] FrameError),
}

/// A stream and what was read of it beyond the last frame: less than a frame and [`READ_BYTES`].
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
}

/// A frame and its size on the wire, in bytes.
#[derive(Debug)]
pub(super) struct ReadFrame {
    pub(super) decoded: Decoded,
    pub(super) bytes: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// The next frame; none at the end of the stream. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Option<ReadFrame>, FrameReadError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameReadError::Truncated) };
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<ReadFrame>, FrameReadError> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let mut bytes = std::mem::take(&mut self.buffer).freeze();
        let before = bytes.len();
        let decoded = Frame::decode(&mut bytes);
        let taken = before - bytes.len();
        // Without a copy, unless a Data frame still holds its payload.
        self.buffer = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        Ok(decoded?.map(|decoded| ReadFrame { decoded, bytes: taken }))
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::FrameError;
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn read_all(bytes: &[u8], piece: usize) -> (Vec<Decoded>, Option<FrameReadError>) {
        let (mut near, far) = tokio::io::duplex(piece);
        let bytes = bytes.to_vec();
        let writer = tokio::spawn(async move { near.write_all(&bytes).await });
        let mut reader = FrameReader::new(far);
        let mut frames = Vec::new();
        let error = loop {
            match reader.next().await {
                Ok(Some(frame)) => frames.push(frame.decoded),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        writer.abort();
        (frames, error)
    }

    #[tokio::test]
    async fn frames_come_whole_whatever_the_pieces() {
        let sent = [
            Frame::Have { release: 1, ranges: vec![0..5, 9..10] },
            Frame::Bye { reason: "done".to_owned() },
            Frame::Ticket { ticket: vec![3; 900] },
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(Frame::encode).collect();
        for piece in [1, 7, 100, 10_000] {
            let (frames, error) = read_all(&bytes, piece).await;
            assert_eq!(frames, sent.clone().map(Decoded::Frame), "{piece}");
            assert!(error.is_none());
        }
        let (frames, error) = read_all(&bytes[..bytes.len() - 1], 7).await;
        assert_eq!(frames.len(), 2);
        assert!(matches!(error, Some(FrameReadError::Truncated)));
    }

    #[tokio::test]
    async fn what_is_no_frame_is_told() {
        // An optional type is skipped, a critical one refused by its number, whatever its body.
        let (frames, error) = read_all(&[33, 2, 0, 0, 34, 40], 64).await;
        assert_eq!(frames, [Decoded::Skipped(33)]);
        assert!(matches!(error, Some(FrameReadError::Frame(FrameError::UnknownCritical(34)))));
    }
}
