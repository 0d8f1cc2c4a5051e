use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch that never go back.
pub(crate) struct Clock {
    epoch_ms: u64,
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch_ms: millis(since_epoch), origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> u64 {
        self.epoch_ms + millis(self.origin.elapsed())
    }
}

#[cfg(test)]
impl Clock {
    /// A clock that is ahead of the world's.
    pub(crate) fn ahead(ms: u64) -> Self {
        let clock = Self::new();
        Self { epoch_ms: clock.epoch_ms + ms, ..clock }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
