//! A command that runs elsewhere, as a process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use vibekit_sandbox::{Code, Command, Control, Error, Exit, Process, Program, Result, Stream};

use super::create::{is_over, persist};
use super::markers::{Event, Markers, Refusal};
use super::script::Names;
use super::stop::Report;

/// Between TERM and KILL when a time limit ends a command.
const GRACE: Duration = Duration::from_secs(2);

/// From a command that was sent to the news that it was started.
const START: Duration = Duration::from_secs(60);

/// From the end of the processes to the news of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Before stopping is tried again, in milliseconds.
const AGAIN: [u64; 2] = [200, 800];

/// A piece of a command's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// Something was written.
    Output(Stream, Bytes),
    /// Nothing more comes. The service's own word for the exit code, if it has one.
    End(Option<i32>),
}

/// Where a command's stream comes from. Deals with connections that break off by itself, as far as nothing is lost.
#[async_trait]
pub(crate) trait Wire: Send {
    /// The next piece. Cancel-safe. Not called again after the end.
    async fn next(&mut self) -> Result<Raw>;
}

/// What can be done to a command from elsewhere.
#[async_trait]
pub(crate) trait Reach: Send + Sync + 'static {
    /// Ends a job's processes, those still to be started included.
    async fn stop(&self, pid: u32, grace: Duration) -> Result<Report>;
    /// The hard way, when ending the processes did not end the command.
    async fn reset(&self);
    /// Why the sandbox is gone, if that is why a command ended without telling.
    async fn vanished(&self) -> Option<Error>;
    /// Sends a signal to the main process.
    async fn signal(&self, pid: u32, signal: i32) -> Result<()>;
    /// Writes to standard input.
    async fn write(&self, bytes: Bytes) -> Result<()>;
    /// Ends standard input.
    async fn close_stdin(&self) -> Result<()>;
    /// The command is over, and nobody reads its stream any more. `clean`: all its processes that matter have ended.
    fn done(&self, clean: bool);
}

/// Why a sandbox is over.
pub(crate) type Over = watch::Receiver<Option<Error>>;

/// From the end of standard output to that of standard error, which is written at the same time.
const ERRORS: Duration = Duration::from_secs(5);

/// Everything a process is made of.
pub(crate) struct Start {
    pub(crate) names: Names,
    pub(crate) program: String,
    pub(crate) directory: String,
    pub(crate) timeout: Option<Duration>,
    pub(crate) background: bool,
    pub(crate) wire: Box<dyn Wire>,
    pub(crate) unwanted: Unwanted,
    pub(crate) over: Over,
}

impl Start {
    /// What errors call the program.
    pub(crate) fn program_of(command: &Command) -> String {
        match &command.program {
            Program::Shell(_) => "sh".to_owned(),
            Program::Exec { program, .. } => program.clone(),
        }
    }
}

#[derive(Default)]
struct Told {
    /// What stopping it took, once it was.
    report: Option<Report>,
    timed_out: bool,
    /// Stopping has begun.
    stopping: bool,
    /// The hard way was taken.
    reset: bool,
    ended: bool,
}

struct Shared {
    reach: Arc<dyn Reach>,
    pid: u32,
    background: bool,
    told: Mutex<Told>,
    /// True once stopping is done.
    stopped: watch::Sender<bool>,
}

/// See the module.
pub(crate) struct RemoteProcess {
    shared: Arc<Shared>,
    wire: Box<dyn Wire>,
    /// What was found on standard error before the news of the start, which comes on standard output: services do not keep
    /// the order between the two.
    early: VecDeque<Event>,
    markers: Markers,
    over: Over,
    stopped: watch::Receiver<bool>,
    /// Exit code, once it is known.
    code: Option<i32>,
    errors_ended: bool,
    /// The wire said that nothing more comes, and the service's word for the exit code.
    dry: Option<Option<i32>>,
    watchdog: Option<AbortHandle>,
    failed: Option<Error>,
}

/// Ends a job that nobody takes over: made before anything is sent that may start it.
pub(crate) struct Unwanted {
    reach: Arc<dyn Reach>,
    armed: bool,
}

impl Unwanted {
    pub(crate) fn new(reach: Arc<dyn Reach>) -> Self {
        Self { reach, armed: true }
    }

