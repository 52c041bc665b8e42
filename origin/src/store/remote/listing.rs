//! Listings, a line for each object.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::BytesMut;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, Result};
use reqwest::Method;

use super::super::{LIST_OBJECTS_MAX, Object};
use super::requests::{Asked, Requests};
use super::{BREAKS_MAX, unexpected};

/// Longest line: a path, escaped.
const LINE_BYTES_MAX: usize = 16 << 10;

pub(super) fn list(requests: Arc<Requests>, prefix: String) -> BoxStream<'static, Result<ObjectMeta>> {
    let listed = async move { read(&requests, &prefix).await };
    stream::once(listed).map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
}

/// One that breaks off is asked for anew: it has no order in which it could go on.
async fn read(requests: &Requests, prefix: &str) -> Result<Vec<ObjectMeta>> {
    let mut url = requests.place("objects");
    url.query_pairs_mut().append_pair("prefix", prefix);
    let asked = Asked::new(Method::GET, url);
    for _ in 0..=BREAKS_MAX {
        let mut response = requests.send(&asked, prefix).await?;
        let (mut found, mut rest) = (Vec::new(), BytesMut::new());
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => rest.extend_from_slice(&bytes),
                Ok(None) if rest.is_empty() => return Ok(found),
                Ok(None) => return Err(unexpected("ends a listing within a line")),
                Err(_) => break,
            }
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                found.push(meta(&rest.split_to(end + 1))?);
            }
            if rest.len() > LINE_BYTES_MAX || found.len() > LIST_OBJECTS_MAX + 1 {
                return Err(unexpected("lists too much"));
            }
        }
    }
    Err(unexpected("breaks off again and again"))
}

fn meta(line: &[u8]) -> Result<ObjectMeta> {
    let object: Object = serde_json::from_slice(line).map_err(|_| unexpected("lists no objects"))?;
    let modified = UNIX_EPOCH.checked_add(Duration::from_secs(object.modified));
    Ok(ObjectMeta {
        location: Path::parse(object.path)?,
        last_modified: modified.filter(|_| object.modified < 1 << 37).unwrap_or(UNIX_EPOCH).into(),
        size: object.bytes,
        e_tag: None,
        version: None,
    })
}
