//! The language between the machine and its drivers: calls and inputs go in, actions come out. Everything here
//! serialises, so a sequence of inputs is a recording and replaying it reproduces the actions.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::github::Label;
use crate::github::Merge;
use crate::http::{HttpRequest, HttpResponse};
use crate::{Command, Error, Exit, Stream};

/// One public call in flight. Made by the driver, unique per machine.
pub type OpId = u32;
/// One request to the provider in flight. Made by the machine.
pub type Ticket = u32;
/// One armed timer. Made by the machine.
pub type TimerId = u32;

/// `ask` must not change files; `code` may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Read-only.
    Ask,
    /// May edit and run.
    #[default]
    Code,
}

/// One entry of a conversation the caller hands over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `user` or `assistant`.
    pub role: String,
    /// Text.
    pub content: String,
}

/// A public call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Call {
    /// Run the agent on a prompt.
    GenerateCode {
        /// The prompt, byte-exact.
        prompt: String,
        /// Argument, else the configuration's, else `code`.
        #[serde(default)]
        mode: Option<Mode>,
        /// Branch to work on (contract, 3.1.1 and 3.4).
        #[serde(default)]
        branch: Option<String>,
        /// Earlier conversation, used when the agent has no conversation of its own to resume.
        #[serde(default)]
        history: Vec<Message>,
        /// Upstream's agent-level flow (contract 3.4), whatever the object's generation: `runTests` and the agents' own
        /// methods.
        #[serde(default)]
        agent_level: bool,
        /// Passed to the provider with the agent's command (JavaScript providers; a turn of ours is always followed).
        #[serde(default)]
        background: bool,
        /// Limit on the whole turn in milliseconds of running time. Default 3 600 000; 0 is none.
        #[serde(default)]
        timeout_ms: Option<u64>,
        /// Bytes kept per stream for the result. Default 64 MiB; what is beyond is counted, not kept.
        #[serde(default)]
        max_output_bytes: Option<u64>,
    },
    /// Run a shell command.
    ExecuteCommand {
        /// The line for the shell.
        command: String,
        /// Limit in milliseconds of running time. Default 3 600 000; 0 is none.
        #[serde(default)]
        timeout_ms: Option<u64>,
        /// Return at once and let it run on.
        #[serde(default)]
        background: bool,
        /// Let it change no file of the working directory.
        #[serde(default)]
        read_only: bool,
        /// Branch to work on (contract, 3.1.1 and 3.4).
        #[serde(default)]
        branch: Option<String>,
        /// Environment of this command alone.
        #[serde(default)]
        env: Vec<(String, String)>,
        /// Bytes for standard input; absent is end of file.
        #[serde(default)]
        stdin: Option<String>,
        /// Bytes kept per stream for the result. Default 64 MiB; what is beyond is counted, not kept.
        #[serde(default)]
        max_output_bytes: Option<u64>,
    },
    /// Restore or switch to a session, effective at once.
    SetSession {
        /// Its id.
        id: String,
    },
    /// End the sandbox.
    Kill,
    /// Freeze the sandbox.
    Pause,
    /// Thaw the sandbox (or re-attach, for JavaScript providers).
    Resume,
    /// Name under which a port of the sandbox is reachable.
    GetHost {
        /// Port inside the sandbox, passed through untouched.
        port: Value,
    },
    /// Have a sandbox, and nothing else. Settles with the ticket of the [`Action::Open`] that made it.
    GetSandbox,
    /// Commit what changed to a new branch, push it and open a pull request (contract, 3.9).
    CreatePullRequest {
        /// The first argument, if it was a string: a repository, or for objects made from a configuration that has one the
        /// directory of the project (contract, 10.4).
        #[serde(default)]
        target: Option<String>,
        /// Default: the agent's.
        #[serde(default)]
        label: Option<Label>,
        /// Put before the branch's name, with a slash between.
        #[serde(default)]
        branch_prefix: Option<String>,
        /// Variables of the host that may hold a model's key.
        #[serde(default)]
        variables: Vec<(String, String)>,
    },
    /// Commit what changed and push it (contract, 3.10).
    PushToBranch {
        /// Default: that of the last call with a branch.
        #[serde(default)]
        branch: Option<String>,
        /// Variables of the host that may hold a model's key.
        #[serde(default)]
        variables: Vec<(String, String)>,
    },
    /// Merge a pull request (contract, 3.11). Needs neither agent nor sandbox.
    MergePullRequest(Merge),
    /// Clone a repository into the sandbox (contract, 3.12).
    CloneRepository {
        /// `owner/repo`.
        repository: String,
        /// Default: the working directory.
        #[serde(default)]
        directory: Option<String>,
        /// The token as it is now; it may have changed since the object was set up.
        #[serde(default)]
        token: Option<String>,
    },
    /// Change the token or the repository, effective at once (contract, 1.6).
    SetGithub {
        /// Absent: as before.
        #[serde(default)]
        token: Option<String>,
        /// Absent: as before.
        #[serde(default)]
        repository: Option<String>,
    },
    /// Let go of the sandbox: stop what runs, release the session, kill it if it is ephemeral.
    Dispose,
}

