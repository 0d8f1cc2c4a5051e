//! How long the machine waits, in milliseconds. Every wait has one of these.

/// For a sandbox to open. An answer that comes later is closed, or released if it was a resume.
pub const OPEN: u64 = 600_000;
/// For a sandbox to be killed.
pub const CLOSE: u64 = 60_000;
/// For the name of a port.
pub const CONTROL: u64 = 60_000;
/// For pause and thaw: a service writes out the memory of a sandbox, which takes seconds for each GiB.
pub const PAUSE: u64 = 150_000;
/// For a run, when the caller sets none.
pub const RUN: u64 = 3_600_000;
/// On top of a run's own limit, for the provider to enforce it and to tell.
pub const RUN_GRACE: u64 = 10_000;
/// For a run to end after it was stopped. The call is settled then in any case.
pub const STOP: u64 = 5_000;
/// For `dispose` to see running work end and unfinished sandboxes go.
pub const DISPOSE: u64 = 60_000;
/// Helper commands of ours: making the working directory, a branch probe, a change of branch, a clone.
pub const MKDIR: u64 = 30_000;
/// `git rev-parse`.
pub const PROBE: u64 = 10_000;
/// `git checkout` before a command.
pub const CHECKOUT: u64 = 30_000;
/// `git checkout`, `git pull` and `git config` before a turn.
pub const GIT: u64 = 60_000;
/// Making a worktree, which fetches.
pub const WORKTREE: u64 = 120_000;
/// For an answer of GitHub's.
pub const GITHUB: u64 = 60_000;
/// For an answer of a model's.
pub const MODEL: u64 = 300_000;
/// Before closing a sandbox that nobody owns is tried again, by the number of failures so far. After the last one the
/// machine lets go of it.
pub const CLOSE_RETRIES: [u64; 5] = [1_000, 5_000, 15_000, 60_000, 300_000];
/// Bytes kept per stream for a result, when the caller sets none.
pub const KEEP: u64 = 64 << 20;
/// Bytes of `stdout` and `stderr` together up to which the `end` message repeats them.
pub const END_MESSAGE: usize = 1 << 20;
