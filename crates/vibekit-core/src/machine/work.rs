//! One call that does something on its way.

use super::output::Feed;
use super::steps::{Pending, Stage};
use crate::agents::Route;
use crate::config::{DriverKind, Generation, Setup};
use crate::error::Error;
use crate::event::Finished;
use crate::github::{Label, Merge};
use crate::protocol::{Call, Channel, Message, Mode, Report, Ticket, TimerId};
use crate::script::Script;
use crate::turn::{Envelope, Turn};

/// The call and how far it is.
pub(super) struct Work {
    pub(super) request: Request,
    pub(super) voice: Voice,
    pub(super) stage: Stage,
    /// What is being done at this stage, if it is not the command or the agent.
    pub(super) script: Option<Script>,
    /// What the script waits for, apart from a run.
    pub(super) pending: Option<Pending>,
    /// The command of ours that runs, and its limit.
    pub(super) helper: Option<(&'static str, u64)>,
    /// Where the command or the agent works, if not in the working directory.
    pub(super) directory: Option<String>,
    pub(super) run: Option<Run>,
    /// Native `generateCode` only: reads the agent's output.
    pub(super) turn: Option<Box<Turn>>,
    /// A turn that is to be run again, until it is: should that not come about, its last event is still owed.
    pub(super) unfinished: Option<(Envelope, Finished)>,
    /// A turn that may have failed for a flag of ours, while the program is asked.
    pub(super) suspect: Option<Box<Suspect>>,
    /// Optional flags the agent was given.
    pub(super) flags: Vec<&'static str>,
    /// When the call came.
    pub(super) began: u64,
}

/// What was asked for.
pub(super) enum Request {
    Execute(Execute),
    Generate(Generate),
    Scripted(Scripted),
}

/// A call that is a script from its beginning to its end.
#[derive(Clone)]
pub(super) enum Scripted {
    PullRequest {
        target: Option<String>,
        label: Option<Label>,
        branch_prefix: Option<String>,
        variables: Vec<(String, String)>,
    },
    Push {
        branch: String,
        variables: Vec<(String, String)>,
    },
    Merge(Merge),
    Clone {
        repository: String,
        directory: Option<String>,
        token: Option<String>,
    },
}

pub(super) struct Execute {
    pub(super) command: String,
    pub(super) timeout_ms: Option<u64>,
    pub(super) background: bool,
    pub(super) read_only: bool,
    pub(super) branch: Option<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) stdin: Option<String>,
    pub(super) keep: Option<u64>,
}

pub(super) struct Generate {
    pub(super) prompt: String,
    pub(super) mode: Mode,
    pub(super) branch: Option<String>,
    pub(super) history: Vec<Message>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) keep: Option<u64>,
    /// Upstream's agent-level flow, whatever the object's generation.
    pub(super) agent_level: bool,
    /// Passed to a JavaScript provider.
    pub(super) background: bool,
    /// The turn was tried again without resuming the conversation.
    pub(super) anew: bool,
    /// How often it was tried again without a flag.
    pub(super) flags_dropped: u32,
}

/// How a turn failed.
pub(super) struct Suspect {
    pub(super) error: Error,
    pub(super) report: Report,
    pub(super) envelope: Envelope,
    pub(super) finished: Finished,
}

/// A run in flight.
pub(super) struct Run {
    pub(super) ticket: Ticket,
    pub(super) feed: Feed,
    /// Armed while the sandbox runs.
    pub(super) alarm: Option<TimerId>,
    /// Milliseconds left when the alarm was armed last, or since the sandbox was paused. `None`: no limit.
    pub(super) left: Option<u64>,
    pub(super) armed_at: u64,
    pub(super) stopping: Option<Why>,
}

/// Why a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Cancelled,
    TimedOut,
}

/// Where a call's output goes and how its failure sounds: the table of the module's documentation.
#[derive(Clone, Copy)]
pub(super) struct Voice {
    pub(super) messages: &'static [Channel],
    pub(super) stderr: &'static [Channel],
    pub(super) failure: &'static [Channel],
    pub(super) prefix: &'static str,
    /// Agent-level flow (contract, 3.4) instead of the command flow (3.1, 3.3).
    pub(super) agent_level: bool,
}

/// Of scripted calls: failures reach the caller as they are, and nobody else.
const PLAIN: Voice = Voice {
    messages: &[Channel::Stdout],
    stderr: &[Channel::Stderr],
    failure: &[],
    prefix: "",
    agent_level: false,
};

const COMMAND: &str = "Failed to execute command: ";
const CODE: &str = "Failed to generate code: ";

