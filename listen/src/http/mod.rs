//! HTTP as servers speak it: bounded connections, and answers with conditions and ranges.

mod answer;
mod connections;
mod media_type;
mod range;
mod watched;

pub use answer::{ByteStream, Content, Source, respond};
pub use connections::{Connections, Peer};
pub use media_type::{is_playlist, media_type_of};
pub use range::{RANGES_MAX, RangeError, parse_ranges};

/// Counts what connections take.
pub trait Meter: Send + Sync + 'static {
    /// One was accepted.
    fn connection(&self) {}

    /// So many bytes were written to one, its framing included.
    fn wire(&self, _bytes: usize) {}
}

/// Counts nothing.
impl Meter for () {}
