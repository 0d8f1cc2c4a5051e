//! One sandbox, as the layers above see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use vibekit_core::Admitted;
use vibekit_core::text::quote;
use vibekit_sandbox::{Code, Command, Error, Process, Program, Result, Sandbox, Stdin};

use super::control::{Attached, Control};
use super::daemon::{Daemon, Start};
use super::life::{self, Life, State, killed};
use super::process::{self, Greeting, Launch, Place};
use super::unique::unique;
use super::{errors, files, tree};

/// Where the session's record is, below the user's home.
const RECORD: &str = "~/.vibekit/session.json";
/// Where the output of background commands is.
const LOGS: &str = "/tmp/vibekit-logs";
/// For a helper of ours to run.
const HELPER: Duration = Duration::from_secs(30);
/// On top of a command's own limit, before the daemon ends it by itself: by then we are gone.
const ORPHANED: Duration = Duration::from_secs(60);
/// First version whose standard input can be closed.
const CLOSES: (u32, u32, u32) = (0, 5, 2);

/// Makes the working directory and gives it to the user, with `sudo` where that is needed and there is one.
const DIRECTORY: &str = r#"
mkdir -p -- "$1" 2>/dev/null
[ -d "$1" ] && [ -w "$1" ] && exit 0
sudo -n mkdir -p -- "$1" && sudo -n chown "$(id -u):$(id -g)" -- "$1"
"#;

/// One attachment to a sandbox.
pub(super) struct E2bSandbox {
    control: Arc<Control>,
    daemon: Arc<Daemon>,
    life: Arc<Life>,
    domain: Option<String>,
    directory: String,
    /// For every command. That of a new sandbox is with the service.
    env: Vec<(String, String)>,
    /// Made by this attachment: it has no record yet.
    fresh: AtomicBool,
    /// The working directory was seen.
    prepared: AtomicBool,
}

impl E2bSandbox {
    pub(super) fn new(
        control: Arc<Control>,
        attached: Attached,
        directory: String,
        env: Vec<(String, String)>,
        fresh: bool,
    ) -> Self {
        let daemon = Arc::new(Daemon::new(&control, &attached));
        Self {
            life: Arc::new(Life::new()),
            domain: attached.domain,
            prepared: AtomicBool::new(false),
            control,
            daemon,
            directory,
            env,
            fresh: AtomicBool::new(fresh),
        }
    }

    /// The daemon, if work may begin.
    pub(super) fn ready(&self) -> Result<&Daemon> {
        self.life.check()?;
        Ok(&self.daemon)
    }

    /// A path as the daemon takes it.
    pub(super) fn resolve(&self, path: &str) -> String {
        if let Some(rest) = path.strip_prefix("$HOME/") {
            return format!("~/{rest}");
        }
        if path.starts_with('/') || path.starts_with("~/") || path == "~" {
            return path.to_owned();
        }
        match path {
            "" | "." => self.directory.clone(),
            path => format!("{}/{path}", self.directory),
        }
    }

    /// What a call of the daemon gave.
    pub(super) async fn judge<T>(&self, outcome: Result<T>) -> Result<T> {
        life::judge(&self.control, self.id(), outcome).await
    }

    /// Makes the working directory. Doing it twice does no harm.
    pub(super) async fn prepare(&self) -> Result<()> {
        let mut outcome = self.make_directory().await;
        for pause in [300, 1200] {
            match &outcome {
                Err(error) if error.field.is_none() && self.life.check().is_ok() => {}
                _ => break,
            }
            // A route to a new sandbox may take a moment to appear.
            tokio::time::sleep(Duration::from_millis(pause)).await;
            outcome = self.make_directory().await;
        }
        self.judge(outcome).await
    }

