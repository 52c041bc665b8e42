//! Reads from a playlist what entries are made of (RFC 8216). Playlists are passed on as they are, so a tag that is not
//! needed here, or not known, is never an error: it is the player's.

mod attributes;

use freshet_protocol::limits::INTEGER_MAX;

use attributes::attribute;

/// Largest playlist, in bytes: a day of segments of two seconds, each with a date and a title.
pub const PLAYLIST_BYTES_MAX: usize = 8 << 20;
/// Most segments that a playlist may list.
pub const SEGMENTS_MAX: usize = 1 << 16;
/// Most other resources that a playlist may name: playlists of a master, keys, parts.
pub const LINKS_MAX: usize = 1 << 16;
/// Most initialisations that a playlist may name: each is compared with those before.
pub const INITS_MAX: usize = 1024;
/// Longest address in a playlist, in bytes.
const URI_BYTES_MAX: usize = 4096;
/// Longest duration of a segment, in microseconds; so sums stay far within 64 bits.
const DURATION_US_MAX: u64 = 86_400 * 1_000_000;

/// Why a playlist was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaylistError {
    /// It is no playlist at all.
    #[error("it does not start with #EXTM3U, or is not UTF-8")]
    Other,
    /// Larger than a playlist may be.
    #[error("it is longer than {PLAYLIST_BYTES_MAX} bytes")]
    TooLong,
    /// More segments, or more of anything else, than a playlist may name.
    #[error("it names more than {0} {1}")]
    TooMany(usize, &'static str),
    /// A tag whose value makes no sense.
    #[error("line {line} has a bad {what}")]
    Bad {
        /// The line, counted from one.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A playlist, as far as entries need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playlist {
    /// It lists renditions.
    Master(Master),
    /// It lists segments.
    Media(Media),
}

/// A list of renditions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Master {
    /// Addresses of media playlists: variants, audio, subtitles.
    pub renditions: Vec<String>,
    /// Addresses of playlists of key frames, which list parts of segments that others list whole.
    pub key_frames: Vec<String>,
    /// Addresses of whatever else it names.
    pub links: Vec<String>,
}

/// A list of segments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// In the order of play.
    pub segments: Vec<Segment>,
    /// The initialisations that segments refer to by their place here.
    pub inits: Vec<Resource>,
    /// Addresses of whatever else it names: keys, parts.
    pub links: Vec<String>,
    /// Longest segment, in microseconds.
    pub target_us: u64,
    /// Whether no segment will be added.
    pub is_ended: bool,
}

/// A resource, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its address, as the playlist writes it.
    pub uri: String,
    /// First byte and number of bytes; none for the whole.
    pub range: Option<(u64, u64)>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its media sequence number.
    pub sequence: u64,
    /// Where its bytes are.
    pub resource: Resource,
    /// How long it plays, in microseconds.
    pub duration_us: u64,
    /// Place in [`Media::inits`] of the initialisation that it needs.
    pub init: Option<usize>,
}

