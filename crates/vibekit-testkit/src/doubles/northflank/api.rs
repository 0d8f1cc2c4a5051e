//! Services and volumes as things.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Northflank, Service, Volume, error};
use crate::doubles::{Answer, Ask, Room};

fn data(value: &Value) -> Answer {
    Answer::json(200, &json!({ "data": value }))
}

/// Ids are made of names.
fn slug(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

impl Northflank {
    pub(super) fn api(&self, ask: &Ask, rest: &[&str]) -> Answer {
        match (ask.method.as_str(), rest) {
            ("POST", ["services", "deployment"]) => self.create(ask),
            ("POST", ["volumes"]) => self.create_volume(ask),
            ("GET", ["volumes", id]) => self.lock().volumes.get(*id).map_or_else(
                || error(404, "Volume not found"),
                |volume| data(&json!({ "id": volume.id, "name": volume.body["name"] })),
            ),
            ("DELETE", ["volumes", id]) => match self.lock().volumes.remove(*id) {
                Some(_) => data(&json!({})),
                None => error(404, "Volume not found"),
            },
            ("GET", ["services", id]) => self.service(id, |service| {
                let told = told(service);
                if service.states.len() > 1 {
                    service.states.remove(0);
                }
                data(&told)
            }),
            ("DELETE", ["services", id]) => self.delete(ask, id),
            ("POST", ["services", id, verb @ ("scale" | "pause" | "resume")]) => self.scale(ask, id, verb),
            ("GET", ["services", id, "ports"]) => {
                self.service(id, |service| data(&json!({ "ports": service.ports })))
            }
            ("POST", ["services", id, "ports"]) => self.service(id, |service| {
                let id = service.id.clone();
                let wanted = ask.json()["ports"].as_array().cloned().unwrap_or_default();
                // The list replaces the one before.
                service.ports = wanted
                    .into_iter()
                    .map(|mut port| {
                        let name = port["name"].as_str().unwrap_or_default().to_owned();
                        port["id"] = json!(name);
                        port["domains"] = json!([]);
                        port["dns"] = json!(format!("{name}--{id}--user.code.run"));
                        port
                    })
                    .collect();
                data(&json!({}))
            }),
            _ => error(404, "Not found"),
        }
    }

    fn service(&self, id: &str, then: impl FnOnce(&mut Service) -> Answer) -> Answer {
        match self.lock().services.get_mut(id) {
            Some(service) => then(service),
            None => error(404, "Service not found"),
        }
    }

    fn create(&self, ask: &Ask) -> Answer {
        let body = ask.json();
        let id = slug(body["name"].as_str().unwrap_or_default());
        if id.is_empty() {
            return error(400, "name is required");
        }
        let plan = body["billing"]["deploymentPlan"].as_str().unwrap_or_default();
        if !plan.starts_with("nf-compute-") {
            return error(400, "billing.deploymentPlan is not a plan");
        }
        let env: BTreeMap<String, String> =
            serde_json::from_value(body["runtimeEnvironment"].clone()).unwrap_or_default();
        let mut state = self.lock();
        if state.services.contains_key(&id) {
            return error(409, "A service with this name already exists");
        }
        let service = Service {
            id: id.clone(),
            instances: body["deployment"]["instances"].as_u64().unwrap_or(1),
            env,
            body,
            states: vec!["PENDING".to_owned()],
            ports: Vec::new(),
            room: None,
        };
        let answer = data(&told(&service));
        state.services.insert(id, service);
        answer
    }

    fn create_volume(&self, ask: &Ask) -> Answer {
        let body = ask.json();
        let id = slug(body["name"].as_str().unwrap_or_default());
        let attached: Vec<String> = body["attachedObjects"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|object| object["id"].as_str().map(str::to_owned))
            .collect();
        let mut state = self.lock();
        if let Some(missing) = attached.iter().find(|service| !state.services.contains_key(*service)) {
            return error(400, &format!("attachedObjects: no service {missing}"));
        }
        if state.volumes.contains_key(&id) {
            return error(409, "A volume with this name already exists");
        }
        let answer = data(&json!({ "id": id, "name": body["name"] }));
        state.volumes.insert(id.clone(), Volume { id, body, attached });
        answer
    }

    fn delete(&self, ask: &Ask, id: &str) -> Answer {
        let gone = {
            let mut state = self.lock();
            let gone = state.services.remove(id);
            if gone.is_some() && ask.query.get("delete_child_objects").is_some_and(|wanted| wanted == "true")
            {
                state.volumes.retain(|_, volume| volume.attached.iter().all(|service| service != id));
            }
            gone
        };
        super::end(gone.as_ref());
        match gone {
            Some(_) => data(&json!({})),
            None => error(404, "Service not found"),
        }
    }

    fn scale(&self, ask: &Ask, id: &str, verb: &str) -> Answer {
        let states = self.settings().states.clone();
        let played = self.settings().player.is_some();
        let mut ended = None;
        let answer = self.service(id, |service| {
            let instances = if verb == "pause" { 0 } else { ask.json()["instances"].as_u64().unwrap_or(1) };
            service.instances = instances;
            if instances == 0 {
                service.states = vec!["PENDING".to_owned()];
                ended = service.room.clone();
            } else {
                service.states = states;
                if service.room.is_none() && !played {
                    match Room::new(service.env.clone().into_iter().collect()) {
                        Ok(room) => service.room = Some(Arc::new(room)),
                        Err(problem) => return error(500, &problem.to_string()),
                    }
                }
            }
            data(&json!({}))
        });
        // Outside of the lock: ending processes takes a moment. The volume's files stay.
        if let Some(room) = ended {
            room.end();
        }
        answer
    }
}

fn told(service: &Service) -> Value {
    json!({
        "id": service.id, "name": service.body["name"],
        "deployment": { "instances": service.instances, "external": service.body["deployment"]["external"] },
        "status": { "deployment": { "status": service.states.first() } },
    })
}
