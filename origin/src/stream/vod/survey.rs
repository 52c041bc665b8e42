//! Reads the playlists of a folder, from the first one on, before anything is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use freshet_listen::hls::playlist::{self, Media, PLAYLIST_BYTES_MAX, Playlist};
use freshet_listen::hls::{self, NameError, Names};
use freshet_protocol::RelPath;
use tokio::io::AsyncReadExt;
use url::Url;

use crate::stream::book::RENDITIONS_MAX;
use crate::stream::error::StreamError;

/// What a folder holds of a stream.
pub(super) struct Survey {
    /// Those whose segments get entries.
    pub(super) renditions: Vec<Rendition>,
    /// Files that belong to the stream and get no entries: keys, and what key frames lie in.
    pub(super) files: BTreeSet<RelPath>,
    /// All playlists, each before those that list it.
    pub(super) playlists: Vec<Found>,
}

/// A rendition's playlist.
pub(super) struct Rendition {
    pub(super) path: RelPath,
    pub(super) url: Url,
    pub(super) media: Media,
}

/// A playlist as it is in the folder.
pub(super) struct Found {
    pub(super) path: RelPath,
    pub(super) bytes: Bytes,
}

/// Reads as it goes.
struct Reader<'a> {
    folder: &'a Path,
    names: &'a Names,
    survey: Survey,
}

impl Survey {
    pub(super) async fn take(folder: &Path, names: &Names, first: &RelPath) -> Result<Self, StreamError> {
        let survey = Self { renditions: Vec::new(), files: BTreeSet::new(), playlists: Vec::new() };
        let mut reader = Reader { folder, names, survey };
        let url = names.url(first);
        let (found, playlist) = reader.read(first).await?;
        match playlist {
            Playlist::Media(media) => reader.rendition(first.clone(), url, media).await?,
            Playlist::Master(master) => {
                reader.links(first, &url, &master.links).await?;
                for (path, url) in reader.listed(first, &url, &master.renditions)? {
                    let (found, playlist) = reader.read(&path).await?;
                    let Playlist::Media(media) = playlist else {
                        return Err(StreamError::Nested(path.to_string()));
                    };
                    reader.rendition(path, url, media).await?;
                    reader.survey.playlists.push(found);
                }
                for (path, url) in reader.listed(first, &url, &master.key_frames)? {
                    let (found, playlist) = reader.read(&path).await?;
                    if let Playlist::Media(media) = playlist {
                        let uris: Vec<_> = media.segments.into_iter().map(|s| s.resource.uri).collect();
                        let inits: Vec<_> = media.inits.into_iter().map(|init| init.uri).collect();
                        reader.links(&path, &url, &uris).await?;
                        reader.links(&path, &url, &inits).await?;
                    }
                    reader.survey.playlists.push(found);
                }
            }
        }
        let mut survey = reader.survey;
        survey.playlists.push(found);
        let playlists: BTreeSet<&RelPath> = survey.playlists.iter().map(|playlist| &playlist.path).collect();
        // A playlist must not be seen before its entries are there.
        survey.files.retain(|file| !playlists.contains(file));
        Ok(survey)
    }
}

impl Reader<'_> {
    /// The playlists that a master lists, each once.
    fn listed(
        &self,
        path: &RelPath,
        url: &Url,
        uris: &[String],
    ) -> Result<BTreeMap<RelPath, Url>, StreamError> {
        let fail = |error: NameError| StreamError::Name { path: path.to_string(), error };
        let mut listed = BTreeMap::new();
        for uri in uris {
            let url = hls::join(url, uri).map_err(fail)?;
            listed.entry(self.names.file(&url).map_err(fail)?).or_insert(url);
        }
        if listed.len() > RENDITIONS_MAX { Err(StreamError::TooManyRenditions) } else { Ok(listed) }
    }

    async fn rendition(&mut self, path: RelPath, url: Url, media: Media) -> Result<(), StreamError> {
        self.links(&path, &url, &media.links).await?;
        self.survey.renditions.push(Rendition { path, url, media });
        Ok(())
    }

    /// Takes up what else a playlist names, where it is a file of this folder: keys may well lie elsewhere, and the next
    /// part of a live stream is not there yet.
    async fn links(&mut self, path: &RelPath, url: &Url, uris: &[String]) -> Result<(), StreamError> {
        for uri in uris {
            let file = hls::join(url, uri).and_then(|url| self.names.file(&url));
            let Ok(file) = file else {
                tracing::info!(playlist = %path, "a key or part lies elsewhere and is left there");
                continue;
            };
            let metadata = tokio::fs::metadata(self.folder.join(file.as_str())).await;
            if metadata.is_ok_and(|metadata| metadata.is_file()) {
                self.survey.files.insert(file);
            }
        }
        Ok(())
    }

    async fn read(&self, path: &RelPath) -> Result<(Found, Playlist), StreamError> {
        let place = self.folder.join(path.as_str());
        let fail = |source| StreamError::Io { path: place.clone(), source };
        let file = tokio::fs::File::open(&place).await.map_err(fail)?;
        let mut bytes = Vec::new();
        file.take(PLAYLIST_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await.map_err(fail)?;
        let parsed = playlist::parse(&bytes);
        let parsed = parsed.map_err(|error| StreamError::Playlist { path: path.to_string(), error })?;
        Ok((Found { path: path.clone(), bytes: bytes.into() }, parsed))
    }
}
