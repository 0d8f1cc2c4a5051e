//! OpenCode.

mod decoder;
mod invocation;

use self::decoder::OpencodeDecoder;
use super::tally::{Tally, Traits};
use super::{AgentConfig, Decoder, TurnRequest};

pub(super) use self::invocation::invocation;

pub(super) const TRAITS: Traits =
    Traits { optional_flags: &["--thinking", "--auto"], lost: &["Session not found"] };

pub(super) fn decoder(config: &AgentConfig, request: &TurnRequest<'_>) -> Box<dyn Decoder> {
    Box::new(OpencodeDecoder::new(Tally::new(config, request)))
}
