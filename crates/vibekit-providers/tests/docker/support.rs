//! A real engine of the test's own. Where none can be started the test fails with the command that would fix it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bollard::Docker;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use serde_json::Value;
use tempfile::TempDir;
use vibekit_providers::{Lookup, make};
use vibekit_sandbox::{Provider, Result};

/// The image `testing/engine.sh` makes.
pub(crate) const IMAGE: &str = "vibekit-test:1";
/// An engine that runs already, for many tests in a row.
const RUNNING: &str = "VIBEKIT_TEST_ENGINE";

pub(crate) struct Engine {
    pub(crate) address: String,
    pub(crate) docker: Docker,
    folder: Option<TempDir>,
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testing/engine.sh")
}

/// Starts an engine. Its address.
fn start(folder: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(script());
    let started = command.arg("start").arg(folder).envs(variables.iter().copied()).output().unwrap();
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    String::from_utf8(started.stdout).unwrap().trim().to_owned()
}

impl Engine {
    /// The engine `VIBEKIT_TEST_ENGINE` names, or one that ends with the test.
    pub(crate) fn start() -> Self {
        let (address, folder) = match std::env::var(RUNNING) {
            Ok(address) => (address, None),
            Err(_) => {
                let folder = tempfile::Builder::new().prefix("vk-engine-").tempdir().unwrap();
                (start(folder.path(), &[]), Some(folder))
            }
        };
        Self::at(address, folder)
    }

    /// One with arguments of its own, in this folder. Has no network, because one that has may run beside it.
    pub(crate) fn own(folder: TempDir, arguments: &str) -> Self {
        let variables =
            [("VIBEKIT_TEST_ENGINE_BRIDGE", "none"), ("VIBEKIT_TEST_ENGINE_ARGUMENTS", arguments)];
        let address = start(folder.path(), &variables);
        Self::at(address, Some(folder))
    }

    fn at(address: String, folder: Option<TempDir>) -> Self {
        let docker = Docker::connect_with_unix(&address, 120, bollard::API_DEFAULT_VERSION).unwrap();
        Self { address, docker, folder }
    }

    pub(crate) fn lookup(&self) -> Lookup {
        let address = self.address.clone();
        Arc::new(move |name| (name == "DOCKER_HOST").then(|| address.clone()))
    }

    /// A provider over this engine, of the test's image unless the options name another.
    pub(crate) fn provider(&self, mut options: Value) -> Result<Arc<dyn Provider>> {
        let map = options.as_object_mut().unwrap();
        map.entry("image").or_insert(IMAGE.into());
        make("docker", &options, "environment.docker", &self.lookup())
    }

    /// Names and states of all containers of ours.
    pub(crate) async fn containers(&self) -> Vec<String> {
        let docker = self.docker.clone().negotiate_version().await.unwrap();
        let filters = HashMap::from([("label", vec!["dev.vibekit-native.sandbox"])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let found = loop {
            match docker.list_containers(Some(options.clone())).await {
                Ok(found) => break found,
                // For a moment Podman calls a container `stopped`, which is no state of Docker's and no answer to this client.
                Err(bollard::errors::Error::JsonDataError { message, .. })
                    if message.contains("`stopped`") && std::time::Instant::now() < end =>
                {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let line = |one: bollard::models::ContainerSummary| {
            format!(
                "container {} ({})",
                one.names.unwrap_or_default().join(" "),
                one.status.unwrap_or_default()
            )
        };
        found.into_iter().map(line).collect()
    }

    /// The engine's own client.
    pub(crate) fn client(&self, args: &[&str]) -> String {
        let done = Command::new("docker").args(["--host", &self.address]).args(args).output().unwrap();
        assert!(done.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Removes a container as its operator would.
    pub(crate) async fn remove(&self, name: &str) {
        let docker = self.docker.clone().negotiate_version().await.unwrap();
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        docker.remove_container(name, Some(options)).await.unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = Command::new(script()).arg("stop").arg(folder.path()).status();
        }
    }
}
