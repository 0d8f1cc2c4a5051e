//! Accepts what the sandbox connects to.

use std::net::Ipv4Addr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::connection::{self, Door};
use crate::denial::Log;
use crate::dial::Dialer;
use crate::host::{Host, Name};
use crate::names::{self, Names};
use crate::{Denial, Policy, Reason, Resolver, SystemResolver, UpstreamProxy, Via, lookup};

/// Sockets opened inside the sandbox and accepted on outside. They must be in non-blocking mode and registered with
/// the runtime that drives the gateway.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Captured ports: the destination port, and the socket that gets its connections.
    pub tcp: Vec<(u16, TcpListener)>,
    /// Name lookups over UDP.
    pub dns_udp: Option<UdpSocket>,
    /// Name lookups over TCP.
    pub dns_tcp: Option<TcpListener>,
    /// The HTTP proxy (`CONNECT`, and absolute-form requests for `http:` URLs).
    pub connect_proxy: Option<TcpListener>,
    /// The SOCKS5 proxy.
    pub socks: Option<TcpListener>,
}

/// Bounds of one gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more are closed at once. Default 1024.
    pub connections: usize,
    /// Time a client has to say what it wants (TLS hello, HTTP head, proxy handshake). Default 30 s.
    pub handshake: Duration,
    /// Time for resolving and connecting together. Default 10 s.
    pub connect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1024, handshake: Duration::from_secs(30), connect: Duration::from_secs(10) }
    }
}

/// How the gateway reaches the outside.
#[derive(Clone)]
pub struct Settings {
    /// Who resolves names.
    pub resolver: Arc<dyn Resolver>,
    /// Proxy to go through, if the user's network has one.
    pub upstream: Option<UpstreamProxy>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self { resolver: Arc::new(SystemResolver::default()), upstream: None, limits: Limits::default() }
    }
}

/// What a gateway has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections forwarded.
    pub forwarded: u64,
    /// Attempts refused by the policy, name lookups included.
    pub denied: u64,
    /// Permitted connections that could not be made.
    pub failed: u64,
    /// Connections closed because [`Limits::connections`] was reached.
    pub overflowed: u64,
    /// Name lookups answered.
    pub lookups: u64,
}

/// A running gateway. Dropping it ends every task and closes every socket of it.
pub struct Gateway {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Gateway {
    /// Starts accepting.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn start(policy: Arc<Policy>, listeners: Listeners, settings: Settings) -> Self {
        Self::start_with(policy, listeners, settings, names::BASE)
    }

    /// With another range of addresses for names, for tests that cannot route the real one.
    pub(crate) fn start_with(
        policy: Arc<Policy>,
        listeners: Listeners,
        settings: Settings,
        base: Ipv4Addr,
    ) -> Self {
        let Settings { resolver, upstream, limits } = settings;
        let shared = Arc::new(Shared {
            names: Mutex::new(Names::new(base)),
            log: Mutex::default(),
            counts: Counts::default(),
            slots: Arc::new(Semaphore::new(limits.connections)),
            dialer: Dialer { policy: Arc::clone(&policy), resolver, upstream, limit: limits.connect },
            policy,
            handshake: limits.handshake,
        });
        let Listeners { tcp, dns_udp, dns_tcp, connect_proxy, socks } = listeners;
        let doors = tcp
            .into_iter()
            .map(|(port, listener)| (Door::Captured(port), listener))
            .chain(dns_tcp.map(|listener| (Door::Dns, listener)))
            .chain(connect_proxy.map(|listener| (Door::HttpProxy, listener)))
            .chain(socks.map(|listener| (Door::Socks, listener)));
        let mut tasks = JoinSet::new();
        for (door, listener) in doors {
            tasks.spawn(accept(Arc::clone(&shared), door, listener));
        }
        if let Some(socket) = dns_udp {
            tasks.spawn(lookup::serve_udp(Arc::clone(&shared), socket));
        }
        Self { shared, tasks }
    }

    /// What did not get through, oldest first; at most 256 different attempts are kept.
    #[must_use]
    pub fn denials(&self) -> Vec<Denial> {
        lock(&self.shared.log).entries()
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counts.read()
    }

    /// Ends every task and waits until they are gone, and with them every socket.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

/// What all tasks of a gateway share.
pub(crate) struct Shared {
    pub(crate) policy: Arc<Policy>,
    pub(crate) dialer: Dialer,
    pub(crate) counts: Counts,
    pub(crate) handshake: Duration,
    names: Mutex<Names>,
    log: Mutex<Log>,
    slots: Arc<Semaphore>,
}

impl Shared {
    /// What an address stands for: the name it was handed out for, or itself.
    pub(crate) fn meaning(&self, host: Host) -> Result<Host, Reason> {
        match host {
            Host::Ip(ip) => {
                let mut names = lock(&self.names);
                if names.covers(ip) {
                    names.name(ip).map(Host::Name).ok_or(Reason::UnknownAddress)
                } else {
                    Ok(Host::Ip(ip))
                }
            }
            name @ Host::Name(_) => Ok(name),
        }
    }

    /// The address that stands for a name from now on.
    pub(crate) fn stand_in(&self, name: &Name) -> Ipv4Addr {
        lock(&self.names).address(name)
    }

    /// Notes that an attempt did not get through.
    pub(crate) fn note(&self, destination: &[u8], port: u16, via: Via, reason: Reason) {
        let count = if reason.is_failure() { &self.counts.failed } else { &self.counts.denied };
        count.fetch_add(1, Relaxed);
        lock(&self.log).add(destination, port, via, reason);
    }
}

/// The guarded values are whole between any two statements, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    pub(crate) forwarded: AtomicU64,
    denied: AtomicU64,
    failed: AtomicU64,
    overflowed: AtomicU64,
    pub(crate) lookups: AtomicU64,
}

impl Counts {
    fn read(&self) -> Counters {
        Counters {
            accepted: self.accepted.load(Relaxed),
            forwarded: self.forwarded.load(Relaxed),
            denied: self.denied.load(Relaxed),
            failed: self.failed.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
            lookups: self.lookups.load(Relaxed),
        }
    }
}

/// Rest after a failed accept (out of file descriptors, most likely), so that it does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts on one socket. The connections are this task's: they end with it.
async fn accept(shared: Arc<Shared>, door: Door, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.counts.accepted.fetch_add(1, Relaxed);
                    let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
                        shared.counts.overflowed.fetch_add(1, Relaxed);
                        continue;
                    };
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        connection::serve(&shared, door, stream).await;
                        drop(slot);
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}
