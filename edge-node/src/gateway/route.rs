//! What a request path asks for.

use freshet_protocol::{ContentName, Name, RelPath, origin_path};
use percent_encoding::percent_decode_str;

use super::refusal::Refusal;

/// Longest path with its query, in bytes: a file's path at its longest, percent-encoded.
const URL_BYTES_MAX: usize = 4096;
/// Where the gateway tells of itself.
const STATUS: &str = "/.freshet/status";

/// A release, as its clients name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReleaseName {
    pub(super) content: ContentName,
    pub(super) version: Name,
}

/// A resource of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaName {
    pub(super) content: ContentName,
    /// Path below the stream's `media/`, still percent-encoded.
    pub(super) path: String,
}

/// Something that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// What the gateway has done so far.
    Status,
    /// A file of a release.
    File(ReleaseName, RelPath),
    /// A playlist, a segment or what else a stream has; with it the whole path, as for [`Target::Origin`].
    Media(MediaName, String),
    /// Anything else that the origin may have, below its base URL, still percent-encoded.
    Origin(String),
}

/// Reads a request's path and query.
pub(super) fn parse(path: &str, query: Option<&str>) -> Result<Target, Refusal> {
    if path == STATUS {
        return Ok(Target::Status);
    }
    let bad = |what: String| Refusal::BadRequest(what);
    if path.len() + query.map_or(0, str::len) > URL_BYTES_MAX {
        return Err(bad(format!("the URL is longer than {URL_BYTES_MAX} bytes")));
    }
    let raw = path.strip_prefix('/').ok_or_else(|| bad("the path does not begin with /".to_owned()))?;
    let decoded = percent_decode_str(raw).decode_utf8();
    let decoded = decoded.map_err(|_| bad("the path is not UTF-8 when decoded".to_owned()))?;
    if let Some((content, rest)) = origin_path::split_file(&decoded) {
        let (version, path) = rest.split_once('/').ok_or(Refusal::NotFound)?;
        let version = version.parse().map_err(|_| Refusal::NotFound)?;
        let path = path.parse().map_err(|error| bad(format!("the file's path {error}")))?;
        return Ok(Target::File(ReleaseName { content, version }, path));
    }
    // It could lead out of the origin's base URL.
    if raw.is_empty() || decoded.split(['/', '\\']).any(|part| part == "." || part == "..") {
        return Err(Refusal::NotFound);
    }
    let whole = query.map_or_else(|| raw.to_owned(), |query| format!("{raw}?{query}"));
    Ok(match origin_path::split_media(raw) {
        Some((content, path)) => Target::Media(MediaName { content, path: path.to_owned() }, whole),
        None => Target::Origin(whole),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |path: &str, expected: Result<&str, Refusal>| {
            let found = parse(path, Some("a=1")).map(|target| match target {
                Target::Status => "status".to_owned(),
                Target::File(ReleaseName { content, version }, path) => format!("{content} {version} {path}"),
                Target::Media(MediaName { content, path }, whole) => {
                    format!("{content} media {path}: {whole}")
                }
                Target::Origin(path) => format!("origin {path}"),
            });
            assert_eq!(found, expected.map(str::to_owned), "{path}");
        };
        check("/.freshet/status", Ok("status"));
        check("/game/demo/files/1.2/data/a%20b", Ok("game/demo 1.2 data/a b"));
        check("/game/demo/channels/live", Ok("origin game/demo/channels/live?a=1"));
        check(
            "/site/live/media/files/1/x%20",
            Ok("site/live media files/1/x%20: site/live/media/files/1/x%20?a=1"),
        );
        check("/live/media/files/1/x", Ok("origin live/media/files/1/x?a=1"));
        check("/site/live/media/", Ok("origin site/live/media/?a=1"));
        check("/a/b%2fc", Ok("origin a/b%2fc?a=1"));
        for path in
            ["/", "/a/../b", "/a/%2e%2e/b", "/a/%2e./b", "/a%2f..%2fb", "/a/..%5cb", "/game/demo/files/1.2"]
        {
            check(path, Err(Refusal::NotFound));
        }
        let bad = |reason: &str| Err(Refusal::BadRequest(reason.to_owned()));
        check("/game/demo/files/1.2/../../x", bad("the file's path has a \".\" or \"..\" part"));
        check("/game/%ff", bad("the path is not UTF-8 when decoded"));
        check("*", bad("the path does not begin with /"));
        let longest = format!("/{}", "a".repeat(URL_BYTES_MAX - 4));
        assert!(parse(&longest, Some("a=1")).is_ok());
        assert!(parse(&format!("{longest}a"), Some("a=1")).is_err());
    }
}
