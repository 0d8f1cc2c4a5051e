//! The embedded sandbox. Everything about it is in `vibekit-local`.

use std::sync::Arc;

use serde_json::Value;
use vibekit_http::Lookup;
use vibekit_local::{HostEnv, LocalOptions, LocalProvider};
use vibekit_sandbox::{Provider, Result};

pub(crate) fn make(options: &Value, path: &str, env: &Lookup) -> Result<Arc<dyn Provider>> {
    let variable = |name: &str| env(name).filter(|value| !value.is_empty());
    let host = HostEnv {
        path: variable("PATH"),
        home: variable("HOME").map(Into::into),
        xdg_state_home: variable("XDG_STATE_HOME").map(Into::into),
        vibekit_home: variable("VIBEKIT_HOME").map(Into::into),
    };
    Ok(LocalProvider::new(LocalOptions::parse(options, path)?, host)?)
}
