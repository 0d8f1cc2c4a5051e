//! Connect's streaming, and the messages of `process.Process` in it.
//!
//! A stream is a sequence of envelopes: a byte of flags, a big-endian length of four bytes, a payload. Flag 1 is compression,
//! which is never asked for; flag 2 marks the last envelope, whose JSON may hold an error
//! (connectrpc.com/docs/protocol). Messages are the JSON of protobuf: zero values are left out, white space is arbitrary,
//! unknown fields are allowed.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde::de::IgnoredAny;
use vibekit_sandbox::Stream;

/// Largest payload that is taken. The daemon sends 32 KiB of output at most.
pub const LARGEST: usize = 16 << 20;
const HEAD: usize = 5;
const COMPRESSED: u8 = 1;
const LAST: u8 = 2;

/// What came is not what the protocol says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// One envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// A message.
    Message(Bytes),
    /// The last one, with the error the stream ended with.
    Last(Option<Failed>),
}

/// An error as Connect tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Failed {
    /// `not_found`, `unavailable` …; anything that is no text is none.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub code: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
}

/// Proxies on the way write numbers there.
fn text_or_nothing<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// The one envelope of a request.
#[must_use]
pub fn envelope(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEAD + message.len());
    bytes.extend_from_slice(&[0]);
    bytes.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes.freeze()
}

/// Takes a stream apart, however it was cut into pieces. Only what is cut is copied, and once.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What came last, as far as it is not used.
    rest: Bytes,
    /// The beginning of an envelope that is not whole yet.
    partial: BytesMut,
}

impl Decoder {
    /// Adds a piece. All envelopes of the former one have to be taken out before.
    pub fn push(&mut self, piece: Bytes) {
        if self.rest.is_empty() {
            self.rest = piece;
        } else {
            self.partial.extend_from_slice(&self.rest);
            self.rest = piece;
        }
    }

    /// The next whole envelope.
    ///
    /// # Errors
    ///
    /// When what came cannot be an envelope. The stream is of no more use then.
    pub fn take(&mut self) -> Result<Option<Envelope>, Broken> {
        if self.partial.is_empty() {
            let Some(length) = length(&self.rest)? else {
                self.partial.extend_from_slice(&self.rest);
                self.rest = Bytes::new();
                return Ok(None);
            };
            if self.rest.len() >= HEAD + length {
                let flags = self.rest[0];
                self.rest.advance(HEAD);
                return open(flags, self.rest.split_to(length)).map(Some);
            }
        }
        if self.partial.len() < HEAD {
            let wanted = (HEAD - self.partial.len()).min(self.rest.len());
            self.partial.extend_from_slice(&self.rest.split_to(wanted));
        }
        let Some(length) = length(&self.partial)? else { return Ok(None) };
        let wanted = (HEAD + length).saturating_sub(self.partial.len());
        self.partial.reserve(wanted);
        let there = wanted.min(self.rest.len());
        self.partial.extend_from_slice(&self.rest.split_to(there));
        if there < wanted {
            return Ok(None);
        }
        let mut whole = std::mem::take(&mut self.partial).freeze();
        let flags = whole[0];
        whole.advance(HEAD);
        open(flags, whole).map(Some)
    }

    /// Whether the stream may end here: no envelope has begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.partial.is_empty()
    }
}

/// Length of the payload, once its head is there.
fn length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let length =
        usize::try_from(u32::from_be_bytes([head[1], head[2], head[3], head[4]])).unwrap_or(usize::MAX);
    if head[0] & COMPRESSED != 0 {
        return Err(Broken("a message is compressed, which was not asked for".to_owned()));
    }
    if length > LARGEST {
        return Err(Broken(format!("a message of {length} bytes is too large")));
    }
    Ok(Some(length))
}

