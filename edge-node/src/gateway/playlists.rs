//! The media playlists that have passed: which segment of which rendition an address is. They are not signed, so what they
//! say is where to look for an entry, and nothing more.

use std::collections::BTreeMap;
use std::ops::Range;

use freshet_listen::hls::playlist::{self, Media, Playlist};
use freshet_listen::hls::{Names, join};
use freshet_protocol::ContentName;

use super::route::MediaName;

/// Most playlists remembered, and most segments in all of them; those that were asked for last stay.
const PLAYLISTS_MAX: usize = 64;
const SEGMENTS_MAX: usize = 1 << 17;
/// A player may ask for a segment that its playlist has dropped a moment ago: so many are still known.
const DROPPED_MAX: u64 = 16;
/// Most resources that are remembered beside their parts.
const RESOURCES_MAX: usize = 1024;

/// A segment, as a playlist lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Path of the playlist.
    pub(super) rendition: String,
    pub(super) sequence: u64,
    /// Path of the resource, as entries have it.
    pub(super) path: String,
    /// What of the resource it is; none for all of it.
    pub(super) range: Option<Range<u64>>,
    pub(super) duration_us: u64,
}

#[derive(Debug, Default)]
pub(super) struct Playlists {
    /// By stream and path.
    known: BTreeMap<(ContentName, String), Known>,
    uses: u64,
    resources: BTreeMap<(ContentName, String), Resource>,
}

/// What the origin says of a resource of which only parts are segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// Its length.
    pub(super) bytes: u64,
    /// Its entity tag.
    pub(super) etag: String,
}

#[derive(Debug, Default)]
struct Known {
    used: u64,
    segments: Vec<Listed>,
    /// Places in `segments` by the resource's path.
    by_path: BTreeMap<String, Vec<usize>>,
}

impl Playlists {
    /// Reads a playlist that has passed.
    pub(super) fn take(&mut self, name: &MediaName, bytes: &[u8]) {
        let Ok(Playlist::Media(media)) = playlist::parse(bytes) else { return };
        let Some(rendition) = path_of(name) else { return };
        let key = (name.content.clone(), rendition);
        let before = self.known.remove(&key).map(|known| known.segments).unwrap_or_default();
        let first = media.segments.first().map_or(0, |segment| segment.sequence);
        let is_dropped =
            |listed: &Listed| listed.sequence < first && listed.sequence.saturating_add(DROPPED_MAX) >= first;
        let mut segments: Vec<Listed> = before.into_iter().filter(is_dropped).collect();
        segments.extend(listed(name, &key.1, media));
        let mut by_path = BTreeMap::<String, Vec<usize>>::new();
        for (at, listed) in segments.iter().enumerate() {
            by_path.entry(listed.path.clone()).or_default().push(at);
        }
        self.uses += 1;
        self.known.insert(key, Known { used: self.uses, segments, by_path });
        self.drop_excess();
    }

    /// Whether a playlist has passed.
    pub(super) fn knows(&self, name: &MediaName) -> bool {
        path_of(name).is_some_and(|path| self.known.contains_key(&(name.content.clone(), path)))
    }

    /// The segment that a request is about, for all of a resource or a part of it.
    pub(super) fn find(&mut self, name: &MediaName, part: Option<&Range<u64>>) -> Option<Listed> {
        let path = path_of(name)?;
        let is_it = |listed: &&Listed| match (&listed.range, part) {
            (None, _) => true,
            (Some(range), Some(part)) => range.start <= part.start && part.end <= range.end,
            (Some(_), None) => false,
        };
        let of = |content: &ContentName| *content == name.content;
        let mut playlists = self.known.iter_mut().filter(|((content, _), _)| of(content));
        playlists.find_map(|(_, known)| {
            let places = known.by_path.get(&path)?;
            let found = places.iter().map(|&at| &known.segments[at]).find(is_it)?.clone();
            self.uses += 1;
            known.used = self.uses;
            Some(found)
        })
    }

    /// What is known of a resource of which only parts are segments.
    pub(super) fn resource(&self, name: &MediaName) -> Option<Resource> {
        self.resources.get(&(name.content.clone(), path_of(name)?)).cloned()
    }

    /// The origin has answered for a part of a resource.
    pub(super) fn learn(&mut self, name: &MediaName, resource: Resource) {
        if self.resources.len() >= RESOURCES_MAX {
            self.resources.clear();
        }
        if let Some(path) = path_of(name) {
            self.resources.insert((name.content.clone(), path), resource);
        }
    }

    fn drop_excess(&mut self) {
        let count =
            |known: &BTreeMap<_, Known>| known.values().map(|known| known.segments.len()).sum::<usize>();
        while self.known.len() > PLAYLISTS_MAX || (self.known.len() > 1 && count(&self.known) > SEGMENTS_MAX)
        {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone());
            oldest.into_iter().for_each(|key| drop(self.known.remove(&key)));
        }
    }
}

fn listed(name: &MediaName, rendition: &str, media: Media) -> impl Iterator<Item = Listed> {
    let names = Names::of_store(&name.content);
    let playlist = names.url_of_request(&name.path);
    media.segments.into_iter().filter_map(move |segment| {
        Some(Listed {
            rendition: rendition.to_owned(),
            sequence: segment.sequence,
            path: names.path(&join(&playlist, &segment.resource.uri).ok()?).ok()?,
            range: segment.resource.range.map(|(start, bytes)| start..start + bytes),
            duration_us: segment.duration_us,
        })
    })
}

