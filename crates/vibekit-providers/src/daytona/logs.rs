//! A command's output as it comes from a sandbox's server: bytes over a WebSocket, with marks where the stream changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use vibekit_http::{End, Message, Socket};
use vibekit_sandbox::{Error, Result, Stream};

use super::api::WHO;
use super::sandbox::Inner;
use crate::remote::{Raw, Wire};

/// Connections in a row that break off without having brought anything, before it is given up.
const ATTEMPTS: u32 = 6;

/// The output of one command. A connection that breaks off is made again: the server sends the output from its beginning,
/// so that what has been seen can be skipped and nothing is lost.
pub(super) struct Logs {
    inner: Arc<Inner>,
    session: String,
    command: String,
    socket: Option<Box<dyn Socket>>,
    /// Bytes that have been taken.
    seen: u64,
    /// Bytes of this connection that have been taken before.
    skip: u64,
    marks: Marks,
    pieces: VecDeque<(Stream, Bytes)>,
    failures: u32,
}

impl Logs {
    pub(super) fn new(inner: Arc<Inner>, session: &str, command: &str) -> Self {
        Self {
            inner,
            session: session.to_owned(),
            command: command.to_owned(),
            socket: None,
            seen: 0,
            skip: 0,
            marks: Marks::default(),
            pieces: VecDeque::new(),
            failures: 0,
        }
    }

    fn take(&mut self, message: Message) {
        let mut bytes = message.into_bytes();
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        // No larger than the message.
        let _ = bytes.split_to(usize::try_from(skipped).unwrap_or(0));
        if !bytes.is_empty() {
            self.failures = 0;
            self.seen += bytes.len() as u64;
            self.marks.push(&bytes, &mut self.pieces);
        }
    }

    /// The connection is gone, or was closed: perhaps because all was said.
    async fn broken(&mut self, error: Option<Error>) -> Result<Option<Raw>> {
        self.socket = None;
        if error.is_none() {
            match self.inner.toolbox.command(&self.session, &self.command).await {
                Ok(Some(info)) => {
                    if let Some(code) = info.exit_code {
                        return Ok(Some(Raw::End(Some(code))));
                    }
                    // It still runs; older servers close streams that are silent.
                }
                Ok(None) => return self.missing().await.map(Some),
                Err(error) => return self.count(error).await.map(|()| None),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(None);
        }
        if let Some(error) = error {
            self.count(error).await?;
        }
        Ok(None)
    }

    /// One more failure; waits before the next attempt, or gives up.
    async fn count(&mut self, error: Error) -> Result<()> {
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            return Err(self.inner.explain(error).await);
        }
        tokio::time::sleep(Duration::from_millis(50 << self.failures)).await;
        Ok(())
    }

    /// There is no such command any more.
    async fn missing(&mut self) -> Result<Raw> {
        match self.inner.look().await {
            Some(error) => Err(error),
            // Its session was deleted.
            None => Ok(Raw::End(None)),
        }
    }
}

#[async_trait]
impl Wire for Logs {
    async fn next(&mut self) -> Result<Raw> {
        loop {
            if let Some((stream, bytes)) = self.pieces.pop_front() {
                return Ok(Raw::Output(stream, bytes));
            }
            let Some(socket) = &mut self.socket else {
                match self.inner.toolbox.logs(&self.session, &self.command).await {
                    Ok(Some(socket)) => {
                        self.socket = Some(socket);
                        self.skip = self.seen;
                    }
                    Ok(None) => return self.missing().await,
                    Err(error) => self.count(error).await?,
                }
                continue;
            };
            match socket.next().await {
                Ok(message) => self.take(message),
                Err(end) => {
                    let error = match end {
                        // In due form: 1000, or no code at all.
                        End::Closed(closed) if matches!(closed.code, 1000 | 1005) => None,
                        End::Closed(closed) => Some(
                            vibekit_http::Failure::new(
                                vibekit_http::Reason::Broken,
                                format!("the stream was closed with code {}", closed.code),
                            )
                            .into_error(WHO),
                        ),
                        End::Broken(failure) => Some(failure.into_error(WHO)),
                    };
                    if let Some(raw) = self.broken(error).await? {
                        return Ok(raw);
                    }
                }
            }
        }
    }
}

