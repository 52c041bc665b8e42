//! The native peer: fetches a release from an origin and from other peers, checks every byte against the publisher's
//! signature, installs it, and shares it where its owner agrees.

mod event;
mod identity;
mod job;
mod node;
mod origin;
mod platform;
mod random;
mod release;
mod report;
mod store;
mod transport;

pub use event::Event;
pub use freshet_protocol::PublicKey;
pub use freshet_swarm::{Goal, Policy};
pub use job::SeedFor;
pub use node::{GetError, GetOptions, ReleaseUrl, get};
pub use report::{Report, Sources};
