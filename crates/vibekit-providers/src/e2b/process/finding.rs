//! What a command is followed by, and how it is found again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use vibekit_core::Admitted;
use vibekit_sandbox::{Code, Error};

use super::super::codec::Batch;
use super::super::control::Control;
use super::super::daemon::{DEAD, Daemon, Events, Fault, Health, NoStream};
use super::super::life::why_gone;
use super::Pending;

/// For a broken stream to be found again.
const FIND: Duration = Duration::from_secs(90);
const FINDINGS: u32 = 6;

/// The way to a command.
pub(super) enum Link {
    Live(Events),
    Finding(Pending<Found>),
    /// The sandbox is paused, or the command has ended.
    None,
}

/// What looking for a command gave.
pub(super) enum Found {
    Again(Events, Batch),
    /// The process is not there any more, and its end is not remembered.
    NoProcess,
    Never(Error),
}

/// What a link brings.
pub(super) enum Heard {
    Batch(Batch),
    Broken,
    Protocol(String),
    Found(Found),
}

impl Link {
    /// Looks for a process whose stream broke.
    pub(super) fn find(control: &Arc<Control>, daemon: &Arc<Daemon>, pid: u32) -> Self {
        Self::Finding(Box::pin(find(Arc::clone(control), Arc::clone(daemon), pid)))
    }

    /// What it brings next; never, if there is none. `heard` is when something came the last time; without it silence is
    /// no sign of anything.
    pub(super) async fn next(&mut self, heard: Option<Instant>) -> Heard {
        match self {
            Self::Live(events) => {
                let next = events.next();
                let outcome = match heard {
                    None => Ok(next.await),
                    Some(heard) => timeout_at(heard + DEAD, next).await,
                };
                match outcome {
                    Ok(Ok(Some(batch))) => Heard::Batch(batch),
                    Ok(Ok(None)) | Err(_) | Ok(Err(Fault::Broken(_))) => Heard::Broken,
                    Ok(Err(Fault::Protocol(broken))) => Heard::Protocol(broken.0),
                }
            }
            Self::Finding(found) => Heard::Found(found.await),
            Self::None => std::future::pending().await,
        }
    }
}

async fn find(control: Arc<Control>, daemon: Arc<Daemon>, pid: u32) -> Found {
    let begun = Instant::now();
    let finding = async {
        for attempt in 0..FINDINGS {
            if attempt > 0 {
                sleep(Duration::from_millis(250 << attempt)).await;
            }
            let mut gone = daemon.health().await == Health::Gone;
            if !gone {
                let opened = async {
                    let mut events = daemon.connect(pid).await?;
                    let (_, batch) = events.begin(daemon.id(), control.options().request).await?;
                    Ok((events, batch))
                };
                match opened.await {
                    Ok((events, batch)) => return Found::Again(events, batch),
                    Err(NoStream::NoProcess) => return Found::NoProcess,
                    Err(NoStream::Refused(error)) => return Found::Never(error),
                    Err(NoStream::Gone) => gone = true,
                    Err(NoStream::Unanswered(_)) => {}
                }
            }
            if gone && let Some(error) = why_gone(&control, daemon.id()).await {
                return Found::Never(error);
            }
        }
        Found::Never(lost(pid, begun))
    };
    match tokio::time::timeout(FIND, finding).await {
        Ok(found) => found,
        Err(_) => Found::Never(lost(pid, begun)),
    }
}

fn lost(pid: u32, since: Instant) -> Error {
    let mut error = Error::new(
        Code::ProviderFailed,
        format!(
            "E2B: the connection to the command broke and could not be made again within {} s.",
            since.elapsed().as_secs()
        ),
    )
    .with_hint("Check the network. The command may still be running in the sandbox.")
    .with("pid", pid);
    error.admitted = Some(Admitted::Yes);
    error
}
