//! Network policy and egress proxy of the embedded sandbox.
//!
//! The sandbox has a network namespace of its own in which every address routes to itself. Its init opens listening
//! sockets there and hands them to the host process, where a [`Gateway`] accepts on them: whatever a program inside
//! connects to arrives here, with the original destination as the local address of the accepted connection. The
//! [`Policy`] decides, the gateway forwards. When the gateway is gone nobody accepts, so nothing gets out.
//!
//! # What a permitted connection is held to
//!
//! * To a name: the addresses it resolves to are looked at, and exactly those are connected to. On port 443 the TLS
//!   hello must name the same server, on port 80 the request the same host.
//! * To an address: a rule must cover it. What is said on it is not looked at.
//!
//! # What it cannot see
//!
//! TLS is not opened. Who may talk to a permitted server may tell it, inside of TLS, to act as another host that is
//! served at the same place, if that server does such a thing. Encrypted hellos (ECH) are refused, as they are made
//! for this. UDP is not forwarded, so QUIC is not; its clients fall back to TCP. Behind an upstream proxy, the proxy
//! resolves names and is trusted to keep private addresses to itself.
//!
//! The crate stands alone: it knows nothing of sandboxes, agents or sessions.

pub mod addr;
mod buffered;
mod connection;
mod denial;
mod dial;
pub mod dns;
mod gateway;
pub mod host;
pub mod http;
mod interfaces;
mod lookup;
mod names;
mod policy;
mod rule;
pub mod sni;
pub mod socks;
mod upstream;
mod web;

#[cfg(test)]
mod e2e;

pub use denial::{Denial, Reason, Via};
pub use dial::{Resolver, SystemResolver};
pub use gateway::{Counters, Gateway, Limits, Listeners, Settings};
pub use policy::{Network, Policy, PolicyError};
pub use upstream::UpstreamProxy;

/// Port of the DNS sockets inside the sandbox (UDP and TCP).
pub const DNS_PORT: u16 = 53;
/// Port of the HTTP proxy inside the sandbox. It is a proxy for connections to a loopback address; a connection to
/// any other address on this port is treated like one on a captured port.
pub const PROXY_PORT: u16 = 3128;
/// Port of the SOCKS5 proxy inside the sandbox. The same remark as for [`PROXY_PORT`] holds.
pub const SOCKS_PORT: u16 = 1080;