fn open(flags: u8, payload: Bytes) -> Result<Envelope, Broken> {
    #[derive(Deserialize)]
    struct Trailer {
        error: Option<Failed>,
    }
    if flags & LAST == 0 {
        return Ok(Envelope::Message(payload));
    }
    match serde_json::from_slice::<Trailer>(&payload) {
        Ok(trailer) => Ok(Envelope::Last(trailer.error)),
        Err(error) => Err(Broken(format!("the end of the stream is not understood: {error}"))),
    }
}

/// How a process ended, as the daemon tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ended {
    /// −1 after a signal.
    pub exit_code: i32,
    /// False after a signal.
    pub exited: bool,
    /// `exit status 3`, `signal: killed`.
    pub status: String,
}

impl Ended {
    /// The signal that ended it. The names are those of Go's `syscall.Signal`.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        let name = self.status.strip_prefix("signal: ")?;
        Some(match name.trim_end_matches(" (core dumped)") {
            "hangup" => 1,
            "interrupt" => 2,
            "quit" => 3,
            "illegal instruction" => 4,
            "trace/breakpoint trap" => 5,
            "aborted" => 6,
            "bus error" => 7,
            "floating point exception" => 8,
            "user defined signal 1" => 10,
            "segmentation fault" => 11,
            "user defined signal 2" => 12,
            "broken pipe" => 13,
            "alarm clock" => 14,
            "terminated" => 15,
            "killed" => 9,
            // `signal 34`, and what is not known is told as the one that cannot be caught.
            other => other.strip_prefix("signal ").and_then(|number| number.parse().ok()).unwrap_or(9),
        })
    }
}

/// An event of a process that is no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It runs.
    Start(u32),
    /// It ended.
    End(Ended),
}

/// What can be had from the pieces that came so far: output, neighbours of one stream joined, and what else was told.
#[derive(Debug, Default)]
pub struct Batch {
    /// Output in its order.
    pub output: VecDeque<(Stream, Bytes)>,
    /// In their order. Output of a batch comes after a start and before an end.
    pub events: Vec<Event>,
    /// The daemon had nothing to say for a while, and said so.
    pub keepalive: bool,
    /// The stream ended in order, with or without an error.
    pub last: Option<Option<Failed>>,
}

#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    event: Option<Told<'m>>,
}

#[derive(Deserialize)]
struct Told<'m> {
    start: Option<Started>,
    #[serde(borrow)]
    data: Option<Data<'m>>,
    end: Option<Ended>,
    keepalive: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Started {
    #[serde(default)]
    pid: u32,
}

#[derive(Deserialize)]
struct Data<'m> {
    #[serde(borrow)]
    stdout: Option<Text<'m>>,
    #[serde(borrow)]
    stderr: Option<Text<'m>>,
}

/// Borrowed, unless it is written with escapes.
#[derive(Deserialize)]
struct Text<'m>(#[serde(borrow)] Cow<'m, str>);

impl Batch {
    /// Reads everything that is whole in a decoder.
    ///
    /// # Errors
    ///
    /// As [`Decoder::take`], and for messages that are not understood; what came before is in `self` all the same.
    pub fn read(&mut self, decoder: &mut Decoder) -> Result<(), Broken> {
        self.read_all(decoder, [])
    }

    /// The same, and of these pieces as well, which are pushed one by one.
    ///
    /// # Errors
    ///
    /// As [`Batch::read`].
    pub fn read_all(
        &mut self,
        decoder: &mut Decoder,
        pieces: impl IntoIterator<Item = Bytes>,
    ) -> Result<(), Broken> {
        let mut joined: Option<(Stream, Vec<u8>)> = None;
        let mut outcome = self.read_on(decoder, &mut joined);
        for piece in pieces {
            if outcome.is_err() || self.last.is_some() {
                break;
            }
            decoder.push(piece);
            outcome = self.read_on(decoder, &mut joined);
        }
        self.flush(&mut joined);
        outcome
    }

    fn read_on(
        &mut self,
        decoder: &mut Decoder,
        joined: &mut Option<(Stream, Vec<u8>)>,
    ) -> Result<(), Broken> {
        loop {
            match decoder.take()? {
                None => return Ok(()),
                Some(Envelope::Last(error)) => {
                    self.last = Some(error);
                    return Ok(());
                }
                Some(Envelope::Message(message)) => self.message(&message, joined)?,
            }
        }
    }

