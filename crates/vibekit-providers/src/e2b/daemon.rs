//! envd, the daemon in a sandbox.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use vibekit_core::Admitted;
use vibekit_http::{Body, Failure, HeaderName, Limits, Method, Request, Response, Transport, header};
use vibekit_sandbox::{Code, Error, Result, Stream};

use super::codec::{Batch, Broken, Decoder, Event, Failed, envelope};
use super::control::{Attached, Control, version};
use super::errors;

/// Seconds of silence after which the daemon shall say that it is there. Short, because the end of a command whose output is
/// held open is believed only when the stream is seen to have nothing left to say.
const KEEPALIVE: &str = "5";
/// Silence after which a stream is taken for dead. A daemon that does not do as it is asked says something every 90 s.
pub(super) const DEAD: Duration = Duration::from_secs(125);
/// For the daemon to say that it is there.
const HEALTH: Duration = Duration::from_secs(5);
/// Where the daemon listens.
const PORT: &str = "49983";

pub(super) struct Daemon {
    id: String,
    base: String,
    version: (u32, u32, u32),
    user: Option<String>,
    /// Every attachment gives a new one.
    token: Mutex<Option<String>>,
    way: Arc<dyn Transport>,
    request: Duration,
}

/// What is known of a sandbox whose stream broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Alive,
    /// The edge knows no running sandbox of this id.
    Gone,
    /// No answer.
    Unknown,
}

/// A command as the daemon takes it.
pub(super) struct Start {
    pub(super) program: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) stdin: bool,
    /// The daemon kills the main process then, whatever becomes of us.
    pub(super) lifetime: Option<Duration>,
    /// Another user than the sandbox's.
    pub(super) user: Option<&'static str>,
}

