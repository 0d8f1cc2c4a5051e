//! Doubles without sockets, on a way that loses, delays and repeats at the command of a seed. With a paused clock ten
//! thousand lives of sandboxes take seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use vibekit_http::{
    Body, Closed, End, Failure, HeaderMap, Limit, Message, Opening, Reason, Request, Response, Socket,
    Sockets, StatusCode, Streaming, Transport, WsRequest,
};

use super::double::{Answer, Ask, Double, Frame, Line};
use crate::Rng;

/// How often something goes wrong, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Odds {
    /// A request.
    pub request: u64,
    /// A WebSocket.
    pub socket: u64,
}

/// The way to a double.
pub struct Memory {
    double: Arc<dyn Double>,
    rng: Mutex<Rng>,
    odds: Odds,
    tally: Mutex<BTreeMap<&'static str, u64>>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy)]
enum Trouble {
    Refused,
    Lost,
    Late,
    Unavailable,
    Broken,
    Busy,
    Slow,
}

impl Memory {
    /// A way to a double.
    #[must_use]
    pub fn new(double: Arc<dyn Double>, seed: u64, odds: Odds) -> Arc<Self> {
        Arc::new(Self { double, rng: Mutex::new(Rng::new(seed)), odds, tally: Mutex::default() })
    }

    fn roll(&self, below: u64) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).below(below)
    }

    fn count(&self, what: &'static str) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// What went wrong, and how often.
    pub fn tally(&self) -> BTreeMap<&'static str, u64> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.roll(1000) >= self.odds.request {
            return None;
        }
        let all = [
            (Trouble::Refused, "connection refused"),
            (Trouble::Lost, "answer lost"),
            (Trouble::Late, "done later than waited for"),
            (Trouble::Unavailable, "503"),
            (Trouble::Broken, "500"),
            (Trouble::Busy, "429"),
            (Trouble::Slow, "slow"),
        ];
        let (trouble, name) = all[usize::try_from(self.roll(all.len() as u64)).unwrap_or(0)];
        self.count(name);
        Some(trouble)
    }
}

fn headers(map: &HeaderMap) -> BTreeMap<String, String> {
    map.iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

fn ask(method: &str, url: &str, map: &HeaderMap, body: Bytes) -> Ask {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut headers = headers(map);
    headers.insert("host".to_owned(), host.to_owned());
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect();
    Ask { method: method.to_owned(), path: path.to_owned(), query, headers, body }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

struct Whole(Option<Bytes>);

#[async_trait]
impl Body for Whole {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.0.take().filter(|bytes| !bytes.is_empty()))
    }
}

fn streaming(answer: Answer) -> Streaming {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Streaming { status, headers: HeaderMap::new(), body: Box::new(Whole(Some(answer.body))) }
}

#[async_trait]
impl Transport for Memory {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        let ask = ask(request.method.as_str(), &request.url, &request.headers, request.body);
        let limit = request.limits.first_byte;
        let late = || {
            Failure::new(
                Reason::Timeout(Limit::FirstByte(limit)),
                format!("no answer within {} ms", limit.as_millis()),
            )
        };
        // The network between: everything takes a moment, so that a request can be given up on its way.
        tokio::time::sleep(Duration::from_millis(1 + self.roll(5))).await;
        match self.trouble() {
            None => {}
            Some(Trouble::Refused) => return Err(Failure::new(Reason::Connect, "cannot connect: refused")),
            Some(Trouble::Lost) => {
                self.double.answer(ask).await;
                return Err(Failure::new(Reason::Broken, "the connection broke off"));
            }
            Some(Trouble::Late) => {
                let (double, after) = (Arc::clone(&self.double), Duration::from_millis(self.roll(20_000)));
                tokio::spawn(async move {
                    tokio::time::sleep(limit + after).await;
                    double.answer(ask).await;
                });
                tokio::time::sleep(limit).await;
                return Err(late());
            }
            Some(Trouble::Unavailable) => {
                return Ok(streaming(Answer::json(503, &serde_json::json!({ "message": "unavailable" }))));
            }
            Some(Trouble::Broken) => {
                return Ok(streaming(Answer::json(500, &serde_json::json!({ "message": "internal" }))));
            }
            Some(Trouble::Busy) => {
                return Ok(streaming(Answer::json(429, &serde_json::json!({ "message": "slow down" }))));
            }
            Some(Trouble::Slow) => tokio::time::sleep(Duration::from_millis(self.roll(20_000))).await,
        }
        // A request that was sent is carried out, whether or not somebody waits for it.
        let double = Arc::clone(&self.double);
        let answering = tokio::spawn(async move { double.answer(ask).await });
        match tokio::time::timeout(limit, answering).await {
            Ok(Ok(answer)) => Ok(streaming(answer)),
            Ok(Err(_)) => Err(Failure::new(Reason::Broken, "the double panicked")),
            Err(_) => Err(late()),
        }
    }
}