impl Call {
    /// A command with nothing special about it. The limit is in milliseconds, as in [`Call::ExecuteCommand`].
    #[must_use]
    pub const fn command(command: String, timeout_ms: Option<u64>, background: bool) -> Self {
        Self::ExecuteCommand {
            command,
            timeout_ms,
            background,
            read_only: false,
            branch: None,
            env: Vec::new(),
            stdin: None,
            max_output_bytes: None,
        }
    }
}

/// What an opened sandbox tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// The provider's id; JavaScript providers may have none.
    #[serde(default)]
    pub sandbox_id: Option<String>,
    /// What [`Action::Remember`] stored last, for providers that can.
    #[serde(default)]
    pub record: Option<String>,
    /// True after a restore that found files but no processes.
    #[serde(default)]
    pub processes_lost: bool,
    /// True when the sandbox was paused by someone before.
    #[serde(default)]
    pub paused: bool,
    /// True when the sandbox can hold a command to reading ([`Command::read_only`]).
    #[serde(default)]
    pub read_only: bool,
}

/// What a finished run tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How it ended.
    pub exit: Exit,
    /// Kept standard output. Empty when the driver keeps results itself (JavaScript providers).
    #[serde(default)]
    pub stdout: String,
    /// Kept standard error.
    #[serde(default)]
    pub stderr: String,
    /// Bytes of standard output beyond the kept ones.
    #[serde(default)]
    pub stdout_dropped: u64,
    /// Bytes of standard error beyond the kept ones.
    #[serde(default)]
    pub stderr_dropped: u64,
    /// `JSON.stringify` of a JavaScript provider's result, for the `end` message.
    #[serde(default)]
    pub json: Option<String>,
}

/// What happens to a VibeKit object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Input {
    /// A public call.
    Call {
        /// Fresh id.
        op: OpId,
        /// The call.
        #[serde(flatten)]
        call: Call,
    },
    /// The caller no longer wants the result.
    Cancel {
        /// Which call. Unknown and settled ones are ignored.
        op: OpId,
    },
    /// Answer to [`Action::Open`].
    Opened {
        /// Which one.
        ticket: Ticket,
        /// What came of it.
        result: Result<Opened, Error>,
    },
    /// Answer to [`Action::Close`], [`Action::Pause`], [`Action::Thaw`], [`Action::Host`].
    Done {
        /// Which one.
        ticket: Ticket,
        /// For `Host`, the name; for `Thaw` of JavaScript providers, the new sandbox id or null; else null.
        result: Result<Value, Error>,
    },
    /// Answer to [`Action::Run`], after all its output was given to `Machine::output`.
    Ran {
        /// Which call.
        op: OpId,
        /// Which run of it.
        ticket: Ticket,
        /// How it went. `Err`: it could not be started or followed.
        result: Result<Box<Report>, Error>,
    },
    /// Answer to [`Action::Request`].
    Answered {
        /// Which one. Unknown ones and those of settled calls are ignored.
        ticket: Ticket,
        /// What came of it. `Err`: there was no answer.
        result: Result<HttpResponse, Error>,
    },
    /// A timer went off.
    Timer {
        /// Which one. Disarmed and unknown ones are ignored.
        timer: TimerId,
    },
    /// The sandbox is gone without having been asked (crash, reboot, killed by somebody else).
    Lost {
        /// Ticket of the `Open` that made it.
        ticket: Ticket,
        /// Why.
        error: Error,
    },
}

/// Where an emission goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The `stdout` event.
    Stdout,
    /// The `stderr` event.
    Stderr,
    /// The `update` event and `callbacks.onUpdate`.
    Update,
    /// The `error` event (only if listened to) and `callbacks.onError`.
    Error,
    /// The `event` event: a normalised event as JSON.
    Event,
    /// The `stdout` event, with what this JSON stands for: upstream's one message that is an object (contract, 3.12).
    Object,
}

/// What a JavaScript provider's `run` is given. Upstream passes exactly these keys, in this order (contract, 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOptions {
    /// `timeoutMs`.
    Limit = 0,
    /// `timeoutMs`, `background`.
    Background = 1,
    /// `timeoutMs`, `background`, `onStdout`.
    Stdout = 2,
    /// `timeoutMs`, `background`, `onStdout`, `onStderr`.
    #[default]
    Streams = 3,
    /// The same, and the chunks are passed on as they come: those of standard output to the `stdout` event, those of standard
    /// error to the `stderr` event.
    Aloud = 4,
}

