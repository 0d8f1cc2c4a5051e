//! A world around this machine: a second network in which every IPv4 address is one and the same listener.
//!
//! The network we are in gets a public address of its own and one way out, which ends in the second one; its sockets
//! are handed on by number. Of IPv6 there is only what is this machine's own: every address.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::IntoRawFd;

use crate::sys::{self, Attempt, Errno, sys};

/// Where the numbers of the sockets are found: `tcp:10,udp:11,…`.
pub(crate) const VARIABLE: &str = "VIBEKIT_ATTACK_WORLD";

/// A public address this machine itself has.
const OWN: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 200);
const HERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const THERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const TCP_PORTS: [u16; 6] = [22, 53, 80, 443, 853, 8080];
const UDP_PORTS: [u16; 3] = [53, 123, 443];

/// Makes the world. Works only in a new network namespace: any other one has interfaces, and is left alone.
pub(crate) fn set_up() -> Attempt<OsString> {
    if std::fs::read_to_string("/proc/self/net/dev")?.lines().count() != 3 {
        return Err(Errno(libc::EBUSY));
    }
    let here = sys::open("/proc/self/ns/net", libc::O_RDONLY, 0)?;
    sys!(libc::SYS_unshare, libc::CLONE_NEWNET)?;
    connect_to(here)?;
    up("lo")?;
    address("vk1", THERE)?;
    up("vk1")?;
    let sides = [(Ipv4Addr::UNSPECIFIED, 0, libc::RTN_LOCAL, "lo"), (HERE, 32, libc::RTN_UNICAST, "vk1")];
    for (destination, length, kind, device) in sides {
        // Both in the table that is asked first; the longer match wins.
        let scope = if kind == libc::RTN_LOCAL { libc::RT_SCOPE_HOST } else { libc::RT_SCOPE_LINK };
        let head = [libc::AF_INET as u8, length, 0, 0, libc::RT_TABLE_LOCAL, libc::RTPROT_BOOT, scope, kind];
        route(&head, &[(libc::RTA_DST, destination.octets()), (libc::RTA_OIF, index(device)?)])?;
    }
    let sockets = listen()?;
    sys!(libc::SYS_setns, here, libc::CLONE_NEWNET)?;
    sys::close(here);

    up("lo")?;
    address("lo:1", OWN)?;
    address("vk0", HERE)?;
    up("vk0")?;
    let [table, protocol] = [libc::RT_TABLE_MAIN, libc::RTPROT_BOOT];
    let head = [libc::AF_INET as u8, 0, 0, 0, table, protocol, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST];
    route(&head, &[(libc::RTA_GATEWAY, THERE.octets()), (libc::RTA_OIF, index("vk0")?)])?;
    let table = libc::RT_TABLE_LOCAL;
    let head = [libc::AF_INET6 as u8, 0, 0, 0, table, protocol, libc::RT_SCOPE_HOST, libc::RTN_LOCAL];
    route(&head, &[(libc::RTA_OIF, index("lo")?)])?;
    Ok(sockets)
}

/// Listens on every address there, for whoever this program becomes.
fn listen() -> Attempt<OsString> {
    let mut names = Vec::new();
    for port in TCP_PORTS {
        names.push(("tcp", TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?.into_raw_fd()));
    }
    for port in UDP_PORTS {
        names.push(("udp", datagrams(Ipv4Addr::UNSPECIFIED, port)?));
    }
    for line in std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default().lines() {
        let server = line.strip_prefix("nameserver").and_then(|rest| rest.trim().parse::<Ipv4Addr>().ok());
        // Bound to its very address, so that answers come from where the question went.
        if let Some(server) = server.filter(|server| !server.is_loopback()) {
            names.push(("dns", datagrams(server, 53)?));
        }
    }
    let mut text = OsString::new();
    for (kind, fd) in names {
        sys!(libc::SYS_fcntl, fd, libc::F_SETFD, 0)?;
        text.push(format!("{kind}:{fd},"));
    }
    Ok(text)
}

