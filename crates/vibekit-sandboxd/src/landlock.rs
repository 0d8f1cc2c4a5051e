//! A second opinion on file access, beside the private view: what lies outside of it stays closed even through a
//! leaked descriptor, and signals and abstract sockets end at the session's border.

use rustix::fs::{Mode, OFlags};
use vibekit_sandboxd_wire::{Config, Step};

use crate::failure::{At, Result};
use crate::sys;

// Rights of linux/landlock.h.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
const SCOPE_ALL: u64 = 0b11;

/// Enters the domain. Returns the version in force, 0 when the kernel has no Landlock.
pub(crate) fn enter(config: &Config) -> Result<u32> {
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
    let allow = |path: &str, access: u64| {
        let at = || path.to_owned();
        let fd =
            rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at(Step::Landlock, at)?;
        sys::landlock_allow(&ruleset, std::os::fd::AsFd::as_fd(&fd), access).at(Step::Landlock, at)
    };
    allow("/", read)?;
    for path in [config.working_directory.as_str(), config.home.as_str(), "/tmp", "/dev/shm"] {
        allow(path, write)?;
    }
    allow("/proc", read | WRITE_FILE)?;
    allow("/dev/pts", read | node)?;
    for device in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"] {
        allow(device, node)?;
    }
    sys::landlock_restrict(&ruleset).at(Step::Landlock, || "restrict_self".into())?;
    Ok(abi)
}

/// Puts a command into a domain of its own, so that other commands' memory and environment are closed to it (the kernel
/// asks whether one domain contains the other). It takes no right away: what it handles is denied already. Signals
/// still pass, a later command may end an earlier one.
pub(crate) fn separate() -> std::result::Result<(), rustix::io::Errno> {
    let abi = sys::landlock_version();
    if abi == 0 {
        return Ok(());
    }
    sys::landlock_restrict(&sys::landlock_ruleset(abi, MAKE_BLOCK, 0)?)
}
