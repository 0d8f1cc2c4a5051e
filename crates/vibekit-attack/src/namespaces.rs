//! New views of the machine: mounts and namespaces.

use std::ffi::CStr;

use crate::report::isolated;
use crate::sys::{self, Attempt, Errno, sys};

const NULL: usize = 0;

/// Every way to change what is mounted where.
pub(crate) fn mounts() {
    let attempt = |probe: &str, attempt: fn() -> Attempt| {
        isolated(19, probe, || {
            let before = std::fs::read("/proc/self/mountinfo")?;
            let value = attempt()?;
            let changed = std::fs::read("/proc/self/mountinfo").map(|after| after != before).unwrap_or(true);
            Ok(format!("{value}{}", if changed { ", the mounts changed" } else { "" }))
        });
    };
    attempt("mount tmpfs", || mount(c"none", c".", c"tmpfs", 0));
    attempt("mount proc", || mount(c"proc", c".", c"proc", 0));
    attempt("mount overlay", || mount(c"none", c".", c"overlay", 0));
    attempt("bind", || mount(c"/", c".", c"", libc::MS_BIND | libc::MS_REC));
    attempt("remount writable", || mount(c"none", c"/usr", c"", libc::MS_REMOUNT | libc::MS_BIND));
    attempt("remount root", || mount(c"none", c"/", c"", libc::MS_REMOUNT));
    attempt("make shared", || mount(c"none", c"/", c"", libc::MS_SHARED | libc::MS_REC));
    attempt("move", || mount(c"/proc", c".", c"", libc::MS_MOVE));
    attempt("umount /proc", || sys!(libc::SYS_umount2, c"/proc", libc::MNT_DETACH));
    attempt("umount /", || sys!(libc::SYS_umount2, c"/", libc::MNT_DETACH));
    attempt("fsopen", || sys!(libc::SYS_fsopen, c"tmpfs", 0));
    attempt("fspick", || sys!(libc::SYS_fspick, libc::AT_FDCWD, c"/", 0));
    attempt("open_tree", || sys!(libc::SYS_open_tree, libc::AT_FDCWD, c"/", 1));
    attempt("move_mount", || sys!(libc::SYS_move_mount, libc::AT_FDCWD, c"/proc", libc::AT_FDCWD, c".", 0));
    attempt("mount_setattr", || {
        let clear_read_only = [0_u64, 1, 0, 0];
        sys!(libc::SYS_mount_setattr, libc::AT_FDCWD, c"/", 0, clear_read_only.as_ptr(), 32)
    });
    attempt("pivot_root", || sys!(libc::SYS_pivot_root, c".", c"."));
    attempt("chroot", || sys!(libc::SYS_chroot, c"."));
    attempt("mount in own namespaces", || {
        sys!(libc::SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
        mount(c"none", c"/", c"", libc::MS_PRIVATE | libc::MS_REC)?;
        mount(c"none", c"/usr", c"tmpfs", 0)
    });
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64) -> Attempt {
    sys!(libc::SYS_mount, source, target, kind, flags, NULL)
}

const KINDS: &[(&str, i32)] = &[
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("net", libc::CLONE_NEWNET),
    ("pid", libc::CLONE_NEWPID),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("user and mnt", libc::CLONE_NEWUSER | libc::CLONE_NEWNS),
    ("user and net", libc::CLONE_NEWUSER | libc::CLONE_NEWNET),
    ("user and pid", libc::CLONE_NEWUSER | libc::CLONE_NEWPID),
];

/// Every way into a namespace other than our own.
pub(crate) fn namespaces() {
    for (name, flags) in KINDS {
        isolated(20, &format!("unshare {name}"), || sys!(libc::SYS_unshare, *flags));
        isolated(20, &format!("unshare {name}, high bits set"), || {
            sys!(libc::SYS_unshare, u64::from(*flags as u32) | (0xdead << 32))
        });
        isolated(20, &format!("clone {name}"), || {
            born(sys!(libc::SYS_clone, *flags | libc::SIGCHLD, NULL, NULL, NULL, NULL))
        });
        isolated(20, &format!("clone3 {name}"), || {
            let mut arguments = [0_u64; 11];
            arguments[0] = u64::from(*flags as u32);
            arguments[4] = libc::SIGCHLD as u64;
            born(sys!(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)))
        });
    }
    isolated(20, "unshare time", || sys!(libc::SYS_unshare, libc::CLONE_NEWUSER | 0x80));
    for owner in ["self", "1"] {
        for kind in ["user", "mnt", "net", "pid", "ipc", "uts", "cgroup"] {
            isolated(20, &format!("setns {kind} of {owner}"), || {
                let fd = sys::open(format!("/proc/{owner}/ns/{kind}"), libc::O_RDONLY, 0)?;
                sys!(libc::SYS_setns, fd, 0)
            });
        }
    }
    isolated(20, "setns by pidfd", || {
        let fd = sys!(libc::SYS_pidfd_open, 1, 0)?;
        sys!(libc::SYS_setns, fd, libc::CLONE_NEWNS | libc::CLONE_NEWNET)
    });
}

/// Ends the child of a raw clone; the parent reports it.
fn born(pid: Attempt) -> Attempt {
    match pid? {
        0 => sys::exit(0),
        pid => {
            sys::wait(pid as i32).map_err(|_| Errno(libc::ECHILD))?;
            Ok(pid)
        }
    }
}
