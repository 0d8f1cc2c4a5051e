//! Daytona (<https://www.daytona.io>), its cloud and what can be hosted by oneself.

mod api;
mod files;
mod logs;
mod options;
mod provider;
mod reach;
mod sandbox;
mod toolbox;

use std::sync::Arc;

use serde_json::Value;
use vibekit_http::{Backoff, Client, Lookup, Redact, Retry, Settings, WsClient};
use vibekit_sandbox::{Provider, Result};

use self::options::Options;
use self::provider::DaytonaProvider;

pub(crate) fn make(options: &Value, path: &str, env: &Lookup) -> Result<Arc<dyn Provider>> {
    let options = Options::parse(options, path, env)?;
    let settings = Settings::new(Arc::clone(env));
    let http = Redact::new(Retry::new(Client::new(&settings)?, Backoff::default()), [options.token.clone()]);
    Ok(DaytonaProvider::new(options, Arc::new(http), Arc::new(WsClient::new(&settings)?)))
}
