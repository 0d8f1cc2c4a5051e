//! How a command gets under way, also when the answer to its start is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use vibekit_core::Admitted;
use vibekit_sandbox::{Code, Error, Result};

use super::super::codec::{Batch, Event};
use super::super::daemon::{Events, NoStream};
use super::super::life::why_gone;
use super::super::{errors, tree};
use super::greeting::{self, Said};
use super::{Launch, Place};

/// A command that runs, and what was heard of it so far.
pub(super) struct Opened {
    pub(super) pid: u32,
    pub(super) events: Events,
    pub(super) batch: Batch,
    /// Since when it runs, at the earliest.
    pub(super) since: Instant,
    /// Something it wrote may not be in there.
    pub(super) gap: bool,
}

/// Starts it, and waits until it is known that its program is there.
pub(super) async fn open(place: &Place, launch: &mut Launch) -> Result<Opened> {
    let daemon = &place.daemon;
    let limit = place.control.options().request;
    let asked = Instant::now();
    let opening = async {
        let mut events = daemon.start(&launch.start).await?;
        let (pid, batch) = events.begin(daemon.id(), limit).await?;
        Ok(Opened { pid, events, batch, since: Instant::now(), gap: false })
    };
    match opening.await {
        Ok(mut opened) => greet(&mut opened, launch, limit).await.map(|()| opened),
        Err(NoStream::Gone) => match why_gone(&place.control, daemon.id()).await {
            Some(error) => {
                if error.code == Code::SandboxLost {
                    place.life.end(error.clone());
                }
                Err(error)
            }
            // Whatever answered, it was not the daemon; the request may have gone on to it.
            None => adopt(place, launch, asked, errors::unreachable(daemon.id())).await,
        },
        Err(NoStream::Unanswered(error)) if error.admitted != Some(Admitted::No) => {
            adopt(place, launch, asked, error).await
        }
        Err(none) => Err(none.into_error(daemon.id())),
    }
}

/// Waits for the greeting. A stream that ends or breaks before it says enough by that, and is looked after later.
async fn greet(opened: &mut Opened, launch: &mut Launch, limit: Duration) -> Result<()> {
    let Some(program) = launch.greeting.as_ref().map(|greeting| greeting.program().to_owned()) else {
        return Ok(());
    };
    let until = Instant::now() + limit;
    let mut said = greeting::hear(&mut launch.greeting, &mut opened.batch);
    while said.is_none() {
        let ended = opened.batch.events.iter().any(|event| matches!(event, Event::End(_)));
        if ended || opened.batch.last.is_some() {
            return Ok(());
        }
        let Ok(Ok(Some(mut batch))) = timeout_at(until, opened.events.next()).await else { return Ok(()) };
        said = greeting::hear(&mut launch.greeting, &mut batch);
        opened.batch.output.extend(batch.output);
        opened.batch.events.extend(batch.events);
        opened.batch.last = batch.last;
    }
    if said == Some(Said::Absent) {
        return Err(Error::new(Code::SpawnFailed, format!("There is no program {program:?} in the sandbox"))
            .with("reason", "not_found")
            .with("exitCode", 127));
    }
    Ok(())
}

/// The answer to a start was lost: the process may run all the same, and is found by its mark.
async fn adopt(place: &Place, launch: &Launch, asked: Instant, error: Error) -> Result<Opened> {
    let daemon = &place.daemon;
    for pause in [0, 300, 1200] {
        sleep(Duration::from_millis(pause)).await;
        if let Ok(Some(pid)) = daemon.find(tree::MARK, &launch.mark).await
            && let Ok(mut events) = daemon.connect(pid).await
            && let Ok((pid, batch)) = events.begin(daemon.id(), place.control.options().request).await
        {
            return Ok(Opened { pid, events, batch, since: asked, gap: true });
        }
    }
    // The request may arrive yet. Bounded, and nobody's to wait for.
    let (daemon, mark) = (Arc::clone(daemon), launch.mark.clone());
    tokio::spawn(async move {
        for pause in [2, 10, 30] {
            sleep(Duration::from_secs(pause)).await;
            let _ = tree::end(&daemon, &mark, 0, Duration::ZERO).await;
        }
    });
    Err(error)
}
