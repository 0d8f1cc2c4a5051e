//! Everybody into one control group.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::processes;

/// After this whoever forks faster than we look has won.
const GIVE_UP: Duration = Duration::from_secs(1);

/// Moves all processes but the init into the frozen group behind `procs`, until nobody is left outside. False when that
/// cannot be had.
///
/// The host opened the file, and its rights count, not ours; but the numbers are those of this namespace. Who has been
/// moved stands still and forks no more, so this ends.
pub(crate) fn gather(procs: &OwnedFd) -> bool {
    let begun = Instant::now();
    let mut moved = HashSet::new();
    loop {
        let outside: Vec<u32> =
            processes::all().iter().map(|process| process.pid).filter(|pid| !moved.contains(pid)).collect();
        if outside.is_empty() {
            return true;
        }
        if begun.elapsed() > GIVE_UP {
            return false;
        }
        for pid in outside {
            match rustix::io::write(procs, pid.to_string().as_bytes()) {
                // Who is gone needs no moving; nor does a zombie, of which there is nothing left to move.
                Ok(_) | Err(Errno::SRCH) => {}
                Err(_) => return false,
            }
            moved.insert(pid);
        }
    }
}
