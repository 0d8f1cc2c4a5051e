//! Messages of programs that give only pieces and no ids.

use crate::event::Body;

use super::tally::Tally;

/// The message whose pieces are arriving.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    text: String,
    /// Messages before this one.
    ended: u32,
}

impl Pieces {
    /// The id this message gets.
    pub(super) fn id(&self) -> String {
        format!("message_{}", self.ended + 1)
    }

    /// One piece of the answer.
    pub(super) fn push(&mut self, piece: &str, out: &mut Vec<Body>) {
        self.text.push_str(piece);
        out.push(Body::TextDelta { message_id: self.id(), text: piece.to_owned() });
    }

    /// Tells the whole message, if there is one, where its pieces end.
    pub(super) fn end(&mut self, tally: &mut Tally, out: &mut Vec<Body>) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.whole(&text, tally, out);
        }
    }

    /// Tells a message that came at once.
    pub(super) fn whole(&mut self, text: &str, tally: &mut Tally, out: &mut Vec<Body>) {
        tally.message(&self.id(), text, out);
        self.ended += 1;
    }
}
