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

/// Why it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// No rule covers the destination.
    NotListed,
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
