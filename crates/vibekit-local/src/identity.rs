//! Who we are on the host, and who sessions are.

use std::fs;

use rustix::process::{getegid, geteuid};

/// Host user ids sessions of a root caller get, one each: far above every range distributions, containers and systemd
/// hand out, and below 2^31.
pub(crate) const SESSION_IDS: std::ops::Range<u32> = 1_900_000_000..2_100_000_000;

/// The caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// May map sessions to user ids of their own.
    pub(crate) privileged: bool,
}

/// `CHOWN`, `DAC_OVERRIDE`, `KILL`, `SETGID`, `SETUID`, `SYS_ADMIN`.
const NEEDED: u64 = 1 | 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 21;

impl Caller {
    pub(crate) fn current() -> Self {
        let effective = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
            let text = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
            u64::from_str_radix(text.trim(), 16).ok()
        });
        let uid = geteuid().as_raw();
        Self {
            uid,
            gid: getegid().as_raw(),
            privileged: uid == 0 && effective.is_some_and(|set| set & NEEDED == NEEDED),
        }
    }
}
