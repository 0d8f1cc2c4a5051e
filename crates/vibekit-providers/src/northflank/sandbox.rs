//! A sandbox of Northflank.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use vibekit_sandbox::{Code, Command, Error, Files, Process, Result, Sandbox, Stdin};

use super::api::Api;
use super::exec::Exec;
use super::ports::host;
use super::provider::until_completed;
use super::reach::Remote;
use crate::remote::{Input, Names, Script, Start, Unwanted, check_command, start};

/// Between two looks at whether a sandbox that nothing is heard of is still there.
const LOOK: Duration = Duration::from_secs(30);

/// For little scripts.
pub(super) const SHORT: Duration = Duration::from_secs(60);

/// More input than this goes through a file: a command that does not read it would hold up its own output.
const INLINE: usize = 48 << 10;

/// What the parts of a sandbox share.
pub(super) struct Inner {
    pub(super) api: Arc<Api>,
    pub(super) id: String,
    /// Why it is over, once it is.
    pub(super) over: watch::Sender<Option<Error>>,
    pub(super) paused: AtomicBool,
    /// One change of the ports after the other.
    pub(super) ports: tokio::sync::Mutex<()>,
    deleted: Mutex<bool>,
}

impl Inner {
    /// Why it cannot be used, if it cannot.
    pub(super) fn check(&self) -> Result<()> {
        self.over.borrow().clone().map_or(Ok(()), Err)?;
        if self.paused.load(Ordering::SeqCst) {
            return Err(
                Error::new(Code::SandboxPaused, "The sandbox is paused").with_hint("Resume it first.")
            );
        }
        Ok(())
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
        let lost = match self.api.service(&self.id).await {
            // Not to be told now is no loss.
            Err(_) => return self.check().err(),
            Ok(None) => "Northflank: the sandbox's service was deleted",
            Ok(Some(service)) if service.instances == 0 => {
                "Northflank: the sandbox's service was scaled to nothing"
            }
            Ok(Some(service)) if service.status == "FAILED" => {
                "Northflank: the sandbox's deployment has failed"
            }
            Ok(Some(_)) => return None,
        };
        // It may have been us, in the meantime.
        self.check().err().or_else(|| {
            let error =
                Error::new(Code::SandboxLost, lost).with_hint("Resume it with its id, if it is still there.");
            Some(self.end(error))
        })
    }

    /// The better reason for a failure: that the sandbox is gone.
    pub(super) async fn explain(&self, error: Error) -> Error {
        self.look().await.unwrap_or(error)
    }

    /// Has a shell run a line of ours.
    pub(super) async fn run(&self, line: &str, input: &str, limit: Duration) -> Result<(i32, Vec<u8>)> {
        match Exec::run(&self.api, &self.id, line, input, limit).await {
            Ok(done) => Ok(done),
            Err(error) => Err(self.explain(error).await),
        }
    }
}

/// A wire whose failures say if the sandbox is gone.
struct Explained {
    exec: Exec,
    inner: Arc<Inner>,
}

#[async_trait]
impl crate::remote::Wire for Explained {
    async fn next(&mut self) -> Result<crate::remote::Raw> {
        match self.exec.next().await {
            Err(error) => Err(self.inner.explain(error).await),
            raw => raw,
        }
    }
}

/// See the module.
pub(super) struct NorthflankSandbox {
    pub(super) inner: Arc<Inner>,
    /// Environment the sandbox does not have itself.
    env: Vec<(String, String)>,
    /// Where commands start if the sandbox does not say.
    pub(super) directory: String,
    processes_lost: AtomicBool,
    pub(super) places: tokio::sync::OnceCell<String>,
}

impl NorthflankSandbox {
    pub(super) fn new(
        api: Arc<Api>,
        id: &str,
        env: Vec<(String, String)>,
        directory: String,
        processes_lost: bool,
    ) -> Self {
        let inner = Inner {
            api,
            id: id.to_owned(),
            over: watch::Sender::new(None),
            paused: AtomicBool::new(false),
            ports: tokio::sync::Mutex::default(),
            deleted: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
            env,
            directory,
            processes_lost: AtomicBool::new(processes_lost),
            places: tokio::sync::OnceCell::new(),
        }
    }

