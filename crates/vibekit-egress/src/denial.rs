//! What was refused, kept as data.

use std::time::SystemTime;

use serde::Serialize;

/// Which door a refused attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A connection to a captured port.
    Direct,
    /// The HTTP proxy.
    HttpProxy,
    /// The SOCKS5 proxy.
    Socks,
    /// A name lookup.
    Dns,
}

/// Why an attempt did not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// No rule covers the destination.
    NotListed,
    /// The name belongs to private networks, and only the public internet is allowed.
    PrivateName,
    /// The address is not public (loopback, private, link-local, metadata …) and not listed itself.
    SpecialAddress,
    /// The address is one of this host, and not listed itself.
    OwnAddress,
    /// The address was never the answer to a lookup, or so long ago that it is forgotten.
    UnknownAddress,
    /// What was asked for is no host name, or one with a second reading.
    BadHost,
    /// A connection to port 443 of a name that does not begin with a TLS hello.
    NotTls,
    /// A TLS hello without a server name.
    NoServerName,
    /// A TLS hello for another server name.
    ServerNameMismatch,
    /// A TLS hello whose real server name is encrypted (ECH).
    EncryptedHello,
    /// A connection to port 80 of a name that does not begin with an HTTP/1 request, or an unclear one.
    NotHttp,
    /// An HTTP request for another host.
    HostMismatch,
    /// A proxy was asked for something it does not do.
    BadProxyRequest,
    /// The client did not say in time, or in reasonable length, what it wants.
    Stalled,
    /// Permitted, but the name has no address.
    Unresolved,
    /// Permitted, but no connection came about.
    Unreachable,
    /// Permitted, but the upstream proxy refused.
    UpstreamRefused,
}

impl Reason {
    /// True when the policy permits the attempt and it failed nevertheless.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Unresolved | Self::Unreachable | Self::UpstreamRefused)
    }

    /// A clause for people: `… is not allowed: <clause>`.
    #[must_use]
    pub fn clause(self) -> &'static str {
        match self {
            Self::NotListed => "no rule of the network policy covers it",
            Self::PrivateName => "the name belongs to private networks, only the public internet is allowed",
            Self::SpecialAddress => "the address is not on the public internet and not listed itself",
            Self::OwnAddress => "the address is one of the host and not listed itself",
            Self::UnknownAddress => "the address is not the answer to a recent lookup",
            Self::BadHost => "the host is not spelled in a way that has one meaning",
            Self::NotTls => "the connection does not begin with a TLS hello",
            Self::NoServerName => "the TLS hello names no server",
            Self::ServerNameMismatch => "the TLS hello names another server",
            Self::EncryptedHello => "the TLS hello hides the server's name (ECH)",
            Self::NotHttp => "the connection does not begin with a plain HTTP/1 request",
            Self::HostMismatch => "the request names another host",
            Self::BadProxyRequest => "the proxy does not do what was asked for",
            Self::Stalled => "the client did not say what it wants",
            Self::Unresolved => "the name has no address",
            Self::Unreachable => "no connection came about",
            Self::UpstreamRefused => "the upstream proxy refused",
        }
    }
}

/// One kind of refused attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// When it happened last.
    #[serde(skip)]
    pub at: SystemTime,
    /// Host name or address as asked for; unprintable characters escaped, cut at 253.
    pub destination: String,
    /// Port as asked for; 0 for name lookups.
    pub port: u16,
    /// Which door.
    pub via: Via,
    /// Why.
    pub reason: Reason,
    /// How often, since the entry was made.
    pub count: u64,
}
