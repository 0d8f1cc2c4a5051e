//! From the listeners a session hands over to a gateway that decides where they lead.

use std::net::{TcpListener as StdTcp, UdpSocket as StdUdp};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use vibekit_core::{Error, Result};
use vibekit_egress::{Gateway, Listeners, PROXY_PORT, Policy, SOCKS_PORT, Settings};
use vibekit_sandboxd_wire::Listener;

use crate::Network;
use crate::fail;

/// The decision table of an option, errors naming the user's field.
pub(crate) fn policy(network: &Network) -> Result<Policy> {
    let option = match network {
        Network::Allow => vibekit_egress::Network::Allow,
        Network::Deny => vibekit_egress::Network::Deny,
        Network::List { allow } => vibekit_egress::Network::List(allow.clone()),
    };
    Policy::from_options(option).map_err(|error| {
        let field = format!("environment.local.{}", error.field);
        let problem = error.message.strip_prefix(&error.field).unwrap_or(&error.message).trim().to_owned();
        Error::invalid(field, problem, error.hint)
    })
}

/// Ports a session of this policy listens on; `None` when it reaches nothing.
pub(crate) fn capture(policy: &Policy) -> Option<Vec<u16>> {
    (!policy.is_deny()).then(|| policy.capture_ports())
}

/// Variables that lead programs to the proxies, which take every port; the captured ports need none of them. Nothing
/// on loopback goes through a proxy: it is the sandbox's own.
pub(crate) fn proxy_variables() -> Vec<(String, String)> {
    let http = format!("http://127.0.0.1:{PROXY_PORT}");
    let socks = format!("socks5h://127.0.0.1:{SOCKS_PORT}");
    let local = "localhost,127.0.0.1,::1";
    [
        ("HTTP_PROXY", http.as_str()),
        ("http_proxy", &http),
        ("HTTPS_PROXY", &http),
        ("https_proxy", &http),
        ("ALL_PROXY", &socks),
        ("all_proxy", &socks),
        ("NO_PROXY", local),
        ("no_proxy", local),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// Starts accepting on behalf of a session.
pub(crate) fn start(policy: Arc<Policy>, sockets: Vec<(Listener, OwnedFd)>) -> Result<Gateway> {
    let failed = |error: std::io::Error| fail::internal("Taking over a listener", fail::errno(&error));
    let tcp = |fd: OwnedFd| TcpListener::from_std(StdTcp::from(fd)).map_err(failed);
    let mut listeners = Listeners::default();
    for (listener, fd) in sockets {
        match listener {
            Listener::Tcp(port) => listeners.tcp.push((port, tcp(fd)?)),
            Listener::DnsUdp => {
                listeners.dns_udp = Some(UdpSocket::from_std(StdUdp::from(fd)).map_err(failed)?)
            }
            Listener::DnsTcp => listeners.dns_tcp = Some(tcp(fd)?),
            Listener::Connect => listeners.connect_proxy = Some(tcp(fd)?),
            Listener::Socks => listeners.socks = Some(tcp(fd)?),
        }
    }
    Ok(Gateway::start(policy, listeners, Settings::default()))
}