/// What a helper printed, and its exit code.
pub(super) struct Output {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why there is no stream.
pub(super) enum NoStream {
    /// The daemon said no.
    Refused(Error),
    /// There is no such process.
    NoProcess,
    /// The edge knows no running sandbox of this id.
    Gone,
    /// Nothing came, or something that makes no sense.
    Unanswered(Error),
}

impl NoStream {
    pub(super) fn into_error(self, id: &str) -> Error {
        match self {
            Self::Refused(error) | Self::Unanswered(error) => error,
            Self::NoProcess => {
                Error::new(Code::ProviderFailed, "E2B: there is no such process in the sandbox.")
            }
            Self::Gone => errors::gone(id),
        }
    }
}

/// The events of one process from now on.
pub(super) struct Events {
    body: Box<dyn Body>,
    decoder: Decoder,
    /// What has come and is not read yet. Kept here, so that whoever gives up waiting loses nothing.
    pieces: Vec<Bytes>,
    /// How the body ended, told once the pieces before it are read.
    end: Option<std::result::Result<(), String>>,
    /// When the last batch was given, and how many before it were less than a breath apart.
    last: Option<Instant>,
    streak: u32,
}

/// Bytes and pieces that are taken at once, if they are there.
const AT_ONCE: usize = 128 << 10;
const PIECES: usize = 512;
/// How long is waited for more where batches follow each other faster than this, and how many have to before it is.
const BREATH: Duration = Duration::from_millis(2);
const STREAK: u32 = 8;

/// How a stream went wrong.
pub(super) enum Fault {
    /// The connection broke off or ended where it must not.
    Broken(String),
    /// What came is not the protocol.
    Protocol(Broken),
}

impl Daemon {
    pub(super) fn new(control: &Control, attached: &Attached) -> Self {
        let options = control.options();
        let version = version(&attached.version);
        // Older daemons have no default user.
        let user = options.user.clone().or_else(|| (version < (0, 4, 0)).then(|| "user".to_owned()));
        Self {
            base: options.daemon_url(&attached.id, attached.domain.as_deref()),
            id: attached.id.clone(),
            token: Mutex::new(attached.token.clone()),
            way: Arc::clone(control.way()),
            request: options.request,
            version,
            user,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn version(&self) -> (u32, u32, u32) {
        self.version
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn set_token(&self, token: Option<String>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    pub(super) fn request(&self, method: Method, path: &str, user: Option<&str>) -> Request {
        let name = HeaderName::from_static;
        let mut request = Request::new(method, format!("{}{path}", self.base))
            .header(name("e2b-sandbox-id"), &self.id)
            .header(name("e2b-sandbox-port"), PORT)
            .header(header::ACCEPT, "application/json")
            .limits(Limits {
                first_byte: self.request,
                idle: Some(self.request),
                total: Some(self.request),
                ..Limits::default()
            });
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = token {
            request = request.secret(name("x-access-token"), token);
        }
        if let Some(user) = user.or(self.user.as_deref()) {
            request = request
                .header(header::AUTHORIZATION, format!("Basic {}", base64(format!("{user}:").as_bytes())));
        }
        request
    }

    /// Sends, and reads the whole answer.
    pub(super) async fn fetch(&self, request: Request) -> Result<Response> {
        self.way.fetch(request).await.map_err(errors::unanswered)
    }

    /// A call with one answer. `repeatable`: doing it twice does no harm.
    pub(super) async fn call(&self, path: &str, body: &Value, repeatable: bool) -> Result<Value> {
        let request = self
            .request(Method::POST, path, None)
            .json(body)
            .header(HeaderName::from_static("connect-protocol-version"), "1")
            .repeatable(repeatable);
        let response = self.fetch(request).await?;
        if response.status.is_success() {
            return response
                .json()
                .ok_or_else(|| errors::unreadable("the answer of the sandbox is not understood."));
        }
        Err(self.told(&response))
    }

    /// The error of an answer of the daemon or of the edge before it.
    fn told(&self, response: &Response) -> Error {
        if let Some(failed) = failed(response) {
            let code = failed.code.clone();
            return errors::failed(&failed, &self.id).with("connectCode", code);
        }
        match response.status.as_u16() {
            502 => errors::gone(&self.id),
            _ => errors::refused(response, errors::About::Sandbox(&self.id)),
        }
    }

    /// Starts a process and follows it.
    pub(super) async fn start(&self, start: &Start) -> Result<Events, NoStream> {
        let env: serde_json::Map<String, Value> =
            start.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut process = json!({ "cmd": start.program, "args": start.args, "envs": env });
        if let Some(cwd) = &start.cwd {
            process["cwd"] = json!(cwd);
        }
        let body = json!({ "process": process, "stdin": start.stdin });
        self.stream("/process.Process/Start", &body, start.lifetime, start.user).await
    }

    /// Follows a process from now on.
    pub(super) async fn connect(&self, pid: u32) -> Result<Events, NoStream> {
        self.stream("/process.Process/Connect", &json!({ "process": { "pid": pid } }), None, None).await
    }

    async fn stream(
        &self,
        path: &str,
        body: &Value,
        lifetime: Option<Duration>,
        user: Option<&str>,
    ) -> Result<Events, NoStream> {
        let name = HeaderName::from_static;
        let mut request = self
            .request(Method::POST, path, user)
            .body("application/connect+json", envelope(body.to_string().as_bytes()))
            .header(name("connect-protocol-version"), "1")
            .header(name("keepalive-ping-interval"), KEEPALIVE)
            .limits(Limits { first_byte: self.request, idle: None, total: None, ..Limits::default() });
        if let Some(lifetime) = lifetime {
            // At most ten digits; nobody waits for four months.
            let ms = lifetime.as_millis().clamp(1, 9_999_999_999);
            request = request.header(name("connect-timeout-ms"), ms.to_string());
        }
        let unanswered = |failure: Failure| NoStream::Unanswered(errors::unanswered(failure));
        let answer = self.way.send(request).await.map_err(unanswered)?;
        if answer.status.is_success() {
            return Ok(Events::new(answer.body));
        }
        let response = whole(answer).await;
        Err(match (response.status.as_u16(), failed(&response)) {
            (_, Some(failed)) if failed.code == "not_found" => NoStream::NoProcess,
            (_, Some(failed)) => NoStream::Refused(errors::failed(&failed, &self.id)),
            (502, None) => NoStream::Gone,
            (503 | 504, None) => NoStream::Unanswered(self.told(&response)),
            _ => NoStream::Refused(self.told(&response)),
        })
    }

    /// Runs a helper of ours to its end. What it prints is kept, so it has to be short.
    pub(super) async fn run(&self, start: &Start, limit: Duration) -> Result<Output> {
        let running = async {
            let mut events = self.start(start).await.map_err(|none| none.into_error(&self.id))?;
            let (_, mut batch) =
                events.begin(&self.id, self.request).await.map_err(|none| none.into_error(&self.id))?;
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            loop {
                for (stream, bytes) in batch.output.drain(..) {
                    match stream {
                        Stream::Stdout => stdout.extend_from_slice(&bytes),
                        Stream::Stderr => stderr.extend_from_slice(&bytes),
                    }
                }
                if let Some(Event::End(ended)) =
                    batch.events.iter().find(|event| matches!(event, Event::End(_)))
                {
                    let code = ended.exit_code;
                    if batch.last.is_none() {
                        let _ = tokio::time::timeout(Duration::from_millis(50), events.drain()).await;
                    }
                    return Ok(Output { code, stdout, stderr });
                }
                if let Some(Some(failed)) = &batch.last {
                    return Err(errors::failed(failed, &self.id));
                }
                batch = match events.next().await {
                    Ok(Some(batch)) => batch,
                    Ok(None) => return Err(errors::unreadable("a helper's stream ended early.")),
                    Err(Fault::Broken(problem)) => {
                        return Err(errors::unreadable(&format!("a helper's stream broke: {problem}.")));
                    }
                    Err(Fault::Protocol(broken)) => return Err(errors::unreadable(&format!("{broken}."))),
                };
            }
        };
        match tokio::time::timeout(limit, running).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(Error::new(Code::Timeout, "E2B: a helper command did not end in time.").retryable())
            }
        }
    }

    /// Whether the daemon is there.
    pub(super) async fn health(&self) -> Health {
        let request = self.request(Method::GET, "/health", None).repeatable(false).limits(Limits {
            first_byte: HEALTH,
            idle: Some(HEALTH),
            total: Some(HEALTH),
            ..Limits::default()
        });
        match self.way.fetch(request).await {
            Ok(response) if response.status.is_success() => Health::Alive,
            Ok(response) if response.status.as_u16() == 502 => Health::Gone,
            _ => Health::Unknown,
        }
    }

    /// Process ids of the running commands that carry this variable.
    pub(super) async fn find(&self, name: &str, value: &str) -> Result<Option<u32>> {
        let list = self.call("/process.Process/List", &json!({}), true).await?;
        let found = list["processes"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|one| one["config"]["envs"][name] == value);
        Ok(found.and_then(|one| one["pid"].as_u64()).and_then(|pid| u32::try_from(pid).ok()))
    }
}

/// The error of a unary call, if the answer is one of Connect's. The edge has numbers where Connect has words.
fn failed(response: &Response) -> Option<Failed> {
    let body = response.json()?;
    let code = body["code"].as_str()?.to_owned();
    Some(Failed { code, message: body["message"].as_str().unwrap_or_default().to_owned() })
}

/// Reads the body of an error, which is short; what breaks off or goes on is cut.
async fn whole(mut answer: vibekit_http::Streaming) -> Response {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(piece)) = answer.body.next().await {
            body.extend_from_slice(&piece);
            if body.len() > 64 << 10 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(HEALTH, reading).await;
    Response { status: answer.status, headers: answer.headers, body: body.into() }
}

impl Events {
    fn new(body: Box<dyn Body>) -> Self {
        Self { body, decoder: Decoder::default(), pieces: Vec::new(), end: None, last: None, streak: 0 }
    }

    /// What has come since the last call; waits if that is nothing. `Ok(None)`: the stream ended without saying so.
    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, Fault> {
        self.gather().await;
        if self.pieces.is_empty() {
            return match &self.end {
                Some(Err(problem)) => Err(Fault::Broken(problem.clone())),
                _ => Ok(None),
            };
        }
        let mut batch = Batch::default();
        batch.read_all(&mut self.decoder, self.pieces.drain(..)).map_err(Fault::Protocol)?;
        Ok(Some(batch))
    }

    /// Waits for a piece, and takes those along that are there as well: the daemon sends every line an agent writes as a
    /// message of its own, and what is done for a batch costs many times what a small message does. A stream that does not
    /// rest is read in breaths.
    async fn gather(&mut self) {
        // A call that was given up has left some: whoever gives up again and again shall have them in the end.
        if !self.pieces.is_empty() || self.end.is_some() {
            return;
        }
        let piece = self.body.next().await;
        self.came(piece);
        let now = Instant::now();
        self.streak =
            if self.last.is_some_and(|last| now - last < BREATH) { self.streak.saturating_add(1) } else { 0 };
        let breathes = self.streak >= STREAK;
        let mut breath = std::pin::pin!(tokio::time::sleep_until(now + BREATH));
        let mut bytes: usize = self.pieces.iter().map(Bytes::len).sum();
        while self.end.is_none() && bytes < AT_ONCE && self.pieces.len() < PIECES {
            let piece = if breathes {
                tokio::select! {
                    biased;
                    piece = self.body.next() => piece,
                    () = &mut breath => break,
                }
            } else {
                // The connection hands over one piece, and the next when it has its turn again.
                tokio::task::yield_now().await;
                match self.body.next().now_or_never() {
                    Some(piece) => piece,
                    None => break,
                }
            };
            bytes += piece.as_ref().map_or(0, |piece| piece.as_ref().map_or(0, Bytes::len));
            self.came(piece);
        }
        self.last = Some(Instant::now());
    }

    fn came(&mut self, piece: std::result::Result<Option<Bytes>, Failure>) {
        match piece {
            Ok(Some(piece)) => self.pieces.push(piece),
            Ok(None) => self.end = Some(Ok(())),
            Err(failure) => self.end = Some(Err(failure.message)),
        }
    }

    /// The start, within `limit`, and what came with it.
    pub(super) async fn begin(&mut self, id: &str, limit: Duration) -> Result<(u32, Batch), NoStream> {
        let lost = |problem: &str| {
            let mut error =
                Error::new(Code::ProviderFailed, format!("E2B: the stream of the command broke: {problem}."));
            error.admitted = Some(Admitted::Unknown);
            error.retryable()
        };
        let first = async {
            loop {
                let batch = match self.next().await {
                    Ok(Some(batch)) => batch,
                    Ok(None) => {
                        return Err(NoStream::Unanswered(lost("it ended before the command started")));
                    }
                    Err(Fault::Broken(problem)) => return Err(NoStream::Unanswered(lost(&problem))),
                    Err(Fault::Protocol(broken)) => return Err(NoStream::Unanswered(lost(&broken.0))),
                };
                if let Some(Event::Start(pid)) = batch.events.first() {
                    return Ok((*pid, batch));
                }
                match &batch.last {
                    Some(Some(failed)) if failed.code == "not_found" => return Err(NoStream::NoProcess),
                    Some(Some(failed)) if failed.code == "unavailable" => {
                        return Err(NoStream::Unanswered(errors::failed(failed, id)));
                    }
                    Some(Some(failed)) => return Err(NoStream::Refused(errors::failed(failed, id))),
                    Some(None) => {
                        return Err(NoStream::Unanswered(lost("it ended before the command started")));
                    }
                    None if batch.events.is_empty() && batch.output.is_empty() => {}
                    None => {
                        return Err(NoStream::Refused(errors::unreadable(
                            "a command began with something else than its start.",
                        )));
                    }
                }
            }
        };
        match tokio::time::timeout(limit, first).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let mut error = Error::new(Code::Timeout, "E2B: the command did not start in time.").with(
                    "limit",
                    json!({ "name": "start", "ms": u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }),
                );
                error.admitted = Some(Admitted::Unknown);
                Err(NoStream::Unanswered(error.retryable()))
            }
        }
    }

