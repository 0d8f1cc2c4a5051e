//! Follows one command to its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use vibekit_core::Admitted;
use vibekit_sandbox::{Code, Error, Exit, Result, Stopped, Stream};

use super::super::codec::{Batch, Ended, Event};
use super::super::life::State;
use super::super::{errors, tree};
use super::finding::{Found, Heard, Link};
use super::opening::Opened;
use super::{Known, Launch, Order, Pending, Place, greeting, stopping};

/// Between TERM and KILL when a time limit ends a command.
const GRACE: Duration = Duration::from_millis(150);
/// For the daemon to tell the end of a process that was ended.
const TELL: Duration = Duration::from_secs(2);
/// For the end of a stream whose command has ended, so that its connection can be used again.
const DRAIN: Duration = Duration::from_secs(1);
/// Silence after which it is looked whether the main process is still there, the first time and the longest.
const QUIET: Duration = Duration::from_secs(1);
const LONG_QUIET: Duration = Duration::from_secs(30);
/// For output that comes right behind what the stream said last.
const REST: Duration = Duration::from_millis(200);

pub(super) struct Runner {
    place: Place,
    launch: Launch,
    pid: u32,
    link: Link,
    queue: VecDeque<(Stream, Bytes)>,
    heard: Instant,
    gap: bool,
    ended: Option<Ended>,
    failure: Option<Error>,
    timed_out: bool,
    stopping: Option<Pending<Result<Stopped>>>,
    stop_begun: bool,
    stopped: Option<Stopped>,
    /// The end is not waited for any longer than this.
    settle_at: Option<Instant>,
    stop_failed: Option<Error>,
    waiting: Vec<oneshot::Sender<Result<()>>>,
    /// When and after which silence it is looked the next time.
    look_at: Instant,
    quiet: Duration,
    /// The main process was found to have ended; what it started holds its output open.
    held_open: bool,
    found_ended: Option<Ended>,
    /// Time left of the command's own limit, and since when it runs.
    left: Option<Duration>,
    running_since: Option<Instant>,
    nobody: bool,
}

impl Runner {
    pub(super) fn new(place: Place, launch: Launch, opened: Opened) -> Self {
        let now = Instant::now();
        let mut runner = Self {
            left: launch.limit,
            nobody: launch.background,
            place,
            launch,
            pid: opened.pid,
            link: Link::Live(opened.events),
            queue: VecDeque::new(),
            heard: now,
            gap: opened.gap,
            ended: None,
            failure: None,
            timed_out: false,
            stopping: None,
            stop_begun: false,
            stopped: None,
            settle_at: None,
            stop_failed: None,
            waiting: Vec::new(),
            look_at: now + QUIET,
            quiet: QUIET,
            held_open: false,
            found_ended: None,
            running_since: Some(opened.since),
        };
        runner.take(opened.batch);
        runner
    }

