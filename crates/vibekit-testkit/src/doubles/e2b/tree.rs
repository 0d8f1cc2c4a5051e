//! What runs in a sandbox: every process that carries its id in its environment, whoever its parent is by now.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};

/// The variable; clients do not see it in their own requests.
pub(super) const MARK: &str = "E2B_SANDBOX_ID";

/// A folder with a `sudo` that changes nothing: templates have one, test machines need not.
pub(super) fn folder() -> io::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("vibekit-e2b-double-").tempdir()?;
    let bin = folder.path().join("bin");
    fs::create_dir(&bin)?;
    let sudo = bin.join("sudo");
    fs::write(&sudo, "#!/bin/sh\n[ \"$1\" = -n ] && shift\nexec \"$@\"\n")?;
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Ids of the processes of a sandbox, zombies not counted.
pub(super) fn of_sandbox(id: &str) -> Vec<u32> {
    let mark = format!("{MARK}={id}\0").into_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A zombie's is empty.
        let Ok(environ) = fs::read(entry.path().join("environ")) else { continue };
        if environ.windows(mark.len()).any(|part| part == mark) {
            pids.push(pid);
        }
    }
    pids
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended in this moment.
        let _ = kill_process(pid, signal);
    }
}

pub(super) fn signal_one(pid: u32, number: i32) {
    match number {
        15 => signal(pid, Signal::TERM),
        _ => signal(pid, Signal::KILL),
    }
}

/// Ends all of them, those included that are being made.
pub(super) fn kill(id: &str) {
    for _ in 0..100 {
        let pids = of_sandbox(id);
        if pids.is_empty() {
            return;
        }
        pids.into_iter().for_each(|pid| signal(pid, Signal::KILL));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

pub(super) fn freeze(id: &str) {
    of_sandbox(id).into_iter().for_each(|pid| signal(pid, Signal::STOP));
}

pub(super) fn thaw(id: &str) {
    of_sandbox(id).into_iter().for_each(|pid| signal(pid, Signal::CONT));
}
