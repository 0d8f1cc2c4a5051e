//! The system call filter: what is not listed does not exist.
//!
//! The list follows the idea of container engines' default profiles: everything ordinary programs, language runtimes
//! and compilers use, nothing that reaches the kernel's administration. Calls that programs probe for and live
//! without answer `ENOSYS`, calls that are plainly forbidden answer `EPERM`, a foreign architecture is fatal.

use libc::{c_long, sock_filter};
use rustix::io::Errno;

use crate::sys;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

const RET_ALLOW: u32 = 0x7fff_0000;
const RET_KILL: u32 = 0x8000_0000;
const fn ret_errno(errno: i32) -> u32 {
    0x0005_0000 | errno.unsigned_abs()
}

// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The low half of an argument: the kernel looks at no more of ints, and comparing more has been a hole before.
const fn arg(index: u32) -> u32 {
    16 + 8 * index
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const EQUAL: u16 = 0x15;
const GREATER: u16 = 0x25;
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// The init's process id inside.
const INIT: u32 = 1;

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;

/// Loads the filter for this process and all it starts.
pub(crate) fn install() -> Result<(), Errno> {
    sys::seccomp_filter(&program())
}

fn op(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn program() -> Vec<sock_filter> {
    let mut code = vec![
        op(LOAD, ARCHITECTURE, 0, 0),
        op(EQUAL, ARCH, 1, 0),
        op(RETURN, RET_KILL, 0, 0),
        op(LOAD, NR, 0, 0),
    ];
    for (call, block) in conditional() {
        let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
        code.push(op(EQUAL, number(call), 0, length));
        code.extend(block);
    }
    ranges(&mut code, allowed(), RET_ALLOW);
    ranges(&mut code, forbidden(), ret_errno(libc::EPERM));
    code.push(op(RETURN, ret_errno(libc::ENOSYS), 0, 0));
    code
}

/// Sorted numbers fall into few ranges, which keeps the program short: the kernel interprets it once per call number
/// at load time to learn which calls need no look at all.
fn ranges(code: &mut Vec<sock_filter>, calls: Vec<c_long>, verdict: u32) {
    let mut numbers: Vec<u32> = calls.into_iter().map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut rest = numbers.as_slice();
    while let Some(&first) = rest.first() {
        let mut length = 1;
        while rest.get(length).is_some_and(|next| next - first == u32::try_from(length).unwrap_or(0)) {
            length += 1;
        }
        let last = first + u32::try_from(length - 1).unwrap_or(0);
        code.push(op(AT_LEAST, first, 0, 2));
        code.push(op(GREATER, last, 1, 0));
        code.push(op(RETURN, verdict, 0, 0));
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Allowed unless any of these bits is set in an argument.
fn without_bits(index: u32, bits: u32, errno: i32) -> Vec<sock_filter> {
    vec![
        op(LOAD, arg(index), 0, 0),
        op(ANY_BIT, bits, 0, 1),
        op(RETURN, ret_errno(errno), 0, 0),
        op(RETURN, RET_ALLOW, 0, 0),
    ]
}

/// Allowed only with one of these values in an argument.
fn only(index: u32, values: &[u32]) -> Vec<sock_filter> {
    let mut block = vec![op(LOAD, arg(index), 0, 0)];
    for value in values {
        block.extend([op(EQUAL, *value, 0, 1), op(RETURN, RET_ALLOW, 0, 0)]);
    }
    block.push(op(RETURN, ret_errno(libc::EPERM), 0, 0));
    block
}

/// Allowed for any process but the session's init, which has the same user and keeps everybody's time limits: made idle
/// or slow it would keep them late.
fn not_init(index: u32) -> Vec<sock_filter> {
    vec![
        op(LOAD, arg(index), 0, 0),
        op(EQUAL, INIT, 0, 1),
        op(RETURN, ret_errno(libc::EPERM), 0, 0),
        op(RETURN, RET_ALLOW, 0, 0),
    ]
}

/// `setpriority`: of the calling process alone. By user it would reach the init.
fn own_priority() -> Vec<sock_filter> {
    let mut block = vec![
        op(LOAD, arg(0), 0, 0),
        op(EQUAL, libc::PRIO_PROCESS, 1, 0),
        op(RETURN, ret_errno(libc::EPERM), 0, 0),
    ];
    block.extend(only(1, &[0]));
    block
}

/// `ioprio_set`: by process, of any but the init.
fn disk_priority() -> Vec<sock_filter> {
    /// `IOPRIO_WHO_PROCESS`.
    const PROCESS: u32 = 1;
    let mut block =
        vec![op(LOAD, arg(0), 0, 0), op(EQUAL, PROCESS, 1, 0), op(RETURN, ret_errno(libc::EPERM), 0, 0)];
    block.extend(not_init(1));
    block
}

/// `open`-like: the mode counts only when a file may be made; otherwise the register holds anything.
fn open_modes(flags: u32, mode: u32) -> Vec<sock_filter> {
    let create = libc::O_CREAT.unsigned_abs() | (libc::O_TMPFILE & !libc::O_DIRECTORY).unsigned_abs();
    let mut block = vec![op(LOAD, arg(flags), 0, 0), op(ANY_BIT, create, 1, 0), op(RETURN, RET_ALLOW, 0, 0)];
    block.extend(without_bits(mode, SET_ID, libc::EPERM));
    block
}

/// `socket`: the local and internet families, streams and datagrams, their usual protocols (so no multipath TCP, which
/// passes by Landlock's TCP rules), and reading the routing table.
fn socket() -> Vec<sock_filter> {
    let deny = op(RETURN, ret_errno(libc::EPERM), 0, 0);
    let allow = op(RETURN, RET_ALLOW, 0, 0);
    let family = |family: i32| family.unsigned_abs();
    vec![
        op(LOAD, arg(0), 0, 0),
        op(EQUAL, family(libc::AF_UNIX), 0, 1),
        allow,
        op(EQUAL, family(libc::AF_NETLINK), 0, 4),
        op(LOAD, arg(2), 0, 0),
        op(EQUAL, 0, 0, 1),
        allow,
        deny,
        op(EQUAL, family(libc::AF_INET), 2, 0),
        op(EQUAL, family(libc::AF_INET6), 1, 0),
        deny,
        op(LOAD, arg(1), 0, 0),
        op(AND, 0xf, 0, 0),
        op(EQUAL, libc::SOCK_STREAM.unsigned_abs(), 2, 0),
        op(EQUAL, libc::SOCK_DGRAM.unsigned_abs(), 1, 0),
        deny,
        op(LOAD, arg(2), 0, 0),
        op(EQUAL, 0, 2, 0),
        op(EQUAL, libc::IPPROTO_TCP.unsigned_abs(), 1, 0),
        op(EQUAL, libc::IPPROTO_UDP.unsigned_abs(), 0, 1),
        allow,
        deny,
    ]
}

/// Terminal requests that put input into, or copy text out of, the caller's terminal.
fn ioctl() -> Vec<sock_filter> {
    vec![
        op(LOAD, arg(1), 0, 0),
        op(EQUAL, 0x5412, 1, 0), // TIOCSTI
        op(EQUAL, 0x541c, 0, 1), // TIOCLINUX
        op(RETURN, ret_errno(libc::EPERM), 0, 0),
        op(RETURN, RET_ALLOW, 0, 0),
    ]
}

fn conditional() -> Vec<(c_long, Vec<sock_filter>)> {
    let namespaces = (libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWNET)
        .unsigned_abs();
    /// `CLONE_NEWTIME`; in `clone` these bits are the exit signal.
    const NEW_TIME: u32 = 0x80;
    let mut list = vec![
        (libc::SYS_socket, socket()),
        (libc::SYS_ioctl, ioctl()),
        (libc::SYS_clone, without_bits(0, namespaces, libc::EPERM)),
        (libc::SYS_unshare, without_bits(0, namespaces | NEW_TIME, libc::EPERM)),
        (libc::SYS_openat, open_modes(2, 3)),
        (libc::SYS_fchmod, without_bits(1, SET_ID, libc::EPERM)),
        (libc::SYS_fchmodat, without_bits(2, SET_ID, libc::EPERM)),
        (FCHMODAT2, without_bits(2, SET_ID, libc::EPERM)),
        (libc::SYS_mknodat, without_bits(2, SET_ID, libc::EPERM)),
        (libc::SYS_socketpair, only(0, &[libc::AF_UNIX.unsigned_abs()])),
        // Limits of the own process only: the init has the same user and must keep its own.
        (libc::SYS_prlimit64, only(0, &[0])),
        (libc::SYS_setpriority, own_priority()),
        (libc::SYS_ioprio_set, disk_priority()),
        (libc::SYS_sched_setscheduler, not_init(0)),
        (libc::SYS_sched_setparam, not_init(0)),
        (libc::SYS_sched_setattr, not_init(0)),
        (libc::SYS_sched_setaffinity, not_init(0)),
        // PER_LINUX, PER_LINUX32, both with UNAME26, and the question for the current one.
        (libc::SYS_personality, only(0, &[0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff])),
    ];
    #[cfg(target_arch = "x86_64")]
    list.extend([
        (libc::SYS_open, open_modes(1, 2)),
        (libc::SYS_creat, without_bits(1, SET_ID, libc::EPERM)),
        (libc::SYS_chmod, without_bits(1, SET_ID, libc::EPERM)),
        (libc::SYS_mknod, without_bits(1, SET_ID, libc::EPERM)),
    ]);
    list
}

const FCHMODAT2: c_long = 452;
const CACHESTAT: c_long = 451;
const MAP_SHADOW_STACK: c_long = 453;
const FUTEX_WAKE: c_long = 454;
const FUTEX_WAIT: c_long = 455;
const FUTEX_REQUEUE: c_long = 456;

/// Plainly forbidden, so that a program hears "not permitted" instead of "no such call".
fn forbidden() -> Vec<c_long> {
    let mut list = vec![
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_setns,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        libc::SYS_kexec_load,
        libc::SYS_kexec_file_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_reboot,
        libc::SYS_syslog,
        libc::SYS_quotactl,
        libc::SYS_quotactl_fd,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_settimeofday,
        libc::SYS_adjtimex,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_acct,
        libc::SYS_vhangup,
        libc::SYS_fanotify_init,
        libc::SYS_fanotify_mark,
        libc::SYS_lookup_dcookie,
        libc::SYS_nfsservctl,
        libc::SYS_mbind,
        libc::SYS_migrate_pages,
        libc::SYS_move_pages,
        libc::SYS_set_mempolicy,
    ];
    #[cfg(target_arch = "x86_64")]
    list.extend([
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
        libc::SYS_uselib,
        libc::SYS_ustat,
        libc::SYS_sysfs,
        libc::SYS__sysctl,
    ]);
    list
}

#[rustfmt::skip]
fn allowed() -> Vec<c_long> {
    let mut list = vec![
        // Files.
        libc::SYS_read, libc::SYS_write, libc::SYS_close, libc::SYS_close_range, libc::SYS_lseek, libc::SYS_pread64,
        libc::SYS_pwrite64, libc::SYS_readv, libc::SYS_writev, libc::SYS_preadv, libc::SYS_pwritev,
        libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_fcntl,
        libc::SYS_flock, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync, libc::SYS_syncfs,
        libc::SYS_sync_file_range, libc::SYS_truncate, libc::SYS_ftruncate, libc::SYS_fallocate,
        libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_sendfile, libc::SYS_splice, libc::SYS_tee,
        libc::SYS_vmsplice, libc::SYS_copy_file_range, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
        libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_renameat,
        libc::SYS_renameat2, libc::SYS_readlinkat, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_newfstatat,
        libc::SYS_fstat, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_getdents64,
        libc::SYS_utimensat, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_umask, libc::SYS_setxattr,
        libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr,
        libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr, libc::SYS_removexattr,
        libc::SYS_lremovexattr, libc::SYS_fremovexattr, libc::SYS_inotify_init1, libc::SYS_inotify_add_watch,
        libc::SYS_inotify_rm_watch, libc::SYS_memfd_create, CACHESTAT,
        // Waiting.
        libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2, libc::SYS_eventfd2, libc::SYS_signalfd4, libc::SYS_timerfd_create,
        libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_io_setup, libc::SYS_io_destroy,
        libc::SYS_io_submit, libc::SYS_io_cancel, libc::SYS_io_getevents,
        // Memory.
        libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
        libc::SYS_msync, libc::SYS_mincore, libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_munlock,
        libc::SYS_mlockall, libc::SYS_munlockall, libc::SYS_membarrier, libc::SYS_remap_file_pages,
        libc::SYS_pkey_alloc, libc::SYS_pkey_free, libc::SYS_pkey_mprotect, libc::SYS_get_mempolicy,
        // Processes and threads.
        libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4,
        libc::SYS_waitid, libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_set_tid_address,
        libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_futex, libc::SYS_futex_waitv,
        libc::SYS_rseq, libc::SYS_prctl, libc::SYS_seccomp, libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self, libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal, libc::SYS_getpgid, libc::SYS_setpgid, libc::SYS_getsid, libc::SYS_setsid,
        libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_getparam,
        libc::SYS_sched_getscheduler, libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min,
        libc::SYS_sched_rr_get_interval, libc::SYS_sched_getattr, libc::SYS_getpriority, libc::SYS_ioprio_get,
        libc::SYS_getrusage, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_times,
        libc::SYS_getcpu, libc::SYS_restart_syscall, libc::SYS_process_mrelease,
        // Signals.
        libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigpending, libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigsuspend, libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo, libc::SYS_sigaltstack, libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill,
        // Identity: without capabilities these change nothing, programs call them to be sure.
        libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid,
        libc::SYS_getresgid, libc::SYS_getgroups, libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid,
        libc::SYS_setregid, libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid,
        libc::SYS_setgroups, libc::SYS_capget, libc::SYS_capset,
        // Time.
        libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
        libc::SYS_gettimeofday, libc::SYS_getitimer, libc::SYS_setitimer, libc::SYS_timer_settime,
        libc::SYS_timer_gettime, libc::SYS_timer_getoverrun, libc::SYS_timer_delete, libc::SYS_timer_create,
        // Network.
        libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_connect,
        libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg,
        libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_setsockopt, libc::SYS_getsockopt,
        libc::SYS_shutdown,
        // System V and POSIX inter-process communication, private to the session. Without `msgget`: nothing bounds the
        // memory System V queues take.
        libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmdt, libc::SYS_shmctl, libc::SYS_semget, libc::SYS_semop,
        libc::SYS_semtimedop, libc::SYS_semctl, libc::SYS_msgsnd, libc::SYS_msgrcv,
        libc::SYS_msgctl, libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend,
        libc::SYS_mq_timedreceive, libc::SYS_mq_notify, libc::SYS_mq_getsetattr,
        // The rest.
        libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom,
    ];
    list.extend([MAP_SHADOW_STACK, FUTEX_WAKE, FUTEX_WAIT, FUTEX_REQUEUE]);
    #[cfg(target_arch = "x86_64")]
    list.extend([
        libc::SYS_access, libc::SYS_alarm, libc::SYS_arch_prctl, libc::SYS_chown, libc::SYS_dup2,
        libc::SYS_epoll_create, libc::SYS_epoll_wait, libc::SYS_eventfd, libc::SYS_fork, libc::SYS_futimesat,
        libc::SYS_getdents, libc::SYS_getpgrp, libc::SYS_inotify_init, libc::SYS_lchown, libc::SYS_link,
        libc::SYS_lstat, libc::SYS_mkdir, libc::SYS_pause, libc::SYS_pipe, libc::SYS_poll, libc::SYS_readlink,
        libc::SYS_rename, libc::SYS_rmdir, libc::SYS_select, libc::SYS_signalfd, libc::SYS_stat,
        libc::SYS_symlink, libc::SYS_time, libc::SYS_unlink, libc::SYS_utime, libc::SYS_utimes,
        libc::SYS_vfork, libc::SYS_set_thread_area, libc::SYS_get_thread_area,
    ]);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel would.
    fn verdict(nr: c_long, args: [u64; 6], arch: u32) -> u32 {
        let code = program();
        let (mut at, mut value) = (0_usize, 0_u32);
        loop {
            let op = code[at];
            at += 1;
            let jump = |yes: bool| usize::from(if yes { op.jt } else { op.jf });
            match op.code {
                LOAD => {
                    value = match op.k {
                        NR => number(nr),
                        ARCHITECTURE => arch,
                        offset => args[(offset as usize - 16) / 8] as u32,
                    };
                }
                AND => value &= op.k,
                EQUAL => at += jump(value == op.k),
                GREATER => at += jump(value > op.k),
                AT_LEAST => at += jump(value >= op.k),
                ANY_BIT => at += jump(value & op.k != 0),
                RETURN => return op.k,
                code => panic!("unknown instruction {code}"),
            }
        }
    }

    fn call(nr: c_long, args: [u64; 6]) -> u32 {
        verdict(nr, args, ARCH)
    }

    const EPERM: u32 = ret_errno(libc::EPERM);
    const ENOSYS: u32 = ret_errno(libc::ENOSYS);

    #[test]
    fn every_listed_call_gets_its_verdict_and_the_lists_do_not_overlap() {
        let conditional: Vec<_> = conditional().into_iter().map(|(call, _)| call).collect();
        for nr in allowed() {
            assert_eq!(call(nr, [0; 6]), RET_ALLOW, "{nr}");
            assert!(!forbidden().contains(&nr) && !conditional.contains(&nr), "{nr} is listed twice");
        }
        for nr in forbidden() {
            assert_eq!(call(nr, [0; 6]), EPERM, "{nr}");
            assert!(!conditional.contains(&nr), "{nr} is listed twice");
        }
        for nr in [libc::SYS_clone3, libc::SYS_openat2, 500, 1000, 0x4000_0000, 0x4000_0001] {
            assert_eq!(call(nr, [0; 6]), ENOSYS, "{nr}");
        }
    }

    #[test]
    fn another_architecture_is_fatal() {
        assert_eq!(verdict(libc::SYS_read, [0; 6], 0x4000_0003), RET_KILL);
    }

    #[test]
    fn sockets() {
        let socket =
            |family: u64, kind: u64, protocol: u64| call(libc::SYS_socket, [family, kind, protocol, 0, 0, 0]);
        for (family, kind, protocol) in
            [(1, 5, 0), (2, 1, 0), (2, 0x80801, 6), (2, 2, 17), (10, 1, 6), (10, 2, 0), (16, 3, 0)]
        {
            assert_eq!(socket(family, kind, protocol), RET_ALLOW, "{family} {kind} {protocol}");
        }
        for (family, kind, protocol) in [
            (2, 1, 262),
            (10, 1, 262),
            (2, 3, 6),
            (2, 2, 1),
            (16, 3, 12),
            (16, 3, 9),
            (17, 3, 0),
            (40, 1, 0),
            (38, 5, 0),
            (44, 3, 0),
            (31, 1, 0),
        ] {
            assert_eq!(socket(family, kind, protocol), EPERM, "{family} {kind} {protocol}");
        }
        // The kernel takes an int: what is above it must not hide the family.
        assert_eq!(socket(0x1_0000_0028, 1, 0), EPERM);
    }

    #[test]
    fn terminal_input_cannot_be_forged() {
        for request in [0x5412_u64, 0x541c, 0xffff_ffff_0000_5412, 0x1_0000_541c] {
            assert_eq!(call(libc::SYS_ioctl, [0, request, 0, 0, 0, 0]), EPERM);
        }
        assert_eq!(call(libc::SYS_ioctl, [0, 0x5413, 0, 0, 0, 0]), RET_ALLOW);
    }

    #[test]
    fn set_id_bits_are_refused_wherever_a_mode_is_given() {
        let create = (libc::O_CREAT | libc::O_WRONLY) as u64;
        for mode in [0o4755_u64, 0o2755, 0o6777] {
            assert_eq!(call(libc::SYS_fchmodat, [0, 0, mode, 0, 0, 0]), EPERM);
            assert_eq!(call(FCHMODAT2, [0, 0, mode, 0, 0, 0]), EPERM);
            assert_eq!(call(libc::SYS_openat, [0, 0, create, mode, 0, 0]), EPERM);
            assert_eq!(call(libc::SYS_openat, [0, 0, libc::O_TMPFILE as u64, mode, 0, 0]), EPERM);
            assert_eq!(call(libc::SYS_openat, [0, 0, 0, mode, 0, 0]), RET_ALLOW);
            assert_eq!(call(libc::SYS_mknodat, [0, 0, mode | 0o100_000, 0, 0, 0]), EPERM);
        }
        assert_eq!(call(libc::SYS_fchmodat, [0, 0, 0o1777, 0, 0, 0]), RET_ALLOW);
    }

    #[test]
    fn the_init_keeps_its_pace() {
        for nr in [
            libc::SYS_sched_setscheduler,
            libc::SYS_sched_setparam,
            libc::SYS_sched_setattr,
            libc::SYS_sched_setaffinity,
        ] {
            assert_eq!(call(nr, [1, 0, 0, 0, 0, 0]), EPERM, "{nr}");
            assert_eq!(call(nr, [0x1_0000_0001, 0, 0, 0, 0, 0]), EPERM, "{nr}: the kernel takes an int");
            assert_eq!(call(nr, [0, 0, 0, 0, 0, 0]), RET_ALLOW, "{nr}");
            assert_eq!(call(nr, [77, 0, 0, 0, 0, 0]), RET_ALLOW, "{nr}");
        }
        let setpriority = |which: u64, who: u64| call(libc::SYS_setpriority, [which, who, 19, 0, 0, 0]);
        assert_eq!(setpriority(0, 0), RET_ALLOW);
        for (which, who) in [(0, 1), (1, 0), (2, 0), (2, 1000)] {
            assert_eq!(setpriority(which, who), EPERM, "{which} {who}");
        }
        let ioprio = |which: u64, who: u64| call(libc::SYS_ioprio_set, [which, who, 0, 0, 0, 0]);
        assert_eq!(ioprio(1, 0), RET_ALLOW);
        for (which, who) in [(1, 1), (2, 0), (3, 0), (3, 1000)] {
            assert_eq!(ioprio(which, who), EPERM, "{which} {who}");
        }
    }

    #[test]
    fn namespaces_cannot_be_made() {
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWPID] {
            assert_eq!(call(libc::SYS_clone, [flag as u64 | 17, 0, 0, 0, 0, 0]), EPERM);
            assert_eq!(call(libc::SYS_unshare, [flag as u64, 0, 0, 0, 0, 0]), EPERM);
        }
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64;
        assert_eq!(call(libc::SYS_clone, [thread, 0, 0, 0, 0, 0]), RET_ALLOW);
        assert_eq!(call(libc::SYS_unshare, [libc::CLONE_FS as u64, 0, 0, 0, 0, 0]), RET_ALLOW);
    }
}
