//! Commands that are played instead of run, for tests that need many of them.

use std::time::Duration;

use bytes::Bytes;

/// What a command does.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// What it writes: after how long, whether to standard error, and what.
    pub output: Vec<(Duration, bool, Bytes)>,
    /// Exit code; `None`: it never ends by itself.
    pub code: Option<i32>,
}

/// Plays commands.
pub trait Player: Send + Sync {
    /// What this command does. `text` is what a shell would get.
    fn play(&self, text: &str) -> Play;
}
