//! Takes a peer's answer off its stream, straight into a buffer of the signed size, and judges it.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use freshet_protocol::{
    AnswerFrame, BlobKind, ChunkId, DataHead, Decoded, Encoding, Frame, Hash, VerifiedChunk,
};
use freshet_swarm::LinkId;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::event::{Answer, TransportEvent};
use super::frames::FrameReadError;
use super::limits::ANSWER_SKIPPED_BYTES_MAX;
use super::link::Ask;
use crate::limiter::Limiter;

/// Least payload between two reports of progress, in bytes.
const PROGRESS_BYTES: usize = 16 << 10;
/// Least time between two reports, so that a fast answer is not all reports.
const PROGRESS_TIME: Duration = Duration::from_millis(50);
/// Bytes read at a time before a head is complete: few, since the payload that follows has a buffer of its own.
const HEAD_READ_BYTES: usize = 64;

/// How an answer ended.
#[derive(Debug)]
pub(super) enum Received {
    /// For the job.
    Answer(Answer),
    /// The peer broke the protocol after so many payload bytes: the link must go.
    Misbehaved { why: String, bytes: u32 },
}

/// An answer on its way in.
pub(super) struct Incoming<'a, R> {
    ask: Ask,
    stream: &'a mut R,
    /// Read and not yet understood.
    head: BytesMut,
    body: BytesMut,
    /// Size of the answer as its first Data frame said.
    total: Option<u32>,
    skipped_bytes: usize,
    reported: usize,
    reported_at: Option<Instant>,
}

/// A step of reading.
enum Step {
    /// Payload came, and some is due to be reported: so many bytes.
    Progress(u32),
    End(Received),
}

impl<'a, R: AsyncRead + Unpin> Incoming<'a, R> {
    pub(super) fn new(ask: Ask, stream: &'a mut R) -> Self {
        let (head, body) = (BytesMut::new(), BytesMut::new());
        Self { ask, stream, head, body, total: None, skipped_bytes: 0, reported: 0, reported_at: None }
    }

    /// Reads to the answer's end as fast as it may, and tells of progress on `link`.
    pub(super) async fn receive(
        mut self,
        link: LinkId,
        events: &mpsc::Sender<TransportEvent>,
        limiter: &Limiter,
    ) -> Received {
        let mut left_of_frame = 0;
        loop {
            let before = self.body.len();
            let step = if left_of_frame > 0 {
                self.read_payload(&mut left_of_frame).await
            } else if self.total.is_some_and(|total| total as usize == self.body.len()) {
                return Received::Answer(self.verify());
            } else {
                self.read_head(&mut left_of_frame).await
            };
            limiter.take(self.body.len() - before).await;
            match step {
                Ok(Some(Step::Progress(bytes))) => {
                    let progress = TransportEvent::Progress { link, request: self.ask.request, bytes };
                    // The link's own task sees that the job is gone.
                    let _ = events.send(progress).await;
                }
                Ok(Some(Step::End(received))) => return received,
                Ok(None) => {}
                Err(FrameReadError::Frame(error)) => return self.misbehaved(error.to_string()),
                Err(FrameReadError::Io(_) | FrameReadError::Truncated) => return self.failed(),
            }
        }
    }

    async fn read_head(&mut self, left_of_frame: &mut usize) -> Result<Option<Step>, FrameReadError> {
        let mut bytes = std::mem::take(&mut self.head).freeze();
        let before = bytes.len();
        let decoded = AnswerFrame::decode(&mut bytes);
        let taken = before - bytes.len();
        self.head = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        match decoded? {
            Some(AnswerFrame::Data(head)) => Ok(self.start_payload(&head, left_of_frame)),
            Some(AnswerFrame::Other(other)) => Ok(self.take_other(other, taken)),
            None => {
                // Twice what is there already, so that a long frame is not read in small pieces.
                let wanted = HEAD_READ_BYTES.max(self.head.len());
                self.head.reserve(wanted);
                let read = self.stream.read_buf(&mut (&mut self.head).limit(wanted)).await?;
                if read == 0 { Err(FrameReadError::Truncated) } else { Ok(None) }
            }
        }
    }

    fn start_payload(&mut self, head: &DataHead, left_of_frame: &mut usize) -> Option<Step> {
        if let Some(end) = self.check_head(head) {
            return Some(Step::End(end));
        }
        if self.total.replace(head.total).is_none() {
            self.body.reserve(head.total as usize);
        }
        // Payload that came together with the head.
        let early = self.head.len().min(head.payload_bytes as usize);
        self.body.extend_from_slice(&self.head.split_to(early));
        *left_of_frame = head.payload_bytes as usize - early;
        None
    }

