//! A store on another machine, behind `freshet-origin receive`; the requests are listed there.

mod body;
mod listing;
mod parts;
mod requests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use reqwest::{Method, Response, header};

use requests::{Asked, Requests};

/// How often in a row an answer may break off without anything new.
const BREAKS_MAX: u32 = 5;
/// Deletes on their way at once.
const DELETES_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Remote {
    requests: Arc<Requests>,
}

impl Remote {
    /// # Errors
    /// Why the address or the token cannot be used.
    pub(super) fn open(location: &str, token: &str) -> std::result::Result<Self, String> {
        Ok(Self { requests: Arc::new(Requests::new(location, token)?) })
    }

    /// Whether the object is what was to be written: the answer to an attempt before was lost.
    async fn holds(&self, location: &Path, payload: &PutPayload) -> bool {
        let wanted = Bytes::from(payload.clone());
        let found = async { self.get(location).await?.bytes().await };
        found.await.is_ok_and(|found| found == wanted)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.requests.fmt(out)
    }
}

#[async_trait]
impl ObjectStore for Remote {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut asked = Asked::new(Method::PUT, self.requests.object(location));
        match options.mode {
            PutMode::Overwrite => {}
            PutMode::Create => asked.set(header::IF_NONE_MATCH, "*"),
            PutMode::Update(seen) => asked.set(header::IF_MATCH, seen.e_tag.as_deref().unwrap_or("")),
        }
        let is_create = asked.has(header::IF_NONE_MATCH);
        asked.body = Bytes::from(payload.clone());
        let answered = self.requests.send(&asked, location.as_ref()).await;
        match answered {
            Err(failed)
                if failed.is_precondition()
                    && failed.attempts > 1
                    && self.holds(location, &payload).await => {}
            Err(failed) if failed.is_precondition() && is_create => {
                let path = location.to_string();
                return Err(Error::AlreadyExists { path, source: "it is there".into() });
            }
            answered => drop(answered?),
        }
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(parts::start(self.requests.clone(), location.clone()).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let method = if options.head { Method::HEAD } else { Method::GET };
        let mut asked = Asked::new(method, self.requests.object(location));
        if let Some(range) = options.range.as_ref().filter(|_| !options.head) {
            asked.set(header::RANGE, &range_header(range));
        }
        if let Some(tag) = &options.if_match {
            asked.set(header::IF_MATCH, tag);
        }
        let response = self.requests.send(&asked, location.as_ref()).await?;
        let (range, size) = extent(&response).ok_or_else(|| unexpected("says no length"))?;
        let e_tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let payload = match options.head {
            true => stream::empty().boxed(),
            false => {
                let asked = (asked, location.to_string());
                body::resuming(self.requests.clone(), asked, response, range.clone(), e_tag.clone())
            }
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta: ObjectMeta {
                location: location.clone(),
                last_modified: UNIX_EPOCH.into(),
                size,
                e_tag,
                version: None,
            },
            range,
            attributes: Attributes::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let requests = self.requests.clone();
        let delete = move |location: Result<Path>| {
            let requests = requests.clone();
            async move {
                let location = location?;
                let asked = Asked::new(Method::DELETE, requests.object(&location));
                requests.send(&asked, location.as_ref()).await?;
                Ok(location)
            }
        };
        locations.map(delete).buffered(DELETES_MAX).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        listing::list(self.requests.clone(), prefix.map(Path::to_string).unwrap_or_default())
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Err(unsupported("list folders"))
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(unsupported("copy"))
    }
}

fn range_header(range: &GetRange) -> String {
    match range {
        GetRange::Bounded(range) => format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
        GetRange::Offset(start) => format!("bytes={start}-"),
        GetRange::Suffix(bytes) => format!("bytes=-{bytes}"),
    }
}

/// Which bytes an answer brings, and how long the object is.
fn extent(response: &Response) -> Option<(Range<u64>, u64)> {
    let field = |name| response.headers().get(name)?.to_str().ok();
    let length: u64 = field(header::CONTENT_LENGTH)?.parse().ok()?;
    let Some(part) = field(header::CONTENT_RANGE) else { return Some((0..length, length)) };
    let (range, size) = part.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (start, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some((start..last.checked_add(1)?, size.parse().ok()?))
}

fn unexpected(what: &str) -> Error {
    let source = format!("what answers {what}; is it `freshet-origin receive`?").into();
    Error::Generic { store: "remote", source }
}

fn unsupported(what: &str) -> Error {
    Error::NotSupported { source: format!("a store behind `receive` does not {what}").into() }
}