/// What goes wrong with a WebSocket after some frames.
#[derive(Clone, Copy)]
enum Ending {
    Cut,
    Silence,
}

struct Wire {
    incoming: mpsc::Receiver<Frame>,
    outgoing: Option<mpsc::Sender<Frame>>,
    ending: Option<(u64, Ending)>,
    idle: Duration,
}

#[async_trait]
impl Socket for Wire {
    async fn next(&mut self) -> Result<Message, End> {
        match &mut self.ending {
            Some((0, Ending::Cut)) => {
                self.outgoing = None;
                self.incoming.close();
                return Err(End::Broken(Failure::new(Reason::Broken, "the connection broke off").admitted()));
            }
            Some((0, Ending::Silence)) => {
                tokio::time::sleep(self.idle).await;
                let failure = Failure::new(Reason::Timeout(Limit::Idle(self.idle)), "nothing was heard");
                return Err(End::Broken(failure.admitted()));
            }
            _ => {}
        }
        let frame = self.incoming.recv().await;
        if let Some((left, _)) = &mut self.ending {
            *left -= 1;
        }
        match frame {
            Some(Frame::Text(text)) => Ok(Message::Text(text.into())),
            Some(Frame::Binary(bytes)) => Ok(Message::Binary(bytes)),
            Some(Frame::Close(code, reason)) => Err(End::Closed(Closed { code, reason })),
            Some(Frame::Cut) | None => {
                Err(End::Broken(Failure::new(Reason::Broken, "the connection broke off").admitted()))
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Failure> {
        let broken = || Failure::new(Reason::Broken, "the connection broke off").admitted();
        let frame = match message {
            Message::Text(text) => Frame::Text(String::from_utf8_lossy(&text).into_owned()),
            Message::Binary(bytes) => Frame::Binary(bytes),
        };
        self.outgoing.as_ref().ok_or_else(broken)?.send(frame).await.map_err(|_| broken())
    }

    async fn close(&mut self) {
        self.outgoing = None;
    }
}

#[async_trait]
impl Sockets for Memory {
    async fn open(&self, request: WsRequest) -> Result<Opening, Failure> {
        tokio::time::sleep(Duration::from_millis(1 + self.roll(5))).await;
        let wrong = self.roll(1000) < self.odds.socket;
        let kind = if wrong { self.roll(4) } else { u64::MAX };
        let ending = match kind {
            0 => {
                self.count("WebSocket refused");
                return Err(Failure::new(Reason::Connect, "cannot connect: refused"));
            }
            1 => {
                self.count("WebSocket answered with 503");
                let body = Bytes::from_static(br#"{"message":"unavailable"}"#);
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(Opening::Refused(Response { status, headers: HeaderMap::new(), body }));
            }
            2 => {
                self.count("WebSocket cut");
                Some((self.roll(6), Ending::Cut))
            }
            3 => {
                self.count("WebSocket silent");
                Some((self.roll(6), Ending::Silence))
            }
            _ => None,
        };
        let ask = ask("GET", &request.url, &request.headers, Bytes::new());
        let (send, incoming) = mpsc::channel(16);
        let (outgoing, receive) = mpsc::channel(16);
        if let Err(answer) = self.double.socket(ask, Line { send, receive }) {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(Opening::Refused(Response { status, headers: HeaderMap::new(), body: answer.body }));
        }
        let idle = request.limits.idle;
        Ok(Opening::Open(Box::new(Wire { incoming, outgoing: Some(outgoing), ending, idle })))
    }
}
