//! A command from the host's side.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;
use vibekit_core::Stdin;
use vibekit_sandbox::{Code, Control, Error, Exit, Process, Result, Stopped, Stream};
use vibekit_sandboxd_wire::{Background, Exec, Reason, ToInit};

use crate::fail;
use crate::launch::Live;
use crate::link::Known;
use crate::pipes::{self, CAPACITY};
use crate::session::Session;
use crate::watched::watched;

/// Bytes asked for at once.
const CHUNK: usize = 64 << 10;
/// Between TERM and KILL when a time limit ends a command: a limit that is exceeded by much is none.
const GRACE: Duration = Duration::from_millis(150);
/// How much longer than promised an init may take to end a tree before the whole session is taken down.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the start of a command may take.
const START: Duration = Duration::from_secs(30);

/// A started command.
pub(crate) struct LocalProcess {
    shared: Arc<Shared>,
    known: watch::Receiver<Known>,
    stdout: Option<AsyncFd<OwnedFd>>,
    stderr: Option<AsyncFd<OwnedFd>>,
    /// Bytes that may still be read after the end of the main process: what was in the pipes then, at most. Children
    /// that live on may keep writing for ever.
    tail: Option<[usize; 2]>,
    background: bool,
    tasks: Vec<AbortHandle>,
    /// Before it started.
    memory_kills: u64,
}

pub(crate) struct Shared {
    session: Arc<Session>,
    live: Arc<Live>,
    id: u32,
    pid: u32,
    stdin: Mutex<Option<AsyncFd<OwnedFd>>>,
}

/// What a command is started with, already in the sandbox's terms.
pub(crate) struct Start {
    pub(crate) program: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) stdin: Stdin,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) background: bool,
    pub(crate) read_only: bool,
    pub(crate) log_limit: u64,
}

/// Ends a command whose start nobody waits for any more.
struct Unwanted<'l> {
    live: &'l Live,
    id: u32,
    armed: bool,
}

impl Drop for Unwanted<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.live.link.tell_now(&ToInit::Stop { id: self.id, grace_ms: 0, timed_out: false });
        }
    }
}

pub(crate) async fn start(session: &Arc<Session>, start: Start) -> Result<LocalProcess> {
    let pipe = |errno| fail::internal("Making a pipe", errno);
    let live = session.live().await?;
    let id = live.link.number();
    let (input, write) = match &start.stdin {
        Stdin::Null => (pipes::null().map_err(pipe)?, None),
        Stdin::Bytes(bytes) if bytes.is_empty() => (pipes::null().map_err(pipe)?, None),
        Stdin::Bytes(_) | Stdin::Pipe => {
            let (read, write) = pipes::input().map_err(pipe)?;
            (read, Some(watched(write, Interest::WRITABLE)?))
        }
    };
    let mut fds = vec![input];
    let (mut stdout, mut stderr) = (None, None);
    if start.background {
        fds.push(session.held().await?.log(id)?);
    } else {
        for stream in [&mut stdout, &mut stderr] {
            let (read, write) = pipes::output().map_err(pipe)?;
            *stream = Some(watched(read, Interest::READABLE)?);
            fds.push(write);
        }
    }
    let program = start.program.into_bytes();
    let name = String::from_utf8_lossy(&program).into_owned();
    let message = ToInit::Exec(Box::new(Exec {
        id,
        program,
        argv: start.argv.into_iter().map(String::into_bytes).collect(),
        env: start.env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect(),
        cwd: start.cwd.clone(),
        read_only: start.read_only,
        background: start.background.then_some(Background {
            log_limit: start.log_limit,
            timeout_ms: start.timeout_ms,
            grace_ms: u64::try_from(GRACE.as_millis()).unwrap_or(0),
        }),
    }));
    let memory_kills = session.plan.memory_kills();
    let mut known = live.link.follow(id);
    let mut unwanted = Unwanted { live: &live, id, armed: true };
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    live.link.tell(&message, &borrowed).await?;
    drop(borrowed);
    // Ours would keep the command's pipes from ending.
    drop(fds);
    drop(message);
    let begun = async { known.wait_for(|known| *known != Known::Starting).await.map(|known| known.clone()) };
    let told = match tokio::time::timeout(START, begun).await {
        Ok(Ok(known)) => known,
        Ok(Err(_)) => Known::Lost,
        Err(_) => {
            return Err(Error::new(Code::Timeout, "The command did not start")
                .with("limit", 30_000)
                .retryable());
        }
    };
    unwanted.armed = false;
    let pid = match told {
        Known::Running(pid) => pid,
        // Already over: the number was told, and overtaken.
        Known::Ended(_) | Known::Starting => 0,
        Known::Failed(reason, errno) => return Err(refusal(&name, &start.cwd, reason, errno)),
        Known::Lost => return Err(session.why_over()),
    };
    let bytes = match start.stdin {
        Stdin::Bytes(bytes) => Some(bytes),
        Stdin::Null | Stdin::Pipe => None,
    };
    let mut tasks = Vec::new();
    let stdin = match (write, bytes) {
        (Some(pipe), Some(bytes)) => {
            tasks.push(tokio::spawn(feed(pipe, bytes)).abort_handle());
            None
        }
        (pipe, _) => pipe,
    };
    let shared = Arc::new(Shared {
        session: Arc::clone(session),
        live: Arc::clone(&live),
        id,
        pid,
        stdin: Mutex::new(stdin),
    });
    if let Some(limit) = start.timeout_ms.filter(|_| !start.background) {
        let limit = Duration::from_millis(limit);
        tasks.push(tokio::spawn(watchdog(Arc::clone(&shared), known.clone(), limit)).abort_handle());
    }
    Ok(LocalProcess {
        shared,
        known,
        stdout,
        stderr,
        tail: None,
        background: start.background,
        tasks,
        memory_kills,
    })
}

