//! HLS as whoever passes it on reads it: what a playlist lists, and what entries call that (PROTOCOL.md 9).

mod names;
pub mod playlist;

pub use names::{NameError, Names, file_of, join};
