//! The hot path: output of runs on its way to listeners.

use super::{Kind, Machine};
use crate::Action;
use crate::Stream;
use crate::protocol::{Channel, Emission, OpId, Ticket};
use crate::stream::{Live, Utf8};

/// What output of a run goes through.
pub(super) enum Feed {
    /// Helper commands: nobody listens.
    Deaf,
    /// Helper commands of native providers whose chunks are passed on as they come.
    Raw(Box<[Utf8; 2]>),
    /// Native providers.
    Live(Box<[Pipe; 2]>),
    /// JavaScript providers: the driver finds the messages, because their text stays in JavaScript.
    Driver,
}

#[derive(Default)]
pub(super) struct Pipe {
    utf8: Utf8,
    live: Live,
}

impl Feed {
    pub(super) fn live() -> Self {
        Self::Live(Box::default())
    }

    pub(super) fn raw() -> Self {
        Self::Raw(Box::default())
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

fn spread<T: Clone>(channels: &[Channel], text: T, out: &mut Vec<Emission<T>>) {
    let Some((&last, rest)) = channels.split_last() else { return };
    for &channel in rest {
        out.push(Emission { channel, text: text.clone() });
    }
    out.push(Emission { channel: last, text });
}

impl Machine {
    /// Takes a chunk of a run's output and appends what is to be delivered because of it. Chunks of runs that are
    /// unknown or over give nothing.
    pub fn output(
        &mut self,
        now_ms: u64,
        ticket: Ticket,
        stream: Stream,
        chunk: &[u8],
        out: &mut Vec<Emission>,
    ) {
        self.now = self.now.max(now_ms);
        let now = self.now;
        let Some(op) = self.runs.get(&ticket).and_then(|op| self.ops.get_mut(op)) else { return };
        let Kind::Work(work) = &mut op.kind else { return };
        let slot = op.slot.and_then(|slot| self.slots.get_mut(&slot));
        let channels = match stream {
            Stream::Stdout => work.voice.messages,
            Stream::Stderr => work.voice.stderr,
        };
        let Some(run) = &mut work.run else { return };
        match &mut run.feed {
            Feed::Deaf | Feed::Driver => {}
            Feed::Raw(decoders) => {
                let mut text = String::new();
                decoders[index(stream)].push(chunk, &mut text);
                if !text.is_empty() {
                    spread(channels, text, out);
                }
            }
            Feed::Live(pipes) => {
                let pipe = &mut pipes[index(stream)];
                let mut text = String::new();
                pipe.utf8.push(chunk, &mut text);
                pipe.live.push(&text, &mut |message| spread(channels, message, out));
                if let (Some(turn), Some(slot)) = (&mut work.turn, slot) {
                    turn.text(stream, &text, now, &mut slot.record.seq, out);
                }
            }
        }
    }

    /// Delivers what the run of a call still holds: standard output first, then standard error.
    pub(super) fn flush(&mut self, op: OpId) {
        let now = self.now;
        let mut out = Vec::new();
        if let Some(ending) = self.ops.get_mut(&op) {
            let slot = ending.slot.and_then(|slot| self.slots.get_mut(&slot));
            let Kind::Work(work) = &mut ending.kind else { return };
            let (messages, stderr) = (work.voice.messages, work.voice.stderr);
            match work.run.as_mut().map(|run| &mut run.feed) {
                None | Some(Feed::Deaf) => {}
                Some(Feed::Raw(decoders)) => {
                    for (stream, channels) in [(Stream::Stdout, messages), (Stream::Stderr, stderr)] {
                        let mut text = String::new();
                        decoders[index(stream)].finish(&mut text);
                        if !text.is_empty() {
                            spread(channels, text, &mut out);
                        }
                    }
                }
                Some(Feed::Live(pipes)) => {
                    let mut slot = slot;
                    for (stream, channels) in [(Stream::Stdout, messages), (Stream::Stderr, stderr)] {
                        let pipe = &mut pipes[index(stream)];
                        let mut text = String::new();
                        pipe.utf8.finish(&mut text);
                        let mut deliver = |message| spread(channels, message, &mut out);
                        pipe.live.push(&text, &mut deliver);
                        pipe.live.finish(&mut deliver);
                        if let (Some(turn), Some(slot)) = (&mut work.turn, slot.as_deref_mut()) {
                            turn.text(stream, &text, now, &mut slot.record.seq, &mut out);
                        }
                    }
                }
                Some(Feed::Driver) => self.act(Action::Flush { op }),
            }
        }
        for Emission { channel, text } in out {
            self.emit(op, &[channel], text);
        }
    }
}
