use std::sync::Arc;
use std::time::Duration;

/// Looks up an environment variable of the host as its user sees it (`process.env`).
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Never through a proxy, whatever `NO_PROXY` says: a proxy has no business with this machine's own servers.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// What a [`crate::Client`] is made with.
#[derive(Clone)]
pub struct Settings {
    /// `User-Agent`.
    pub user_agent: String,
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
            connect: Duration::from_secs(10),
            env,
        }
    }

    /// Defaults, with no environment: no proxy, the system's certificate authorities.
    #[must_use]
    pub fn bare() -> Self {
        Self::new(Arc::new(|_| None))
    }

    /// What no proxy is asked for, as `NO_PROXY` writes it; `None` is everything.
    pub(crate) fn excluded(&self) -> Option<String> {
        let listed = self.variable("NO_PROXY").unwrap_or_default();
        // Addresses too, which the libraries below do not take it to mean.
        let all = listed.split(',').any(|one| one.trim() == "*");
        (!all).then(|| format!("{listed},{LOOPBACK}"))
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
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}
