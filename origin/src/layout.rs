//! Names of the objects in a store: those of `freshet_protocol::origin_path`, and one that only origins read.

use freshet_protocol::{ContentName, Hash, Name, PackId, PageId, PatchId, RelPath, RootId, origin_path};

/// Ending of a pack's list of chunks.
const CHUNKS_SUFFIX: &str = ".chunks";
/// Ending of a page's form for browsers.
const GZIP_SUFFIX: &str = ".gz";

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Keys,
    Channel(Name),
    /// What a channel has shown.
    History(Name),
    Root(RootId),
    Patch(PatchId),
    Page(PageId),
    /// The page again, for browsers, which have gzip and no zstd.
    PageGzip(PageId),
    Index(PageId),
    Pack(PackId),
    /// The list of chunks in a pack.
    Sidecar(PackId),
    Version(Name),
    /// A file of a stream.
    Media(RelPath),
    /// A page of the entries of a rendition, by the hash of the rendition's path.
    Entries(Hash, u64),
}

/// Object of a pack's list of chunks.
pub(crate) fn sidecar(content: &ContentName, pack: PackId) -> String {
    format!("{}{CHUNKS_SUFFIX}", freshet_protocol::origin_path::pack(content, pack))
}

/// Object of what a channel has shown.
pub(crate) fn history(content: &ContentName, channel: &Name) -> String {
    format!("{content}/history/{channel}")
}

/// Object of a page of entries.
pub(crate) fn entry_page(content: &ContentName, rendition: Hash, number: u64) -> String {
    format!("{content}/entries/{rendition}/{number}")
}

/// Folder of one kind of objects, as `list` takes it.
pub(crate) fn folder(content: &ContentName, name: &str) -> String {
    format!("{content}/{name}")
}

/// What an object or request path names, if it is one of ours.
pub(crate) fn parse(path: &str) -> Option<(ContentName, Kind)> {
    // A file of a stream may have any name, even one of those below.
    if let Some((content, file)) = origin_path::split_media(path) {
        return Some((content, Kind::Media(file.parse().ok()?)));
    }
    let (head, last) = path.rsplit_once('/')?;
    if last == "keys" {
        return Some((head.parse().ok()?, Kind::Keys));
    }
    let (content, collection) = head.rsplit_once('/')?;
    if let Some(content) = content.strip_suffix("/entries") {
        let page = Kind::Entries(collection.parse().ok()?, page_number(last)?);
        return Some((content.parse().ok()?, page));
    }
    let content = content.parse().ok()?;
    let kind = match collection {
        "channels" => Kind::Channel(last.parse().ok()?),
        "history" => Kind::History(last.parse().ok()?),
        "roots" => Kind::Root(last.parse().ok()?),
        "patches" => Kind::Patch(last.parse().ok()?),
        "pages" => match last.strip_suffix(GZIP_SUFFIX) {
            Some(page) => Kind::PageGzip(page.parse().ok()?),
            None => Kind::Page(last.parse().ok()?),
        },
        "index" => Kind::Index(last.parse().ok()?),
        "versions" => Kind::Version(last.parse().ok()?),
        "packs" => match last.strip_suffix(CHUNKS_SUFFIX) {
            Some(pack) => Kind::Sidecar(pack.parse().ok()?),
            None => Kind::Pack(last.parse().ok()?),
        },
        _ => return None,
    };
    Some((content, kind))
}

/// A number in its one form, so that no page has two addresses.
fn page_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::origin_path;

    #[test]
    fn names_parse_back() {
        let content: ContentName = "game/demo".parse().expect("name");
        let live: Name = "live".parse().expect("name");
        let (pack, page) = (PackId([7; 16]), PageId::of(b"page"));
        let check =
            |path: String, kind: Kind| assert_eq!(parse(&path), Some((content.clone(), kind)), "{path}");
        check(origin_path::keys(&content), Kind::Keys);
        check(origin_path::pointer(&content, &live), Kind::Channel(live.clone()));
        check(origin_path::root(&content, RootId(page.0)), Kind::Root(RootId(page.0)));
        check(origin_path::page(&content, page), Kind::Page(page));
        check(origin_path::page_gzip(&content, page), Kind::PageGzip(page));
        check(origin_path::index(&content, page), Kind::Index(page));
        check(origin_path::pack(&content, pack), Kind::Pack(pack));
        check(sidecar(&content, pack), Kind::Sidecar(pack));
        check(origin_path::version(&content, &live), Kind::Version(live.clone()));
        for file in ["keys", "a/media/keys", "channels/live", "entries/0"] {
            let path: RelPath = file.parse().expect("path");
            check(origin_path::media(&content, &path), Kind::Media(path));
        }
        let rendition = Hash::of(b"a/b.m3u8");
        check(origin_path::entries(&content, "a/b.m3u8", 129), Kind::Entries(rendition, 2));
        check(entry_page(&content, rendition, 2), Kind::Entries(rendition, 2));
        for other in ["02", "+2", "", "18446744073709551616"] {
            assert_eq!(parse(&format!("{content}/entries/{rendition}/{other}")), None, "{other}");
        }
        for other in
            ["", "keys", "game/keys", "game/demo/x/y/z/keys", "game/demo/publish.lock", "game/demo/packs/xy"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
