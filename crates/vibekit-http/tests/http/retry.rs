//! What is repeated, how often and when. The clock is virtual.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use vibekit_core::Admitted;
use vibekit_http::{
    Backoff, Body, Failure, HeaderMap, HeaderValue, Limit, Method, Reason, Request, Retry, StatusCode,
    Streaming, Transport, header, in_doubt,
};

#[derive(Clone)]
enum Outcome {
    Status(u16, Option<&'static str>),
    Fails(Failure),
    /// The head, and a body that breaks.
    Half,
}

struct Rest(VecDeque<Result<Bytes, Failure>>);

#[async_trait]
impl Body for Rest {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.0.pop_front().transpose()
    }
}

fn broken() -> Failure {
    Failure::new(Reason::Broken, "the connection broke off")
}

/// Gives what it is told, the last again and again, and keeps what it was asked.
struct Script {
    outcomes: Mutex<VecDeque<Outcome>>,
    asked: Arc<Mutex<Vec<Bytes>>>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        self.asked.lock().unwrap().push(request.body);
        let mut outcomes = self.outcomes.lock().unwrap();
        let outcome = if outcomes.len() > 1 { outcomes.pop_front() } else { outcomes.front().cloned() };
        let body = |pieces: Vec<Result<Bytes, Failure>>| Box::new(Rest(pieces.into())) as Box<dyn Body>;
        match outcome.unwrap() {
            Outcome::Fails(failure) => Err(failure),
            Outcome::Half => {
                let pieces = vec![Ok(Bytes::from_static(b"ha")), Err(broken().admitted())];
                Ok(Streaming { status: StatusCode::OK, headers: HeaderMap::new(), body: body(pieces) })
            }
            Outcome::Status(status, after) => {
                let mut headers = HeaderMap::new();
                if let Some(after) = after {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from_static(after));
                }
                let status = StatusCode::from_u16(status).unwrap();
                Ok(Streaming { status, headers, body: body(vec![Ok(Bytes::from_static(b"whole"))]) })
            }
        }
    }
}

fn script(outcomes: Vec<Outcome>) -> (Retry<Script>, Arc<Mutex<Vec<Bytes>>>) {
    let asked = Arc::default();
    let script = Script { outcomes: Mutex::new(outcomes.into()), asked: Arc::clone(&asked) };
    (Retry::new(script, Backoff::default()).with_chance(|| 1.0), asked)
}

fn request(repeatable: bool) -> Request {
    Request::new(Method::POST, "http://x").body("text/plain", "the body").repeatable(repeatable)
}

