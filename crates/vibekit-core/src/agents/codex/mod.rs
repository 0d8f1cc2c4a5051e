//! Codex.

mod decoder;
mod guard;
mod invocation;

use self::decoder::CodexDecoder;
use super::tally::{Tally, Traits};
use super::{AgentConfig, Decoder, TurnRequest};

pub(super) use self::invocation::invocation;

pub(super) const TRAITS: Traits =
    Traits { optional_flags: &["--disable"], lost: &["no rollout found for thread id"] };

pub(super) fn decoder(config: &AgentConfig, request: &TurnRequest<'_>) -> Box<dyn Decoder> {
    Box::new(CodexDecoder::new(Tally::new(config, request)))
}