/// Writes everything, then ends the input. A command that stops reading is its own affair.
async fn feed(pipe: AsyncFd<OwnedFd>, bytes: Vec<u8>) {
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match pipe.async_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, rest)?)).await {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(error) if fail::errno(&error) == Errno::INTR => {}
            Err(_) => return,
        }
    }
}

/// Ends a command whose time is up, and the session if its init cannot.
async fn watchdog(shared: Arc<Shared>, mut known: watch::Receiver<Known>, limit: Duration) {
    let over = |known: &Known| !matches!(known, Known::Starting | Known::Running(_));
    tokio::select! {
        () = shared.session.clock.sleep(limit) => {}
        _ = known.wait_for(over) => return,
    }
    shared.stop(GRACE, true).await;
    let stuck = tokio::select! {
        () = shared.session.clock.sleep(GRACE + PATIENCE) => true,
        _ = known.wait_for(over) => false,
    };
    if stuck {
        shared.session.reset().await;
    }
}

fn refusal(program: &str, cwd: &str, reason: Reason, errno: i32) -> Error {
    let (word, code, message) = match reason {
        Reason::NotFound => {
            ("not_found", Some(127), format!("There is no program {program:?} in the sandbox"))
        }
        Reason::NotExecutable => ("not_executable", Some(126), format!("{program:?} cannot be executed")),
        Reason::BadInterpreter => (
            "bad_interpreter",
            Some(126),
            format!("The interpreter {program:?} names does not exist in the sandbox"),
        ),
        Reason::WorkingDirectory => (
            "working_directory",
            None,
            format!("The working directory {cwd:?} is not a directory in the sandbox"),
        ),
        Reason::TooLong => return crate::link::too_long(),
        Reason::Resources => {
            ("resources", None, "The sandbox has reached its limit of processes or memory".to_owned())
        }
        Reason::Other => (
            "other",
            None,
            format!("{program:?} could not be started: {}", fail::text(Errno::from_raw_os_error(errno))),
        ),
    };
    let mut error = Error::new(Code::SpawnFailed, message).with("reason", word).with("errno", errno);
    if let Some(code) = code {
        error = error.with("exitCode", code);
    }
    error
}

impl Shared {
    async fn stop(&self, grace: Duration, timed_out: bool) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        // A connection that is gone has taken the command with it.
        let _ = self.live.link.tell(&ToInit::Stop { id: self.id, grace_ms, timed_out }, &[]).await;
    }

    fn over(&self, known: &Known) -> Option<Error> {
        (*known == Known::Lost).then(|| self.session.why_over())
    }
}

impl Drop for LocalProcess {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        let runs = matches!(*self.known.borrow(), Known::Starting | Known::Running(_));
        if runs && !self.background {
            // Nobody will hear of it any more.
            self.shared.live.link.tell_now(&ToInit::Stop {
                id: self.shared.id,
                grace_ms: 0,
                timed_out: false,
            });
        }
    }
}

/// Reads what is there, at most `limit` bytes. Empty: end of file.
fn read(fd: &OwnedFd, limit: usize) -> std::io::Result<Bytes> {
    // Small output gets a small buffer; an empty pipe is asked all the same, for its end.
    let there = usize::try_from(rustix::io::ioctl_fionread(fd)?).unwrap_or(CHUNK);
    let mut buffer = Vec::with_capacity(there.clamp(1, CHUNK).min(limit));
    rustix::io::read(fd, rustix::buffer::spare_capacity(&mut buffer))?;
    Ok(Bytes::from(buffer))
}

