//! Stable names of errors, as the vectors give them and the TypeScript twin's `code` repeats them.

use freshet_protocol::{
    BadSignature, EnvelopeError, FrameError, IdError, IntroductionError, KeyDocumentError, KeyError,
    PageError, PatchError, PathError, PointerError, RootError, SealedHeadError, SegmentError, TicketError,
    TrackerMessageError, WireError,
};

/// An error as the vectors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Stable name.
    pub(crate) error: &'static str,
    /// What it is about (the limit, the feature, the type), where the error says so.
    pub(crate) subject: Option<String>,
}

/// An error without a subject.
pub(crate) fn fault(error: &'static str) -> Fault {
    Fault { error, subject: None }
}

/// An error about `subject`.
pub(crate) fn fault_about(error: &'static str, subject: impl ToString) -> Fault {
    Fault { error, subject: Some(subject.to_string()) }
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated => fault("truncated"),
            WireError::IntegerTooLarge => fault("integer-too-large"),
            WireError::IntegerNotShortest => fault("integer-not-shortest"),
            WireError::OverLimit(what) => fault_about("over-limit", what),
            WireError::Invalid(what) => fault_about("invalid", what),
            WireError::Trailing => fault("trailing"),
        }
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Body { error, .. } | FrameError::Head(error) => error.into(),
            FrameError::UnknownCritical(kind) => fault_about("unknown-critical", kind),
        }
    }
}

impl From<IntroductionError> for Fault {
    fn from(error: IntroductionError) -> Self {
        match error {
            IntroductionError::Malformed(_) => fault("malformed"),
            IntroductionError::OverLimit(what) => fault_about("over-limit", what),
            IntroductionError::Pair(pair) => fault_about("pair", pair),
        }
    }
}

impl From<IdError> for Fault {
    fn from(error: IdError) -> Self {
        match error {
            IdError::Hash => fault("hash"),
            IdError::Content(_) => fault("content-name"),
            IdError::Name(_) => fault("name"),
            IdError::Peer => fault("peer-id"),
        }
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Algorithm => fault("key-algorithm"),
            KeyError::Encoding => fault("key-encoding"),
        }
    }
}

impl From<BadSignature> for Fault {
    fn from(BadSignature: BadSignature) -> Self {
        fault("bad-signature")
    }
}

impl From<PathError> for Fault {
    fn from(error: PathError) -> Self {
        fault(match error {
            PathError::Empty => "empty",
            PathError::Absolute => "absolute",
            PathError::Dots => "dots",
            PathError::TooLong => "too-long",
            PathError::Character => "character",
            PathError::Reserved => "reserved",
            PathError::Ending => "ending",
            PathError::Escapes => "escapes",
        })
    }
}

impl From<PageError> for Fault {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Mismatch(_) => fault("mismatch"),
            PageError::Wire(error) => error.into(),
            PageError::Path { error, .. } => fault_about("path", Self::from(error).error),
            PageError::UnknownKind(kind) => fault_about("unknown-kind", kind),
            PageError::Inconsistent(what) => fault_about("inconsistent", what),
        }
    }
}

impl From<EnvelopeError> for Fault {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Malformed(_) => fault("malformed"),
            EnvelopeError::Type { found, .. } => fault_about("wrong-type", found),
            EnvelopeError::TooLong { .. } => fault("too-long"),
            EnvelopeError::TooManySignatures => fault("too-many-signatures"),
            EnvelopeError::Untrusted => fault("untrusted"),
        }
    }
}

impl From<RootError> for Fault {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Envelope(error) => error.into(),
            RootError::Malformed(_) => fault("malformed"),
            RootError::Unsupported(what) => fault_about("unsupported", what),
            RootError::Inconsistent(what) => fault_about("inconsistent", what),
            RootError::Other { .. } => fault("other"),
        }
    }
}

impl From<PatchError> for Fault {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Envelope(error) => error.into(),
            PatchError::Malformed(_) => fault("malformed"),
            PatchError::Unsupported(what) => fault_about("unsupported", what),
            PatchError::Inconsistent(what) => fault_about("inconsistent", what),
            PatchError::Other { .. } => fault("other"),
        }
    }
}

impl From<PointerError> for Fault {
    fn from(error: PointerError) -> Self {
        match error {
            PointerError::Envelope(error) => error.into(),
            PointerError::Malformed(_) => fault("malformed"),
            PointerError::Unsupported(schema) => fault_about("unsupported", format!("schema {schema}")),
            PointerError::Inconsistent(what) => fault_about("inconsistent", what),
            PointerError::Other(_) => fault("other"),
            PointerError::Expired { .. } => fault("expired"),
            PointerError::Older { .. } => fault("older"),
        }
    }
}

impl From<KeyDocumentError> for Fault {
    fn from(error: KeyDocumentError) -> Self {
        match error {
            KeyDocumentError::Envelope(error) => error.into(),
            KeyDocumentError::Malformed(_) => fault("malformed"),
            KeyDocumentError::Unsupported(schema) => fault_about("unsupported", format!("schema {schema}")),
            KeyDocumentError::Inconsistent(what) => fault_about("inconsistent", what),
        }
    }
}

impl From<TicketError> for Fault {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::Wire(error) => error.into(),
            TicketError::Unsupported(version) => fault_about("unsupported", format!("version {version}")),
            TicketError::Untrusted => fault("untrusted"),
            TicketError::Expired { .. } => fault("expired"),
            TicketError::OtherKey => fault("other-key"),
            TicketError::OtherSwarm => fault("other-swarm"),
        }
    }
}

impl From<SealedHeadError> for Fault {
    fn from(error: SealedHeadError) -> Self {
        match error {
            SealedHeadError::Wire(error) => error.into(),
            SealedHeadError::UnknownKind(kind) => fault_about("unknown-kind", kind),
        }
    }
}

impl From<SegmentError> for Fault {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Wire(error) => error.into(),
            SegmentError::Unsupported(what) => fault_about("unsupported", what),
            SegmentError::Untrusted => fault("untrusted"),
            SegmentError::Other(_) => fault("other"),
        }
    }
}

impl From<TrackerMessageError> for Fault {
    fn from(error: TrackerMessageError) -> Self {
        match error {
            TrackerMessageError::TooLong => fault("too-long"),
            TrackerMessageError::Malformed(_) => fault("malformed"),
            TrackerMessageError::OverLimit(what) => fault_about("over-limit", what),
        }
    }
}
