//! Keeps publishers of this machine out of a content while requests of others write it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use freshet_protocol::ContentName;

use crate::layout::Kind;
use crate::store::{ContentLock, Store, StoreError};

/// The locks that are held now. Requests share them; the last one gives its lock back.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: Mutex<HashMap<(ContentName, bool), Weak<ContentLock>>>,
}

impl Locks {
    /// Takes the lock that an object is under, or says who is in the way.
    pub(super) fn take(
        &self,
        store: &Store,
        content: &ContentName,
        kind: &Kind,
    ) -> Result<Arc<ContentLock>, StoreError> {
        let is_stream = matches!(kind, Kind::Media(_) | Kind::Entries(..));
        let mut held = self.held.lock().expect("nothing panics while it is held");
        let place = (content.clone(), is_stream);
        if let Some(lock) = held.get(&place).and_then(Weak::upgrade) {
            return Ok(lock);
        }
        held.retain(|_, lock| lock.strong_count() > 0);
        let lock = match is_stream {
            true => ContentLock::take_stream(store, content)?,
            false => ContentLock::take(store, content)?,
        };
        let lock = Arc::new(lock);
        held.insert(place, Arc::downgrade(&lock));
        Ok(lock)
    }
}