    async fn make_directory(&self) -> Result<()> {
        let start = Start {
            program: "/bin/sh".to_owned(),
            args: ["-c", DIRECTORY, "sh", &self.directory].map(str::to_owned).into(),
            env: Vec::new(),
            cwd: Some("/".to_owned()),
            stdin: false,
            lifetime: Some(HELPER),
            user: None,
        };
        let output = self.daemon.run(&start, HELPER).await?;
        if output.code != 0 {
            let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::new(
                Code::ProviderFailed,
                format!("E2B: the working directory {:?} cannot be made: {told}", self.directory),
            )
            .with_field("workingDirectory")
            .with_hint("Choose one below the user's home, or a template whose user may use sudo."));
        }
        self.prepared.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn place(&self) -> Place {
        Place {
            control: Arc::clone(&self.control),
            daemon: Arc::clone(&self.daemon),
            life: Arc::clone(&self.life),
        }
    }

    /// The command in the daemon's terms.
    fn launch(&self, command: &Command, input: Option<&str>) -> Launch {
        let mark = unique();
        let mut greeting = None;
        let mut lines = Vec::new();
        if let Some(file) = input {
            let file = quote(file);
            lines.push(format!("exec <{file} && rm -f -- {file} || exit 1"));
        }
        if let Program::Exec { program, .. } = &command.program {
            let expected = Greeting::new(&mark, program);
            lines.push(expected.lines());
            greeting = Some(expected);
        }
        if command.background {
            lines.push(format!("mkdir -p {LOGS} && exec >>{LOGS}/{mark}.log 2>&1 || exit 1"));
        }
        match &command.program {
            Program::Shell(line) => lines.push(line.clone()),
            // Through a login shell like every other command, for the same `PATH`.
            Program::Exec { program, args } => {
                let words: Vec<_> = std::iter::once(program).chain(args).map(|word| quote(word)).collect();
                lines.push(format!("exec {}", words.join(" ")));
            }
        }
        let line = lines.join("\n");
        let mut env = self.env.clone();
        env.extend(command.env.iter().cloned());
        env.push((tree::MARK.to_owned(), mark.clone()));
        let limit = command.timeout_ms.map(Duration::from_millis);
        Launch {
            start: Start {
                program: "/bin/bash".to_owned(),
                args: vec!["-l".to_owned(), "-c".to_owned(), line],
                env,
                cwd: Some(
                    command.cwd.as_deref().map_or_else(|| self.directory.clone(), |cwd| self.resolve(cwd)),
                ),
                stdin: matches!(command.stdin, Stdin::Pipe),
                lifetime: limit.map(|limit| limit + ORPHANED),
                user: None,
            },
            mark,
            limit,
            background: command.background,
            greeting,
        }
    }

    async fn start(&self, command: &Command, input: Option<&str>) -> Result<Box<dyn Process>> {
        let own_directory = command.cwd.as_ref().is_none_or(|cwd| *cwd == self.directory);
        match process::start(self.place(), self.launch(command, input)).await {
            Err(error)
                if own_directory
                    && error.details.get("reason").is_some_and(|reason| reason == "working_directory")
                    && !self.prepared.load(Ordering::Relaxed) =>
            {
                // Resumed where it never was. The command was refused, so it did not run.
                self.prepare().await?;
                Ok(Box::new(process::start(self.place(), self.launch(command, input)).await?))
            }
            started => Ok(Box::new(started?)),
        }
    }
}

/// Takes back that a kill is under way, unless it worked.
struct Undo<'l>(&'l Life);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.0.kill_failed();
    }
}

fn nul(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, "holds a NUL character", "No program can be given one."));
    }
    Ok(())
}

/// Whether programs can be given these variables.
pub(super) fn check_env(env: &[(String, String)]) -> Result<()> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid(
                "env",
                "has a name that is empty or holds \"=\" or NUL",
                "Rename it.",
            ));
        }
        // The name only: values are secrets.
        nul(&format!("env.{name}"), value)?;
    }
    Ok(())
}

fn check(command: &Command) -> Result<()> {
    if command.read_only {
        // The daemon has no means to see to it.
        return Err(Command::read_only_refusal());
    }
    match &command.program {
        Program::Shell(line) => nul("command", line)?,
        Program::Exec { program, args } => {
            nul("program", program)?;
            args.iter().try_for_each(|arg| nul("args", arg))?;
        }
    }
    check_env(&command.env)?;
    command.cwd.as_deref().map_or(Ok(()), |cwd| nul("cwd", cwd))
}

