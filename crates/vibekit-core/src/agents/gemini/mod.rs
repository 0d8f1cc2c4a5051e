//! Gemini CLI.

mod decoder;
mod invocation;

use self::decoder::GeminiDecoder;
use super::tally::{Tally, Traits};
use super::{AgentConfig, Decoder, TurnRequest};

pub(super) use self::invocation::invocation;

pub(super) const TRAITS: Traits =
    Traits { optional_flags: &["--session-id"], lost: &["Error resuming session"] };

pub(super) fn decoder(config: &AgentConfig, request: &TurnRequest<'_>) -> Box<dyn Decoder> {
    Box::new(GeminiDecoder::new(Tally::new(config, request)))
}
