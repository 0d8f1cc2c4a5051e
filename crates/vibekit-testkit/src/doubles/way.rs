//! A way to a server in this process, on which requests and answers are cut, late, lost and repeated by plan.
//!
//! It stands in for the real client, so it keeps the limits a request has. Nothing on it takes real time: with a paused clock ten
//! thousand conversations take seconds. [`super::faults`] does the same to real connections.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body as Content, Bytes, HttpBody};
use axum::http::{self, Response};
use tokio::time::Instant;
use vibekit_http::{
    Body, Failure, HeaderMap, HeaderValue, Limit, Limits, Reason, Request, StatusCode, Streaming, Transport,
    header,
};

/// What goes wrong with one request. Bytes are those of the answer's body that still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// No connection.
    Refused,
    /// The connection breaks before the request has arrived.
    CutUp,
    /// The request is carried out; the connection breaks before the answer's head.
    Lost,
    /// The connection breaks after so many bytes.
    CutDown(usize),
    /// Silence for so long after so many bytes; nothing is lost.
    Stall(usize, Duration),
    /// Silence for ever after so many bytes.
    Silent(usize),
    /// The answer's head is late.
    Late(Duration),
    /// The request arrives late, whether or not somebody still waits.
    Delayed(Duration),
    /// A request that may be repeated is, on the way: it is carried out twice. Others are not, as no proxy does that
    /// (RFC 9110, section 9.2.2).
    Twice,
    /// Something on the way answers with a status and a page for browsers.
    Page(u16),
    /// Something on the way answers 429 with `Retry-After` in seconds.
    Busy(u64),
    /// The body arrives in pieces of so many bytes.
    Pieces(usize),
}

/// What is decided about a request before it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// How long it is under way.
    pub latency: Duration,
    /// What goes wrong.
    pub trouble: Trouble,
}

/// A request, and what became of it.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Body of the request.
    pub body: Bytes,
    /// What went wrong with it.
    pub trouble: Trouble,
    /// What arrived of the answer's body.
    pub received: Vec<u8>,
    /// The whole of the answer's body has arrived.
    pub whole: bool,
}

type Answer = Pin<Box<dyn Future<Output = io::Result<Response<Content>>> + Send>>;
type Server = Arc<dyn Fn(http::Request<Content>) -> Answer + Send + Sync>;
type Plan = Box<dyn Fn(usize, &Request) -> Fate + Send + Sync>;

/// The way.
pub struct Way {
    server: Server,
    plan: Plan,
    passages: Arc<Mutex<Vec<Passage>>>,
}

impl Way {
    /// A way to a server. The plan is asked about every request, with its number.
    pub fn new<F>(
        server: impl Fn(http::Request<Content>) -> F + Send + Sync + 'static,
        plan: impl Fn(usize, &Request) -> Fate + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = io::Result<Response<Content>>> + Send + 'static,
    {
        let server: Server = Arc::new(move |request| Box::pin(server(request)));
        Arc::new(Self { server, plan: Box::new(plan), passages: Arc::default() })
    }

    /// Every request so far, in the order in which they were sent.
    #[must_use]
    pub fn passages(&self) -> Vec<Passage> {
        lock(&self.passages).clone()
    }

    fn note(&self, request: &Request, trouble: impl FnOnce(usize) -> Trouble) -> usize {
        let path = request.url.split("://").nth(1).and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        let mut passages = lock(&self.passages);
        let number = passages.len();
        passages.push(Passage {
            method: request.method.to_string(),
            path: path.unwrap_or("/").to_owned(),
            body: request.body.clone(),
            trouble: trouble(number),
            received: Vec::new(),
            whole: false,
        });
        number
    }

    /// Carried out, whether or not somebody waits for it.
    fn carry(
        &self,
        request: &Request,
        after: Duration,
    ) -> tokio::task::JoinHandle<io::Result<Response<Content>>> {
        let mut asked = http::Request::builder().method(request.method.clone()).uri(&request.url);
        if let Some(headers) = asked.headers_mut() {
            headers.clone_from(&request.headers);
        }
        let asked = asked.body(Content::from(request.body.clone()));
        let server = Arc::clone(&self.server);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            server(asked.map_err(io::Error::other)?).await
        })
    }
}

fn lock(passages: &Mutex<Vec<Passage>>) -> MutexGuard<'_, Vec<Passage>> {
    passages.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken() -> Failure {
    Failure::new(Reason::Broken, "the connection broke off")
}

fn answered(status: u16, retry_after: Option<u64>) -> Streaming {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let body = Page(Some(Bytes::from_static(b"<html><body>Something went wrong.</body></html>")));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    Streaming { status, headers, body: Box::new(body) }
}

