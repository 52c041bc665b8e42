//! A large object on its way, part by part.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use reqwest::Method;

use super::super::UploadName;
use super::requests::{Asked, Requests};
use super::unexpected;
use crate::http_client;

#[derive(Debug)]
pub(super) struct Parts {
    requests: Arc<Requests>,
    location: Path,
    /// Its address, without a `/` at its end.
    place: String,
    count: u64,
}

pub(super) async fn start(requests: Arc<Requests>, location: Path) -> Result<Parts> {
    let mut url = requests.place("uploads");
    url.query_pairs_mut().append_pair("path", location.as_ref());
    let response = requests.send(&Asked::new(Method::POST, url), location.as_ref()).await?;
    let named = response
        .json::<UploadName>()
        .await
        .map_err(|error| Error::Generic { store: "remote", source: http_client::cause(&error).into() })?;
    if named.upload.is_empty() || !named.upload.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(unexpected("names no upload"));
    }
    Ok(Parts { place: format!("uploads/{}", named.upload), requests, location, count: 0 })
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (requests, location) = (self.requests.clone(), self.location.clone());
        let mut asked = Asked::new(Method::PUT, requests.place(&format!("{}/{}", self.place, self.count)));
        self.count += 1;
        asked.body = Bytes::from(data);
        async move { Ok(requests.send(&asked, location.as_ref()).await.map(drop)?) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let url = self.requests.place(&format!("{}?parts={}", self.place, self.count));
        self.requests.send(&Asked::new(Method::POST, url), self.location.as_ref()).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        let asked = Asked::new(Method::DELETE, self.requests.place(&self.place));
        Ok(self.requests.send(&asked, self.location.as_ref()).await.map(drop)?)
    }
}
