//! Where the messages of JavaScript providers begin and end: those of the TypeScript SDK, and the text it lost.

use super::search::first;
use super::unit::is_js_space;
use super::{HOLD_LIMIT, Json, Verdict};

/// The TypeScript SDK's message buffer, made linear and lossless, without the buffer: it says where the text is to be cut,
/// and who holds the text cuts it.
///
/// A backslash hides the next character, quotes hide braces, and a `}` that brings the depth to exactly zero ends a
/// candidate, which reaches back to the last cut. A candidate that is JSON is delivered verbatim, leading white space
/// included; the cut moves behind it and behind one line feed, if that is already there. What is left at the end is
/// delivered if it is not blank. For streams of JSON alone and of text alone this is all that happens, and it is what the
/// SDK did, message for message.
///
/// A candidate that is not JSON was dropped by the SDK. Here its text is delivered, and if its last part, from the
/// outermost brace on, is JSON, that part is a message of its own.
///
/// Whoever holds the text deletes U+0000 from it first.
#[derive(Clone, Debug)]
pub struct Cutter {
    /// Units since the last cut.
    held: usize,
    depth: i64,
    in_string: bool,
    hidden: bool,
    /// Where the outermost brace of the candidate is, counted from the last cut. `json` follows it.
    brace: Option<usize>,
    json: Json,
    verdict: Verdict,
    /// Whether everything before the brace is JSON white space, and whether it is blank to JavaScript.
    bare: bool,
    blank: bool,
}

/// What a push came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many of the units were taken: all of them unless there was no room for more messages.
    pub taken: usize,
    /// Where the last cut is now, counted from the former one.
    pub at: usize,
}

impl Default for Cutter {
    fn default() -> Self {
        Self::new()
    }
}

impl Cutter {
    /// A cutter at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self {
            held: 0,
            depth: 0,
            in_string: false,
            hidden: false,
            brace: None,
            json: Json::new(),
            verdict: Verdict::More,
            bare: true,
            blank: true,
        }
    }

    /// Takes the next units and appends the messages they complete, as pairs of a beginning and an end, both counted from
    /// the last cut before this push. Stops when there are `room` messages or one more.
    ///
    /// `bytes` is room to work in; what is in it does not matter.
    pub fn push(
        &mut self,
        units: &[u16],
        bytes: &mut Vec<u8>,
        room: usize,
        messages: &mut Vec<(usize, usize)>,
    ) -> Cut {
        // Only ASCII means anything here, and half the width is twice the speed.
        bytes.clear();
        bytes.extend(units.iter().map(|&unit| unit.min(0xFF) as u8));
        let (before, mut cut, mut at) = (self.held, 0, 0);
        while at < bytes.len() && messages.len() < room {
            if self.brace.is_some() && self.verdict != Verdict::Invalid {
                let (taken, verdict) = self.json.run(&bytes[at..]);
                at += taken;
                match verdict {
                    Verdict::More => {}
                    Verdict::Complete => self.candidate(before, &mut at, &mut cut, bytes, messages),
                    Verdict::Invalid => self.refused(),
                }
                self.verdict = verdict;
                continue;
            }
            if !self.hidden {
                at += self.plain(&units[at..], &bytes[at..]);
            }
            let Some(&byte) = bytes.get(at) else { break };
            at += 1;
            if self.step(byte, units[at - 1], before + at - 1 - cut) {
                self.candidate(before, &mut at, &mut cut, bytes, messages);
            }
        }
        self.held = before + at - cut;
        if self.held > HOLD_LIMIT {
            messages.push((cut, before + at));
            *self = Self::new();
            cut = before + at;
        }
        Cut { taken: at, at: cut }
    }

    /// How many of the next units mean nothing.
    fn plain(&mut self, units: &[u16], bytes: &[u8]) -> usize {
        let braces = !self.in_string;
        let plain = first(bytes, |byte| {
            (byte == b'\\') | (byte == b'"') | (braces & ((byte == b'{') | (byte == b'}')))
        });
        self.text(&units[..plain]);
        plain
    }

    /// Notes text before the brace.
    fn text(&mut self, units: &[u16]) {
        if self.brace.is_none() && self.blank {
            self.bare = self.bare && units.iter().all(|&unit| json_space(unit));
            self.blank = units.iter().all(|&unit| blank(unit));
        }
    }

    /// Takes one unit at a position counted from the last cut. True when it ends a candidate.
    fn step(&mut self, byte: u8, unit: u16, position: usize) -> bool {
        let hidden = std::mem::take(&mut self.hidden);
        if !hidden && !self.in_string && byte == b'{' {
            self.depth += 1;
            if self.depth == 1 {
                self.brace = Some(position);
                self.json.reset();
                self.verdict = self.json.unit(byte);
                return false;
            }
        }
        self.text(&[unit]);
        if hidden {
            return false;
        }
        match byte {
            b'\\' => self.hidden = true,
            b'"' => self.in_string = !self.in_string,
            b'}' if !self.in_string => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// The validator has refused the next unit. As long as it accepted everything it knew quotes and braces; from here on
    /// they are followed one by one.
    fn refused(&mut self) {
        let inside = self.json.inside();
        self.depth = i64::try_from(inside.objects).unwrap_or(i64::MAX);
        self.in_string = inside.string;
        self.hidden = inside.escape;
    }

    /// A candidate ends at `at`: tells its messages and moves the cut behind it.
    fn candidate(
        &mut self,
        before: usize,
        at: &mut usize,
        cut: &mut usize,
        bytes: &[u8],
        messages: &mut Vec<(usize, usize)>,
    ) {
        let end = before + *at;
        *at += usize::from(bytes.get(*at) == Some(&b'\n'));
        let next = before + *at;
        let json = self.brace.take().filter(|_| self.verdict != Verdict::Invalid);
        match json {
            Some(_) if self.bare => messages.push((*cut, end)),
            Some(brace) => {
                if !self.blank {
                    messages.push((*cut, *cut + brace));
                }
                messages.push((*cut + brace, end));
            }
            // The line feed is text here, and goes with its line.
            None => messages.push((*cut, next)),
        }
        *cut = next;
        self.depth = 0;
        self.bare = true;
        self.blank = true;
    }
}

fn json_space(unit: u16) -> bool {
    matches!(unit, 0x20 | 0x09 | 0x0A | 0x0D)
}

fn blank(unit: u16) -> bool {
    char::from_u32(u32::from(unit)).is_some_and(is_js_space)
}
