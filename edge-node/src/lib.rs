//! The native peer: fetches a release from an origin and from other peers, checks every byte against the publisher's
//! signature, installs it, and shares it where its owner agrees.

mod backoff;
mod clock;
mod control;
mod event;
mod gateway;
mod identity;
mod job;
mod limiter;
mod meter;
mod network;
mod node;
mod origin;
mod platform;
mod random;
mod release;
mod report;
mod store;
mod stream;
mod tracker_client;
mod transport;
mod uplink;

pub use control::{
    Control, DOWNLOAD_BYTES_S_MIN, DownloadRateError, Hours, HoursError, Pause, WhilePlaying, Wishes,
    check_download_rate,
};
pub use event::Event;
pub use freshet_protocol::PublicKey;
pub use freshet_swarm::{Goal, Policy};
pub use gateway::{GatewayOptions, gateway};
pub use identity::{Identity, IdentityError};
pub use job::SeedFor;
pub use node::{
    GetError, GetOptions, Plan, PlannedPart, PlannedPreload, Preload, ReleaseUrl, Verified, follow, get,
    plan, repair, uninstall, verify,
};
pub use release::{Parts, PartsError};
pub use report::{LinkTimes, Report, Sources, Traffic};
pub use store::ChangedFiles;
pub use tracker_client::{TrackerClient, TrackerConfig, TrackerEvent, TrackerHandle, Welcome};
pub use transport::{
    Answer, CertificateError, Congestion, LINKS_MAX, LinkHandle, Outside, PeerInfo, QuicSettings, Transport,
    TransportConfig, TransportError, TransportEvent,
};
pub use uplink::SharePriority;