/// Tells the two streams apart. Three bytes of value 1 begin standard output, three of value 2 standard error; they may
/// be cut anywhere.
#[derive(Debug)]
struct Marks {
    stream: Stream,
    /// The value of the bytes that may become a mark, and how many there are.
    begun: Option<(u8, usize)>,
}

impl Default for Marks {
    /// Servers that do not mark give both as one.
    fn default() -> Self {
        Self { stream: Stream::Stdout, begun: None }
    }
}

const LENGTH: usize = 3;

impl Marks {
    /// Pieces of one stream that follow each other become one.
    fn push(&mut self, bytes: &Bytes, pieces: &mut VecDeque<(Stream, Bytes)>) {
        let mut run = BytesMut::new();
        let mut at = 0;
        while at < bytes.len() {
            if let Some((value, count)) = self.begun {
                if bytes[at] == value {
                    at += 1;
                    if count + 1 < LENGTH {
                        self.begun = Some((value, count + 1));
                        continue;
                    }
                    self.begun = None;
                    let stream = if value == 1 { Stream::Stdout } else { Stream::Stderr };
                    if stream != self.stream {
                        flush(self.stream, &mut run, pieces);
                        self.stream = stream;
                    }
                    continue;
                }
                // It was output.
                self.begun = None;
                run.extend_from_slice(&[value; LENGTH][..count]);
            }
            match memchr2(1, 2, &bytes[at..]) {
                Some(length) => {
                    run.extend_from_slice(&bytes[at..at + length]);
                    at += length;
                    self.begun = Some((bytes[at], 1));
                    at += 1;
                }
                None => {
                    if run.is_empty() {
                        // Nothing to put together, nothing to copy.
                        pieces.push_back((self.stream, bytes.slice(at..)));
                        return;
                    }
                    run.extend_from_slice(&bytes[at..]);
                    at = bytes.len();
                }
            }
        }
        flush(self.stream, &mut run, pieces);
    }
}

fn flush(stream: Stream, run: &mut BytesMut, pieces: &mut VecDeque<(Stream, Bytes)>) {
    if !run.is_empty() {
        pieces.push_back((stream, run.split().freeze()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(frames: impl IntoIterator<Item = Vec<u8>>) -> [Vec<u8>; 2] {
        let (mut marks, mut pieces, mut streams) =
            (Marks::default(), VecDeque::new(), [Vec::new(), Vec::new()]);
        for frame in frames {
            marks.push(&frame.into(), &mut pieces);
        }
        for (stream, bytes) in pieces {
            streams[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
        }
        streams
    }

    #[test]
    fn streams_are_told_apart() {
        let log = b"\x01\x01\x01one\n\x02\x02\x02err\n\x01\x01\x01two\n\x01\x01\x01three\n".to_vec();
        assert_eq!(split([log]), [b"one\ntwo\nthree\n".to_vec(), b"err\n".to_vec()]);
        assert_eq!(split([b"without marks".to_vec()])[0], b"without marks");
        assert_eq!(
            split([b"a\x01b\x02\x02c\x01\x01\x02\x02\x02d".to_vec()]),
            [b"a\x01b\x02\x02c\x01\x01".to_vec(), b"d".to_vec()]
        );
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(
            log in proptest::collection::vec(0u8..4, 0..60),
            cuts in proptest::collection::vec(0usize..60, 0..8),
        ) {
            // A mark that never gets whole is held back for ever in both; an end makes them comparable.
            let log = [&log[..], b"\x03"].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(log.len())).collect();
            cuts.extend([0, log.len()]);
            cuts.sort_unstable();
            let frames = cuts.windows(2).map(|pair| log[pair[0]..pair[1]].to_vec());
            prop_assert_eq!(split(frames), split([log.clone()]));
        }
    }
}
