//! The control plane.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, Uri};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::room::Room;
use super::{Place, World, decode, parameter, refuse, reply};

/// Seconds, where the request names none.
const DEFAULT_TTL: i64 = 300;
const DEFAULT_TTL_V1: i64 = 15;

pub(super) async fn route(
    world: &Arc<World>,
    method: &str,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let key = headers.get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let hex = key
        .strip_prefix("e2b_")
        .is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !hex {
        return refuse(
            401,
            "Invalid API key, please visit https://e2b.dev/docs/api-key for more information.",
        );
    }
    let path = uri.path();
    if path.starts_with("/v2/") && !world.options.v2 {
        return refuse(404, "no matching operation was found");
    }
    let body = if body.is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return refuse(400, format!("validation error: {error}")),
        }
    };
    let (version, rest) = match path.strip_prefix("/v2/sandboxes") {
        Some(rest) => (2, rest),
        None => (1, path.strip_prefix("/sandboxes").unwrap_or_default()),
    };
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() {
        return match method {
            "POST" => create(world, version, &body).await,
            "GET" => list(world, uri),
            _ => refuse(405, "method not allowed"),
        };
    }
    let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
    if id.matches('-').count() > 1 {
        return refuse(400, "Invalid sandbox ID");
    }
    let id = id.split('-').next().unwrap_or_default();
    let Some(place) = world.place(id) else {
        let known = matches!(
            (method, action),
            ("GET" | "DELETE", "") | ("POST", "pause" | "timeout" | "refreshes" | "resume" | "connect")
        );
        return if known { missing(id) } else { refuse(404, "no matching operation was found") };
    };
    match (version, method, action) {
        (1, "GET", "") => reply(200, &detail(world, &place)),
        (1, "DELETE", "") => {
            world.end(id);
            reply(204, &Value::Null)
        }
        (1, "POST", "pause") => {
            if place.set_paused(true) {
                reply(204, &Value::Null)
            } else {
                refuse(409, format!("Error pausing sandbox - sandbox '{id}' is already paused"))
            }
        }
        (1, "POST", "timeout") => {
            if place.paused() {
                return missing(id);
            }
            let seconds = body["timeout"].as_i64().unwrap_or(0).max(0);
            place.end.send_replace(Instant::now() + seconds_of(seconds));
            reply(204, &Value::Null)
        }
        (1, "POST", "refreshes") => {
            let wanted = Instant::now() + seconds_of(body["duration"].as_i64().unwrap_or(0).max(15));
            place.end.send_modify(|end| *end = (*end).max(wanted));
            reply(204, &Value::Null)
        }
        (1, "POST", "resume") => {
            if !place.paused() {
                return refuse(409, format!("Sandbox {id} is already running"));
            }
            attach(world, &place, body["timeout"].as_i64().unwrap_or(DEFAULT_TTL_V1))
        }
        (_, "POST", "connect") => {
            if version == 1 && !body["timeout"].is_i64() {
                return refuse(400, "validation error: timeout is required");
            }
            attach(world, &place, body["timeout"].as_i64().unwrap_or(DEFAULT_TTL))
        }
        _ => refuse(404, "no matching operation was found"),
    }
}

fn missing(id: &str) -> Response<Body> {
    refuse(404, format!("Sandbox \"{id}\" doesn't exist or you don't have access to it"))
}

