//! Sandboxes as things: made, looked at, started, stopped, deleted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Daytona, Generation, Sandbox, error};
use crate::doubles::{Answer, Ask, Room};

impl Daytona {
    pub(super) fn api(&self, ask: &Ask, rest: &[&str]) -> Answer {
        match (ask.method.as_str(), rest) {
            ("POST", ["sandbox"]) => self.create(ask),
            ("GET", ["sandbox"] | ["sandbox", "paginated"]) => self.list(ask),
            ("GET", ["sandbox", id]) => self.with(ask, id, |sandbox, double| {
                if sandbox.states.len() > 1 {
                    sandbox.states.remove(0);
                }
                Answer::json(200, &double.body(ask, sandbox))
            }),
            ("DELETE", ["sandbox", id]) => self.delete(ask, id),
            ("POST", ["sandbox", id, "start"]) => self.start(ask, id),
            ("POST", ["sandbox", id, verb @ ("stop" | "pause" | "archive")]) => self.stop(ask, id, verb),
            ("GET", ["sandbox", id, "ports", port, "preview-url"]) => self.with(ask, id, |sandbox, _| {
                let url = format!("{}/preview/{}/{port}", Self::origin(ask), sandbox.id);
                Answer::json(
                    200,
                    &json!({ "sandboxId": sandbox.id, "url": url, "token": format!("token-{}", sandbox.id) }),
                )
            }),
            ("GET", ["sandbox", id, "toolbox-proxy-url"]) => {
                self.with(ask, id, |_, double| match double.settings().generation {
                    Generation::Proxy => {
                        Answer::json(200, &json!({ "url": format!("{}/proxy", Self::origin(ask)) }))
                    }
                    Generation::Api => error(ask, 404, "Cannot find it"),
                })
            }
            ("GET", ["sandbox", id, "build-logs"]) => self.with(ask, id, |_, _| {
                Answer::bytes(200, "text/plain", "Step 1/1 : FROM image\npull access denied\n")
            }),
            ("GET", ["sandbox", id, "build-logs-url"]) => self.with(ask, id, |_, _| {
                let url = format!("{}/api/sandbox/{id}/build-logs", Self::origin(ask));
                Answer::json(200, &json!({ "url": url }))
            }),
            _ => error(ask, 404, &format!("Cannot {} {}", ask.method, ask.path)),
        }
    }

    /// Looks a sandbox up by id or name.
    fn with(&self, ask: &Ask, id: &str, then: impl FnOnce(&mut Sandbox, &Self) -> Answer) -> Answer {
        let mut state = self.lock();
        let found = state.sandboxes.values_mut().find(|sandbox| sandbox.id == id || sandbox.name == id);
        match found {
            Some(sandbox) => then(sandbox, self),
            None => match state.destroyed.get(id).filter(|_| ask.method == "GET") {
                // For a while it is told of.
                Some(body) => Answer::json(200, body),
                None => error(ask, 404, &format!("Sandbox with ID or name {id} not found")),
            },
        }
    }

    fn create(&self, ask: &Ask) -> Answer {
        let body = ask.json();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let target = text(&body["target"]).unwrap_or_else(|| "us".to_owned());
        if target == "nowhere" {
            return error(ask, 400, "Region nowhere not found");
        }
        let map = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
        let settings = self.settings().clone();
        let env: std::collections::BTreeMap<String, String> = map(&body["env"]);
        let room = if settings.player.is_some() {
            None
        } else {
            match Room::new(env.clone().into_iter().collect()) {
                Ok(room) => Some(Arc::new(room)),
                Err(error_) => return error(ask, 500, &error_.to_string()),
            }
        };
        let mut state = self.lock();
        state.made += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", state.made);
        let sandbox = Sandbox {
            name: text(&body["name"]).unwrap_or_else(|| id.clone()),
            id: id.clone(),
            labels: map(&body["labels"]),
            env,
            dockerfile: text(&body["buildInfo"]["dockerfileContent"]),
            snapshot: text(&body["snapshot"]),
            target,
            states: settings.states,
            room,
            sessions: Default::default(),
        };
        let answer = Answer::json(200, &self.body(ask, &sandbox));
        state.sandboxes.insert(id, sandbox);
        answer
    }

