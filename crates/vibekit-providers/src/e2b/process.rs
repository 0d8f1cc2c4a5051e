//! One task for each command: it follows the command's stream, finds the process again when the stream breaks, keeps the
//! sandbox alive, and ends the whole tree when it has to.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use vibekit_core::Admitted;
use vibekit_sandbox::{Code, Control as Handle, Error, Exit, Process, Result, Stopped, Stream};

use super::codec::{Batch, Ended, Event};
use super::control::Control;
use super::daemon::{DEAD, Daemon, Events, Fault, Health, NoStream, Start};
use super::life::{Life, State, why_gone};
use super::{errors, tree};

/// Batches that are read ahead of whoever takes them.
const AHEAD: usize = 4;
/// Between TERM and KILL when a time limit ends a command.
const GRACE: Duration = Duration::from_millis(150);
/// For the daemon to tell the end of a process that was ended.
const TELL: Duration = Duration::from_secs(2);
/// For a broken stream to be found again.
const FIND: Duration = Duration::from_secs(90);
const FINDINGS: u32 = 6;
/// For the end of a stream whose command has ended, so that its connection can be used again.
const DRAIN: Duration = Duration::from_secs(1);
/// Silence after which it is looked whether the main process is still there, the first time and the longest.
const QUIET: Duration = Duration::from_secs(1);
const LONG_QUIET: Duration = Duration::from_secs(30);
/// For output that is under way when the main process is found to have ended.
const REST: Duration = Duration::from_millis(200);
/// Bytes of standard input in one request.
const INPUT: usize = 256 << 10;

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What everything about a command needs.
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

/// The daemon starts a shell, which always is there; whether the program is, the shell says first: `token` and one of
/// [`THERE`] and [`ABSENT`]. It is taken out of the output.
pub(super) struct Greeting {
    pub(super) token: String,
    pub(super) program: String,
}

pub(super) const THERE: char = '+';
pub(super) const ABSENT: char = '-';

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
    daemon: Arc<Daemon>,
    known: watch::Receiver<Known>,
    orders: mpsc::UnboundedSender<Order>,
}

/// Starts a command. If the returned future is dropped, the command is ended.
pub(super) async fn start(place: Place, launch: Launch) -> Result<E2bProcess> {
    let (sender, receiver) = oneshot::channel();
    // The task outlives a caller that gives up: what has begun is then ended by it.
    tokio::spawn(async move {
        match open(&place, &launch).await {
            Err(error) => drop(sender.send(Err(error))),
            Ok(opened) => {
                let (output, outputs) = mpsc::channel(AHEAD);
                let (known, knowns) = watch::channel(Known::Running);
                let (orders, ordered) = mpsc::unbounded_channel();
                let handle = Arc::new(Acting {
                    pid: opened.pid,
                    daemon: Arc::clone(&place.daemon),
                    known: knowns.clone(),
                    orders,
                });
                let background = launch.background;
                let _ = sender.send(Ok(E2bProcess { output: outputs, known: knowns, handle, background }));
                Runner::new(place, launch, opened).run(output, ordered, known).await;
            }
        }
    });
    receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "Starting the command panicked")))
}

struct Opened {
    pid: u32,
    events: Events,
    batch: Batch,
    gap: bool,
}

async fn open(place: &Place, launch: &Launch) -> Result<Opened> {
    let daemon = &place.daemon;
    let limit = place.control.options().request;
    let opening = async {
        let mut events = daemon.start(&launch.start).await?;
        let (pid, batch) = events.begin(daemon.id(), limit).await?;
        Ok(Opened { pid, events, batch, gap: false })
    };
    match opening.await {
        Ok(mut opened) => match &launch.greeting {
            Some(greeting) => greet(&mut opened, greeting, limit).await.map(|()| opened),
            None => Ok(opened),
        },
        Err(NoStream::Gone) => {
            let error =
                why_gone(&place.control, daemon.id()).await.unwrap_or_else(|| errors::gone(daemon.id()));
            if error.code == Code::SandboxLost {
                place.life.end(error.clone());
            }
            Err(error)
        }
        Err(NoStream::Unanswered(error)) if error.admitted != Some(Admitted::No) => {
            adopt(place, launch, error).await
        }
        Err(none) => Err(none.into_error(daemon.id())),
    }
}