fn seconds_of(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// The lifetime asked for, or why it cannot be.
fn check_ttl(world: &World, seconds: i64) -> Result<(), Response<Body>> {
    if seconds <= 0 {
        return Err(refuse(400, "Timeout must be greater than 0"));
    }
    let hours = world.options.hours;
    if seconds > hours * 3600 {
        return Err(refuse(400, format!("Timeout cannot be greater than {hours} hours")));
    }
    Ok(())
}

async fn create(world: &Arc<World>, version: u8, body: &Value) -> Response<Body> {
    let Some(template) = body["templateID"].as_str() else {
        return refuse(400, "validation error: templateID is required");
    };
    if template.starts_with("missing") {
        return refuse(404, format!("template '{template}' not found"));
    }
    let seconds = body["timeout"].as_i64().unwrap_or(if version == 2 { DEFAULT_TTL } else { DEFAULT_TTL_V1 });
    if let Err(refusal) = check_ttl(world, seconds) {
        return refusal;
    }
    let running = world.sandboxes().values().filter(|place| !place.paused()).count();
    let most = world.options.most;
    if running >= most {
        return refuse(
            429,
            format!("you have reached the maximum number of concurrent E2B sandboxes ({most})"),
        );
    }
    // What is played is to be played again the same.
    let played = world.options.programs.is_some();
    let digits = if played { format!("{:020x}", world.number()) } else { World::unique() };
    let id = format!("i{digits}");
    let folder = world.folder().join(&id);
    let built = if played {
        Ok(Room::none())
    } else {
        match std::fs::create_dir_all(&folder) {
            Ok(()) if world.options.isolated => Room::build(&folder).await,
            made => made.map(|()| Room::plain(&folder)),
        }
    };
    let room = match built {
        Ok(room) => room,
        Err(error) => return refuse(500, error.to_string()),
    };
    let secure = version == 2 || body["secure"].as_bool() == Some(true);
    let env: BTreeMap<String, String> = body["envVars"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    world.made.lock().unwrap_or_else(PoisonError::into_inner).push((id.clone(), env.clone()));
    let place = Arc::new(Place {
        id: id.clone(),
        template: template.to_owned(),
        token: secure.then(|| format!("envd-token-{digits}")),
        metadata: body["metadata"].clone(),
        env: env.into_iter().collect(),
        room,
        folder,
        files: Default::default(),
        started: SystemTime::now(),
        auto_pause: body["autoPause"].as_bool().unwrap_or(false),
        end: watch::channel(Instant::now() + seconds_of(seconds)).0,
        awake: watch::channel(true).0,
        breaks: watch::channel(0).0,
        processes: Default::default(),
    });
    world.sandboxes().insert(id, Arc::clone(&place));
    tokio::spawn(expire(Arc::downgrade(world), Arc::downgrade(&place)));
    reply(201, &sandbox(world, &place))
}

/// Ends a sandbox at the end of its time, or pauses it.
async fn expire(world: std::sync::Weak<World>, place: std::sync::Weak<Place>) {
    loop {
        let Some(mut end) = place.upgrade().map(|place| place.end.subscribe()) else { return };
        let at = *end.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep_until(at) => {
                let (Some(world), Some(place)) = (world.upgrade(), place.upgrade()) else { return };
                if place.auto_pause {
                    place.set_paused(true);
                } else if !place.paused() {
                    world.end(&place.id);
                    return;
                }
                drop((world, place));
                if end.changed().await.is_err() {
                    return;
                }
            }
            changed = end.changed() => if changed.is_err() { return },
        }
    }
}

/// Resumes if need be; the lifetime only ever grows.
fn attach(world: &World, place: &Place, seconds: i64) -> Response<Body> {
    if let Err(refusal) = check_ttl(world, seconds) {
        return refusal;
    }
    let wanted = Instant::now() + seconds_of(seconds);
    let resumed = place.set_paused(false);
    place.end.send_modify(|end| *end = if resumed { wanted } else { (*end).max(wanted) });
    reply(if resumed { 201 } else { 200 }, &sandbox(world, place))
}

fn sandbox(world: &World, place: &Place) -> Value {
    let mut value = json!({
        "sandboxID": place.id,
        "templateID": place.template,
        "clientID": "6532622b",
        "envdVersion": world.options.envd_version,
        "domain": null,
        "trafficAccessToken": null,
    });
    if let Some(token) = &place.token {
        value["envdAccessToken"] = json!(token);
    }
    value
}

fn detail(world: &World, place: &Place) -> Value {
    let mut value = sandbox(world, place);
    let left = place.end.borrow().saturating_duration_since(Instant::now());
    let fields = [
        ("startedAt", json!(rfc3339(place.started))),
        ("endAt", json!(rfc3339(SystemTime::now() + left))),
        ("state", json!(if place.paused() { "paused" } else { "running" })),
        ("cpuCount", json!(2)),
        ("memoryMB", json!(512)),
        ("diskSizeMB", json!(1024)),
    ];
    for (name, field) in fields {
        value[name] = field;
    }
    if place.metadata.is_object() {
        value["metadata"] = place.metadata.clone();
    }
    value
}

fn list(world: &World, uri: &Uri) -> Response<Body> {
    // The query's own encoding is undone by `parameter`; two more rounds are in the text.
    let wanted: Vec<(String, String)> = parameter(uri, "metadata")
        .map(|text| {
            let text = decode(&text);
            text.split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (decode(key), decode(value)))
                .collect()
        })
        .unwrap_or_default();
    let states = parameter(uri, "state");
    let mut places: Vec<_> = world.sandboxes().values().cloned().collect();
    places.retain(|place| {
        let state = if place.paused() { "paused" } else { "running" };
        wanted.iter().all(|(key, value)| place.metadata[key.as_str()].as_str() == Some(value))
            && states.as_ref().is_none_or(|states| states.split(',').any(|one| one == state))
    });
    places.sort_by(|a, b| b.id.cmp(&a.id));
    let limit = parameter(uri, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(100).min(100);
    let from: usize = parameter(uri, "nextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let total = places.len();
    let page: Value = places.iter().skip(from).take(limit).map(|place| detail(world, place)).collect();
    let mut response = reply(200, &page);
    if from + limit < total {
        response.headers_mut().insert("x-next-token", HeaderValue::from(from + limit));
    }
    response
}

/// A time as the service writes it. Days from civil: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (i64::try_from(seconds / 86_400).unwrap_or(0), seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_everybody_writes_them() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(1_709_210_096), "2024-02-29T12:34:56Z");
    }
}