/// What entries call a resource.
fn path_of(name: &MediaName) -> Option<String> {
    let names = Names::of_store(&name.content);
    names.path(&names.url_of_request(&name.path)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> MediaName {
        MediaName { content: "site/show".parse().expect("a name"), path: path.to_owned() }
    }

    fn playlist(first: u64, count: u64) -> String {
        let segment = |at| format!("#EXTINF:2,\nseg%20{at}.ts?token=1\n");
        let segments: String = (first..first + count).map(segment).collect();
        format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{first}\n{segments}")
    }

    #[test]
    fn segments_are_found_by_their_address() {
        let mut playlists = Playlists::default();
        playlists.take(&name("720/list.m3u8"), playlist(7, 3).as_bytes());
        assert!(playlists.knows(&name("720/list.m3u8")) && !playlists.knows(&name("list.m3u8")));
        let found = playlists.find(&name("720/seg%208.ts"), None).expect("listed");
        let (rendition, path) = ("720/list.m3u8".to_owned(), "720/seg%208.ts".to_owned());
        assert_eq!(found, Listed { rendition, sequence: 8, path, range: None, duration_us: 2_000_000 });
        // The same, as another client writes it.
        assert!(playlists.find(&name("720/seg 8.ts"), Some(&(5..6))).is_some());
        for other in ["seg%208.ts", "720/seg%2010.ts", "720/list.m3u8"] {
            assert_eq!(playlists.find(&name(other), None), None, "{other}");
        }
        let other = MediaName { content: "site/other".parse().expect("a name"), ..name("720/seg%208.ts") };
        assert_eq!(playlists.find(&other, None), None);
    }

    #[test]
    fn a_live_playlist_moves_on_and_what_it_dropped_is_known_for_a_while() {
        let mut playlists = Playlists::default();
        playlists.take(&name("live.m3u8"), playlist(0, 10).as_bytes());
        playlists.take(&name("live.m3u8"), playlist(20, 5).as_bytes());
        let mut is_known = |at: u64| playlists.find(&name(&format!("seg%20{at}.ts")), None).is_some();
        for at in 0..25 {
            assert_eq!(is_known(at), (4..10).contains(&at) || at >= 20, "{at}");
        }
    }

    #[test]
    fn parts_of_a_resource_are_segments() {
        let text = "#EXTM3U\n#EXTINF:2,\n#EXT-X-BYTERANGE:100@50\nall.mp4\n#EXTINF:2,\n#EXT-X-BYTERANGE:70\nall.mp4\n";
        let mut playlists = Playlists::default();
        playlists.take(&name("list.m3u8"), text.as_bytes());
        let mut check = |part: Option<Range<u64>>, expected: Option<u64>| {
            let found = playlists.find(&name("all.mp4"), part.as_ref());
            assert_eq!(found.map(|listed| listed.sequence), expected, "{part:?}");
        };
        check(Some(50..150), Some(0));
        check(Some(60..70), Some(0));
        check(Some(150..220), Some(1));
        check(Some(149..151), None);
        check(Some(0..50), None);
        check(None, None);
        assert_eq!(playlists.resource(&name("all.mp4")), None);
        let resource = Resource { bytes: 220, etag: "\"a\"".to_owned() };
        (0..RESOURCES_MAX + 5).for_each(|at| playlists.learn(&name(&at.to_string()), resource.clone()));
        playlists.learn(&name("all.mp4"), resource.clone());
        assert_eq!(playlists.resource(&name("all.mp4")), Some(resource));
        assert!(playlists.resources.len() <= RESOURCES_MAX);
    }

    #[test]
    fn playlists_that_nobody_asks_for_are_forgotten() {
        let mut playlists = Playlists::default();
        for at in 0..PLAYLISTS_MAX {
            playlists.take(&name(&format!("{at}/list.m3u8")), playlist(0, 1).as_bytes());
        }
        assert!(playlists.find(&name("0/seg%200.ts"), None).is_some());
        playlists.take(&name("new.m3u8"), playlist(0, 1).as_bytes());
        assert!(playlists.find(&name("0/seg%200.ts"), None).is_some());
        assert!(playlists.find(&name("1/seg%200.ts"), None).is_none());
        // One that is very long stays alone.
        let long = format!("#EXTM3U\n{}", "#EXTINF:1,\na.ts\n".repeat(playlist::SEGMENTS_MAX));
        for path in ["a", "b", "c"] {
            playlists.take(&name(path), long.as_bytes());
        }
        assert_eq!(playlists.known.len(), SEGMENTS_MAX / playlist::SEGMENTS_MAX);
        // What is no list of segments says nothing.
        playlists.take(&name("bad.m3u8"), b"nonsense");
        playlists.take(&name("master.m3u8"), b"#EXTM3U\n#EXT-X-STREAM-INF:\na.m3u8\n");
        assert!(!playlists.knows(&name("bad.m3u8")) && !playlists.knows(&name("master.m3u8")));
    }
}
