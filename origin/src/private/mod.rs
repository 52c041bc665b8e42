//! Listening for those who may write: what `ingest` and `receive` share.

mod body;
mod token;

pub(crate) use body::{SILENCE_MAX, timely};
pub(crate) use token::{Token, TokenError};