/// A socket at an address that may also be listened on as one of all.
fn datagrams(address: Ipv4Addr, port: u16) -> Attempt<i32> {
    let socket = sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0)? as i32;
    let yes = 1_i32;
    sys!(
        libc::SYS_setsockopt,
        socket,
        libc::SOL_SOCKET,
        libc::SO_REUSEADDR,
        &raw const yes,
        size_of_val(&yes)
    )?;
    let mut name = [0_u8; 16];
    name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&port.to_be_bytes());
    name[4..8].copy_from_slice(&address.octets());
    sys!(libc::SYS_bind, socket, name.as_ptr(), name.len())?;
    Ok(socket)
}

/// A pair of interfaces, one end here, the other in the namespace `there`.
fn connect_to(there: i32) -> Attempt<()> {
    let mut peer = vec![0; 16];
    attribute(&mut peer, libc::IFLA_IFNAME, b"vk0\0");
    attribute(&mut peer, libc::IFLA_NET_NS_FD, &there.to_ne_bytes());
    let mut data = Vec::new();
    const VETH_INFO_PEER: u16 = 1;
    attribute(&mut data, VETH_INFO_PEER, &peer);
    let mut info = Vec::new();
    attribute(&mut info, libc::IFLA_INFO_KIND, b"veth\0");
    attribute(&mut info, libc::IFLA_INFO_DATA, &data);
    let mut link = vec![0; 16];
    attribute(&mut link, libc::IFLA_IFNAME, b"vk1\0");
    attribute(&mut link, libc::IFLA_LINKINFO, &info);
    ask(libc::RTM_NEWLINK, &link)
}

fn route(head: &[u8; 8], attributes: &[(u16, [u8; 4])]) -> Attempt<()> {
    let mut message = head.to_vec();
    message.extend([0; 4]);
    for (kind, value) in attributes {
        // A destination of no length has no attribute.
        if *kind != libc::RTA_DST || head[1] > 0 {
            attribute(&mut message, *kind, value);
        }
    }
    ask(libc::RTM_NEWROUTE, &message)
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend((value.len() as u16 + 4).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn ask(kind: u16, body: &[u8]) -> Attempt<()> {
    let netlink = sys!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)? as i32;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    let mut message = Vec::new();
    message.extend((body.len() as u32 + 16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    sys::write(netlink, &message)?;
    let answer = sys::read(netlink, 4096)?;
    sys::close(netlink);
    // The acknowledgement is an error message whose number is 0.
    match answer.get(16..20) {
        Some(&[a, b, c, d]) => match i32::from_ne_bytes([a, b, c, d]) {
            0 => Ok(()),
            error => Err(Errno(-error)),
        },
        _ => Err(Errno(libc::EPROTO)),
    }
}

fn interface(name: &str, request: u64, fill: impl FnOnce(&mut libc::ifreq)) -> Attempt<libc::ifreq> {
    let mut interface: libc::ifreq = sys::zeroed();
    for (to, from) in interface.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    fill(&mut interface);
    let socket = sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)? as i32;
    let result = sys!(libc::SYS_ioctl, socket, request, &raw mut interface);
    sys::close(socket);
    result.map(|_| interface)
}

fn up(name: &str) -> Attempt<()> {
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    interface(name, libc::SIOCSIFFLAGS, |request| request.ifr_ifru.ifru_flags = flags).map(drop)
}

/// Gives an interface an address, alone or, between the two networks, with the other end as its neighbour.
fn address(name: &str, address: Ipv4Addr) -> Attempt<()> {
    let socket_address = |address: Ipv4Addr| {
        let mut value: libc::sockaddr = sys::zeroed();
        value.sa_family = libc::AF_INET as u16;
        for (to, from) in value.sa_data[2..].iter_mut().zip(address.octets()) {
            *to = from as libc::c_char;
        }
        value
    };
    interface(name, libc::SIOCSIFADDR, |request| request.ifr_ifru.ifru_addr = socket_address(address))?;
    let mask = if name.starts_with("lo") { Ipv4Addr::BROADCAST } else { Ipv4Addr::new(255, 255, 255, 0) };
    interface(name, libc::SIOCSIFNETMASK, |request| request.ifr_ifru.ifru_netmask = socket_address(mask))
        .map(drop)
}

fn index(name: &str) -> Attempt<[u8; 4]> {
    let request = interface(name, libc::SIOCGIFINDEX, |_| {})?;
    // SAFETY: the call has just filled this member.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex }.to_ne_bytes())
}
