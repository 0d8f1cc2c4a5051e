//! What every sandbox provider implements.
//!
//! A [`Provider`] opens [`Sandbox`]es, a sandbox starts [`Process`]es. All waiting is `async` and cancel-safe where
//! the docs say so; back-pressure is the pull of [`Process::next`]: a provider reads no more than a bounded amount
//! ahead of it. Retry, limits on waiting and redaction are layers around a provider, never inside one.

#[cfg(feature = "conformance")]
pub mod conformance;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
pub use vibekit_core::{Code, Command, Error, Exit, Program, Result, Stdin, Stopped, Stream};

/// What a sandbox is made for.
#[derive(Clone, Debug, Default)]
pub struct OpenRequest {
    /// Environment every command of this attachment gets. Kept in memory by the host side only.
    pub env: Vec<(String, String)>,
    /// `claude`, `codex`, `gemini`, `grok`, `opencode`, or empty.
    pub agent: String,
    /// Working directory, absolute.
    pub working_directory: String,
}

/// What a provider can do. Declared, never discovered by failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Standard output and standard error arrive apart.
    pub separate_streams: bool,
    /// Output arrives byte for byte: NUL, invalid UTF-8 and a missing last line feed included.
    pub exact_output: bool,
    /// Commands may have standard input.
    pub stdin: bool,
    /// [`Control::signal`] reaches the main process.
    pub signals: bool,
    /// [`Control::stop`] and time limits end a command with all its descendants.
    pub stop: bool,
    /// Commands may outlive the call that started them.
    pub background: bool,
    /// `pause` and `resume` freeze processes.
    pub pause: bool,
    /// Where they do not freeze: `pause` ends all processes and keeps files, `thaw` makes commands possible again.
    pub suspend: bool,
    /// A session can be resumed by another process.
    pub resume: bool,
    /// Files can be read and written without a command.
    pub files: bool,
    /// A port can be reached from outside.
    pub host: bool,
    /// Commands can be held to reading ([`Command::read_only`]); a single sandbox may still be unable to, see
    /// [`Sandbox::read_only`].
    pub read_only: bool,
}

impl Capabilities {
    /// Everything good there is; a provider takes away what it has not.
    pub const ALL: Self = Self {
        separate_streams: true,
        exact_output: true,
        stdin: true,
        signals: true,
        stop: true,
        background: true,
        pause: true,
        // What freezes has no need of it.
        suspend: false,
        resume: true,
        files: true,
        host: true,
        read_only: true,
    };
}

/// Opens sandboxes.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Short name, as in `environment.<name>`.
    fn name(&self) -> &'static str;
    /// What it can do.
    fn capabilities(&self) -> Capabilities;
    /// Makes a new sandbox. If the returned future is dropped, nothing is left behind.
    async fn create(&self, request: OpenRequest) -> Result<Arc<dyn Sandbox>>;
    /// Attaches to an existing one.
    async fn resume(&self, id: &str, request: OpenRequest) -> Result<Arc<dyn Sandbox>>;
    /// Finds out by trying whether sandboxes can be had here and now, and what they can do: an object for humans and
    /// programs, of the provider's own shape. Without anything to try it is the [`Capabilities`].
    async fn probe(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self.capabilities())
            .map_err(|error| Error::new(Code::Internal, error.to_string()))
    }
}

/// A place where commands run.
#[async_trait]
pub trait Sandbox: Send + Sync + 'static {
    /// Stable id, the session id of the public API.
    fn id(&self) -> &str;
    /// True after a resume that found files but no processes.
    fn processes_lost(&self) -> bool {
        false
    }
    /// True when the sandbox is frozen.
    fn paused(&self) -> bool {
        false
    }
    /// True when commands in it can be held to reading ([`Command::read_only`]).
    fn read_only(&self) -> bool {
        false
    }
    /// Starts a command. Fails with `SPAWN_FAILED` when there is no such program, and with `UNSUPPORTED` when it is to
    /// be held to reading and cannot be.
    async fn spawn(&self, command: Command) -> Result<Box<dyn Process>>;
    /// Ends everything and forgets the session. Idempotent.
    async fn kill(&self) -> Result<()>;
    /// Freezes all processes; command time limits stop counting. Idempotent.
    async fn pause(&self) -> Result<()>;
    /// Undoes [`Sandbox::pause`]. Idempotent.
    async fn thaw(&self) -> Result<()>;
    /// Name (`host:port` or host) under which a port of the sandbox is reachable from this machine.
    async fn host(&self, port: u16) -> Result<String>;
    /// Lets go without killing (kills when the sandbox is ephemeral). Idempotent.
    async fn release(&self) -> Result<()>;
    /// The record another process stored with [`Sandbox::remember`].
    async fn record(&self) -> Result<Option<String>> {
        Ok(None)
    }
    /// Stores a small JSON text with the session. Providers without a place for it do nothing.
    async fn remember(&self, record: &str) -> Result<()> {
        let _ = record;
        Ok(())
    }
    /// File access without a command, if the provider has it.
    fn files(&self) -> Option<&dyn Files> {
        None
    }
    /// Resolves when the sandbox is gone without having been asked.
    async fn lost(&self) -> Error;
}

/// One entry of a directory listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name without directories.
    pub name: String,
    /// `file`, `directory`, `symlink` or `other`.
    pub kind: &'static str,
    /// Bytes; 0 for anything but files.
    pub size: u64,
}

/// Files of a sandbox. Paths are the sandbox's own (absolute, or relative to the working directory); links that
/// lead out of the sandbox's writable directories are refused, never followed.
#[async_trait]
pub trait Files: Send + Sync {
    /// Whole content.
    async fn read(&self, path: &str) -> Result<Bytes>;
    /// Creates parents, replaces content.
    async fn write(&self, path: &str, content: Bytes) -> Result<()>;
    /// Entries, sorted by name.
    async fn list(&self, path: &str) -> Result<Vec<Entry>>;
    /// Removes a file or a whole directory. Missing is fine.
    async fn remove(&self, path: &str) -> Result<()>;
}

/// A started command.
#[async_trait]
pub trait Process: Send {
    /// Next chunk, `None` after the last. Cancel-safe.
    async fn next(&mut self) -> Result<Option<(Stream, Bytes)>>;
    /// How it ended. Call after `next` gave `None`.
    async fn exit(&mut self) -> Result<Exit>;
    /// A handle to act on the process from elsewhere while `next` is being awaited.
    fn control(&self) -> Arc<dyn Control>;
}

/// Acts on a running command.
#[async_trait]
pub trait Control: Send + Sync {
    /// Id of the main process inside the sandbox, if the provider knows it.
    fn pid(&self) -> Option<u32>;
    /// Writes to standard input; fails when it is not a pipe or closed.
    async fn write(&self, bytes: Bytes) -> Result<()>;
    /// End of file on standard input. Idempotent.
    async fn close_stdin(&self) -> Result<()>;
    /// Sends a signal to the main process.
    async fn signal(&self, signal: i32) -> Result<()>;
    /// Ends the whole tree: TERM, `grace`, KILL, descendants included. The process's `exit` tells what was stopped.
    async fn stop(&self, grace: Duration) -> Result<()>;
}