    fn check_head(&self, head: &DataHead) -> Option<Received> {
        let len = self.body.len() + head.payload_bytes as usize;
        let is_size = match self.ask.kind {
            BlobKind::Chunk | BlobKind::Page => head.total == self.ask.bytes,
            BlobKind::Root => head.total <= self.ask.bytes,
        };
        if head.request != self.ask.request.0 {
            Some(self.misbehaved(format!("data for request {}, not {}", head.request, self.ask.request.0)))
        } else if head.encoding != Encoding::Identity {
            Some(self.misbehaved("data in an encoding that was not asked for".to_owned()))
        } else if !is_size {
            // The size is signed, so no bytes of this answer can be right.
            Some(Received::Answer(Answer::Corrupt { bytes: self.received() }))
        } else if self.total.is_some_and(|total| total != head.total) || len > head.total as usize {
            Some(self.misbehaved("data frames of one answer differ about its size".to_owned()))
        } else if head.payload_bytes == 0 && head.total > 0 {
            Some(self.misbehaved("a data frame without data".to_owned()))
        } else {
            None
        }
    }

    fn take_other(&mut self, other: Decoded, frame_bytes: usize) -> Option<Step> {
        let end = match other {
            Decoded::Frame(Frame::Refuse { request, reason }) if request == self.ask.request.0 => {
                match self.received() {
                    0 => Received::Answer(Answer::Refused(reason)),
                    // It lost the blob while it was sending.
                    _ => self.failed(),
                }
            }
            Decoded::Frame(_) => self.misbehaved("a frame that is no answer to a request".to_owned()),
            Decoded::Skipped(_) => {
                self.skipped_bytes += frame_bytes;
                if self.skipped_bytes <= ANSWER_SKIPPED_BYTES_MAX {
                    return None;
                }
                self.misbehaved("too much beside the answer to a request".to_owned())
            }
        };
        Some(Step::End(end))
    }

    async fn read_payload(&mut self, left_of_frame: &mut usize) -> Result<Option<Step>, FrameReadError> {
        let read = self.stream.read_buf(&mut (&mut self.body).limit(*left_of_frame)).await?;
        if read == 0 {
            return Err(FrameReadError::Truncated);
        }
        *left_of_frame -= read;
        let unreported = self.body.len() - self.reported;
        if unreported < PROGRESS_BYTES || self.reported_at.is_some_and(|at| at.elapsed() < PROGRESS_TIME) {
            return Ok(None);
        }
        self.reported = self.body.len();
        self.reported_at = Some(Instant::now());
        Ok(Some(Step::Progress(unreported as u32)))
    }

    fn verify(self) -> Answer {
        let received = self.received();
        let bytes: Bytes = self.body.freeze();
        let corrupt = Answer::Corrupt { bytes: received };
        match self.ask.kind {
            BlobKind::Chunk => {
                VerifiedChunk::check(ChunkId(self.ask.hash), bytes).map_or(corrupt, Answer::Verified)
            }
            BlobKind::Page if Hash::of(&bytes) != self.ask.hash => corrupt,
            BlobKind::Page | BlobKind::Root => Answer::Blob(bytes),
        }
    }

    fn received(&self) -> u32 {
        self.body.len() as u32
    }

    fn failed(&self) -> Received {
        Received::Answer(Answer::Failed { bytes: self.received() })
    }

