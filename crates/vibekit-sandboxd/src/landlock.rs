//! A second opinion on file access, beside the private view: what lies outside of it stays closed even through a
//! leaked descriptor, and signals and abstract sockets end at the session's border.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use vibekit_sandboxd_wire::{Config, READ_ONLY_SINCE, Step};

use crate::failure::{self, At};
use crate::sys;

// Rights of linux/landlock.h.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const MAKE_FIFO: u64 = 1 << 10;
const MAKE_BLOCK: u64 = 1 << 11;
const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
const SCOPE_ALL: u64 = 0b11;

/// All that changes a directory or what a file holds. Modes, times and extended attributes are not Landlock's.
const CHANGE: u64 = WRITE_FILE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_CHAR
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_BLOCK
    | MAKE_SYM
    | REFER
    | TRUNCATE;

/// Directories a session may always write to, beside its home.
const SCRATCH: [&str; 2] = ["/tmp", "/dev/shm"];

/// Devices that may be opened for writing.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Enters the domain. Returns the version in force, 0 when the kernel has no Landlock.
pub(crate) fn enter(config: &Config) -> failure::Result<u32> {
    let abi = sys::landlock_version();
    if abi == 0 {
        return Ok(0);
    }
    // Rights 0..=12 exist since the first version.
    let mut handled = (1 << 13) - 1;
    if abi >= 2 {
        handled |= REFER;
    }
    if abi >= 3 {
        handled |= TRUNCATE;
    }
    if abi >= 5 {
        handled |= IOCTL_DEV;
    }
    let read = EXECUTE | READ_FILE | READ_DIR;
    // Device nodes cannot be made without privileges anyway, except the overlay's whiteouts: not from inside either.
    let write = handled & !(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV);
    let node = (READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV) & handled;
    let ruleset = sys::landlock_ruleset(abi, handled, if abi >= 6 { SCOPE_ALL } else { 0 })
        .at(Step::Landlock, || "create_ruleset".into())?;
    let allow =
        |path: &str, access: u64| allow(&ruleset, path, access).at(Step::Landlock, || path.to_owned());
    allow("/", read)?;
    for path in [config.working_directory.as_str(), config.home.as_str()].into_iter().chain(SCRATCH) {
        allow(path, write)?;
    }
    allow("/proc", read | WRITE_FILE)?;
    allow("/dev/pts", read | node)?;
    for device in DEVICES {
        allow(device, node)?;
    }
    sys::landlock_restrict(&ruleset).at(Step::Landlock, || "restrict_self".into())?;
    Ok(abi)
}

/// Puts a command into a domain of its own, so that other commands' memory and environment are closed to it (the kernel
/// asks whether one domain contains the other). It takes no right away. Signals still pass, a later command may end an
/// earlier one.
pub(crate) fn separate() -> Result<(), Errno> {
    let abi = sys::landlock_version();
    if abi == 0 {
        return Ok(());
    }
    if abi < 2 {
        // Denied already, like every right this version has and a session has not.
        return sys::landlock_restrict(&sys::landlock_ruleset(abi, MAKE_BLOCK, 0)?);
    }
    // Of all rights this one is denied by every domain that does not allow it: without it nothing could be moved from
    // one directory to another.
    let ruleset = sys::landlock_ruleset(abi, REFER, 0)?;
    allow(&ruleset, "/", REFER)?;
    sys::landlock_restrict(&ruleset)
}

/// Puts a command into a domain of its own that also takes the working directory's write rights away, for the command
/// and all it starts, for good.
///
/// Fails with `EOPNOTSUPP` where that cannot be had: the kernel is too old, or the working directory lies in a
/// directory that stays writable.
pub(crate) fn read_only(config: &Config) -> Result<(), Errno> {
    let abi = sys::landlock_version();
    let writable = || std::iter::once(config.home.as_str()).chain(SCRATCH);
    if abi < READ_ONLY_SINCE || writable().any(|path| within(&config.working_directory, path)) {
        return Err(Errno::OPNOTSUPP);
    }
    let ruleset = sys::landlock_ruleset(abi, CHANGE, 0)?;
    for path in writable() {
        allow(&ruleset, path, CHANGE)?;
    }
    allow(&ruleset, "/proc", WRITE_FILE)?;
    allow(&ruleset, "/dev/pts", WRITE_FILE | TRUNCATE)?;
    for device in DEVICES {
        allow(&ruleset, device, WRITE_FILE | TRUNCATE)?;
    }
    sys::landlock_restrict(&ruleset)
}

fn within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn allow(ruleset: &OwnedFd, path: &str, access: u64) -> Result<(), Errno> {
    let place = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    sys::landlock_allow(ruleset, place.as_fd(), access)
}
