//! What a check works with: sandboxes that are ended for it, and commands with a limit on waiting.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Harness;
use crate::{Capabilities, Command, Error, Exit, OpenRequest, Process, Program, Provider, Sandbox, Stream};

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(50);

/// Why a check is not passed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The provider does not do it.
    Broken(String),
    /// The harness has no means to try it.
    Untried(String),
}

impl Failure {
    pub(crate) fn new(sentence: impl fmt::Display) -> Self {
        Self::Broken(sentence.to_string())
    }

    /// Says what was being done.
    pub(crate) fn while_doing(self, what: impl fmt::Display) -> Self {
        match self {
            Self::Broken(sentence) => Self::Broken(format!("{what}: {sentence}")),
            untried @ Self::Untried(_) => untried,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Broken(format!("{}: {}", error.code.as_str(), error.message))
    }
}

/// What a check gives.
pub(crate) type Verdict<T = ()> = std::result::Result<T, Failure>;

/// Fails the check with a sentence unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($sentence:tt)+) => {
        if !$condition {
            return Err($crate::conformance::trial::Failure::new(format_args!($($sentence)+)));
        }
    };
}
pub(crate) use ensure;

/// Everything a command gave.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) exit: Exit,
}

impl Output {
    /// Standard output as text.
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// One check's sandboxes.
pub(crate) struct Trial<'h> {
    pub(crate) harness: &'h dyn Harness,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) can: Capabilities,
    opened: Mutex<Vec<Arc<dyn Sandbox>>>,
}

impl<'h> Trial<'h> {
    pub(crate) fn new(harness: &'h dyn Harness) -> Verdict<Self> {
        let provider = harness.provider()?;
        let can = provider.capabilities();
        Ok(Self { harness, provider, can, opened: Mutex::default() })
    }

    /// A sandbox of the usual kind; ended after the check.
    pub(crate) async fn sandbox(&self) -> Verdict<Arc<dyn Sandbox>> {
        self.sandbox_for(OpenRequest::default()).await
    }

    /// A sandbox as asked for; ended after the check.
    pub(crate) async fn sandbox_for(&self, request: OpenRequest) -> Verdict<Arc<dyn Sandbox>> {
        let made = self.within("creating a sandbox", self.provider.create(request)).await??;
        self.keep(&made);
        Ok(made)
    }

    /// Has a sandbox ended after the check.
    pub(crate) fn keep(&self, sandbox: &Arc<dyn Sandbox>) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(sandbox));
    }

    /// Starts a command.
    pub(crate) async fn spawn(
        &self,
        sandbox: &Arc<dyn Sandbox>,
        command: Command,
    ) -> Verdict<Box<dyn Process>> {
        Ok(self.within("starting a command", sandbox.spawn(command)).await??)
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, sandbox: &Arc<dyn Sandbox>, command: Command) -> Verdict<Output> {
        let what = match &command.program {
            Program::Shell(line) => format!("running `{line}`"),
            Program::Exec { program, .. } => format!("running {program}"),
        };
        let mut process = self.spawn(sandbox, command).await.map_err(|failure| failure.while_doing(&what))?;
        self.within("waiting for its end", collect(&mut *process))
            .await
            .and_then(|output| Ok(output?))
            .map_err(|failure| failure.while_doing(&what))
    }

    /// Runs a line that has to succeed; gives its standard output without the last line feed.
    pub(crate) async fn sh(&self, sandbox: &Arc<dyn Sandbox>, line: &str) -> Verdict<String> {
        let output = self.run(sandbox, shell(line)).await?;
        ensure!(output.exit.code == 0, "`{line}` ended with {}: {}", output.exit.code, output.err());
        Ok(output.out().trim_end_matches('\n').to_owned())
    }

    /// The next chunk of standard output, as text.
    pub(crate) async fn chunk(&self, process: &mut dyn Process) -> Verdict<String> {
        match self.within("waiting for output", process.next()).await?? {
            Some((Stream::Stdout, bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Some((Stream::Stderr, bytes)) => Err(Failure::new(format_args!(
                "It wrote to standard error: {}",
                String::from_utf8_lossy(&bytes)
            ))),
            None => Err(Failure::new("The output ended early")),
        }
    }

    /// Reads standard output until it holds `text`.
    pub(crate) async fn read_until(&self, process: &mut dyn Process, text: &str) -> Verdict<String> {
        let mut seen = String::new();
        while !seen.contains(text) {
            seen += &self
                .chunk(process)
                .await
                .map_err(|failure| failure.while_doing(format_args!("after {seen:?}, before {text:?}")))?;
        }
        Ok(seen)
    }

    /// Waits for something that has to happen.
    pub(crate) async fn within<F: Future>(&self, what: &str, future: F) -> Verdict<F::Output> {
        let limit = self.harness.patience();
        tokio::time::timeout(limit, future)
            .await
            .map_err(|_| Failure::new(format_args!("{what} took longer than {} s", limit.as_secs())))
    }

    /// Looks until the text `look` gives is empty; otherwise it is what the check fails with.
    pub(crate) async fn until_nothing<L, F>(&self, what: &str, mut look: L) -> Verdict
    where
        L: FnMut() -> F,
        F: Future<Output = Verdict<String>>,
    {
        let end = Instant::now() + self.harness.patience();
        loop {
            let left = look().await?;
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{what}: {left}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until nothing is left behind.
    pub(crate) async fn until_clean(&self) -> Verdict {
        self.until_nothing("It left behind", || async { Ok(self.harness.leftovers().await?.join(", ")) })
            .await
    }

    /// Ends what the check opened; then nothing may be there any more.
    pub(crate) async fn clean(&self) -> Verdict {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner));
        for sandbox in opened {
            self.within("killing a sandbox", sandbox.kill()).await??;
        }
        self.until_clean().await
    }
}

/// Reads a process to its end.
pub(crate) async fn collect(process: &mut dyn Process) -> crate::Result<Output> {
    let mut output = Output::default();
    while let Some((stream, bytes)) = process.next().await? {
        match stream {
            Stream::Stdout => output.stdout.extend_from_slice(&bytes),
            Stream::Stderr => output.stderr.extend_from_slice(&bytes),
        }
    }
    output.exit = process.exit().await?;
    Ok(output)
}

/// A line for the shell, with all defaults.
pub(crate) fn shell(line: &str) -> Command {
    Command::shell(line)
}

/// A program and its arguments, with all defaults.
pub(crate) fn exec(program: &str, args: &[&str]) -> Command {
    Command::exec(program, args.iter().copied())
}

/// Drops a future at its `step`th wait: right after it began to wait, or (`late`) when it has been woken but not yet
/// gone on. `None` if it was dropped.
pub(crate) async fn dropped_at<F: Future>(future: F, step: usize, late: bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut waits = 0;
    std::future::poll_fn(|context| {
        if late && waits >= step {
            return Poll::Ready(None);
        }
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => {
                waits += 1;
                if !late && waits >= step { Poll::Ready(None) } else { Poll::Pending }
            }
        }
    })
    .await
}

/// `text` as bytes.
pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
