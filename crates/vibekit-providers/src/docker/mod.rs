//! `environment.docker`: containers of a Docker or Podman engine, over the engine's own HTTP interface.
//!
//! Source of protocol facts: the Engine API's reference, <https://docs.docker.com/reference/api/engine/>, version 1.41 and
//! later. Exec has no "end it" there: commands run under a small script ([`script`]) that marks them, and are ended by
//! a second exec that finds everything with the mark.

mod archive;
mod container;
mod endpoint;
mod fail;
mod files;
mod image;
mod options;
mod owner;
mod process;
mod provider;
mod sandbox;
mod script;

use std::sync::Arc;

use serde_json::Value;
use vibekit_http::Lookup;
use vibekit_sandbox::{Provider, Result};

pub(crate) fn make(options: &Value, path: &str, env: &Lookup) -> Result<Arc<dyn Provider>> {
    let options = options::DockerOptions::parse(options, path)?;
    Ok(Arc::new(provider::DockerProvider::new(options, path.to_owned(), Arc::clone(env))))
}

/// Random text of the engine's alphabet for names.
fn random(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; length];
    // Without a source of randomness no id is safe to use; the name clash that follows is reported.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}
