//! Single operations on a sandbox, without a machine: what a provider used on its own offers.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use vibekit_core::protocol::{Channel, Report};
use vibekit_core::stream::Utf8;
use vibekit_sandbox::{Code, Command, Control, Entry, Error, Exit, Program, Result, Sandbox, Stdin, Stream};

use crate::guard::guarded;
use crate::run::{Job, run};
use crate::sink::Sink;

/// Bytes kept per stream for a result when the caller names no limit: 64 MiB.
pub const DEFAULT_KEEP: u64 = 64 << 20;

/// A request to a sandbox. The fields are those of `commands.run`'s options.
#[derive(Debug, Deserialize)]
#[serde(tag = "call", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Runs a command and gives its result.
    Run(RunRequest),
    /// Ends everything.
    Kill,
    /// Freezes.
    Pause,
    /// Thaws.
    Thaw,
    /// Lets go.
    Release,
    /// Names a port.
    Host {
        /// Port inside.
        port: u16,
    },
    /// Lists a directory.
    List {
        /// Path inside.
        path: String,
    },
    /// Removes a file or directory.
    Remove {
        /// Path inside.
        path: String,
    },
}

/// One command.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// A line for the shell; or `program`.
    #[serde(default)]
    command: Option<String>,
    /// A program, run without a shell.
    #[serde(default)]
    program: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<(String, String)>,
    #[serde(default)]
    cwd: Option<String>,
    /// Text for standard input.
    #[serde(default)]
    stdin: Option<String>,
    /// Standard input stays open for [`Input`].
    #[serde(default)]
    pipe_stdin: bool,
    /// Milliseconds; 0 and absent are no limit.
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    background: bool,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    max_output_bytes: Option<u64>,
    /// Whether chunks are delivered as they come.
    #[serde(default)]
    stream: bool,
}

/// What is written to a run's standard input, `None` to close it.
pub type Input = mpsc::UnboundedSender<Option<Bytes>>;

/// Acts on a run from outside.
pub struct Handle {
    stop: watch::Sender<bool>,
    input: Input,
    has_input: bool,
}

impl Handle {
    /// Stops the process tree; the outcome still comes.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Feeds standard input. False when the run has none or is over.
    #[must_use]
    pub fn input(&self, data: Option<Bytes>) -> bool {
        self.has_input && self.input.send(data).is_ok()
    }
}

/// Starts a request; the outcome goes to `sink`. The handle acts on runs and does nothing to other requests.
pub fn start(
    runtime: &tokio::runtime::Handle,
    sandbox: Arc<dyn Sandbox>,
    request: Request,
    sink: Arc<dyn Sink>,
) -> Handle {
    let (stop, stopped) = watch::channel(false);
    let (input, inputs) = mpsc::unbounded_channel();
    let has_input = matches!(&request, Request::Run(request) if request.pipe_stdin);
    runtime.spawn(async move {
        let result = guarded(perform(sandbox, request, stopped, inputs, &sink)).await;
        sink.settle(result);
    });
    Handle { stop, input, has_input }
}

async fn perform(
    sandbox: Arc<dyn Sandbox>,
    request: Request,
    stopped: watch::Receiver<bool>,
    inputs: mpsc::UnboundedReceiver<Option<Bytes>>,
    sink: &Arc<dyn Sink>,
) -> Result<Value> {
    match request {
        Request::Run(request) => run_command(sandbox, request, stopped, inputs, sink).await,
        Request::Kill => sandbox.kill().await.map(|()| Value::Null),
        Request::Pause => sandbox.pause().await.map(|()| Value::Null),
        Request::Thaw => sandbox.thaw().await.map(|()| Value::Null),
        Request::Release => sandbox.release().await.map(|()| Value::Null),
        Request::Host { port } => sandbox.host(port).await.map(Value::String),
        Request::List { path } => {
            let entries = files(&*sandbox)?.list(&path).await?;
            let entry = |entry: &Entry| json!({ "name": entry.name, "kind": entry.kind, "size": entry.size });
            Ok(entries.iter().map(entry).collect())
        }
        Request::Remove { path } => files(&*sandbox)?.remove(&path).await.map(|()| Value::Null),
    }
}