    /// Makes the directory commands start in; where the volume is, it is there.
    pub(super) async fn prepare(&self) -> Result<()> {
        let line = format!("mkdir -p -- {}", vibekit_core::text::quote(&self.directory));
        let (code, said) = self.inner.run(&line, "", SHORT).await?;
        if code == 0 {
            return Ok(());
        }
        let text = format!(
            "Northflank: the working directory {} cannot be made in the sandbox: {}",
            self.directory,
            String::from_utf8_lossy(&said).trim()
        );
        Err(Error::new(Code::FileError, text)
            .with_field("workingDirectory")
            .with_hint("Choose a directory the image's user may write to."))
    }
}

#[async_trait]
impl Sandbox for NorthflankSandbox {
    fn id(&self) -> &str {
        &self.inner.id
    }

    fn processes_lost(&self) -> bool {
        self.processes_lost.load(Ordering::SeqCst)
    }

    fn paused(&self) -> bool {
        self.inner.paused.load(Ordering::SeqCst)
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Process>> {
        check_command(&command)?;
        let inner = &self.inner;
        inner.check()?;
        let names = Names::new();
        let (program, directory) =
            (Start::program_of(&command), command.cwd.clone().unwrap_or_else(|| self.directory.clone()));
        let mut env = self.env.clone();
        env.extend(command.env.iter().cloned());
        let file = format!("/tmp/.vibekit-{}.in", names.job);
        let remote = Arc::new(Remote::new(Arc::clone(inner), &names.job));
        let mut unwanted = Unwanted::new(Arc::clone(&remote) as _);
        let (mut text, mut input) = ("", Input::Null);
        match &command.stdin {
            Stdin::Bytes(bytes) if !bytes.is_empty() => match std::str::from_utf8(bytes) {
                Ok(short) if short.len() <= INLINE => (text, input) = (short, Input::Inherited),
                _ => {
                    if let Err(error) = self.put(&file, Bytes::copy_from_slice(bytes)).await {
                        unwanted.disarm();
                        return Err(error);
                    }
                    input = Input::File(&file);
                }
            },
            Stdin::Null | Stdin::Bytes(_) => {}
            Stdin::Pipe => input = Input::Inherited,
        }
        let piped = matches!(command.stdin, Stdin::Pipe);
        let line = Script {
            names: &names,
            command: &command,
            directory: &self.directory,
            // The line is in no list of processes.
            env: &env,
            env_file: None,
            input,
        }
        .text();
        let (exec, to) = match Exec::start(&inner.api, &inner.id, &line, text, piped).await {
            Ok(started) => started,
            Err(error) => return Err(inner.explain(error).await),
        };
        if piped {
            remote.pipes_to(to).await;
        }
        let process = start(Start {
            names,
            program,
            directory,
            timeout: command.timeout_ms.map(Duration::from_millis),
            background: command.background,
            wire: Box::new(Explained { exec, inner: Arc::clone(inner) }),
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

    /// Ends all processes and keeps the volume: the service has no other way to stop what costs.
    async fn pause(&self) -> Result<()> {
        self.inner.over.borrow().clone().map_or(Ok(()), Err)?;
        if !self.inner.paused.swap(true, Ordering::SeqCst) {
            if let Err(error) = self.inner.api.scale(&self.inner.id, 0).await {
                self.inner.paused.store(false, Ordering::SeqCst);
                return Err(self.inner.explain(error).await);
            }
            self.processes_lost.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn thaw(&self) -> Result<()> {
        self.inner.over.borrow().clone().map_or(Ok(()), Err)?;
        if self.inner.paused.load(Ordering::SeqCst) {
            self.inner.api.scale(&self.inner.id, 1).await?;
            until_completed(&self.inner.api, &self.inner.id).await?;
            self.inner.paused.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn host(&self, port: u16) -> Result<String> {
        self.inner.over.borrow().clone().map_or(Ok(()), Err)?;
        let _one = self.inner.ports.lock().await;
        match host(&self.inner.api, &self.inner.id, port).await {
            Ok(name) => Ok(name),
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
