//! Sorts what the peer says by what it is about.

use bytes::{Bytes, BytesMut};
use freshet_protocol::limits::{DATA_CHANNEL_BYTES_MAX, LINK_REQUESTS_MAX};
use freshet_protocol::{Decoded, Frame};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::shared::{Asked, OPEN_MAX, Shared, lock};

impl Shared {
    /// Takes a message of the peer, and waits where its reader is behind.
    pub(in crate::transport) async fn take(&self, message: BytesMut) -> Result<(), String> {
        let message = message.freeze();
        let mut rest = message.clone();
        if rest.is_empty() {
            return Err("a message without a frame".to_owned());
        }
        while !rest.is_empty() {
            let start = message.len() - rest.len();
            let decoded = Frame::decode(&mut rest).map_err(|error| error.to_string())?;
            let decoded = decoded.ok_or("a message that is no whole frame")?;
            let frame = message.slice(start..message.len() - rest.len());
            tokio::select! {
                () = self.gone.cancelled() => return Ok(()),
                sorted = self.sort(decoded, frame) => sorted?,
            }
        }
        Ok(())
    }

    async fn sort(&self, decoded: Decoded, frame: Bytes) -> Result<(), String> {
        // A reader that is gone has seen enough, or the link ends.
        match decoded {
            Decoded::Frame(Frame::Data(data)) => {
                if data.payload.len() > DATA_CHANNEL_BYTES_MAX {
                    return Err("a data frame that is too long for a channel".to_owned());
                }
                if let Some(answer) = self.answer_part(data.request, data.payload.len(), Some(data.total))? {
                    let _ = answer.send(frame).await;
                }
            }
            Decoded::Frame(Frame::Refuse { request, .. }) => {
                if let Some(answer) = self.answer_part(request, 0, None)? {
                    let _ = answer.send(frame).await;
                }
            }
            Decoded::Frame(Frame::Request(asked)) => self.asked(asked.request, frame)?,
            Decoded::Frame(Frame::Cancel { request }) => {
                // One that is answered already is none any more.
                if let Some(taken_back) = lock(&self.requests).theirs.get(&request) {
                    taken_back.cancel();
                }
            }
            Decoded::Frame(_) | Decoded::Skipped(_) => {
                let control = lock(&self.control_in).clone();
                if let Some(control) = control {
                    let _ = control.send(frame).await;
                }
            }
        }
        Ok(())
    }

    /// Where a part of an answer goes; nowhere when the request was taken back. The last part ends the request.
    fn answer_part(
        &self,
        request: u64,
        bytes: usize,
        total: Option<u32>,
    ) -> Result<Option<mpsc::Sender<Bytes>>, String> {
        let mut requests = lock(&self.requests);
        let Some(own) = requests.own.get_mut(&request) else {
            if requests.taken_back.contains(&request) || self.gone.is_cancelled() {
                return Ok(None);
            }
            return Err(format!("an answer to request {request}, which is not open"));
        };
        own.received += bytes as u64;
        let answer = own.answer.clone();
        if total.is_none_or(|total| own.received >= u64::from(total)) {
            requests.own.remove(&request);
        }
        Ok(Some(answer))
    }

    fn asked(&self, request: u64, frame: Bytes) -> Result<(), String> {
        let mut requests = lock(&self.requests);
        if requests.theirs.len() >= OPEN_MAX {
            return Err(format!("more than {LINK_REQUESTS_MAX} requests at once"));
        }
        // A number that is in use is for the link to judge.
        let is_registered = !requests.theirs.contains_key(&request);
        let taken_back = CancellationToken::new();
        if is_registered {
            requests.theirs.insert(request, taken_back.clone());
        }
        drop(requests);
        let asked = Asked { request, frame, taken_back, is_registered };
        self.asked_in.try_send(asked).map_err(|_| format!("more than {LINK_REQUESTS_MAX} requests at once"))
    }
}
