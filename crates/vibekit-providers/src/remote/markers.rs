//! Telling our own lines in a command's output from what the command wrote.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::{memchr, memchr_iter};
use vibekit_sandbox::Stream;

/// ASCII's record separator begins a marker. Programs that write for humans or as JSON do not write it.
const RECORD: u8 = 0x1e;

/// Digits of a process id or an exit code, at most.
const DIGITS: usize = 12;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something the command wrote.
    Output(Stream, Bytes),
    /// The program was started as this process.
    Started(u32),
    /// It was not.
    Refused(Refusal),
    /// It ended with this code, and all it wrote to standard output has been seen.
    Ended(i32),
    /// All it wrote to standard error has been seen.
    ErrorsEnded,
}

/// Why a program was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The working directory cannot be entered.
    Directory,
    /// There is no such program.
    Program,
}

/// One stream's state.
#[derive(Debug, Default)]
struct Side {
    /// The beginning of what may become a marker.
    held: Vec<u8>,
    /// What comes now is not the command's any more, but of processes it left behind.
    over: bool,
}

/// Finds the markers of one command.
#[derive(Debug)]
pub(crate) struct Markers {
    /// The separator and the mark.
    prefix: Vec<u8>,
    sides: [Side; 2],
    events: VecDeque<Event>,
}

impl Markers {
    pub(crate) fn new(mark: &str) -> Self {
        let prefix = [&[RECORD], mark.as_bytes()].concat();
        Self { prefix, sides: Default::default(), events: VecDeque::new() }
    }

    /// The next of what was found.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes a piece of a stream.
    pub(crate) fn push(&mut self, stream: Stream, piece: Bytes) {
        let side = &mut self.sides[index(stream)];
        if side.over {
            return;
        }
        // The way of nearly all output: nothing of ours in it, nothing to copy.
        let mut piece = piece;
        if side.held.is_empty() {
            match memchr(RECORD, &piece) {
                None => return self.output(stream, piece),
                Some(at) => self.output(stream, piece.split_to(at)),
            }
        } else {
            let mut whole = std::mem::take(&mut side.held);
            whole.extend_from_slice(&piece);
            piece = whole.into();
        }
        self.scan(stream, piece);
    }

    /// Nothing more comes of a stream: what was held was no marker.
    pub(crate) fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let held = std::mem::take(&mut self.sides[index(stream)].held);
            self.output(stream, held.into());
        }
    }

    fn output(&mut self, stream: Stream, bytes: Bytes) {
        if !bytes.is_empty() {
            self.events.push_back(Event::Output(stream, bytes));
        }
    }

    /// `piece` begins with a separator.
    fn scan(&mut self, stream: Stream, mut piece: Bytes) {
        while !piece.is_empty() {
            match self.marker(&piece) {
                Found::No => {
                    // The next separator may begin a marker.
                    let next = memchr_iter(RECORD, &piece).find(|at| *at > 0).unwrap_or(piece.len());
                    let output = piece.split_to(next);
                    self.output(stream, output);
                }
                Found::Part => {
                    self.sides[index(stream)].held = piece.to_vec();
                    return;
                }
                Found::Marker(event, length) => {
                    let _ = piece.split_to(length);
                    let over = matches!(event, Event::Ended(_) | Event::ErrorsEnded);
                    self.events.push_back(event);
                    if over {
                        self.sides[index(stream)].over = true;
                        return;
                    }
                    let next = memchr(RECORD, &piece).unwrap_or(piece.len());
                    let output = piece.split_to(next);
                    self.output(stream, output);
                }
            }
        }
    }

    /// Looks at what begins with a separator.
    fn marker(&self, bytes: &[u8]) -> Found {
        let common = bytes.len().min(self.prefix.len());
        if bytes[..common] != self.prefix[..common] {
            return Found::No;
        }
        let rest = &bytes[common..];
        let longest = DIGITS + 2;
        let Some(end) = memchr(b'\n', &rest[..rest.len().min(longest)]) else {
            return if rest.len() < longest { Found::Part } else { Found::No };
        };
        let Some(event) = std::str::from_utf8(&rest[..end]).ok().and_then(parse) else { return Found::No };
        Found::Marker(event, common + end + 1)
    }
}

enum Found {
    No,
    Part,
    Marker(Event, usize),
}

fn parse(text: &str) -> Option<Event> {
    match text.split_at_checked(1)? {
        ("+", pid) => Some(Event::Started(pid.parse().ok()?)),
        ("=", code) => Some(Event::Ended(code.parse().ok()?)),
        ("!", "cwd") => Some(Event::Refused(Refusal::Directory)),
        ("!", "program") => Some(Event::Refused(Refusal::Program)),
        (".", "") => Some(Event::ErrorsEnded),
        _ => None,
    }
}

const fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that comes out, with neighbouring output put together.
    fn decode(mark: &str, pieces: impl IntoIterator<Item = (Stream, Vec<u8>)>) -> Vec<Event> {
        let mut markers = Markers::new(mark);
        for (stream, piece) in pieces {
            markers.push(stream, piece.into());
        }
        markers.finish();
        let mut events: Vec<Event> = Vec::new();
        while let Some(event) = markers.pop() {
            match (events.last_mut(), event) {
                (Some(Event::Output(before, text)), Event::Output(stream, more)) if *before == stream => {
                    *text = [&text[..], &more[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
        events
    }

    fn output(text: &str) -> Event {
        Event::Output(Stream::Stdout, Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_command_without_a_last_line_feed_is_told_from_its_end() {
        let stream = b"\x1eMARK+42\nhalf\x1eMARK=3\nlate".to_vec();
        let events = decode("MARK", [(Stream::Stdout, stream)]);
        assert_eq!(events, [Event::Started(42), output("half"), Event::Ended(3)]);
    }

    #[test]
    fn a_separator_of_the_command_is_output() {
        let stream = b"\x1ea\x1e\x1eMAR\x1eMARK?\n\x1eMARK=x\n\x1eMARK!cwd\n\x1eMARK".to_vec();
        let events = decode("MARK", [(Stream::Stdout, stream)]);
        let (before, after) = ("\x1ea\x1e\x1eMAR\x1eMARK?\n\x1eMARK=x\n", "\x1eMARK");
        assert_eq!(events, [output(before), Event::Refused(Refusal::Directory), output(after)]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(
            text in "[a-c\x1e\nMARK+=]{0,40}",
            cuts in proptest::collection::vec(0usize..80, 0..6),
        ) {
            let stream = format!("\x1eMARK+7\n{text}\x1eMARK=0\n").into_bytes();
            let whole = decode("MARK", [(Stream::Stdout, stream.clone())]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| (Stream::Stdout, stream[pair[0]..pair[1]].to_vec()));
            prop_assert_eq!(decode("MARK", pieces), whole);
        }
    }
}
