//! A command in a container: an exec of the engine, and what the engine's exec lacks.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream as Source, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::AbortHandle;
use vibekit_sandbox::{Code, Control, Error, Exit, Process, Result, Stdin, Stopped, Stream};

use super::sandbox::{Shared, State};
use super::{fail, script};

/// Between TERM and KILL when a time limit ends a command.
const GRACE: Duration = Duration::from_millis(200);
/// How long the start of a command may take.
const START: Duration = Duration::from_secs(30);
/// How long the engine may take to notice the end of a command whose output has ended.
const END: Duration = Duration::from_secs(30);
/// How long ending a tree may take beyond its grace.
const PATIENCE: Duration = Duration::from_secs(20);
/// Names of stopped processes that are told.
const NAMES: usize = 32;
/// Directory for the output of background commands.
const LOGS: &str = "/tmp/.vibekit";
/// Bytes of a frame the reader makes room for at once.
const FRAME: usize = 64 << 10;

type Output = Pin<Box<dyn Source<Item = std::result::Result<LogOutput, bollard::errors::Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// What a command is started with.
pub(crate) struct Start {
    pub(crate) mark: String,
    pub(crate) words: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Stdin,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) background: bool,
}

/// A started command.
pub(crate) struct DockerProcess {
    running: Arc<Running>,
    output: Output,
    /// What came with the first line.
    pending: VecDeque<(Stream, Bytes)>,
    state: watch::Receiver<State>,
    /// What feeds and limits it; ends with it.
    tasks: Vec<AbortHandle>,
    background: bool,
    taken: bool,
}

/// What acts on it.
struct Running {
    shared: Arc<Shared>,
    exec: String,
    mark: String,
    pid: u32,
    stdin: Mutex<Option<Input>>,
    /// What stopping it took; held while it is being stopped.
    stopped: Mutex<Option<Stopped>>,
    timed_out: AtomicBool,
    ended: AtomicBool,
}

/// Starts it, to the end even if nobody waits any more: a start that is given up half-way would leave a process nobody
/// knows of. What is not taken is stopped.
pub(crate) async fn start(shared: Arc<Shared>, start: Start) -> Result<DockerProcess> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        // Not received, it is dropped, and stopped by that.
        let _ = sender.send(begin(shared, start).await);
    });
    let started =
        receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "Starting the command panicked")));
    started.map(|mut process| {
        process.taken = true;
        process
    })
}

async fn begin(shared: Arc<Shared>, start: Start) -> Result<DockerProcess> {
    let state = shared.state.subscribe();
    let log = if start.background { format!("{LOGS}/{}.log", start.mark) } else { String::new() };
    let program = start.words.first().cloned().unwrap_or_default();
    let mut cmd = vec!["/bin/sh".to_owned(), "-c".to_owned(), script::START.to_owned(), "sh".to_owned()];
    cmd.extend([start.cwd.clone(), log]);
    cmd.extend(start.words);
    let mark = [(script::MARK.to_owned(), start.mark.clone())];
    let env = start.env.iter().chain(&mark).map(|(name, value)| format!("{name}={value}")).collect();
    let feeds = match &start.stdin {
        Stdin::Null => false,
        Stdin::Bytes(bytes) => !bytes.is_empty(),
        Stdin::Pipe => true,
    };
    let (exec, mut output, input) = attach(&shared, cmd, env, feeds && !start.background).await?;
    let first = tokio::time::timeout(START, first_line(&mut output)).await;
    let (line, pending) = match first {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(shared.refused("Starting the command", &error)),
        Err(_) => {
            return Err(Error::new(Code::Timeout, "The command did not start")
                .with("limit", 30_000)
                .retryable());
        }
    };
    let Some(pid) = line.strip_prefix('+') else {
        return Err(refusal(&shared, &exec, &line, &pending, &program, &start.cwd).await);
    };
    let running = Arc::new(Running {
        shared,
        exec,
        mark: start.mark,
        pid: pid.trim().parse().unwrap_or(0),
        stdin: Mutex::new(None),
        stopped: Mutex::new(None),
        timed_out: AtomicBool::new(false),
        ended: AtomicBool::new(false),
    });
    let mut tasks = Vec::new();
    match (start.stdin, input) {
        (Stdin::Bytes(bytes), Some(mut input)) => tasks.push(
            tokio::spawn(async move {
                // A command that stops reading is its own affair.
                if input.write_all(&bytes).await.is_ok() {
                    let _ = input.shutdown().await;
                }
                // Closing it otherwise is closing the output as well.
                std::future::pending::<()>().await;
            })
            .abort_handle(),
        ),
        (_, input) => *running.stdin.lock().await = input,
    }
    if let Some(limit) = start.timeout_ms {
        let watchdog = tokio::spawn(watchdog(Arc::clone(&running), Duration::from_millis(limit)));
        // A background command's limit outlives the call.
        if !start.background {
            tasks.push(watchdog.abort_handle());
        }
    }
    Ok(DockerProcess { running, output, pending, state, tasks, background: start.background, taken: false })
}

