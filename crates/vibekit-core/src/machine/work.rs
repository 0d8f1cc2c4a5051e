//! One `executeCommand` or `generateCode` on its way.

use super::output::Feed;
use super::script::Step;
use crate::agents::Route;
use crate::config::{DriverKind, Generation, Setup};
use crate::event::Finished;
use crate::protocol::{Call, Channel, Message, Mode, Ticket, TimerId};
use crate::turn::{Envelope, Turn};

/// The call and how far it is.
pub(super) struct Work {
    pub(super) request: Request,
    pub(super) voice: Voice,
    pub(super) step: Step,
    pub(super) run: Option<Run>,
    /// Native `generateCode` only: reads the agent's output.
    pub(super) turn: Option<Box<Turn>>,
    /// A turn that is to be run again, until it is: should that not come about, its last event is still owed.
    pub(super) unfinished: Option<(Envelope, Finished)>,
    /// When the call came.
    pub(super) began: u64,
}

/// What was asked for.
pub(super) enum Request {
    Execute(Execute),
    Generate(Generate),
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
    pub(super) agent_level: bool,
    pub(super) background: bool,
    pub(super) timeout_ms: Option<u64>,
    pub(super) keep: Option<u64>,
    /// The turn was tried again without resuming the conversation.
    pub(super) anew: bool,
    /// How often it was tried again without a flag.
    pub(super) flags_dropped: u32,
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

const COMMAND: &str = "Failed to execute command: ";
const CODE: &str = "Failed to generate code: ";

impl Voice {
    fn of(setup: &Setup, generate: bool, agent_level: bool) -> Self {
        use Channel::{Error, Stderr, Stdout, Update};
        let native = setup.driver() == DriverKind::Native;
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
    /// For `GenerateCode` and `ExecuteCommand`.
    pub(super) fn new(setup: &Setup, call: Call, now: u64) -> Self {
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
                agent_level,
                background,
                timeout_ms,
                keep: max_output_bytes,
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
            // `calls.rs` gives no other.
            _ => Request::Execute(Execute {
                command: String::new(),
                timeout_ms: None,
                background: false,
                read_only: false,
                branch: None,
                env: Vec::new(),
                stdin: None,
                keep: None,
            }),
        };
        let voice = match &request {
            Request::Generate(generate) => Voice::of(setup, true, generate.agent_level),
            Request::Execute(_) => Voice::of(setup, false, false),
        };
        Self { request, voice, step: Step::Main, run: None, turn: None, unfinished: None, began: now }
    }

    pub(super) fn branch(&self) -> Option<&str> {
        match &self.request {
            Request::Execute(execute) => execute.branch.as_deref(),
            Request::Generate(generate) => generate.branch.as_deref(),
        }
        .filter(|branch| !branch.is_empty())
    }

    pub(super) fn generate(&self) -> Option<&Generate> {
        match &self.request {
            Request::Generate(generate) => Some(generate),
            Request::Execute(_) => None,
        }
    }
}
