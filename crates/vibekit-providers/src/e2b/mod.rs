//! E2B: sandboxes in the cloud, without its JavaScript SDK.
//!
//! * [`codec`]: Connect's framing and the daemon's messages. Pure.
//! * `control`: the REST control plane; `daemon`: envd, the daemon in the sandbox.
//! * `process`: one task for each command, which follows it, finds it again after a break, and ends its whole tree.
//! * `files`, `sandbox`, `provider`: the traits.
//!
//! Protocol facts are those of the published client `e2b` 2.51 and of the open server (`e2b-dev/infra`, envd 0.6).

pub mod codec;
mod control;
mod daemon;
mod errors;
mod files;
mod life;
mod options;
mod process;
mod provider;
mod sandbox;
mod tree;
mod unique;

use std::sync::Arc;

use serde_json::Value;
use vibekit_http::{Backoff, Client, Lookup, Redact, Retry, Settings, Transport};
use vibekit_sandbox::{Provider, Result};

pub use options::E2bOptions;
pub use provider::E2bProvider;

pub(crate) fn make(options: &Value, path: &str, env: &Lookup) -> Result<Arc<dyn Provider>> {
    let options = E2bOptions::parse(options, path, env)?;
    let client = Client::new(&Settings::new(Arc::clone(env)))?;
    let way: Arc<dyn Transport> =
        Arc::new(Redact::new(Retry::new(client, Backoff::default()), [options.api_key.clone()]));
    Ok(E2bProvider::new(options, way))
}