/// Makes an exec and attaches to it.
async fn attach(
    shared: &Arc<Shared>,
    cmd: Vec<String>,
    env: Vec<String>,
    stdin: bool,
) -> Result<(String, Output, Option<Input>)> {
    let options = CreateExecOptions {
        attach_stdin: Some(stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(cmd),
        env: Some(env),
        ..CreateExecOptions::default()
    };
    let refused = |error: &bollard::errors::Error| shared.refused("Starting the command", error);
    let docker = &shared.engine.docker;
    let exec = docker.create_exec(&shared.name, options).await.map_err(|error| refused(&error))?.id;
    let options = StartExecOptions { output_capacity: Some(FRAME), ..StartExecOptions::default() };
    match docker.start_exec(&exec, Some(options)).await.map_err(|error| refused(&error))? {
        StartExecResults::Attached { output, input } => Ok((exec, output, stdin.then_some(input))),
        StartExecResults::Detached => Err(Error::new(Code::Internal, "The engine detached a command")),
    }
}

fn chunk(output: LogOutput) -> Option<(Stream, Bytes)> {
    match output {
        LogOutput::StdOut { message } | LogOutput::Console { message } => Some((Stream::Stdout, message)),
        LogOutput::StdErr { message } => Some((Stream::Stderr, message)),
        LogOutput::StdIn { .. } => None,
    }
}

/// The script's own line (without its end; empty if there was none), and what came with it.
async fn first_line(
    output: &mut Output,
) -> std::result::Result<(String, VecDeque<(Stream, Bytes)>), bollard::errors::Error> {
    let (mut line, mut pending) = (BytesMut::new(), VecDeque::new());
    while let Some(item) = output.next().await {
        match chunk(item?) {
            Some((Stream::Stdout, bytes)) => {
                line.extend_from_slice(&bytes);
                if let Some(at) = line.iter().position(|byte| *byte == b'\n') {
                    let rest = line.split_off(at + 1).freeze();
                    if !rest.is_empty() {
                        pending.push_front((Stream::Stdout, rest));
                    }
                    line.truncate(at);
                    return Ok((String::from_utf8_lossy(&line).into_owned(), pending));
                }
            }
            Some(stderr) => pending.push_back(stderr),
            None => {}
        }
    }
    Ok((String::from_utf8_lossy(&line).into_owned(), pending))
}

/// Why a command did not start.
async fn refusal(
    shared: &Shared,
    exec: &str,
    line: &str,
    pending: &VecDeque<(Stream, Bytes)>,
    program: &str,
    cwd: &str,
) -> Error {
    let failed = |reason: &str, code: Option<i32>, message: String| {
        let error = Error::new(Code::SpawnFailed, message).with("reason", reason);
        match code {
            Some(code) => error.with("exitCode", code),
            None => error,
        }
    };
    match line {
        "-not_found" => {
            failed("not_found", Some(127), format!("There is no program {program:?} in the sandbox"))
        }
        "-not_executable" => failed("not_executable", Some(126), format!("{program:?} cannot be executed")),
        "-working_directory" => failed(
            "working_directory",
            None,
            format!("The working directory {cwd:?} is not a directory in the sandbox"),
        ),
        _ => {
            if let Err(error) = shared.engine.docker.inspect_exec(exec).await {
                return shared.refused("Starting the command", &error);
            }
            if let Some(over) = shared.over() {
                return over;
            }
            let told: String = pending.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
            let told = format!("{line}{told}");
            let long = told.contains("argument list too long");
            let reason = if long { "too_long" } else { "other" };
            failed(reason, None, format!("{program:?} could not be started: {}", told.trim()))
        }
    }
}

/// Ends a command whose time is up. Time during which the sandbox is paused does not count.
async fn watchdog(running: Arc<Running>, limit: Duration) {
    let mut paused = running.shared.paused.subscribe();
    let mut state = running.shared.state.subscribe();
    let mut left = limit;
    loop {
        let frozen = *paused.borrow_and_update();
        let begin = Instant::now();
        tokio::select! {
            () = tokio::time::sleep(left), if !frozen => break,
            changed = paused.changed() => if changed.is_err() { return },
            _ = state.changed() => return,
        }
        if !frozen {
            left = left.saturating_sub(begin.elapsed());
        }
    }
    running.timed_out.store(true, Ordering::Release);
    let _ = running.end(GRACE).await;
}

impl Running {
    /// Ends the tree, and the container's other processes if it cannot be done otherwise.
    async fn end(&self, grace: Duration) -> Result<()> {
        let mut stopped = self.stopped.lock().await;
        if self.ended.load(Ordering::Acquire) || stopped.is_some() {
            return Ok(());
        }
        // A frozen process ends at no signal but when it is thawed, and there is no exec in a frozen container.
        let frozen = *self.shared.paused.borrow();
        let docker = &self.shared.engine.docker;
        if frozen {
            let _ = docker.unpause_container(&self.shared.name).await;
        }
        let tree = tokio::time::timeout(grace + PATIENCE, self.end_tree(grace)).await;
        let result = match tree {
            Ok(Ok(Some(tree))) => Ok(tree),
            Ok(Err(error)) if self.shared.over().is_some() => Err(error),
            // No process to be had for the script, or one that forks faster than it is killed.
            _ => self.shared.reset().await.map(|()| Stopped {
                processes: 1,
                names: Vec::new(),
                session_reset: true,
            }),
        };
        if frozen && result.is_ok() {
            let _ = docker.pause_container(&self.shared.name).await;
        }
        *stopped = Some(result?);
        Ok(())
    }

    /// `None`: some are left, or the script did not run.
    async fn end_tree(&self, grace: Duration) -> Result<Option<Stopped>> {
        let tenths = grace.as_millis().div_ceil(100).to_string();
        let text = self.act(script::STOP, [self.mark.clone(), tenths]).await?;
        let mut lines = text.lines();
        let processes = lines.next().and_then(|line| line.parse().ok());
        let mut names: Vec<String> = lines.map(str::to_owned).collect();
        let ended = names.pop().is_some_and(|last| last == "ended");
        names.truncate(NAMES);
        Ok(match (processes, ended) {
            (Some(processes), true) => Some(Stopped { processes, names, session_reset: false }),
            _ => None,
        })
    }

    /// Runs a script beside the command; gives its standard output.
    async fn act(&self, script: &str, args: [String; 2]) -> Result<String> {
        let mut cmd = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned(), "sh".to_owned()];
        cmd.extend(args);
        let (_, mut output, _) = attach(&self.shared, cmd, Vec::new(), false).await?;
        let mut text = Vec::new();
        while let Some(item) = output.next().await {
            let item = item.map_err(|error| self.shared.refused("Acting on the command", &error))?;
            if let Some((Stream::Stdout, bytes)) = chunk(item) {
                text.extend_from_slice(&bytes);
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The exit code, once the engine knows it.
    async fn code(&self) -> Result<i32> {
        let end = Instant::now() + END;
        let mut pause = Duration::from_millis(2);
        loop {
            let known = self.shared.engine.docker.inspect_exec(&self.exec).await;
            let known = known.map_err(|error| self.shared.refused("Asking for the command's end", &error))?;
            if let (Some(false), Some(code)) = (known.running, known.exit_code) {
                return Ok(i32::try_from(code).unwrap_or(-1));
            }
            if Instant::now() > end {
                return Err(
                    Error::new(Code::Timeout, "The engine does not say how the command ended").retryable()
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

impl Drop for DockerProcess {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        let forgotten = !self.taken || !self.background;
        if forgotten
            && !self.running.ended.load(Ordering::Acquire)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Nobody will hear of it any more.
            let running = Arc::clone(&self.running);
            runtime.spawn(async move { running.end(Duration::ZERO).await });
        }
    }
}

#[async_trait]
impl Process for DockerProcess {
    async fn next(&mut self) -> Result<Option<(Stream, Bytes)>> {
        if let Some(chunk) = self.pending.pop_front() {
            return Ok(Some(chunk));
        }
        if self.background {
            return Ok(None);
        }
        loop {
            let killed = self.state.wait_for(|state| matches!(state, State::Killed));
            let item = tokio::select! {
                biased;
                item = self.output.next() => item,
                _ = killed => return Err(fail::killed()),
            };
            match item {
                Some(Ok(output)) => {
                    if let Some(chunk) = chunk(output).filter(|(_, bytes)| !bytes.is_empty()) {
                        return Ok(Some(chunk));
                    }
                }
                // Podman hangs up hard on a command that has ended without reading all its input. All output came before.
                Some(Err(error))
                    if self.running.shared.engine.here
                        && fail::reset(&error)
                        && self.running.code().await.is_ok() =>
                {
                    return Ok(None);
                }
                Some(Err(error)) => {
                    return Err(self.running.shared.refused("Reading the command's output", &error));
                }
                None => return Ok(None),
            }
        }
    }

    /// For a background command: that it was started, at once, with code 0. The engine does not tell a signal from the exit
    /// code it leads to, so `signal` is never set.
    async fn exit(&mut self) -> Result<Exit> {
        if self.background {
            return Ok(Exit::default());
        }
        // Waits for a stop that is under way.
        let stopped = self.running.stopped.lock().await;
        let shared = &self.running.shared;
        let code = match self.running.code().await {
            // A container that was restarted has forgotten its commands.
            Err(_) if stopped.as_ref().is_some_and(|stopped| stopped.session_reset) => 137,
            code => code?,
        };
        if let Some(over) = shared.over() {
            return Err(over);
        }
        if code == 137 && stopped.is_none() {
            // Killed by nobody we know: perhaps with the whole container.
            let found = shared.engine.docker.inspect_container(&shared.name, None).await;
            let found = found.map_err(|error| shared.refused("Looking at the container", &error))?;
            if found.state.is_some_and(|state| state.running == Some(false)) {
                return Err(shared.over().unwrap_or_else(|| fail::lost("its container was stopped")));
            }
        }
        self.running.ended.store(true, Ordering::Release);
        Ok(Exit {
            code,
            timed_out: stopped.is_some() && self.running.timed_out.load(Ordering::Acquire),
            stopped: stopped.clone(),
            ..Exit::default()
        })
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.running) as Arc<dyn Control>
    }
}

#[async_trait]
impl Control for Running {
    fn pid(&self) -> Option<u32> {
        (self.pid != 0).then_some(self.pid)
    }

    async fn write(&self, bytes: Bytes) -> Result<()> {
        let closed = || Error::new(Code::InvalidArgument, "The command's standard input is not open");
        let mut stdin = self.stdin.lock().await;
        let input = stdin.as_mut().filter(|_| !self.ended.load(Ordering::Acquire)).ok_or_else(closed)?;
        let mut state = self.shared.state.subscribe();
        let work = async {
            input.write_all(&bytes).await?;
            input.flush().await
        };
        tokio::select! {
            written = work => written.map_err(|_| closed()),
            _ = state.wait_for(|state| !matches!(state, State::Running)) => {
                Err(self.shared.over().unwrap_or_else(closed))
            }
        }
    }

    async fn close_stdin(&self) -> Result<()> {
        if let Some(mut input) = self.stdin.lock().await.take() {
            // The command may have closed it first.
            let _ = input.shutdown().await;
        }
        Ok(())
    }

    async fn signal(&self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid("signal", "is not a signal", "Give a number from 1 to 64."));
        }
        self.act(script::SIGNAL, [signal.to_string(), self.pid.to_string()]).await.map(drop)
    }

    async fn stop(&self, grace: Duration) -> Result<()> {
        self.end(grace).await
    }
}
