//! From a permitted destination to a connected socket.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Turns a host name into addresses. The answer is not trusted: the policy looks at every address of it.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// Addresses of `name` (canonical, no trailing dot), best first, each with the port to connect to.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of this host (`getaddrinfo`).
#[derive(Debug, Default)]
pub struct SystemResolver {
    _private: (),
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, port)).await?.collect())
    }
}
