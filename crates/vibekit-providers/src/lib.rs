//! The native sandbox providers.
//!
//! One folder each, with the same set of files, and one line in [`PROVIDERS`]. What they have in common is the traits of
//! `vibekit-sandbox` and the transport of `vibekit-http`; no provider knows another one.

#![forbid(unsafe_code)]

mod daytona;
mod docker;
pub mod e2b;
mod local;
mod northflank;
mod remote;

use std::sync::Arc;

use serde_json::Value;
pub use vibekit_http::Lookup;
use vibekit_sandbox::{Code, Error, Provider, Result};

/// Makes a provider from its user's options. Checks them all, talks to nobody.
///
/// The second argument is what the options are called in errors: `environment.e2b`, or `options`.
type Make = fn(&Value, &str, &Lookup) -> Result<Arc<dyn Provider>>;

/// Every provider by its name in `environment`.
const PROVIDERS: &[(&str, Make)] = &[
    ("daytona", daytona::make),
    ("docker", docker::make),
    ("e2b", e2b::make),
    ("local", local::make),
    ("northflank", northflank::make),
];

/// Makes the provider of a name. `options` are the user's; `path` is what errors call them; `env` gives environment
/// variables of the host.
///
/// # Errors
///
/// `UNSUPPORTED` when there is none of that name; what is wrong with the options.
pub fn make(name: &str, options: &Value, path: &str, env: &Lookup) -> Result<Arc<dyn Provider>> {
    match PROVIDERS.iter().find(|(known, _)| *known == name) {
        Some((_, make)) => make(options, path, env),
        None => {
            let can: Vec<_> = names().map(|name| format!("environment.{name}")).collect();
            Err(Error::new(
                Code::Unsupported,
                format!(
                    "environment.{name} cannot be opened by this version. It can open: {}.",
                    can.join(", ")
                ),
            )
            .with_field(format!("environment.{name}"))
            .with_hint("Use one of them, or pass the provider's own package to withSandbox()."))
        }
    }
}

/// The names there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|(name, _)| *name)
}
