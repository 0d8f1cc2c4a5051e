//! Codex.

use super::tally::Tally;
use super::{AgentConfig, Decoder, Ending, TurnRequest};
use crate::Result;
use crate::command::{Exit, Invocation};
use crate::event::Body;

pub(super) fn invocation(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    Ok(Invocation {
        program: config.kind.as_str().to_owned(),
        args: Vec::new(),
        stdin: request.prompt.as_bytes().to_vec(),
        env: Vec::new(),
        files: Vec::new(),
    })
}

pub(super) fn decoder(_: &AgentConfig, _: &TurnRequest<'_>) -> Box<dyn Decoder> {
    Box::new(CodexDecoder::default())
}

#[derive(Default)]
struct CodexDecoder {
    tally: Tally,
}

impl Decoder for CodexDecoder {
    fn line(&mut self, line: &str, out: &mut Vec<Body>) {
        out.push(Body::Raw { line: line.to_owned() });
    }

    fn native_session_id(&self) -> Option<&str> {
        None
    }

    fn finish(self: Box<Self>, exit: &Exit, stderr_tail: &str, out: &mut Vec<Body>) -> Ending {
        self.tally.conclude(exit, stderr_tail, out)
    }
}
