//! Messages of JavaScript providers: those of the TypeScript SDK, and the text it lost.

use super::search::{any, first};
use super::{HOLD_LIMIT, Json, Unit, Verdict};

/// The TypeScript SDK's message buffer, made linear and lossless.
///
/// U+0000 is deleted. A backslash hides the next character, quotes hide braces, and a `}` that brings the depth to
/// exactly zero ends a candidate, which reaches back to the last cut. A candidate that is JSON is delivered verbatim,
/// leading white space included; the cut moves behind it and behind one line feed, if that is already there. What is
/// left at the end is delivered if it is not blank. For streams of JSON alone and of text alone this is all that
/// happens, and it is what the SDK did, message for message.
///
/// A candidate that is not JSON was dropped by the SDK. Here its text is delivered, and if its last part, from the
/// outermost brace on, is JSON, that part is a message of its own.
#[derive(Clone, Debug)]
pub struct Compat<U> {
    /// Everything since the last cut.
    held: Vec<U>,
    /// How much of `held` was scanned.
    scanned: usize,
    depth: i64,
    in_string: bool,
    hidden: bool,
    /// Where the outermost brace of the candidate is, while `json` follows it.
    brace: Option<usize>,
    json: Json,
    verdict: Verdict,
    /// Whether everything before the brace is JSON white space.
    bare: bool,
}

impl<U: Unit> Default for Compat<U> {
    fn default() -> Self {
        Self::new()
    }
}

impl<U: Unit> Compat<U> {
    /// A buffer at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self {
            held: Vec::new(),
            scanned: 0,
            depth: 0,
            in_string: false,
            hidden: false,
            brace: None,
            json: Json::new(),
            verdict: Verdict::More,
            bare: true,
        }
    }

    /// Takes the next units and hands messages to `deliver`.
    pub fn push(&mut self, units: &[U], deliver: &mut impl FnMut(&[U])) {
        let mut cut = 0;
        if any(units, |unit| unit.ascii() == 0) {
            self.held.extend(units.iter().filter(|unit| unit.ascii() != 0));
        } else {
            self.held.extend_from_slice(units);
        }
        while self.scanned < self.held.len() {
            if !self.in_string && self.brace.is_none() {
                self.skip_text();
            } else if self.in_string && !self.hidden {
                self.skip_string();
            }
            let Some(&unit) = self.held.get(self.scanned) else { break };
            self.scanned += 1;
            if self.step(unit.ascii()) {
                cut = self.candidate(cut, deliver);
            }
        }
        self.drop_delivered(cut);
        if self.held.len() > HOLD_LIMIT {
            deliver(&self.held);
            *self = Self::new();
        }
    }

    /// The input is over: what is left is delivered unless it is blank.
    pub fn finish(&mut self, deliver: &mut impl FnMut(&[U])) {
        if !U::is_blank(&self.held) {
            deliver(&self.held);
        }
        *self = Self::new();
    }

    /// Plain text outside of everything: only these four characters mean anything.
    fn skip_text(&mut self) {
        if self.hidden {
            return;
        }
        let text = &self.held[self.scanned..];
        let plain = first(text, |unit| {
            let unit = unit.ascii();
            (unit == b'\\') | (unit == b'"') | (unit == b'{') | (unit == b'}')
        });
        self.bare = self.bare && text[..plain].iter().all(|unit| json_space(unit.ascii()));
        self.scanned += plain;
    }

    /// The inside of a string.
    fn skip_string(&mut self) {
        let text = &self.held[self.scanned..];
        // The validator also stops at control characters, which it refuses.
        let plain = if self.brace.is_some() && self.verdict != Verdict::Invalid {
            self.json.plain(text)
        } else {
            first(text, |unit| (unit.ascii() == b'\\') | (unit.ascii() == b'"'))
        };
        self.scanned += plain;
    }

    /// Takes one unit (already counted as scanned). True when it ends a candidate.
    fn step(&mut self, unit: u8) -> bool {
        let hidden = std::mem::take(&mut self.hidden);
        if !hidden && !self.in_string && unit == b'{' {
            self.depth += 1;
            if self.depth == 1 {
                self.brace = Some(self.scanned - 1);
                self.json.reset();
                self.verdict = Verdict::More;
            }
        }
        match self.brace {
            Some(_) if self.verdict != Verdict::Invalid => self.verdict = self.json.unit_ascii(unit),
            Some(_) => {}
            None => self.bare = self.bare && json_space(unit),
        }
        if hidden {
            return false;
        }
        match unit {
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

    /// Delivers the candidate `cut..scanned` and gives the new cut.
    fn candidate(&mut self, cut: usize, deliver: &mut impl FnMut(&[U])) -> usize {
        let end = self.scanned;
        let feed = self.held.get(end).is_some_and(|next| next.ascii() == b'\n');
        let next = end + usize::from(feed);
        match (self.brace.take(), self.verdict) {
            (Some(_), Verdict::Complete) if self.bare => deliver(&self.held[cut..end]),
            (Some(brace), Verdict::Complete) => {
                Self::text(&self.held[cut..brace], deliver);
                deliver(&self.held[brace..end]);
            }
            // The line feed is text here, and goes with its line.
            _ => Self::text(&self.held[cut..next], deliver),
        }
        self.scanned = next;
        self.bare = true;
        next
    }

    fn text(text: &[U], deliver: &mut impl FnMut(&[U])) {
        if !U::is_blank(text) {
            deliver(text);
        }
    }

    fn drop_delivered(&mut self, cut: usize) {
        if cut > 0 {
            self.held.drain(..cut);
            self.scanned -= cut;
            self.brace = self.brace.map(|brace| brace - cut);
        }
    }
}

fn json_space(unit: u8) -> bool {
    matches!(unit, b' ' | b'\t' | b'\n' | b'\r')
}