    fn body(&self, ask: &Ask, sandbox: &Sandbox) -> Value {
        let settings = self.settings();
        let mut body = json!({
            "id": sandbox.id, "name": sandbox.name, "organizationId": "org", "target": sandbox.target,
            "labels": sandbox.labels, "env": sandbox.env, "state": sandbox.state(), "snapshot": sandbox.snapshot,
            "user": "root", "public": false, "cpu": 1, "gpu": 0, "memory": 1, "disk": 3, "volumes": [],
        });
        if let Some(dockerfile) = &sandbox.dockerfile {
            body["buildInfo"] = json!({ "dockerfileContent": dockerfile });
        }
        if matches!(sandbox.state(), "error" | "build_failed") {
            body["errorReason"] = json!(settings.error_reason);
        }
        if settings.generation == Generation::Proxy {
            body["toolboxProxyUrl"] = json!(format!("{}/proxy", Self::origin(ask)));
        }
        body
    }

    fn list(&self, ask: &Ask) -> Answer {
        let wanted: std::collections::BTreeMap<String, String> =
            ask.query.get("labels").and_then(|labels| serde_json::from_str(labels).ok()).unwrap_or_default();
        let state = self.lock();
        let found: Vec<Value> = state
            .sandboxes
            .values()
            .filter(|sandbox| wanted.iter().all(|(name, value)| sandbox.labels.get(name) == Some(value)))
            .map(|sandbox| self.body(ask, sandbox))
            .collect();
        match self.settings().generation {
            Generation::Api => Answer::json(200, &json!(found)),
            Generation::Proxy => Answer::json(200, &json!({ "items": found, "nextCursor": null })),
        }
    }

    fn delete(&self, ask: &Ask, id: &str) -> Answer {
        let mut state = self.lock();
        let key = state
            .sandboxes
            .values()
            .find(|sandbox| sandbox.id == id || sandbox.name == id)
            .map(|s| s.id.clone());
        let Some(mut gone) = key.and_then(|key| state.sandboxes.remove(&key)) else {
            return error(ask, 404, &format!("Sandbox with ID or name {id} not found"));
        };
        gone.states = vec!["destroyed".to_owned()];
        let body = self.body(ask, &gone);
        state.destroyed.insert(gone.id.clone(), body.clone());
        // Ending what ran in it takes a moment.
        drop(state);
        drop(gone);
        Answer::json(200, &body)
    }

    fn start(&self, ask: &Ask, id: &str) -> Answer {
        self.with(ask, id, |sandbox, double| match sandbox.state() {
            "stopped" | "archived" | "paused" => {
                let first = if sandbox.state() == "archived" { "restoring" } else { "starting" };
                sandbox.states = vec![first.to_owned(), "started".to_owned()];
                Answer::json(200, &double.body(ask, sandbox))
            }
            _ => error(ask, 400, "Sandbox is not in valid state"),
        })
    }

    fn stop(&self, ask: &Ask, id: &str, verb: &str) -> Answer {
        let mut ended = None;
        let answer = self.with(ask, id, |sandbox, double| {
            let next: &[&str] = match (verb, sandbox.state()) {
                ("stop", "started") => &["stopping", "stopped"],
                ("pause", "started") => &["pausing", "paused"],
                ("archive", "stopped") => &["archiving", "archived"],
                _ => return error(ask, 400, "Sandbox is not started"),
            };
            sandbox.states = next.iter().map(|state| (*state).to_owned()).collect();
            ended = Some((std::mem::take(&mut sandbox.sessions), sandbox.room.clone()));
            Answer::json(200, &double.body(ask, sandbox))
        });
        // Outside of the lock: ending processes takes a moment.
        if let Some((sessions, room)) = ended {
            drop(sessions);
            if let Some(room) = room {
                room.end();
            }
        }
        answer
    }
}
