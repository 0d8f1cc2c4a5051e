//! A session as the layers above see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use vibekit_sandbox::{Code, Command, Error, Process, Program, Result, Sandbox};

use crate::process::{self, Start};
use crate::session::Session;
use crate::view;

/// Bytes of a background command's output that are kept, unless the options say otherwise.
const LOG_LIMIT: u64 = 64 << 20;

/// A command the sandbox knows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Process id inside.
    pub pid: u32,
    /// Exit code, 128 + signal when one ended it; `None` while it runs.
    pub code: Option<i32>,
    /// Where a background command's output is, inside. Both streams in the order they were written.
    pub log: Option<String>,
    /// Bytes of output beyond the limit of the log.
    pub dropped: u64,
}

/// One object's hold on a session.
#[derive(Debug)]
pub struct LocalSandbox {
    id: String,
    session: Mutex<Option<Arc<Session>>>,
    env: Vec<(String, String)>,
}

impl LocalSandbox {
    pub(crate) fn new(session: Arc<Session>, env: Vec<(String, String)>) -> Self {
        Self { id: session.meta.id.clone(), session: Mutex::new(Some(session)), env }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn session(&self) -> Result<Arc<Session>> {
        self.slot().clone().ok_or_else(|| Error::new(Code::Disposed, "The sandbox was released"))
    }

    /// Environment of a command: what every command needs, then the attachment's, then the command's own. Nothing of
    /// the host's.
    fn environment(&self, session: &Session, command: &Command, cwd: &str) -> Vec<(String, String)> {
        let base = [
            ("HOME", view::HOME),
            ("USER", "user"),
            ("LOGNAME", "user"),
            ("SHELL", "/bin/sh"),
            ("PATH", session.plan.path.as_str()),
            ("TMPDIR", "/tmp"),
            ("LANG", "C.UTF-8"),
            ("TERM", "dumb"),
            ("PWD", cwd),
        ];
        let mut all: Vec<(String, String)> =
            base.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (name, value) in session.plan.env.iter().chain(&self.env).chain(&command.env) {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some(entry) => value.clone_into(&mut entry.1),
                None => all.push((name.clone(), value.clone())),
            }
        }
        all
    }

    /// The commands the sandbox knows: running ones, and background ones that have ended (the latest 256).
    ///
    /// # Errors
    /// When the sandbox is gone.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let (jobs, _) = self.session()?.jobs().await?;
        let job = |job: vibekit_sandboxd_wire::Job| Job {
            pid: job.pid,
            code: job.code,
            log: job.background.then(|| format!("{}/{}.log", view::LOGS, job.id)),
            dropped: job.dropped,
        };
        Ok(jobs.into_iter().map(job).collect())
    }

    /// How many processes run inside.
    ///
    /// # Errors
    /// When the sandbox is gone.
    pub async fn processes(&self) -> Result<u32> {
        Ok(self.session()?.jobs().await?.1)
    }

    /// True while no process runs and the session costs disk only.
    ///
    /// # Errors
    /// When the sandbox was released.
    pub async fn parked(&self) -> Result<bool> {
        Ok(self.session()?.parked().await)
    }
}

fn nul(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, "holds a NUL character", "No program can be given one."));
    }
    Ok(())
}

/// Whether programs can be given these variables.
pub(crate) fn check_env(env: &[(String, String)]) -> Result<()> {
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
    match &command.program {
        Program::Shell(line) => nul("command", line)?,
        Program::Exec { program, args } => {
            nul("program", program)?;
            args.iter().try_for_each(|arg| nul("args", arg))?;
        }
    }
    check_env(&command.env)?;
    match &command.cwd {
        Some(cwd) => nul("cwd", cwd),
        None => Ok(()),
    }
}

#[async_trait]
impl Sandbox for LocalSandbox {
    fn id(&self) -> &str {
        &self.id
    }

    fn processes_lost(&self) -> bool {
        self.session().is_ok_and(|session| session.processes_lost())
    }

    fn paused(&self) -> bool {
        self.session().is_ok_and(|session| session.clock.paused())
    }

    fn read_only(&self) -> bool {
        self.session().is_ok_and(|session| session.read_only())
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Process>> {
        check(&command)?;
        let session = self.session()?;
        if session.clock.paused() {
            return Err(
                Error::new(Code::SandboxPaused, "The sandbox is paused").with_hint("Resume it first.")
            );
        }
        if command.read_only && !session.read_only() {
            return Err(Command::read_only_refusal());
        }
        let usual = &session.meta.working_directory;
        let cwd = match &command.cwd {
            Some(cwd) if cwd.starts_with('/') => cwd.clone(),
            Some(cwd) => format!("{usual}/{cwd}"),
            None => usual.clone(),
        };
        let env = self.environment(&session, &command, &cwd);
        let (program, argv) = match command.program {
            Program::Shell(line) => ("/bin/sh".to_owned(), vec!["sh".to_owned(), "-c".to_owned(), line]),
            Program::Exec { program, args } => {
                let argv = std::iter::once(program.clone()).chain(args).collect();
                (program, argv)
            }
        };
        let start = Start {
            program,
            argv,
            env,
            cwd,
            stdin: command.stdin,
            timeout_ms: command.timeout_ms,
            background: command.background,
            read_only: command.read_only,
            log_limit: session.meta.options.log_limit.unwrap_or(LOG_LIMIT),
        };
        Ok(Box::new(process::start(&session, start).await?))
    }

    async fn kill(&self) -> Result<()> {
        match self.session() {
            Ok(session) => session.kill().await,
            Err(_) => Ok(()),
        }
    }

    async fn pause(&self) -> Result<()> {
        self.session()?.set_paused(true).await
    }

    async fn thaw(&self) -> Result<()> {
        self.session()?.set_paused(false).await
    }

    async fn host(&self, port: u16) -> Result<String> {
        self.session()?.host(port).await
    }

    fn files(&self) -> Option<&dyn vibekit_sandbox::Files> {
        Some(self)
    }

    async fn release(&self) -> Result<()> {
        let session = self.slot().take();
        match session {
            Some(session) => session.release().await,
            None => Ok(()),
        }
    }

    async fn record(&self) -> Result<Option<String>> {
        let held = self.session()?.held().await?;
        blocking(move || held.record()).await
    }

    async fn remember(&self, record: &str) -> Result<()> {
        let held = self.session()?.held().await?;
        let record = record.to_owned();
        blocking(move || held.remember(&record)).await
    }

    async fn lost(&self) -> Error {
        match self.session() {
            Ok(session) => session.lost().await,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Runs file operations where they may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Error::new(Code::Internal, "A task panicked")))
}
