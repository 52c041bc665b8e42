//! Plays as the SDK does: reads playlists, and takes no byte that an entry does not vouch for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use freshet_protocol::limits::PIECE_BYTES;
use freshet_protocol::{
    ChunkId, KeyDocument, PublicKey, Role, SegmentEntry, SegmentKind, decode_entry_page, origin_path,
};
use reqwest::{Client, StatusCode};
use url::Url;

use super::content;
use crate::client::http;

/// What was played of a rendition.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// Path of the rendition.
    pub(crate) rendition: String,
    pub(crate) epoch: u64,
    pub(crate) sequences: Vec<u64>,
    pub(crate) bytes: u64,
    pub(crate) inits: usize,
    pub(crate) duration_us: u64,
}

/// A segment as a playlist lists it, read with nothing but string functions.
#[derive(Debug)]
struct Listed {
    sequence: u64,
    url: Url,
    range: Option<(u64, u64)>,
    init: Option<(Url, Option<(u64, u64)>)>,
}

pub(crate) struct Player {
    http: Client,
    /// The origin, which has the entries.
    base: Url,
    /// What the stream's media lies below.
    media: Url,
    keys: Vec<PublicKey>,
}

impl Player {
    pub(crate) async fn new(origin: &str, tenant: PublicKey) -> Self {
        let (http, base) = (http(), Url::parse(origin).expect("an address"));
        let keys = http.get(base.join(&origin_path::keys(&content())).expect("an address")).send().await;
        let keys = keys.expect("answered").bytes().await.expect("body");
        let media = base.join(&format!("{}/media/", content())).expect("an address");
        let document = KeyDocument::open(&keys, tenant).expect("the tenant's document");
        Self { http, base, media, keys: document.keys_for(Role::Stream, 0) }
    }

    /// The same with media that lies elsewhere.
    pub(crate) fn with_media(self, media: &str) -> Self {
        Self { media: Url::parse(media).expect("an address"), ..self }
    }

    /// Plays all that the playlist at `path` below `media` lists, rendition by rendition.
    pub(crate) async fn play(&self, path: &str) -> Vec<Played> {
        let first = self.media.join(path).expect("an address");
        let folder = first.join(".").expect("a folder");
        let text = self.text(&first).await;
        if !text.contains("#EXT-X-STREAM-INF") {
            return vec![self.rendition(&folder, &first, &text).await];
        }
        let mut renditions: Vec<Url> = Vec::new();
        for line in text.lines().filter(|line| !line.contains("I-FRAME")) {
            let uri = attribute(line, "URI").filter(|_| line.starts_with("#EXT-X-MEDIA:"));
            let uri = uri.or_else(|| (!line.is_empty() && !line.starts_with('#')).then(|| line.to_owned()));
            renditions.extend(uri.map(|uri| first.join(&uri).expect("an address")));
        }
        renditions.sort();
        renditions.dedup();
        let mut played = Vec::new();
        for url in renditions {
            let text = self.text(&url).await;
            played.push(self.rendition(&folder, &url, &text).await);
        }
        played
    }

