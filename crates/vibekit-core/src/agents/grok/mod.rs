//! Grok.

mod decoder;
mod invocation;

use self::decoder::GrokDecoder;
use super::tally::{Tally, Traits};
use super::{AgentConfig, Decoder, TurnRequest};

pub(super) use self::invocation::invocation;

pub(super) const TRAITS: Traits =
    Traits { optional_flags: &["--output-format", "--verbatim"], lost: &["not found locally"] };

pub(super) fn decoder(config: &AgentConfig, request: &TurnRequest<'_>) -> Box<dyn Decoder> {
    Box::new({
        let mut tally = Tally::new(config, request);
        // The id is only told at the end, but it is ours.
        let older = invocation::is_older(request);
        tally.session = (!older).then(|| request.conversation.unwrap_or(request.fresh_uuid).to_owned());
        GrokDecoder::new(tally, older)
    })
}
