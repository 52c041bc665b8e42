//! A hash over all events, by which two runs are seen to be the same.

/// The hash so far. Not cryptographic: nobody is deceived here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trace(u64);

impl Trace {
    pub(super) fn add(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    pub(super) fn text(self) -> String {
        format!("{:016x}", self.0)
    }
}
