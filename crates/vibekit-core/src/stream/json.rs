//! Is this a JSON object? Decided unit by unit, building nothing.

use super::search;

/// What is known after a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So far it is the beginning of a value.
    More,
    /// This unit completed the value.
    Complete,
    /// It cannot become JSON any more.
    Invalid,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    /// After `,` in an object.
    Key,
    Colon,
    /// After a value inside an array or object.
    CommaOrEnd,
    InString,
    Escape,
    /// Hexadecimal digits left of `\uXXXX`.
    Hex(u8),
    Number(Number),
    /// Rest of `true`, `false` or `null`.
    Word(&'static [u8]),
    Done,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// Whether a number may end here.
    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }

    fn next(self, unit: u8) -> Option<Self> {
        Some(match (self, unit) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }
}

/// Where a validator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Objects that are open.
    pub objects: usize,
    /// In a string.
    pub string: bool,
    /// Right behind a backslash in it.
    pub escape: bool,
}

/// An incremental validator with the verdicts of JavaScript's `JSON.parse`: any depth, lone surrogate escapes and
/// numbers beyond any range are fine; control characters in strings, trailing commas and comments are not.
///
/// One bit per open bracket is all it keeps.
#[derive(Clone, Debug)]
pub struct Json {
    expect: Expect,
    /// Open brackets, 64 to a word: 1 is `{`, 0 is `[`.
    open: Vec<u64>,
    depth: usize,
    /// The string being read is a key.
    key: bool,
}

impl Default for Json {
    fn default() -> Self {
        Self::new()
    }
}

impl Json {
    /// A validator that expects a value.
    #[must_use]
    pub fn new() -> Self {
        Self { expect: Expect::Value, open: Vec::new(), depth: 0, key: false }
    }

    /// Back to the beginning, keeping memory.
    pub fn reset(&mut self) {
        self.expect = Expect::Value;
        self.depth = 0;
        self.key = false;
    }

    /// Takes units up to the one that decides. Gives how many were taken and what is known after the last of them. A unit
    /// that is refused is not taken, and leaves the validator as it was.
    ///
    /// In UTF-8 and in anything else where what is not ASCII is above 0x7F, units are bytes.
    pub fn run(&mut self, units: &[u8]) -> (usize, Verdict) {
        let mut at = 0;
        while let Some(&unit) = units.get(at) {
            match (self.expect, unit) {
                // What most of an object is made of, without a turn for every unit.
                (Expect::InString, _) => {
                    at += search::string_end(&units[at..]);
                    match units.get(at) {
                        None => break,
                        Some(b'"') if self.key => self.expect = Expect::Colon,
                        Some(b'"') => {
                            // A string at the top is no object, but it is JSON.
                            if self.value_done() == Verdict::Complete {
                                return (at + 1, Verdict::Complete);
                            }
                        }
                        Some(b'\\') => self.expect = Expect::Escape,
                        Some(_) => return (at, Verdict::Invalid),
                    }
                }
                (Expect::Colon, b':') => self.expect = Expect::Value,
                (Expect::Value, b'"') => {
                    self.key = false;
                    self.expect = Expect::InString;
                }
                (Expect::Key | Expect::KeyOrEnd, b'"') => {
                    self.key = true;
                    self.expect = Expect::InString;
                }
                (Expect::CommaOrEnd, b',') => {
                    self.expect = if self.in_object() { Expect::Key } else { Expect::Value };
                }
                (before, unit) => match self.unit(unit) {
                    Verdict::More => {}
                    Verdict::Complete => return (at + 1, Verdict::Complete),
                    Verdict::Invalid => {
                        self.expect = before;
                        return (at, Verdict::Invalid);
                    }
                },
            }
            at += 1;
        }
        (at, Verdict::More)
    }

    /// Where the input stands, as far as quotes and braces go.
    #[must_use]
    pub fn inside(&self) -> Inside {
        let objects = (0..self.depth).filter(|at| self.open[at / 64] >> (at % 64) & 1 == 1).count();
        Inside {
            objects,
            string: matches!(self.expect, Expect::InString | Expect::Escape | Expect::Hex(_)),
            escape: self.expect == Expect::Escape,
        }
    }

