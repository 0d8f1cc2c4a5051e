//! What is known of a sandbox, shared by everything that works in it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use vibekit_sandbox::{Code, Error, Result};

use super::control::Control;
use super::errors;

/// State of a sandbox, as far as this process knows.
#[derive(Clone, Debug)]
pub(super) enum State {
    Running,
    Paused,
    /// It was asked to be killed; the answer is not there yet. What breaks now breaks because of that.
    Killing {
        /// What it was before, should it not work.
        paused: bool,
    },
    /// For good: killed, let go of, or lost. The error is what calls get from now on.
    Over(Error),
}

pub(super) struct Life {
    state: watch::Sender<State>,
    /// When the lifetime was last counted from.
    renewed: Mutex<Instant>,
    /// Pausing, thawing, and what a paused sandbox is woken for: one after the other.
    turn: tokio::sync::Mutex<()>,
}

impl Life {
    pub(super) fn new() -> Self {
        Self {
            state: watch::channel(State::Running).0,
            renewed: Mutex::new(Instant::now()),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until nobody else changes whether the sandbox is paused, and keeps others from it.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn follow(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn is_paused(&self) -> bool {
        matches!(*self.state.borrow(), State::Paused)
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.state.send_if_modified(|state| match (&state, paused) {
            (State::Running, true) => {
                *state = State::Paused;
                true
            }
            (State::Paused, false) => {
                *state = State::Running;
                true
            }
            _ => false,
        });
    }

    /// A kill begins.
    pub(super) fn begin_kill(&self) {
        self.state.send_if_modified(|state| {
            let paused = match state {
                State::Running => false,
                State::Paused => true,
                State::Killing { .. } | State::Over(_) => return false,
            };
            *state = State::Killing { paused };
            true
        });
    }

    /// It did not work.
    pub(super) fn kill_failed(&self) {
        self.state.send_if_modified(|state| match *state {
            State::Killing { paused } => {
                *state = if paused { State::Paused } else { State::Running };
                true
            }
            _ => false,
        });
    }

    /// The first reason is the one that counts.
    pub(super) fn end(&self, error: Error) {
        self.state.send_if_modified(|state| {
            if matches!(state, State::Over(_)) {
                return false;
            }
            *state = State::Over(error);
            true
        });
    }

    /// Whether work may begin.
    pub(super) fn check(&self) -> Result<()> {
        match self.state() {
            State::Running => Ok(()),
            State::Paused => Err(paused()),
            State::Killing { .. } => Err(killed()),
            State::Over(error) => Err(error),
        }
    }

    /// The lifetime was counted anew.
    pub(super) fn was_renewed(&self) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When it should be the next time: a third of it has passed by then.
    pub(super) fn renew_at(&self, ttl: Duration) -> Instant {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) + ttl / 3
    }
}

pub(super) fn killed() -> Error {
    Error::new(Code::SandboxKilled, "The sandbox was killed")
}

pub(super) fn paused() -> Error {
    Error::new(Code::SandboxPaused, "E2B: the sandbox is paused.").with_hint("Resume it first.")
}

/// The edge says that nothing runs under this id. Why that is; `None` when the control plane says that it does run, or says
/// nothing: a route may take a moment to appear.
pub(super) async fn why_gone(control: &Control, id: &str) -> Option<Error> {
    match control.info(id).await {
        Ok(info) if info.state == "paused" => Some(paused()),
        Ok(_) => None,
        Err(error) if error.code == Code::SessionNotFound => Some(errors::gone(id)),
        Err(_) => None,
    }
}

/// What a call is to be told as that found nobody there: gone only if it is.
pub(super) async fn judge<T>(control: &Control, id: &str, outcome: Result<T>) -> Result<T> {
    match outcome {
        Err(error) if error.code == Code::SandboxLost => {
            Err(why_gone(control, id).await.unwrap_or_else(|| errors::unreachable(id)))
        }
        outcome => outcome,
    }
}
