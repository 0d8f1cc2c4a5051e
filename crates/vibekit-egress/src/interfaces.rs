//! The addresses of this host's interfaces.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Whether an interface of this host has the address.
///
/// # Errors
///
/// When the system does not tell.
pub(crate) fn have(ip: IpAddr) -> io::Result<bool> {
    let mut list = ptr::null_mut();
    // SAFETY: `list` is a valid place for the head of the list.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = false;
    let mut next = list;
    while !next.is_null() {
        // SAFETY: `next` is an element of the list made above, which is freed below and not before.
        let entry = unsafe { &*next };
        // SAFETY: `ifa_addr` is null or points at an address of the family it names, owned by the list.
        found |= unsafe { address(entry.ifa_addr) } == Some(ip);
        next = entry.ifa_next;
    }
    // SAFETY: `list` came from `getifaddrs`, is freed once, and nothing borrowed from it is left.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// # Safety
///
/// `from` is null or points at a socket address that is as long as its family says.
unsafe fn address(from: *const libc::sockaddr) -> Option<IpAddr> {
    if from.is_null() {
        return None;
    }
    // SAFETY: every socket address begins with its family.
    match i32::from(unsafe { (*from).sa_family }) {
        libc::AF_INET => {
            // SAFETY: the family says so; unaligned, because only the family's alignment is sure.
            let address = unsafe { ptr::read_unaligned(from.cast::<libc::sockaddr_in>()) };
            Some(Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { ptr::read_unaligned(from.cast::<libc::sockaddr_in6>()) };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn loopback_is_there_and_documentation_is_not() {
        assert!(have(Ipv4Addr::LOCALHOST.into()).unwrap());
        assert!(!have(Ipv4Addr::new(192, 0, 2, 1).into()).unwrap());
        assert!(!have(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()).unwrap());
    }
}