/// Waits for the next piece of one stream. `None`: the stream is over (and forgotten).
async fn piece(stream: &mut Option<AsyncFd<OwnedFd>>) -> Option<Bytes> {
    let Some(pipe) = stream else { return None };
    match pipe.async_io(Interest::READABLE, |fd| read(fd, CHUNK)).await {
        Ok(bytes) if !bytes.is_empty() => Some(bytes),
        _ => {
            *stream = None;
            None
        }
    }
}

impl LocalProcess {
    /// What is left in the pipes once the main process has ended; never waits.
    fn rest(&mut self) -> Option<(Stream, Bytes)> {
        let tail = self.tail.get_or_insert([CAPACITY; 2]);
        let streams = [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)];
        for ((name, stream), left) in streams.into_iter().zip(tail) {
            if let Some(pipe) = stream {
                match read(pipe.get_ref(), *left) {
                    Ok(bytes) if !bytes.is_empty() => {
                        *left -= bytes.len();
                        if *left == 0 {
                            *stream = None;
                        }
                        return Some((name, bytes));
                    }
                    _ => *stream = None,
                }
            }
        }
        None
    }
}

#[async_trait]
impl Process for LocalProcess {
    async fn next(&mut self) -> Result<Option<(Stream, Bytes)>> {
        loop {
            if !matches!(*self.known.borrow(), Known::Starting | Known::Running(_)) {
                return Ok(self.rest());
            }
            if self.stdout.is_none() && self.stderr.is_none() {
                return Ok(None);
            }
            let Self { known, stdout, stderr, .. } = self;
            tokio::select! {
                Some(bytes) = piece(stdout) => return Ok(Some((Stream::Stdout, bytes))),
                Some(bytes) = piece(stderr) => return Ok(Some((Stream::Stderr, bytes))),
                _ = known.changed() => {}
                else => {}
            }
        }
    }

    /// For a background command: that it was started, at once, with code 0.
    async fn exit(&mut self) -> Result<Exit> {
        if self.background {
            return Ok(Exit::default());
        }
        let over = |known: &Known| !matches!(known, Known::Starting | Known::Running(_));
        let known = self.known.wait_for(over).await.map(|known| known.clone()).unwrap_or(Known::Lost);
        if let Some(error) = self.shared.over(&known) {
            return Err(error);
        }
        let Known::Ended(ended) = known else {
            return Err(Error::new(Code::Internal, "The command ended without a result"));
        };
        let timed_out = ended.stopped.as_ref().is_some_and(|stopped| stopped.timed_out);
        Ok(Exit {
            code: ended.code,
            signal: (ended.signal != 0).then_some(ended.signal),
            timed_out,
            stopped: ended.stopped.map(|stopped| Stopped {
                processes: stopped.processes,
                names: stopped.names,
                session_reset: stopped.session_reset,
            }),
            out_of_memory: ended.signal == libc::SIGKILL
                && self.shared.session.plan.memory_kills() > self.memory_kills,
            output_gap: false,
            cpu_us: Some(ended.cpu_us),
            max_rss: Some(ended.max_rss),
        })
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.shared) as Arc<dyn Control>
    }
}

#[async_trait]
impl Control for Shared {
    fn pid(&self) -> Option<u32> {
        (self.pid != 0).then_some(self.pid)
    }

    async fn write(&self, bytes: Bytes) -> Result<()> {
        let stdin = self.stdin.lock().await;
        let closed = || Error::new(Code::InvalidArgument, "The command's standard input is not open");
        let pipe = stdin.as_ref().ok_or_else(closed)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let write = pipe.async_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, rest)?));
            tokio::select! {
                written = write => match written {
                    Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                    Err(error) if fail::errno(&error) == Errno::INTR => {}
                    Err(_) => return Err(closed()),
                },
                () = self.live.link.gone() => return Err(self.session.why_over()),
            }
        }
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        *self.stdin.lock().await = None;
        Ok(())
    }

    async fn signal(&self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid("signal", "is not a signal", "Give a number from 1 to 64."));
        }
        self.live.link.tell(&ToInit::Signal { id: self.id, signal }, &[]).await
    }

    async fn stop(&self, grace: Duration) -> Result<()> {
        Self::stop(self, grace, false).await;
        Ok(())
    }
}
