//! System calls that neither `rustix` nor the standard library wrap.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_char, c_int, c_long, c_void};
use rustix::io::Errno;
use rustix::process::Pid;

fn check(result: c_long) -> Result<c_long, Errno> {
    if result < 0 { Err(last()) } else { Ok(result) }
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// All namespaces of a session.
const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWNET;

/// Forks into new namespaces. The child becomes a child of the caller's *parent*, which therefore can wait for it
/// and learns from the kernel, not from us, when everything inside is gone. `None` in the child.
pub(crate) fn clone_session() -> Result<Option<Pid>, Errno> {
    clone_raw(NAMESPACES | libc::CLONE_PARENT)
}

/// Forks into a new user namespace only, as an ordinary child.
pub(crate) fn clone_user() -> Result<Option<Pid>, Errno> {
    clone_raw(libc::CLONE_NEWUSER)
}

/// Plain `fork`.
pub(crate) fn fork() -> Result<Option<Pid>, Errno> {
    clone_raw(0)
}

fn clone_raw(flags: c_int) -> Result<Option<Pid>, Errno> {
    // SAFETY: without CLONE_VM this is `fork`: the child gets a copy of everything. The process is single-threaded,
    // so no lock can be held by a thread that does not exist in the child.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone, c_long::from(flags | libc::SIGCHLD), 0, 0, 0, 0) })?;
    Ok(i32::try_from(pid).ok().and_then(Pid::from_raw))
}

/// Ends the process at once, without running anything.
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: never returns and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` to `last`.
pub(crate) fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: the callers own no `OwnedFd` in the range that is used afterwards.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Flags of [`mount_setattr`].
pub(crate) mod attr {
    pub(crate) const RDONLY: u64 = 0x1;
    pub(crate) const NOSUID: u64 = 0x2;
    pub(crate) const NODEV: u64 = 0x4;
    pub(crate) const NOEXEC: u64 = 0x8;
    pub(crate) const IDMAP: u64 = 0x0010_0000;
}

/// Sets flags on a mount (and with `recursive` on those below it), optionally with an id mapping.
pub(crate) fn mount_setattr(
    mount: impl AsFd,
    recursive: bool,
    set: u64,
    userns: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let attributes = MountAttr {
        set: set | if userns.is_some() { attr::IDMAP } else { 0 },
        clear: 0,
        propagation: 0,
        userns: userns.map_or(0, |fd| fd.as_raw_fd().unsigned_abs().into()),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: path and attributes live through the call, and the size is that of the structure.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// `pivot_root(".", ".")`: the current directory becomes the root, the old root is stacked on top of it.
pub(crate) fn pivot_here() -> Result<(), Errno> {
    // SAFETY: both paths are constant C strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) }).map(drop)
}

#[repr(C)]
struct RulesetAttr {
    fs: u64,
    net: u64,
    scoped: u64,
}

/// Landlock version of the kernel, 0 when there is none.
pub(crate) fn landlock_version() -> u32 {
    // SAFETY: a null attribute with flag 1 asks for the version.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<c_void>(), 0, 1) };
    u32::try_from(version).unwrap_or(0)
}

/// A ruleset that handles these rights. `abi` decides how much of the structure the kernel knows.
pub(crate) fn landlock_ruleset(abi: u32, fs: u64, scoped: u64) -> Result<OwnedFd, Errno> {
    let attributes = RulesetAttr { fs, net: 0, scoped };
    let size = match abi {
        0..=3 => 8,
        4 | 5 => 16,
        _ => 24,
    };
    // SAFETY: the structure is at least `size` bytes long and lives through the call.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0) })?;
    owned(fd)
}

#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

/// Allows `access` beneath a directory (or on a file).
pub(crate) fn landlock_allow(ruleset: &OwnedFd, beneath: BorrowedFd<'_>, access: u64) -> Result<(), Errno> {
    let rule = PathBeneath { access, parent: beneath.as_raw_fd() };
    // SAFETY: rule type 1 is PATH_BENEATH, whose structure this is.
    check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), 1, &raw const rule, 0) })
        .map(drop)
}

/// Enters the ruleset's domain for good.
pub(crate) fn landlock_restrict(ruleset: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: plain values.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) }).map(drop)
}

/// Installs a system call filter for good.
pub(crate) fn seccomp_filter(program: &[libc::sock_filter]) -> Result<(), Errno> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program; operation 1 is SECCOMP_SET_MODE_FILTER.
    check(unsafe { libc::syscall(libc::SYS_seccomp, 1, 0, &raw const filter) }).map(drop)
}

/// Sets soft and hard limit; a limit above the current hard one is lowered to it.
pub(crate) fn set_limit(resource: u32, limit: u64) -> Result<(), Errno> {
    let mut current = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `current` is a valid rlimit, the kernel checks the resource number.
    check(unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<c_void>(), &raw mut current)
    })?;
    let limit = limit.min(current.rlim_max);
    let wanted = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: as above, with the new value as input.
    check(unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const wanted, std::ptr::null_mut::<c_void>())
    })
    .map(drop)
}

/// Highest capability number the running kernel knows plus one never exceeds this.
pub(crate) const CAPABILITIES: u32 = 64;

/// Takes one capability out of the bounding set; `EINVAL` when the kernel does not know it.
pub(crate) fn drop_bounding(capability: u32) -> Result<(), Errno> {
    // SAFETY: plain values.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into()).map(drop)
}

/// Blocks every signal and returns a descriptor that becomes readable when a child changes.
pub(crate) fn child_signals() -> Result<OwnedFd, Errno> {
    // SAFETY: the sets are initialised by sigfillset and sigemptyset before they are used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()).into())?;
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        owned(check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?)
    }
}

/// Sends a signal to every process of the namespace except this one. True when there was any.
pub(crate) fn signal_all(signal: c_int) -> bool {
    // SAFETY: plain values. As PID 1 of its namespace the process reaches no other namespace with -1.
    unsafe { libc::kill(-1, signal) == 0 }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, signal: c_int) -> Result<(), Errno> {
    let pid = c_int::try_from(pid).ok().filter(|pid| *pid > 1).ok_or(Errno::SRCH)?;
    // SAFETY: plain values; pid is a single process by the check above.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// What `wait4` tells of an ended child.
pub(crate) struct Ended {
    pub(crate) pid: u32,
    pub(crate) status: c_int,
    pub(crate) cpu_us: u64,
    pub(crate) max_rss: u64,
}

/// Reaps a child. `Ok(None)`: none has ended (only with `block == false`). `ECHILD`: there are none.
pub(crate) fn reap(block: bool) -> Result<Option<Ended>, Errno> {
    let mut status = 0;
    // SAFETY: all-zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: both out parameters live through the call.
        match check(unsafe { libc::wait4(-1, &raw mut status, flags, &raw mut usage) }.into()) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
            Ok(0) => return Ok(None),
            Ok(pid) => {
                let micros = |time: libc::timeval| {
                    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000
                        + u64::try_from(time.tv_usec).unwrap_or(0)
                };
                return Ok(Some(Ended {
                    pid: u32::try_from(pid).unwrap_or(0),
                    status,
                    cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
                    max_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
                }));
            }
        }
    }
}

/// Starts a program with default signal dispositions, an empty mask and a session of its own. The child shares our
/// memory until it executes, so the cost does not depend on our size and the kernel's refusal comes back as the
/// result.
pub(crate) fn spawn(path: &CStr, argv: &[CString], env: &[CString]) -> Result<u32, Errno> {
    let pointers = |list: &[CString]| -> Vec<*mut c_char> {
        list.iter().map(|text| text.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    let mut pid = 0;
    // SAFETY: attributes and sets are initialised before use and destroyed after; argv and env end with null and
    // point to strings that live through the call.
    let result = unsafe {
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        libc::posix_spawnattr_init(&raw mut attributes);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const set);
        libc::sigfillset(&raw mut set);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const set);
        // The types of these constants differ between targets; all of them are small.
        let set = i64::from(libc::POSIX_SPAWN_SETSIGMASK)
            | i64::from(libc::POSIX_SPAWN_SETSIGDEF)
            | i64::from(libc::POSIX_SPAWN_SETSID);
        libc::posix_spawnattr_setflags(&raw mut attributes, i16::try_from(set).unwrap_or(0));
        let result = libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            std::ptr::null(),
            &raw const attributes,
            argv.as_ptr(),
            env.as_ptr(),
        );
        libc::posix_spawnattr_destroy(&raw mut attributes);
        result
    };
    if result == 0 {
        u32::try_from(pid).map_err(|_| Errno::IO)
    } else {
        Err(Errno::from_raw_os_error(result))
    }
}

/// Brings a network interface up.
pub(crate) fn interface_up(socket: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *to = c_char::from_ne_bytes([*from]);
    }
    // SAFETY: both requests take an ifreq, and flags are the member they use.
    unsafe {
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &raw mut request).into())?;
        #[allow(clippy::cast_possible_truncation, reason = "IFF_UP is 1")]
        let up = libc::IFF_UP as libc::c_short;
        request.ifr_ifru.ifru_flags |= up;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request).into())?;
    }
    Ok(())
}

/// The `mount` system call with all arguments empty: `EFAULT` or `EINVAL` when it is let through, `EPERM` when not.
pub(crate) fn forbidden_call() -> i32 {
    let null = std::ptr::null::<c_void>();
    // SAFETY: null pointers are refused by the kernel, nothing is mounted.
    match check(unsafe { libc::syscall(libc::SYS_mount, null, null, null, 0, null) }) {
        Ok(_) => 0,
        Err(error) => error.raw_os_error(),
    }
}

fn owned(fd: c_long) -> Result<OwnedFd, Errno> {
    let fd = c_int::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
