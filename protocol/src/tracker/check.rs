//! What every message is held to, whoever sent it.

use serde::Deserialize;

use super::{Base64, TrackerMessageError};
use crate::envelope::envelope_bytes_max;
use crate::limits::{INTEGER_MAX, SIGNAL_BYTES_MAX, TRACKER_MESSAGE_BYTES_MAX};
use crate::pointer::POINTER_KIND;

/// Reads a message of a size that is allowed.
pub(super) fn read<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<T, TrackerMessageError> {
    if text.len() > TRACKER_MESSAGE_BYTES_MAX {
        return Err(TrackerMessageError::TooLong);
    }
    serde_json::from_slice(text).map_err(|error| TrackerMessageError::Malformed(error.to_string()))
}

pub(super) fn limit(value: usize, max: usize, what: &'static str) -> Result<(), TrackerMessageError> {
    if value <= max { Ok(()) } else { Err(TrackerMessageError::OverLimit(what)) }
}

pub(super) fn limit_integer(value: u64, what: &'static str) -> Result<(), TrackerMessageError> {
    if value <= INTEGER_MAX { Ok(()) } else { Err(TrackerMessageError::OverLimit(what)) }
}

pub(super) fn limit_signal(pair: u64, data: &str) -> Result<(), TrackerMessageError> {
    limit_integer(pair, "pair number")?;
    limit(data.len(), SIGNAL_BYTES_MAX, "signal")
}

pub(super) fn limit_pointer(pointer: &Base64) -> Result<(), TrackerMessageError> {
    limit(pointer.0.len(), envelope_bytes_max(POINTER_KIND), "pointer size")
}