    pub(super) async fn run(
        mut self,
        output: mpsc::Sender<(Stream, Bytes)>,
        mut orders: mpsc::UnboundedReceiver<Order>,
        known: watch::Sender<Known>,
    ) {
        let mut life = self.place.life.follow();
        let mut renewing: Option<Pending<Result<()>>> = None;
        let mut looking: Option<Pending<Option<tree::Found>>> = None;
        let mut renew_at = self.place.life.renew_at(self.place.control.ttl());
        self.state_changed(&life.borrow_and_update().clone());
        while !self.is_over() {
            let limit_at = match (self.left, self.running_since) {
                (Some(left), Some(since)) if !self.stop_begun => Some(since + left),
                _ => None,
            };
            let reading = self.queue.is_empty() && self.ended.is_none() && self.failure.is_none();
            let paused = self.running_since.is_none();
            let heard = Some(self.heard).filter(|_| !paused);
            tokio::select! {
                biased;
                Some(order) = orders.recv() => {
                    self.stop(order.grace);
                    if self.stopping.is_some() {
                        self.waiting.push(order.done);
                    } else {
                        // It is stopped, whether or not somebody has read what it wrote.
                        let _ = order.done.send(Ok(()));
                    }
                }
                outcome = settle(&mut self.stopping), if self.stopping.is_some() => self.stop_over(outcome),
                () = at(limit_at), if limit_at.is_some() => {
                    self.timed_out = true;
                    self.stop(GRACE);
                }
                _ = life.changed() => {
                    let state = life.borrow_and_update().clone();
                    self.state_changed(&state);
                }
                () = output.closed(), if !self.nobody => {
                    // Nobody will hear of it any more.
                    self.nobody = true;
                    self.queue.clear();
                    self.stop(Duration::ZERO);
                }
                permit = output.reserve(), if !self.queue.is_empty() && !self.nobody => {
                    if let (Ok(permit), Some(piece)) = (permit, self.queue.pop_front()) {
                        permit.send(piece);
                        self.taken();
                    }
                }
                outcome = self.link.next(heard), if reading => self.heard(outcome),
                // After what is there to be heard.
                () = at(self.settle_at), if self.settle_at.is_some() && self.queue.is_empty() => self.settle_now(),
                found = settle(&mut looking), if looking.is_some() => self.looked(found),
                () = sleep_until(self.look_at), if reading && !paused && looking.is_none() && !self.stop_begun => {
                    let (daemon, pid) = (Arc::clone(&self.place.daemon), self.pid);
                    let mark = self.launch.mark.clone();
                    looking = Some(Box::pin(async move { tree::look(&daemon, &mark, pid).await }));
                }
                outcome = settle(&mut renewing), if renewing.is_some() => {
                    let ttl = self.place.control.ttl();
                    let wait = if outcome.is_ok() {
                        self.place.life.was_renewed();
                        ttl / 3
                    } else {
                        // While there is time for more than one attempt.
                        ttl / 12
                    };
                    renew_at = Instant::now() + wait;
                }
                () = sleep_until(renew_at), if renewing.is_none() && !paused => {
                    // Another command of the sandbox may have done it.
                    renew_at = self.place.life.renew_at(self.place.control.ttl());
                    if renew_at <= Instant::now() {
                        let place = (Arc::clone(&self.place.control), self.place.daemon.id().to_owned());
                        renewing = Some(Box::pin(async move { place.0.renew(&place.1).await }));
                    }
                }
            }
        }
        let outcome = self.outcome();
        let drained = match std::mem::replace(&mut self.link, Link::None) {
            Link::Live(events) if self.ended.is_some() => Some(events),
            _ => None,
        };
        known.send_replace(outcome);
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Ok(()));
        }
        // Its end tells the reader that everything has been said.
        drop(output);
        let Some(events) = drained else { return };
        if self.held_open {
            // Daemons of 2025 get stuck when a stream with output ends early.
            let over = async { life.wait_for(|state| matches!(state, State::Over(_))).await.is_ok() };
            tokio::select! {
                () = events.drain() => {}
                _ = over => {}
            }
        } else {
            let _ = tokio::time::timeout(DRAIN, events.drain()).await;
        }
    }

    /// A piece was taken. While it was not, nothing could be heard, so nothing follows from silence.
    fn taken(&mut self) {
        let now = Instant::now();
        self.heard = now;
        self.look_at = self.look_at.max(now + QUIET);
        self.settle_at = self.settle_at.map(|at| at.max(now + REST));
    }

    fn is_over(&self) -> bool {
        self.queue.is_empty() && self.stopping.is_none() && (self.ended.is_some() || self.failure.is_some())
    }

    fn outcome(&mut self) -> Known {
        match (&self.ended, self.failure.take()) {
            (Some(ended), _) => {
                let signal = ended.signal();
                Known::Ended(Exit {
                    code: signal.map_or(ended.exit_code, |signal| 128 + signal),
                    signal,
                    timed_out: self.timed_out,
                    stopped: self.stopped.take(),
                    output_gap: self.gap,
                    ..Exit::default()
                })
            }
            (None, Some(mut error)) => {
                if self.gap {
                    error = error.with("outputGap", true);
                }
                Known::Failed(error)
            }
            (None, None) => Known::Failed(Error::new(Code::Internal, "The command ended without a result")),
        }
    }

    /// Ends the tree, once.
    fn stop(&mut self, grace: Duration) {
        if std::mem::replace(&mut self.stop_begun, true) {
            return;
        }
        let main = if self.ended.is_some() { 0 } else { self.pid };
        self.stopping =
            Some(Box::pin(stopping::stop(self.place.clone(), self.launch.mark.clone(), main, grace)));
    }

    fn stop_over(&mut self, outcome: Result<Stopped>) {
        match outcome {
            Ok(stopped) => self.stopped = Some(stopped),
            Err(error) => self.stop_failed = Some(error),
        }
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Ok(()));
        }
        if self.ended.is_none() {
            self.settle_at = Some(Instant::now() + TELL);
        }
    }

    fn looked(&mut self, found: Option<tree::Found>) {
        let now = Instant::now();
        if let Some(found) = found {
            self.held_open |= found.held;
            self.found_ended.get_or_insert(found.ended);
        }
        if self.held_open {
            // Enough was seen. What it wrote before may still be on its way, so the stream has to say that it has no more.
            self.look_at = now + LONG_QUIET;
            return;
        }
        self.quiet = (self.quiet * 2).min(LONG_QUIET);
        self.look_at = now + self.quiet;
    }

    /// The command has ended, and the daemon did not tell.
    fn settle_now(&mut self) {
        self.settle_at = None;
        if self.ended.is_some() {
            return;
        }
        if let Some(ended) = self.found_ended.take().filter(|_| !self.stop_begun) {
            self.end(ended);
            return;
        }
        // Its end was not heard, so perhaps not all of its output either.
        self.gap = true;
        match self.stop_failed.take() {
            None => self.end(Ended { exit_code: -1, status: "signal: killed".to_owned(), exited: false }),
            Some(cause) => {
                let message = "E2B: the command could not be stopped, and may still be running.";
                let error = Error::new(Code::ProviderFailed, message)
                    .with_hint("Kill the sandbox to be sure.")
                    .with("pid", self.pid)
                    .caused_by(cause);
                self.fail(error);
            }
        }
    }

    /// Whatever comes of the stream now, this is how it ended.
    fn end(&mut self, ended: Ended) {
        if self.ended.is_none() {
            self.ended = Some(ended);
            self.flush();
        }
    }

    /// What was held back for a greeting is none any more.
    fn flush(&mut self) {
        let rest = self.launch.greeting.take().map(|mut greeting| greeting.rest()).unwrap_or_default();
        if !rest.is_empty() && !self.nobody {
            self.queue.push_back((Stream::Stderr, rest));
        }
    }

    fn fail(&mut self, error: Error) {
        self.link = Link::None;
        if self.ended.is_none() && self.failure.is_none() {
            self.failure = Some(error);
            self.flush();
        }
    }

    fn state_changed(&mut self, state: &State) {
        let now = Instant::now();
        match state {
            State::Paused => {
                if let (Some(since), left) = (self.running_since.take(), &mut self.left)
                    && let Some(left) = left
                {
                    *left = left.saturating_sub(now - since);
                }
            }
            State::Running => {
                // What was connected before a pause is not any more, even if nothing says so.
                let paused = self.running_since.is_none();
                self.running_since.get_or_insert(now);
                if paused || matches!(self.link, Link::None) {
                    self.find();
                }
            }
            State::Killing { .. } => {}
            State::Over(error) => {
                self.stopping = None;
                self.fail(error.clone());
            }
        }
    }

    fn find(&mut self) {
        if self.ended.is_some() || self.failure.is_some() {
            return;
        }
        self.gap = true;
        let killing = matches!(self.place.life.state(), State::Killing { .. });
        self.link = if self.running_since.is_some() && !killing {
            Link::find(&self.place.control, &self.place.daemon, self.pid)
        } else {
            Link::None
        };
    }

    fn heard(&mut self, outcome: Heard) {
        self.heard = Instant::now();
        match outcome {
            Heard::Batch(batch) => self.take(batch),
            Heard::Broken => self.find(),
            Heard::Protocol(problem) => {
                // Nothing more can be made of it, but it shall not go on unseen.
                let error = errors::unreadable(&format!("{problem}."));
                self.fail(error);
                self.stop(Duration::ZERO);
            }
            Heard::Found(Found::Again(events, batch)) => {
                self.link = Link::Live(events);
                self.take(batch);
            }
            Heard::Found(Found::NoProcess) if self.found_ended.is_some() => {
                // It was seen to have ended before.
                self.link = Link::None;
                if let Some(ended) = self.found_ended.take() {
                    self.end(ended);
                }
            }
            // It ended because it was stopped; the rest tells itself.
            Heard::Found(Found::NoProcess) if self.stop_begun => self.link = Link::None,
            Heard::Found(Found::NoProcess) => {
                let mut error = Error::new(
                    Code::ProviderFailed,
                    "E2B: the command ended while the connection was broken; its exit code is not known.",
                )
                .with("pid", self.pid);
                error.admitted = Some(Admitted::Yes);
                self.fail(error);
                // What it started may be there still.
                self.stop(Duration::ZERO);
            }
            Heard::Found(Found::Never(error)) => {
                if matches!(self.place.life.state(), State::Killing { .. }) {
                    // Gone, because it is being killed; whether it was will be known in a moment.
                    self.link = Link::None;
                    return;
                }
                if error.code == Code::SandboxLost {
                    self.place.life.end(error.clone());
                }
                self.fail(error);
            }
        }
    }

    fn take(&mut self, mut batch: Batch) {
        greeting::hear(&mut self.launch.greeting, &mut batch);
        let now = Instant::now();
        if !batch.output.is_empty() {
            self.quiet = QUIET;
            self.look_at = now + QUIET;
        }
        if self.held_open && !self.stop_begun {
            self.settle_at = (batch.keepalive && batch.output.is_empty()).then_some(now + REST);
        }
        for (stream, bytes) in batch.output {
            if !self.nobody {
                self.queue.push_back((stream, bytes));
            }
        }
        for event in batch.events {
            if let Event::End(ended) = event {
                self.end(ended);
            }
        }
        match batch.last {
            None => {}
            Some(_) if self.ended.is_some() => self.link = Link::None,
            // An end of the stream without an end of the process.
            Some(None) => self.find(),
            Some(Some(failed)) => match failed.code.as_str() {
                // The daemon has killed the main process, and nothing else.
                "deadline_exceeded" => {
                    self.timed_out = true;
                    self.link = Link::None;
                    self.stop(Duration::ZERO);
                }
                "unavailable" | "canceled" | "" | "unknown" | "internal" => self.find(),
                _ => {
                    let error = errors::failed(&failed, self.place.daemon.id());
                    self.fail(error);
                    self.stop(Duration::ZERO);
                }
            },
        }
    }
}

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

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