/// Waits for the greeting. A stream that ends or breaks before it says enough by that, and is looked after later.
async fn greet(opened: &mut Opened, greeting: &Greeting, limit: Duration) -> Result<()> {
    let token = greeting.token.as_bytes();
    let until = Instant::now() + limit;
    loop {
        for (stream, bytes) in &mut opened.batch.output {
            let found = bytes.windows(token.len()).position(|part| part == token);
            let Some(at) = found.filter(|_| *stream == Stream::Stderr) else { continue };
            let after = at + token.len();
            if bytes.get(after).copied() == Some(ABSENT as u8) {
                let program = &greeting.program;
                return Err(Error::new(
                    Code::SpawnFailed,
                    format!("There is no program {program:?} in the sandbox"),
                )
                .with("reason", "not_found")
                .with("exitCode", 127));
            }
            let rest = [&bytes[..at], bytes.get(after + 1..).unwrap_or_default()].concat();
            *bytes = rest.into();
            opened.batch.output.retain(|(_, bytes)| !bytes.is_empty());
            return Ok(());
        }
        if opened.batch.last.is_some()
            || opened.batch.events.iter().any(|event| matches!(event, Event::End(_)))
        {
            return Ok(());
        }
        match timeout_at(until, opened.events.next()).await {
            Ok(Ok(Some(batch))) => {
                opened.batch.output.extend(batch.output);
                opened.batch.events.extend(batch.events);
                opened.batch.last = batch.last;
            }
            _ => return Ok(()),
        }
    }
}

/// The answer to a start was lost: the process may run all the same, and is found by its mark.
async fn adopt(place: &Place, launch: &Launch, error: Error) -> Result<Opened> {
    let daemon = &place.daemon;
    for pause in [0, 300, 1200] {
        sleep(Duration::from_millis(pause)).await;
        if let Ok(Some(pid)) = daemon.find(tree::MARK, &launch.mark).await
            && let Ok(mut events) = daemon.connect(pid).await
            && let Ok((pid, batch)) = events.begin(daemon.id(), place.control.options().request).await
        {
            return Ok(Opened { pid, events, batch, gap: true });
        }
    }
    // The request may arrive yet. Bounded, and nobody's to wait for.
    let (daemon, mark) = (Arc::clone(daemon), launch.mark.clone());
    tokio::spawn(async move {
        for pause in [2, 10] {
            sleep(Duration::from_secs(pause)).await;
            let _ = tree::end(&daemon, &mark, 0, Duration::ZERO).await;
        }
    });
    Err(error)
}

enum Link {
    Live(Events),
    Finding(Pending<Found>),
    /// The sandbox is paused, or the command has ended.
    None,
}

enum Found {
    Again(Events, Batch),
    /// The process is not there any more, and its end is not remembered.
    NoProcess,
    Never(Error),
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

struct Runner {
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
    fn new(place: Place, launch: Launch, opened: Opened) -> Self {
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
            running_since: Some(now),
        };
        runner.take(opened.batch);
        runner
    }

