//! Time that stands still while the session is paused.

use std::time::{Duration, Instant};

/// Running time of the session.
pub(crate) struct Clock {
    before: Duration,
    since: Option<Instant>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { before: Duration::ZERO, since: Some(Instant::now()) }
    }

    /// Running time so far.
    pub(crate) fn now(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn pause(&mut self) {
        self.before = self.now();
        self.since = None;
    }

    pub(crate) fn thaw(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }
}
