use vibekit_core::protocol::{Emission, Ticket};
use vibekit_core::{Action, Input, Machine, Stream};

/// What is simulated: the machine, or the machine with something broken in it, to see that the checks notice.
pub trait Subject {
    /// As [`Machine::handle`].
    fn handle(&mut self, now_ms: u64, input: Input);
    /// As [`Machine::poll`].
    fn poll(&mut self) -> Option<Action>;
    /// As [`Machine::output`].
    fn output(&mut self, now_ms: u64, ticket: Ticket, stream: Stream, chunk: &[u8], out: &mut Vec<Emission>);
    /// As [`Machine::session`].
    fn session(&self) -> Option<String>;
}

impl Subject for Machine {
    fn handle(&mut self, now_ms: u64, input: Input) {
        Machine::handle(self, now_ms, input);
    }

    fn poll(&mut self) -> Option<Action> {
        Machine::poll(self)
    }

    fn output(&mut self, now_ms: u64, ticket: Ticket, stream: Stream, chunk: &[u8], out: &mut Vec<Emission>) {
        Machine::output(self, now_ms, ticket, stream, chunk, out);
    }

    fn session(&self) -> Option<String> {
        Machine::session(self).map(str::to_owned)
    }
}
