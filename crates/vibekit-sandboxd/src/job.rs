//! What the init knows of a command.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use vibekit_sandboxd_wire::{Background, StoppedTree};

use crate::command::Report;

/// A command and what is left of it.
pub(crate) struct Job {
    pub(crate) id: u32,
    /// Its parent, see [`crate::command`].
    pub(crate) parent: u32,
    /// `None` once the parent is gone.
    pub(crate) reports: Option<OwnedFd>,
    pub(crate) main: u32,
    pub(crate) ended: Option<Ended>,
    /// The host has been told the end.
    pub(crate) told: bool,
    pub(crate) stop: Option<Stop>,
    pub(crate) log: Option<Log>,
    /// Running time of the session at which a background command is stopped, and the grace it gets then.
    pub(crate) deadline: Option<(Duration, u64)>,
    pub(crate) background: bool,
}

/// How the main process ended.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) cpu_us: u64,
    pub(crate) max_rss: u64,
}

impl Ended {
    /// Code as shells report it, and the signal.
    pub(crate) fn code(&self) -> (i32, i32) {
        if libc::WIFSIGNALED(self.status) {
            let signal = libc::WTERMSIG(self.status);
            (128 + signal, signal)
        } else {
            (libc::WEXITSTATUS(self.status), 0)
        }
    }
}

/// A stop under way.
#[derive(Default)]
pub(crate) struct Stop {
    /// When TERM turns into KILL, then when the next round is due. Real time: a paused session can be stopped too.
    pub(crate) next: Option<std::time::Instant>,
    /// When the whole session is ended instead.
    pub(crate) give_up: Option<std::time::Instant>,
    /// Rounds of KILL so far.
    pub(crate) rounds: u32,
    /// Everybody it found.
    pub(crate) seen: BTreeMap<u32, String>,
    pub(crate) session_reset: bool,
    pub(crate) timed_out: bool,
}

impl Stop {
    pub(crate) fn result(&self) -> StoppedTree {
        StoppedTree {
            processes: u32::try_from(self.seen.len()).unwrap_or(u32::MAX),
            names: self.seen.values().take(32).cloned().collect(),
            session_reset: self.session_reset,
            timed_out: self.timed_out,
        }
    }
}

/// Output of a background command on its way to a file. The command writes to a pipe, so a full log neither blocks
/// nor kills it.
pub(crate) struct Log {
    pub(crate) output: Option<OwnedFd>,
    file: OwnedFd,
    left: u64,
    pub(crate) dropped: u64,
}

impl Log {
    pub(crate) fn new(output: OwnedFd, file: OwnedFd, background: &Background) -> Self {
        Self { output: Some(output), file, left: background.log_limit, dropped: 0 }
    }

    /// Moves what is there, at most one buffer, so that one command cannot keep the init from the others.
    pub(crate) fn pump(&mut self, buffer: &mut [u8]) {
        let Some(output) = &self.output else { return };
        match rustix::io::read(output, &mut *buffer) {
            Ok(0) => self.output = None,
            Ok(n) => {
                let keep = n.min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let kept = write(&self.file, buffer.get(..keep).unwrap_or_default());
                self.left -= kept as u64;
                self.dropped += (n - kept) as u64;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.output = None,
        }
    }
}

/// Writes as much as the disk takes.
fn write(file: &OwnedFd, bytes: &[u8]) -> usize {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(file, rest) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    done
}

impl Job {
    /// Reads all reports that are there. True when the parent is gone.
    pub(crate) fn reports(&mut self, mut each: impl FnMut(&mut Self, Report)) -> bool {
        let mut buffer = [0; 256];
        loop {
            let Some(reports) = &self.reports else { return true };
            match rustix::io::read(reports, &mut buffer) {
                Ok(0) => {
                    self.reports = None;
                    return true;
                }
                Ok(n) => {
                    // Each report is written whole, and there are at most two.
                    let mut rest = buffer.get(..n).unwrap_or_default();
                    while let Ok((report, more)) = postcard::take_from_bytes(rest) {
                        rest = more;
                        each(self, report);
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}
