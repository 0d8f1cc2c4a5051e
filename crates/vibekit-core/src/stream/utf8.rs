//! Bytes to text.

/// Decodes UTF-8 that was cut anywhere. What is not UTF-8 becomes U+FFFD, one for each maximal part of a sequence, as
/// `String::from_utf8_lossy` and the web's `TextDecoder` do.
#[derive(Clone, Debug, Default)]
pub struct Utf8 {
    /// The beginning of a sequence whose end has not come yet: at most three bytes.
    carry: Vec<u8>,
}

impl Utf8 {
    /// A decoder at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the text of the next bytes.
    pub fn push(&mut self, mut bytes: &[u8], text: &mut String) {
        while !self.carry.is_empty() {
            let Some((&next, rest)) = bytes.split_first() else { return };
            self.carry.push(next);
            match std::str::from_utf8(&self.carry) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.carry.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    // The new byte does not continue the sequence: what was carried is one replacement, and the byte is
                    // looked at again on its own.
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.carry.clear();
                    break;
                }
            }
            bytes = rest;
        }
        text.reserve(bytes.len());
        loop {
            match std::str::from_utf8(bytes) {
                Ok(valid) => return text.push_str(valid),
                Err(error) => {
                    let (valid, rest) = bytes.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    match error.error_len() {
                        Some(wrong) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            bytes = &rest[wrong..];
                        }
                        None => {
                            self.carry.extend_from_slice(rest);
                            return;
                        }
                    }
                }
            }
        }
    }

    /// The input is over: a sequence that was begun and not ended becomes one U+FFFD.
    pub fn finish(&mut self, text: &mut String) {
        if !self.carry.is_empty() {
            self.carry.clear();
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
