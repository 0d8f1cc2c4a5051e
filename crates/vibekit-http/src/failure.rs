use std::fmt;
use std::time::Duration;

use vibekit_core::{Admitted, Code, Error};

/// Why no (whole) answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub reason: Reason,
    /// Whether the request can have reached the other side.
    pub admitted: Admitted,
    /// The rest of a sentence that begins with whom we talked to.
    pub message: String,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request cannot be sent as it is (a URL that is none, a line break in a header).
    Invalid,
    /// No connection: the name does not resolve, nobody listens, no way through the proxy.
    Connect,
    /// The other side could not prove who it is.
    Tls,
    /// A limit on waiting was reached.
    Timeout(Limit),
    /// The connection broke off, or what came is no HTTP.
    Broken,
    /// The body is larger than the caller takes.
    TooLarge,
}

/// Which wait was too long, and how long it was allowed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Making the connection.
    Connect(Duration),
    /// Until the head of the answer.
    FirstByte(Duration),
    /// Between two pieces of the body.
    Idle(Duration),
    /// The whole exchange.
    Total(Duration),
}

impl Limit {
    /// Name, as in `details.limit` of the error.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::FirstByte(_) => "firstByte",
            Self::Idle(_) => "idle",
            Self::Total(_) => "total",
        }
    }

    /// How long.
    #[must_use]
    pub const fn duration(self) -> Duration {
        match self {
            Self::Connect(limit) | Self::FirstByte(limit) | Self::Idle(limit) | Self::Total(limit) => limit,
        }
    }
}

impl Failure {
    /// A failure of which it is not known whether the request was taken on, unless the reason tells.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let admitted = match reason {
            Reason::Invalid | Reason::Connect | Reason::Tls | Reason::Timeout(Limit::Connect(_)) => {
                Admitted::No
            }
            _ => Admitted::Unknown,
        };
        Self { reason, admitted, message: message.into() }
    }

    /// The request did reach the other side.
    #[must_use]
    pub const fn admitted(mut self) -> Self {
        self.admitted = Admitted::Yes;
        self
    }

    /// As an error of the workspace. `who` begins the sentence: `E2B`, `GitHub`.
    #[must_use]
    pub fn into_error(self, who: &str) -> Error {
        let code = match self.reason {
            Reason::Timeout(_) => Code::Timeout,
            _ => Code::ProviderFailed,
        };
        let mut error = Error::new(code, format!("{who}: {}.", self.message));
        error.admitted = Some(self.admitted);
        error.retryable = !matches!(self.reason, Reason::Invalid | Reason::Tls | Reason::TooLarge);
        match self.reason {
            Reason::Timeout(limit) => error.with(
                "limit",
                serde_json::json!({ "name": limit.name(), "ms": u64::try_from(limit.duration().as_millis()).unwrap_or(u64::MAX) }),
            ),
            Reason::Tls => error.with_hint(
                "If a proxy of your company answers in its place, name its certificate in NODE_EXTRA_CA_CERTS or SSL_CERT_FILE.",
            ),
            _ => error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
