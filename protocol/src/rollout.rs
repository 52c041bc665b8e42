//! A rollout: a release that a stable share of a channel's installations take before the others.

use serde::{Deserialize, Serialize};

use crate::id::{Hash, Name, RootId};
use crate::pointer::PatchRef;

/// All installations, in the unit of shares.
const WHOLE_PERMILLE: u32 = 1000;

/// A release that only some installations take yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// How many of 1000 installations take it, 1 to 999.
    pub permille: u32,
    /// The release.
    pub root: RootId,
    /// The release's version.
    pub version: Name,
    /// Patches that lead to it.
    pub patches: Vec<PatchRef>,
}

impl Rollout {
    /// Whether the installation of this secret takes it. A larger share holds all of a smaller one, and another release
    /// begins with other installations.
    pub fn takes(&self, install: Hash) -> bool {
        let mut bytes = self.root.0.0.to_vec();
        bytes.extend_from_slice(&install.0);
        let drawn = (u64::from(Hash::of(&bytes).prefix32()) * u64::from(WHOLE_PERMILLE)) >> 32;
        drawn < u64::from(self.permille)
    }

    pub(crate) fn is_share(&self) -> bool {
        (1..WHOLE_PERMILLE).contains(&self.permille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_stable_grow_and_begin_elsewhere() {
        let rollout = |permille, name: &[u8]| Rollout {
            permille,
            root: RootId::of(name),
            version: "2".parse().expect("name"),
            patches: Vec::new(),
        };
        let installs: Vec<Hash> = (0..20_000_u32).map(|n| Hash::of(&n.to_be_bytes())).collect();
        let taking =
            |rollout: &Rollout| -> Vec<bool> { installs.iter().map(|one| rollout.takes(*one)).collect() };
        let count = |taken: &[bool]| taken.iter().filter(|taken| **taken).count();
        let (few, more, other) =
            (taking(&rollout(50, b"a")), taking(&rollout(500, b"a")), taking(&rollout(50, b"b")));
        assert!((900..1100).contains(&count(&few)), "{}", count(&few));
        assert!((9800..10_200).contains(&count(&more)), "{}", count(&more));
        assert!(
            few.iter().zip(&more).all(|(few, more)| !few || *more),
            "a larger share holds the smaller one"
        );
        let both = few.iter().zip(&other).filter(|(one, other)| **one && **other).count();
        assert!(both < 100, "{both} of 1000 are the first twice");
    }
}
