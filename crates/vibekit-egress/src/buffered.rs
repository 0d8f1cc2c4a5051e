//! A connection with bytes that were read and not used yet.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client that got its answer may keep sending before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(1);
/// Size of one direction's buffer while bytes are copied.
pub(crate) const COPY_BUFFER: usize = 16 * 1024;

pub(crate) struct Buffered {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: BytesMut,
}

/// Why nothing could be read off.
#[derive(Debug)]
pub(crate) enum ReadError<E> {
    /// The parser refused.
    Parse(E),
    /// More than the parser may need.
    TooLong,
    /// The peer ended or broke off.
    Ended,
}

impl Buffered {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Reads until the parser has what it wants, at most `most` bytes. The parser says how many bytes it used up;
    /// the rest stays.
    pub(crate) async fn read<T, E>(
        &mut self,
        most: usize,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) -> Result<T, ReadError<E>> {
        loop {
            if !self.buffer.is_empty()
                && let Some((found, used)) = parse(&self.buffer).map_err(ReadError::Parse)?
            {
                let _ = self.buffer.split_to(used);
                return Ok(found);
            }
            if self.buffer.len() >= most {
                return Err(ReadError::TooLong);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(ReadError::Ended),
            }
        }
    }

    /// Sends a last message and closes. Waits a moment for the peer to end, since closing while its bytes are under
    /// way would take the message back.
    pub(crate) async fn farewell(mut self, message: &[u8]) {
        let _ = timeout(LINGER, async {
            self.stream.write_all(message).await?;
            self.stream.shutdown().await?;
            drain(&mut self.stream).await
        })
        .await;
    }

    /// Copies both ways until both sides have ended, or one failed. An end of one side is passed on to the other.
    pub(crate) async fn relay(mut self, mut other: Self) -> io::Result<()> {
        other.stream.write_all(&self.buffer).await?;
        self.stream.write_all(&other.buffer).await?;
        drop((self.buffer, other.buffer));
        tokio::io::copy_bidirectional_with_sizes(
            &mut self.stream,
            &mut other.stream,
            COPY_BUFFER,
            COPY_BUFFER,
        )
        .await?;
        Ok(())
    }
}

/// Reads to the end and keeps nothing.
pub(crate) async fn drain(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<()> {
    let mut scratch = [0; 1024];
    while from.read(&mut scratch).await? > 0 {}
    Ok(())
}

/// Runs a step that depends on the client within a limit; `None` when it was not done in time.
pub(crate) async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Option<T> {
    timeout(limit, step).await.ok()
}
