//! Nodes that meet over data channels, and peers that break the rules there.

mod blobs;
mod bounds;
mod meeting;
mod offers;
mod raw;
