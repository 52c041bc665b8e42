//! Publishes a folder of playlists and segments (HLS). Files lie unchanged under `media`; entries come after the files
//! that they are about, playlists last of all, so a publish that is killed shows nothing, and the next one goes on.

mod survey;
mod upload;

use std::collections::BTreeSet;
use std::path::PathBuf;

use freshet_listen::hls::{Names, file_of};
use freshet_protocol::limits::PAGE_SEQUENCES;
use freshet_protocol::{ContentName, RelPath, origin_path};
use serde::Serialize;

use super::book::Book;
use super::error::StreamError;
use super::folder::Folder;
use super::rendition::Listed;
use super::source::look_along;
use crate::keys::StreamKey;
use crate::store::{ContentLock, Store};
use survey::{Rendition, Survey};
use upload::Uploader;

/// What to publish, where to, and who signs.
#[derive(Debug)]
pub struct HlsOptions {
    /// Where the stream goes.
    pub store: Store,
    /// Who signs its entries.
    pub key: StreamKey,
    /// The stream's name.
    pub content: ContentName,
    /// The folder with playlists and segments.
    pub folder: PathBuf,
    /// The playlist that players open, in the folder itself.
    pub first: RelPath,
}

/// A published stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HlsPublished {
    /// Where players open it, below the origin's base URL.
    pub playlist: String,
    /// Renditions with entries.
    pub renditions: usize,
    /// Segments of all renditions.
    pub segments: usize,
    /// Segments that had no entry yet.
    pub new_segments: usize,
    /// Files of the stream, playlists among them.
    pub files: usize,
    /// Files that were stored; the others were there.
    pub stored_files: usize,
    /// Bytes of those.
    pub stored_bytes: u64,
}

/// Publishes the stream.
///
/// # Errors
/// [`StreamError`] says what stood in the way; players then see what they saw before.
pub async fn publish_hls(options: HlsOptions) -> Result<HlsPublished, StreamError> {
    let HlsOptions { store, key, content, folder, first } = options;
    if first.parents().next().is_some() {
        return Err(StreamError::FirstInside(first));
    }
    let names = Names::of_store(&content);
    let survey = Survey::take(&folder, &names, &first).await?;
    let _lock = ContentLock::take_stream(&store, &content)?;
    store.delete_abandoned_media(&content)?;
    let source = Folder::new(folder, names);
    let book = Book::open(store.clone(), content.clone(), key).await?;
    let mut publish =
        Publish { book, uploader: Uploader::new(store, content.clone(), &source), source: &source };
    let mut published = HlsPublished {
        playlist: origin_path::media(&content, &first),
        renditions: survey.renditions.len(),
        ..HlsPublished::default()
    };
    for rendition in &survey.renditions {
        publish.rendition(rendition, &mut published).await?;
    }
    for file in &survey.files {
        publish.uploader.put(file).await?;
    }
    for playlist in &survey.playlists {
        publish.uploader.put_bytes(&playlist.path, playlist.bytes.clone()).await?;
    }
    publish.uploader.tell(&mut published);
    Ok(published)
}

/// A publish on its way.
struct Publish<'a> {
    book: Book,
    uploader: Uploader<'a>,
    source: &'a Folder,
}

impl Publish<'_> {
    /// Stores the segments of a rendition and their entries, page by page.
    async fn rendition(
        &mut self,
        rendition: &Rendition,
        published: &mut HlsPublished,
    ) -> Result<(), StreamError> {
        let fail = |(path, problem)| {
            let playlist = rendition.path.to_string();
            StreamError::Segment { playlist, path, problem }
        };
        let names = self.source.names();
        let path = names.path(&rendition.url).map_err(|error| fail((String::new(), error.into())))?;
        let listing = look_along(&rendition.media, &rendition.url, names, None, self.source).await;
        if let Some(problem) = listing.problems.into_iter().next() {
            return Err(fail(problem));
        }
        let listing = listing.listed;
        self.book.turn_whole(&path, &listing)?;
        let is_signed = |listed| self.book.rendition(&path).is_some_and(|known| known.agrees(listed));
        let unsigned: BTreeSet<String> =
            listing.iter().filter(|listed| !is_signed(listed)).flat_map(paths).collect();
        for page in listing.chunk_by(|a, b| a.sequence / PAGE_SEQUENCES == b.sequence / PAGE_SEQUENCES) {
            for path in page.iter().flat_map(paths) {
                let file = file_of(&path).map_err(|error| fail((path.clone(), error.into())))?;
                // An entry is written after its segment, so what has one was stored by a publish before.
                match unsigned.contains(&path) {
                    true => self.uploader.put(&file).await?,
                    false => self.uploader.put_unless_there(&file).await?,
                }
            }
            let entered = self.book.enter(&path, page).await?;
            if let Some(problem) = entered.problems.into_iter().next() {
                return Err(fail(problem));
            }
            published.new_segments += entered.segments;
        }
        published.segments += listing.len();
        self.book.clean(&path).await
    }
}

/// What a segment is played from.
fn paths(listed: &Listed) -> impl Iterator<Item = String> {
    let init = listed.init.as_ref().map(|init| init.path.clone());
    init.into_iter().chain([listed.path.clone()])
}
