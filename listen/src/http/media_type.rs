//! Media types by the ending of a file's name. Browsers are told not to guess, so the usual ones are named.

const HLS_PLAYLIST: &str = "application/vnd.apple.mpegurl";
const DASH_PLAYLIST: &str = "application/dash+xml";
const OTHER: &str = "application/octet-stream";

/// Whether a file of a stream is a list of what there is to play, which changes as the stream goes on.
pub fn is_playlist(path: &str) -> bool {
    matches!(media_type_of(path), HLS_PLAYLIST | DASH_PLAYLIST)
}

/// The media type of the file at `path`, by the ending of its name.
pub fn media_type_of(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((_, ending)) = name.rsplit_once('.') else { return OTHER };
    match ending.to_ascii_lowercase().as_str() {
        "aac" => "audio/aac",
        "ac3" => "audio/ac3",
        "cmfa" => "audio/mp4",
        "cmfv" => "video/mp4",
        "css" => "text/css; charset=utf-8",
        "gif" => "image/gif",
        "htm" | "html" => "text/html; charset=utf-8",
        "jpg" | "jpeg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "m3u" | "m3u8" => HLS_PLAYLIST,
        "m4a" => "audio/mp4",
        "m4s" => "video/iso.segment",
        "mp3" => "audio/mpeg",
        "mp4" | "m4v" => "video/mp4",
        "mpd" => DASH_PLAYLIST,
        "ogg" => "audio/ogg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "ts" => "video/mp2t",
        "txt" => "text/plain; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "wasm" => "application/wasm",
        "webm" => "video/webm",
        "webp" => "image/webp",
        "xml" => "application/xml",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings() {
        let check = |path, expected| assert_eq!(media_type_of(path), expected, "{path}");
        check("video/seg_1.M4S", "video/iso.segment");
        check("a.b/c", OTHER);
        check("game.pak", OTHER);
        check("live/a.m3u8", "application/vnd.apple.mpegurl");
        check("live/0.ts", "video/mp2t");
        assert!(is_playlist("a.M3U8") && is_playlist("a.mpd") && !is_playlist("a.ts"));
        check("a/index.html", "text/html; charset=utf-8");
    }
}
