//! Daytona's API, in both generations of the way to a sandbox's own server (the toolbox): through a proxy of its own, and
//! through the API under `/toolbox/{id}/toolbox`, as servers up to 0.190 have it.
//!
//! What it answers was taken from recordings of the official clients 0.27.1 and 0.218.0, from the published OpenAPI and
//! from how the open server up to 0.190 behaves.

mod api;
mod session;
mod toolbox;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::session::Session;
use super::{Answer, Ask, Double, Line, Player, RequestLog, Room};

/// How the toolbox is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// `toolboxProxyUrl`, as Daytona's cloud has it.
    Proxy,
    /// `{api}/toolbox/{id}/toolbox`, as self-hosted servers up to 0.190 have it.
    Api,
}

/// What the double is like.
#[derive(Clone)]
pub struct Settings {
    /// How the toolbox is reached.
    pub generation: Generation,
    /// The key it takes.
    pub key: String,
    /// A JWT it takes, with the organisation that has to come with it.
    pub jwt: Option<(String, String)>,
    /// States a new sandbox goes through, one a look, before the last, which stays.
    pub states: Vec<String>,
    /// Why, if the last state is a failure.
    pub error_reason: Option<String>,
    /// Plays commands instead of a shell.
    pub player: Option<Arc<dyn Player>>,
    /// Splits output into frames of at most this many bytes, through markers and all.
    pub frame: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            generation: Generation::Proxy,
            key: "dtn_key".to_owned(),
            jwt: None,
            states: vec!["creating".to_owned(), "started".to_owned()],
            error_reason: None,
            player: None,
            frame: 32 << 10,
        }
    }
}

/// A refusal to come: the next requests whose method and path match get it instead of an answer.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Refusal {
    /// `GET`, `POST` …; any if absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Part of the path.
    #[serde(default)]
    pub path: String,
    /// Status.
    pub status: u16,
    /// Body.
    #[serde(default)]
    pub body: Value,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

pub(crate) struct Sandbox {
    id: String,
    name: String,
    labels: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    dockerfile: Option<String>,
    snapshot: Option<String>,
    target: String,
    /// States still to come; the last stays.
    states: Vec<String>,
    room: Option<Arc<Room>>,
    sessions: BTreeMap<String, Arc<Session>>,
}

impl Sandbox {
    fn state(&self) -> &str {
        self.states.first().map_or("unknown", String::as_str)
    }
}

#[derive(Default)]
struct State {
    sandboxes: BTreeMap<String, Sandbox>,
    /// What was told last of those that are gone.
    destroyed: BTreeMap<String, Value>,
    made: u64,
    refusals: Vec<Refusal>,
    /// The next WebSockets are cut after this many frames.
    cuts: Vec<usize>,
}

/// The double.
pub struct Daytona {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    log: RequestLog,
}

impl Daytona {
    /// A new one.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings: Mutex::new(settings), state: Mutex::default(), log: RequestLog::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is like, to look at or to change.
    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next matching requests fail.
    pub fn refuse(&self, refusal: Refusal) {
        self.lock().refusals.push(refusal);
    }

    /// Cuts the next WebSocket after some frames; further calls, the ones after it.
    pub fn cut(&self, frames: usize) {
        self.lock().cuts.push(frames);
    }

    /// Deletes a sandbox, as its owner can at any time. False if there is none.
    pub fn take_away(&self, id: &str) -> bool {
        let gone = self.lock().sandboxes.remove(id);
        gone.is_some()
    }

    /// Moves a sandbox to a state, its processes gone with all but `started` (as when it stops for want of use).
    pub fn set_state(&self, id: &str, state: &str) {
        let ended = {
            let mut all = self.lock();
            let Some(sandbox) = all.sandboxes.get_mut(id) else { return };
            sandbox.states = vec![state.to_owned()];
            if state == "started" {
                Vec::new()
            } else {
                std::mem::take(&mut sandbox.sessions).into_values().collect()
            }
        };
        drop(ended);
    }

    fn authorised(&self, ask: &Ask) -> bool {
        let settings = self.settings();
        let Some(token) = ask.header("authorization").strip_prefix("Bearer ") else { return false };
        token == settings.key
            || settings.jwt.as_ref().is_some_and(|(jwt, organization)| {
                token == jwt && ask.header("x-daytona-organization-id") == organization
            })
    }

