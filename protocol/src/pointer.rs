//! The channel pointer: which release a channel shows now. Small, signed by an online key, never goes back.

use serde::{Deserialize, Serialize};

use crate::envelope::{self, DocumentKind, EnvelopeError};
use crate::id::{ContentName, Hash, Name, PatchId, RootId};
use crate::key::{PublicKey, SigningKey};
use crate::limits::{
    INTEGER_MAX, PATCHES_MAX, POINTER_BYTES_MAX, START_WINDOW_S_MAX, URL_BYTES_MAX, URLS_MAX,
};
use crate::preload::{Preload, Unsealed};
use crate::rollout::Rollout;

/// The pointer's payload type and limit.
pub const POINTER_KIND: DocumentKind =
    DocumentKind { payload_type: "application/vnd.freshet.pointer+json", bytes_max: POINTER_BYTES_MAX };

/// The schema that this program writes and reads.
pub const POINTER_SCHEMA: u32 = 1;

/// Why a pointer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// The envelope was refused.
    #[error("channel pointer: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The payload is not a pointer.
    #[error("channel pointer is not valid: {0}")]
    Malformed(String),
    /// Written by a newer program in a form this one cannot read.
    #[error("channel pointer has schema {0}, which this version does not know; update the program")]
    Unsupported(u32),
    /// A value breaks a limit.
    #[error("channel pointer is not consistent: {0}")]
    Inconsistent(&'static str),
    /// Points to another content or channel than asked for.
    #[error("channel pointer is for {0}, which was not asked for")]
    Other(String),
    /// Its time has passed: no new version is taken from it.
    #[error(
        "channel pointer expired at {expires} (Unix seconds), it is now {now}; the publisher must renew it"
    )]
    Expired {
        /// End of its life, Unix seconds.
        expires: u64,
        /// The reader's time, Unix seconds.
        now: u64,
    },
    /// Older than one already seen.
    #[error("channel pointer has sequence {found}, older than {seen} seen before; refusing to go back")]
    Older {
        /// Its sequence.
        found: u64,
        /// The newest sequence seen before.
        seen: u64,
    },
}

/// A way to the pointer's release from an older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchRef {
    /// The older release.
    pub from: RootId,
    /// The patch.
    pub patch: PatchId,
}

/// A channel's signed word about its release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Form of this document.
    pub schema: u32,
    /// The content.
    pub content: ContentName,
    /// The channel.
    pub channel: Name,
    /// Counts up with each change of the channel.
    pub sequence: u64,
    /// End of its life, Unix seconds. What is installed stays usable after it.
    pub expires: u64,
    /// The release.
    pub root: RootId,
    /// The release's version.
    pub version: Name,
    /// Addresses of trackers, `ws://` or `wss://`.
    #[serde(default)]
    pub trackers: Vec<String>,
    /// Patches from releases that the channel showed before; of several from one release the first counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<PatchRef>,
    /// A release that some installations take instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// What is going to be shown later, and can be fetched before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<Preload>,
    /// The sealed release that `root` was in, and its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsealed: Option<Unsealed>,
    /// Those who follow the channel begin to fetch at a moment of their own within so many seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_window_s: u32,
}

fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

/// What a pointer has for one installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The release.
    pub root: RootId,
    /// Its version.
    pub version: &'a Name,
    patches: &'a [PatchRef],
}

impl<'a> Offer<'a> {
    /// The patches that lead to the release.
    pub fn patches(&self) -> &'a [PatchRef] {
        self.patches
    }

    /// The patch that leads to the release from another, if there is any.
    pub fn patch_from(&self, from: RootId) -> Option<PatchId> {
        self.patches.iter().find(|patch| patch.from == from).map(|patch| patch.patch)
    }
}

