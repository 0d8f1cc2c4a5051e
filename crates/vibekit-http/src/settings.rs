use std::sync::Arc;
use std::time::Duration;

/// Looks up an environment variable of the host as its user sees it (`process.env`).
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a [`crate::Client`] is made with.
#[derive(Clone)]
pub struct Settings {
    /// `User-Agent`.
    pub user_agent: String,
    /// Only HTTP/1.1, a connection for each exchange in flight: one dead connection then ends one exchange, and a
    /// server's limit on streams per connection stops nobody.
    pub http1_only: bool,
    /// Until a connection is made. Default 10 s.
    pub connect: Duration,
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` (lower case too), `NODE_EXTRA_CA_CERTS` and `SSL_CERT_FILE`
    /// come from here. Loopback is never proxied.
    pub env: Lookup,
}

impl Settings {
    /// Defaults, with an environment.
    #[must_use]
    pub fn new(env: Lookup) -> Self {
        Self {
            user_agent: concat!("vibekit-native/", env!("CARGO_PKG_VERSION")).to_owned(),
            http1_only: false,
            connect: Duration::from_secs(10),
            env,
        }
    }

    /// Defaults, with no environment: no proxy, the system's certificate authorities.
    #[must_use]
    pub fn bare() -> Self {
        Self::new(Arc::new(|_| None))
    }

    /// Only HTTP/1.1.
    #[must_use]
    pub const fn http1_only(mut self) -> Self {
        self.http1_only = true;
        self
    }

    /// A variable, in capitals or not, as curl reads them; empty ones count as unset.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        [name.to_owned(), name.to_lowercase()]
            .iter()
            .find_map(|name| (self.env)(name).filter(|value| !value.is_empty()))
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("user_agent", &self.user_agent)
            .field("http1_only", &self.http1_only)
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}
