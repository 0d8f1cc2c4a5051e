//! Claude Code.

mod decoder;
mod invocation;

use self::decoder::ClaudeDecoder;
use super::tally::{Tally, Traits};
use super::{AgentConfig, Decoder, TurnRequest};

pub(super) use self::invocation::invocation;

pub(super) const TRAITS: Traits = Traits {
    optional_flags: &["--include-partial-messages", "--system-prompt-snapshot", "--session-id"],
    lost: &["No conversation found with session ID"],
};

pub(super) fn decoder(config: &AgentConfig, request: &TurnRequest<'_>) -> Box<dyn Decoder> {
    Box::new(ClaudeDecoder::new(Tally::new(config, request)))
}
