//! Daytona against its double, in both generations.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use vibekit_sandbox::conformance::{Harness, run};
use vibekit_sandbox::{Provider, Result};
use vibekit_testkit::doubles::daytona::{Daytona, Generation, Settings};
use vibekit_testkit::doubles::{Double, Served, serve};

struct World {
    double: Arc<Daytona>,
    served: Served,
}

impl World {
    async fn new(generation: Generation) -> Self {
        let double = Daytona::new(Settings { generation, ..Settings::default() });
        let served = serve(double.clone()).await.unwrap();
        Self { double, served }
    }
}

#[async_trait]
impl Harness for World {
    fn provider(&self) -> Result<Arc<dyn Provider>> {
        let options = json!({ "apiKey": "dtn_key", "apiUrl": format!("{}/api", self.served.url()) });
        vibekit_providers::make("daytona", &options, "options", &(Arc::new(|_: &str| None) as _))
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
    run(&World::new(Generation::Proxy).await).await.conclude();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_the_older_generation() {
    let mut report = run(&World::new(Generation::Api).await).await;
    report.provider = "daytona (0.190)".to_owned();
    report.conclude();
}
