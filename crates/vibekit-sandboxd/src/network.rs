//! The session's own network: loopback, and for sessions that may reach out, listeners that every address leads to.
//!
//! A route that declares all addresses local makes any connection end at a listener of ours. The listeners are made
//! here, where they belong to the session's network, and accepted on by the host, which decides where they lead.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};
use vibekit_sandboxd_wire::{Config, Listener, Step};

use crate::failure::{At, Result};
use crate::sys;

/// Ports of the proxies, on loopback only.
const CONNECT_PORT: u16 = 3128;
const SOCKS_PORT: u16 = 1080;
const DNS_PORT: u16 = 53;
/// How many connections wait for the host.
const BACKLOG: i32 = 1024;

/// A listener with its meaning.
pub(crate) type Listening = (Listener, OwnedFd);

/// Brings loopback up and makes the listeners.
pub(crate) fn set_up(config: &Config) -> Result<Vec<Listening>> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .at(Step::Network, || "socket".into())?;
    sys::interface_up(&socket, c"lo").at(Step::Network, || "bring loopback up".into())?;
    match &config.capture {
        Some(ports) => capture(ports),
        None => Ok(Vec::new()),
    }
}

fn capture(ports: &[u16]) -> Result<Vec<Listening>> {
    let at = |what: &'static str| move || what.to_owned();
    route_everything_here(libc::AF_INET).at(Step::Network, at("route IPv4 addresses to loopback"))?;
    let v6 = match route_everything_here(libc::AF_INET6) {
        Ok(()) => true,
        // Without IPv6 in the kernel there is nothing to capture.
        Err(Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => false,
        Err(error) => return Err(error).at(Step::Network, at("route IPv6 addresses to loopback")),
    };
    let any = Ipv4Addr::UNSPECIFIED;
    let mut all = Vec::new();
    let v4 = |kind: SocketType, address: Ipv4Addr, port: u16| {
        listener_v4(kind, address, port).at(Step::Network, || format!("listen on port {port}"))
    };
    for &port in ports {
        all.push((Listener::Tcp(port), v4(SocketType::STREAM, any, port)?));
        if v6 {
            let socket = listener_v6(port).at(Step::Network, || format!("listen on port {port} (IPv6)"))?;
            all.push((Listener::Tcp(port), socket));
        }
    }
    all.push((Listener::DnsUdp, v4(SocketType::DGRAM, any, DNS_PORT)?));
    all.push((Listener::DnsTcp, v4(SocketType::STREAM, any, DNS_PORT)?));
    all.push((Listener::Connect, v4(SocketType::STREAM, Ipv4Addr::LOCALHOST, CONNECT_PORT)?));
    all.push((Listener::Socks, v4(SocketType::STREAM, Ipv4Addr::LOCALHOST, SOCKS_PORT)?));
    Ok(all)
}

fn listener_v4(kind: SocketType, address: Ipv4Addr, port: u16) -> std::result::Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
    if kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddrV4::new(address, port))?;
    if kind == SocketType::STREAM {
        listen(&socket, BACKLOG)?;
    }
    Ok(socket)
}

fn listener_v6(port: u16) -> std::result::Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    bind(&socket, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0))?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// `ip route add local default dev lo table local`, as one netlink message.
fn route_everything_here(family: i32) -> std::result::Result<(), Errno> {
    let socket = socket_with(
        AddressFamily::from_raw(u16::try_from(libc::AF_NETLINK).map_err(|_| Errno::INVAL)?),
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    const LOOPBACK_INDEX: u32 = 1;
    const ATTRIBUTE: u16 = 8;
    const ROUTE: u16 = 12;
    const HEADER: u16 = 16;
    let length = u32::from(HEADER + ROUTE + ATTRIBUTE);
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let mut message = Vec::with_capacity(64);
    message.extend(length.to_ne_bytes());
    message.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    message.extend(u16::try_from(flags).unwrap_or(0).to_ne_bytes());
    message.extend([0; 8]); // sequence and port
    message.extend([
        u8::try_from(family).unwrap_or(0),
        0, // destination length: everything
        0,
        0,
        libc::RT_TABLE_LOCAL,
        libc::RTPROT_BOOT,
        libc::RT_SCOPE_HOST,
        libc::RTN_LOCAL,
    ]);
    message.extend(0_u32.to_ne_bytes());
    message.extend(ATTRIBUTE.to_ne_bytes());
    message.extend(libc::RTA_OIF.to_ne_bytes());
    message.extend(LOOPBACK_INDEX.to_ne_bytes());
    rustix::net::send(&socket, &message, rustix::net::SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (got, _) = rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty())?;
    // The acknowledgement is an error message whose code is 0.
    let code = answer.get(..got).and_then(|answer| answer.get(usize::from(HEADER)..usize::from(HEADER) + 4));
    match code.and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw_os_error(-code)),
        None => Err(Errno::BADMSG),
    }
}