/// The sandbox's files, or the refusal of a provider that has none.
pub fn files(sandbox: &dyn Sandbox) -> Result<&dyn vibekit_sandbox::Files> {
    sandbox.files().ok_or_else(|| Error::new(Code::Unsupported, "This sandbox provider has no file access."))
}

async fn run_command(
    sandbox: Arc<dyn Sandbox>,
    request: RunRequest,
    stop: watch::Receiver<bool>,
    inputs: mpsc::UnboundedReceiver<Option<Bytes>>,
    sink: &Arc<dyn Sink>,
) -> Result<Value> {
    let stream = request.stream;
    let keep = request.max_output_bytes.unwrap_or(DEFAULT_KEEP);
    let feed = request.pipe_stdin.then_some(inputs);
    let command = command(request)?;
    if command.read_only && !sandbox.read_only() {
        return Err(Command::read_only_refusal());
    }
    let job = Job { sandbox, command, files: Vec::new(), keep, feed };
    let (mut stdout, mut stderr) = (Utf8::new(), Utf8::new());
    let report = run(job, stop, |from, chunk: Bytes| {
        if stream {
            let (decoder, channel) = match from {
                Stream::Stdout => (&mut stdout, Channel::Stdout),
                Stream::Stderr => (&mut stderr, Channel::Stderr),
            };
            let mut text = String::new();
            decoder.push(&chunk, &mut text);
            if !text.is_empty() {
                sink.emit(channel, text);
            }
        }
        let sink = sink.clone();
        async move { !stream || sink.ready().await }
    })
    .await?;
    for (mut decoder, channel) in [(stdout, Channel::Stdout), (stderr, Channel::Stderr)] {
        let mut rest = String::new();
        decoder.finish(&mut rest);
        if !rest.is_empty() {
            sink.emit(channel, rest);
        }
    }
    Ok(result_value(report))
}

fn command(request: RunRequest) -> Result<Command> {
    let program = match (request.command, request.program) {
        (Some(line), None) => Program::Shell(line),
        (None, Some(program)) => Program::Exec { program, args: request.args },
        _ => {
            return Err(Error::invalid(
                "command",
                "and program are alternatives",
                "Pass a shell line as command, or a program with args.",
            ));
        }
    };
    let stdin = match (request.stdin, request.pipe_stdin) {
        (_, true) => Stdin::Pipe,
        (Some(text), false) => Stdin::Bytes(text.into_bytes()),
        (None, false) => Stdin::Null,
    };
    Ok(Command {
        program,
        stdin,
        env: request.env,
        cwd: request.cwd,
        timeout_ms: request.timeout_ms.filter(|limit| *limit > 0),
        background: request.background,
        read_only: request.read_only,
    })
}

/// The result as JavaScript sees it: upstream's three fields, and ours only where they say something.
fn result_value(report: Report) -> Value {
    let Report { exit, stdout, stderr, stdout_dropped, stderr_dropped, json: _ } = report;
    let Exit { code, signal, timed_out, stopped, out_of_memory, output_gap, cpu_us: _, max_rss: _ } = exit;
    let mut value = json!({ "exitCode": code, "stdout": stdout, "stderr": stderr });
    let extras = [
        signal.map(|signal| ("signal", json!(signal))),
        timed_out.then(|| ("timedOut", json!(true))),
        stopped.map(|stopped| ("stopped", json!(stopped))),
        out_of_memory.then(|| ("outOfMemory", json!(true))),
        output_gap.then(|| ("outputGap", json!(true))),
        (stdout_dropped > 0).then(|| ("stdoutDropped", json!(stdout_dropped))),
        (stderr_dropped > 0).then(|| ("stderrDropped", json!(stderr_dropped))),
    ];
    for (key, extra) in extras.into_iter().flatten() {
        value[key] = extra;
    }
    value
}

/// Moves standard input from the caller to the process until it is closed from either side.
pub(crate) async fn pump(control: Arc<dyn Control>, mut inputs: mpsc::UnboundedReceiver<Option<Bytes>>) {
    while let Some(Some(bytes)) = inputs.recv().await {
        if control.write(bytes).await.is_err() {
            // The process closed its end; what it has not read it does not want.
            return;
        }
    }
    let _ = control.close_stdin().await;
}
