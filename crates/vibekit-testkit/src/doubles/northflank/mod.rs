//! Northflank's API, as far as a sandbox needs it: deployment services, volumes, ports, scaling, and commands over a
//! WebSocket.
//!
//! What it answers was taken from recordings of the official client (0.8.10, 0.9.5) and from the published API reference.

mod api;
mod exec;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Answer, Ask, Double, Line, Player, RequestLog, Room};

/// What the double is like.
#[derive(Clone)]
pub struct Settings {
    /// The key it takes.
    pub key: String,
    /// The project there is.
    pub project: String,
    /// States a deployment goes through after scaling up, one a look, before the last, which stays.
    pub states: Vec<String>,
    /// Plays commands instead of a shell.
    pub player: Option<Arc<dyn Player>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: "nf-key-000000".to_owned(),
            project: "project".to_owned(),
            states: vec!["PENDING".to_owned(), "IN_PROGRESS".to_owned(), "COMPLETED".to_owned()],
            player: None,
        }
    }
}

/// How the next command fails to be one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trouble {
    /// The token is refused.
    Refused,
    /// An error instead of anything else.
    Error,
    /// No answer to the init message.
    Silence,
    /// The connection breaks off after so many frames.
    Cut(usize),
    /// It closes in due form, without a result.
    NoCompletion,
}

/// A refusal to come; see [`super::daytona::Refusal`].
pub use super::daytona::Refusal;

struct Service {
    id: String,
    body: Value,
    env: BTreeMap<String, String>,
    instances: u64,
    states: Vec<String>,
    ports: Vec<Value>,
    room: Option<Arc<Room>>,
}

struct Volume {
    id: String,
    body: Value,
    attached: Vec<String>,
}

#[derive(Default)]
struct State {
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Volume>,
    refusals: Vec<Refusal>,
    troubles: Vec<Trouble>,
}

/// The double.
pub struct Northflank {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    log: RequestLog,
}

impl Northflank {
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

    /// Makes the next command fail; further calls, the ones after it.
    pub fn trouble(&self, trouble: Trouble) {
        self.lock().troubles.push(trouble);
    }

    /// Deletes a service, as its owner can at any time. False if there is none.
    pub fn take_away(&self, id: &str) -> bool {
        let gone = {
            let mut state = self.lock();
            let gone = state.services.remove(id);
            state.volumes.retain(|_, volume| volume.attached.iter().all(|service| service != id));
            gone
        };
        end(gone.as_ref());
        gone.is_some()
    }

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
            Some("trouble") => {
                if let Ok(trouble) = serde_json::from_value(body["trouble"].clone()) {
                    self.trouble(trouble);
                }
            }
            Some("settings") => {
                if let Ok(states) = serde_json::from_value(body["states"].clone()) {
                    self.settings().states = states;
                }
            }
            _ => return Answer::empty(404),
        }
        Answer::json(200, &json!({}))
    }
}

/// Ends what runs in a service, also for commands that are being followed. Outside of the lock: it takes a moment.
fn end(service: Option<&Service>) {
    if let Some(room) = service.and_then(|service| service.room.as_ref()) {
        room.end();
    }
}

/// As the API writes them.
pub(crate) fn error(status: u16, message: &str) -> Answer {
    let id = match status {
        401 | 403 => "unauthorized",
        404 => "not-found",
        409 => "conflict",
        _ => "bad-request",
    };
    Answer::json(
        status,
        &json!({ "error": { "status": status, "message": message, "id": id, "details": {} } }),
    )
}

#[async_trait]
impl Double for Northflank {
    async fn answer(&self, ask: Ask) -> Answer {
        if ask.segments().first() == Some(&"double") {
            return self.control(&ask);
        }
        if let Some(answer) = self.refused(&ask) {
            return answer;
        }
        if ask.header("authorization") != format!("Bearer {}", self.settings().key) {
            return error(401, "Invalid or missing API token");
        }
        let path = ask.path.clone();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            ["v1", "projects", project, rest @ ..] if *project == self.settings().project => {
                self.api(&ask, rest)
            }
            ["v1", "projects", ..] => error(404, "Project not found"),
            _ => error(404, "Not found"),
        }
    }

    fn socket(&self, ask: Ask, line: Line) -> Result<(), Answer> {
        if let Some(answer) = self.refused(&ask) {
            return Err(answer);
        }
        match ask.segments().as_slice() {
            ["v1", "command-exec", "projects", project, "services", service] => {
                let trouble = {
                    let mut state = self.lock();
                    if state.troubles.is_empty() { None } else { Some(state.troubles.remove(0)) }
                };
                let known = *project == self.settings().project;
                self.execute((*service).to_owned(), known, trouble, line);
                Ok(())
            }
            _ => Err(error(404, "Not found")),
        }
    }

    fn log(&self) -> &RequestLog {
        &self.log
    }

    fn leftovers(&self) -> Vec<String> {
        let state = self.lock();
        let services = state.services.values().map(|service| format!("service {}", service.id));
        services.chain(state.volumes.values().map(|volume| format!("volume {}", volume.id))).collect()
    }
}