/// What the machine wants done. Actions are carried out in order.
///
/// A driver keeps its sandboxes in a map from the ticket of the [`Action::Open`] that made them; `sandbox` in an
/// action is that ticket. There is one entry nearly always. A second one exists only while calls that began before
/// a switch of sessions finish in the sandbox they began in, and while an answer that came too late is being closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Create a sandbox, or resume one. At most one per machine takes new work.
    Open {
        /// Answer with it.
        ticket: Ticket,
        /// Resume this one instead of creating.
        resume: Option<String>,
        /// Environment for the sandbox (agent's first, then secrets). JavaScript providers get it on create.
        env: Vec<(String, String)>,
        /// `claude` …
        agent: String,
        /// Working directory.
        working_directory: String,
    },
    /// Run a command in the open sandbox and feed its output.
    Run {
        /// Which call it is for.
        op: OpId,
        /// Answer with it.
        ticket: Ticket,
        /// Ticket of the [`Action::Open`] that made the sandbox.
        sandbox: Ticket,
        /// What to run.
        command: Box<Command>,
        /// Files to put in place before it starts: absolute path inside (may begin with `$HOME/`), content.
        files: Vec<(String, Vec<u8>)>,
        /// Whether output is to be fed to `Machine::output`.
        stream: bool,
        /// Where the messages in the output go, for drivers that find those themselves (JavaScript providers: both
        /// streams go to the same channels). Empty for all others.
        channels: Vec<Channel>,
        /// What a JavaScript provider is given with it.
        options: RunOptions,
        /// Bytes to keep per stream for the report.
        max_output_bytes: u64,
    },
    /// Stop a run's process tree. The answer is the `Ran` of that run.
    Stop {
        /// Which run.
        ticket: Ticket,
    },
    /// Kill the sandbox.
    Close {
        /// Answer with it.
        ticket: Ticket,
        /// Ticket of the [`Action::Open`] that made the sandbox.
        sandbox: Ticket,
    },
    /// Freeze the sandbox.
    Pause {
        /// Answer with it.
        ticket: Ticket,
        /// Ticket of the [`Action::Open`] that made the sandbox.
        sandbox: Ticket,
    },
    /// Thaw the sandbox.
    Thaw {
        /// Answer with it.
        ticket: Ticket,
        /// Ticket of the [`Action::Open`] that made the sandbox.
        sandbox: Ticket,
    },
    /// Ask for the name of a port.
    Host {
        /// Answer with it.
        ticket: Ticket,
        /// Ticket of the [`Action::Open`] that made the sandbox.
        sandbox: Ticket,
        /// Which call it is for.
        op: OpId,
        /// The port.
        port: Value,
    },
    /// Ask a service over HTTP. When the call is settled before the answer is there, the driver gives the request up.
    Request {
        /// Which call it is for.
        op: OpId,
        /// Answer with it.
        ticket: Ticket,
        /// What to send.
        request: HttpRequest,
    },
    /// Drop the sandbox without killing it (a switch to another session, a dispose of a persistent one).
    Release {
        /// Ticket of the [`Action::Open`] that made the sandbox.
        sandbox: Ticket,
    },
    /// Store this with the sandbox, so that another process finds it in [`Opened::record`].
    Remember {
        /// Ticket of the [`Action::Open`] that made the sandbox.
        sandbox: Ticket,
        /// JSON of the session record.
        record: String,
    },
    /// Deliver what is held of the output of the call's run: text that completed no message, standard output's first. Only
    /// for runs with `channels`.
    Flush {
        /// Which call.
        op: OpId,
    },
    /// Deliver to listeners.
    Emit {
        /// Whose output it is.
        op: OpId,
        /// Which event.
        channel: Channel,
        /// Payload.
        text: String,
    },
    /// The session id changed.
    Session {
        /// The current one.
        id: Option<String>,
    },
    /// Call back in this many milliseconds.
    Arm {
        /// Name of the timer.
        timer: TimerId,
        /// When.
        after_ms: u64,
    },
    /// Forget a timer.
    Disarm {
        /// Which one.
        timer: TimerId,
    },
    /// The call is over as with [`Action::Settle`], and its value is what the JavaScript provider answered to its last run,
    /// which the driver has: spread over the `sandboxId`.
    Answer {
        /// Which call.
        op: OpId,
        /// The sandbox's id.
        sandbox_id: Option<String>,
    },
    /// The call is over. Exactly once per call; nothing is emitted for it afterwards.
    Settle {
        /// Which one.
        op: OpId,
        /// Value or failure.
        result: Result<Value, Error>,
    },
}

/// One delivery made by `Machine::output`, the hot path beside [`Action::Emit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission<T = String> {
    /// Which event.
    pub channel: Channel,
    /// Payload.
    pub text: T,
}

/// The stream a driver feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Whose run.
    pub op: OpId,
    /// Which stream.
    pub stream: Stream,
}
