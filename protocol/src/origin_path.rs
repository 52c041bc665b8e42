//! The paths of an origin's HTTP interface, below its base URL (PROTOCOL.md 5). All but pointers, keys and indexes are
//! immutable, and pages of entries once they are full.

use crate::id::{ContentName, Hash, Name, PageId, PatchId, RootId};
use crate::limits::PAGE_SEQUENCES;
use crate::pack_index::PackId;
use crate::path::RelPath;

/// Path of a channel pointer.
pub fn pointer(content: &ContentName, channel: &Name) -> String {
    format!("{content}/channels/{channel}")
}

/// Path of a tenant's key document.
pub fn keys(content: &ContentName) -> String {
    format!("{content}/keys")
}

/// Path of a root's envelope.
pub fn root(content: &ContentName, root: RootId) -> String {
    format!("{content}/roots/{root}")
}

/// Path of a patch's envelope.
pub fn patch(content: &ContentName, patch: PatchId) -> String {
    format!("{content}/patches/{patch}")
}

/// Path of a page, zstd-compressed.
pub fn page(content: &ContentName, page: PageId) -> String {
    format!("{content}/pages/{page}")
}

/// Path of a page, gzip-compressed, for browsers.
pub fn page_gzip(content: &ContentName, page: PageId) -> String {
    format!("{content}/pages/{page}.gz")
}

/// Path of the document that names the root of a version.
pub fn version(content: &ContentName, version: &Name) -> String {
    format!("{content}/versions/{version}")
}

/// Path of a file of a stream, not yet percent-encoded.
pub fn media(stream: &ContentName, path: &RelPath) -> String {
    format!("{stream}/media/{path}")
}

/// Path of the page of entries in which a segment of a rendition stands.
pub fn entries(stream: &ContentName, rendition: &str, sequence: u64) -> String {
    format!("{stream}/entries/{}/{}", Hash::of(rendition.as_bytes()), sequence / PAGE_SEQUENCES)
}

/// Path of a page's pack index.
pub fn index(content: &ContentName, page: PageId) -> String {
    format!("{content}/index/{page}")
}

/// Path of a pack.
pub fn pack(content: &ContentName, pack: PackId) -> String {
    format!("{content}/packs/{pack}")
}

/// Path of a file of a release in the plain file view, not yet percent-encoded.
pub fn file(content: &ContentName, version: &Name, path: &RelPath) -> String {
    format!("{content}/files/{version}/{path}")
}

/// Splits the path of a file in the plain file view, already percent-decoded, into the content and what follows: version and
/// path. Files of a stream may have any name, so it is one only where the name of a content precedes it.
pub fn split_file(path: &str) -> Option<(ContentName, &str)> {
    let (content, rest) = path.split_once("/files/")?;
    Some((content.parse().ok()?, rest))
}

/// Splits the path of a file of a stream, percent-encoded or not, into the stream and the path below its folder.
pub fn split_media(path: &str) -> Option<(ContentName, &str)> {
    let (stream, rest) = path.split_once("/media/")?;
    Some((stream.parse().ok()?, rest)).filter(|(_, rest)| !rest.is_empty())
}

/// Strong entity tag of a file of a release in the plain file view, quoted: the release and the path within it fix the bytes.
/// Whoever serves the file calls it so, and a download that one began another one can end.
pub fn file_tag(root: RootId, path: &RelPath) -> String {
    let name = Hash::of(format!("{root}\n{path}").as_bytes());
    format!("\"{}\"", &name.to_string()[..32])
}

/// What the path of a URL given by a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A channel pointer.
    Channel(ContentName, Name),
    /// A root.
    Root(ContentName, RootId),
}

/// Splits the path of a pointer's or root's URL into the base path (before the content name) and what it asks for.
/// A content name has at most four segments; the shortest base that leaves a good name is taken.
pub fn parse(path: &str) -> Option<(&str, Target)> {
    let (head, last) = path.trim_end_matches('/').rsplit_once('/')?;
    let (head, collection) = head.rsplit_once('/')?;
    let starts = std::iter::once(0).chain(head.match_indices('/').map(|(at, _)| at + 1));
    let (base_len, content) =
        starts.filter_map(|at| Some((at, head[at..].parse::<ContentName>().ok()?))).next()?;
    let target = match collection {
        "channels" => Target::Channel(content, last.parse().ok()?),
        "roots" => Target::Root(content, last.parse().ok()?),
        _ => return None,
    };
    Some((&path[..base_len], target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        let content: ContentName = "game/demo".parse().expect("name");
        let live: Name = "live".parse().expect("name");
        let channel = Target::Channel(content.clone(), live.clone());
        let check = |path: &str, expected| assert_eq!(parse(path), expected, "{path}");
        check(&format!("/{}", pointer(&content, &live)), Some(("/", channel.clone())));
        check(&format!("/CDN/{}/", pointer(&content, &live)), Some(("/CDN/", channel)));
        let id = RootId::of(b"root");
        check(&format!("/{}", root(&content, id)), Some(("/", Target::Root(content, id))));
        check("/game/demo/files/1/channels/live", None);
        check("/game/demo/channels/", None);
        check("/game/channels/live", None);
        check("/game/demo/roots/12", None);
        check("", None);
    }
}
