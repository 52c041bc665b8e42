//! What can go wrong with a store.

use super::LIST_OBJECTS_MAX;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The location is neither a folder nor a bucket.
    #[error("store {location:?}: {reason}")]
    Location {
        /// What was given.
        location: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// There is no such object.
    #[error("store {store} has no {object}")]
    NotFound {
        /// The store.
        store: String,
        /// The object.
        object: String,
    },
    /// Another program changed the object in between.
    #[error("{object} in store {store} was changed by another program; run this again")]
    Changed {
        /// The store.
        store: String,
        /// The object.
        object: String,
    },
    /// The object is larger than any that Freshet writes there.
    #[error("{object} in store {store} is longer than {limit} bytes; it is not Freshet's or is damaged")]
    TooLong {
        /// The store.
        store: String,
        /// The object.
        object: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// More objects than one listing returns.
    #[error("store {store} has more than {LIST_OBJECTS_MAX} objects under {prefix}")]
    TooMany {
        /// The store.
        store: String,
        /// The prefix listed.
        prefix: String,
    },
    /// Another publish, ingest or gc holds the content.
    #[error("another publish, ingest or gc works on {content} in store {store}; wait until it has ended")]
    Busy {
        /// The store.
        store: String,
        /// The content.
        content: String,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {object} in store {store}: {source}")]
    Io {
        /// The store.
        store: String,
        /// What was tried.
        action: &'static str,
        /// The object.
        object: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the object does not exist, as opposed to a fault.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
