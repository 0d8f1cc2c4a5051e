//! The connection to a living init.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use vibekit_core::{Code, Error, Result};
use vibekit_sandboxd_wire::{FromInit, Job, Reason, Received, StoppedTree, ToInit, receive, send};

use crate::fail;

/// How long an init may take to answer anything. Generous: it is a bound against hanging, not a measure.
pub(crate) const ANSWER: Duration = Duration::from_secs(15);

/// What is known of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Known {
    /// Asked for.
    Starting,
    /// Runs under this process id inside.
    Running(u32),
    /// Could not be started.
    Failed(Reason, i32),
    /// Over.
    Ended(Ended),
    /// The init is gone, and the command with it.
    Lost,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) signal: i32,
    pub(crate) cpu_us: u64,
    pub(crate) max_rss: u64,
    pub(crate) stopped: Option<StoppedTree>,
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Socket(std::result::Result<OwnedFd, Errno>),
    Jobs(Vec<Job>, u32),
}

/// A connection. Dropping it closes it, which ends an ephemeral session and lets go of a persistent one.
#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    reader: AbortHandle,
    /// True once the init has offered to go.
    pub(crate) idle: watch::Receiver<u32>,
}

#[derive(Debug)]
struct Shared {
    socket: AsyncFd<OwnedFd>,
    commands: Mutex<HashMap<u32, watch::Sender<Known>>>,
    requests: Mutex<HashMap<u32, oneshot::Sender<Answer>>>,
    next: AtomicU32,
    gone: watch::Sender<bool>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Receives one message within `limit`.
pub(crate) async fn hear(socket: &AsyncFd<OwnedFd>, limit: Duration) -> Result<Received<FromInit>> {
    let wait = socket.async_io(Interest::READABLE, |fd| receive::<FromInit>(fd).map_err(Into::into));
    match tokio::time::timeout(limit, wait).await {
        Ok(received) => heard(received.map_err(|error| fail::errno(&error))),
        Err(_) => Err(unready(limit)),
    }
}

/// What was received before the session is ready, or why nothing was.
pub(crate) fn heard(
    received: std::result::Result<Option<Received<FromInit>>, Errno>,
) -> Result<Received<FromInit>> {
    match received {
        Ok(Some(received)) => Ok(received),
        Ok(None) => Err(Error::new(Code::SandboxLost, "The sandbox ended before it was ready")),
        Err(Errno::CONNRESET | Errno::PIPE) => Err(lost()),
        // Not our language: whoever is there is no init of ours.
        Err(Errno::BADMSG) => {
            Err(Error::new(Code::AttestationFailed, "The sandbox does not speak this version's language"))
        }
        Err(errno) => Err(fail::internal("Hearing from the sandbox", errno)),
    }
}

pub(crate) fn unready(limit: Duration) -> Error {
    Error::new(Code::Timeout, "The sandbox did not become ready")
        .with("limit", u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
        .retryable()
}

/// Sends one message, waiting for room.
pub(crate) async fn tell(socket: &AsyncFd<OwnedFd>, message: &ToInit, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let sent = socket.async_io(Interest::WRITABLE, |fd| send(fd, message, fds).map_err(Into::into));
    match tokio::time::timeout(ANSWER, sent).await {
        Ok(sent) => sent.map_err(|error| untold(fail::errno(&error))),
        Err(_) => Err(Error::new(Code::SandboxLost, "The sandbox does not answer")),
    }
}

/// Why a message could not be sent.
pub(crate) fn untold(errno: Errno) -> Error {
    match errno {
        Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => lost(),
        Errno::MSGSIZE | Errno::TOOBIG => too_long(),
        errno => fail::internal("Talking to the sandbox", errno),
    }
}

pub(crate) fn lost() -> Error {
    Error::new(Code::SandboxLost, "The sandbox is gone: its processes have ended, its files are still there")
        .with_hint("Resume the session to continue with its files.")
}

pub(crate) fn too_long() -> Error {
    Error::new(Code::SpawnFailed, "The command's arguments and environment are too long for this system")
        .with_hint("Pass large input through standard input or a file.")
        .with("reason", "too_long")
        .with("exitCode", 126)
        .with("errno", Errno::TOOBIG.raw_os_error())
}

impl Link {
    /// Takes over a connection whose first message has been heard. `first` is the first free command number.
    pub(crate) fn new(socket: AsyncFd<OwnedFd>, first: u32, running: &[u32]) -> Self {
        let commands = running.iter().map(|id| (*id, watch::Sender::new(Known::Starting))).collect();
        let shared = Arc::new(Shared {
            socket,
            commands: Mutex::new(commands),
            requests: Mutex::default(),
            next: AtomicU32::new(first),
            gone: watch::Sender::new(false),
        });
        let (idle_sender, idle) = watch::channel(0);
        let reader = tokio::spawn(read(Arc::clone(&shared), idle_sender)).abort_handle();
        Self { shared, reader, idle }
    }

    /// A number nobody has used on this connection.
    pub(crate) fn number(&self) -> u32 {
        self.shared.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a message that has no answer.
    pub(crate) async fn tell(&self, message: &ToInit, fds: &[BorrowedFd<'_>]) -> Result<()> {
        tell(&self.shared.socket, message, fds).await
    }

    /// Sends a small message if that is possible without waiting. For destructors.
    pub(crate) fn tell_now(&self, message: &ToInit) {
        // An init that is so far behind sees the end of the connection instead.
        let _ = send(self.shared.socket.get_ref().as_fd(), message, &[]);
    }

    /// Follows a command from before it is asked for.
    pub(crate) fn follow(&self, id: u32) -> watch::Receiver<Known> {
        let (sender, receiver) = watch::channel(Known::Starting);
        locked(&self.shared.commands).insert(id, sender);
        if *self.shared.gone.borrow() {
            self.shared.lose();
        }
        receiver
    }

    /// Asks something. The answer comes within [`ANSWER`] or the connection is given up.
    pub(crate) async fn ask(&self, message: impl FnOnce(u32) -> ToInit) -> Result<Answer> {
        self.ask_with(message, &[]).await
    }

    /// As [`Self::ask`], with descriptors.
    pub(crate) async fn ask_with(
        &self,
        message: impl FnOnce(u32) -> ToInit,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Answer> {
        let request = self.number();
        let (sender, receiver) = oneshot::channel();
        locked(&self.shared.requests).insert(request, sender);
        let forget = Forget { shared: &self.shared, request };
        self.tell(&message(request), fds).await?;
        let answer = tokio::time::timeout(ANSWER, receiver).await;
        drop(forget);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(lost()),
            Err(_) => Err(Error::new(Code::SandboxLost, "The sandbox does not answer")),
        }
    }

    /// Resolves when the other side is gone.
    pub(crate) async fn gone(&self) {
        let mut gone = self.shared.gone.subscribe();
        // The sender lives as long as we do.
        let _ = gone.wait_for(|gone| *gone).await;
    }

    /// Tells when the other side is gone; closed when the connection was let go from here.
    pub(crate) fn watch_gone(&self) -> watch::Receiver<bool> {
        self.shared.gone.subscribe()
    }

    pub(crate) fn is_gone(&self) -> bool {
        *self.shared.gone.borrow()
    }
}

/// Takes a request out of the table when its caller stops waiting.
struct Forget<'s> {
    shared: &'s Shared,
    request: u32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        locked(&self.shared.requests).remove(&self.request);
    }
}

impl Shared {
    fn lose(&self) {
        for (_, command) in locked(&self.commands).drain() {
            command.send_replace(Known::Lost);
        }
        locked(&self.requests).clear();
    }

    fn answer(&self, request: u32, answer: Answer) {
        if let Some(sender) = locked(&self.requests).remove(&request) {
            // The caller may have stopped waiting.
            let _ = sender.send(answer);
        }
    }

    fn know(&self, id: u32, known: Known) {
        let mut commands = locked(&self.commands);
        let over = matches!(known, Known::Ended(_) | Known::Failed(..));
        let sender = if over { commands.remove(&id) } else { None };
        if let Some(sender) = sender.as_ref().or_else(|| commands.get(&id)) {
            sender.send_replace(known);
        }
    }
}

async fn read(shared: Arc<Shared>, idle: watch::Sender<u32>) {
    loop {
        let heard = shared
            .socket
            .async_io(Interest::READABLE, |fd| receive::<FromInit>(fd).map_err(Into::into))
            .await;
        let Ok(Some(Received { message, fds })) = heard else { break };
        match message {
            FromInit::Started { id, pid } => shared.know(id, Known::Running(pid)),
            FromInit::Failed { id, reason, errno } => shared.know(id, Known::Failed(reason, errno)),
            FromInit::Exited { id, code, signal, cpu_us, max_rss, stopped } => {
                shared.know(id, Known::Ended(Ended { code, signal, cpu_us, max_rss, stopped }));
            }
            FromInit::Done { request } => shared.answer(request, Answer::Done),
            FromInit::Connecting { request, errno } => {
                let socket = match fds.into_iter().next() {
                    Some(socket) if errno == 0 => Ok(socket),
                    _ => Err(Errno::from_raw_os_error(errno)),
                };
                shared.answer(request, Answer::Socket(socket));
            }
            FromInit::Sample { request, jobs, processes } => {
                shared.answer(request, Answer::Jobs(jobs, processes))
            }
            FromInit::Idle => idle.send_modify(|count| *count += 1),
            // Said once, before the connection is ours.
            FromInit::Launched { .. }
            | FromInit::Refused(_)
            | FromInit::Listeners { .. }
            | FromInit::Ready { .. } => {}
        }
    }
    shared.gone.send_replace(true);
    shared.lose();
}
