//! Who we are on the host, and who sessions are.

use std::fs;

use rustix::process::{getegid, geteuid};
use vibekit_core::Result;

use crate::refusal::{Missing, unsupported};

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

/// True when an id map has all ids of sessions: a root of a user namespace often has only a few.
fn covers(map: &str) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        let (first, length) = (fields.next().unwrap_or(0), fields.nth(1).unwrap_or(0));
        first <= u64::from(SESSION_IDS.start) && first + length >= u64::from(SESSION_IDS.end)
    })
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
        let mapped = ["uid_map", "gid_map"]
            .iter()
            .all(|map| fs::read_to_string(format!("/proc/self/{map}")).is_ok_and(|text| covers(&text)));
        Self {
            uid,
            gid: getegid().as_raw(),
            privileged: uid == 0 && mapped && effective.is_some_and(|set| set & NEEDED == NEEDED),
        }
    }

    /// Refuses a root caller that cannot give sessions a user of their own: limits do not hold for host root, and
    /// files it leaves would belong to it.
    pub(crate) fn check(&self) -> Result<()> {
        if self.uid != 0 || self.privileged {
            return Ok(());
        }
        Err(unsupported(vec![Missing {
            feature: "a host user for sessions other than root".into(),
            step: "identity".into(),
            errno: libc::EPERM,
            likely_cause: "the process is root without the rights of root, as in a container".into(),
            fix:
                "Run as an unprivileged user, or give the container CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID."
                    .into(),
        }]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_with_the_sessions_ids_makes_root_able() {
        assert!(covers("         0          0 4294967295\n"));
        assert!(!covers("0 1000 1\n1 100000 65536\n"));
        assert!(!covers(""));
    }
}
