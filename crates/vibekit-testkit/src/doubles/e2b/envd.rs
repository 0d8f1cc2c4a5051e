//! The daemon: Connect's calls, and which sandbox a request is for.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::process::{self, Item, Refusal};
use super::{Place, World, files, frames, parameter, refuse, reply};

const KEEPALIVE_SECONDS: u32 = 90;

pub(super) async fn route(
    world: &Arc<World>,
    method: &str,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(id) = wanted(headers) else { return refuse(400, "Invalid host") };
    if !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return refuse(400, "Invalid sandbox ID");
    }
    let Some(place) = world.place(&id).filter(|place| !place.paused()) else {
        return reply(502, &json!({ "sandboxId": id, "message": "The sandbox was not found", "code": 502 }));
    };
    let path = uri.path();
    if (method, path) == ("GET", "/health") {
        return reply(204, &Value::Null);
    }
    let token = headers.get("x-access-token").and_then(|token| token.to_str().ok());
    let signed = path == "/files" && parameter(uri, "signature").is_some();
    if place.token.is_some() && place.token.as_deref() != token && !signed {
        return refuse(
            401,
            "unauthorized access, please provide a valid access token or method signing if supported",
        );
    }
    match path {
        "/files" => files::transfer(&place, method, uri, headers, &body).await,
        "/metrics" => reply(
            200,
            &json!({ "ts": 0, "cpu_count": 2, "cpu_used_pct": 0.0, "mem_total": 0, "mem_used": 0 }),
        ),
        _ if method != "POST" => refuse(405, "method not allowed"),
        "/process.Process/Start" | "/process.Process/Connect" => {
            streaming(world, &place, path.ends_with("Start"), headers, &body).await
        }
        _ => unary(&place, path, headers, &body).await,
    }
}

/// By the header, else by the host's first label `port-id[-anything]`.
fn wanted(headers: &HeaderMap) -> Option<String> {
    if let Some(id) = headers.get("e2b-sandbox-id") {
        return id.to_str().ok().map(str::to_owned);
    }
    let host = headers.get("host")?.to_str().ok()?;
    let label = host.split('.').next()?;
    label.split('-').nth(1).map(str::to_owned)
}

/// The user a request names has to be one of this machine; what runs, runs as the double's own all the same.
fn check_user(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let pair = value.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair).ok()).unwrap_or_default();
    let pair = String::from_utf8_lossy(&pair).into_owned();
    let user = pair.split(':').next().unwrap_or_default();
    // Every template has this one.
    let known = user.is_empty()
        || user == "user"
        || std::fs::read_to_string("/etc/passwd")
            .is_ok_and(|users| users.lines().any(|line| line.split(':').next() == Some(user)));
    if known { Ok(()) } else { Err(("unauthenticated", format!("invalid username: '{user}'"))) }
}

async fn unary(place: &Place, path: &str, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return connect_error("invalid_argument", "the request is no JSON");
    };
    if let Err((code, message)) = check_user(headers) {
        return connect_error(code, &message);
    }
    let outcome = match path {
        "/process.Process/List" => Ok(process::list(place)),
        "/process.Process/SendSignal" => {
            let signal = match &request["signal"] {
                Value::String(name) if name == "SIGNAL_SIGKILL" => Some(9),
                Value::String(name) if name == "SIGNAL_SIGTERM" => Some(15),
                Value::Number(number) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
                _ => None,
            };
            match signal {
                Some(signal @ (9 | 15)) => process::select(place, &request["process"]).map(|process| {
                    process.signal(signal);
                    json!({})
                }),
                _ => Err(("unimplemented", "invalid signal".to_owned())),
            }
        }
        "/process.Process/SendInput" => match process::select(place, &request["process"]) {
            Ok(process) => {
                let bytes = STANDARD
                    .decode(request["input"]["stdin"].as_str().unwrap_or_default())
                    .unwrap_or_default();
                process.write(&bytes).await.map(|()| json!({}))
            }
            Err(refusal) => Err(refusal),
        },
        "/process.Process/CloseStdin" => match process::select(place, &request["process"]) {
            Ok(process) => {
                process.close().await;
                Ok(json!({}))
            }
            Err(refusal) => Err(refusal),
        },
        path => match path.strip_prefix("/filesystem.Filesystem/") {
            Some(call) => files::call(place, call, &request).await,
            None => Err(("unimplemented", format!("{path} is not implemented"))),
        },
    };
    match outcome {
        Ok(value) => reply(200, &value),
        Err((code, message)) => connect_error(code, &message),
    }
}

fn connect_error(code: &str, message: &str) -> Response<Body> {
    let status = match code {
        "invalid_argument" | "failed_precondition" => 400,
        "unauthenticated" => 401,
        "not_found" => 404,
        "already_exists" => 409,
        "unimplemented" => 501,
        _ => 500,
    };
    reply(status, &json!({ "code": code, "message": message }))
}

async fn streaming(
    world: &Arc<World>,
    place: &Arc<Place>,
    start: bool,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/connect+json") {
        return reply(415, &Value::Null);
    }
    let number = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<u32>().ok())
    };
    let deadline = number("connect-timeout-ms").map(|ms| Duration::from_millis(ms.into()));
    let outcome = async {
        let request = frames::request(body).ok_or_else(|| ("invalid_argument", "no envelope".to_owned()))?;
        check_user(headers)?;
        if start {
            process::start(world, place, &request, deadline).await.map(|(_, follower)| follower)
        } else {
            Ok(process::select(place, &request["process"])?.follow().await)
        }
    };
    let response = match outcome.await {
        Ok(items) => Body::from_stream(frames_of(Following {
            items,
            breaks: place.breaks.subscribe(),
            deadline: deadline.map(|deadline| Instant::now() + deadline),
            keepalive: world.options.keepalive_second
                * number("keepalive-ping-interval").unwrap_or(KEEPALIVE_SECONDS).max(1),
            noise: world.options.noise,
            then: Then::Follow,
        })),
        Err((code, message)) => Body::from(frames::trailer(Some((code, &message)))),
    };
    let mut response = Response::new(response);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/connect+json"));
    response
}

struct Following {
    items: mpsc::Receiver<Item>,
    breaks: watch::Receiver<u64>,
    deadline: Option<Instant>,
    keepalive: Duration,
    noise: bool,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Follow,
    Trailer,
    Stop,
}

fn frames_of(following: Following) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    stream::unfold(following, |mut following| async move {
        let item = following.next().await?;
        Some((item, following))
    })
}

impl Following {
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        match self.then {
            Then::Follow => {}
            Then::Trailer => {
                self.then = Then::Stop;
                return Some(Ok(frames::trailer(None)));
            }
            Then::Stop => return None,
        }
        let deadline = self.deadline;
        let over = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => pending::<()>().await,
            }
        };
        tokio::select! {
            biased;
            // The process is told to end in the same moment; the deadline is heard first, as from the daemon.
            () = over => {
                self.then = Then::Stop;
                Some(Ok(frames::trailer(Some(("deadline_exceeded", "context deadline exceeded")))))
            }
            _ = self.breaks.changed() => {
                self.then = Then::Stop;
                Some(Err(std::io::Error::other("the connection broke")))
            }
            item = self.items.recv() => match item {
                Some(Item::Frame(frame)) => Some(Ok(frame)),
                Some(Item::End(frame)) => {
                    self.then = Then::Trailer;
                    Some(Ok(frame))
                }
                None => None,
            },
            () = tokio::time::sleep(self.keepalive) => Some(Ok(frames::event(json!({ "keepalive": {} }), self.noise))),
        }
    }
}
