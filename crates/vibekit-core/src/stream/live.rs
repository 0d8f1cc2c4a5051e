//! Messages of native providers: nothing waits that need not.

use super::search;
use super::{HOLD_LIMIT, Json, Verdict};

/// Where in a line the input stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of a line, or right after an object: only blanks so far, which are held.
    Start,
    /// In plain text, up to the next line feed.
    Text,
    /// In an object, which is held until it is complete or turns out not to be JSON.
    Object,
    /// Right after an object: one line end belongs to it and is swallowed.
    AfterObject,
    /// As [`State::AfterObject`], after a carriage return.
    AfterObjectCr,
}

/// Delivers plain text at the end of the chunk it came in, and a JSON object that begins a line (blanks aside) as one
/// message when it is complete, however many chunks it came in. Objects may also follow one another on a line. One LF or
/// CR LF right after an object belongs to the object's framing and is not delivered; everything else is, exactly once
/// and in order. An object that turns out not to be JSON is plain text from then on.
#[derive(Clone, Debug)]
pub struct Live {
    state: State,
    /// What was not delivered yet: blanks at the start of a line, or a part of an object.
    held: String,
    json: Json,
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// A buffer at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Start, held: String::new(), json: Json::new() }
    }

    /// Takes the next text and hands messages to `deliver`.
    pub fn push(&mut self, text: &str, deliver: &mut impl FnMut(String)) {
        let units = text.as_bytes();
        // `from..at` was looked at and belongs behind `held`.
        let (mut from, mut at) = (0, 0);
        while at < units.len() {
            match self.state {
                State::AfterObject if units[at] == b'\r' => {
                    self.state = State::AfterObjectCr;
                    at += 1;
                }
                State::AfterObject | State::AfterObjectCr => {
                    if units[at] == b'\n' {
                        at += 1;
                        from = at;
                        self.held.clear();
                    } else if self.state == State::AfterObjectCr && from == at {
                        // The return came at the end of the last chunk and was no line end.
                        self.held.push('\r');
                    }
                    self.state = State::Start;
                }
                State::Start => match units[at] {
                    b' ' | b'\t' | b'\r' => at += 1,
                    b'{' => {
                        self.json.reset();
                        self.state = State::Object;
                    }
                    _ => self.state = State::Text,
                },
                State::Text => {
                    at += search::first(&units[at..], |unit| unit == b'\n');
                    if at < units.len() {
                        at += 1;
                        self.state = State::Start;
                        self.skim(units, &mut at);
                        if units.get(at).is_some_and(|&next| next == b'{' || blank(next)) {
                            self.deliver(&text[from..at], deliver);
                            from = at;
                        }
                    }
                }
                State::Object => {
                    let (taken, verdict) = self.json.run(&units[at..]);
                    at += taken;
                    match verdict {
                        Verdict::More => {}
                        Verdict::Complete => {
                            self.deliver(&text[from..at], deliver);
                            from = at;
                            self.state = State::AfterObject;
                        }
                        // What was refused may be the line feed that begins the next line.
                        Verdict::Invalid => self.state = State::Text,
                    }
                }
            }
        }
        let rest = &text[from..];
        match self.state {
            State::Text => self.deliver(rest, deliver),
            State::AfterObjectCr => {}
            State::Start => {
                // Whole lines, then blanks that may begin an object.
                let cut = rest.rfind('\n').map_or(0, |feed| feed + 1);
                if cut > 0 {
                    self.deliver(&rest[..cut], deliver);
                }
                self.held.push_str(&rest[cut..]);
            }
            _ if self.held.len() + rest.len() > HOLD_LIMIT => {
                self.deliver(rest, deliver);
                self.state = State::Text;
            }
            _ => self.held.push_str(rest),
        }
    }

    /// Goes over lines that begin neither with a blank nor with a brace: most of them.
    fn skim(&mut self, units: &[u8], at: &mut usize) {
        while let Some(&first) = units.get(*at) {
            if first == b'{' || blank(first) {
                return;
            }
            *at += search::first(&units[*at..], |unit| unit == b'\n');
            if *at == units.len() {
                self.state = State::Text;
                return;
            }
            *at += 1;
        }
    }

    /// The input is over: what is held is delivered.
    pub fn finish(&mut self, deliver: &mut impl FnMut(String)) {
        if self.state == State::AfterObjectCr {
            self.held.push('\r');
        }
        self.deliver("", deliver);
        self.state = State::Start;
    }

    fn deliver(&mut self, text: &str, deliver: &mut impl FnMut(String)) {
        let mut message = std::mem::take(&mut self.held);
        message.push_str(text);
        if !message.is_empty() {
            deliver(message);
        }
    }
}

fn blank(unit: u8) -> bool {
    matches!(unit, b' ' | b'\t' | b'\r')
}
