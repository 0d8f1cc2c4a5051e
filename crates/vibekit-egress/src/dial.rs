//! From a permitted destination to a connected socket.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::buffered::Buffered;
use crate::host::{Host, Name};
use crate::{Policy, Reason, UpstreamProxy, addr};

/// Turns a host name into addresses. The answer is not trusted: the policy looks at every address of it.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// Addresses of `name` (canonical, no trailing dot), best first, each with the port to connect to.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of this host (`getaddrinfo`), with its hosts file, search list and cache.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    slots: Arc<Semaphore>,
}

/// Lookups at a time. Each holds a thread, for as long as the system takes to give up, whoever still wants it.
const LOOKUPS: usize = 16;

impl Default for SystemResolver {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        // The slot goes with the thread, not with whoever waits for it.
        let lookup = spawn_blocking(move || {
            let _slot = slot;
            Ok((name.as_str(), port).to_socket_addrs()?.collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// Addresses of a name that are looked at.
const MAX_ADDRESSES: usize = 16;
/// How long one attempt is given before the next one starts beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

pub(crate) struct Dialer {
    pub(crate) policy: Arc<Policy>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) upstream: Option<UpstreamProxy>,
    pub(crate) limit: Duration,
}

impl Dialer {
    /// Connects to a destination the policy has permitted.
    pub(crate) async fn dial(&self, host: &Host, port: u16) -> Result<Buffered, Reason> {
        timeout(self.limit, self.dial_unlimited(host, port)).await.unwrap_or(Err(Reason::Unreachable))
    }

    async fn dial_unlimited(&self, host: &Host, port: u16) -> Result<Buffered, Reason> {
        // What is not public is near, and no business of a proxy on the way out.
        let near = matches!(host, Host::Ip(ip) if addr::special(*ip).is_some());
        match &self.upstream {
            Some(upstream) if !near && !upstream.bypassed_by(host, port) => {
                let addresses = match &upstream.authority().host {
                    Host::Ip(ip) => vec![SocketAddr::new(*ip, upstream.port())],
                    Host::Name(name) => self.resolve(name, upstream.port()).await?,
                };
                upstream.tunnel(connect(addresses).await?, host, port).await
            }
            _ => {
                let addresses = match host {
                    Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
                    Host::Name(name) => self.vetted(name, port).await?,
                };
                connect(addresses).await.map(Buffered::new)
            }
        }
    }

    async fn resolve(&self, name: &Name, port: u16) -> Result<Vec<SocketAddr>, Reason> {
        let mut addresses =
            self.resolver.resolve(name.as_str(), port).await.map_err(|_| Reason::Unresolved)?;
        addresses.truncate(MAX_ADDRESSES);
        for address in &mut addresses {
            address.set_ip(address.ip().to_canonical());
        }
        if addresses.is_empty() { Err(Reason::Unresolved) } else { Ok(addresses) }
    }

    /// The addresses of a name that may be reached. They are connected to as they are, so that a second answer to the
    /// same question does not matter.
    async fn vetted(&self, name: &Name, port: u16) -> Result<Vec<SocketAddr>, Reason> {
        let mut refused = Reason::Unresolved;
        let mut addresses = self.resolve(name, port).await?;
        addresses.retain(|address| match self.policy.check_resolved(address.ip(), address.port()) {
            Ok(()) => true,
            Err(reason) => {
                // That an address must not be reached says more than that another one cannot.
                if refused.is_failure() {
                    refused = reason;
                }
                false
            }
        });
        if addresses.is_empty() { Err(refused) } else { Ok(addresses) }
    }
}

/// Connects to the first that answers; the next attempt starts when the last one failed or took a while.
async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, Reason> {
    let mut waiting = alternate(addresses).into_iter();
    let mut attempts = JoinSet::new();
    loop {
        let next = waiting.next();
        let more = waiting.len() > 0;
        match next {
            Some(address) => drop(attempts.spawn(attempt(address))),
            None if attempts.is_empty() => return Err(Reason::Unreachable),
            None => {}
        }
        tokio::select! {
            done = attempts.join_next() => if let Some(Ok(Ok(stream))) = done {
                return Ok(stream);
            },
            () = sleep(STAGGER), if more => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without it, a peer that went away silently would hold the connection for ever.
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Alternates between the families, beginning with the first address's, so that one dead family costs little.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().map(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| Some(address.is_ipv4()) == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut mixed = Vec::with_capacity(one.len() + other.len());
    while one.len() + other.len() > 0 {
        mixed.extend(one.next().into_iter().chain(other.next()));
    }
    mixed
}

/// The canonical form of an accepted connection's original destination.
pub(crate) fn destination(stream: &TcpStream) -> io::Result<IpAddr> {
    Ok(stream.local_addr()?.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::net::Ipv4Addr;
    use std::time::Instant;

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let [a, b, c] = ["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"].map(parse);
        let [x, y] = ["[2001::1]:1", "[2001::2]:1"].map(parse);
        assert_eq!(alternate(vec![x, y, a, b, c]), [x, a, y, b, c]);
        assert_eq!(alternate(vec![a, b, x]), [a, x, b]);
        assert_eq!(alternate(vec![]), []);
    }

    #[tokio::test]
    async fn a_refused_address_costs_no_waiting() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let dead = closed.local_addr().unwrap();
        drop(closed);
        let start = Instant::now();
        let stream = connect(vec![dead, dead, listener.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(start.elapsed() < STAGGER);
        assert_eq!(connect(vec![dead]).await.map(drop), Err(Reason::Unreachable));
        assert_eq!(connect(vec![]).await.map(drop), Err(Reason::Unreachable));
    }

    #[tokio::test]
    async fn the_system_resolves_this_host() {
        let found = SystemResolver::default().resolve("localhost", 7).await.unwrap();
        assert!(
            found.iter().all(|address| address.ip().is_loopback() && address.port() == 7)
                && !found.is_empty()
        );
    }
}
