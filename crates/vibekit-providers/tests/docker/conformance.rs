//! `environment.docker` against the suite every provider passes, over a real engine.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use vibekit_sandbox::conformance::{Harness, run_some};
use vibekit_sandbox::{Command, Provider, Result};

use crate::support::Engine;

struct Docker(Engine);

/// Answers every connection, as a server inside the sandbox. Without a module: the image has none.
const SERVER: &str = r#"
socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, pack("S n x12", 2, 3000)) and listen(S, 5) or die $!;
while (accept(C, S)) { syswrite C, "conformance\n"; close C; }
"#;

#[async_trait]
impl Harness for Docker {
    fn provider(&self) -> Result<Arc<dyn Provider>> {
        self.0.provider(json!({ "ports": [3000] }))
    }

    async fn leftovers(&self) -> Result<Vec<String>> {
        Ok(self.0.containers().await)
    }

    async fn take_away(&self, id: &str) -> Result<bool> {
        self.0.remove(id).await;
        Ok(true)
    }

    fn server(&self) -> Option<(u16, Command)> {
        Some((3000, Command::exec("perl", ["-e", SERVER])))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn conformance() {
    // A part of the suite, for whoever works on it.
    let only = std::env::var("VIBEKIT_CONFORMANCE_ONLY").unwrap_or_default();
    run_some(&Docker(Engine::start()), |name| name.contains(&only)).await.conclude();
}