#[async_trait]
impl Sandbox for E2bSandbox {
    fn id(&self) -> &str {
        self.daemon.id()
    }

    fn paused(&self) -> bool {
        self.life.is_paused()
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Process>> {
        check(&command)?;
        self.life.check()?;
        match &command.stdin {
            Stdin::Bytes(bytes) if !bytes.is_empty() => {
                // As a file: one request whatever the size, the same for every version of the daemon, and safe to repeat.
                let path = format!("/tmp/.vibekit-input-{}", unique());
                let written = files::write(&self.daemon, &path, bytes.clone().into()).await;
                self.judge(written).await.map_err(|mut error| {
                    // The input may be there; the command was not started.
                    error.admitted = Some(Admitted::No);
                    error
                })?;
                let started = self.start(&command, Some(&path)).await;
                if started.is_err() {
                    let _ = files::remove(&self.daemon, &path).await;
                }
                started
            }
            Stdin::Pipe if self.daemon.version() < CLOSES => Err(Error::new(
                Code::Unsupported,
                "E2B: standard input of this template's daemon cannot be closed.",
            )
            .with_hint("Pass the whole input at once, or rebuild the template.")),
            _ => self.start(&command, None).await,
        }
    }

    async fn kill(&self) -> Result<()> {
        // One that is lost is asked for all the same: that it is gone may have been somebody's mistake.
        if let State::Over(error) = self.life.state()
            && error.code == Code::SandboxKilled
        {
            return Ok(());
        }
        self.life.begin_kill();
        // If nobody waits for the answer, nobody knows.
        let undo = Undo(&self.life);
        self.control.kill(self.id()).await?;
        self.life.end(killed());
        drop(undo);
        Ok(())
    }

    async fn pause(&self) -> Result<()> {
        let _turn = self.life.turn().await;
        match self.life.state() {
            State::Paused => return Ok(()),
            State::Over(error) => return Err(error),
            State::Killing { .. } => return Err(killed()),
            State::Running => {}
        }
        // Before the request: streams that end because of it are not to be looked for.
        self.life.set_paused(true);
        let paused = self.control.pause(self.id()).await;
        if let Err(error) = &paused {
            if error.code == Code::SessionNotFound {
                self.life.end(errors::gone(self.id()));
            } else {
                self.life.set_paused(false);
            }
        }
        paused
    }

    async fn thaw(&self) -> Result<()> {
        let _turn = self.life.turn().await;
        if let State::Over(error) = self.life.state() {
            return Err(error);
        }
        let attached = self.control.connect(self.id()).await.inspect_err(|error| {
            if error.code == Code::SessionNotFound {
                self.life.end(errors::gone(self.id()));
            }
        })?;
        self.daemon.set_token(attached.token);
        self.life.was_renewed();
        self.life.set_paused(false);
        Ok(())
    }

    async fn host(&self, port: u16) -> Result<String> {
        Ok(self.control.options().host(self.id(), self.domain.as_deref(), port))
    }

    /// The sandbox lives on until the end of its lifetime.
    async fn release(&self) -> Result<()> {
        self.life.end(Error::new(Code::Disposed, "The sandbox was released"));
        Ok(())
    }

    async fn record(&self) -> Result<Option<String>> {
        if self.fresh.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let content = files::read(self.ready()?, RECORD).await;
        let content = self.judge(content).await?;
        Ok(content.and_then(|content| String::from_utf8(content.into()).ok()))
    }

    async fn remember(&self, record: &str) -> Result<()> {
        let written = files::write(self.ready()?, RECORD, record.to_owned().into()).await;
        self.judge(written).await?;
        self.fresh.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn files(&self) -> Option<&dyn vibekit_sandbox::Files> {
        Some(self)
    }

    async fn lost(&self) -> Error {
        let mut life = self.life.follow();
        loop {
            if let State::Over(error) = &*life.borrow_and_update()
                && error.code == Code::SandboxLost
            {
                return error.clone();
            }
            if life.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl Drop for E2bSandbox {
    /// What follows its commands ends with it.
    fn drop(&mut self) {
        self.life.end(Error::new(Code::Disposed, "The sandbox was released"));
    }
}
