//! A container as the layers above see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{RestartContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use vibekit_sandbox::{Code, Command, Error, Files, Process, Program, Result, Sandbox};

use super::container::{self, RECORDS};
use super::endpoint::Engine;
use super::process::{self, Start};
use super::{fail, random};

/// The engine answers "has it ended?" when it has; the question is asked again after this long.
const WATCH: Duration = Duration::from_secs(3600);
/// Between questions that were not answered.
const AGAIN: Duration = Duration::from_secs(1);
/// Unanswered questions after which the engine counts as gone.
const UNANSWERED: u32 = 5;
/// Name of the record's file.
const RECORD: &str = "record.json";

/// What has become of it.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Running,
    Killed,
    Released,
    Lost(Error),
}

/// What processes of a container share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    /// Name of the container, and id of the session.
    pub(crate) name: String,
    pub(crate) state: watch::Sender<State>,
    pub(crate) paused: watch::Sender<bool>,
    /// A restart is under way: that the container stops is no loss.
    resetting: AtomicBool,
}

/// Facts about a container.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) working_directory: String,
    pub(crate) home: Option<String>,
    pub(crate) ports: Vec<u16>,
    pub(crate) ephemeral: bool,
    pub(crate) paused: bool,
    pub(crate) processes_lost: bool,
}

/// One object's hold on a container.
#[derive(Debug)]
pub(crate) struct DockerSandbox {
    shared: Arc<Shared>,
    facts: Facts,
    env: Vec<(String, String)>,
    watch: AbortHandle,
}

impl Shared {
    /// Why nothing can be done with it any more, if so.
    pub(crate) fn over(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Running => None,
            State::Killed => Some(fail::killed()),
            State::Released => Some(Error::new(Code::Disposed, "The sandbox was released")),
            State::Lost(error) => Some(error.clone()),
        }
    }

    /// What the engine's refusal means here: a container that is missing was killed or lost.
    pub(crate) fn refused(&self, doing: &str, error: &bollard::errors::Error) -> Error {
        if let Some(over) = self.over() {
            return over;
        }
        let text = fail::answer(error).map(|(_, text)| text.to_lowercase()).unwrap_or_default();
        if text.contains("no such container")
            || text.contains("is not running")
            || text.contains("no such exec")
        {
            let lost = fail::lost("its container was stopped or removed");
            self.lose(lost.clone());
            return lost;
        }
        fail::failed(doing, &self.engine.path, error)
    }

    fn lose(&self, error: Error) {
        self.state.send_if_modified(|state| {
            let running = matches!(state, State::Running);
            if running {
                *state = State::Lost(error);
            }
            running
        });
    }

    /// Ends all processes of the container, keeping its files.
    pub(crate) async fn reset(&self) -> Result<()> {
        self.resetting.store(true, Ordering::Release);
        let options = RestartContainerOptionsBuilder::new().t(0).build();
        let done = self.engine.docker.restart_container(&self.name, Some(options)).await;
        self.resetting.store(false, Ordering::Release);
        done.map_err(|error| self.refused("Restarting the container", &error))
    }

    /// Waits until the container runs no more without having been asked to end.
    async fn follow(self: Arc<Self>) {
        let docker = self.engine.docker.clone().with_timeout(WATCH);
        let mut unanswered = 0;
        loop {
            let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
            // Whatever is answered, the container's state is what counts.
            let _ = docker.wait_container(&self.name, Some(options)).next().await;
            if self.over().is_some() {
                return;
            }
            match self.engine.docker.inspect_container(&self.name, None).await {
                Ok(found) => {
                    unanswered = 0;
                    let state = found.state.unwrap_or_default();
                    if state.running != Some(true) && !self.resetting.load(Ordering::Acquire) {
                        let memory = state.oom_killed == Some(true);
                        let why = if memory { "it ran out of memory" } else { "its container was stopped" };
                        return self.lose(fail::lost(why));
                    }
                }
                Err(error) if fail::missing(&error) => {
                    return self.lose(fail::lost("its container was removed"));
                }
                Err(_) => {
                    unanswered += 1;
                    if unanswered > UNANSWERED {
                        return self.lose(fail::lost("the container engine does not answer"));
                    }
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

impl DockerSandbox {
    pub(crate) fn new(engine: Arc<Engine>, facts: Facts, env: Vec<(String, String)>) -> Self {
        let shared = Arc::new(Shared {
            engine,
            name: facts.name.clone(),
            state: watch::Sender::new(State::Running),
            paused: watch::Sender::new(facts.paused),
            resetting: AtomicBool::new(false),
        });
        let watch = tokio::spawn(Arc::clone(&shared).follow()).abort_handle();
        Self { shared, facts, env, watch }
    }

    fn usable(&self) -> Result<()> {
        match self.shared.over() {
            Some(over) => Err(over),
            None => Ok(()),
        }
    }

    async fn freeze(&self, freeze: bool) -> Result<()> {
        self.usable()?;
        let docker = &self.shared.engine.docker;
        let (done, already) = if freeze {
            (docker.pause_container(&self.shared.name).await, "already paused")
        } else {
            (docker.unpause_container(&self.shared.name).await, "not paused")
        };
        match done {
            Err(error) if !fail::answer(&error).is_some_and(|(_, text)| text.contains(already)) => {
                let doing = if freeze { "Pausing the container" } else { "Resuming the container" };
                Err(self.shared.refused(doing, &error))
            }
            _ => {
                self.shared.paused.send_replace(freeze);
                Ok(())
            }
        }
    }
}

impl Drop for DockerSandbox {
    fn drop(&mut self) {
        self.watch.abort();
        let used = matches!(*self.shared.state.borrow(), State::Running);
        if self.facts.ephemeral
            && used
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let shared = Arc::clone(&self.shared);
            runtime.spawn(async move { container::remove(&shared.engine, &shared.name).await });
        }
    }
}

/// Whether programs can be given these variables.
pub(crate) fn check_env(env: &[(String, String)]) -> Result<()> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            let problem = "has a name that is empty or holds \"=\" or NUL";
            return Err(Error::invalid("env", problem, "Rename it."));
        }
        nul(&format!("env.{name}"), value)?;
    }
    Ok(())
}

