//! What a request path asks for.

use freshet_protocol::{ContentName, Name, RelPath, origin_path};
use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use crate::layout::{self, Kind};

/// Longest path with its query, in bytes: a file's path at its longest, percent-encoded.
pub(super) const URL_BYTES_MAX: usize = 4096;

/// Something that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// One object of the store.
    Object(ContentName, Kind),
    /// A file of a release.
    File(ContentName, Name, RelPath),
}

/// Reads a request's path, still percent-encoded.
pub(super) fn parse(path: &str) -> Result<Target, Refusal> {
    let decoded = percent_decode_str(path.trim_start_matches('/')).decode_utf8();
    let path = decoded.map_err(|_| Refusal::BadRequest("the path is not UTF-8 when decoded".to_owned()))?;
    if let Some((content, rest)) = origin_path::split_file(&path) {
        return parse_file(content, rest);
    }
    match layout::parse(&path) {
        // What only origins read is not served.
        None | Some((_, Kind::Sidecar(_) | Kind::History(_))) => Err(Refusal::NotFound),
        Some((content, kind)) => Ok(Target::Object(content, kind)),
    }
}

fn parse_file(content: ContentName, rest: &str) -> Result<Target, Refusal> {
    let (version, path) = rest.split_once('/').ok_or(Refusal::NotFound)?;
    let version = version.parse().map_err(|_| Refusal::NotFound)?;
    let path = path.parse().map_err(|error| Refusal::BadRequest(format!("the file's path {error}")))?;
    Ok(Target::File(content, version, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |path: &str, expected: Result<&str, Refusal>| {
            let found = parse(path).map(|target| match target {
                Target::Object(content, kind) => format!("{content} {kind:?}"),
                Target::File(content, version, path) => format!("{content} {version} {path}"),
            });
            assert_eq!(found, expected.map(str::to_owned), "{path}");
        };
        let hex = "ab".repeat(16);
        check("/game/demo/keys", Ok("game/demo Keys"));
        check("/game/demo/channels/live", Ok("game/demo Channel(Name(\"live\"))"));
        check("/a/b/c/d/channels/live", Ok("a/b/c/d Channel(Name(\"live\"))"));
        check("/game/demo/files/1.2/data/a%20b", Ok("game/demo 1.2 data/a b"));
        check("/game/demo/files/1.2/%ED%95%9C", Ok("game/demo 1.2 한"));
        check("/game/demo/files/1.2/files/x", Ok("game/demo 1.2 files/x"));
        let rendition = freshet_protocol::Hash::of(b"a.m3u8");
        let entries = format!("game/demo Entries({rendition:?}, 7)");
        check(&format!("/game/demo/entries/{rendition}/7"), Ok(&entries));
        check("/game/demo/media/720/a%20b.ts", Ok("game/demo Media(\"720/a b.ts\")"));
        check("/game/demo/media/files/1/x", Ok("game/demo Media(\"files/1/x\")"));
        check("/game/demo/media/a/files/x", Ok("game/demo Media(\"a/files/x\")"));
        check("/game/demo/files/1.2/media/x", Ok("game/demo 1.2 media/x"));
        check("/game/demo/media/../keys", Err(Refusal::NotFound));
        check("/game/demo/media/%2e%2e/keys", Err(Refusal::NotFound));
        check("/game/demo/media/", Err(Refusal::NotFound));
        check("/", Err(Refusal::NotFound));
        check("/game/demo", Err(Refusal::NotFound));
        check("/game/demo/files/1.2", Err(Refusal::NotFound));
        check("/game/demo/versions/1.2", Ok("game/demo Version(Name(\"1.2\"))"));
        check(&format!("/game/demo/packs/{hex}.chunks"), Err(Refusal::NotFound));
        check("/game/demo/publish.lock", Err(Refusal::NotFound));
        check("/game/demo/roots/xy", Err(Refusal::NotFound));
        let bad = |reason: &str| Err(Refusal::BadRequest(reason.to_owned()));
        check("/game/demo/files/1.2/../../x", bad("the file's path has a \".\" or \"..\" part"));
        check("/game/demo/files/1.2/%2e%2e/x", bad("the file's path has a \".\" or \"..\" part"));
        check("/game/demo/files/1.2//etc/passwd", bad("the file's path is absolute"));
        check("/game/%ff", bad("the path is not UTF-8 when decoded"));
    }
}
