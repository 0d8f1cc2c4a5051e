//! Files of a sandbox, through the daemon.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use vibekit_http::{HeaderName, Limits, Method, Request};
use vibekit_sandbox::{Code, Entry, Error, Files, Result};

use super::daemon::Daemon;
use super::errors::{self, About};
use super::sandbox::E2bSandbox;
use super::unique::unique;

/// Largest file that is read into memory.
const LARGEST: usize = 1 << 30;
/// First version that takes a file as it is, without a form around it.
const PLAIN: (u32, u32, u32) = (0, 5, 7);

/// A query parameter's value.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => {
                use std::fmt::Write;
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn request(daemon: &Daemon, method: Method, path: &str) -> Request {
    let user = daemon.user().map(|user| format!("&username={}", encode(user))).unwrap_or_default();
    daemon.request(method, &format!("/files?path={}{user}", encode(path)), None).limits(Limits {
        // Large ones take their time; silence is what is wrong.
        total: None,
        body: LARGEST,
        ..Limits::default()
    })
}

/// Whole content of a file; `None` when there is none.
pub(super) async fn read(daemon: &Daemon, path: &str) -> Result<Option<Bytes>> {
    let response = daemon.fetch(request(daemon, Method::GET, path)).await?;
    match response.status.as_u16() {
        200..=299 => Ok(Some(response.body)),
        404 => Ok(None),
        502 => Err(errors::gone(daemon.id())),
        _ => Err(errors::refused(&response, About::File(path))),
    }
}

/// Creates parents, replaces content. Doing it twice does no harm.
pub(super) async fn write(daemon: &Daemon, path: &str, content: Bytes) -> Result<()> {
    let request = request(daemon, Method::POST, path).repeatable(true);
    let request = if daemon.version() >= PLAIN {
        request.body("application/octet-stream", content)
    } else {
        let boundary = unique();
        let mut form = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        form.extend_from_slice(&content);
        form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let mut request = request.body("application/octet-stream", form);
        request.headers.remove(vibekit_http::header::CONTENT_TYPE);
        request.header(HeaderName::from_static("content-type"), kind)
    };
    let response = daemon.fetch(request).await?;
    match response.status.as_u16() {
        200..=299 => Ok(()),
        502 => Err(errors::gone(daemon.id())),
        _ => Err(errors::refused(&response, About::File(path))),
    }
}

/// Removes a file or a directory. Missing is fine.
pub(super) async fn remove(daemon: &Daemon, path: &str) -> Result<()> {
    match daemon.call("/filesystem.Filesystem/Remove", &json!({ "path": path }), true).await {
        Ok(_) => Ok(()),
        Err(error) if error.details.get("connectCode").is_some_and(|code| code == "not_found") => Ok(()),
        Err(error) => Err(file_error(error, path)),
    }
}

fn file_error(error: Error, path: &str) -> Error {
    match error.details.get("connectCode").and_then(Value::as_str) {
        Some("not_found") => Error::new(Code::FileError, format!("E2B: there is no file {path:?}"))
            .with("path", path)
            .with("reason", "not_found"),
        Some("invalid_argument" | "internal" | "permission_denied") => {
            Error { code: Code::FileError, ..error }.with("path", path)
        }
        _ => error,
    }
}

#[async_trait]
impl Files for E2bSandbox {
    async fn read(&self, path: &str) -> Result<Bytes> {
        let (daemon, path) = (self.ready()?, self.resolve(path));
        self.judge(read(daemon, &path).await).await?.ok_or_else(|| {
            Error::new(Code::FileError, format!("E2B: there is no file {path:?}"))
                .with("path", path)
                .with("reason", "not_found")
        })
    }

    async fn write(&self, path: &str, content: Bytes) -> Result<()> {
        let written = write(self.ready()?, &self.resolve(path), content).await;
        self.judge(written).await
    }

    async fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let (daemon, path) = (self.ready()?, self.resolve(path));
        let listed = daemon
            .call("/filesystem.Filesystem/ListDir", &json!({ "path": path, "depth": 1 }), true)
            .await
            .map_err(|error| file_error(error, &path));
        let listed = self.judge(listed).await?;
        let entry = |entry: &Value| Entry {
            name: entry["name"].as_str().unwrap_or_default().to_owned(),
            // Names are what the daemon writes; the numbers are what protobuf allows it to write.
            kind: match (&entry["type"], entry["type"].as_u64()) {
                (Value::String(kind), _) if kind == "FILE_TYPE_FILE" => "file",
                (Value::String(kind), _) if kind == "FILE_TYPE_DIRECTORY" => "directory",
                (Value::String(kind), _) if kind == "FILE_TYPE_SYMLINK" => "symlink",
                (_, Some(1)) => "file",
                (_, Some(2)) => "directory",
                (_, Some(3)) => "symlink",
                _ => "other",
            },
            // 64-bit numbers are strings in the JSON of protobuf.
            size: entry["size"].as_u64().or_else(|| entry["size"].as_str()?.parse().ok()).unwrap_or(0),
        };
        let mut entries: Vec<Entry> = listed["entries"].as_array().into_iter().flatten().map(entry).collect();
        for entry in &mut entries {
            if entry.kind != "file" {
                entry.size = 0;
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let removed = remove(self.ready()?, &self.resolve(path)).await;
        self.judge(removed).await
    }
}
