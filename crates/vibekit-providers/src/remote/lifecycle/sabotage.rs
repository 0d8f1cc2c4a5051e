//! Does the suite bite? Each sabotage breaks what a provider relies on in one known way, and has to be noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use vibekit_http::{
    Body, Bytes, End, Failure, HeaderMap, Message, Method, Opening, Request, Socket, Sockets, StatusCode,
    Streaming, Transport, WsRequest,
};
use vibekit_testkit::doubles::Memory;

use super::{Cloud, life};

/// Lives in which it has to be noticed.
const LIVES: u64 = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// What is to be deleted stays, and is said to be gone.
    KeepDeleted,
    /// What was made without an answer is not found again.
    HideMade,
    /// Every tenth message of a command is lost.
    LoseMessages,
    /// Every seventh request is never answered.
    NeverAnswer,
    /// Commands that stop others are not carried out, sessions not deleted, and both is said to be done.
    StopNothing,
}

/// Plays lives until one does not go as it must, and wants that to be what was broken.
pub(crate) async fn noticed(cloud: &dyn Cloud, sabotage: Sabotage, signs: &[&str]) {
    for seed in 0..LIVES {
        if let Err(what) = life(cloud, seed, Some(sabotage)).await {
            let meant = signs.iter().any(|sign| what.contains(sign));
            assert!(meant, "{sabotage:?} was noticed as something else than {signs:?}: {what}");
            return;
        }
    }
    panic!("{LIVES} lives did not notice {sabotage:?}");
}

struct Tampered {
    inner: Arc<Memory>,
    sabotage: Sabotage,
    count: Arc<AtomicU64>,
}

impl Sabotage {
    /// The way, tampered with or not.
    pub(super) fn of(sabotage: Option<Self>, way: Arc<Memory>) -> (Arc<dyn Transport>, Arc<dyn Sockets>) {
        match sabotage {
            None => (way.clone(), way),
            Some(sabotage) => {
                let tampered = Arc::new(Tampered { inner: way, sabotage, count: Arc::default() });
                (tampered.clone(), tampered)
            }
        }
    }
}

struct Said(Option<Bytes>);

#[async_trait]
impl Body for Said {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.0.take())
    }
}

fn said(status: StatusCode, text: &'static str) -> Streaming {
    Streaming {
        status,
        headers: HeaderMap::new(),
        body: Box::new(Said(Some(Bytes::from_static(text.as_bytes())))),
    }
}

#[async_trait]
impl Transport for Tampered {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        let stops = || request.body.windows(6).any(|bytes| bytes == b"look()");
        match self.sabotage {
            Sabotage::KeepDeleted if request.method == Method::DELETE => Ok(said(StatusCode::OK, "{}")),
            Sabotage::HideMade if request.url.contains("?labels=") => Ok(said(StatusCode::OK, "[]")),
            Sabotage::NeverAnswer if self.count.fetch_add(1, Ordering::Relaxed) % 7 == 6 => {
                std::future::pending().await
            }
            Sabotage::StopNothing
                if request.method == Method::DELETE && request.url.contains("/session/") =>
            {
                Ok(said(StatusCode::NO_CONTENT, ""))
            }
            Sabotage::StopNothing if stops() => {
                Ok(said(StatusCode::OK, r#"{ "exitCode": 0, "result": "stopped 1 sh/\n" }"#))
            }
            _ => self.inner.send(request).await,
        }
    }
}

#[async_trait]
impl Sockets for Tampered {
    async fn open(&self, request: WsRequest) -> Result<Opening, Failure> {
        match self.inner.open(request).await? {
            Opening::Open(inner) if self.sabotage == Sabotage::LoseMessages => {
                Ok(Opening::Open(Box::new(Lossy { inner, count: Arc::clone(&self.count) })))
            }
            opening => Ok(opening),
        }
    }
}

struct Lossy {
    inner: Box<dyn Socket>,
    count: Arc<AtomicU64>,
}

#[async_trait]
impl Socket for Lossy {
    async fn next(&mut self) -> Result<Message, End> {
        loop {
            let message = self.inner.next().await?;
            if self.count.fetch_add(1, Ordering::Relaxed) % 10 != 9 {
                return Ok(message);
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.inner.send(message).await
    }

    async fn close(&mut self) {
        self.inner.close().await;
    }
}
