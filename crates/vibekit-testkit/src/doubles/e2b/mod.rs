//! E2B's control plane and the daemon in its sandboxes (envd) on one port of loopback, without the sandboxes: commands run as
//! processes of this machine. For tests only.
//!
//! Clients are pointed at it by `E2B_API_URL` and `E2B_SANDBOX_URL`; the header `E2b-Sandbox-Id` (or a host
//! `49983-<id>.…`) says which sandbox a request of the daemon's is for. Below `/double` tests in other languages steer it; see
//! `World::steer`.
//!
//! What it is held to is what the official client and the published `@vibe-kit/e2b` take it for
//! (`__test__/providers/e2b`). Known differences from the real service: a command keeps running as the user of the double
//! whichever user is asked for; a login shell is started as a plain one, so that the machine's own profile does not matter; a
//! sandbox is a view of this machine with a few directories of its own, no machine.

mod control;
mod envd;
mod files;
mod frames;
mod played;
mod process;
mod room;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::Log;
use super::scripted::{Answer, Scripted};
pub use played::{Others, Performance, Program, Programs, Started};
use process::{Process, Table};
use room::Room;

/// Largest request.
const LARGEST: usize = 1 << 30;

/// How the double behaves.
#[derive(Clone)]
pub struct Options {
    /// Version of the daemon it tells. Default 0.6.13.
    pub envd_version: String,
    /// Whether it has the routes of the second version of the API. Default true.
    pub v2: bool,
    /// Running sandboxes an account may have. Default 100.
    pub most: usize,
    /// Hours a sandbox may be asked to live. Default 24.
    pub hours: i64,
    /// How long one second of the daemon's keepalive lasts. Default one second.
    pub keepalive_second: Duration,
    /// Whether the end of a process is told to those who come up to 30 s later, as newer daemons do. Default true.
    pub keeps_exits: bool,
    /// Whether each sandbox has a root, a home and a `/tmp` of its own; needs user namespaces, `unshare` and `nsenter`.
    /// Default true.
    pub isolated: bool,
    /// Adds white space and unknown fields to the daemon's messages. Default true.
    pub noise: bool,
    /// Plays programs instead of running them; files are kept in memory then. Default none.
    pub programs: Option<Arc<dyn Programs>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("envd_version", &self.envd_version).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            envd_version: "0.6.13".to_owned(),
            v2: true,
            most: 100,
            hours: 24,
            keepalive_second: Duration::from_secs(1),
            keeps_exits: true,
            isolated: true,
            noise: true,
            programs: None,
        }
    }
}

/// A running double. Dropping it closes its port and kills what runs in its sandboxes.
pub struct Double {
    addr: SocketAddr,
    world: Arc<World>,
    server: Option<AbortHandle>,
}

pub(crate) struct World {
    options: Options,
    log: Log,
    answers: Scripted,
    sandboxes: Mutex<HashMap<String, Arc<Place>>>,
    /// Holds `bin/sudo`, and a home for each sandbox. None where everything is played.
    folder: Option<tempfile::TempDir>,
    numbers: AtomicU64,
    /// Everything that was played, with its sandbox.
    history: Mutex<Vec<(String, Arc<Process>)>>,
    /// Every sandbox that was made, with its environment.
    made: Mutex<Vec<(String, BTreeMap<String, String>)>>,
}

/// One sandbox.
pub(crate) struct Place {
    id: String,
    template: String,
    token: Option<String>,
    metadata: Value,
    env: Vec<(String, String)>,
    room: Room,
    folder: PathBuf,
    /// Where programs are played, so are files.
    files: Mutex<BTreeMap<String, Bytes>>,
    started: SystemTime,
    auto_pause: bool,
    /// When it ends by itself; changing it wakes the task that waits for that.
    end: watch::Sender<tokio::time::Instant>,
    /// False while it is paused.
    awake: watch::Sender<bool>,
    /// Counts what breaks every stream: pauses and the end.
    breaks: watch::Sender<u64>,
    processes: Table,
}

