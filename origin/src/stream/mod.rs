//! Streams: media as playlists and segments. Playlists stay what they are; each segment gets an entry, signed before the
//! playlist that lists it is shown, so that players can take its pieces from anybody (PROTOCOL.md 9).

#[allow(dead_code)]
mod book;
mod error;
mod folder;
mod grant;
#[allow(dead_code)]
mod names;
mod pages;
mod pieces;
mod playlist;
#[allow(dead_code)]
mod rendition;
#[allow(dead_code)]
mod source;
mod vod;

pub use error::{SegmentProblem, StreamError};
pub use names::NameError;
pub(crate) use names::file_of;
pub(crate) use pages::is_full as is_full_page;
pub(crate) use pieces::Cutter;
pub use pieces::TooLarge;
pub(crate) use playlist::PLAYLIST_BYTES_MAX;
pub use playlist::PlaylistError;
pub use vod::{HlsOptions, HlsPublished, publish_hls};
