//! A patch: the signed list of what leads from one release to another (PROTOCOL.md 4.6). It is apart from the
//! manifest, so a release is the same whatever came before it.

pub(crate) mod document;
pub(crate) mod page;