    /// Nothing was sent that could start it.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Unwanted {
    fn drop(&mut self) {
        if self.armed {
            abandon(Arc::clone(&self.reach), 0);
        }
    }
}

/// Ends a job in the background. Every wait in it has a limit of its own.
fn abandon(reach: Arc<dyn Reach>, pid: u32) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            persist(|| reach.stop(pid, Duration::ZERO)).await;
            reach.done(false);
        });
    }
}

/// Waits until the command was started. If the returned future is dropped, the command is ended.
pub(crate) async fn start(start: Start) -> Result<RemoteProcess> {
    let Start { names, program, directory, timeout, background, mut wire, mut unwanted, mut over } = start;
    let reach = Arc::clone(&unwanted.reach);
    let mut markers = Markers::new(&names.mark);
    let begun = begin(&mut *wire, &mut markers, &mut over);
    let (pid, early) = match tokio::time::timeout(START, begun).await {
        Ok(Ok(Ok(begun))) => begun,
        Ok(Ok(Err(refusal))) => {
            unwanted.armed = false;
            reach.done(true);
            return Err(refused(&program, &directory, refusal));
        }
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            let ms = u64::try_from(START.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::new(Code::Timeout, "The command did not start").with("limit", ms).retryable());
        }
    };
    unwanted.armed = false;
    let stopped = watch::Sender::new(false);
    let receiver = stopped.subscribe();
    let shared = Arc::new(Shared { reach, pid, background, told: Mutex::default(), stopped });
    let watchdog = timeout.filter(|_| !background).map(|limit| {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            // A stop that fails shows in the command, which then is ended the hard way.
            let _ = shared.end(GRACE, true).await;
        })
        .abort_handle()
    });
    Ok(RemoteProcess {
        shared,
        wire,
        early,
        markers,
        over,
        stopped: receiver,
        code: None,
        errors_ended: false,
        dry: None,
        watchdog,
        failed: None,
    })
}

/// Reads up to the news of the start: the main process, and what was on standard error by then.
async fn begin(
    wire: &mut dyn Wire,
    markers: &mut Markers,
    over: &mut Over,
) -> Result<Result<(u32, VecDeque<Event>), Refusal>> {
    // What a shell says that cannot run the line; on standard error it may be the program's already.
    let mut noise = Vec::new();
    let mut early = VecDeque::new();
    loop {
        let raw = tokio::select! {
            biased;
            error = gone(over) => return Err(error),
            raw = wire.next() => raw?,
        };
        let end = match raw {
            Raw::Output(stream, bytes) => {
                markers.push(stream, bytes);
                false
            }
            Raw::End(_) => true,
        };
        while let Some(event) = markers.pop() {
            match event {
                Event::Started(pid) => return Ok(Ok((pid, early))),
                Event::Refused(refusal) => return Ok(Err(refusal)),
                Event::Output(Stream::Stdout, bytes) => noise.extend_from_slice(&bytes),
                Event::Output(Stream::Stderr, _) | Event::ErrorsEnded => early.push_back(event),
                Event::Ended(_) => {}
            }
        }
        if end {
            for event in early {
                if let Event::Output(_, bytes) = event {
                    noise.extend_from_slice(&bytes);
                }
            }
            let noise = String::from_utf8_lossy(&noise);
            let text = format!("The sandbox's shell did not run the command: {}", noise.trim());
            return Err(Error::new(Code::SpawnFailed, text)
                .with("reason", "other")
                .with_hint("The sandbox's image needs a POSIX shell called sh."));
        }
    }
}

fn refused(program: &str, directory: &str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Directory => Error::new(
            Code::SpawnFailed,
            format!("The working directory {directory:?} is not a directory in the sandbox"),
        )
        .with("reason", "working_directory"),
        Refusal::Program => {
            Error::new(Code::SpawnFailed, format!("There is no program {program:?} in the sandbox"))
                .with("reason", "not_found")
                .with("exitCode", 127)
        }
    }
}

/// Resolves when the sandbox is over.
async fn gone(over: &mut Over) -> Error {
    match over.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_else(disposed),
        Err(_) => disposed(),
    }
}

fn disposed() -> Error {
    Error::new(Code::Disposed, "The sandbox was released")
}

