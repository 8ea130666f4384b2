//! Time and randomness, which the caller brings.

use core::time::Duration;

/// Milliseconds since an epoch of the caller's choice, on a clock that never goes back.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Instant(pub u64);

impl Instant {
    /// Saturates at the end of time.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A cryptographically secure source that does not fail.
pub trait Random {
    fn fill(&mut self, out: &mut [u8]);
}
