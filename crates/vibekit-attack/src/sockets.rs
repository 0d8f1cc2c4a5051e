//! Kinds of sockets, and sockets of the host.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::report::isolated;
use crate::sys::{self, Errno, sys};

const STREAM: i32 = libc::SOCK_STREAM;
const DGRAM: i32 = libc::SOCK_DGRAM;
const RAW: i32 = libc::SOCK_RAW;
const SEQPACKET: i32 = libc::SOCK_SEQPACKET;

const FAMILIES: &[(&str, i32, i32, i32)] = &[
    ("packet raw", libc::AF_PACKET, RAW, 0x0300),
    ("packet datagram", libc::AF_PACKET, DGRAM, 0x0300),
    ("raw icmp", libc::AF_INET, RAW, libc::IPPROTO_ICMP),
    ("raw ip", libc::AF_INET, RAW, libc::IPPROTO_RAW),
    ("raw icmp6", libc::AF_INET6, RAW, libc::IPPROTO_ICMPV6),
    ("ping", libc::AF_INET, DGRAM, libc::IPPROTO_ICMP),
    ("mptcp", libc::AF_INET, STREAM, 262),
    ("mptcp 6", libc::AF_INET6, STREAM, 262),
    ("sctp", libc::AF_INET, STREAM, 132),
    ("sctp 6", libc::AF_INET6, SEQPACKET, 132),
    ("dccp", libc::AF_INET, 6, 33),
    ("udplite", libc::AF_INET, DGRAM, 136),
    ("vsock stream", libc::AF_VSOCK, STREAM, 0),
    ("vsock datagram", libc::AF_VSOCK, DGRAM, 0),
    ("alg", libc::AF_ALG, SEQPACKET, 0),
    ("xdp", 44, RAW, 0),
    ("netlink generic", libc::AF_NETLINK, RAW, 16),
    ("netlink netfilter", libc::AF_NETLINK, RAW, 12),
    ("netlink audit", libc::AF_NETLINK, RAW, 9),
    ("netlink xfrm", libc::AF_NETLINK, RAW, 6),
    ("netlink uevent", libc::AF_NETLINK, RAW, 15),
    ("netlink connector", libc::AF_NETLINK, RAW, 11),
    ("netlink crypto", libc::AF_NETLINK, RAW, 21),
    ("netlink sock_diag", libc::AF_NETLINK, RAW, 4),
    ("bluetooth", libc::AF_BLUETOOTH, SEQPACKET, 0),
    ("can", libc::AF_CAN, RAW, 1),
    ("rds", libc::AF_RDS, SEQPACKET, 0),
    ("tipc", 30, STREAM, 0),
    ("key", libc::AF_KEY, RAW, 2),
    ("pppox", libc::AF_PPPOX, STREAM, 0),
    ("ax25", libc::AF_AX25, SEQPACKET, 0),
    ("x25", libc::AF_X25, SEQPACKET, 0),
    ("appletalk", libc::AF_APPLETALK, DGRAM, 0),
    ("nfc", 39, SEQPACKET, 0),
    ("kcm", 41, DGRAM, 0),
    ("qipcrtr", 42, DGRAM, 0),
    ("smc", 43, STREAM, 0),
    ("mctp", 45, DGRAM, 0),
];

/// Row 29.
pub(crate) fn families() {
    for (name, family, kind, protocol) in FAMILIES {
        isolated(29, name, || sys!(libc::SYS_socket, *family, *kind, *protocol));
    }
    isolated(29, "mptcp, high bits set", || {
        sys!(libc::SYS_socket, libc::AF_INET as u64 | (1 << 32), STREAM, 262_u64 | (1 << 32))
    });
    isolated(29, "mptcp, close on exec", || {
        sys!(libc::SYS_socket, libc::AF_INET, STREAM | libc::SOCK_CLOEXEC, 262)
    });
    isolated(29, "raw, non-blocking", || {
        sys!(libc::SYS_socket, libc::AF_INET, RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 1)
    });
    isolated(29, "vsock pair", || {
        let mut pair = [0_i32; 2];
        sys!(libc::SYS_socketpair, libc::AF_VSOCK, STREAM, 0, pair.as_mut_ptr())
    });
}

/// `unix NAME …`: connects to each socket and says who it is; a name that begins with `@` is an abstract one.
pub(crate) fn unix(arguments: &[OsString]) {
    for name in arguments {
        for (kind, label) in [(STREAM, "stream"), (DGRAM, "datagram"), (SEQPACKET, "seqpacket")] {
            isolated(30, &format!("{label} to {}", name.display()), || {
                let (address, length) = address(name.as_bytes())?;
                let fd = sys!(libc::SYS_socket, libc::AF_UNIX, kind, 0)? as i32;
                sys!(libc::SYS_connect, fd, &raw const address, length)?;
                sys::write(fd, b"from inside\n")
            });
        }
    }
}

fn address(name: &[u8]) -> Result<(libc::sockaddr_un, usize), Errno> {
    let mut address: libc::sockaddr_un = sys::zeroed();
    address.sun_family = libc::AF_UNIX as u16;
    if name.len() >= address.sun_path.len() {
        return Err(Errno(libc::E2BIG));
    }
    for (to, from) in address.sun_path.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    let length = 2 + name.len();
    if name.first() == Some(&b'@') {
        address.sun_path[0] = 0;
        return Ok((address, length));
    }
    Ok((address, length + 1))
}