    async fn run(
        mut self,
        output: mpsc::Sender<(Stream, Bytes)>,
        mut orders: mpsc::UnboundedReceiver<Order>,
        known: watch::Sender<Known>,
    ) {
        let mut life = self.place.life.follow();
        let mut renewing: Option<Pending<Result<()>>> = None;
        let mut looking: Option<Pending<Option<Ended>>> = None;
        let mut renew_at = self.place.life.renew_at(self.place.control.ttl());
        self.state_changed(&life.borrow_and_update().clone());
        while !self.is_over() {
            let limit_at = match (self.left, self.running_since) {
                (Some(left), Some(since)) if !self.stop_begun => Some(since + left),
                _ => None,
            };
            let reading = self.queue.is_empty() && self.ended.is_none() && self.failure.is_none();
            let paused = self.running_since.is_none();
            let heard = self.heard;
            tokio::select! {
                biased;
                Some(order) = orders.recv() => {
                    self.waiting.push(order.done);
                    self.stop(order.grace);
                }
                outcome = settle(&mut self.stopping), if self.stopping.is_some() => self.stop_over(outcome),
                () = at(self.settle_at), if self.settle_at.is_some() => self.settle_now(),
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
                    }
                }
                outcome = heard_of(&mut self.link, heard, paused), if reading => self.heard(outcome),
                found = settle(&mut looking), if looking.is_some() => self.looked(found),
                () = sleep_until(self.look_at), if reading && !paused && looking.is_none() && !self.stop_begun => {
                    let (daemon, pid) = (Arc::clone(&self.place.daemon), self.pid);
                    looking = Some(Box::pin(async move { tree::main_ended(&daemon, pid).await }));
                }
                outcome = settle(&mut renewing), if renewing.is_some() => {
                    if outcome.is_ok() {
                        self.place.life.was_renewed();
                    }
                    renew_at = Instant::now() + self.place.control.ttl() / 3;
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
        let daemon = Arc::clone(&self.place.daemon);
        let (mark, main) = (self.launch.mark.clone(), if self.ended.is_some() { 0 } else { self.pid });
        self.stopping = Some(Box::pin(async move {
            let mut outcome = tree::end(&daemon, &mark, main, grace).await;
            for pause in [300, 1200] {
                // A network that broke the command's own stream may be back in a moment.
                if !matches!(&outcome, Err(error) if error.retryable || error.code == Code::ProviderFailed) {
                    break;
                }
                sleep(Duration::from_millis(pause)).await;
                outcome = tree::end(&daemon, &mark, main, Duration::ZERO).await;
            }
            outcome
        }));
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

    fn looked(&mut self, found: Option<Ended>) {
        let now = Instant::now();
        match found {
            Some(ended) if self.found_ended.is_none() => {
                self.found_ended = Some(ended);
                self.settle_at = Some(now + REST);
                // Enough was seen.
                self.look_at = now + LONG_QUIET;
            }
            _ => {
                self.quiet = (self.quiet * 2).min(LONG_QUIET);
                self.look_at = now + self.quiet;
            }
        }
    }

    /// The command has ended, and the daemon did not tell.
    fn settle_now(&mut self) {
        self.settle_at = None;
        if self.ended.is_some() {
            return;
        }
        if let Some(ended) = self.found_ended.take().filter(|_| !self.stop_begun) {
            self.held_open = true;
            self.ended = Some(ended);
            return;
        }
        match self.stop_failed.take() {
            None => {
                self.ended = Some(Ended { exit_code: -1, status: "signal: killed".to_owned(), exited: false })
            }
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

    fn fail(&mut self, error: Error) {
        self.link = Link::None;
        if self.ended.is_none() && self.failure.is_none() {
            self.failure = Some(error);
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
            let (control, daemon) = (Arc::clone(&self.place.control), Arc::clone(&self.place.daemon));
            Link::Finding(Box::pin(find(control, daemon, self.pid)))
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

    fn take(&mut self, batch: Batch) {
        if !batch.output.is_empty() {
            self.quiet = QUIET;
            self.look_at = Instant::now() + QUIET;
        }
        for (stream, bytes) in batch.output {
            if !self.nobody {
                self.queue.push_back((stream, bytes));
            }
        }
        for event in batch.events {
            if let Event::End(ended) = event {
                // Whatever comes of the stream now, this is how it ended.
                self.ended.get_or_insert(ended);
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

enum Heard {
    Batch(Batch),
    Broken,
    Protocol(String),
    Found(Found),
}

/// What the link brings next; never, if there is none.
async fn heard_of(link: &mut Link, heard: Instant, paused: bool) -> Heard {
    match link {
        Link::Live(events) => {
            let next = events.next();
            let outcome = if paused { Ok(next.await) } else { timeout_at(heard + DEAD, next).await };
            match outcome {
                Ok(Ok(Some(batch))) => Heard::Batch(batch),
                Ok(Ok(None)) | Err(_) | Ok(Err(Fault::Broken(_))) => Heard::Broken,
                Ok(Err(Fault::Protocol(broken))) => Heard::Protocol(broken.0),
            }
        }
        Link::Finding(found) => Heard::Found(found.await),
        Link::None => std::future::pending().await,
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
            self.daemon.call("/process.Process/SendInput", &body, false).await?;
        }
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        if self.check().is_err() {
            return Ok(());
        }
        let body = json!({ "process": { "pid": self.pid } });
        self.daemon.call("/process.Process/CloseStdin", &body, true).await.map(|_| ())
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
                    lifetime: Some(TELL),
                    user: None,
                };
                return self.daemon.run(&start, TELL).await.map(|_| ());
            }
        };
        let body = json!({ "process": { "pid": self.pid }, "signal": name });
        self.daemon.call("/process.Process/SendSignal", &body, true).await.map(|_| ())
    }

    async fn stop(&self, grace: Duration) -> Result<()> {
        let (done, wait) = oneshot::channel();
        if self.orders.send(Order { grace, done }).is_err() {
            return Ok(());
        }
        wait.await.unwrap_or(Ok(()))
    }
}