    async fn rendition(&self, folder: &Url, url: &Url, text: &str) -> Played {
        let name = |url: &Url| url.path().strip_prefix(folder.path()).expect("below").to_owned();
        let mut played = Played { rendition: name(url), ..Played::default() };
        let mut pages: BTreeMap<u64, Vec<SegmentEntry>> = BTreeMap::new();
        for listed in listed(url, text) {
            let page = listed.sequence / 64;
            let entries = match pages.entry(page) {
                Entry::Occupied(entries) => entries.into_mut(),
                Entry::Vacant(empty) => {
                    let found = self.page(&played.rendition, listed.sequence).await;
                    empty.insert(found.unwrap_or_else(|status| panic!("page {page}: {status}")))
                }
            };
            let find = |kind, sequence| {
                let is_it =
                    |entry: &&SegmentEntry| (entry.place.kind, entry.place.sequence) == (kind, sequence);
                entries.iter().find(is_it).unwrap_or_else(|| panic!("no entry of {kind:?} {sequence}"))
            };
            let entry = find(SegmentKind::Media, listed.sequence);
            self.check(entry, &name(&listed.url), &listed.url, listed.range).await;
            assert_eq!(entry.init.is_some(), listed.init.is_some());
            if let (Some(number), Some((url, range))) = (entry.init, &listed.init) {
                let init = find(SegmentKind::Init, number);
                self.check(init, &name(url), url, *range).await;
                played.inits = played.inits.max(number as usize + 1);
            }
            played.epoch = entry.place.epoch;
            played.sequences.push(listed.sequence);
            played.bytes += entry.bytes;
            played.duration_us += entry.duration_us;
        }
        played
    }

    /// The entries of the page in which a sequence stands.
    pub(crate) async fn page(&self, rendition: &str, sequence: u64) -> Result<Vec<SegmentEntry>, StatusCode> {
        let path = origin_path::entries(&content(), rendition, sequence);
        let answer =
            self.http.get(self.base.join(&path).expect("an address")).send().await.expect("answered");
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        let page = answer.bytes().await.expect("body");
        let open = |sealed: &[u8]| SegmentEntry::open(sealed, &content(), &self.keys).expect("a good entry");
        Ok(decode_entry_page(&page).expect("a page").into_iter().map(open).collect())
    }

    /// Fetches what an entry is about and checks each piece.
    async fn check(&self, entry: &SegmentEntry, path: &str, url: &Url, range: Option<(u64, u64)>) {
        assert_eq!(entry.path, path);
        let whole = self.get(url).await;
        let (start, bytes) = range.unwrap_or((0, whole.len() as u64));
        assert_eq!((entry.offset, entry.bytes), (start, bytes), "{path}");
        let segment = whole.slice(start as usize..(start + bytes) as usize);
        let pieces: Vec<ChunkId> = segment.chunks(PIECE_BYTES as usize).map(ChunkId::of).collect();
        assert_eq!(entry.pieces, pieces, "{path}");
    }

    async fn get(&self, url: &Url) -> Bytes {
        let answer = self.http.get(url.clone()).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        answer.bytes().await.expect("body")
    }

    pub(crate) async fn text(&self, url: &Url) -> String {
        String::from_utf8(self.get(url).await.to_vec()).expect("text")
    }
}

fn listed(playlist: &Url, text: &str) -> Vec<Listed> {
    let (mut sequence, mut range, mut init, mut found) = (0, None, None, Vec::<Listed>::new());
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            sequence = value.parse().expect("a number");
        } else if let Some(value) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            range = Some(value.to_owned());
        } else if line.starts_with("#EXT-X-MAP:") {
            let url = playlist.join(&attribute(line, "URI").expect("an address")).expect("an address");
            init = Some((url, attribute(line, "BYTERANGE").map(|range| byte_range(&range, 0))));
        } else if !line.is_empty() && !line.starts_with('#') {
            let url = playlist.join(line).expect("an address");
            let before = found.last().and_then(|last| last.range).map_or(0, |(start, bytes)| start + bytes);
            let range = range.take().map(|range| byte_range(&range, before));
            found.push(Listed { sequence, url, range, init: init.clone() });
            sequence += 1;
        }
    }
    found
}

fn byte_range(text: &str, before: u64) -> (u64, u64) {
    let (bytes, start) = text.split_once('@').map_or((text, None), |(bytes, start)| (bytes, Some(start)));
    (start.map_or(before, |start| start.parse().expect("a number")), bytes.parse().expect("a number"))
}

fn attribute(line: &str, name: &str) -> Option<String> {
    let (_, after) = line.split_once(&format!("{name}=\""))?;
    after.split_once('"').map(|(value, _)| value.to_owned())
}
