//! One run of an agent: what is asked of it and what came of it.

use crate::event::{Finished, Usage};
use crate::protocol::{Message, Mode};

/// What an agent is to do.
#[derive(Clone, Debug)]
pub struct TurnRequest<'a> {
    /// Reaches the agent byte for byte.
    pub prompt: &'a str,
    /// Whether files may change.
    pub mode: Mode,
    /// Earlier conversation of the caller's. Only used when there is no `conversation` to resume.
    pub history: &'a [Message],
    /// The agent's own id of the conversation to go on with.
    pub conversation: Option<&'a str>,
    /// A fresh UUID (lower case, with dashes), taken as the id by agents that let us choose it.
    pub fresh_uuid: &'a str,
    /// Absolute path inside the sandbox. A conversation can only be resumed where it began.
    pub working_directory: &'a str,
    /// Optional flags the installed program was found to refuse ([`Ending::refused_flag`]).
    pub dropped_flags: &'a [String],
    /// [`Ending::conversation_usage`] of the conversation's last turn; zero for a new conversation.
    pub usage_before: Usage,
}

/// What a decoder has to say once the agent's process has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// The last event of the turn. `duration_ms` is the agent's own figure or 0; the caller knows better.
    pub finished: Finished,
    /// The agent did not know the conversation it was to resume, and did nothing: run the turn again with
    /// `conversation: None` and the history at hand.
    pub conversation_lost: bool,
    /// The installed program refused this flag of ours and did nothing: run the turn again with it in
    /// [`TurnRequest::dropped_flags`]. Only ever a flag the turn can do without.
    pub refused_flag: Option<String>,
    /// Tokens and cost of the whole conversation so far, for [`TurnRequest::usage_before`] of the next turn.
    pub conversation_usage: Usage,
}

impl Ending {
    /// Whether the agent did what it was asked: it said so itself, and its process ended well.
    #[must_use]
    pub fn success(&self) -> bool {
        self.finished.outcome == crate::event::Outcome::Success
    }
}
