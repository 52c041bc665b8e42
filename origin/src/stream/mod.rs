//! Streams: media as playlists and segments. Playlists stay what they are; each segment gets an entry, signed before the
//! playlist that lists it is shown, so that players can take its pieces from anybody (PROTOCOL.md 9).

mod book;
mod desk;
mod error;
mod folder;
mod folder_watch;
mod grant;
mod index;
mod live;
mod pages;
mod pieces;
mod rendition;
mod source;
mod vod;

pub use error::{SegmentProblem, StreamError};
pub use index::{IndexInput, IndexOptions, Indexed, index};
pub use live::{IngestError, IngestOptions, Ingesting, Input, ingest};
pub(crate) use pages::is_full as is_full_page;
pub(crate) use pieces::Cutter;
pub use pieces::TooLarge;
pub use vod::{HlsOptions, HlsPublished, publish_hls};