    fn misbehaved(&self, why: String) -> Received {
        Received::Misbehaved { why, bytes: self.received() }
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{Data, RefuseReason};
    use freshet_swarm::RequestId;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// What came of `answer` to the request number 5 for `bytes` bytes of `blob`.
    async fn receive(kind: BlobKind, blob: &[u8], bytes: u32, answer: Vec<u8>) -> Received {
        let (mut near, mut far) = tokio::io::duplex(50);
        let writer = tokio::spawn(async move {
            // The reader may have seen enough.
            let _ = near.write_all(&answer).await;
        });
        let ask = Ask { request: RequestId(5), kind, hash: Hash::of(blob), bytes };
        let (events, _) = mpsc::channel(1);
        let received = Incoming::new(ask, &mut far).receive(LinkId(1), &events, &Limiter::default()).await;
        drop(far);
        writer.await.expect("writer ends");
        received
    }

    fn data(total: u32, payload: &'static [u8]) -> Vec<u8> {
        data_of(5, Encoding::Identity, total, payload)
    }

    fn data_of(request: u64, encoding: Encoding, total: u32, payload: &'static [u8]) -> Vec<u8> {
        Frame::Data(Data { request, encoding, total, payload: Bytes::from_static(payload) }).encode()
    }

    const BLOB: &[u8] = b"twelve bytes";

    #[tokio::test]
    async fn good_answers_pass() {
        let whole = receive(BlobKind::Chunk, BLOB, 12, data(12, BLOB)).await;
        assert!(matches!(whole, Received::Answer(Answer::Verified(chunk)) if chunk.bytes() == BLOB));
        let parts = [data(12, &BLOB[..5]), vec![21, 1, 0], data(12, &BLOB[5..])].concat();
        let parts = receive(BlobKind::Page, BLOB, 12, parts).await;
        assert!(matches!(parts, Received::Answer(Answer::Blob(bytes)) if bytes == BLOB));
        let root = receive(BlobKind::Root, b"the id is another hash", 1000, data(12, BLOB)).await;
        assert!(matches!(root, Received::Answer(Answer::Blob(bytes)) if bytes == BLOB));
        let empty = receive(BlobKind::Chunk, b"", 0, data(0, b"")).await;
        assert!(matches!(empty, Received::Answer(Answer::Verified(_))));
    }

    #[tokio::test]
    async fn wrong_bytes_and_sizes_are_corrupt() {
        let check = async |kind, bytes, answer, received| match receive(kind, BLOB, bytes, answer).await {
            Received::Answer(Answer::Corrupt { bytes }) => assert_eq!(bytes, received),
            other => panic!("{other:?}"),
        };
        check(BlobKind::Chunk, 12, data(12, b"Twelve bytes"), 12).await;
        check(BlobKind::Page, 12, data(12, b"Twelve bytes"), 12).await;
        check(BlobKind::Chunk, 12, data(13, b"twelve bytes!"), 0).await;
        check(BlobKind::Chunk, 12, data(11, b"twelve byte"), 0).await;
        check(BlobKind::Page, 12, data(2 << 20, b"x"), 0).await;
        check(BlobKind::Root, 11, data(12, BLOB), 0).await;
    }

    #[tokio::test]
    async fn broken_and_refused_answers_are_told_apart() {
        let refuse = Frame::Refuse { request: 5, reason: RefuseReason::Busy }.encode();
        let refused = receive(BlobKind::Chunk, BLOB, 12, refuse.clone()).await;
        assert!(matches!(refused, Received::Answer(Answer::Refused(RefuseReason::Busy))));
        let check = async |answer: Vec<u8>, received| match receive(BlobKind::Chunk, BLOB, 12, answer).await {
            Received::Answer(Answer::Failed { bytes }) => assert_eq!(bytes, received),
            other => panic!("{other:?}"),
        };
        check(vec![], 0).await;
        check(data(12, BLOB)[..6].to_vec(), 1).await;
        check(data(12, BLOB)[..16].to_vec(), 11).await;
        check(data(12, &BLOB[..7]), 7).await;
        check([data(12, &BLOB[..7]), refuse].concat(), 7).await;
    }

    #[tokio::test]
    async fn broken_rules_name_themselves() {
        let check =
            async |answer: Vec<u8>, expected: &str| match receive(BlobKind::Chunk, BLOB, 12, answer).await {
                Received::Misbehaved { why, .. } => assert!(why.contains(expected), "{why}"),
                other => panic!("{expected}: {other:?}"),
            };
        check(data_of(6, Encoding::Identity, 12, BLOB), "data for request 6, not 5").await;
        check(data_of(5, Encoding::Zstd, 12, BLOB), "encoding").await;
        check(data(12, b""), "without data").await;
        check([data(12, &BLOB[..7]), data(12, &BLOB[..7])].concat(), "differ about its size").await;
        check(Frame::Bye { reason: String::new() }.encode(), "no answer").await;
        check(Frame::Refuse { request: 6, reason: RefuseReason::Busy }.encode(), "no answer").await;
        check(vec![34, 0], "type 34 is critical").await;
        // An optional frame of 60 000 bytes, twice.
        let optional = [vec![21, 0x80, 0, 0xea, 0x60], vec![0; 60_000]].concat();
        check([optional.clone(), optional].concat(), "too much beside").await;
    }

    #[tokio::test]
    async fn progress_is_coarse() {
        let blob = vec![7; 64 << 10];
        let frame = Frame::Data(Data {
            request: 5,
            encoding: Encoding::Identity,
            total: 64 << 10,
            payload: blob.clone().into(),
        });
        let (mut near, mut far) = tokio::io::duplex(1000);
        let frame = frame.encode();
        let writer = tokio::spawn(async move { near.write_all(&frame).await });
        let ask =
            Ask { request: RequestId(5), kind: BlobKind::Chunk, hash: Hash::of(&blob), bytes: 64 << 10 };
        let (events, mut reported) = mpsc::channel(100);
        let received = Incoming::new(ask, &mut far).receive(LinkId(1), &events, &Limiter::default()).await;
        assert!(matches!(received, Received::Answer(Answer::Verified(_))));
        assert!(writer.await.expect("writer ends").is_ok());
        drop(events);
        let mut reports = Vec::new();
        while let Some(TransportEvent::Progress { bytes, .. }) = reported.recv().await {
            reports.push(bytes);
        }
        assert!(!reports.is_empty() && reports.len() <= 4, "{reports:?}");
        assert!(reports.iter().all(|&bytes| bytes as usize >= PROGRESS_BYTES), "{reports:?}");
    }
}
