//! The origin: publishes folders as signed releases into a store, and serves them over HTTP. It is the truth that every
//! client can fall back on, so it works with no tracker and no peers.

mod keys;
mod layout;
mod platform;
mod publish;
mod release;
mod serve;
mod sidecar;
mod store;

pub use keys::{Keys, KeysError};
pub use publish::{
    CHUNK_AVG_BYTES_MAX, CHUNK_AVG_BYTES_MIN, Progress, PublishError, PublishOptions, Published, WalkError,
    publish, publish_reporting,
};
pub use release::ReadError;
pub use serve::{Counters, KindCount, ServeError, ServeOptions, Serving, serve};
pub use store::{Store, StoreError};