    fn flush(&mut self, joined: &mut Option<(Stream, Vec<u8>)>) {
        if let Some((stream, bytes)) = joined.take().filter(|(_, bytes)| !bytes.is_empty()) {
            self.output.push_back((stream, bytes.into()));
        }
    }

    fn message(&mut self, message: &[u8], joined: &mut Option<(Stream, Vec<u8>)>) -> Result<(), Broken> {
        if let Some((stream, text)) = plain_data(message)
            && self.data(stream, text, joined).is_ok()
        {
            return Ok(());
        }
        let told: Message<'_> = serde_json::from_slice(message)
            .map_err(|error| Broken(format!("a message is not understood: {error}")))?;
        let Some(told) = told.event else { return Ok(()) };
        if let Some(started) = told.start {
            self.events.push(Event::Start(started.pid));
        }
        if let Some(data) = told.data {
            for (stream, text) in [(Stream::Stdout, data.stdout), (Stream::Stderr, data.stderr)] {
                let Some(Text(text)) = text else { continue };
                self.data(stream, text.as_bytes(), joined)
                    .map_err(|error| Broken(format!("output is no base64: {error}")))?;
            }
        }
        self.keepalive |= told.keepalive.is_some();
        if let Some(ended) = told.end {
            self.events.push(Event::End(ended));
        }
        Ok(())
    }

    fn data(
        &mut self,
        stream: Stream,
        text: &[u8],
        joined: &mut Option<(Stream, Vec<u8>)>,
    ) -> Result<(), base64::DecodeError> {
        if joined.as_ref().is_some_and(|(current, _)| *current != stream) {
            self.flush(joined);
        }
        let (_, bytes) = joined.get_or_insert_with(|| (stream, Vec::with_capacity(text.len() / 4 * 3)));
        let before = bytes.len();
        STANDARD.decode_vec(text, bytes).inspect_err(|_| bytes.truncate(before))
    }
}

