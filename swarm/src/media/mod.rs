//! The core of a stream: segments that are wanted by a deadline, in the order of play.
//!
//! It speaks the inputs and outputs of the bulk core, in positions `segment × 1024 + piece`; segments are numbered by the
//! shell. A file that is read in order is a stream too: its runs of chunks are the segments.

mod core;
mod fetches;
mod governor;
mod sources;
mod timeline;
mod window;

pub use self::core::{MediaConfig, MediaCore};
pub use timeline::{PlayerInput, SegmentIndex};
