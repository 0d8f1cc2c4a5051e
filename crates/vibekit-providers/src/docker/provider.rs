//! `environment.docker`.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, oneshot};
use vibekit_http::Lookup;
use vibekit_sandbox::{Capabilities, Code, Error, OpenRequest, Provider, Result, Sandbox};

use super::container::{self, EPHEMERAL, HOME, MARK};
use super::endpoint::{self, Engine};
use super::options::DockerOptions;
use super::sandbox::{DockerSandbox, Facts, check_env};
use super::{fail, owner};

/// Default working directory, the one of every environment.
const WORKING_DIRECTORY: &str = "/vibe0";
/// Directories of the kernel and of the system that no project belongs into.
const RESERVED: [&str; 9] = ["/proc", "/sys", "/dev", "/bin", "/sbin", "/lib", "/usr", "/etc", "/.vibekit"];

/// Opens containers.
pub(crate) struct DockerProvider {
    options: DockerOptions,
    path: String,
    env: Lookup,
    engine: OnceCell<Arc<Engine>>,
}

impl DockerProvider {
    pub(crate) fn new(options: DockerOptions, path: String, env: Lookup) -> Self {
        Self { options, path, env, engine: OnceCell::new() }
    }

    /// The engine, found at first use; then what dead processes left there is swept in the background.
    async fn engine(&self) -> Result<Arc<Engine>> {
        let connect = async {
            let engine = Arc::new(endpoint::connect(&self.options, &self.path, &self.env).await?);
            let swept = Arc::clone(&engine);
            tokio::spawn(async move { owner::sweep(&swept).await });
            Ok(engine)
        };
        self.engine.get_or_try_init(|| connect).await.cloned()
    }
}

fn working_directory(request: &OpenRequest) -> Result<String> {
    let path = match request.working_directory.as_str() {
        "" => WORKING_DIRECTORY,
        path => path,
    };
    let wrong = |problem: &str| {
        Err(Error::invalid("workingDirectory", problem, "Give an absolute path such as /vibe0."))
    };
    if !path.starts_with('/') {
        return wrong("is not absolute");
    }
    if path == "/" || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return wrong("is not a plain path below /");
    }
    if path.contains(char::is_control) || path.len() > 1024 {
        return wrong("holds a character no directory name should have, or is too long");
    }
    let within =
        |top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if RESERVED.iter().any(|top| within(top)) {
        return wrong("lies in a directory of the system");
    }
    Ok(path.to_owned())
}

/// A container on its way to whoever asked for it; one nobody takes is removed.
struct Untaken {
    engine: Arc<Engine>,
    name: Option<String>,
}

impl Drop for Untaken {
    fn drop(&mut self) {
        if let (Some(name), Ok(runtime)) = (self.name.take(), tokio::runtime::Handle::try_current()) {
            let engine = Arc::clone(&self.engine);
            runtime.spawn(async move { container::remove(&engine, &name).await });
        }
    }
}

#[async_trait]
impl Provider for DockerProvider {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { host: !self.options.ports.is_empty(), read_only: false, ..Capabilities::ALL }
    }

    async fn probe(&self) -> Result<Value> {
        let engine = self.engine().await?;
        let failed = |error| fail::failed("Asking the engine", &self.path, &error);
        let version = engine.docker.version().await.map_err(failed)?;
        let info = engine.docker.info().await.map_err(failed)?;
        Ok(json!({
            "engine": version.platform.map_or("Docker".to_owned(), |platform| platform.name),
            "version": version.version,
            "apiVersion": version.api_version,
            "os": version.os,
            "arch": version.arch,
            "cpus": info.ncpu,
            "memory": info.mem_total,
            "runtimes": info.runtimes.map(|runtimes| runtimes.into_keys().collect::<Vec<_>>()),
            "rootless": info.security_options.is_some_and(|all| all.iter().any(|one| one.contains("rootless"))),
            "capabilities": self.capabilities(),
        }))
    }

    async fn create(&self, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        let working_directory = working_directory(&request)?;
        check_env(&request.env)?;
        let engine = self.engine().await?;
        let (sender, receiver) = oneshot::channel();
        let (options, agent, place) = (self.options.clone(), request.agent, working_directory.clone());
        let maker = Arc::clone(&engine);
        // To the end even if nobody waits any more: a request that is cut off may yet be carried out.
        tokio::spawn(async move {
            let made = container::make(&maker, &options, &agent, &place).await;
            let _ = sender.send(made.map(|name| Untaken { engine: maker, name: Some(name) }));
        });
        let mut made = receiver
            .await
            .unwrap_or_else(|_| Err(Error::new(Code::Internal, "Making the container panicked")))?;
        let name = made.name.clone().unwrap_or_default();
        // Whether the image has a user of its own is written on the container.
        let (facts, _) = facts(&engine, &name).await?;
        made.name = None;
        Ok(Arc::new(DockerSandbox::new(engine, facts, request.env)))
    }

    async fn resume(&self, id: &str, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        check_env(&request.env)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty()
            || id.len() > 128
            || !id.chars().all(allowed)
            || !id.starts_with(char::is_alphanumeric)
        {
            return Err(Error::invalid(
                "sandboxId",
                "is not a session id",
                "Give the `sandboxId` of a sandbox.",
            ));
        }
        let engine = self.engine().await?;
        let (mut facts, running) = facts(&engine, id).await?;
        if facts.paused {
            engine
                .docker
                .unpause_container(id)
                .await
                .map_err(|error| fail::failed("Resuming the container", &self.path, &error))?;
            facts.paused = false;
        } else if !running {
            engine
                .docker
                .start_container(id, None)
                .await
                .map_err(|error| fail::failed("Starting the container", &self.path, &error))?;
            facts.processes_lost = true;
        }
        Ok(Arc::new(DockerSandbox::new(engine, facts, request.env)))
    }
}

/// What is written on a container of ours, and whether it runs. Others are not sessions.
async fn facts(engine: &Engine, name: &str) -> Result<(Facts, bool)> {
    let found = match engine.docker.inspect_container(name, None).await {
        Ok(found) => found,
        Err(error) if fail::missing(&error) => return Err(fail::not_found(name)),
        Err(error) => return Err(fail::failed("Looking for the container", &engine.path, &error)),
    };
    let config = found.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    // The engine also finds by beginnings of ids.
    let same = found.name.is_some_and(|own| own.trim_start_matches('/') == name);
    if !same || !labels.contains_key(MARK) {
        return Err(fail::not_found(name));
    }
    let state = found.state.unwrap_or_default();
    let ports = config.exposed_ports.unwrap_or_default();
    let bound = found.host_config.and_then(|host| host.port_bindings).unwrap_or_default();
    let facts = Facts {
        name: name.to_owned(),
        working_directory: config.working_dir.unwrap_or_else(|| WORKING_DIRECTORY.to_owned()),
        home: labels.get(HOME).cloned(),
        // Those of the image are exposed, but not published.
        ports: ports
            .iter()
            .filter(|port| bound.contains_key(*port))
            .filter_map(|port| port.strip_suffix("/tcp")?.parse().ok())
            .collect(),
        ephemeral: labels.get(EPHEMERAL).is_some_and(|value| value == "true"),
        paused: state.paused == Some(true),
        processes_lost: false,
    };
    Ok((facts, state.running == Some(true)))
}
