//! One task for each command: it follows the command's stream, finds the process again when the stream breaks, keeps the
//! sandbox alive, and ends the whole tree when it has to.

mod finding;
mod greeting;
mod opening;
mod runner;
mod stopping;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use vibekit_sandbox::{Code, Control as Handle, Error, Exit, Process, Result, Stream};

use super::control::Control;
use super::daemon::{Daemon, Start};
use super::life::{Life, judge};
pub(super) use greeting::Greeting;
use runner::Runner;

/// Batches that are read ahead of whoever takes them.
const AHEAD: usize = 4;
/// For a helper that sends a signal.
const SIGNAL: Duration = Duration::from_secs(2);
/// Bytes of standard input in one request.
const INPUT: usize = 256 << 10;

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What everything about a command needs.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) control: Arc<Control>,
    pub(super) daemon: Arc<Daemon>,
    pub(super) life: Arc<Life>,
}

/// A command to start.
pub(super) struct Launch {
    pub(super) start: Start,
    /// Value of [`tree::MARK`] in its environment.
    pub(super) mark: String,
    pub(super) limit: Option<Duration>,
    pub(super) background: bool,
    /// What it says first, on standard error.
    pub(super) greeting: Option<Greeting>,
}

#[derive(Clone, Debug)]
enum Known {
    Running,
    Ended(Exit),
    Failed(Error),
}

struct Order {
    grace: Duration,
    done: oneshot::Sender<Result<()>>,
}

/// A started command.
pub(super) struct E2bProcess {
    output: mpsc::Receiver<(Stream, Bytes)>,
    known: watch::Receiver<Known>,
    handle: Arc<Acting>,
    background: bool,
}

struct Acting {
    pid: u32,
    place: Place,
    known: watch::Receiver<Known>,
    orders: mpsc::UnboundedSender<Order>,
}

/// Starts a command. If the returned future is dropped, the command is ended.
pub(super) async fn start(place: Place, mut launch: Launch) -> Result<E2bProcess> {
    let (sender, receiver) = oneshot::channel();
    // The task outlives a caller that gives up: what has begun is then ended by it.
    tokio::spawn(async move {
        match opening::open(&place, &mut launch).await {
            Err(error) => drop(sender.send(Err(error))),
            Ok(opened) => {
                let (output, outputs) = mpsc::channel(AHEAD);
                let (known, knowns) = watch::channel(Known::Running);
                let (orders, ordered) = mpsc::unbounded_channel();
                let handle =
                    Arc::new(Acting { pid: opened.pid, place: place.clone(), known: knowns.clone(), orders });
                let background = launch.background;
                let _ = sender.send(Ok(E2bProcess { output: outputs, known: knowns, handle, background }));
                Runner::new(place, launch, opened).run(output, ordered, known).await;
            }
        }
    });
    receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "Starting the command panicked")))
}

#[async_trait]
impl Process for E2bProcess {
    async fn next(&mut self) -> Result<Option<(Stream, Bytes)>> {
        if self.background {
            return Ok(None);
        }
        if let Some(piece) = self.output.recv().await {
            return Ok(Some(piece));
        }
        match &*self.known.borrow() {
            Known::Failed(error) => Err(error.clone()),
            _ => Ok(None),
        }
    }

    /// For a background command: that it was started, at once, with code 0.
    async fn exit(&mut self) -> Result<Exit> {
        if self.background {
            return Ok(Exit::default());
        }
        let known =
            self.known.wait_for(|known| !matches!(known, Known::Running)).await.map(|known| known.clone());
        match known {
            Ok(Known::Ended(exit)) => Ok(exit),
            Ok(Known::Failed(error)) => Err(error),
            _ => Err(Error::new(Code::Internal, "Following the command panicked")),
        }
    }

    fn control(&self) -> Arc<dyn Handle> {
        Arc::clone(&self.handle) as Arc<dyn Handle>
    }
}

impl Acting {
    async fn call(&self, path: &str, body: &serde_json::Value, repeatable: bool) -> Result<()> {
        let outcome = self.place.daemon.call(path, body, repeatable).await;
        judge(&self.place.control, self.place.daemon.id(), outcome).await.map(|_| ())
    }

    fn check(&self) -> Result<()> {
        match &*self.known.borrow() {
            Known::Running => Ok(()),
            _ => Err(Error::new(Code::InvalidArgument, "The command has ended")),
        }
    }
}

#[async_trait]
impl Handle for Acting {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    async fn write(&self, bytes: Bytes) -> Result<()> {
        for part in bytes.chunks(INPUT) {
            self.check()?;
            let body =
                json!({ "process": { "pid": self.pid }, "input": { "stdin": super::daemon::base64(part) } });
            // Not repeated: input that arrives twice is worse than input that is reported missing.
            self.call("/process.Process/SendInput", &body, false).await?;
        }
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        if self.check().is_err() {
            return Ok(());
        }
        let body = json!({ "process": { "pid": self.pid } });
        self.call("/process.Process/CloseStdin", &body, true).await
    }

    async fn signal(&self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid("signal", "is not a signal", "Give a number from 1 to 64."));
        }
        self.check()?;
        let name = match signal {
            9 => "SIGNAL_SIGKILL",
            15 => "SIGNAL_SIGTERM",
            // The daemon knows no other.
            signal => {
                let line = format!("kill -{signal} {}", self.pid);
                let start = Start {
                    program: "/bin/sh".to_owned(),
                    args: vec!["-c".to_owned(), line],
                    env: Vec::new(),
                    cwd: Some("/".to_owned()),
                    stdin: false,
                    lifetime: Some(SIGNAL),
                    user: None,
                };
                let sent = self.place.daemon.run(&start, SIGNAL).await;
                return judge(&self.place.control, self.place.daemon.id(), sent).await.map(|_| ());
            }
        };
        let body = json!({ "process": { "pid": self.pid }, "signal": name });
        self.call("/process.Process/SendSignal", &body, true).await
    }

    async fn stop(&self, grace: Duration) -> Result<()> {
        let (done, wait) = oneshot::channel();
        if self.orders.send(Order { grace, done }).is_err() {
            return Ok(());
        }
        wait.await.unwrap_or(Ok(()))
    }
}
