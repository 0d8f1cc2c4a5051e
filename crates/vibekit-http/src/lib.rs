//! HTTP for everything that talks to a service: one [`Transport`], and what belongs around it.
//!
//! * [`Client`] is the real one, on reqwest: proxies, additional certificate authorities, limits on every wait.
//! * [`Retry`] repeats what may be repeated. [`Redact`] keeps secrets out of failures.
//!
//! A transport does not judge status codes: 404 and 503 are answers. It fails with a [`Failure`], which tells whether the
//! request can have reached the other side, because that decides if the caller may repeat it.

#![forbid(unsafe_code)]

mod client;
mod failure;
mod message;
mod redact;
mod retry;
mod settings;
mod tls;
mod ws;

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

pub use client::Client;
pub use failure::{Failure, Limit, Reason};
pub use message::{Body, Limits, Request, Response, Streaming};
pub use redact::Redact;
pub use retry::{Backoff, Retry, in_doubt, retry_after};
pub use settings::{Lookup, Settings};
pub use tls::client_config;
pub use ws::{Closed, End, Message, Opening, Socket, Sockets, WsClient, WsLimits, WsRequest};

use async_trait::async_trait;

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends, and returns when the head of the answer is there. The body is read through [`Streaming::body`].
    ///
    /// # Errors
    ///
    /// When no answer came. Every status is an answer.
    async fn send(&self, request: Request) -> Result<Streaming, Failure>;

    /// Sends, and reads the whole body.
    ///
    /// # Errors
    ///
    /// Like [`Transport::send`]; also when the body breaks off or is larger than [`Limits::body`].
    async fn fetch(&self, request: Request) -> Result<Response, Failure> {
        let most = request.limits.body;
        let Streaming { status, headers, mut body } = self.send(request).await?;
        let mut whole = Vec::new();
        while let Some(chunk) = body.next().await? {
            if whole.len() + chunk.len() > most {
                return Err(Failure::new(
                    Reason::TooLarge,
                    format!("the answer is larger than {most} bytes"),
                )
                .admitted());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body: whole.into() })
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for std::sync::Arc<T> {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        (**self).send(request).await
    }

    async fn fetch(&self, request: Request) -> Result<Response, Failure> {
        (**self).fetch(request).await
    }
}
