//! Files: the daemon's transfers, and the calls of its file service that clients of sandboxes use.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Response, Uri};
use serde_json::{Value, json};

use super::process::Refusal;
use super::{Place, parameter, refuse, reply};

/// Name, kind, path and size of what it is given, each ended by a NUL.
const TELL: &str = r"-printf '%f\0%y\0%p\0%s\0'";

/// A path as the daemon understands it: absolute, or below the home of the user.
pub(super) fn resolve(place: &Place, path: &str) -> String {
    let home = place.room.home();
    match path.strip_prefix("~/") {
        Some(rest) => format!("{home}/{rest}"),
        None if path == "~" => home.to_owned(),
        None if path.starts_with('/') => path.to_owned(),
        None => format!("{home}/{path}"),
    }
}

/// `GET` and `POST /files`.
pub(super) async fn transfer(
    place: &Place,
    method: &str,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let path = parameter(uri, "path").map(|path| resolve(place, &path));
    match (method, path) {
        ("GET", Some(path)) if !place.room.is_real() => match kept(place).get(&path) {
            Some(content) => Response::new(Body::from(content.clone())),
            None => failed(&path, "No such file"),
        },
        ("GET", Some(path)) => match place.room.run("cat -- \"$1\"", &[&path], b"").await {
            Ok(content) => Response::new(Body::from(content)),
            Err(said) => failed(&path, &said),
        },
        ("POST", path) => {
            let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let (name, content) = match kind.split_once("boundary=") {
                Some((_, boundary)) => match part(body, boundary.trim_matches('"')) {
                    Some((name, content)) => (name.map(|name| resolve(place, &name)), content),
                    None => return refuse(400, "no file in the form"),
                },
                None if kind.starts_with("application/octet-stream") => (None, body),
                None => return refuse(400, format!("unsupported content type '{kind}'")),
            };
            let Some(path) = path.or(name) else { return refuse(400, "no path") };
            let written = || {
                let name = path.rsplit('/').next().unwrap_or_default();
                reply(200, &json!([{ "path": path, "name": name, "type": "file" }]))
            };
            if !place.room.is_real() {
                kept(place).insert(path.clone(), Bytes::copy_from_slice(content));
                return written();
            }
            let script = "mkdir -p -- \"$(dirname -- \"$1\")\" && cat >\"$1\"";
            match place.room.run(script, &[&path], content).await {
                Ok(_) => written(),
                Err(said) => failed(&path, &said),
            }
        }
        _ => refuse(400, "no path"),
    }
}

/// The files of a sandbox in which everything is played.
fn kept(place: &Place) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
    place.files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a program of the shell said, as the daemon tells it.
fn failed(path: &str, said: &str) -> Response<Body> {
    if said.contains("No such file") {
        refuse(404, format!("path '{path}' does not exist"))
    } else if said.contains("s a directory") {
        refuse(400, format!("path '{path}' is a directory"))
    } else if said.contains("No space left") {
        refuse(507, "not enough disk space available")
    } else {
        refuse(500, said)
    }
}

/// The first part of a form that is a file: its name, and its content.
fn part<'body>(body: &'body [u8], boundary: &str) -> Option<(Option<String>, &'body [u8])> {
    let marker = format!("--{boundary}").into_bytes();
    let find =
        |haystack: &[u8], needle: &[u8]| haystack.windows(needle.len()).position(|part| part == needle);
    let start = find(body, &marker)? + marker.len() + 2;
    let rest = body.get(start..)?;
    let head = find(rest, b"\r\n\r\n")?;
    let names = String::from_utf8_lossy(&rest[..head]).into_owned();
    let name = names.split("filename=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
    let content = &rest[head + 4..];
    let mut end = b"\r\n".to_vec();
    end.extend_from_slice(&marker);
    // From behind: the content may hold anything, and a large one is not worth a search.
    let tail = content.len().saturating_sub(end.len() + 8);
    let at = content[tail..].windows(end.len()).position(|part| part == end.as_slice())? + tail;
    Some((name, &content[..at]))
}

/// Entries from what [`TELL`] printed.
fn entries(told: &[u8]) -> Vec<Value> {
    let fields: Vec<String> =
        told.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    let entry = |fields: &[String]| {
        let kind = match fields[1].as_str() {
            "d" => "FILE_TYPE_DIRECTORY",
            "l" => "FILE_TYPE_SYMLINK",
            "f" => "FILE_TYPE_FILE",
            _ => "FILE_TYPE_UNSPECIFIED",
        };
        let mut entry = json!({ "name": fields[0], "type": kind, "path": fields[2] });
        // 64-bit numbers are strings, and left out when they are zero.
        if kind == "FILE_TYPE_FILE" && fields[3] != "0" {
            entry["size"] = json!(fields[3]);
        }
        entry
    };
    fields.chunks_exact(4).map(entry).collect()
}

/// A call of `filesystem.Filesystem`.
pub(super) async fn call(place: &Place, call: &str, request: &Value) -> Result<Value, Refusal> {
    let field = |name: &str| resolve(place, request[name].as_str().unwrap_or_default());
    let path = field("path");
    let refusal = |said: String| {
        if said.contains("No such file") {
            ("not_found", format!("path not found: {path}"))
        } else if said.contains("exists") {
            ("already_exists", format!("path already exists: {path}"))
        } else {
            ("internal", said)
        }
    };
    let stat = |path: String| async move {
        let told = place.room.run(&format!("find \"$1\" -maxdepth 0 {TELL}"), &[&path], b"").await?;
        Ok::<_, String>(json!({ "entry": entries(&told).into_iter().next() }))
    };
    if !place.room.is_real() {
        return match call {
            "Remove" => {
                kept(place).remove(&path);
                Ok(json!({}))
            }
            _ => Err(("unimplemented", format!("{call} is not played"))),
        };
    }
    match call {
        "Stat" => stat(path.clone()).await.map_err(refusal),
        "MakeDir" => {
            let script = "[ -e \"$1\" ] && { echo exists >&2; exit 1; }; mkdir -p -- \"$1\"";
            place.room.run(script, &[&path], b"").await.map_err(refusal)?;
            stat(path.clone()).await.map_err(refusal)
        }
        "Move" => {
            let to = field("destination");
            place.room.run("mv -- \"$1\" \"$2\"", &[&field("source"), &to], b"").await.map_err(refusal)?;
            stat(to).await.map_err(refusal)
        }
        // The daemon removes as `rm -rf` does.
        "Remove" => {
            place.room.run("rm -rf -- \"$1\"", &[&path], b"").await.map(|_| json!({})).map_err(refusal)
        }
        "ListDir" => {
            let script = format!("find \"$1/\" -mindepth 1 -maxdepth 1 {TELL}");
            let told = place.room.run(&script, &[&path], b"").await.map_err(refusal)?;
            Ok(json!({ "entries": entries(&told) }))
        }
        _ => Err(("unimplemented", format!("{call} is not implemented"))),
    }
}
