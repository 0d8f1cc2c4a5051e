//! Other processes: signals, memory, descriptors, secrets.

use std::ffi::OsString;

use crate::report::{isolated, say, tell};
use crate::sys::{self, Attempt, Errno, sys};

/// Where a process has its program's header: where its maps say, or where a static program that does not move has it.
fn header(pid: i32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let first = maps.split('-').next().unwrap_or_default();
    usize::from_str_radix(first, 16).unwrap_or(0x40_0000)
}

/// Numbers of the processes we can see, ourselves left out.
pub(crate) fn pids() -> Vec<i32> {
    let own = std::process::id() as i32;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != own).collect()
}

/// `signal SIGNAL PID …`: sends it to each, by number and by handle.
pub(crate) fn signal(arguments: &[OsString]) {
    let numbers: Vec<i32> =
        arguments.iter().filter_map(|text| text.to_str()).filter_map(|text| text.parse().ok()).collect();
    let Some((signal, targets)) = numbers.split_first() else { return };
    for pid in targets {
        tell(11, &format!("kill {pid} with {signal}"), sys!(libc::SYS_kill, *pid, *signal));
        isolated(11, &format!("tkill {pid} with {signal}"), || sys!(libc::SYS_tkill, *pid, *signal));
        isolated(11, &format!("queue {signal} to {pid}"), || {
            let mut info = [0_i32; 32];
            info[0] = *signal;
            info[2] = -1;
            sys!(libc::SYS_rt_sigqueueinfo, *pid, *signal, info.as_ptr())
        });
        isolated(11, &format!("pidfd kill {pid} with {signal}"), || {
            let fd = sys!(libc::SYS_pidfd_open, *pid, 0)?;
            sys!(libc::SYS_pidfd_send_signal, fd, *signal, 0, 0)
        });
    }
}

/// `peers PID …`: looks into each process.
pub(crate) fn peers(arguments: &[OsString]) {
    for pid in arguments.iter().filter_map(|text| text.to_str()).filter_map(|text| text.parse::<i32>().ok()) {
        let header_at = header(pid);
        isolated(13, &format!("ptrace attach {pid}"), || {
            sys!(libc::SYS_ptrace, libc::PTRACE_ATTACH, pid, 0, 0)
        });
        isolated(13, &format!("ptrace seize {pid}"), || {
            sys!(libc::SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, 0)
        });
        isolated(13, &format!("process_vm_readv {pid}"), || {
            let mut header = [0_u8; 4];
            let own = [header.as_mut_ptr() as usize, header.len()];
            let other = [header_at, header.len()];
            let count = sys!(libc::SYS_process_vm_readv, pid, own.as_ptr(), 1, other.as_ptr(), 1, 0)?;
            Ok(format!("{count} bytes: {header:x?}"))
        });
        isolated(13, &format!("process_vm_writev {pid}"), || {
            let own = [c"x".as_ptr() as usize, 1];
            let other = [header_at, 1];
            sys!(libc::SYS_process_vm_writev, pid, own.as_ptr(), 1, other.as_ptr(), 1, 0)
        });
        isolated(13, &format!("pidfd_getfd {pid}"), || {
            let fd = sys!(libc::SYS_pidfd_open, pid, 0)?;
            sys!(libc::SYS_pidfd_getfd, fd, 0, 0)
        });
        isolated(13, &format!("process_madvise {pid}"), || {
            let fd = sys!(libc::SYS_pidfd_open, pid, 0)?;
            let range = [header_at, 4096];
            sys!(libc::SYS_process_madvise, fd, range.as_ptr(), 1, libc::MADV_COLD, 0)
        });
        isolated(13, &format!("open memory of {pid}"), || {
            let fd = sys::open(format!("/proc/{pid}/mem"), libc::O_RDWR, 0)?;
            let mut header = [0_u8; 4];
            sys!(libc::SYS_pread64, fd, header.as_mut_ptr(), header.len(), header_at)
        });
    }
    isolated(13, "ptrace traceme", || sys!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0));
}

/// `proc PID …`: what the kernel tells about each process, and its program made ours.
pub(crate) fn proc_files(arguments: &[OsString]) {
    for pid in arguments.iter().filter_map(|text| text.to_str()) {
        let at = |file: &str| format!("/proc/{pid}/{file}");
        for file in
            ["maps", "smaps", "environ", "auxv", "syscall", "stack", "pagemap", "mem", "io", "personality"]
        {
            isolated(14, &format!("read {}", at(file)), || shown(&at(file)));
        }
        for link in ["root", "cwd", "exe"] {
            isolated(14, &format!("follow {}", at(link)), || {
                Ok(std::fs::read_link(at(link))?.to_string_lossy().into_owned())
            });
            isolated(14, &format!("open {}", at(link)), || sys::open(at(link), libc::O_PATH, 0));
        }
        for directory in ["fd", "fdinfo", "map_files", "root", "cwd"] {
            isolated(
                14,
                &format!("list {}", at(directory)),
                || Ok(std::fs::read_dir(at(directory))?.count()),
            );
        }
        for descriptor in 0..16 {
            isolated(14, &format!("open {}", at(&format!("fd/{descriptor}"))), || {
                sys::open(at(&format!("fd/{descriptor}")), libc::O_RDONLY | libc::O_NONBLOCK, 0)
            });
        }
        isolated(14, &format!("overwrite {}", at("exe")), || {
            let fd = sys::open(at("exe"), libc::O_WRONLY, 0)?;
            sys::write(fd, b"#!")
        });
        isolated(14, &format!("command line of {pid}"), || shown(&at("cmdline")));
    }
}

/// `needle TEXT-BACKWARDS`: searches what can be seen of all other processes. The text comes backwards so that it is
/// not found in our own command line by somebody else.
pub(crate) fn needle(arguments: &[OsString]) {
    let Some(text) = arguments.first().and_then(|text| text.to_str()) else { return };
    let needle: String = text.chars().rev().collect();
    let (mut readable, mut found) = (0, 0);
    for pid in pids() {
        for file in ["environ", "cmdline", "comm", "maps", "mountinfo", "cwd", "task/self/environ"] {
            let path = format!("/proc/{pid}/{file}");
            let Ok(content) = std::fs::read(&path).or_else(|_| {
                std::fs::read_link(&path).map(|target| target.to_string_lossy().into_owned().into_bytes())
            }) else {
                continue;
            };
            readable += 1;
            if content.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found += 1;
                say(15, &format!("needle in {path}"), "ok", "");
            }
        }
    }
    if found == 0 {
        say(15, "needle", "ENOENT", &format!("{readable} files were readable"));
    }
}

fn shown(path: &str) -> Attempt<String> {
    let fd = sys::open(path, libc::O_RDONLY, 0)?;
    match sys::read(fd, 400)? {
        bytes if bytes.is_empty() => Err(Errno(libc::ENODATA)),
        bytes => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
