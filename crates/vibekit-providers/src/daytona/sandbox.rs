//! A sandbox of Daytona.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use vibekit_core::Admitted;
use vibekit_sandbox::{Code, Command, Error, Files, Process, Result, Sandbox, Stdin};

use super::api::Api;
use super::logs::Logs;
use super::reach::Remote;
use super::toolbox::Toolbox;
use crate::remote::{Input, Names, Script, Start, Unwanted, check_command, exports, start};

/// Between two looks at whether a sandbox that nothing is heard of is still there.
const LOOK: Duration = Duration::from_secs(30);

/// For little scripts.
pub(super) const SHORT: Duration = Duration::from_secs(60);

/// Idle sessions that are kept.
const IDLE: usize = 64;

/// What the parts of a sandbox share.
pub(super) struct Inner {
    pub(super) api: Arc<Api>,
    pub(super) id: String,
    pub(super) toolbox: Toolbox,
    /// Why it is over, once it is.
    pub(super) over: watch::Sender<Option<Error>>,
    /// Sessions no command runs in. Each is a shell that runs one command after the other.
    idle: Mutex<Vec<String>>,
    /// Deletion has succeeded.
    deleted: Mutex<bool>,
}

impl Inner {
    /// Why it is over, if it is.
    pub(super) fn check(&self) -> Result<()> {
        self.over.borrow().clone().map_or(Ok(()), Err)
    }

    /// Remembers why it is over; the first reason stays.
    fn end(&self, why: Error) -> Error {
        self.over.send_if_modified(|over| over.is_none() && over.replace(why.clone()).is_none());
        self.over.borrow().clone().unwrap_or(why)
    }

    /// Looks whether the sandbox is still there and runs. The reason, if it does not.
    pub(super) async fn look(&self) -> Option<Error> {
        if let Err(error) = self.check() {
            return Some(error);
        }
        let lost = match self.api.get(&self.id).await {
            // Not to be told now is no loss.
            Err(_) => return self.check().err(),
            Ok(None) => "Daytona: the sandbox was deleted".to_owned(),
            Ok(Some(info)) => match info.state.as_str() {
                "stopped" | "stopping" | "archived" | "archiving" | "paused" | "pausing" | "error" => {
                    let reason = info.error_reason.unwrap_or_default();
                    let text = format!("Daytona: the sandbox does not run any more (state {})", info.state);
                    if reason.is_empty() { text } else { format!("{text}: {reason}") }
                }
                _ => return None,
            },
        };
        let error = Error::new(Code::SandboxLost, lost).with_hint(
            "Resume it with its id, if it was only stopped; autoStopInterval says when that happens.",
        );
        Some(self.end(error))
    }

    /// The better reason for a failure: that the sandbox is gone.
    pub(super) async fn explain(&self, error: Error) -> Error {
        self.look().await.unwrap_or(error)
    }

    /// A session that no command runs in.
    async fn session(&self) -> Result<String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(session) => Ok(session),
            None => {
                let name = format!("vibekit-{}", Names::new().job);
                self.toolbox.create_session(&name).await?;
                Ok(name)
            }
        }
    }

    /// Takes back a session whose command has ended.
    pub(super) fn free(&self, session: String) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(session);
        }
    }

    /// Has a command started in a session, and gives back both their names. A session that has vanished (its shell was
    /// ended, or the sandbox was stopped and started) is made again.
    async fn execute(&self, line: &str, mark: &str, remote: &Remote) -> Result<(String, String)> {
        let mut session = self.session().await?;
        remote.runs_in(&session);
        for attempt in 0..2 {
            match self.toolbox.execute(&session, line).await {
                Ok(Some(command)) => return Ok((session, command)),
                Ok(None) if attempt == 0 => {
                    session = format!("vibekit-{}", Names::new().job);
                    remote.runs_in(&session);
                    self.toolbox.create_session(&session).await?;
                }
                Ok(None) => break,
                Err(error) if error.admitted == Some(Admitted::No) => return Err(self.explain(error).await),
                // The answer was lost; the session knows whether the command was.
                Err(error) => {
                    let commands = self.toolbox.commands(&session).await.ok().flatten().unwrap_or_default();
                    return match commands.into_iter().find(|info| info.command.contains(mark)) {
                        Some(info) => Ok((session, info.id)),
                        None => Err(self.explain(error).await),
                    };
                }
            }
        }
        let error =
            Error::new(Code::ProviderFailed, "Daytona: the sandbox has no session to run commands in");
        Err(self.explain(error).await)
    }
}

/// See the module.
pub(super) struct DaytonaSandbox {
    pub(super) inner: Arc<Inner>,
    /// Environment the sandbox does not have itself.
    env: Vec<(String, String)>,
    /// Where commands start if the sandbox does not say.
    pub(super) directory: String,
    processes_lost: bool,
    pub(super) home: tokio::sync::OnceCell<String>,
}

impl DaytonaSandbox {
    pub(super) fn new(
        api: Arc<Api>,
        id: &str,
        proxy: Option<String>,
        env: Vec<(String, String)>,
        directory: String,
        processes_lost: bool,
    ) -> Self {
        let inner = Inner {
            toolbox: Toolbox::new(Arc::clone(&api), id, proxy),
            api,
            id: id.to_owned(),
            over: watch::Sender::new(None),
            idle: Mutex::default(),
            deleted: Mutex::default(),
        };
        Self { inner: Arc::new(inner), env, directory, processes_lost, home: tokio::sync::OnceCell::new() }
    }

