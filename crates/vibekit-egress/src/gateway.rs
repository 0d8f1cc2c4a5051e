//! Accepts what the sandbox connects to.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, UdpSocket};

use crate::{Denial, Policy, Resolver, SystemResolver, UpstreamProxy};

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
    _private: (),
}

impl Gateway {
    /// Starts accepting. Must be called within a Tokio runtime.
    #[must_use]
    pub fn start(_policy: Arc<Policy>, _listeners: Listeners, _settings: Settings) -> Self {
        Self { _private: () }
    }

    /// What was refused, oldest first; at most 256 different attempts are kept.
    #[must_use]
    pub fn denials(&self) -> Vec<Denial> {
        Vec::new()
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