    /// A refusal that was asked for.
    fn refused(&self, ask: &Ask) -> Option<Answer> {
        let mut state = self.lock();
        let at = state.refusals.iter().position(|refusal| {
            refusal.method.as_ref().is_none_or(|method| *method == ask.method)
                && ask.path.contains(&refusal.path)
        })?;
        let refusal = &mut state.refusals[at];
        refusal.times -= 1;
        let answer = Answer::json(refusal.status, &refusal.body);
        if refusal.times == 0 {
            state.refusals.remove(at);
        }
        Some(answer)
    }

    /// Where this double is, from the request's own words.
    fn origin(ask: &Ask) -> String {
        format!("http://{}", ask.header("host"))
    }

    /// For tests in other processes: the log, and everything the methods here do.
    fn control(&self, ask: &Ask) -> Answer {
        let body = ask.json();
        match ask.segments().get(1).copied() {
            Some("requests") => return Answer::json(200, &json!(self.log.take())),
            Some("leftovers") => return Answer::json(200, &json!(self.leftovers())),
            Some("refuse") => {
                if let Ok(refusal) = serde_json::from_value(body) {
                    self.refuse(refusal);
                }
            }
            Some("cut") => self.cut(body["frames"].as_u64().unwrap_or(0) as usize),
            Some("state") => {
                self.set_state(
                    body["id"].as_str().unwrap_or_default(),
                    body["state"].as_str().unwrap_or_default(),
                );
            }
            Some("settings") => {
                let mut settings = self.settings();
                if let Ok(states) = serde_json::from_value(body["states"].clone()) {
                    settings.states = states;
                }
                if let Some(reason) = body["errorReason"].as_str() {
                    settings.error_reason = Some(reason.to_owned());
                }
                if let Some(frame) = body["frame"].as_u64() {
                    settings.frame = frame as usize;
                }
                match body["generation"].as_str() {
                    Some("api") => settings.generation = Generation::Api,
                    Some("proxy") => settings.generation = Generation::Proxy,
                    _ => {}
                }
                if let (Some(jwt), Some(organization)) = (body["jwt"].as_str(), body["organization"].as_str())
                {
                    settings.jwt = Some((jwt.to_owned(), organization.to_owned()));
                }
            }
            _ => return Answer::empty(404),
        }
        Answer::json(200, &json!({}))
    }
}

/// As the API's exception filter writes them.
pub(crate) fn error(ask: &Ask, status: u16, message: &str) -> Answer {
    let name = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        410 => "Gone",
        _ => "Error",
    };
    Answer::json(
        status,
        &json!({
            "path": ask.path, "timestamp": "2026-01-01T00:00:00.000Z",
            "statusCode": status, "error": name, "message": message,
        }),
    )
}

#[async_trait]
impl Double for Daytona {
    async fn answer(&self, ask: Ask) -> Answer {
        if ask.segments().first() == Some(&"double") {
            return self.control(&ask);
        }
        if let Some(answer) = self.refused(&ask) {
            return answer;
        }
        if !self.authorised(&ask) {
            return error(&ask, 401, "Invalid credentials");
        }
        let path = ask.path.clone();
        let generation = self.settings().generation;
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (parts.as_slice(), generation) {
            (["proxy", id, rest @ ..], Generation::Proxy)
            | (["api", "toolbox", id, "toolbox", rest @ ..], Generation::Api) => {
                self.toolbox(&ask, id, rest).await
            }
            (["api", rest @ ..], _) => self.api(&ask, rest),
            _ => error(&ask, 404, "Cannot find it"),
        }
    }

    fn socket(&self, ask: Ask, line: Line) -> Result<(), Answer> {
        if let Some(answer) = self.refused(&ask) {
            return Err(answer);
        }
        let path = ask.path.clone();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let generation = self.settings().generation;
        match (parts.as_slice(), generation) {
            (["proxy", id, rest @ ..], Generation::Proxy) if self.authorised(&ask) => {
                self.follow(&ask, id, rest, line)
            }
            (["preview", id, "2280", rest @ ..], Generation::Api)
                if ask.header("x-daytona-preview-token") == format!("token-{id}") =>
            {
                self.follow(&ask, id, rest, line)
            }
            (["proxy" | "preview", ..], _) => Err(error(&ask, 401, "Invalid credentials")),
            // State events; the official client then asks for the state itself.
            _ => Err(error(&ask, 404, "Cannot find it")),
        }
    }

    fn log(&self) -> &RequestLog {
        &self.log
    }

    fn leftovers(&self) -> Vec<String> {
        let state = self.lock();
        state
            .sandboxes
            .values()
            .map(|sandbox| format!("sandbox {} ({})", sandbox.id, sandbox.state()))
            .collect()
    }
}