/// The base64 text of a message that is output and nothing else, which nearly all are. Escapes and further fields are left to
/// the full reader: the text then holds a byte that is no base64, or does not end where it should.
fn plain_data(message: &[u8]) -> Option<(Stream, &[u8])> {
    fn token<'m>(message: &'m [u8], token: &[u8]) -> Option<&'m [u8]> {
        message.trim_ascii_start().strip_prefix(token)
    }
    let mut rest = message;
    for expected in [&b"{"[..], b"\"event\"", b":", b"{", b"\"data\"", b":", b"{"] {
        rest = token(rest, expected)?;
    }
    let (stream, rest) = match token(rest, b"\"stdout\"") {
        Some(rest) => (Stream::Stdout, rest),
        None => (Stream::Stderr, token(rest, b"\"stderr\"")?),
    };
    let mut text = token(token(rest, b":")?, b"\"")?;
    for expected in [b'}', b'}', b'}', b'"'] {
        text = text.trim_ascii_end();
        text = text.split_last().filter(|(last, _)| **last == expected)?.1;
    }
    Some((stream, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn framed(messages: &[serde_json::Value]) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            messages.iter().flat_map(|message| envelope(message.to_string().as_bytes())).collect();
        bytes.extend_from_slice(&[2, 0, 0, 0, 2, b'{', b'}']);
        bytes
    }

    /// Everything of a stream that is cut at these places.
    fn read(bytes: &[u8], cuts: &[usize]) -> Result<Batch, Broken> {
        let (mut decoder, mut batch) = (Decoder::default(), Batch::default());
        let mut from = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            let cut = cut.clamp(from, bytes.len());
            decoder.push(Bytes::copy_from_slice(&bytes[from..cut]));
            batch.read(&mut decoder)?;
            from = cut;
        }
        assert!(decoder.is_empty());
        Ok(batch)
    }

    fn text(batch: &Batch, wanted: Stream) -> Vec<u8> {
        batch
            .output
            .iter()
            .filter(|(stream, _)| *stream == wanted)
            .flat_map(|(_, bytes)| bytes.to_vec())
            .collect()
    }

    #[derive(Debug, PartialEq)]
    struct AllTold {
        output: [Vec<u8>; 2],
        events: Vec<Event>,
        keepalive: bool,
        last: Option<Option<Failed>>,
        wrong: bool,
    }

    /// Everything there is to know of a stream that is cut at these places, up to its end or to where it is wrong.
    fn told(bytes: &[u8], cuts: &[usize]) -> AllTold {
        let (mut decoder, mut all) = (Decoder::default(), Batch::default());
        let (mut from, mut wrong) = (0, false);
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            let cut = cut.clamp(from, bytes.len());
            decoder.push(Bytes::copy_from_slice(&bytes[from..cut]));
            from = cut;
            wrong = all.read(&mut decoder).is_err();
            if wrong || all.last.is_some() {
                break;
            }
        }
        let output = [text(&all, Stream::Stdout), text(&all, Stream::Stderr)];
        AllTold { output, events: all.events, keepalive: all.keepalive, last: all.last, wrong }
    }

    fn part() -> impl Strategy<Value = Vec<u8>> {
        let chunk = prop::collection::vec(any::<u8>(), 0..40);
        let output = (any::<bool>(), chunk.clone()).prop_map(|(first, bytes)| {
            envelope(data(if first { "stdout" } else { "stderr" }, &bytes).to_string().as_bytes()).to_vec()
        });
        let event = prop::sample::select(vec![
            json!({ "event": { "start": { "pid": 7 } } }),
            json!({ "event": { "keepalive": {} } }),
            json!({ "event": { "end": { "exitCode": 3 } } }),
            json!({ "event": { "data": { "stdout": "no base64!" } } }),
            json!({ "event": null, "more": [1, "}}"] }),
            json!([]),
        ]);
        let event = event.prop_map(|event| envelope(event.to_string().as_bytes()).to_vec());
        let last = prop::sample::select(vec![&b"{}"[..], b"{\"error\":{\"code\":\"not_found\"}}", b"x"]);
        let last = last.prop_map(|text| {
            let mut bytes = envelope(text).to_vec();
            bytes[0] = LAST;
            bytes
        });
        prop_oneof![4 => output, 3 => event, 1 => last, 1 => chunk]
    }

    fn data(stream: &str, bytes: &[u8]) -> serde_json::Value {
        json!({ "event": { "data": { stream: STANDARD.encode(bytes) } } })
    }

    proptest! {
        #[test]
        fn output_survives_any_cut(
            chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..12),
            mut cuts in prop::collection::vec(0_usize..4000, 0..20),
        ) {
            cuts.sort_unstable();
            let mut messages = vec![json!({ "event": { "start": { "pid": 7 } } })];
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            for (first, bytes) in &chunks {
                messages.push(data(if *first { "stdout" } else { "stderr" }, bytes));
                if *first { &mut stdout } else { &mut stderr }.extend_from_slice(bytes);
            }
            messages.push(json!({ "event": { "keepalive": {} } }));
            messages.push(json!({ "event": { "end": { "exitCode": 3, "exited": true, "status": "exit status 3" } } }));
            let batch = read(&framed(&messages), &cuts).unwrap();
            prop_assert_eq!(text(&batch, Stream::Stdout), stdout);
            prop_assert_eq!(text(&batch, Stream::Stderr), stderr);
            prop_assert_eq!(&batch.events[0], &Event::Start(7));
            prop_assert!(matches!(&batch.events[1], Event::End(ended) if ended.exit_code == 3));
            prop_assert_eq!(batch.last, Some(None));
        }

        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let (mut decoder, mut batch) = (Decoder::default(), Batch::default());
            decoder.push(bytes.into());
            let _ = batch.read(&mut decoder);
        }

        /// Streams that are right for a while, and then perhaps not.
        #[test]
        fn any_cut_of_anything_gives_the_same(
            parts in prop::collection::vec(part(), 0..8),
            mut cuts in prop::collection::vec(0_usize..600, 0..12),
        ) {
            cuts.sort_unstable();
            let bytes = parts.concat();
            let whole = told(&bytes, &[]);
            prop_assert_eq!(&told(&bytes, &cuts), &whole);
            let each: Vec<usize> = (0..bytes.len()).collect();
            prop_assert_eq!(&told(&bytes, &each), &whole);
        }

        #[test]
        fn the_short_way_and_the_long_way_agree(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            spaces in prop::collection::vec(" {0,2}", 12),
            more in any::<bool>(),
        ) {
            let encoded = STANDARD.encode(&bytes);
            let more = if more { ",\"x\":\"}}}\"" } else { "" };
            let s = &spaces;
            let message = format!(
                "{}{{{}\"event\"{}:{}{{{}\"data\"{}:{}{{\"stderr\"{}:{}\"{encoded}\"{}}}{more}}}{}}}{}",
                s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11],
            );
            let mut whole = envelope(message.as_bytes()).to_vec();
            whole.extend_from_slice(&[2, 0, 0, 0, 2, b'{', b'}']);
            prop_assert_eq!(text(&read(&whole, &[]).unwrap(), Stream::Stderr), bytes);
        }
    }

    #[test]
    fn neighbours_of_one_stream_are_joined() {
        let batch =
            read(&framed(&[data("stdout", b"a"), data("stdout", b"b"), data("stderr", b"c")]), &[]).unwrap();
        let output: Vec<_> = batch.output.iter().map(|(stream, bytes)| (*stream, bytes.as_ref())).collect();
        assert_eq!(output, [(Stream::Stdout, &b"ab"[..]), (Stream::Stderr, &b"c"[..])]);
    }

    #[test]
    fn escapes_are_undone() {
        let whole = [
            &envelope(b"{\"event\":{\"data\":{\"stdout\":\"YQ\\u003d=\"}}}")[..],
            &[2, 0, 0, 0, 2, b'{', b'}'],
        ]
        .concat();
        assert_eq!(text(&read(&whole, &[]).unwrap(), Stream::Stdout), b"a");
    }

    #[test]
    fn fields_that_are_zero_are_left_out() {
        let batch = read(&framed(&[json!({ "event": { "end": { "exited": true } } })]), &[]).unwrap();
        assert_eq!(batch.events, [Event::End(Ended { exited: true, ..Ended::default() })]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for bytes in
            [&[1, 0, 0, 0, 0][..], &[0, 255, 255, 255, 255], &[2, 0, 0, 0, 1, b'x'], &[0, 0, 0, 0, 1, b'x']]
        {
            let (mut decoder, mut batch) = (Decoder::default(), Batch::default());
            decoder.push(Bytes::copy_from_slice(bytes));
            assert!(batch.read(&mut decoder).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_error_at_the_end_is_told_whatever_its_code_looks_like() {
        let mut decoder = Decoder::default();
        let trailer = br#"{"error":{"code":502,"message":"gone"}}"#;
        decoder.push([&[2, 0, 0, 0, trailer.len() as u8][..], trailer].concat().into());
        let failed = Failed { code: String::new(), message: "gone".to_owned() };
        assert_eq!(decoder.take(), Ok(Some(Envelope::Last(Some(failed)))));
    }

    #[test]
    fn signals_are_told_by_name() {
        let ended = |status: &str| Ended { exit_code: -1, status: status.to_owned(), ..Ended::default() };
        assert_eq!(ended("signal: killed").signal(), Some(9));
        assert_eq!(ended("signal: segmentation fault (core dumped)").signal(), Some(11));
        assert_eq!(ended("signal: signal 34").signal(), Some(34));
        assert_eq!(ended("exit status 3").signal(), None);
    }
}