impl Pointer {
    /// The release for the installation of this secret.
    pub fn offer(&self, install: Hash) -> Offer<'_> {
        match &self.rollout {
            Some(rollout) if rollout.takes(install) => {
                Offer { root: rollout.root, version: &rollout.version, patches: &rollout.patches }
            }
            _ => Offer { root: self.root, version: &self.version, patches: &self.patches },
        }
    }

    /// All releases that it shows: the one for most, and that of a rollout.
    pub fn offers(&self) -> impl Iterator<Item = Offer<'_>> {
        let rollout = self.rollout.as_ref();
        let rollout = rollout.map(|rollout| Offer {
            root: rollout.root,
            version: &rollout.version,
            patches: &rollout.patches,
        });
        std::iter::once(Offer { root: self.root, version: &self.version, patches: &self.patches })
            .chain(rollout)
    }

    /// All patches that it names.
    pub fn all_patches(&self) -> impl Iterator<Item = &PatchRef> {
        self.patches.iter().chain(self.rollout.iter().flat_map(|rollout| &rollout.patches))
    }

    /// Signs the pointer.
    ///
    /// # Errors
    /// [`PointerError`] when it breaks a limit.
    pub fn seal(&self, key: &SigningKey) -> Result<Vec<u8>, PointerError> {
        self.check()?;
        let payload = serde_json::to_vec(self).expect("a pointer is valid JSON");
        if payload.len() > POINTER_BYTES_MAX {
            return Err(EnvelopeError::TooLong { limit: POINTER_BYTES_MAX }.into());
        }
        Ok(envelope::seal(POINTER_KIND, &payload, key))
    }

    /// Opens a signed pointer. Whether it is current, [`Pointer::check_current`] tells.
    ///
    /// # Errors
    /// [`PointerError`] says which check failed.
    pub fn open(bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, PointerError> {
        Self::read(&envelope::open(POINTER_KIND, bytes, trusted)?)
    }

    /// Reads a pointer that is not to be acted on: nobody vouches for it.
    ///
    /// # Errors
    /// As [`Pointer::open`], but for those about signatures.
    pub fn read_unchecked(bytes: &[u8]) -> Result<Self, PointerError> {
        Self::read(&envelope::open_unchecked(POINTER_KIND, bytes)?)
    }

    fn read(payload: &[u8]) -> Result<Self, PointerError> {
        let pointer: Self =
            serde_json::from_slice(payload).map_err(|error| PointerError::Malformed(error.to_string()))?;
        pointer.check()?;
        Ok(pointer)
    }

    /// Whether a client that has seen sequence `seen` may take a new version from this pointer at `now` (Unix seconds).
    ///
    /// # Errors
    /// [`PointerError::Older`] or [`PointerError::Expired`].
    pub fn check_current(&self, seen: Option<u64>, now: u64) -> Result<(), PointerError> {
        match seen {
            Some(seen) if self.sequence < seen => Err(PointerError::Older { found: self.sequence, seen }),
            _ if self.expires <= now => Err(PointerError::Expired { expires: self.expires, now }),
            _ => Ok(()),
        }
    }

    fn shows(&self, root: RootId) -> bool {
        self.offers().any(|offer| offer.root == root)
    }

    fn is_to_come(&self, preload: &Preload) -> bool {
        let is_opened = self.unsealed.as_ref().is_some_and(|unsealed| unsealed.root == preload.root);
        preload.opens <= INTEGER_MAX && !self.shows(preload.root) && !is_opened
    }

    fn check(&self) -> Result<(), PointerError> {
        check_tracker_addresses(&self.trackers).map_err(PointerError::Inconsistent)?;
        if self.schema != POINTER_SCHEMA {
            Err(PointerError::Unsupported(self.schema))
        } else if self.sequence > INTEGER_MAX || self.expires > INTEGER_MAX {
            Err(PointerError::Inconsistent("a number is larger than 2^53-1"))
        } else if self.start_window_s > START_WINDOW_S_MAX {
            Err(PointerError::Inconsistent("the start window is longer than a week"))
        } else if self.all_patches().count() > PATCHES_MAX {
            Err(PointerError::Inconsistent("too many patches"))
        } else if self
            .rollout
            .as_ref()
            .is_some_and(|rollout| !rollout.is_share() || rollout.root == self.root)
        {
            Err(PointerError::Inconsistent("a rollout is of another release, to 1 to 999 of 1000"))
        } else if self.preload.as_ref().is_some_and(|preload| !self.is_to_come(preload)) {
            Err(PointerError::Inconsistent("a preload is of a release that is neither shown nor opened"))
        } else if self.unsealed.as_ref().is_some_and(|unsealed| self.shows(unsealed.root)) {
            Err(PointerError::Inconsistent("what is opened is another release than the one that was sealed"))
        } else {
            Ok(())
        }
    }
}

