//! Memory and queues that have names of their own beside the file system.

use std::ffi::OsString;

use crate::report::isolated;
use crate::sys::{self, Errno, sys};

/// `ipc KEY NAME`: shared memory, semaphores and messages under a System V key; a POSIX queue and shared memory under
/// a name.
pub(crate) fn ipc(arguments: &[OsString]) {
    let [key, name] = arguments else { return };
    let key: i32 = key.to_str().and_then(|key| key.parse().ok()).unwrap_or_default();
    isolated(31, "System V shared memory", || {
        let id = sys!(libc::SYS_shmget, key, 0, 0)?;
        let at = sys!(libc::SYS_shmat, id, 0, libc::SHM_RDONLY)? as *const u8;
        // SAFETY: a segment is a whole page at least, and it stays attached.
        let bytes = unsafe { std::slice::from_raw_parts(at, 64) };
        Ok(text(bytes))
    });
    isolated(31, "System V messages", || {
        let id = sys!(libc::SYS_msgget, key, 0)?;
        let mut message = [0_u8; 72];
        let no_wait = libc::IPC_NOWAIT;
        let count = sys!(libc::SYS_msgrcv, id, message.as_mut_ptr(), 64, 0, no_wait)? as usize;
        Ok(text(&message[8..8 + count.min(64)]))
    });
    isolated(31, "System V semaphores", || sys!(libc::SYS_semget, key, 0, 0));
    isolated(31, "System V segments of anybody", || {
        // SHM_INFO counts the segments of the namespace.
        let mut info = [0_u64; 32];
        sys!(libc::SYS_shmctl, 0, 14, info.as_mut_ptr())?;
        match info[0] as u32 {
            0 => Err(Errno(libc::ENOENT)),
            count => Ok(count),
        }
    });
    isolated(31, "POSIX queue", || {
        let name = sys::cstring(name);
        let fd = sys!(libc::SYS_mq_open, name.as_c_str(), libc::O_RDONLY | libc::O_NONBLOCK, 0, 0)?;
        let mut message = [0_u8; 64];
        let count = sys!(libc::SYS_mq_timedreceive, fd, message.as_mut_ptr(), 64, 0, 0)? as usize;
        Ok(text(&message[..count.min(64)]))
    });
    isolated(31, "POSIX shared memory", || {
        let fd = sys::open(format!("/dev/shm/{}", name.display()), libc::O_RDONLY, 0)?;
        Ok(text(&sys::read(fd, 64)?))
    });
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