impl Double {
    /// Starts on a free port.
    ///
    /// # Errors
    ///
    /// When no port or no temporary folder can be had.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let world = World::new(options, Some(tree::folder()?));
        let server = Some(tokio::spawn(serve(listener, Arc::clone(&world))).abort_handle());
        Ok(Self { addr, world, server })
    }

    /// One that plays its programs and listens nowhere: it is asked by [`Double::respond`].
    #[must_use]
    pub fn played(options: Options) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { addr, world: World::new(options, None), server: None }
    }

    /// Answers a request. An error stands for a connection that is closed without an answer.
    ///
    /// # Errors
    ///
    /// When the request cannot be read, or a scripted answer says so.
    pub async fn respond(&self, request: Request<Body>) -> io::Result<Response<Body>> {
        Arc::clone(&self.world).answer(request).await
    }

    /// Everything that was started and played, in its order.
    #[must_use]
    pub fn started(&self) -> Vec<Started> {
        self.world
            .history()
            .iter()
            .filter_map(|(sandbox, process)| played::started(sandbox, process))
            .collect()
    }

    /// Every sandbox that was ever made, with its environment.
    #[must_use]
    pub fn made(&self) -> Vec<(String, BTreeMap<String, String>)> {
        self.world.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base of its URLs, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it was asked.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.world.log
    }

    /// Scripts an answer.
    pub fn answer(&self, answer: Answer) {
        self.world.answers.add(answer);
    }

    /// Takes back what was scripted and not used.
    pub fn forget_answers(&self) {
        self.world.answers.clear();
    }

    /// Whether a sandbox is paused; false when there is none.
    #[must_use]
    pub fn is_paused(&self, id: &str) -> bool {
        self.world.place(id).is_some_and(|place| place.paused())
    }

    /// Ids of the sandboxes there are, paused ones included, sorted.
    #[must_use]
    pub fn sandboxes(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.world.sandboxes().keys().cloned().collect();
        ids.sort();
        ids
    }

    /// Processes that run in a sandbox.
    #[must_use]
    pub fn processes(&self, id: &str) -> Vec<u32> {
        if self.world.options.programs.is_some() {
            let started = self.started().into_iter();
            return started.filter(|one| one.sandbox == id && one.running).map(|one| one.pid).collect();
        }
        tree::of_sandbox(id)
    }

    /// The sandbox goes away as after a crash or at the end of its time.
    pub fn vanish(&self, id: &str) {
        self.world.end(id);
    }

    /// Breaks every stream that is open into a sandbox, as a network does.
    pub fn break_streams(&self, id: &str) {
        if let Some(place) = self.world.place(id) {
            place.break_streams();
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
        for id in self.sandboxes() {
            self.world.end(&id);
        }
    }
}

