//! Northflank against its double.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use vibekit_sandbox::conformance::{Harness, run};
use vibekit_sandbox::{Provider, Result};
use vibekit_testkit::doubles::northflank::{Northflank, Settings};
use vibekit_testkit::doubles::{Double, Served, serve};

struct World {
    double: Arc<Northflank>,
    served: Served,
}

#[async_trait]
impl Harness for World {
    fn provider(&self) -> Result<Arc<dyn Provider>> {
        let options = json!({
            "apiKey": "nf-key-000000", "projectId": "project", "apiUrl": self.served.url(), "workingDirectory": "/vibe0",
        });
        vibekit_providers::make("northflank", &options, "options", &(Arc::new(|_: &str| None) as _))
    }

    async fn leftovers(&self) -> Result<Vec<String>> {
        Ok(self.double.leftovers())
    }

    async fn take_away(&self, id: &str) -> Result<bool> {
        Ok(self.double.take_away(id))
    }

    fn sandboxes_at_once(&self) -> usize {
        20
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance() {
    let double = Northflank::new(Settings::default());
    let served = serve(double.clone()).await.unwrap();
    run(&World { double, served }).await.conclude();
}