impl Shared {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the processes, and tells [`RemoteProcess::next`].
    async fn end(&self, grace: Duration, timed_out: bool) -> Result<()> {
        {
            let mut told = self.told();
            if told.ended {
                return Ok(());
            }
            told.stopping = true;
            told.timed_out |= timed_out;
        }
        let mut done = self.reach.stop(self.pid, grace).await;
        for pause in AGAIN {
            if done.as_ref().err().is_none_or(is_over) {
                break;
            }
            // A way that fails once is no reason to let a command run on.
            tokio::time::sleep(Duration::from_millis(pause)).await;
            done = self.reach.stop(self.pid, grace).await;
        }
        let outcome = match done {
            Ok(report) => {
                let mut told = self.told();
                match &mut told.report {
                    // Stopped twice: what the first stop found is what there was.
                    Some(_) => {}
                    none => *none = Some(report),
                }
                Ok(())
            }
            Err(error) => {
                self.told().report.get_or_insert_with(Report::default);
                Err(error)
            }
        };
        self.stopped.send_replace(true);
        outcome
    }
}

impl RemoteProcess {
    /// Resolves when the processes were ended some time ago and nothing has told of the command's end.
    async fn overdue(stopped: &mut watch::Receiver<bool>) {
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(PATIENCE).await;
    }

    fn over_with(&mut self, code: i32) {
        self.code.get_or_insert(code);
        self.errors_ended = true;
    }

    fn conclude(&mut self, clean: bool) {
        let mut told = self.shared.told();
        if !std::mem::replace(&mut told.ended, true) {
            drop(told);
            if let Some(watchdog) = self.watchdog.take() {
                watchdog.abort();
            }
            if clean {
                self.shared.reach.done(true);
            } else {
                // Its stream broke off. It may run on, and nobody hears of it any more.
                abandon(Arc::clone(&self.shared.reach), self.shared.pid);
            }
        }
    }
}

#[async_trait]
impl Process for RemoteProcess {
    async fn next(&mut self) -> Result<Option<(Stream, Bytes)>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.shared.background {
            self.conclude(true);
            return Ok(None);
        }
        loop {
            while let Some(event) = self.early.pop_front().or_else(|| self.markers.pop()) {
                match event {
                    Event::Output(stream, bytes) => return Ok(Some((stream, bytes))),
                    Event::Ended(code) => self.code = Some(code),
                    Event::ErrorsEnded => self.errors_ended = true,
                    Event::Started(_) | Event::Refused(_) => {}
                }
            }
            if let (Some(code), None) = (self.dry, self.code) {
                // The shell around the command did not get to tell: something has ended it.
                let gone = self.shared.reach.vanished().await;
                match (gone, code) {
                    (Some(error), _) => {
                        self.failed = Some(error.clone());
                        self.conclude(false);
                        return Err(error);
                    }
                    (None, Some(code)) => self.over_with(code),
                    (None, None) => {
                        let text = "The command's stream ended without a result";
                        let error = Error::new(Code::ProviderFailed, text)
                            .with_hint("Its processes may have been ended from elsewhere in the sandbox.");
                        self.failed = Some(error.clone());
                        self.conclude(false);
                        return Err(error);
                    }
                }
            }
            if self.dry.is_some() || (self.code.is_some() && self.errors_ended) {
                if self.shared.told().stopping {
                    // It is about to tell what it took. It has limits of its own, and ends with the sandbox.
                    let Self { over, stopped, .. } = self;
                    tokio::select! {
                        _ = stopped.wait_for(|stopped| *stopped) => {}
                        _ = gone(over) => {}
                    }
                }
                // Where the hard way had to be taken nobody has seen its processes end.
                let clean = !self.shared.told().reset;
                self.conclude(clean);
                return Ok(None);
            }
            let waiting = self.code.is_some();
            let Self { wire, over, stopped, .. } = self;
            let raw = tokio::select! {
                biased;
                error = gone(over) => Err(error),
                raw = wire.next() => raw,
                () = tokio::time::sleep(ERRORS), if waiting => {
                    self.errors_ended = true;
                    continue;
                }
                () = Self::overdue(stopped) => {
                    self.shared.told().reset = true;
                    self.shared.reach.reset().await;
                    self.over_with(128 + 9);
                    continue;
                }
            };
            match raw {
                Ok(Raw::Output(stream, bytes)) => self.markers.push(stream, bytes),
                Ok(Raw::End(code)) => {
                    self.markers.finish();
                    self.dry = Some(code);
                }
                Err(error) => {
                    self.failed = Some(error.clone());
                    self.conclude(false);
                    return Err(error);
                }
            }
        }
    }

    /// For a background command: that it was started, at once, with code 0.
    async fn exit(&mut self) -> Result<Exit> {
        if self.shared.background {
            return Ok(Exit::default());
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let told = self.shared.told();
        let stopped = told.report.as_ref().map(|report| {
            let mut stopped = report.stopped.clone();
            stopped.session_reset = told.reset;
            stopped
        });
        Ok(Exit { code: self.code.unwrap_or(-1), timed_out: told.timed_out, stopped, ..Exit::default() })
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.shared) as Arc<dyn Control>
    }
}

