//! Whether there is the program: the daemon starts a shell, which always is there, so the shell says it first, on standard
//! error. What it says is taken out of the output again.

use bytes::Bytes;
use memchr::memmem;
use vibekit_core::text::quote;
use vibekit_sandbox::Stream;

use super::super::codec::Batch;

const THERE: u8 = b'+';
const ABSENT: u8 = b'-';

/// The greeting of one command, until it has been heard.
pub(in super::super) struct Greeting {
    token: String,
    program: String,
    /// The end of what came so far, as far as it may be the beginning of the greeting.
    held: Vec<u8>,
}

/// What a greeting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    There,
    Absent,
}

impl Greeting {
    /// `mark` is the command's own, so that no output is taken for it.
    pub(in super::super) fn new(mark: &str, program: &str) -> Self {
        Self { token: format!("vibekit-{mark}"), program: program.to_owned(), held: Vec::new() }
    }

    /// The shell's lines that say it, and end there when there is no such program.
    pub(in super::super) fn lines(&self) -> String {
        let (name, token) = (quote(&self.program), &self.token);
        let (there, absent) = (char::from(THERE), char::from(ABSENT));
        format!(
            "command -v -- {name} >/dev/null 2>&1 || {{ printf %s {token}{absent} >&2; exit 127; }}\nprintf %s {token}{there} >&2"
        )
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Takes the greeting out of a piece of standard error. What may be a part of it is held back.
    fn filter(&mut self, piece: &[u8]) -> (Bytes, Option<Said>) {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let token = self.token.as_bytes();
        if let Some(at) = memmem::find(&bytes, token) {
            let end = at + token.len();
            if let Some(word) = bytes.get(end) {
                let said = if *word == ABSENT { Said::Absent } else { Said::There };
                bytes.drain(at..=end);
                return (bytes.into(), Some(said));
            }
        }
        let longest = token.len().min(bytes.len());
        let held = (1..=longest).rev().find(|length| bytes.ends_with(&token[..*length])).unwrap_or(0);
        self.held = bytes.split_off(bytes.len() - held);
        (bytes.into(), None)
    }

    /// What was held back and is no greeting after all.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }
}

/// Takes a greeting out of what came, if it is in it, and forgets it then.
pub(super) fn hear(greeting: &mut Option<Greeting>, batch: &mut Batch) -> Option<Said> {
    let mut heard = None;
    for (stream, bytes) in &mut batch.output {
        let Some(waiting) = greeting.as_mut().filter(|_| *stream == Stream::Stderr) else { continue };
        let (rest, said) = waiting.filter(bytes);
        *bytes = rest;
        if said.is_some() {
            heard = said;
            *greeting = None;
        }
    }
    batch.output.retain(|(_, bytes)| !bytes.is_empty());
    heard
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_taken_out_however_it_was_cut(
            before in "[a-z-]{0,20}(vibekit-)?(m4)?",
            after in "[a-z+-]{0,20}",
            absent in any::<bool>(),
            mut cuts in prop::collection::vec(0_usize..60, 0..8),
        ) {
            let whole = format!("{before}vibekit-m4rk{}{after}", if absent { '-' } else { '+' });
            cuts.sort_unstable();
            cuts.push(whole.len());
            let mut greeting = Some(Greeting::new("m4rk", "x"));
            let (mut from, mut got, mut said) = (0, Vec::new(), None);
            for cut in cuts {
                let cut = cut.clamp(from, whole.len());
                let mut batch = Batch::default();
                batch.output.push_back((Stream::Stderr, Bytes::copy_from_slice(&whole.as_bytes()[from..cut])));
                said = said.or(hear(&mut greeting, &mut batch));
                got.extend(batch.output.into_iter().flat_map(|(_, bytes)| bytes.to_vec()));
                from = cut;
            }
            prop_assert_eq!(String::from_utf8(got).unwrap(), format!("{before}{after}"));
            prop_assert_eq!(said, Some(if absent { Said::Absent } else { Said::There }));
        }
    }

    #[test]
    fn what_only_looks_like_it_is_given_back() {
        let mut greeting = Greeting::new("m4rk", "x");
        assert_eq!(greeting.filter(b"a vibekit-m"), (Bytes::from_static(b"a "), None));
        assert_eq!(greeting.rest(), "vibekit-m");
        let mut greeting = Greeting::new("m4rk", "x");
        assert_eq!(greeting.filter(b"vibekit-m"), (Bytes::new(), None));
        assert_eq!(greeting.filter(b"ore"), (Bytes::from_static(b"vibekit-more"), None));
    }

    #[test]
    fn standard_output_is_left_alone() {
        let mut greeting = Some(Greeting::new("m4rk", "x"));
        let mut batch = Batch::default();
        batch.output.push_back((Stream::Stdout, Bytes::from_static(b"vibekit-m4rk+")));
        assert_eq!(hear(&mut greeting, &mut batch), None);
        assert_eq!(batch.output[0].1, "vibekit-m4rk+");
    }
}
