//! One run of an agent: its output becomes numbered events.

use crate::agents::{AgentKind, Decoder, Ending};
use crate::command::{Exit, Stream};
use crate::event::{Body, Event, Finished};
use crate::protocol::{Channel, Emission};
use crate::stream::Lines;

/// End of standard error kept for the decoder and for error messages, in bytes.
const STDERR_TAIL: usize = 8 << 10;

/// What all events of a turn have in common.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) agent: AgentKind,
    /// VibeKit's session id.
    pub(crate) session_id: Option<String>,
    /// The agent's own id of the conversation, once known.
    pub(crate) native_session_id: Option<String>,
    pub(crate) turn_id: u64,
}

impl Envelope {
    /// The event as JSON, with the next number.
    pub(crate) fn wrap(&self, body: Body, synthetic: bool, now: u64, seq: &mut u64) -> String {
        *seq += 1;
        let event = Event {
            v: 1,
            seq: *seq,
            time: now,
            agent: self.agent.as_str().to_owned(),
            session_id: self.session_id.clone(),
            native_session_id: self.native_session_id.clone(),
            turn_id: self.turn_id,
            synthetic,
            body,
        };
        serde_json::to_string(&event).unwrap_or_default()
    }

    /// The last event of a turn whose decoder had no say in it.
    pub(crate) fn finished(&self, finished: Finished, synthetic: bool, now: u64, seq: &mut u64) -> String {
        self.wrap(Body::Finished(finished), synthetic, now, seq)
    }
}

/// Reads one run of an agent.
pub(crate) struct Turn {
    envelope: Envelope,
    decoder: Box<dyn Decoder>,
    lines: Lines,
    stderr_tail: String,
    bodies: Vec<Body>,
    events: u64,
}

impl Turn {
    pub(crate) fn new(envelope: Envelope, decoder: Box<dyn Decoder>) -> Self {
        Self {
            envelope,
            decoder,
            lines: Lines::new(),
            stderr_tail: String::new(),
            bodies: Vec::new(),
            events: 0,
        }
    }

    /// How many events the agent's output gave so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn stderr_tail(&self) -> &str {
        &self.stderr_tail
    }

    /// Takes decoded output and appends the events it completes.
    pub(crate) fn text(
        &mut self,
        stream: Stream,
        text: &str,
        now: u64,
        seq: &mut u64,
        out: &mut Vec<Emission>,
    ) {
        match stream {
            Stream::Stdout => {
                let (decoder, bodies) = (&mut self.decoder, &mut self.bodies);
                self.lines.push(text, &mut |line| {
                    if !line.is_empty() {
                        decoder.line(line, bodies);
                    }
                });
                self.drain(now, seq, out);
            }
            Stream::Stderr => {
                self.stderr_tail.push_str(text);
                if self.stderr_tail.len() > 2 * STDERR_TAIL {
                    let cut = self.stderr_tail.len() - STDERR_TAIL;
                    let cut = (cut..).find(|&cut| self.stderr_tail.is_char_boundary(cut));
                    self.stderr_tail.drain(..cut.unwrap_or_default());
                }
            }
        }
    }

    /// The process has ended. Gives what is needed to say how the turn ended, which is the caller's to say.
    pub(crate) fn finish(
        mut self,
        exit: &Exit,
        now: u64,
        seq: &mut u64,
        out: &mut Vec<Emission>,
    ) -> (Envelope, Ending) {
        let (decoder, bodies) = (&mut self.decoder, &mut self.bodies);
        self.lines.finish(&mut |line| decoder.line(line, bodies));
        self.drain(now, seq, out);
        self.learn();
        let mut bodies = Vec::new();
        let ending = self.decoder.finish(exit, &self.stderr_tail, &mut bodies);
        for body in bodies {
            let text = self.envelope.wrap(body, false, now, seq);
            out.push(Emission { channel: Channel::Event, text });
        }
        (self.envelope, ending)
    }

    fn drain(&mut self, now: u64, seq: &mut u64, out: &mut Vec<Emission>) {
        if self.bodies.is_empty() {
            return;
        }
        self.learn();
        for body in self.bodies.drain(..) {
            let synthetic =
                matches!(body, Body::SessionStarted { .. }) && !self.envelope.agent.announces_start();
            self.events += 1;
            out.push(Emission {
                channel: Channel::Event,
                text: self.envelope.wrap(body, synthetic, now, seq),
            });
        }
    }

    /// Some agents tell their id of the conversation late, and with no event.
    fn learn(&mut self) {
        if self.envelope.native_session_id.as_deref() != self.decoder.native_session_id() {
            self.envelope.native_session_id = self.decoder.native_session_id().map(str::to_owned);
        }
    }
}
