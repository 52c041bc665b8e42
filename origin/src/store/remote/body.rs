//! The body of an answer. Where its connection breaks, the rest is asked for, of the same state of the object.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::Result;
use reqwest::{Response, header};

use super::requests::{Asked, Requests};
use super::{BREAKS_MAX, unexpected};

struct Reading {
    requests: Arc<Requests>,
    asked: Asked,
    object: String,
    response: Response,
    rest: Range<u64>,
    tag: Option<String>,
    breaks: u32,
}

/// The bytes `rest` of the object that `asked` names, beginning with those of `response`.
pub(super) fn resuming(
    requests: Arc<Requests>,
    (asked, object): (Asked, String),
    response: Response,
    rest: Range<u64>,
    tag: Option<String>,
) -> BoxStream<'static, Result<Bytes>> {
    let reading = Reading { requests, asked, object, response, rest, tag, breaks: 0 };
    stream::try_unfold(reading, |mut reading| async move {
        let bytes = reading.next().await?;
        Ok(bytes.map(|bytes| (bytes, reading)))
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.rest.is_empty() {
            match self.response.chunk().await {
                Ok(Some(bytes)) if !bytes.is_empty() => {
                    if bytes.len() as u64 > self.rest.end - self.rest.start {
                        return Err(unexpected("sends more than was asked for"));
                    }
                    (self.rest.start, self.breaks) = (self.rest.start + bytes.len() as u64, 0);
                    return Ok(Some(bytes));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => self.go_on().await?,
            }
        }
        Ok(None)
    }

    async fn go_on(&mut self) -> Result<()> {
        self.breaks += 1;
        if self.breaks > BREAKS_MAX {
            return Err(unexpected("breaks off again and again"));
        }
        self.asked.set(header::RANGE, &format!("bytes={}-{}", self.rest.start, self.rest.end - 1));
        if let Some(tag) = &self.tag {
            self.asked.set(header::IF_MATCH, tag);
        }
        let response = self.requests.send(&self.asked, &self.object).await?;
        if super::extent(&response).is_none_or(|(range, _)| range != self.rest) {
            return Err(unexpected("sends another part than was asked for"));
        }
        self.response = response;
        Ok(())
    }
}
