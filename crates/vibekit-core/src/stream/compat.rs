//! A [`Cutter`] together with the text.

use super::{Cutter, HOLD_LIMIT};

/// Hands out the messages of JavaScript providers. The binding does not use it: there the text stays in JavaScript. This is
/// for everything that holds text itself.
#[derive(Clone, Debug, Default)]
pub struct Compat {
    cutter: Cutter,
    /// Everything since the last cut.
    held: Vec<u16>,
    bytes: Vec<u8>,
    messages: Vec<(usize, usize)>,
}

impl Compat {
    /// A buffer at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next units and hands messages to `deliver`.
    pub fn push(&mut self, units: &[u16], deliver: &mut impl FnMut(&[u16])) {
        let before = self.held.len();
        self.held.extend(units.iter().filter(|&&unit| unit != 0));
        self.messages.clear();
        let cut = self.cutter.push(&self.held[before..], &mut self.bytes, HOLD_LIMIT, &mut self.messages);
        for &(from, to) in &self.messages {
            deliver(&self.held[from..to]);
        }
        self.held.drain(..cut.at);
    }

    /// The input is over: what is left is delivered unless it is blank.
    pub fn finish(&mut self, deliver: &mut impl FnMut(&[u16])) {
        if !super::unit::is_blank(&self.held) {
            deliver(&self.held);
        }
        *self = Self::new();
    }
}
