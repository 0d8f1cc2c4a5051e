//! Which agent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The five agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentKind {
    /// Anthropic's Claude Code, program `claude`.
    Claude,
    /// OpenAI's Codex, program `codex`.
    Codex,
    /// Google's Gemini CLI, program `gemini`.
    Gemini,
    /// xAI's Grok Build or the older `@vibe-kit/grok-cli`; both programs are called `grok`.
    Grok,
    /// OpenCode, program `opencode`.
    Opencode,
}

impl AgentKind {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 5] = [Self::Claude, Self::Codex, Self::Gemini, Self::Grok, Self::Opencode];

    /// The name users write in `agent.type`; also the name of the program.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Grok => "grok",
            Self::Opencode => "opencode",
        }
    }

    /// Whether the agent itself says that a conversation has begun. For the others the decoder makes the
    /// `session_started` event, and the envelope should be marked `synthetic`.
    #[must_use]
    pub const fn announces_start(self) -> bool {
        matches!(self, Self::Claude | Self::Codex | Self::Gemini)
    }
}

impl fmt::Display for AgentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AgentKind {
    type Err = Error;

    /// Fails with upstream's text for a name it does not know.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            Error::new(crate::Code::InvalidArgument, format!("Unsupported agent type: {name}"))
                .with_field("agent.type")
                .with_hint("Use claude, codex, gemini, grok or opencode.")
        })
    }
}
