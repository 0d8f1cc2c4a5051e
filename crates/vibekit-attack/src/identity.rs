//! Becoming somebody else, and what was left lying around for us.

use std::process::{Command, Stdio};

use crate::report::{isolated, say};
use crate::sys::{self, Errno, sys};

/// Programs that are set-uid, or carry capabilities, on common systems.
const RAISERS: &[&str] = &[
    "/usr/bin/su",
    "/usr/bin/sudo",
    "/usr/bin/passwd",
    "/usr/bin/mount",
    "/usr/bin/newgrp",
    "/usr/bin/ping",
    "/usr/bin/chsh",
];

/// Other users, other groups, more capabilities.
pub(crate) fn identity() {
    isolated(22, "setuid 0", || changed(|| sys!(libc::SYS_setuid, 0)));
    isolated(22, "setresuid 0", || changed(|| sys!(libc::SYS_setresuid, 0, 0, 0)));
    isolated(22, "setresuid 65534", || changed(|| sys!(libc::SYS_setresuid, 65_533, 65_533, 65_533)));
    isolated(22, "setresgid 0", || changed(|| sys!(libc::SYS_setresgid, 0, 0, 0)));
    isolated(22, "setfsuid 0", || {
        sys!(libc::SYS_setfsuid, 0)?;
        // Gives the previous one: 0 only if the call before took effect.
        match sys!(libc::SYS_setfsuid, -1)? {
            0 => Ok("fsuid 0"),
            _ => Err(Errno(libc::EPERM)),
        }
    });
    isolated(22, "setgroups", || {
        let groups = [0_u32, 27, 999];
        sys!(libc::SYS_setgroups, groups.len(), groups.as_ptr())
    });
    isolated(22, "capset", || {
        let header = [0x2008_0522_u32, 0];
        let all = [u32::MAX; 6];
        sys!(libc::SYS_capset, header.as_ptr(), all.as_ptr())
    });
    isolated(22, "ambient capability", || sys!(libc::SYS_prctl, 47, 2, 21, 0, 0));
    isolated(22, "drop no_new_privs", || sys!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    for program in RAISERS {
        isolated(22, &format!("run {program}"), || raised(program));
    }
    isolated(22, "status", || {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let wanted = ["Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp"];
        let lines = status.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start)));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    });
}

/// Success only if somebody else is who we are afterwards.
fn changed(attempt: impl FnOnce() -> Result<i64, Errno>) -> Result<String, Errno> {
    let before = ids("self")?;
    attempt()?;
    let after = ids("self")?;
    if after == before { Err(Errno(libc::EPERM)) } else { Ok(after) }
}

/// Runs a program and looks whether the kernel gave it another user or capabilities.
fn raised(program: &str) -> Result<String, Errno> {
    let own = ids("self")?;
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = child.id().to_string();
    let mut found = Err(Errno(libc::EPERM));
    for _ in 0..40 {
        match ids(&pid) {
            Ok(ids) if ids != own => found = Ok(ids),
            Ok(_) => {}
            Err(_) => break,
        }
        sys::sleep_ms(2);
    }
    let _ = child.kill();
    let _ = child.wait();
    found
}

/// User, group and capability lines of a process that has not ended.
fn ids(pid: &str) -> Result<String, Errno> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    if status.lines().any(|line| line.starts_with("State:\tZ")) {
        return Err(Errno(libc::ESRCH));
    }
    let wanted = ["Uid:", "Gid:", "CapPrm:", "CapEff:"];
    let lines = status.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start)));
    Ok(lines.collect::<Vec<_>>().join(" "))
}

/// Descriptors that are open beside the three that should be, with what they are.
pub(crate) fn descriptors() {
    let mut found = 0;
    for fd in 3..4096 {
        if sys!(libc::SYS_fcntl, fd, libc::F_GETFD).is_ok() {
            let target = std::fs::read_link(format!("/proc/self/fd/{fd}"));
            let target = target.map(|path| path.display().to_string()).unwrap_or_default();
            say(17, &format!("descriptor {fd}"), "ok", &target);
            found += 1;
        }
    }
    if found == 0 {
        say(17, "descriptors", "EBADF", "");
    }
}

/// The whole environment, one line each.
pub(crate) fn environment() {
    for (name, value) in std::env::vars_os() {
        say(18, &format!("variable {}", name.display()), "ok", &value.to_string_lossy());
    }
}
