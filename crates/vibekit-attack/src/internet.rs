//! A network of our own in which every address is this machine.

use crate::sys::{self, Attempt, Errno, sys};

/// An address this machine has, beside answering to all of them: what a public server's own address is to it.
const OWN_ADDRESS: [u8; 4] = [93, 184, 216, 200];
const LOOPBACK_INDEX: u32 = 1;

/// Brings loopback up and routes all there is to it. Works only in a network namespace of our own: another one has
/// other interfaces, and is left alone.
pub(crate) fn set_up() -> Attempt<()> {
    let interfaces = std::fs::read_to_string("/proc/self/net/dev")?.lines().count() - 2;
    if interfaces != 1 {
        return Err(Errno(libc::EBUSY));
    }
    let fd = sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)? as i32;
    let mut request: libc::ifreq = sys::zeroed();
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    sys!(libc::SYS_ioctl, fd, libc::SIOCSIFFLAGS, &raw const request)?;
    sys::close(fd);

    let netlink = sys!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)? as i32;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let [table, protocol] = [libc::RT_TABLE_LOCAL, libc::RTPROT_BOOT];
        let mut route = vec![family as u8, 0, 0, 0, table, protocol, libc::RT_SCOPE_HOST, libc::RTN_LOCAL];
        route.extend([0; 4]);
        attribute(&mut route, libc::RTA_OIF, &LOOPBACK_INDEX.to_ne_bytes());
        ask(netlink, libc::RTM_NEWROUTE, &route)?;
    }
    let mut address = vec![libc::AF_INET as u8, 32, 0, 0];
    address.extend(LOOPBACK_INDEX.to_ne_bytes());
    attribute(&mut address, libc::IFA_LOCAL, &OWN_ADDRESS);
    attribute(&mut address, libc::IFA_ADDRESS, &OWN_ADDRESS);
    ask(netlink, libc::RTM_NEWADDR, &address)?;
    sys::close(netlink);
    Ok(())
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8; 4]) {
    message.extend(8_u16.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
}

fn ask(netlink: i32, kind: u16, body: &[u8]) -> Attempt<()> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
    let mut message = Vec::new();
    message.extend((body.len() as u32 + 16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    sys::write(netlink, &message)?;
    let answer = sys::read(netlink, 1024)?;
    // The acknowledgement is an error message whose number is 0.
    match answer.get(16..20) {
        Some(&[a, b, c, d]) => match i32::from_ne_bytes([a, b, c, d]) {
            0 => Ok(()),
            error => Err(Errno(-error)),
        },
        _ => Err(Errno(libc::EPROTO)),
    }
}
