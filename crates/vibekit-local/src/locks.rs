//! Who owns which session.
//!
//! A process owns a session while it holds the lock of one byte of the state directory's `format` file; which byte
//! follows from the session's id. One descriptor so holds the locks of any number of sessions, and making a session
//! needs no file for it. The kernel gives a lock back when its holder is gone, in whatever way.
//!
//! The locks are those of open file descriptions (`F_OFD_SETLK`): they belong to the descriptor, not to the process, and
//! closing another descriptor of the same file does not lose them.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The open files of this process by path, so that all objects on one state directory share one.
static FILES: LazyLock<Mutex<HashMap<PathBuf, Weak<Locks>>>> = LazyLock::new(Mutex::default);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock file of one state directory.
#[derive(Debug)]
pub(crate) struct Locks {
    file: OwnedFd,
    /// Device and inode, to notice that the directory was made anew.
    identity: (u64, u64),
    /// What this process holds. The kernel would give a second holder of the same descriptor the lock again.
    held: Mutex<HashSet<i64>>,
}

/// One held lock.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    locks: Arc<Locks>,
    place: i64,
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        let mut held = locked(&self.locks.held);
        // In this order nobody of this process takes it between the two.
        let _ = set(self.locks.file.as_fd(), libc::F_UNLCK, self.place);
        held.remove(&self.place);
    }
}

impl Locks {
    /// The locks kept in an existing file.
    ///
    /// # Errors
    /// What opening it says.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, Errno> {
        let found = rustix::fs::stat(path)?;
        let identity = (found.st_dev, found.st_ino);
        let mut files = locked(&FILES);
        if let Some(locks) = files.get(path).and_then(Weak::upgrade)
            && locks.identity == identity
        {
            return Ok(locks);
        }
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        let opened = rustix::fs::fstat(&file)?;
        let identity = (opened.st_dev, opened.st_ino);
        let locks = Arc::new(Self { file, identity, held: Mutex::default() });
        files.retain(|_, locks| locks.strong_count() > 0);
        files.insert(path.to_owned(), Arc::downgrade(&locks));
        Ok(locks)
    }

    /// Takes the lock of a session; `None` when somebody has it, in this process or another.
    ///
    /// # Errors
    /// What the kernel says, `ENOLCK` for instance.
    pub(crate) fn take(self: &Arc<Self>, id: &str) -> Result<Option<OwnerLock>, Errno> {
        let place = place(id);
        let mut held = locked(&self.held);
        if held.contains(&place) || !set(self.file.as_fd(), libc::F_WRLCK, place)? {
            return Ok(None);
        }
        held.insert(place);
        Ok(Some(OwnerLock { locks: Arc::clone(self), place }))
    }
}

/// Twelve of an id's random characters, 60 bits: far too many for two sessions to meet.
fn place(id: &str) -> i64 {
    let digit = |byte: u8| match byte {
        b'a'..=b'z' => byte - b'a',
        b'2'..=b'7' => byte - b'2' + 26,
        _ => 0,
    };
    id.bytes().rev().take(12).fold(0, |place, byte| place << 5 | i64::from(digit(byte)))
}

/// Takes a read lock of the first byte, for whoever holds the descriptor. `None` when a lock is there already.
pub(crate) fn share(file: OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    // Whether anybody shares it is what a writer would be told; asking needs no right to write.
    if !free(file.as_fd())? {
        return Ok(None);
    }
    Ok(set(file.as_fd(), libc::F_RDLCK, 0)?.then_some(file))
}

fn request(kind: i32, place: i64) -> libc::flock {
    // The constants are small, and the field's type differs between targets.
    let whence = libc::SEEK_SET as libc::c_short;
    libc::flock { l_type: kind as libc::c_short, l_whence: whence, l_start: place, l_len: 1, l_pid: 0 }
}

/// False when somebody else has a lock that excludes this one.
fn set(file: BorrowedFd<'_>, kind: i32, place: i64) -> Result<bool, Errno> {
    let lock = request(kind, place);
    loop {
        // SAFETY: the structure lives through the call, which reads it.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
            return Ok(true);
        }
        match last() {
            Errno::INTR => {}
            Errno::AGAIN | Errno::ACCESS => return Ok(false),
            errno => return Err(errno),
        }
    }
}

/// True when nobody else has any lock of the first byte.
fn free(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut lock = request(libc::F_WRLCK, 0);
    // SAFETY: the structure lives through the call, which reads and overwrites it.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) } != 0 {
        return Err(last());
    }
    Ok(i32::from(lock.l_type) == libc::F_UNLCK)
}

fn last() -> Errno {
    crate::fail::errno(&std::io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const A: &str = "lcl_aaaaaaaaaaaaaaaaaaaaaaaaab";
    const B: &str = "lcl_aaaaaaaaaaaaaaaaaaaaaaaaac";

    #[test]
    fn a_session_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("format");
        std::fs::write(&path, "").unwrap();
        let locks = Locks::open(&path).unwrap();
        let first = locks.take(A).unwrap().unwrap();
        // By whoever asks: another object of this process, or a descriptor of its own, as another process has.
        assert!(Locks::open(&path).unwrap().take(A).unwrap().is_none());
        let link = directory.path().join("link");
        std::fs::hard_link(&path, &link).unwrap();
        let other = Locks::open(&link).unwrap();
        assert!(!Arc::ptr_eq(&locks, &other));
        assert!(other.take(A).unwrap().is_none());
        let second = other.take(B).unwrap().unwrap();
        drop(first);
        assert!(locks.take(B).unwrap().is_none());
        assert!(other.take(A).unwrap().is_some());
        drop(second);
        assert!(locks.take(B).unwrap().is_some());
    }

    #[test]
    fn a_state_directory_that_was_made_anew_has_new_locks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("format");
        std::fs::write(&path, "").unwrap();
        let old = Locks::open(&path).unwrap();
        let _kept = old.take(A).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        // The file system may give the new file the old one's number only once nobody has it open any more.
        assert!(Locks::open(&path).unwrap().take(A).unwrap().is_some());
    }

    #[test]
    fn a_shared_lock_is_seen_and_ends_with_its_last_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meta.json");
        std::fs::write(&path, "").unwrap();
        let open = || rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let held = share(open()).unwrap().unwrap();
        let copy = rustix::io::fcntl_dupfd_cloexec(&held, 3).unwrap();
        drop(held);
        assert!(share(open()).unwrap().is_none());
        drop(copy);
        assert!(share(open()).unwrap().is_some());
    }
}
