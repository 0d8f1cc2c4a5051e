//! The five agents: how each is started, and what its output means.
//!
//! [`validate`] completes a configuration, [`invocation`] turns it and a [`TurnRequest`] into a program with
//! arguments, standard input, environment and files, and a [`Decoder`] turns the program's output into events.
//! [`shell_command`] and [`sandbox_env`] are the forms for JavaScript providers, which only take a shell line.

mod arguments;
mod claude;
mod codex;
mod config;
mod failure;
mod gemini;
mod grok;
mod help;
mod instruction;
mod json;
mod kind;
mod opencode;
mod pieces;
mod shell;
mod tally;
mod tools;
mod turn;

use crate::command::{Exit, Invocation};
use crate::event::Body;
use crate::{Error, Result};

pub(crate) use help::{Look, is_usage, look};

pub use config::{AgentConfig, Credentials, validate};
pub use help::{optional_flags, unlisted_flags};
pub use kind::AgentKind;
pub use shell::{Route, sandbox_env, shell_command};
pub use turn::{Ending, TurnRequest};

/// Understands one run's standard output.
///
/// A terminal line of the agent's is held back until [`Decoder::finish`], because only the exit tells whether it
/// holds; `finish` takes the decoder, so a turn ends exactly once.
pub trait Decoder: Send {
    /// One line without its line feed. Never fails: what is not understood becomes [`Body::Raw`].
    fn line(&mut self, line: &str, out: &mut Vec<Body>);
    /// The agent's own id of the conversation, once known.
    fn native_session_id(&self) -> Option<&str>;
    /// The process has ended. `stderr_tail` is the end of its standard error (a few kilobytes are enough).
    /// Pushes what is left to tell, without [`Body::Finished`], which the caller makes of the answer.
    fn finish(self: Box<Self>, exit: &Exit, stderr_tail: &str, out: &mut Vec<Body>) -> Ending;
}

/// How to run the agent for this turn. The prompt travels by standard input wherever the agent reads it there,
/// and arrives byte for byte at any size.
///
/// # Errors
///
/// `INVALID_ARGUMENT` when something cannot be given to this agent at all (a NUL in an argument, instructions
/// too long for an argument, a prompt too long for an agent that takes it as an argument).
pub fn invocation(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    let mut invocation = match config.kind {
        AgentKind::Claude => claude::invocation(config, request),
        AgentKind::Codex => codex::invocation(config, request),
        AgentKind::Gemini => gemini::invocation(config, request),
        AgentKind::Grok => grok::invocation(config, request),
        AgentKind::Opencode => opencode::invocation(config, request),
    }?;
    invocation.env.extend(config.env.iter().cloned());
    if let Some(argument) = invocation.args.iter().find(|argument| argument.contains('\0')) {
        return Err(Error::invalid(
            "agent",
            format!("has a NUL character in {:?}", argument.replace('\0', "␀")),
            "Remove it: a program argument cannot hold one.",
        ));
    }
    Ok(invocation)
}

/// Understands the output of what [`invocation`] gave for the same arguments.
#[must_use]
pub fn decoder(config: &AgentConfig, request: &TurnRequest<'_>) -> Box<dyn Decoder> {
    match config.kind {
        AgentKind::Claude => claude::decoder(config, request),
        AgentKind::Codex => codex::decoder(config, request),
        AgentKind::Gemini => gemini::decoder(config, request),
        AgentKind::Grok => grok::decoder(config, request),
        AgentKind::Opencode => opencode::decoder(config, request),
    }
}

/// How to install the agent's program.
#[must_use]
pub const fn install_hint(kind: AgentKind) -> &'static str {
    match kind {
        AgentKind::Claude => "Install Claude Code with `npm install -g @anthropic-ai/claude-code`.",
        AgentKind::Codex => "Install Codex with `npm install -g @openai/codex`.",
        AgentKind::Gemini => "Install Gemini CLI with `npm install -g @google/gemini-cli`.",
        AgentKind::Grok => "Install Grok with `npm install -g @xai-official/grok`.",
        AgentKind::Opencode => "Install OpenCode with `npm install -g opencode-ai`.",
    }
}
