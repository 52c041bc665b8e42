//! The origin: publishes folders as signed releases into a store, and serves them over HTTP. It is the truth that every
//! client can fall back on, so it works with no tracker and no peers.

mod collect;
mod gzip;
mod history;
mod http_client;
mod inventory;
mod jitter;
mod key_document;
mod keys;
mod layout;
mod list;
mod platform;
mod private;
mod publish;
mod push;
mod receive;
mod release;
mod scrub;
mod serve;
mod sidecar;
mod store;
mod stream;

pub use collect::{Collected, GcOptions, PartlyUsed, gc};
pub use history::{Shown, channel_history};
pub use key_document::PutKeysError;
pub use keys::{Keys, KeysError, StreamKey};
pub use list::{ChannelListing, ContentListing, PreloadListing, RolloutListing, VersionListing, list};
pub use publish::{
    CHUNK_AVG_BYTES_MAX, CHUNK_AVG_BYTES_MIN, ChannelOptions, Opened, Opening, Progress, PromoteOptions,
    PromoteTo, Promoted, PublishError, PublishOptions, Published, RewriteCause, Rewritten, Rules, RulesError,
    SealOptions, SealedFile, SealedPublished, UnsealOptions, Update, UpdateFrom, WalkError, promote, publish,
    publish_reporting, publish_sealed, unseal,
};
pub use receive::{ReceiveError, ReceiveOptions, Received, Receiving, receive};
pub use release::ReadError;
pub use scrub::{Damage, Scrubbed, scrub};
pub use serve::{
    Admission, Caps, Class, ComeBack, Counters, KindCount, LOT_BYTES, Load, ServeError, ServeOptions,
    Serving, serve,
};
pub use store::{Store, StoreError};
pub use stream::{
    HlsOptions, HlsPublished, IndexInput, IndexOptions, Indexed, IngestError, IngestOptions, Ingesting,
    Input, SegmentProblem, StreamError, TooLarge, index, ingest, publish_hls,
};