    /// Reads to the end, so that the connection can be used again.
    pub(super) async fn drain(mut self) {
        while let Ok(Some(_)) = self.body.next().await {}
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use async_trait::async_trait;
    use vibekit_http::Reason;

    use super::*;

    /// Hands over its pieces one by one, `None` where there is nothing yet, and then ends as it is told.
    struct Pieces(VecDeque<Option<Bytes>>, Option<Failure>);

    #[async_trait]
    impl Body for Pieces {
        async fn next(&mut self) -> std::result::Result<Option<Bytes>, Failure> {
            match self.0.pop_front() {
                Some(Some(piece)) => Ok(Some(piece)),
                Some(None) => {
                    // A while, for whoever does not wait.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    Ok(self.0.pop_front().flatten())
                }
                None => self.1.take().map_or(Ok(None), Err),
            }
        }
    }

    fn message(text: &str) -> Bytes {
        envelope(format!(r#"{{"event":{{"data":{{"stdout":"{}"}}}}}}"#, base64(text.as_bytes())).as_bytes())
    }

    fn written(batch: &Batch) -> String {
        batch.output.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_comes_at_once() {
        let mut pieces: VecDeque<_> = (0..100).map(|number| Some(message(&format!("{number}\n")))).collect();
        pieces.push_back(None);
        pieces.push_back(Some(message("late\n")));
        let mut events = Events::new(Box::new(Pieces(pieces, None)));
        let first = events.next().await.ok().flatten().unwrap_or_default();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!((first.output.len(), written(&first)), (1, expected));
    }

    /// A piece at each second look.
    struct Trickle(u32, bool);

    #[async_trait]
    impl Body for Trickle {
        async fn next(&mut self) -> std::result::Result<Option<Bytes>, Failure> {
            self.1 = !self.1;
            if self.1 {
                tokio::task::yield_now().await;
            }
            let Some(left) = self.0.checked_sub(1) else { return Ok(None) };
            self.0 = left;
            Ok(Some(message(&format!("{left} "))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_does_not_rest_comes_in_few_batches() {
        let mut events = Events::new(Box::new(Trickle(5000, false)));
        let (mut batches, mut all) = (0, String::new());
        while let Ok(Some(batch)) = events.next().await {
            batches += 1;
            all.push_str(&written(&batch));
        }
        assert_eq!(all, (0..5000).rev().map(|number| format!("{number} ")).collect::<String>());
        assert!(batches < 30, "{batches}");
    }

    /// A piece every so often.
    struct Paced(Instant, Duration);

    #[async_trait]
    impl Body for Paced {
        async fn next(&mut self) -> std::result::Result<Option<Bytes>, Failure> {
            tokio::time::sleep_until(self.0).await;
            self.0 += self.1;
            Ok(Some(message("x")))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_back_where_there_is_rest() {
        let (begun, rest) = (Instant::now(), Duration::from_millis(5));
        let mut events = Events::new(Box::new(Paced(begun, rest)));
        for number in 0..50 {
            let batch = events.next().await.ok().flatten().unwrap_or_default();
            assert_eq!(written(&batch), "x");
            assert!(begun.elapsed() <= rest * number + Duration::from_millis(1), "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_break_is_told_after_what_came_before_it() {
        let pieces = VecDeque::from([Some(message("one")), Some(message("two"))]);
        let broken = Failure::new(Reason::Broken, "reset".to_owned());
        let mut events = Events::new(Box::new(Pieces(pieces, Some(broken))));
        let batch = events.next().await.ok().flatten().unwrap_or_default();
        assert_eq!(written(&batch), "onetwo");
        for _ in 0..2 {
            assert!(matches!(events.next().await, Err(Fault::Broken(problem)) if problem == "reset"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_loses_nothing() {
        let pieces: VecDeque<_> = (0..50).map(|number| Some(message(&format!("{number} ")))).collect();
        let mut events = Events::new(Box::new(Pieces(pieces, None)));
        let mut all = String::new();
        loop {
            // Each time it is given up at the first chance.
            match events.next().now_or_never() {
                None => {}
                Some(Ok(Some(batch))) => all.push_str(&written(&batch)),
                Some(_) => break,
            }
        }
        assert_eq!(all, (0..50).map(|number| format!("{number} ")).collect::<String>());
    }
}
