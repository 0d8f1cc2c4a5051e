//! Running time of a session: it stands still while the session is paused.

use std::time::{Duration, Instant};

use tokio::sync::watch;

#[derive(Clone, Copy)]
struct State {
    before: Duration,
    since: Option<Instant>,
}

impl State {
    fn now(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// A clock that can be paused.
pub(crate) struct Clock(watch::Sender<State>);

impl Clock {
    /// Running, or paused from the start.
    pub(crate) fn new(paused: bool) -> Self {
        let since = (!paused).then(Instant::now);
        Self(watch::Sender::new(State { before: Duration::ZERO, since }))
    }

    pub(crate) fn paused(&self) -> bool {
        self.0.borrow().since.is_none()
    }

    /// Stops or starts it. True when that changed anything.
    pub(crate) fn set_paused(&self, paused: bool) -> bool {
        self.0.send_if_modified(|state| {
            if paused == state.since.is_none() {
                return false;
            }
            *state = State { before: state.now(), since: (!paused).then(Instant::now) };
            true
        })
    }

    /// Waits until `span` of running time has passed from now on. Cancel-safe.
    pub(crate) async fn sleep(&self, span: Duration) {
        let mut changes = self.0.subscribe();
        let until = changes.borrow_and_update().now().saturating_add(span);
        loop {
            let state = *changes.borrow_and_update();
            let left = until.saturating_sub(state.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left), if state.since.is_some() => {}
                // The sender lives as long as `self`.
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_paused_clock_does_not_wake_sleepers() {
        let clock = Clock::new(false);
        assert!(clock.set_paused(true));
        assert!(!clock.set_paused(true));
        let early =
            tokio::time::timeout(Duration::from_millis(60), clock.sleep(Duration::from_millis(20))).await;
        assert!(early.is_err());
        clock.set_paused(false);
        let sleep = clock.sleep(Duration::from_millis(20));
        assert!(tokio::time::timeout(Duration::from_secs(5), sleep).await.is_ok());
    }
}