fn nul(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, "holds a NUL character", "No program can be given one."));
    }
    Ok(())
}

#[async_trait]
impl Sandbox for DockerSandbox {
    fn id(&self) -> &str {
        &self.facts.name
    }

    fn processes_lost(&self) -> bool {
        self.facts.processes_lost
    }

    fn paused(&self) -> bool {
        *self.shared.paused.borrow()
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Process>> {
        if command.read_only {
            return Err(Command::read_only_refusal());
        }
        check_env(&command.env)?;
        let words = match command.program {
            Program::Shell(line) => {
                nul("command", &line)?;
                vec!["sh".to_owned(), "-c".to_owned(), line]
            }
            Program::Exec { program, args } => {
                nul("program", &program)?;
                args.iter().try_for_each(|arg| nul("args", arg))?;
                if program.is_empty() {
                    return Err(Error::invalid("program", "is empty", "Give the name of a program."));
                }
                std::iter::once(program).chain(args).collect()
            }
        };
        self.usable()?;
        if self.paused() {
            return Err(fail::paused());
        }
        let usual = &self.facts.working_directory;
        let cwd = match command.cwd {
            Some(cwd) if cwd.starts_with('/') => cwd,
            Some(cwd) => {
                nul("cwd", &cwd)?;
                format!("{usual}/{cwd}")
            }
            None => usual.clone(),
        };
        let mut env = Vec::new();
        if let Some(home) = &self.facts.home {
            env.push(("HOME".to_owned(), home.clone()));
            env.push(("USER".to_owned(), "user".to_owned()));
        }
        env.extend(self.env.iter().cloned());
        env.extend(command.env);
        let start = Start {
            mark: random(24),
            words,
            cwd,
            env,
            stdin: command.stdin,
            timeout_ms: command.timeout_ms,
            background: command.background,
        };
        Ok(Box::new(process::start(Arc::clone(&self.shared), start).await?))
    }

    async fn kill(&self) -> Result<()> {
        self.shared.state.send_replace(State::Killed);
        container::remove(&self.shared.engine, &self.shared.name).await
    }

    async fn pause(&self) -> Result<()> {
        self.freeze(true).await
    }

    async fn thaw(&self) -> Result<()> {
        self.freeze(false).await
    }

    async fn host(&self, port: u16) -> Result<String> {
        self.usable()?;
        let engine = &self.shared.engine;
        let field = format!("{}.ports", engine.path);
        if !engine.here {
            return Err(Error::new(
                Code::Unsupported,
                "Ports are published on the loopback address of the engine's machine, which is not this one",
            )
            .with_field(format!("{}.host", engine.path))
            .with_hint("Use an engine on this machine."));
        }
        if !self.facts.ports.contains(&port) {
            let known = if self.facts.ports.is_empty() { "is empty" } else { "does not hold the port" };
            let mut error = Error::invalid(
                field,
                format!("{known}, so {port} cannot be reached"),
                format!("A container's ports are fixed when it is made: add {port} and make a new sandbox."),
            );
            if self.facts.ports.is_empty() {
                error.code = Code::Unsupported;
            }
            return Err(error.with("port", port));
        }
        let found = engine
            .docker
            .inspect_container(&self.shared.name, None)
            .await
            .map_err(|error| self.shared.refused("Looking at the container", &error))?;
        let outside = found
            .network_settings
            .and_then(|settings| settings.ports)
            .and_then(|mut ports| ports.remove(&format!("{port}/tcp")).flatten())
            .and_then(|bindings| bindings.into_iter().find_map(|binding| binding.host_port))
            .filter(|outside| !outside.is_empty());
        outside.map(|outside| format!("localhost:{outside}")).ok_or_else(|| {
            Error::new(Code::Unsupported, format!("The engine has not published port {port}"))
                .with_field(format!("{}.network", engine.path))
                .with_hint("A sandbox without a network has no ports; leave `network` out.")
        })
    }

    async fn release(&self) -> Result<()> {
        let running = matches!(*self.shared.state.borrow(), State::Running);
        if !running {
            return Ok(());
        }
        self.watch.abort();
        self.shared.state.send_replace(State::Released);
        if self.facts.ephemeral {
            container::remove(&self.shared.engine, &self.shared.name).await?;
        }
        Ok(())
    }

    async fn record(&self) -> Result<Option<String>> {
        self.usable()?;
        container::download(&self.shared.engine, &self.shared.name, &format!("/{RECORDS}/{RECORD}")).await
    }

    async fn remember(&self, record: &str) -> Result<()> {
        self.usable()?;
        let archive = super::archive::private(RECORDS, RECORD, record.as_bytes())?;
        container::upload(&self.shared.engine, &self.shared.name, archive).await
    }

    fn files(&self) -> Option<&dyn Files> {
        Some(self)
    }

    async fn lost(&self) -> Error {
        let mut state = self.shared.state.subscribe();
        loop {
            if let State::Lost(error) = &*state.borrow_and_update() {
                return error.clone();
            }
            if state.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
