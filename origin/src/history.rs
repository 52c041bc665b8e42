//! What a channel has shown, oldest first. Written before the pointer moves; read by those who make patches, and by gc.

use freshet_protocol::{ContentName, Name, RootId};
use serde::{Deserialize, Serialize};

use crate::layout;
use crate::release::{self, ReadError, damaged, parse_json};
use crate::store::{Revision, Store, StoreError};

const SCHEMA: u32 = 1;
/// Releases remembered of a channel; the oldest are forgotten.
const SHOWN_MAX: usize = 1000;
/// Largest history, in bytes.
const BYTES_MAX: u64 = 512 << 10;

/// A release that a channel showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Sequence of the pointer that showed it.
    pub sequence: u64,
    /// The release.
    pub root: RootId,
    /// Its version.
    pub version: Name,
    /// Unix seconds.
    pub since: u64,
    /// To how many of 1000 installations, where not to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permille: Option<u32>,
}

/// What a channel has shown, oldest first; at most the last 1000 changes.
///
/// # Errors
/// [`ReadError`] when the store fails, or there is no such channel.
pub async fn channel_history(
    store: &Store,
    content: &ContentName,
    channel: &Name,
) -> Result<Vec<Shown>, ReadError> {
    let now = release::pointer(store, content, channel).await?;
    let mut shown = History::read(store, content, channel).await?.shown;
    // A publish that was killed may have noted what it never showed.
    shown.retain(|shown| shown.sequence <= now.sequence);
    Ok(shown)
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    schema: u32,
    shown: Vec<Shown>,
}

/// The history of a channel, and the state of its object.
#[derive(Debug, Default)]
pub(crate) struct History {
    shown: Vec<Shown>,
    revision: Option<Revision>,
}

impl History {
    /// Reads a channel's history; one that has none is empty.
    pub(crate) async fn read(
        store: &Store,
        content: &ContentName,
        channel: &Name,
    ) -> Result<Self, ReadError> {
        let object = layout::history(content, channel);
        let (bytes, revision) = match store.read_revision(&object, BYTES_MAX).await {
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            read => read?,
        };
        let document: Document = parse_json(&object, &bytes)?;
        match document.schema {
            SCHEMA => Ok(Self { shown: document.shown, revision: Some(revision) }),
            other => Err(damaged(object, format!("schema {other} is not known to this version"))),
        }
    }

    /// The releases shown last but `root`, newest first, each once, without those numbered from `end` on: a publish that
    /// was killed may have noted what it never showed.
    pub(crate) fn last_but(&self, root: RootId, count: usize, end: u64) -> Vec<Shown> {
        let mut last: Vec<Shown> = Vec::new();
        for shown in self.shown.iter().rev().filter(|shown| shown.sequence < end && shown.root != root) {
            if last.len() < count && last.iter().all(|known| known.root != shown.root) {
                last.push(shown.clone());
            }
        }
        last
    }

    /// Notes that `shown` comes next. What was noted for its sequence or later was never shown.
    pub(crate) async fn put(
        mut self,
        store: &Store,
        content: &ContentName,
        channel: &Name,
        shown: Shown,
    ) -> Result<(), StoreError> {
        self.shown.retain(|known| known.sequence < shown.sequence);
        self.shown.push(shown);
        let surplus = self.shown.len().saturating_sub(SHOWN_MAX);
        self.shown.drain(..surplus);
        let document = Document { schema: SCHEMA, shown: self.shown };
        let bytes = serde_json::to_vec(&document).expect("a history is valid JSON");
        store.swap(&layout::history(content, channel), bytes.into(), self.revision).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sequence: u64) -> Shown {
        let version = format!("1.{}", sequence % 5).parse().expect("name");
        Shown { sequence, root: RootId::of(&[sequence as u8 % 5]), version, since: sequence, permille: None }
    }

    #[tokio::test]
    async fn remembers_the_last_ones_once_each() {
        let store = Store::of_objects(std::sync::Arc::new(object_store::memory::InMemory::new()));
        let (content, channel) = ("game/demo".parse().expect("name"), "live".parse().expect("name"));
        for sequence in 1..=SHOWN_MAX as u64 + 3 {
            let history = History::read(&store, &content, &channel).await.expect("read");
            history.put(&store, &content, &channel, shown(sequence)).await.expect("written");
        }
        let history = History::read(&store, &content, &channel).await.expect("read");
        assert_eq!(history.shown.len(), SHOWN_MAX);
        let last = |but: u64, count, end| {
            let last = history.last_but(shown(but).root, count, end).into_iter();
            last.map(|shown| shown.sequence).collect::<Vec<_>>()
        };
        assert_eq!(last(1000, 3, u64::MAX), [1003, 1002, 1001]);
        assert_eq!(last(1003, 9, 1003), [1002, 1001, 1000, 999]);
        // A publish killed before its pointer was written, and done again.
        history.put(&store, &content, &channel, shown(1003)).await.expect("written");
        let history = History::read(&store, &content, &channel).await.expect("read");
        assert_eq!(history.last_but(shown(1000).root, 2, u64::MAX), [shown(1003), shown(1002)]);
    }
}
