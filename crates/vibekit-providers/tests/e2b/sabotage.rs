//! Does the fault suite bite? Each test breaks the way between client and service as a faulty client would, and wants to see it
//! noticed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use vibekit_core::Admitted;
use vibekit_http::{Body, Failure, HeaderMap, Method, Reason, Request, StatusCode, Streaming, Transport};

use crate::faults::{Wrong, clock, conversation, places, record};

/// What is done to a request, and to its answer.
trait Saboteur: Send + Sync + 'static {
    fn before(&self, request: &Request) -> Option<Streaming> {
        let _ = request;
        None
    }

    fn after(&self, request: &Request, answer: Streaming) -> Streaming {
        let _ = request;
        answer
    }

    fn failed(&self, request: &Request, failure: Failure) -> Failed {
        let _ = request;
        Failed::So(failure)
    }
}

/// What is made of a failure.
enum Failed {
    So(Failure),
    Again,
    Never,
}

struct Sabotaged<S> {
    way: Arc<dyn Transport>,
    saboteur: Arc<S>,
}

#[async_trait]
impl<S: Saboteur> Transport for Sabotaged<S> {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        if let Some(answer) = self.saboteur.before(&request) {
            return Ok(answer);
        }
        match self.way.send(request.clone()).await {
            Ok(answer) => Ok(self.saboteur.after(&request, answer)),
            Err(failure) => match self.saboteur.failed(&request, failure) {
                Failed::So(failure) => Err(failure),
                Failed::Again => self.way.send(request).await,
                Failed::Never => std::future::pending().await,
            },
        }
    }
}

/// Plays until something is noticed, and wants it to be what was broken.
#[track_caller]
fn noticed<S: Saboteur>(signs: &[&str], saboteur: S) {
    const CONVERSATIONS: u64 = 1_500;
    let saboteur = Arc::new(saboteur);
    let plain = |way: Arc<dyn Transport>| way;
    let sabotaged = move |way: Arc<dyn Transport>| -> Arc<dyn Transport> {
        Arc::new(Sabotaged { way, saboteur: Arc::clone(&saboteur) })
    };
    let clock = clock();
    let found = clock.block_on(async {
        let places = places(&record(&plain).await);
        for seed in 0..CONVERSATIONS {
            if let Err(Wrong(what)) = conversation(seed, &places, &sabotaged).await {
                return Some(what);
            }
        }
        None
    });
    let found = found.unwrap_or_else(|| panic!("{CONVERSATIONS} conversations did not notice {signs:?}"));
    assert!(signs.iter().any(|sign| found.contains(sign)), "noticed something else than {signs:?}: {found}");
}

struct Nothing;

#[async_trait]
impl Body for Nothing {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(None)
    }
}

fn answer(status: StatusCode) -> Streaming {
    Streaming { status, headers: HeaderMap::new(), body: Box::new(Nothing) }
}

fn path(request: &Request) -> &str {
    request.url.strip_prefix("http://double").unwrap_or_default()
}

#[test]
fn a_kill_that_is_not_sent() {
    struct It;
    impl Saboteur for It {
        fn before(&self, request: &Request) -> Option<Streaming> {
            (request.method == Method::DELETE).then(|| answer(StatusCode::NO_CONTENT))
        }
    }
    noticed(&["It was killed, and is there"], It);
}

#[test]
fn a_lost_answer_that_is_called_a_lost_request() {
    struct It;
    impl Saboteur for It {
        fn failed(&self, _: &Request, failure: Failure) -> Failed {
            Failed::So(Failure { admitted: Admitted::No, ..failure })
        }
    }
    noticed(&["is called not taken on", "Left behind", "It was started 2 times"], It);
}

#[test]
fn a_failure_that_is_waited_out() {
    struct It;
    impl Saboteur for It {
        fn failed(&self, _: &Request, failure: Failure) -> Failed {
            match failure.reason {
                Reason::Timeout(_) => Failed::Never,
                _ => Failed::So(failure),
            }
        }
    }
    noticed(&["hangs"], It);
}

#[test]
fn a_command_that_is_started_again() {
    struct It;
    impl Saboteur for It {
        fn failed(&self, request: &Request, failure: Failure) -> Failed {
            if path(request) == "/process.Process/Start" { Failed::Again } else { Failed::So(failure) }
        }
    }
    noticed(&["It was started 2 times"], It);
}

/// Without a piece of output, where it has one.
struct Without(Box<dyn Body>, bool);

#[async_trait]
impl Body for Without {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let piece = self.0.next().await?;
            let output = piece.as_ref().is_some_and(|piece| piece.windows(6).any(|part| part == b"stdout"));
            if !output || std::mem::replace(&mut self.1, true) {
                return Ok(piece);
            }
        }
    }
}

#[test]
fn output_that_is_lost_without_a_word() {
    struct It;
    impl Saboteur for It {
        fn after(&self, request: &Request, answer: Streaming) -> Streaming {
            if path(request) != "/process.Process/Start" {
                return answer;
            }
            Streaming { body: Box::new(Without(answer.body, false)), ..answer }
        }
    }
    noticed(&["A gap that is not told"], It);
}

#[test]
fn a_sandbox_that_is_called_gone() {
    struct It;
    impl Saboteur for It {
        fn after(&self, request: &Request, reply: Streaming) -> Streaming {
            let about = request.method == Method::GET && path(request).starts_with("/sandboxes/");
            if about { answer(StatusCode::NOT_FOUND) } else { reply }
        }
    }
    noticed(&["is called gone"], It);
}
