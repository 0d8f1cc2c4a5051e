use serde::{Deserialize, Serialize};

use crate::event::Usage;

/// The session record: JSON, stored by `Action::Remember`, found in `Opened::record`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Version of this format: 1.
    pub v: u8,
    /// The last event number given out. Numbers are never used again, not even those of a turn that was cut short.
    pub seq: u64,
    /// The last turn begun.
    pub turn: u64,
    /// One for each agent that worked here.
    pub conversations: Vec<Conversation>,
    /// Whether the configured repository was cloned into the sandbox.
    pub cloned: bool,
    /// Programs of agents that were found to refuse flags.
    pub programs: Vec<Installed>,
}

/// An installed program and what it does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Installed {
    /// `claude` …
    pub agent: String,
    /// Which file it was; another one is another program, about which nothing is known.
    pub file: String,
    /// Optional flags it refuses.
    pub refused: Vec<String>,
}

/// A conversation an agent can go on with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conversation {
    /// `claude` …
    pub agent: String,
    /// The agent's own id of it.
    pub native_session_id: String,
    /// Where it began; agents resume only there.
    pub cwd: String,
    /// Tokens and cost so far, for agents that count over the whole conversation.
    pub usage: Usage,
}

impl Record {
    /// Reads a stored record. Anything that is not one (older, newer, damaged) is an empty one: a conversation begins
    /// anew then, which is safe, while half-understood state is not.
    #[must_use]
    pub fn read(stored: Option<&str>) -> Self {
        stored
            .and_then(|json| serde_json::from_str::<Self>(json).ok())
            .filter(|record| record.v == 1)
            .unwrap_or_default()
    }

    /// The JSON to store.
    #[must_use]
    pub fn write(&self) -> String {
        let record = Self { v: 1, ..self.clone() };
        serde_json::to_string(&record).unwrap_or_default()
    }

    /// The conversation of an agent that can be resumed in `cwd`.
    #[must_use]
    pub fn conversation(&self, agent: &str, cwd: &str) -> Option<&Conversation> {
        self.conversations.iter().find(|known| known.agent == agent && known.cwd == cwd)
    }

    /// Replaces what is known of that agent's conversation.
    pub fn set_conversation(&mut self, conversation: Conversation) {
        self.forget_conversation(&conversation.agent);
        self.conversations.push(conversation);
    }

    /// Replaces what is known of that agent's program.
    pub fn set_program(&mut self, program: Installed) {
        self.programs.retain(|known| known.agent != program.agent);
        if !program.refused.is_empty() && !program.file.is_empty() {
            self.programs.push(program);
        }
    }

    /// The agent's conversation cannot be gone on with.
    pub fn forget_conversation(&mut self, agent: &str) {
        self.conversations.retain(|known| known.agent != agent);
    }
}
