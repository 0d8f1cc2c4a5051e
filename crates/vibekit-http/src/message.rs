use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::Failure;

/// A request, whole in memory.
#[derive(Clone)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Absolute URL. Never holds a secret: URLs are logged by everybody on the way.
    pub url: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; empty is none.
    pub body: Bytes,
    /// How long to wait for what.
    pub limits: Limits,
    /// Repeating it does no harm, so [`crate::Retry`] may. True for GET, HEAD and DELETE unless said otherwise.
    pub repeatable: bool,
    /// The first header whose value no header can have. It is reported when the request is sent.
    invalid: Option<HeaderName>,
}

impl Request {
    /// A request without body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        let repeatable = matches!(method, Method::GET | Method::HEAD | Method::DELETE);
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limits: Limits::default(),
            repeatable,
            invalid: None,
        }
    }

    /// Adds a header. One whose value no header can have (a line break in a key, say) is reported when it is sent.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        match HeaderValue::from_str(value.as_ref()) {
            Ok(value) => {
                self.headers.append(name, value);
            }
            Err(_) => {
                self.invalid.get_or_insert(name);
            }
        }
        self
    }

    /// Adds a header that is a secret: it is not shown by `Debug`.
    #[must_use]
    pub fn secret(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        self = self.header(name.clone(), value);
        if let http::header::Entry::Occupied(mut entry) = self.headers.entry(name) {
            entry.iter_mut().for_each(|value| value.set_sensitive(true));
        }
        self
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(mut self, value: &serde_json::Value) -> Self {
        self.body = value.to_string().into();
        self.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// Sets a body of another type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }

    /// Sets the limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Says whether repeating does no harm.
    #[must_use]
    pub const fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = repeatable;
        self
    }

    pub(crate) fn invalid_header(&self) -> Option<&HeaderName> {
        self.invalid.as_ref()
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// How long to wait for what. There is no way to wait for ever for an answer; a body without an end (a stream that is
/// watched by its reader) has `idle: None` and `total: None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until the head of the answer is there, connecting included. Default 30 s.
    pub first_byte: Duration,
    /// Between two pieces of the body. Default 60 s.
    pub idle: Option<Duration>,
    /// For the whole exchange, body included. Default 5 min.
    pub total: Option<Duration>,
    /// Bytes of a body that [`crate::Transport::fetch`] reads at most. Default 64 MiB.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(30),
            idle: Some(Duration::from_secs(60)),
            total: Some(Duration::from_secs(300)),
            body: 64 << 20,
        }
    }
}

/// An answer whose body is still coming.
pub struct Streaming {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Box<dyn Body>,
}

impl std::fmt::Debug for Streaming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streaming").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A body in pieces. Back-pressure is the pull: nothing is read ahead of it but what the connection buffers.
#[async_trait]
pub trait Body: Send {
    /// The next piece, `None` after the last. Cancel-safe.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure>;
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Response {
    /// The body as JSON, if it is.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
