//! The manifest: a signed root that names pages, which list files and their chunks.

pub(crate) mod cut;
pub(crate) mod in_place;
pub(crate) mod page;
pub(crate) mod root;
pub(crate) mod walk;
