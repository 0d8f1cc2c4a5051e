//! Following one process from its start to its report.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use vibekit_core::protocol::Report;
use vibekit_sandbox::{Code, Command, Error, Exit, Process, Result, Sandbox, Stream};

use crate::keep::Keep;

/// Time between the polite and the hard signal when a run is stopped.
const GRACE: Duration = Duration::from_secs(2);

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Awaits a future that may be there, and forgets it once it is done. Never resolves when there is none.
async fn settle<T>(pending: &mut Option<Pending<T>>) -> T {
    match pending {
        Some(future) => {
            let value = future.await;
            *pending = None;
            value
        }
        None => std::future::pending().await,
    }
}

/// What a run is.
pub(crate) struct Job {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) command: Command,
    /// Files to put in place first.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Bytes kept per stream.
    pub(crate) keep: u64,
    /// What goes to a piped standard input.
    pub(crate) feed: Option<mpsc::UnboundedReceiver<Option<Bytes>>>,
}

/// Runs it. `deliver` is called for every chunk and waits for room by itself; when it gives `false` nobody listens any
/// more and the run is stopped. `stop` turning true stops the process tree; the report then says what was stopped.
pub(crate) async fn run<D, W>(job: Job, mut stop: watch::Receiver<bool>, mut deliver: D) -> Result<Report>
where
    D: FnMut(Stream, Bytes) -> W + Send,
    W: Future<Output = bool> + Send,
{
    put_files(&*job.sandbox, job.files).await?;
    if *stop.borrow() {
        return Err(Error::new(Code::Aborted, "The command was stopped before it started."));
    }
    let mut process = job.sandbox.spawn(job.command).await?;
    let (mut stdout, mut stderr) = (Keep::new(job.keep), Keep::new(job.keep));
    let followed = follow(&mut *process, job.feed, &mut stop, &mut stdout, &mut stderr, &mut deliver).await;
    let (stdout, stdout_dropped) = stdout.finish();
    let (stderr, stderr_dropped) = stderr.finish();
    match followed {
        Ok(exit) => Ok(Report { exit, stdout, stderr, stdout_dropped, stderr_dropped, json: None }),
        // What came before it broke is all that there will ever be.
        Err(error) => Err(error.with("stdout", stdout).with("stderr", stderr)),
    }
}

async fn follow<D, W>(
    process: &mut dyn Process,
    feed: Option<mpsc::UnboundedReceiver<Option<Bytes>>>,
    stop: &mut watch::Receiver<bool>,
    stdout: &mut Keep,
    stderr: &mut Keep,
    deliver: &mut D,
) -> Result<Exit>
where
    D: FnMut(Stream, Bytes) -> W + Send,
    W: Future<Output = bool> + Send,
{
    let control = process.control();
    let mut stopping: Option<Pending<Result<()>>> = None;
    let mut stop_asked = false;
    let mut feeding: Option<Pending<()>> =
        feed.map(|feed| Box::pin(crate::solo::pump(control.clone(), feed)) as Pending<()>);

    loop {
        tokio::select! {
            biased;
            // Output goes on being read while the tree is being stopped: a process may be blocked on a full pipe.
            outcome = settle(&mut stopping), if stopping.is_some() => outcome?,
            () = settle(&mut feeding), if feeding.is_some() => {}
            changed = stop.changed(), if !stop_asked => {
                stop_asked = true;
                if changed.is_ok() {
                    let control = control.clone();
                    stopping = Some(Box::pin(async move { control.stop(GRACE).await }));
                }
            }
            chunk = process.next() => match chunk? {
                Some((stream, bytes)) => {
                    match stream {
                        Stream::Stdout => stdout.push(&bytes),
                        Stream::Stderr => stderr.push(&bytes),
                    }
                    if !deliver(stream, bytes).await && !stop_asked {
                        stop_asked = true;
                        let control = control.clone();
                        stopping = Some(Box::pin(async move { control.stop(GRACE).await }));
                    }
                }
                None => break,
            },
        }
    }
    if let Some(stopping) = stopping {
        stopping.await?;
    }
    process.exit().await
}

async fn put_files(sandbox: &dyn Sandbox, files: Vec<(String, Vec<u8>)>) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let Some(access) = sandbox.files() else {
        return Err(Error::new(
            Code::Unsupported,
            "This sandbox provider has no file access, which this agent needs.",
        )
        .with_hint(
            "Use a provider with file access, or an agent that reads its prompt from standard input.",
        ));
    };
    for (path, content) in files {
        access.write(&path, content.into()).await?;
    }
    Ok(())
}
