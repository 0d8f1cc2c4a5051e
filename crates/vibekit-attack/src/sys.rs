//! The kernel, asked directly: a C library may refuse, emulate or reroute what an attacker would not.

use std::ffi::{CStr, CString, OsStr, c_long};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// What an attempt gives: a value when it went through.
pub(crate) type Attempt<T = i64> = Result<T, Errno>;

/// A failure as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    /// The calling thread's last one.
    pub(crate) fn last() -> Self {
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

macro_rules! names {
    ($($name:ident)*) => { &[$((libc::$name, stringify!($name))),*] };
}

const NAMES: &[(i32, &str)] = names!(
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE ENOSYS
    ENOTEMPTY ELOOP ENODATA EOPNOTSUPP EPROTO EOVERFLOW EUSERS ENOTSOCK EPROTONOSUPPORT ESOCKTNOSUPPORT
    EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS
    ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY EINPROGRESS EDQUOT ENOKEY EKEYREVOKED EKEYEXPIRED
);

/// Something that fits into a register.
pub(crate) trait Word {
    fn word(self) -> usize;
}

macro_rules! words {
    ($($number:ty)*) => { $(impl Word for $number {
        fn word(self) -> usize {
            self as usize
        }
    })* };
}

words!(i32 u32 i64 u64 usize);

impl Word for &CStr {
    fn word(self) -> usize {
        self.as_ptr() as usize
    }
}

impl<T> Word for *const T {
    fn word(self) -> usize {
        self as usize
    }
}

impl<T> Word for *mut T {
    fn word(self) -> usize {
        self as usize
    }
}

/// Calls the kernel. Numbers, C strings and raw pointers may be given, up to six.
macro_rules! sys {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::sys::call($number, &[$($crate::sys::Word::word($argument)),*])
    };
}
pub(crate) use sys;

/// See [`sys!`].
pub(crate) fn call(number: c_long, arguments: &[usize]) -> Attempt {
    let mut words = [0_usize; 6];
    words[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = words;
    // SAFETY: pointers among the words come from values the caller keeps alive over the call and are as large as the
    // call's documented argument. Nothing here unmaps or remaps memory that Rust knows of.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// A C string; bytes after a NUL are cut off.
pub(crate) fn cstring(text: impl AsRef<OsStr>) -> CString {
    let bytes = text.as_ref().as_bytes();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

/// All-zero value of a plain C structure.
pub(crate) fn zeroed<T: Copy>() -> T {
    // SAFETY: used with C structures made of integers and arrays of them only, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// Splits the process; 0 in the child. There is one thread, so the child may do anything.
pub(crate) fn fork() -> Attempt<i32> {
    // SAFETY: the program never starts a second thread.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(Errno::last()) } else { Ok(pid) }
}

/// Ends the process without running anything of it.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: always allowed.
    unsafe { libc::_exit(code) }
}

/// Waits for a child and gives its raw status.
pub(crate) fn wait(pid: i32) -> Attempt<i32> {
    let mut status = 0_i32;
    loop {
        match sys!(libc::SYS_wait4, pid, &raw mut status, 0, 0) {
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(status),
        }
    }
}

/// Opens a path.
pub(crate) fn open(path: impl AsRef<OsStr>, flags: i32, mode: u32) -> Attempt<i32> {
    let path = cstring(path);
    sys!(libc::SYS_openat, libc::AT_FDCWD, path.as_c_str(), flags | libc::O_CLOEXEC, mode).map(|fd| fd as i32)
}

/// Reads at most `limit` bytes.
pub(crate) fn read(fd: i32, limit: usize) -> Attempt<Vec<u8>> {
    let mut buffer = vec![0_u8; limit];
    let count = sys!(libc::SYS_read, fd, buffer.as_mut_ptr(), limit)?;
    buffer.truncate(count as usize);
    Ok(buffer)
}

/// Writes once.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> Attempt {
    sys!(libc::SYS_write, fd, bytes.as_ptr(), bytes.len())
}

/// Closes a descriptor.
pub(crate) fn close(fd: i32) {
    let _ = sys!(libc::SYS_close, fd);
}

/// Blocks a signal-safe while.
pub(crate) fn sleep_ms(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}
