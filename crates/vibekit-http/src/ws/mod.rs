//! WebSockets (RFC 6455), with the same rules as the HTTP side: limits on every wait, proxies, one TLS configuration.

mod dial;
mod socket;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

pub use dial::WsClient;

use crate::{Failure, Response};

/// What is asked to open a WebSocket.
#[derive(Clone)]
pub struct WsRequest {
    /// `ws:`, `wss:`, `http:` or `https:`. Never holds a secret: URLs are logged by everybody on the way.
    pub url: String,
    /// Headers of the opening handshake.
    pub headers: HeaderMap,
    /// How long to wait for what.
    pub limits: WsLimits,
}

impl WsRequest {
    /// To a URL, with no headers of its own.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: HeaderMap::new(), limits: WsLimits::default() }
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// When no header can have the value; the value is not repeated.
    pub fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Failure> {
        let mut header = HeaderValue::from_str(value).map_err(|_| {
            Failure::new(
                crate::Reason::Invalid,
                format!("the value for the header {name} holds characters no header can have"),
            )
        })?;
        header.set_sensitive(true);
        self.headers.append(name, header);
        Ok(self)
    }
}

impl std::fmt::Debug for WsRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WsRequest")
            .field("url", &self.url)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WsLimits {
    /// Until the handshake is done, connecting included. Default 30 s.
    pub open: Duration,
    /// A ping goes out after this long without any. Default 20 s.
    pub ping: Duration,
    /// Silence, pongs included, after which the other side counts as gone. Default 60 s.
    pub idle: Duration,
    /// Bytes of a message that are taken at most. Default 64 MiB.
    pub message: usize,
}

impl Default for WsLimits {
    fn default() -> Self {
        Self {
            open: Duration::from_secs(30),
            ping: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            message: 64 << 20,
        }
    }
}

/// What opening one gave.
pub enum Opening {
    /// The socket.
    Open(Box<dyn Socket>),
    /// The server answered as to any request, with another status than 101.
    Refused(Response),
}

/// A message. Pings, pongs and fragments are dealt with below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// What it holds, of either kind.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// How the other side closed: its code (1005 when it gave none) and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// RFC 6455, section 7.4.
    pub code: u16,
    /// Perhaps empty.
    pub reason: String,
}

/// An open WebSocket.
#[async_trait]
pub trait Socket: Send {
    /// The next message. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The end is one, in due form or not.
    async fn next(&mut self) -> Result<Message, End>;
    /// Sends a message, waiting until the connection has taken it.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    async fn send(&mut self, message: Message) -> Result<(), Failure>;
    /// Says goodbye without waiting for an answer. Idempotent; failures do not matter any more.
    async fn close(&mut self);
}

/// Why no further message comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side closed in due form.
    Closed(Closed),
    /// The connection broke off, or a limit was reached.
    Broken(Failure),
}

/// Opens WebSockets.
#[async_trait]
pub trait Sockets: Send + Sync + 'static {
    /// Opens one.
    ///
    /// # Errors
    ///
    /// When no answer to the handshake came.
    async fn open(&self, request: WsRequest) -> Result<Opening, Failure>;
}