/// Checks the addresses of trackers that are named together: at most 8, each `ws://` or `wss://` and at most 256 bytes long.
///
/// # Errors
/// What is wrong, in words.
pub fn check_tracker_addresses(urls: &[String]) -> Result<(), &'static str> {
    let is_address =
        |url: &String| url.len() <= URL_BYTES_MAX && (url.starts_with("ws://") || url.starts_with("wss://"));
    if urls.len() <= URLS_MAX && urls.iter().all(is_address) {
        Ok(())
    } else {
        Err("at most 8 trackers, ws:// or wss://, of up to 256 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer() -> Pointer {
        Pointer {
            schema: POINTER_SCHEMA,
            content: "game/demo".parse().expect("name"),
            channel: "live".parse().expect("name"),
            sequence: 7,
            expires: 1000,
            root: RootId::of(b"root"),
            version: "1.2".parse().expect("name"),
            trackers: vec!["ws://127.0.0.1:1/".to_owned()],
            patches: vec![],
            rollout: None,
            preload: None,
            unsealed: None,
            start_window_s: 0,
        }
    }

    #[test]
    fn round_trip_and_currency() {
        let key = SigningKey::from_seed(&[1; 32]);
        let sealed = pointer().seal(&key).expect("good pointer");
        let opened = Pointer::open(&sealed, &[key.public()]).expect("signed");
        assert_eq!(opened, pointer());
        let check = |seen, now, expected| assert_eq!(opened.check_current(seen, now), expected);
        check(None, 999, Ok(()));
        check(Some(7), 999, Ok(()));
        check(Some(8), 999, Err(PointerError::Older { found: 7, seen: 8 }));
        check(None, 1000, Err(PointerError::Expired { expires: 1000, now: 1000 }));
    }

    #[test]
    fn limits() {
        let key = SigningKey::from_seed(&[1; 32]);
        let refused = |change: fn(&mut Pointer)| {
            let mut pointer = pointer();
            change(&mut pointer);
            pointer.seal(&key).expect_err("refused")
        };
        assert_eq!(refused(|p| p.schema = 2), PointerError::Unsupported(2));
        assert!(matches!(refused(|p| p.sequence = 1 << 53), PointerError::Inconsistent(_)));
        let longest = Pointer { start_window_s: START_WINDOW_S_MAX, ..pointer() };
        assert!(longest.seal(&key).is_ok());
        assert!(matches!(
            refused(|p| p.start_window_s = START_WINDOW_S_MAX + 1),
            PointerError::Inconsistent("the start window is longer than a week")
        ));
        assert!(matches!(
            refused(|p| p.trackers = vec!["ws://x".to_owned(); 9]),
            PointerError::Inconsistent(_)
        ));
        let patch = PatchRef { from: RootId::of(b"old"), patch: PatchId::of(b"patch") };
        let too_many = Pointer { patches: vec![patch; 17], ..pointer() };
        assert_eq!(too_many.seal(&key), Err(PointerError::Inconsistent("too many patches")));
        assert!(matches!(
            refused(|p| p.trackers = vec!["http://x".to_owned()]),
            PointerError::Inconsistent(_)
        ));
        assert!(matches!(
            refused(|p| p.trackers = vec![format!("ws://{}", "x".repeat(300))]),
            PointerError::Inconsistent(_)
        ));
    }

    #[test]
    fn tracker_addresses() {
        let check = |urls: Vec<String>, expected| {
            assert_eq!(check_tracker_addresses(&urls).is_ok(), expected, "{urls:?}")
        };
        let of_bytes = |bytes: usize| vec![format!("ws://{}", "x".repeat(bytes - 5))];
        check(Vec::new(), true);
        check(vec!["ws://127.0.0.1:7070/".to_owned()], true);
        check(vec!["wss://tracker.test".to_owned()], true);
        check(vec!["http://tracker.test".to_owned()], false);
        check(of_bytes(URL_BYTES_MAX), true);
        check(of_bytes(URL_BYTES_MAX + 1), false);
        check(vec!["ws://x".to_owned(); URLS_MAX], true);
        check(vec!["ws://x".to_owned(); URLS_MAX + 1], false);
    }
}
