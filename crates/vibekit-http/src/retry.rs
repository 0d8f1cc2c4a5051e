use std::ops::ControlFlow;
use std::time::Duration;

use async_trait::async_trait;
use vibekit_core::Admitted;

use crate::{
    Failure, HeaderMap, HeaderName, HeaderValue, Reason, Request, Response, StatusCode, Streaming, Transport,
    header,
};

/// How often and when to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Times in all. Default 4.
    pub attempts: u32,
    /// Before the second time; doubled each time. Default 250 ms.
    pub first: Duration,
    /// At most. Also the longest `Retry-After` that is waited for; a longer one is the caller's to know. Default 20 s.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 4, first: Duration::from_millis(250), most: Duration::from_secs(20) }
    }
}

impl Backoff {
    /// The pause before attempt `next` (2 is the first repetition), without what the server asks for. `chance` is from 0
    /// to 1.
    fn pause(&self, next: u32, chance: f64) -> Duration {
        // Half fixed, half by chance, so that many clients that failed together do not come back together.
        let whole = self.first.saturating_mul(1 << next.saturating_sub(2).min(16)).min(self.most);
        whole / 2 + whole.mul_f64(chance / 2.0)
    }
}

/// From 0 to 1. Needs no quality, only that processes differ.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // A `RandomState` is seeded by the system.
    (RandomState::new().hash_one(0u8) >> 11) as f64 / (1u64 << 53) as f64
}

/// Repeats what may be repeated: a request that never reached the other side; one that it said it did not take on
/// (429, 503 with `Retry-After`); and, if the request is marked as repeatable, broken connections, 429, 502, 503 and 504.
pub struct Retry<T> {
    inner: T,
    backoff: Backoff,
    chance: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl<T: Transport> Retry<T> {
    /// Around a transport.
    pub fn new(inner: T, backoff: Backoff) -> Self {
        Self { inner, backoff, chance: Box::new(chance) }
    }

    /// Takes chance, from 0 to 1, from here: a test that is to be repeated brings its own.
    #[must_use]
    pub fn with_chance(mut self, chance: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.chance = Box::new(chance);
        self
    }

    /// The pause, if this outcome is worth another attempt.
    fn again(
        &self,
        next: u32,
        repeatable: bool,
        outcome: Result<(StatusCode, &HeaderMap), &Failure>,
    ) -> Option<Duration> {
        if next > self.backoff.attempts {
            return None;
        }
        let pause = self.backoff.pause(next, (self.chance)());
        match outcome {
            Ok((status, headers)) => {
                let asked = retry_after(headers);
                let refused = match status {
                    StatusCode::TOO_MANY_REQUESTS => repeatable || asked.is_some(),
                    StatusCode::SERVICE_UNAVAILABLE => repeatable || asked.is_some(),
                    StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => repeatable,
                    _ => false,
                };
                let pause = asked.map_or(pause, |asked| asked.max(pause));
                (refused && pause <= self.backoff.most).then_some(pause)
            }
            Err(failure) => {
                let worth = match failure.reason {
                    Reason::Connect => true,
                    Reason::Broken => repeatable || failure.admitted == Admitted::No,
                    Reason::Timeout(_) => failure.admitted == Admitted::No,
                    Reason::Invalid | Reason::Tls | Reason::TooLarge => false,
                };
                worth.then_some(pause)
            }
        }
    }
}

/// `Retry-After` in seconds. The form with a date is not read: it needs the other side's clock to be right.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Marks an answer before which the same request may have been taken on already. The other side does not send it.
const DOUBT: HeaderName = HeaderName::from_static("vibekit-earlier-attempt");

/// Whether an earlier attempt of the request that got this answer may have been taken on: a refusal then says nothing about
/// it.
#[must_use]
pub fn in_doubt(headers: &HeaderMap) -> bool {
    headers.contains_key(DOUBT)
}

/// What became of the attempts before this one.
#[derive(Clone, Copy, Default)]
struct Past {
    doubt: bool,
}

impl Past {
    fn add(&mut self, outcome: Result<(StatusCode, &HeaderMap), &Failure>) {
        self.doubt |= match outcome {
            // A gateway may have passed it on before it gave up.
            Ok((status, _)) => matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT),
            Err(failure) => failure.admitted != Admitted::No,
        };
    }

    fn tell(self, headers: &mut HeaderMap) {
        headers.remove(DOUBT);
        if self.doubt {
            headers.insert(DOUBT, HeaderValue::from_static("unknown"));
        }
    }

    fn weaken(self, mut failure: Failure) -> Failure {
        if self.doubt && failure.admitted == Admitted::No {
            failure.admitted = Admitted::Unknown;
        }
        failure
    }
}

/// An answer, whole or still coming.
trait Head {
    fn status(&self) -> StatusCode;
    fn headers(&mut self) -> &mut HeaderMap;
}

impl Head for Streaming {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn headers(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}

impl Head for Response {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn headers(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}

/// The attempts of one request.
#[derive(Default)]
struct Attempts {
    made: u32,
    past: Past,
}

impl Attempts {
    /// What came of the next attempt: the pause before another, or what the caller gets.
    fn judge<T: Transport, A: Head>(
        &mut self,
        retry: &Retry<T>,
        repeatable: bool,
        mut outcome: Result<A, Failure>,
    ) -> ControlFlow<Result<A, Failure>, Duration> {
        self.made += 1;
        let seen = match &mut outcome {
            Ok(answer) => Ok((answer.status(), &*answer.headers())),
            Err(failure) => Err(&*failure),
        };
        if let Some(pause) = retry.again(self.made + 1, repeatable, seen) {
            self.past.add(seen);
            return ControlFlow::Continue(pause);
        }
        if let Ok(answer) = &mut outcome {
            self.past.tell(answer.headers());
        }
        ControlFlow::Break(outcome.map_err(|failure| self.past.weaken(failure)))
    }
}

#[async_trait]
impl<T: Transport> Transport for Retry<T> {
    async fn send(&self, request: Request) -> Result<Streaming, Failure> {
        let mut attempts = Attempts::default();
        loop {
            let outcome = self.inner.send(request.clone()).await;
            match attempts.judge(self, request.repeatable, outcome) {
                ControlFlow::Break(outcome) => return outcome,
                ControlFlow::Continue(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// An answer that breaks off in its body is repeated like one that does before.
    async fn fetch(&self, request: Request) -> Result<Response, Failure> {
        let mut attempts = Attempts::default();
        loop {
            let outcome = self.inner.fetch(request.clone()).await;
            match attempts.judge(self, request.repeatable, outcome) {
                ControlFlow::Break(outcome) => return outcome,
                ControlFlow::Continue(pause) => tokio::time::sleep(pause).await,
            }
        }
    }
}