    /// Makes the directory commands start in.
    pub(super) async fn prepare(&self) -> Result<()> {
        // Images of the wild have users without rights to `/`; Daytona's own have `sudo`.
        const MAKE: &str = "mkdir -p -- \"$0\" 2>/dev/null && [ -w \"$0\" ] || { sudo -n mkdir -p -- \"$0\" && sudo -n chown \"$(id -u):$(id -g)\" \"$0\"; }";
        let (code, said) =
            self.inner.toolbox.one_shot(&["sh", "-c", MAKE, &self.directory], SHORT, true).await?;
        if code == 0 {
            return Ok(());
        }
        let text = format!(
            "Daytona: the working directory {} cannot be made in the sandbox: {}",
            self.directory,
            said.trim()
        );
        Err(Error::new(Code::FileError, text)
            .with_field("workingDirectory")
            .with_hint("Choose a directory the image's user may write to."))
    }
}

#[async_trait]
impl Sandbox for DaytonaSandbox {
    fn id(&self) -> &str {
        &self.inner.id
    }

    fn processes_lost(&self) -> bool {
        self.processes_lost
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Process>> {
        check_command(&command)?;
        let inner = &self.inner;
        inner.check()?;
        let names = Names::new();
        let (program, directory) =
            (Start::program_of(&command), command.cwd.clone().unwrap_or_else(|| self.directory.clone()));
        let remote =
            Arc::new(Remote::new(Arc::clone(inner), &names.job, matches!(command.stdin, Stdin::Pipe)));
        let base = format!("/tmp/.vibekit-{}", names.job);
        let (env_file, in_file) = (format!("{base}.env"), format!("{base}.in"));
        // Neither environment nor input is in the line: the server keeps lines, and shows them to who asks.
        let mut env = self.env.clone();
        env.extend(command.env.iter().cloned());
        let mut files: Vec<(String, Bytes)> = Vec::new();
        if !env.is_empty() {
            files.push((env_file.clone(), exports(&env).into()));
        }
        let input = match &command.stdin {
            Stdin::Bytes(bytes) if !bytes.is_empty() => {
                files.push((in_file.clone(), bytes.clone().into()));
                Input::File(&in_file)
            }
            Stdin::Null | Stdin::Bytes(_) => Input::Null,
            Stdin::Pipe => Input::Fifo(&in_file),
        };
        let line = Script {
            names: &names,
            command: &command,
            directory: &self.directory,
            env: &[],
            env_file: Some(env_file.as_str()).filter(|_| !env.is_empty()),
            input,
        }
        .text();
        let unwanted = Unwanted::new(Arc::clone(&remote) as _);
        if !files.is_empty() {
            match inner.toolbox.upload(&files).await {
                Ok(()) => {}
                Err(error) => return Err(inner.explain(error).await),
            }
        }
        let (session, id) = inner.execute(&line, &names.mark, &remote).await?;
        let wire = Box::new(Logs::new(Arc::clone(inner), &session, &id));
        remote.is(&session, &id);
        let process = start(Start {
            names,
            program,
            directory,
            timeout: command.timeout_ms.map(Duration::from_millis),
            background: command.background,
            wire,
            unwanted,
            over: inner.over.subscribe(),
        })
        .await?;
        Ok(Box::new(process))
    }

    async fn kill(&self) -> Result<()> {
        let inner = &self.inner;
        inner.end(Error::new(Code::SandboxKilled, "The sandbox was killed"));
        let gone = *inner.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        if !gone {
            inner.api.delete(&inner.id).await?;
            *inner.deleted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        Ok(())
    }

    async fn pause(&self) -> Result<()> {
        Err(no_pause())
    }

    async fn thaw(&self) -> Result<()> {
        Err(no_pause())
    }

    /// A whole URL, as Daytona gives it.
    async fn host(&self, port: u16) -> Result<String> {
        self.inner.check()?;
        match self.inner.api.preview(&self.inner.id, port).await {
            Ok(preview) => Ok(preview.url),
            Err(error) => Err(self.inner.explain(error).await),
        }
    }

    async fn release(&self) -> Result<()> {
        self.inner.end(Error::new(Code::Disposed, "The sandbox was released"));
        Ok(())
    }

    fn files(&self) -> Option<&dyn Files> {
        Some(self)
    }

    async fn lost(&self) -> Error {
        let mut over = self.inner.over.subscribe();
        loop {
            let ended = async { over.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()) };
            match tokio::time::timeout(LOOK, ended).await {
                Ok(Some(error)) if error.code == Code::SandboxLost => return error,
                // It was asked for.
                Ok(_) => std::future::pending().await,
                Err(_) => drop(self.inner.look().await),
            }
        }
    }
}

fn no_pause() -> Error {
    Error::new(Code::Unsupported, "Pause is not supported for Daytona sandboxes: the sandbox stays active.")
        .with_hint("Let autoStopInterval stop it when it is not used; resuming its id starts it again, without its processes.")
}
