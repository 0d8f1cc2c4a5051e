//! Northflank (<https://northflank.com>): a deployment service with a volume for each sandbox.

mod api;
mod exec;
mod files;
mod options;
mod ports;
mod provider;
mod reach;
mod sandbox;

use std::sync::Arc;

use serde_json::Value;
use vibekit_http::{Backoff, Client, Lookup, Redact, Retry, Settings, WsClient};
use vibekit_sandbox::{Provider, Result};

use self::options::Options;
use self::provider::NorthflankProvider;

pub(crate) fn make(options: &Value, path: &str, env: &Lookup) -> Result<Arc<dyn Provider>> {
    let options = Options::parse(options, path, env)?;
    let settings = Settings::new(Arc::clone(env));
    let http = Redact::new(Retry::new(Client::new(&settings)?, Backoff::default()), [options.key.clone()]);
    Ok(NorthflankProvider::new(options, Arc::new(http), Arc::new(WsClient::new(&settings)?)))
}
