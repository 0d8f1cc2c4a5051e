//! Bounded keeping of a run's output for its result.

/// Keeps the first `limit` bytes and counts the rest.
#[derive(Debug)]
pub(crate) struct Keep {
    bytes: Vec<u8>,
    limit: usize,
    dropped: u64,
}

impl Keep {
    pub(crate) fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), limit: usize::try_from(limit).unwrap_or(usize::MAX), dropped: 0 }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len()).min(chunk.len());
        self.bytes.extend_from_slice(&chunk[..room]);
        self.dropped += (chunk.len() - room) as u64;
    }

    /// The kept text (invalid UTF-8 replaced, a character cut by the limit dropped whole) and the bytes not in it.
    pub(crate) fn finish(mut self) -> (String, u64) {
        if self.dropped > 0 {
            // A cut in the middle of a character would show as a replacement character that nobody printed.
            if let Err(error) = std::str::from_utf8(&self.bytes)
                && error.error_len().is_none()
            {
                self.dropped += (self.bytes.len() - error.valid_up_to()) as u64;
                self.bytes.truncate(error.valid_up_to());
            }
        }
        let text = match String::from_utf8(self.bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        (text, self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_head_and_counts_the_rest() {
        let mut keep = Keep::new(5);
        keep.push(b"abc");
        keep.push(b"defg");
        assert_eq!(keep.finish(), ("abcde".to_owned(), 2));
    }

    #[test]
    fn never_cuts_a_character_in_two() {
        let mut keep = Keep::new(4);
        keep.push("abc\u{2713}x".as_bytes());
        assert_eq!(keep.finish(), ("abc".to_owned(), 4));
    }

    #[test]
    fn replaces_what_is_no_text() {
        let mut keep = Keep::new(10);
        keep.push(b"a\xffb");
        assert_eq!(keep.finish(), ("a\u{fffd}b".to_owned(), 0));
    }
}