async fn serve(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let world = Arc::clone(&world);
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let world = Arc::clone(&world);
                    async move { world.answer(request.map(Body::new)).await }
                });
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl World {
    fn new(options: Options, folder: Option<tempfile::TempDir>) -> Arc<Self> {
        Arc::new(Self {
            options,
            log: Log::default(),
            answers: Scripted::default(),
            sandboxes: Mutex::default(),
            folder,
            numbers: AtomicU64::new(0),
            history: Mutex::default(),
            made: Mutex::default(),
        })
    }

    fn history(&self) -> MutexGuard<'_, Vec<(String, Arc<Process>)>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where its sandboxes' files are, if they are anywhere.
    fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new("/nowhere"), tempfile::TempDir::path)
    }

    fn sandboxes(&self) -> MutexGuard<'_, HashMap<String, Arc<Place>>> {
        self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, id: &str) -> Option<Arc<Place>> {
        self.sandboxes().get(id).cloned()
    }

    /// The next number, for what is played.
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Twenty digits that no other double of this machine has: processes are found by the id that is made of them.
    fn unique() -> String {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        format!("{:08x}{:012x}", std::process::id(), NUMBERS.fetch_add(1, Ordering::Relaxed))
    }

    /// An error closes the connection without an answer.
    async fn answer(self: Arc<Self>, request: Request<Body>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, LARGEST).await.map_err(io::Error::other)?;
        if let Some(path) = head.uri.path().strip_prefix("/double/") {
            return Ok(self.steer(path, &body));
        }
        self.log.push(&head.method, &head.uri, &head.headers, &body);
        let scripted = self.answers.take(&head.method, &head.uri);
        if let Some(answer) = &scripted {
            tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
        }
        if let Some(answer) = scripted.filter(|answer| !answer.only_late) {
            if answer.after {
                let _ = self.route(&head.method, &head.uri, &head.headers, body).await;
            }
            if answer.status == 0 {
                return Err(io::Error::other("scripted loss"));
            }
            let mut response = Response::builder().status(answer.status);
            for (name, value) in &answer.headers {
                response = response.header(name, value);
            }
            return response.body(Body::from(answer.body)).map_err(io::Error::other);
        }
        Ok(self.route(&head.method, &head.uri, &head.headers, body).await)
    }

    async fn route(
        self: &Arc<Self>,
        method: &axum::http::Method,
        uri: &axum::http::Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let path = uri.path();
        if path.starts_with("/sandboxes") || path.starts_with("/v2/") {
            control::route(self, method.as_str(), uri, headers, &body).await
        } else {
            envd::route(self, method.as_str(), uri, headers, body).await
        }
    }

    /// What tests ask of the double itself: `requests` since the last call, `sandboxes` and their processes, `leftovers` (ids of
    /// sandboxes), `answer` (adds an [`Answer`]), `clear` (forgets those), `vanish` and `break` (with the id of a sandbox).
    fn steer(&self, what: &str, body: &[u8]) -> Response<Body> {
        let id = || serde_json::from_slice::<String>(body).unwrap_or_default();
        match what {
            "requests" => reply(200, &json!(self.log.take())),
            "sandboxes" => {
                let places: Vec<_> = self.sandboxes().values().cloned().collect();
                let tell = |place: &Arc<Place>| {
                    let left = place.end.borrow().saturating_duration_since(tokio::time::Instant::now());
                    json!({
                        "id": place.id,
                        "template": place.template,
                        "paused": place.paused(),
                        "metadata": place.metadata,
                        "processes": tree::of_sandbox(&place.id),
                        "secondsLeft": left.as_secs_f64(),
                    })
                };
                reply(200, &places.iter().map(tell).collect())
            }
            "leftovers" => reply(200, &self.sandboxes().keys().cloned().collect()),
            "answer" => match serde_json::from_slice(body) {
                Ok(answer) => {
                    self.answers.add(answer);
                    reply(200, &json!({}))
                }
                Err(error) => reply(400, &json!({ "message": error.to_string() })),
            },
            "clear" => {
                self.answers.clear();
                reply(200, &json!({}))
            }
            "vanish" => reply(200, &json!(self.end(&id()))),
            "break" => {
                let place = self.place(&id());
                if let Some(place) = &place {
                    place.break_streams();
                }
                reply(200, &json!(place.is_some()))
            }
            _ => reply(404, &json!({ "message": "the double has no such thing" })),
        }
    }

    /// Ends a sandbox with all that runs in it. False: there is none.
    fn end(&self, id: &str) -> bool {
        let Some(place) = self.sandboxes().remove(id) else { return false };
        place.break_streams();
        if self.options.programs.is_some() {
            played::kill(&place);
            // What is frozen ends too.
            place.awake.send_replace(true);
            return true;
        }
        tree::kill(id);
        let _ = std::fs::remove_dir_all(&place.folder);
        true
    }
}

impl Place {
    fn paused(&self) -> bool {
        !*self.awake.borrow()
    }

    fn break_streams(&self) {
        self.breaks.send_modify(|breaks| *breaks += 1);
    }

    /// Freezes or thaws everything. False: it is that already.
    fn set_paused(&self, paused: bool) -> bool {
        let changed = self.awake.send_if_modified(|awake| std::mem::replace(awake, !paused) == paused);
        if !changed {
            return false;
        }
        // What is played sees to it itself.
        let real = self.room.is_real();
        if paused {
            if real {
                tree::freeze(&self.id);
            }
            self.break_streams();
        } else if real {
            tree::thaw(&self.id);
        }
        true
    }
}

/// A JSON answer.
fn reply(status: u16, body: &Value) -> Response<Body> {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(axum::http::header::CONTENT_TYPE, axum::http::HeaderValue::from_static("application/json"));
    response
}

/// An error as the control plane and the daemon's HTTP routes tell it.
fn refuse(status: u16, message: impl Into<String>) -> Response<Body> {
    reply(status, &json!({ "code": status, "message": message.into() }))
}

/// The value of a query parameter, decoded once.
fn parameter(uri: &axum::http::Uri, name: &str) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decode(value))
    })
}

/// Undoes one round of percent-encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let number =
                    std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(number.unwrap_or(b'?'));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
