//! Device nodes and terminals.

use crate::report::isolated;
use crate::sys::{self, Attempt, Errno, sys};

const NODES: &[&str] = &[
    "mem",
    "kmem",
    "port",
    "kmsg",
    "kvm",
    "fuse",
    "vda",
    "vda1",
    "sda",
    "nvme0n1",
    "loop-control",
    "loop0",
    "mapper/control",
    "net/tun",
    "vhost-net",
    "vhost-vsock",
    "vsock",
    "tty0",
    "tty1",
    "console",
    "ttyS0",
    "snapshot",
    "uinput",
    "userfaultfd",
    "btrfs-control",
    "hwrng",
    "cpu/0/msr",
    "dri/card0",
    "snd/timer",
    "rfkill",
    "ram0",
];

/// Makes device nodes and opens those that exist.
pub(crate) fn devices() {
    for (name, kind, major, minor) in [
        ("null", libc::S_IFCHR, 1, 3),
        ("mem", libc::S_IFCHR, 1, 1),
        ("disk", libc::S_IFBLK, 254, 0),
        ("loop", libc::S_IFBLK, 7, 0),
    ] {
        let path = format!("vk-node-{name}");
        let node = libc::makedev(major, minor);
        isolated(21, &format!("mknod {name}"), || {
            let at = sys::cstring(&path);
            sys!(libc::SYS_mknodat, libc::AT_FDCWD, at.as_c_str(), kind | 0o666, node)
        });
        isolated(21, &format!("open made {name}"), || sys::open(&path, libc::O_RDONLY, 0));
    }
    for node in NODES {
        isolated(21, &format!("open /dev/{node}"), || {
            sys::open(format!("/dev/{node}"), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
        });
    }
    isolated(21, "open /dev/tty", || sys::open("/dev/tty", libc::O_RDWR, 0));
}

/// Typing into terminals. Each attempt gets a terminal of its own and works if a byte arrives that nobody typed.
pub(crate) fn terminal() {
    const TIOCSTI: u64 = libc::TIOCSTI;
    const TIOCLINUX: u64 = 0x541C;
    const TIOCCONS: u64 = 0x541D;
    for (probe, request) in [("TIOCSTI", TIOCSTI), ("TIOCSTI, high bits set", TIOCSTI | (1 << 32))] {
        isolated(28, probe, || {
            let terminal = controlling()?;
            sys!(libc::SYS_ioctl, terminal, request, c"x")?;
            let typed = sys::read(terminal, 1)?;
            if typed == b"x" { Ok("typed") } else { Err(Errno(libc::EIO)) }
        });
    }
    for (probe, request) in [("TIOCLINUX", TIOCLINUX), ("TIOCLINUX, high bits set", TIOCLINUX | (1 << 32))] {
        isolated(28, probe, || {
            let terminal = controlling()?;
            sys!(libc::SYS_ioctl, terminal, request, c"\x02")
        });
    }
    isolated(28, "TIOCCONS", || {
        let terminal = controlling()?;
        sys!(libc::SYS_ioctl, terminal, TIOCCONS, 0)
    });
    for fd in 0..3 {
        isolated(28, &format!("TIOCSTI on descriptor {fd}"), || sys!(libc::SYS_ioctl, fd, TIOCSTI, c"x"));
    }
    for entry in std::fs::read_dir("/dev/pts").into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name != "ptmx" {
            isolated(28, &format!("write to /dev/pts/{}", name.display()), || {
                let fd = sys::open(entry.path(), libc::O_WRONLY | libc::O_NOCTTY, 0)?;
                sys::write(fd, b"written by another\n")
            });
        }
    }
}

/// A new terminal, made the controlling one of a new session, that gives bytes without waiting for a line.
fn controlling() -> Attempt<i32> {
    let master = sys::open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0)?;
    let unlock = 0_i32;
    sys!(libc::SYS_ioctl, master, libc::TIOCSPTLCK, &raw const unlock)?;
    let terminal = sys!(libc::SYS_ioctl, master, libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY)? as i32;
    let _ = sys!(libc::SYS_setsid);
    sys!(libc::SYS_ioctl, terminal, libc::TIOCSCTTY, 0)?;
    let mut settings: libc::termios = sys::zeroed();
    // SAFETY: both calls get a live descriptor and a live structure.
    unsafe {
        libc::tcgetattr(terminal, &raw mut settings);
        libc::cfmakeraw(&raw mut settings);
        settings.c_cc[libc::VMIN] = 0;
        settings.c_cc[libc::VTIME] = 1;
        libc::tcsetattr(terminal, libc::TCSANOW, &raw const settings);
    }
    Ok(terminal)
}
