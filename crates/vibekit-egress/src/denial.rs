//! What did not get through, kept as data.

use std::collections::VecDeque;
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

/// One kind of attempt that did not get through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// When it happened last.
    #[serde(skip)]
    pub at: SystemTime,
    /// Host name or address as asked for; anything but printable ASCII is escaped, and at most 253 characters kept.
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

/// Most entries kept.
const CAPACITY: usize = 256;
/// Most characters of a destination kept: as long as a name can be.
const MAX_DESTINATION: usize = 253;

/// The last attempts, each kind once.
#[derive(Debug, Default)]
pub(crate) struct Log(VecDeque<Denial>);

impl Log {
    pub(crate) fn add(&mut self, destination: &[u8], port: u16, via: Via, reason: Reason) {
        let mut destination =
            destination[..destination.len().min(MAX_DESTINATION)].escape_ascii().to_string();
        destination.truncate(MAX_DESTINATION);
        let same = |entry: &Denial| {
            (entry.port, entry.via, entry.reason) == (port, via, reason) && entry.destination == destination
        };
        let count = match self.0.iter().position(same).and_then(|at| self.0.remove(at)) {
            Some(earlier) => earlier.count.saturating_add(1),
            None => 1,
        };
        if self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(Denial { at: SystemTime::now(), destination, port, via, reason, count });
    }

    pub(crate) fn entries(&self) -> Vec<Denial> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attempts_are_counted_and_the_oldest_go() {
        let mut log = Log::default();
        log.add(b"first.com", 443, Via::Direct, Reason::NotListed);
        log.add(b"second.com", 443, Via::Direct, Reason::NotListed);
        log.add(b"first.com", 443, Via::Direct, Reason::NotListed);
        log.add(b"first.com", 443, Via::Socks, Reason::NotListed);
        let seen: Vec<_> = log.entries().into_iter().map(|entry| (entry.destination, entry.count)).collect();
        assert_eq!(seen, [("second.com".into(), 1), ("first.com".into(), 2), ("first.com".into(), 1)]);
        for port in 1..=1000 {
            log.add(b"x", port, Via::Dns, Reason::BadHost);
        }
        assert_eq!(log.entries().len(), CAPACITY);
        assert_eq!(log.entries()[0].port, 745);
    }

    #[test]
    fn destinations_are_printable_and_short() {
        let mut log = Log::default();
        log.add(b"a\0b\x1b[2J\n", 0, Via::Dns, Reason::BadHost);
        log.add(&[0xff; 5000], 0, Via::Dns, Reason::BadHost);
        let entries = log.entries();
        assert_eq!(entries[0].destination, "a\\x00b\\x1b[2J\\n");
        assert_eq!(entries[1].destination.len(), MAX_DESTINATION);
    }
}
