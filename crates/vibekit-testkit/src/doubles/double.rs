//! What a double is, apart from how it is reached.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

/// A request.
#[derive(Clone, Debug, Serialize)]
pub struct Ask {
    /// `GET`, `POST` …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Decoded; of equal names the last.
    pub query: BTreeMap<String, String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Bytes, in the log as JSON or text.
    #[serde(serialize_with = "readable")]
    pub body: Bytes,
}

fn readable<S: serde::Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => value.serialize(serializer),
        Err(_) => String::from_utf8_lossy(body).serialize(serializer),
    }
}

impl Ask {
    /// A header, empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON, `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The segments of the path.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Content type.
    pub content_type: &'static str,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// A JSON body.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self { status, content_type: "application/json", body: value.to_string().into() }
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, body: body.into() }
    }

    /// Without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: "text/plain", body: Bytes::new() }
    }
}

/// A message over a WebSocket, or how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// UTF-8.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// The closing handshake.
    Close(u16, String),
    /// The connection breaks off.
    Cut,
}

/// The double's end of a WebSocket.
pub struct Line {
    /// To the client. The socket is cut when this is dropped without a [`Frame::Close`].
    pub send: mpsc::Sender<Frame>,
    /// From the client. Ends when it is gone.
    pub receive: mpsc::Receiver<Frame>,
}

/// A service's double. Requests come in by whatever way; see [`super::serve`] and [`super::Memory`].
#[async_trait]
pub trait Double: Send + Sync + 'static {
    /// Answers a request.
    async fn answer(&self, ask: Ask) -> Answer;
    /// Judges the opening of a WebSocket: an answer refuses it; otherwise the double talks over the line for as long as it
    /// wants (in a task of its own).
    fn socket(&self, ask: Ask, line: Line) -> Result<(), Answer>;
    /// The requests that were made.
    fn log(&self) -> &RequestLog;
    /// What is still there of all that was made: an empty list is what tests want.
    fn leftovers(&self) -> Vec<String>;
}

/// The requests that were made, the opening of WebSockets included.
#[derive(Debug, Default)]
pub struct RequestLog(Mutex<Vec<Ask>>);

impl RequestLog {
    /// Adds one.
    pub fn push(&self, ask: &Ask) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ask.clone());
    }

    /// All since the last call.
    pub fn take(&self) -> Vec<Ask> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
