//! Holding a session still by the kernel's freezer.
//!
//! Unlike a signal, what is done to a control group nobody in it can notice, and nobody in it can undo. Groups of the second
//! version freeze without any controller and let what is killed die; those of the first would keep it for ever.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

/// How long what was frozen may take to stand still.
const STILL: Duration = Duration::from_secs(2);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(1);

/// The group a session's processes are in from its first pause on; its init is not. It does not exist before.
#[derive(Clone, Debug)]
pub(crate) struct Freezer {
    path: PathBuf,
}

impl Freezer {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes the group if need be and freezes it. Gives the file through which processes join it.
    pub(crate) fn freeze(&self) -> io::Result<OwnedFd> {
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.set("1")?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.path.join("cgroup.procs"), flags, Mode::empty())?)
    }

    /// Waits until everybody in it stands still. False when that takes too long.
    pub(crate) fn wait(&self) -> bool {
        let give_up = Instant::now() + STILL;
        loop {
            let events = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
            if events.lines().any(|line| line == "frozen 1") {
                return true;
            }
            if Instant::now() >= give_up {
                return false;
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Lets everybody in it run. Nothing to do where there is no such group.
    pub(crate) fn thaw(&self) -> io::Result<()> {
        match self.set("0") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn set(&self, value: &str) -> io::Result<()> {
        fs::write(self.path.join("cgroup.freeze"), value)
    }

    /// Removes the group once nobody is in it.
    pub(crate) fn remove(&self) {
        // Most sessions are never paused and have none.
        let _ = fs::remove_dir(&self.path);
    }
}
