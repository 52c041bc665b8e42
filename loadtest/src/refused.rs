//! What a user asked for and cannot have: other arguments would cure it, so the exit code differs from a failed run's.

/// One sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Refuses unless `holds`.
pub(crate) fn refuse_unless(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused(sentence())) }
}
