//! Commands that are played instead of run, for tests that need many of them.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

/// What a command does.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// What it writes: after how long, whether to standard error, and what.
    pub output: Vec<(Duration, bool, Bytes)>,
    /// Then it waits until this is true.
    pub until: Option<watch::Receiver<bool>>,
    /// What it writes at the end, as above.
    pub last: Vec<(Duration, bool, Bytes)>,
    /// Exit code.
    pub code: i32,
}

impl Play {
    /// Plays it: `write` takes what it writes, and says if somebody still listens.
    pub(crate) async fn run<W: Future<Output = bool>>(
        self,
        mut write: impl FnMut(bool, Bytes) -> W,
    ) -> Option<i32> {
        for (after, error, bytes) in self.output {
            tokio::time::sleep(after).await;
            if !write(error, bytes).await {
                return None;
            }
        }
        if let Some(mut until) = self.until {
            // A player that is gone ends its commands.
            let _ = until.wait_for(|over| *over).await;
        }
        for (after, error, bytes) in self.last {
            tokio::time::sleep(after).await;
            if !write(error, bytes).await {
                return None;
            }
        }
        Some(self.code)
    }
}

/// Plays commands.
pub trait Player: Send + Sync {
    /// What this command does. `text` is what a shell would get.
    fn play(&self, text: &str) -> Play;
    /// What a command does that is not followed: exit code and output.
    fn one_shot(&self, text: &str) -> (i32, String) {
        let _ = text;
        (0, String::new())
    }
}