impl Voice {
    fn of(setup: &Setup, request: &Request) -> Self {
        use Channel::{Error, Stderr, Stdout, Update};
        let native = setup.driver() == DriverKind::Native;
        let (generate, agent_level) = match request {
            Request::Scripted(_) => return PLAIN,
            Request::Execute(_) => (false, false),
            Request::Generate(generate) => (true, generate.agent_level),
        };
        // The agent-level flow of 0.0.69 sounds as that of 0.0.60.
        let route = match route(setup) {
            Route::Fluent if agent_level => Route::FluentGithub,
            route => route,
        };
        let mut voice = match (route, generate) {
            (Route::Config, false) => Self {
                messages: &[Stdout, Update],
                stderr: &[Stderr, Update],
                failure: &[Error],
                prefix: COMMAND,
                agent_level: false,
            },
            (Route::Config, true) => Self {
                messages: &[Stdout, Update],
                stderr: &[Stderr],
                failure: &[Error],
                prefix: CODE,
                agent_level: true,
            },
            (Route::FluentGithub, true) => Self {
                messages: &[Update],
                stderr: &[Stderr],
                failure: &[Error],
                prefix: CODE,
                agent_level: true,
            },
            (Route::Fluent, true) => Self {
                messages: &[Stdout, Update],
                stderr: &[Stderr],
                failure: &[Stderr],
                prefix: COMMAND,
                agent_level: false,
            },
            (Route::Fluent | Route::FluentGithub, false) => Self {
                messages: &[Stdout],
                stderr: &[Stderr],
                failure: &[Stderr],
                prefix: COMMAND,
                agent_level: false,
            },
        };
        if !native {
            // Upstream gives both streams as one (contract, 3.1 step 4).
            voice.stderr = voice.messages;
        }
        voice
    }
}

/// Which generation's `generateCode` this object has.
pub(super) fn route(setup: &Setup) -> Route {
    match (setup.generation(), setup.github()) {
        (Generation::Config, _) => Route::Config,
        (Generation::Fluent, Some(_)) => Route::FluentGithub,
        (Generation::Fluent, None) => Route::Fluent,
    }
}

impl Work {
    /// `None` for calls that are no work.
    pub(super) fn new(setup: &Setup, call: Call, now: u64) -> Option<Self> {
        let request = match call {
            Call::GenerateCode {
                prompt,
                mode,
                branch,
                history,
                agent_level,
                background,
                timeout_ms,
                max_output_bytes,
            } => Request::Generate(Generate {
                prompt,
                mode: mode.or_else(|| setup.agent().and_then(|agent| agent.mode)).unwrap_or_default(),
                branch,
                history,
                timeout_ms,
                keep: max_output_bytes,
                agent_level,
                background,
                anew: false,
                flags_dropped: 0,
            }),
            Call::ExecuteCommand {
                command,
                timeout_ms,
                background,
                read_only,
                branch,
                env,
                stdin,
                max_output_bytes,
            } => Request::Execute(Execute {
                command,
                timeout_ms,
                background,
                read_only,
                branch,
                env,
                stdin,
                keep: max_output_bytes,
            }),
            Call::CreatePullRequest { target, label, branch_prefix, variables } => {
                Request::Scripted(Scripted::PullRequest { target, label, branch_prefix, variables })
            }
            Call::PushToBranch { branch, variables } => {
                Request::Scripted(Scripted::Push { branch: branch.unwrap_or_default(), variables })
            }
            Call::MergePullRequest(merge) => Request::Scripted(Scripted::Merge(merge)),
            Call::CloneRepository { repository, directory, token } => {
                Request::Scripted(Scripted::Clone { repository, directory, token })
            }
            // These are settled or begun where they come in.
            Call::SetSession { .. }
            | Call::SetGithub { .. }
            | Call::Kill
            | Call::Pause
            | Call::Resume
            | Call::GetHost { .. }
            | Call::GetSandbox
            | Call::Dispose => return None,
        };
        Some(Self {
            voice: Voice::of(setup, &request),
            request,
            stage: Stage::Main,
            script: None,
            pending: None,
            helper: None,
            directory: None,
            run: None,
            turn: None,
            unfinished: None,
            suspect: None,
            flags: Vec::new(),
            began: now,
        })
    }

    pub(super) fn branch(&self) -> Option<&str> {
        match &self.request {
            Request::Execute(execute) => execute.branch.as_deref(),
            Request::Generate(generate) => generate.branch.as_deref(),
            Request::Scripted(_) => None,
        }
        .filter(|branch| !branch.is_empty())
    }

    pub(super) fn generate(&self) -> Option<&Generate> {
        match &self.request {
            Request::Generate(generate) => Some(generate),
            Request::Execute(_) | Request::Scripted(_) => None,
        }
    }
}