/// Reads a playlist.
///
/// # Errors
/// [`PlaylistError`] when it is none, or when what entries need of it makes no sense.
pub fn parse(bytes: &[u8]) -> Result<Playlist, PlaylistError> {
    if bytes.len() > PLAYLIST_BYTES_MAX {
        return Err(PlaylistError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| PlaylistError::Other)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().next().is_none_or(|first| first.trim_end() != "#EXTM3U") {
        return Err(PlaylistError::Other);
    }
    let mut reading = Reading::default();
    for (at, line) in text.lines().enumerate() {
        reading.line(at + 1, line.trim())?;
    }
    Ok(reading.finish())
}

/// A playlist as far as it has been read.
#[derive(Default)]
struct Reading {
    is_master: bool,
    master: Master,
    media: Media,
    /// Sequence of the next segment.
    sequence: u64,
    /// The next address belongs to a variant.
    is_variant: bool,
    is_gap: bool,
    duration_us: u64,
    range: Option<(u64, Option<u64>)>,
    init: Option<usize>,
    /// Where the range before ended, and in which resource: a range without a start goes on there.
    range_end: Option<(String, u64)>,
}

impl Reading {
    fn line(&mut self, line: usize, text: &str) -> Result<(), PlaylistError> {
        let bad = |what| PlaylistError::Bad { line, what };
        if text.is_empty() {
            return Ok(());
        }
        let Some(tag) = text.strip_prefix("#EXT") else {
            return if text.starts_with('#') { Ok(()) } else { self.address(line, text) };
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "INF" => {
                self.duration_us =
                    duration_us(value.split(',').next().unwrap_or_default()).ok_or(bad("duration"))?
            }
            "-X-TARGETDURATION" => self.media.target_us = duration_us(value).ok_or(bad("target duration"))?,
            "-X-MEDIA-SEQUENCE" if self.media.segments.is_empty() => {
                self.sequence = number(value).ok_or(bad("media sequence"))?;
            }
            // What a delta update leaves out still counts.
            "-X-SKIP" => {
                let skipped = attribute(value, "SKIPPED-SEGMENTS").and_then(number).ok_or(bad("skip"))?;
                self.sequence = self.sequence.saturating_add(skipped);
            }
            "-X-BYTERANGE" => self.range = Some(range(value).ok_or(bad("byte range"))?),
            "-X-MAP" => self.map(line, value)?,
            "-X-GAP" => self.is_gap = true,
            "-X-ENDLIST" => self.media.is_ended = true,
            "-X-STREAM-INF" => (self.is_master, self.is_variant) = (true, true),
            "-X-MEDIA" => {
                self.is_master = true;
                if let Some(uri) = attribute(value, "URI") {
                    link(&mut self.master.renditions, line, uri)?;
                }
            }
            "-X-I-FRAME-STREAM-INF" => {
                self.is_master = true;
                if let Some(uri) = attribute(value, "URI") {
                    link(&mut self.master.key_frames, line, uri)?;
                }
            }
            _ => {
                if let Some(uri) = attribute(value, "URI") {
                    link(&mut self.media.links, line, uri)?;
                }
            }
        }
        Ok(())
    }

    fn map(&mut self, line: usize, value: &str) -> Result<(), PlaylistError> {
        let bad = |what| PlaylistError::Bad { line, what };
        let uri = address(line, attribute(value, "URI").ok_or(bad("EXT-X-MAP"))?)?;
        let range = match attribute(value, "BYTERANGE") {
            Some(text) => {
                let (bytes, start) = range(text).ok_or(bad("byte range"))?;
                Some((start.unwrap_or(0), bytes))
            }
            None => None,
        };
        let init = Resource { uri, range };
        let known = self.media.inits.iter().rposition(|known| *known == init);
        self.init = Some(match known {
            Some(at) => at,
            None if self.media.inits.len() == INITS_MAX => {
                return Err(PlaylistError::TooMany(INITS_MAX, "initialisations"));
            }
            None => {
                self.media.inits.push(init);
                self.media.inits.len() - 1
            }
        });
        Ok(())
    }

    /// A line that is no tag: a variant's playlist or a segment.
    fn address(&mut self, line: usize, text: &str) -> Result<(), PlaylistError> {
        if std::mem::take(&mut self.is_variant) {
            return link(&mut self.master.renditions, line, text);
        }
        let uri = address(line, text)?;
        if self.sequence > INTEGER_MAX {
            return Err(PlaylistError::Bad { line, what: "media sequence" });
        }
        if self.media.segments.len() == SEGMENTS_MAX {
            return Err(PlaylistError::TooMany(SEGMENTS_MAX, "segments"));
        }
        let range = self.range.take().map(|(bytes, start)| {
            let before = self.range_end.as_ref().filter(|(last, _)| *last == uri).map(|(_, end)| *end);
            (start.or(before).unwrap_or(0), bytes)
        });
        let is_over = |(start, bytes): (u64, u64)| start.saturating_add(bytes) > INTEGER_MAX;
        if range.is_some_and(is_over) {
            return Err(PlaylistError::Bad { line, what: "byte range" });
        }
        self.range_end = range.map(|(start, bytes)| (uri.clone(), start + bytes));
        let segment = Segment {
            sequence: self.sequence,
            resource: Resource { uri, range },
            duration_us: std::mem::take(&mut self.duration_us),
            init: self.init,
        };
        self.sequence += 1;
        // There is nothing to fetch behind a gap.
        if !std::mem::take(&mut self.is_gap) {
            self.media.segments.push(segment);
        }
        Ok(())
    }

    fn finish(self) -> Playlist {
        match self.is_master {
            true => Playlist::Master(Master { links: self.media.links, ..self.master }),
            false => Playlist::Media(self.media),
        }
    }
}

/// Adds an address, once.
fn link(links: &mut Vec<String>, line: usize, uri: &str) -> Result<(), PlaylistError> {
    let uri = address(line, uri)?;
    // Keys and parts are named again and again, mostly the one before.
    if links.last() == Some(&uri) {
        return Ok(());
    }
    if links.len() == LINKS_MAX {
        return Err(PlaylistError::TooMany(LINKS_MAX, "resources"));
    }
    links.push(uri);
    Ok(())
}

fn address(line: usize, uri: &str) -> Result<String, PlaylistError> {
    match uri.len() <= URI_BYTES_MAX && !uri.is_empty() {
        true => Ok(uri.to_owned()),
        false => Err(PlaylistError::Bad { line, what: "address" }),
    }
}

fn number(digits: &str) -> Option<u64> {
    let digits = digits.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&number| is_number && number <= INTEGER_MAX)
}

/// `bytes` or `bytes@start`; at least one byte.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (bytes, start) = match text.split_once('@') {
        Some((bytes, start)) => (number(bytes)?, Some(number(start)?)),
        None => (number(text)?, None),
    };
    (bytes > 0).then_some((bytes, start))
}

/// Seconds with a fraction, in microseconds. What is beyond a microsecond is dropped.
fn duration_us(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
    let us = number(seconds)?.checked_mul(1_000_000)?.checked_add(number(&fraction)?)?;
    (us <= DURATION_US_MAX).then_some(us)
}

#[cfg(test)]
mod tests;
