//! What entries call the resources of a stream: paths of URLs, so that hosts and tokens do not matter (PROTOCOL.md 9).

use freshet_protocol::limits::PATH_BYTES_MAX;
use freshet_protocol::{ContentName, PathError, RelPath};
use percent_encoding::percent_decode_str;
use url::Url;

/// Host of streams that lie in a store. It is never asked, and no playlist can name it by chance.
const STORE_HOST: &str = "http://store.invalid/";

/// Why something has no name within a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not an address.
    #[error("{0:?} is not an address: {1}")]
    Address(String, url::ParseError),
    /// Longer than a path may be.
    #[error("the path of {0} is longer than {PATH_BYTES_MAX} bytes")]
    TooLong(String),
    /// Not below the folder of the stream's first playlist.
    #[error("{0} lies outside of the folder of the stream's first playlist")]
    Outside(String),
    /// A path that cannot be a file's everywhere.
    #[error("{path:?} {error}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        error: PathError,
    },
}

/// The folder of a stream's first playlist, from which its resources have their names.
#[derive(Debug, Clone)]
pub struct Names {
    folder: Url,
}

impl Names {
    /// Names from the folder of `first`, the address of the playlist that players open.
    pub fn of_playlist(first: &Url) -> Self {
        let mut folder = first.clone();
        folder.set_query(None);
        folder.set_fragment(None);
        let path = first.path();
        folder.set_path(&path[..=path.rfind('/').unwrap_or(0)]);
        Self { folder }
    }

    /// Names of a stream that lies in a store, from `CONTENT/media/` on.
    pub fn of_store(content: &ContentName) -> Self {
        let url = Url::parse(&format!("{STORE_HOST}{content}/media/"));
        Self { folder: url.expect("a content's name is a path") }
    }

    /// Address of a file below the folder.
    pub fn url(&self, path: &RelPath) -> Url {
        let mut url = self.folder.clone();
        url.path_segments_mut().expect("http has paths").pop_if_empty().extend(path.parts());
        url
    }

    /// Address of a path below the folder, as a request names it: percent-encoded, without a query.
    pub fn url_of_request(&self, path: &str) -> Url {
        let mut url = self.folder.clone();
        url.set_path(&format!("{}{path}", self.folder.path()));
        url
    }

    /// What entries call the resource at `url`.
    pub fn path(&self, url: &Url) -> Result<String, NameError> {
        let path = url.path();
        let name = path.strip_prefix(self.folder.path()).filter(|rest| !rest.is_empty()).unwrap_or(path);
        if name.len() <= PATH_BYTES_MAX {
            Ok(name.to_owned())
        } else {
            Err(NameError::TooLong(shortened(path)))
        }
    }

    /// Which file below the folder `url` is.
    pub fn file(&self, url: &Url) -> Result<RelPath, NameError> {
        let is_here = url.origin() == self.folder.origin();
        let rest = url.path().strip_prefix(self.folder.path()).filter(|_| is_here);
        file_of(rest.ok_or_else(|| NameError::Outside(shortened(url.as_str())))?)
    }
}

/// The file that a name below the folder stands for; none where it lies elsewhere.
pub fn file_of(name: &str) -> Result<RelPath, NameError> {
    let fail = |error| NameError::Path { path: shortened(name), error };
    let decoded = percent_decode_str(name).decode_utf8().map_err(|_| fail(PathError::Character))?;
    decoded.parse().map_err(fail)
}

/// The address that a playlist names.
pub fn join(playlist: &Url, uri: &str) -> Result<Url, NameError> {
    playlist.join(uri).map_err(|error| NameError::Address(shortened(uri), error))
}

/// For messages.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_urls() {
        let check = |first: &str, uri: &str, expected: &str| {
            let first = Url::parse(first).expect("an address");
            let names = Names::of_playlist(&first);
            let found = names.path(&join(&first, uri).expect("an address"));
            assert_eq!(found.expect("a path"), expected, "{first} {uri}");
        };
        let first = "https://cdn-1.test/live/show/master.m3u8?token=1";
        check(first, "720/1.ts", "720/1.ts");
        check(first, "720/1.ts?token=2#x", "720/1.ts");
        check(first, "https://cdn-2.test/live/show/720/1.ts", "720/1.ts");
        check(first, "./a/../b/%2e%2e/1.ts", "1.ts");
        check(first, "../other/1.ts", "/live/other/1.ts");
        check(first, "/1.ts", "/1.ts");
        check(first, "한 글.ts", "%ED%95%9C%20%EA%B8%80.ts");
        check(first, "a%20b~c'd.ts", "a%20b~c'd.ts");
        check(first, "", "master.m3u8");
        check("https://x.test/m.m3u8", "..//1.ts", "/1.ts");
        check("https://x.test", "1.ts", "1.ts");
    }

    #[test]
    fn files_of_urls() {
        let names = Names::of_store(&"site/show".parse().expect("name"));
        let check = |uri: &str, expected: Result<&str, &str>| {
            let playlist = names.url_of_request("sub/list.m3u8");
            let found = names.file(&join(&playlist, uri).expect("an address"));
            let found = found.map(|path| path.to_string()).map_err(|error| error.to_string());
            match expected {
                Ok(path) => assert_eq!(found.as_deref(), Ok(path), "{uri}"),
                Err(part) => {
                    assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{uri}: {found:?}")
                }
            }
        };
        check("1.ts", Ok("sub/1.ts"));
        check("../%ED%95%9C%20.ts?x", Ok("한 .ts"));
        check("/site/show/media/a", Ok("a"));
        check("../../keys", Err("outside"));
        check("..%2f..%2fkeys", Err("\".\" or \"..\" part"));
        check("/etc/passwd", Err("outside"));
        check("//evil.test/site/show/media/1.ts", Err("outside"));
        check("http://store.invalid:81/site/show/media/1.ts", Err("outside"));
        check("file:///site/show/media/1.ts", Err("outside"));
        check("..", Err("empty part"));
        check("a//b", Err("empty part"));
        check("%ff", Err("Windows does not allow"));
        check("nul.ts", Err("Windows reserves"));
    }

    #[test]
    fn urls_of_files_name_them_back() {
        let names = Names::of_store(&"site/show".parse().expect("name"));
        for path in ["a", "한 글/100%.ts", "a#b;c=d.ts", "x%20y"] {
            let path: RelPath = path.parse().expect("a path");
            let url = names.url(&path);
            assert_eq!(names.file(&url), Ok(path.clone()), "{url}");
            assert_eq!(file_of(&names.path(&url).expect("short")), Ok(path), "{url}");
        }
    }

    #[test]
    fn long_paths_are_refused() {
        let names = Names::of_store(&"site/show".parse().expect("name"));
        let check = |bytes: usize, is_good: bool| {
            let url = names.url_of_request(&"x".repeat(bytes));
            assert_eq!(names.path(&url).is_ok(), is_good, "{bytes}");
        };
        check(PATH_BYTES_MAX, true);
        check(PATH_BYTES_MAX + 1, false);
    }
}