    /// Takes the next unit. What is not ASCII is any value above 0x7F.
    pub fn unit(&mut self, unit: u8) -> Verdict {
        if let Expect::Number(state) = self.expect {
            if let Some(next) = state.next(unit) {
                return self.then(Expect::Number(next));
            }
            if !state.may_end() {
                return self.fail();
            }
            self.expect = self.after_value();
        }
        match (self.expect, unit) {
            (Expect::InString, b'"') if self.key => self.then(Expect::Colon),
            (Expect::InString, b'"') => self.value_done(),
            (Expect::InString, b'\\') => self.then(Expect::Escape),
            (Expect::InString, 0..0x20) => self.fail(),
            (Expect::InString, _) => Verdict::More,
            (Expect::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.then(Expect::InString)
            }
            (Expect::Escape, b'u') => self.then(Expect::Hex(4)),
            (Expect::Hex(left), unit) if unit.is_ascii_hexdigit() => self.then(match left {
                1 => Expect::InString,
                _ => Expect::Hex(left - 1),
            }),
            (Expect::Word(rest), unit) if rest.first() == Some(&unit) => match &rest[1..] {
                [] => self.value_done(),
                rest => self.then(Expect::Word(rest)),
            },
            (Expect::Escape | Expect::Hex(_) | Expect::Word(_) | Expect::Failed, _) => self.fail(),

            (Expect::Done, b' ' | b'\t' | b'\n' | b'\r') => Verdict::Complete,
            (_, b' ' | b'\t' | b'\n' | b'\r') => Verdict::More,

            (Expect::KeyOrEnd | Expect::Key, b'"') => {
                self.key = true;
                self.then(Expect::InString)
            }
            (Expect::Colon, b':') => self.then(Expect::Value),
            (Expect::KeyOrEnd, b'}') | (Expect::ValueOrEnd, b']') => self.close(),
            (Expect::CommaOrEnd, b',') => {
                self.then(if self.in_object() { Expect::Key } else { Expect::Value })
            }
            (Expect::CommaOrEnd, b'}') if self.in_object() => self.close(),
            (Expect::CommaOrEnd, b']') if !self.in_object() => self.close(),

            (Expect::Value | Expect::ValueOrEnd, unit) => match unit {
                b'{' => self.open(true),
                b'[' => self.open(false),
                b'"' => {
                    self.key = false;
                    self.then(Expect::InString)
                }
                b'-' => self.then(Expect::Number(Number::Minus)),
                b'0' => self.then(Expect::Number(Number::Zero)),
                b'1'..=b'9' => self.then(Expect::Number(Number::Integer)),
                b't' => self.then(Expect::Word(b"rue")),
                b'f' => self.then(Expect::Word(b"alse")),
                b'n' => self.then(Expect::Word(b"ull")),
                _ => self.fail(),
            },
            _ => self.fail(),
        }
    }

    fn then(&mut self, expect: Expect) -> Verdict {
        self.expect = expect;
        Verdict::More
    }

    fn fail(&mut self) -> Verdict {
        self.expect = Expect::Failed;
        Verdict::Invalid
    }

    fn open(&mut self, object: bool) -> Verdict {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.open.len() {
            self.open.push(0);
        }
        self.open[word] = self.open[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        self.then(if object { Expect::KeyOrEnd } else { Expect::ValueOrEnd })
    }

    fn close(&mut self) -> Verdict {
        self.depth -= 1;
        self.value_done()
    }

    fn in_object(&self) -> bool {
        let last = self.depth - 1;
        self.open[last / 64] >> (last % 64) & 1 == 1
    }

    fn after_value(&self) -> Expect {
        if self.depth == 0 { Expect::Done } else { Expect::CommaOrEnd }
    }

    fn value_done(&mut self) -> Verdict {
        self.expect = self.after_value();
        if self.depth == 0 { Verdict::Complete } else { Verdict::More }
    }
}
