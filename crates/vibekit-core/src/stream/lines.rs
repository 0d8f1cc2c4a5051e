//! Text to lines.

use super::HOLD_LIMIT;

/// Cuts text into lines at LF (a CR before it goes too). Lines may have any length up to [`HOLD_LIMIT`]; what is longer
/// comes in pieces of that length.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    held: String,
}

impl Lines {
    /// A splitter at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next text and hands whole lines to `line`, without their line ends.
    pub fn push(&mut self, mut text: &str, line: &mut impl FnMut(&str)) {
        while let Some(feed) = text.find('\n') {
            let (end, rest) = (&text[..feed], &text[feed + 1..]);
            text = rest;
            if self.held.is_empty() {
                line(end.strip_suffix('\r').unwrap_or(end));
            } else {
                self.held.push_str(end);
                line(self.held.strip_suffix('\r').unwrap_or(&self.held));
                self.held.clear();
            }
        }
        self.held.push_str(text);
        if self.held.len() > HOLD_LIMIT {
            line(&std::mem::take(&mut self.held));
        }
        if self.held.is_empty() {
            // A huge line must not keep its memory for the rest of the stream.
            self.held.shrink_to(64 << 10);
        }
    }

    /// The input is over: the last line may have had no line end.
    pub fn finish(&mut self, line: &mut impl FnMut(&str)) {
        let last = std::mem::take(&mut self.held);
        if !last.is_empty() {
            line(&last);
        }
    }
}