impl Drop for RemoteProcess {
    fn drop(&mut self) {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.abort();
        }
        if !self.shared.told().ended {
            if self.shared.background {
                self.shared.reach.done(true);
            } else if self.over.borrow().is_none() {
                // Nobody will hear of it any more.
                abandon(Arc::clone(&self.shared.reach), self.shared.pid);
            }
        }
    }
}

#[async_trait]
impl Control for Shared {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    async fn write(&self, bytes: Bytes) -> Result<()> {
        if self.told().ended {
            return Err(Error::new(Code::InvalidArgument, "The command's standard input is not open"));
        }
        self.reach.write(bytes).await
    }

    async fn close_stdin(&self) -> Result<()> {
        if self.told().ended {
            return Ok(());
        }
        self.reach.close_stdin().await
    }

    async fn signal(&self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid("signal", "is not a signal", "Give a number from 1 to 64."));
        }
        if self.told().ended {
            return Ok(());
        }
        self.reach.signal(self.pid, signal).await
    }

    async fn stop(&self, grace: Duration) -> Result<()> {
        self.end(grace, false).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told(VecDeque<Raw>);

    #[async_trait]
    impl Wire for Told {
        async fn next(&mut self) -> Result<Raw> {
            match self.0.pop_front() {
                Some(raw) => Ok(raw),
                None => std::future::pending().await,
            }
        }
    }

    struct Nowhere;

    #[async_trait]
    impl Reach for Nowhere {
        async fn stop(&self, _pid: u32, _grace: Duration) -> Result<Report> {
            Ok(Report::default())
        }
        async fn reset(&self) {}
        async fn vanished(&self) -> Option<Error> {
            None
        }
        async fn signal(&self, _pid: u32, _signal: i32) -> Result<()> {
            Ok(())
        }
        async fn write(&self, _bytes: Bytes) -> Result<()> {
            Ok(())
        }
        async fn close_stdin(&self) -> Result<()> {
            Ok(())
        }
        fn done(&self, _clean: bool) {}
    }

    #[tokio::test(start_paused = true)]
    async fn standard_error_that_overtakes_the_start_is_not_lost() {
        let raw = |stream, text: &'static str| Raw::Output(stream, Bytes::from_static(text.as_bytes()));
        let wire = Told(VecDeque::from([
            raw(Stream::Stderr, "all of it\n\x1eMARK.\n"),
            raw(Stream::Stdout, "\x1eMARK+7\nout\n\x1eMARK=3\n"),
        ]));
        let (_over, receiver) = watch::channel(None);
        let begin = tokio::time::Instant::now();
        let mut process = start(Start {
            names: Names { job: "JOB".to_owned(), mark: "MARK".to_owned() },
            program: "sh".to_owned(),
            directory: "/".to_owned(),
            timeout: None,
            background: false,
            wire: Box::new(wire),
            unwanted: Unwanted::new(Arc::new(Nowhere)),
            over: receiver,
        })
        .await
        .expect("started");
        let mut output = [Vec::new(), Vec::new()];
        while let Some((stream, bytes)) = process.next().await.expect("no failure") {
            output[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
        }
        assert_eq!(output, [b"out\n".to_vec(), b"all of it\n".to_vec()]);
        assert_eq!(process.exit().await.map(|exit| exit.code), Ok(3));
        assert_eq!(begin.elapsed(), Duration::ZERO, "it waited for the end of standard error");
    }
}
