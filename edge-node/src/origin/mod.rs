//! The origin as a node sees it: documents and chunks over plain HTTP. Nothing from here is believed before it is checked.

mod client;
mod documents;
mod error;
mod index;
mod mirrors;
mod pieces;
mod run;
mod slices;
mod stored;

pub(crate) use client::{Body, Origin, OriginConfig};
pub(crate) use error::{OriginError, OriginFault};
pub(crate) use index::EarlyIndex;
pub(crate) use mirrors::MIRRORS_MAX;
pub(crate) use pieces::PieceRun;
pub(crate) use run::{RunEvent, Runs};
pub(crate) use slices::plain;
