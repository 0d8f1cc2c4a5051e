//! The process at the other end of a socket.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

/// A descriptor of the process that listened on the socket this one is connected to. `None` when it is gone, lives in a
/// namespace this process cannot see, or is this process itself, which nobody may be led to wait for or to kill.
pub(crate) fn process(socket: &OwnedFd) -> Option<OwnedFd> {
    let pid = Pid::from_raw(number(socket)?)?;
    if pid == getpid() {
        return None;
    }
    pidfd_open(pid, PidfdFlags::NONBLOCK).ok()
}

/// Its number; 0 when it has none here, for which `rustix` has no value.
fn number(socket: &OwnedFd) -> Option<i32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes to `peer`, which is as long; both live through the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(peer.pid)
}
