//! Every operating system the embedded sandbox does not run on.

use std::sync::Arc;

use async_trait::async_trait;
use vibekit_sandbox::{Capabilities, OpenRequest, Provider, Result, Sandbox};

use crate::refusal::{Missing, Support, unsupported};
use crate::{HostEnv, LocalOptions};

/// Refuses.
#[derive(Debug)]
pub struct LocalProvider;

fn refusal() -> vibekit_core::Error {
    unsupported(vec![Missing {
        feature: "Linux namespaces".into(),
        step: "os".into(),
        errno: 0,
        likely_cause: format!("the operating system is {}", std::env::consts::OS),
        fix: "Use one of the other environments, or run on Linux.".into(),
    }])
}

impl LocalProvider {
    /// Refuses with `LOCAL_SANDBOX_UNSUPPORTED`.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: LocalOptions, _: HostEnv) -> Result<Arc<Self>> {
        Err(refusal())
    }

    /// Refuses with `LOCAL_SANDBOX_UNSUPPORTED`.
    ///
    /// # Errors
    /// Always.
    pub async fn probe(&self) -> Result<Support> {
        Err(refusal())
    }

    /// Nothing to sweep.
    ///
    /// # Errors
    /// Never.
    pub async fn sweep(&self) -> Result<usize> {
        Ok(0)
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }
    async fn probe(&self) -> Result<serde_json::Value> {
        Err(refusal())
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }
    async fn create(&self, _: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        Err(refusal())
    }
    async fn resume(&self, _: &str, _: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        Err(refusal())
    }
}