/// How often it was asked, and how long that took.
async fn tried(outcome: Outcome, repeatable: bool) -> (usize, Duration) {
    let (retry, asked) = script(vec![outcome]);
    let begin = Instant::now();
    let _ = retry.send(request(repeatable)).await;
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|body| body == "the body"));
    (asked.len(), begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_is_repeated() {
    let fails = |reason| Outcome::Fails(Failure::new(reason, "x"));
    let second = Duration::from_secs(1);
    let known = Outcome::Fails(Failure { admitted: Admitted::No, ..broken() });
    // The outcome, then how often it is asked for: what must not be done twice, and what may.
    let table = [
        ("no connection", fails(Reason::Connect), 4, 4),
        ("no connection in time", fails(Reason::Timeout(Limit::Connect(second))), 4, 4),
        ("no answer in time", fails(Reason::Timeout(Limit::FirstByte(second))), 1, 1),
        ("silence", fails(Reason::Timeout(Limit::Idle(second))), 1, 1),
        ("broken", fails(Reason::Broken), 1, 4),
        ("broken before it was sent", known, 4, 4),
        ("TLS", fails(Reason::Tls), 1, 1),
        ("invalid", fails(Reason::Invalid), 1, 1),
        ("too large", fails(Reason::TooLarge), 1, 1),
        ("429", Outcome::Status(429, None), 1, 4),
        ("429, later", Outcome::Status(429, Some("3")), 4, 4),
        ("429, much later", Outcome::Status(429, Some("21")), 1, 1),
        ("429, some day", Outcome::Status(429, Some("Fri, 01 Jan 2100 00:00:00 GMT")), 1, 4),
        ("503", Outcome::Status(503, None), 1, 4),
        ("503, later", Outcome::Status(503, Some("3")), 4, 4),
        ("502", Outcome::Status(502, None), 1, 4),
        ("504", Outcome::Status(504, None), 1, 4),
        ("500", Outcome::Status(500, None), 1, 1),
        ("404", Outcome::Status(404, None), 1, 1),
        ("200", Outcome::Status(200, None), 1, 1),
    ];
    for (name, outcome, once, often) in table {
        assert_eq!(tried(outcome.clone(), false).await.0, once, "{name}, not repeatable");
        assert_eq!(tried(outcome, true).await.0, often, "{name}, repeatable");
    }
}

#[tokio::test(start_paused = true)]
async fn the_pauses_grow_and_the_other_side_has_a_say() {
    let refused = Outcome::Fails(Failure::new(Reason::Connect, "x"));
    let near = |took: Duration, ms: u64| took.abs_diff(Duration::from_millis(ms)) < Duration::from_millis(20);
    let (_, took) = tried(refused.clone(), false).await;
    assert!(near(took, 250 + 500 + 1000), "{took:?}");
    let (_, took) = tried(Outcome::Status(429, Some("3")), false).await;
    assert!(near(took, 3 * 3000), "{took:?}");
    // By chance only ever shorter, by half at most.
    let (retry, _) = script(vec![refused.clone()]);
    let begin = Instant::now();
    let _ = retry.with_chance(|| 0.0).send(request(false)).await;
    assert!(near(begin.elapsed(), (250 + 500 + 1000) / 2), "{:?}", begin.elapsed());
    let (retry, asked) = script(vec![refused]);
    drop(retry);
    let script =
        Script { outcomes: Mutex::new([Outcome::Status(503, None)].into()), asked: Arc::clone(&asked) };
    let backoff = Backoff { attempts: 9, most: Duration::from_secs(2), ..Backoff::default() };
    let begin = Instant::now();
    let _ = Retry::new(script, backoff).with_chance(|| 1.0).send(request(true)).await;
    assert_eq!(asked.lock().unwrap().len(), 9);
    assert!(near(begin.elapsed(), 250 + 500 + 1000 + 5 * 2000), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_it() {
    let (retry, asked) =
        script(vec![Outcome::Status(503, None), Outcome::Fails(broken()), Outcome::Status(200, None)]);
    let answer = retry.fetch(request(true)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, &b"whole"[..]));
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_asked_for_again_where_that_does_no_harm() {
    let (retry, asked) = script(vec![Outcome::Half, Outcome::Status(200, None)]);
    assert_eq!(retry.fetch(request(true)).await.unwrap().body, "whole");
    assert_eq!(asked.lock().unwrap().len(), 2);
    let (retry, asked) = script(vec![Outcome::Half, Outcome::Status(200, None)]);
    assert_eq!(retry.fetch(request(false)).await.unwrap_err().admitted, Admitted::Yes);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

/// A refusal says nothing about the attempts before it.
#[tokio::test(start_paused = true)]
async fn earlier_attempts_are_not_forgotten() {
    let refusal = || Outcome::Status(429, Some("60"));
    for (before, doubt) in [
        (Outcome::Fails(broken()), true),
        (Outcome::Status(504, None), true),
        (Outcome::Fails(Failure::new(Reason::Connect, "x")), false),
        (Outcome::Status(503, None), false),
    ] {
        let (retry, _) = script(vec![before, refusal()]);
        assert_eq!(in_doubt(&retry.send(request(true)).await.unwrap().headers), doubt);
    }
    let (retry, _) = script(vec![refusal()]);
    assert!(!in_doubt(&retry.send(request(true)).await.unwrap().headers));
    let (retry, _) =
        script(vec![Outcome::Fails(broken()), Outcome::Fails(Failure::new(Reason::Connect, "x"))]);
    assert_eq!(retry.send(request(true)).await.unwrap_err().admitted, Admitted::Unknown);
}