#[async_trait]
impl Transport for Way {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        let mut latency = Duration::ZERO;
        let number = self.note(&request, |number| {
            let fate = (self.plan)(number, &request);
            latency = fate.latency;
            fate.trouble
        });
        let trouble = lock(&self.passages)[number].trouble;
        let begin = Instant::now();
        let Limits { first_byte, idle, total, .. } = request.limits;
        let first_byte = total.map_or(first_byte, |total| total.min(first_byte));
        let head = async {
            match trouble {
                Trouble::Refused => {
                    tokio::time::sleep(latency).await;
                    return Err(Failure::new(Reason::Connect, "cannot connect: refused"));
                }
                Trouble::CutUp => {
                    tokio::time::sleep(latency).await;
                    return Err(broken());
                }
                Trouble::Page(status) => {
                    tokio::time::sleep(latency).await;
                    return Ok(answered(status, None));
                }
                Trouble::Busy(seconds) => {
                    tokio::time::sleep(latency).await;
                    return Ok(answered(429, Some(seconds)));
                }
                Trouble::Twice if request.repeatable => {
                    let _ = self.carry(&request, latency).await;
                }
                _ => {}
            }
            let delay = if let Trouble::Delayed(delay) = trouble { delay } else { Duration::ZERO };
            let answer = self.carry(&request, latency + delay).await;
            let answer = answer.ok().and_then(Result::ok).ok_or_else(broken)?;
            match trouble {
                Trouble::Lost => return Err(broken()),
                Trouble::Late(delay) => tokio::time::sleep(delay).await,
                _ => {}
            }
            let (parts, content) = answer.into_parts();
            let incoming = Incoming {
                content,
                passages: Arc::clone(&self.passages),
                number,
                trouble,
                at: 0,
                rest: Bytes::new(),
                stalled: None,
                idle,
                end: total.map(|total| (begin + total, total)),
            };
            Ok(Streaming { status: parts.status, headers: parts.headers, body: Box::new(incoming) })
        };
        tokio::time::timeout(first_byte, head).await.unwrap_or_else(|_| {
            Err(Failure::new(
                Reason::Timeout(Limit::FirstByte(first_byte)),
                format!("no answer within {} ms", first_byte.as_millis()),
            ))
        })
    }
}

struct Page(Option<Bytes>);

#[async_trait]
impl Body for Page {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.0.take())
    }
}

struct Incoming {
    content: Content,
    passages: Arc<Mutex<Vec<Passage>>>,
    number: usize,
    trouble: Trouble,
    /// Bytes that were let through.
    at: usize,
    /// Came from the server, and is not let through yet.
    rest: Bytes,
    /// When a stall is over.
    stalled: Option<Instant>,
    idle: Option<Duration>,
    end: Option<(Instant, Duration)>,
}

impl Incoming {
    /// How many more bytes get through before it happens.
    fn left(&self) -> Option<usize> {
        match self.trouble {
            Trouble::CutDown(bytes) | Trouble::Stall(bytes, _) | Trouble::Silent(bytes) => {
                Some(bytes.saturating_sub(self.at))
            }
            _ => None,
        }
    }

    /// Cancel-safe: what was read is kept in `rest`.
    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.left() == Some(0) {
            match self.trouble {
                Trouble::CutDown(_) => return Err(broken().admitted()),
                Trouble::Stall(_, pause) => {
                    let until = *self.stalled.get_or_insert_with(|| Instant::now() + pause);
                    tokio::time::sleep_until(until).await;
                    self.trouble = Trouble::None;
                }
                _ => std::future::pending().await,
            }
        }
        while self.rest.is_empty() {
            let content = Pin::new(&mut self.content);
            let mut content = content;
            let frame = std::future::poll_fn(|context| content.as_mut().poll_frame(context)).await;
            match frame {
                None => {
                    lock(&self.passages)[self.number].whole = true;
                    return Ok(None);
                }
                Some(Err(_)) => return Err(broken().admitted()),
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
            }
        }
        let mut most = self.rest.len();
        if let Some(left) = self.left() {
            most = most.min(left);
        }
        if let Trouble::Pieces(bytes) = self.trouble {
            most = most.min(bytes.max(1));
        }
        let piece = self.rest.split_to(most);
        self.at += piece.len();
        lock(&self.passages)[self.number].received.extend_from_slice(&piece);
        Ok(Some(piece))
    }
}

#[async_trait]
impl Body for Incoming {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let idle = self.idle.map(|idle| (Instant::now() + idle, Limit::Idle(idle)));
        let total = self.end.map(|(end, total)| (end, Limit::Total(total)));
        let limit = idle.into_iter().chain(total).min_by_key(|(at, _)| *at);
        match limit {
            None => self.piece().await,
            Some((at, limit)) => tokio::time::timeout_at(at, self.piece()).await.unwrap_or_else(|_| {
                let text = format!("the answer stopped: limit {}", limit.name());
                Err(Failure::new(Reason::Timeout(limit), text).admitted())
            }),
        }
    }
}
