//! One command: a small parent of its own that keeps every descendant below it.
//!
//! Daemonised processes are re-parented to the nearest ancestor that asked for them. With a parent per command the
//! init can tell whose they are, and end them with their command.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};
use vibekit_sandboxd_wire::{Config, Exec, Reason};

use crate::{landlock, sys};

/// What the command's parent tells the init, through a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The main process runs.
    Started { pid: u32 },
    /// It could not be started.
    Failed { reason: Reason, errno: i32 },
    /// It has ended.
    Exited { status: i32, cpu_us: u64, max_rss: u64 },
}

/// Starts the parent of a command. Returns its process id and the pipe it reports through.
pub(crate) fn start(exec: &Exec, config: &Config, standard: [&OwnedFd; 3]) -> Result<(u32, OwnedFd), Errno> {
    let (reports, reporter) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    match sys::fork()? {
        Some(pid) => Ok((pid.as_raw_nonzero().get().unsigned_abs(), reports)),
        None => {
            run(exec, config, standard, &reporter);
            sys::exit(0)
        }
    }
}

fn run(exec: &Exec, config: &Config, standard: [&OwnedFd; 3], reporter: &OwnedFd) {
    let reporter = match confine(exec, config).and_then(|()| prepare(standard, reporter)) {
        Ok(reporter) => reporter,
        Err(errno) => {
            return tell(reporter, Report::Failed { reason: Reason::Other, errno: errno.raw_os_error() });
        }
    };
    let outcome = enter(&exec.cwd).and_then(|()| execute(exec));
    // The main process has its copies; ours would keep the caller's pipes open after it has ended.
    let _ = sys::close_range(0, 2);
    let _ = rustix::process::chdir(c"/");
    let main = match outcome {
        Ok(pid) => pid,
        Err((reason, errno)) => {
            return tell(&reporter, Report::Failed { reason, errno: errno.raw_os_error() });
        }
    };
    tell(&reporter, Report::Started { pid: main });
    // Until the last descendant is gone: whoever is left behind stays ours.
    while let Ok(ended) = sys::reap(true) {
        if let Some(ended) = ended.filter(|ended| ended.pid == main) {
            let sys::Ended { status, cpu_us, max_rss, .. } = ended;
            tell(&reporter, Report::Exited { status, cpu_us, max_rss });
        }
    }
}

fn confine(exec: &Exec, config: &Config) -> Result<(), Errno> {
    if exec.read_only { landlock::read_only(config) } else { landlock::separate() }
}

/// Leaves nothing open but the three standard descriptors and the reporter.
fn prepare(standard: [&OwnedFd; 3], reporter: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // High enough that none of the sources is overwritten before it is copied.
    let high = standard.map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 16));
    let [input, output, error] = high;
    rustix::stdio::dup2_stdin(input?)?;
    rustix::stdio::dup2_stdout(output?)?;
    rustix::stdio::dup2_stderr(error?)?;
    let moved = rustix::io::fcntl_dupfd_cloexec(reporter, 3)?;
    let at = std::os::fd::AsRawFd::as_raw_fd(&moved).unsigned_abs();
    if at > 3 {
        sys::close_range(3, at - 1)?;
    }
    sys::close_range(at + 1, u32::MAX)?;
    Ok(moved)
}

fn enter(cwd: &str) -> Result<(), (Reason, Errno)> {
    rustix::process::chdir(cwd).map_err(|errno| (Reason::WorkingDirectory, errno))
}

fn tell(reporter: &impl AsFd, report: Report) {
    let mut buffer = [0; 64];
    if let Ok(bytes) = postcard::to_slice(&report, &mut buffer) {
        // Smaller than PIPE_BUF, so written whole; without a reader there is nobody left to tell.
        let _ = rustix::io::write(reporter, bytes);
    }
}

fn execute(exec: &Exec) -> Result<u32, (Reason, Errno)> {
    let strings = |list: &[Vec<u8>]| -> Result<Vec<CString>, (Reason, Errno)> {
        list.iter()
            .map(|bytes| CString::new(bytes.clone()).map_err(|_| (Reason::Other, Errno::INVAL)))
            .collect()
    };
    let (argv, env) = (strings(&exec.argv)?, strings(&exec.env)?);
    let mut denied = None;
    let searched = !exec.program.contains(&b'/');
    for candidate in candidates(exec)? {
        // Asking costs a system call, trying costs a process.
        if searched && !exists(&candidate) {
            continue;
        }
        match sys::spawn(&candidate, &argv, &env) {
            Ok(pid) => return Ok(pid),
            // A text file without a first line that names an interpreter: shells run it, so does `execvp`.
            Err(Errno::NOEXEC) => {
                let mut script = vec![c"sh".to_owned(), candidate];
                script.extend(argv.iter().skip(1).cloned());
                return sys::spawn(c"/bin/sh", &script, &env).map_err(|errno| (kind(errno), errno));
            }
            Err(Errno::NOENT | Errno::NOTDIR) if !exists(&candidate) => {}
            Err(Errno::NOENT) => denied = denied.or(Some((Reason::BadInterpreter, Errno::NOENT))),
            Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::ISDIR)) => {
                denied = denied.or(Some((Reason::NotExecutable, errno)));
            }
            Err(errno) => return Err((kind(errno), errno)),
        }
    }
    Err(denied.unwrap_or((Reason::NotFound, Errno::NOENT)))
}

fn kind(errno: Errno) -> Reason {
    match errno {
        Errno::TOOBIG => Reason::TooLong,
        Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE => Reason::Resources,
        Errno::NOENT => Reason::NotFound,
        Errno::ACCESS | Errno::PERM | Errno::ISDIR | Errno::NOEXEC => Reason::NotExecutable,
        _ => Reason::Other,
    }
}

fn exists(path: &CString) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok()
}

fn candidates(exec: &Exec) -> Result<Vec<CString>, (Reason, Errno)> {
    let path = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| (Reason::Other, Errno::INVAL));
    if exec.program.is_empty() {
        return Err((Reason::NotFound, Errno::NOENT));
    }
    if exec.program.contains(&b'/') {
        return Ok(vec![path(exec.program.clone())?]);
    }
    let search = exec.env.iter().rev().find_map(|entry| entry.strip_prefix(b"PATH="));
    std::env::split_paths(std::ffi::OsStr::from_bytes(search.unwrap_or(b"/usr/bin:/bin")))
        .map(|directory| {
            let mut full = directory.as_os_str().as_bytes().to_vec();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(&exec.program);
            path(full)
        })
        .collect()
}
