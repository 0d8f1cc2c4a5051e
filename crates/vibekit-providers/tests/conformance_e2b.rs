//! E2B against the suite every provider passes, over the double.
#![allow(clippy::unwrap_used, missing_docs)]
#![cfg(target_os = "linux")]

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use vibekit_sandbox::conformance::{Harness, run};
use vibekit_sandbox::{Provider, Result};
use vibekit_testkit::doubles::e2b::{Double, Options};

struct E2b(Double);

#[async_trait]
impl Harness for E2b {
    fn provider(&self) -> Result<Arc<dyn Provider>> {
        let url = self.0.url();
        let options = json!({ "apiKey": "e2b_0123456789abcdef", "apiUrl": url, "sandboxUrl": url });
        vibekit_providers::make(
            "e2b",
            &options,
            "options",
            &(Arc::new(|_: &str| None) as vibekit_providers::Lookup),
        )
    }

    async fn leftovers(&self) -> Result<Vec<String>> {
        Ok(self.0.sandboxes().into_iter().map(|id| format!("sandbox {id}")).collect())
    }

    async fn take_away(&self, id: &str) -> Result<bool> {
        self.0.vanish(id);
        Ok(true)
    }

    fn sandboxes_at_once(&self) -> usize {
        20
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance() {
    let harness = E2b(Double::start(Options::default()).await.unwrap());
    run(&harness).await.conclude();
}
