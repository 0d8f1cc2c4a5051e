use std::error::Error as _;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{NoProxy, Proxy, redirect};
use vibekit_core::{Error, Result};

use crate::message::Body;
use crate::{Failure, Limit, Reason, Request, Settings, Streaming, Transport, tls};

/// The real transport. Connections are pooled per client; dropping it closes them.
///
/// It speaks HTTP/1.1 and nothing else: every exchange in flight has a connection of its own, so that a dead one ends one
/// exchange, and a server's limit on streams per connection stops nobody.
pub struct Client {
    client: reqwest::Client,
    connect: Duration,
}

impl Client {
    /// A client. Must be called within a tokio runtime or before its first use in one.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` that names the environment variable at fault (a proxy's URL, a file of certificates).
    pub fn new(settings: &Settings) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(settings)?)
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.connect)
            .tcp_keepalive(Duration::from_secs(30))
            // Shorter than what load balancers keep idle connections open for.
            .pool_idle_timeout(Duration::from_secs(50))
            .redirect(redirect::Policy::limited(5))
            .referer(false)
            .no_proxy();
        for proxy in proxies(settings)? {
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| {
            Error::invalid(
                "TLS",
                format!("cannot be set up: {}", chain(&error)),
                "Check the certificates of this machine.",
            )
        })?;
        Ok(Self { client, connect: settings.connect })
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let message = chain(error);
        if error.is_connect() {
            // A connection that took too long is one that was not made.
            if error.is_timeout() {
                return Failure::new(
                    Reason::Timeout(Limit::Connect(self.connect)),
                    format!("no connection within {} ms", self.connect.as_millis()),
                );
            }
            let reason = if tls::is_tls(error) { Reason::Tls } else { Reason::Connect };
            return Failure::new(reason, format!("cannot connect: {message}"));
        }
        if error.is_builder() {
            return Failure::new(Reason::Invalid, format!("cannot be asked: {message}"));
        }
        Failure::new(Reason::Broken, format!("the connection broke off: {message}"))
    }
}

fn proxies(settings: &Settings) -> Result<Vec<Proxy>> {
    let Some(excluded) = settings.excluded() else { return Ok(Vec::new()) };
    let mut proxies = Vec::new();
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        let Some(url) = settings.variable(name) else { continue };
        let proxy = match name {
            "HTTPS_PROXY" => Proxy::https(&url),
            "HTTP_PROXY" => Proxy::http(&url),
            _ => Proxy::all(&url),
        };
        // The value is not repeated: it may hold a password.
        let proxy = proxy.map_err(|_| {
            Error::invalid(name, "is no URL of a proxy", "Set it to http://host:port, or unset it.")
        })?;
        proxies.push(proxy.no_proxy(NoProxy::from_string(&excluded)));
    }
    Ok(proxies)
}

/// The innermost sentences say what happened; URLs are left out, they may be long and are known to the caller.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        let sentence = error.to_string();
        if !text.contains(&sentence) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&sentence);
        }
        source = error.source();
    }
    if text.is_empty() { "no reason given".to_owned() } else { text }
}

#[async_trait]
impl Transport for Client {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        if let Some(name) = request.invalid_header() {
            return Err(Failure::new(
                Reason::Invalid,
                format!("the value for the header {name} holds characters no header can have"),
            ));
        }
        let Request { method, url, headers, body, limits, .. } = request;
        let mut sending = self.client.request(method, url).headers(headers);
        if !body.is_empty() {
            sending = sending.body(body);
        }
        let begin = Instant::now();
        let first_byte = limits.total.map_or(limits.first_byte, |total| total.min(limits.first_byte));
        let answer = match tokio::time::timeout(first_byte, sending.send()).await {
            Ok(answer) => answer.map_err(|error| self.failure(&error))?,
            Err(_) => {
                return Err(Failure::new(
                    Reason::Timeout(Limit::FirstByte(first_byte)),
                    format!("no answer within {} ms", first_byte.as_millis()),
                ));
            }
        };
        let status = answer.status();
        let headers = answer.headers().clone();
        let body =
            Incoming { answer, idle: limits.idle, end: limits.total.map(|total| (begin + total, total)) };
        Ok(Streaming { status, headers, body: Box::new(body) })
    }
}

struct Incoming {
    answer: reqwest::Response,
    idle: Option<Duration>,
    end: Option<(Instant, Duration)>,
}

impl Incoming {
    /// How long to wait for the next piece, and which limit that is.
    fn limit(&self) -> Option<(Duration, Limit)> {
        let idle = self.idle.map(|idle| (idle, Limit::Idle(idle)));
        let total =
            self.end.map(|(end, total)| (end.saturating_duration_since(Instant::now()), Limit::Total(total)));
        match (idle, total) {
            (Some(idle), Some(total)) => Some(if total.0 < idle.0 { total } else { idle }),
            (idle, total) => idle.or(total),
        }
    }
}

#[async_trait]
impl Body for Incoming {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let limit = self.limit();
        let chunk = self.answer.chunk();
        let chunk = match limit {
            None => chunk.await,
            Some((wait, limit)) => match tokio::time::timeout(wait, chunk).await {
                Ok(chunk) => chunk,
                Err(_) => {
                    let message = format!(
                        "the answer stopped: limit {} of {} ms",
                        limit.name(),
                        limit.duration().as_millis()
                    );
                    return Err(Failure::new(Reason::Timeout(limit), message).admitted());
                }
            },
        };
        chunk.map_err(|error| {
            Failure::new(Reason::Broken, format!("the answer broke off: {}", chain(&error))).admitted()
        })
    }
}
