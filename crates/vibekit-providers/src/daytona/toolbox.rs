//! A sandbox's own server, which both generations of Daytona have and reach differently.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Mutex;
use vibekit_http::{Limits, Method, Opening, Request, Response, Socket, StatusCode, WsLimits, WsRequest};
use vibekit_sandbox::{Code, Error, Result};

use super::api::{Api, CommandInfo, PREVIEW_TOKEN, Preview, SPLIT, WHO, encode, read};

/// The port of a sandbox's server.
const PORT: u16 = 2280;

/// The way to one sandbox's server.
pub(crate) struct Toolbox {
    api: Arc<Api>,
    id: String,
    /// `{proxy}/{id}`, or none where the way leads through the API.
    proxy: Option<String>,
    /// Where that way has WebSockets: the sandbox's server as one of its ports.
    preview: Mutex<Option<Preview>>,
}

impl Toolbox {
    pub(crate) fn new(api: Arc<Api>, id: &str, proxy: Option<String>) -> Self {
        let proxy = proxy.map(|proxy| format!("{}/{}", proxy.trim_end_matches('/'), encode(id)));
        Self { api, id: id.to_owned(), proxy, preview: Mutex::default() }
    }

    fn request(&self, method: Method, path: &str) -> Request {
        let base = match &self.proxy {
            Some(proxy) => proxy.clone(),
            None => format!("{}/toolbox/{}/toolbox", self.api.options.api, encode(&self.id)),
        };
        Request::new(method, format!("{base}{path}"))
    }

    async fn send(&self, request: Request) -> Result<Response> {
        self.api.send(request).await
    }

    /// Makes a session. Success if there is one of that name.
    pub(crate) async fn create_session(&self, name: &str) -> Result<()> {
        let request = self
            .request(Method::POST, "/process/session")
            .json(&json!({ "sessionId": name }))
            .repeatable(true);
        let answer = self.send(request).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(());
        }
        self.api.accepted("making a session", answer).map(drop)
    }

    /// Deletes a session and ends what runs in it. Success if there is none.
    pub(crate) async fn delete_session(&self, name: &str) -> Result<()> {
        let answer =
            self.send(self.request(Method::DELETE, &format!("/process/session/{}", encode(name)))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        self.api.accepted("deleting a session", answer).map(drop)
    }

    /// Starts a command. `None`: there is no such session.
    pub(crate) async fn execute(&self, session: &str, command: &str) -> Result<Option<String>> {
        let request = self
            .request(Method::POST, &format!("/process/session/{}/exec", encode(session)))
            .json(&json!({ "command": command, "runAsync": true }));
        let answer = self.send(request).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = self.api.accepted("starting a command", answer)?.json().unwrap_or_default();
        match body["cmdId"].as_str() {
            Some(id) => Ok(Some(id.to_owned())),
            None => Err(Error::new(Code::ProviderFailed, format!("{WHO}: its answer names no command."))),
        }
    }

    /// A session's commands. `None`: there is no such session.
    pub(crate) async fn commands(&self, session: &str) -> Result<Option<Vec<CommandInfo>>> {
        let answer =
            self.send(self.request(Method::GET, &format!("/process/session/{}", encode(session)))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = self.api.accepted("looking at a session", answer)?.json().unwrap_or_default();
        Ok(Some(serde_json::from_value(body["commands"].clone()).unwrap_or_default()))
    }

    /// `None`: there is no such command, or no such session.
    pub(crate) async fn command(&self, session: &str, command: &str) -> Result<Option<CommandInfo>> {
        let path = format!("/process/session/{}/command/{}", encode(session), encode(command));
        let answer = self.send(self.request(Method::GET, &path)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(self.api.accepted("looking at a command", answer)?).map(Some)
    }

    /// Opens the stream of a command's output, from its beginning. `None`: there is no such command.
    pub(crate) async fn logs(&self, session: &str, command: &str) -> Result<Option<Box<dyn Socket>>> {
        let path =
            format!("/process/session/{}/command/{}/logs?follow=true", encode(session), encode(command));
        for fresh in [false, true] {
            let mut request = match &self.proxy {
                Some(proxy) => {
                    let mut request = WsRequest::new(format!("{proxy}{path}"));
                    for (name, value) in self.api.headers() {
                        request = request.header(name, &value).map_err(|failure| failure.into_error(WHO))?;
                    }
                    request
                }
                None => {
                    let preview = self.preview(fresh).await?;
                    WsRequest::new(format!("{}{path}", preview.url.trim_end_matches('/')))
                        .header(PREVIEW_TOKEN, &preview.token)
                        .map_err(|failure| failure.into_error(WHO))?
                }
            };
            request = request.header(SPLIT, "true").map_err(|failure| failure.into_error(WHO))?;
            request.limits = WsLimits::default();
            match self.api.sockets.open(request).await.map_err(|failure| failure.into_error(WHO))? {
                Opening::Open(socket) => return Ok(Some(socket)),
                Opening::Refused(answer) => match answer.status {
                    StatusCode::NOT_FOUND => return Ok(None),
                    // Tokens of previews change.
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.proxy.is_none() && !fresh => {}
                    _ => return Err(self.api.refusal("following a command", &answer)),
                },
            }
        }
        Ok(None)
    }

    async fn preview(&self, fresh: bool) -> Result<Preview> {
        let mut known = self.preview.lock().await;
        if let Some(preview) = known.as_ref().filter(|_| !fresh) {
            return Ok(preview.clone());
        }
        let preview = self.api.preview(&self.id, PORT).await?;
        *known = Some(preview.clone());
        Ok(preview)
    }

    /// Runs a program without a session, and gives its exit code and all it wrote.
    ///
    /// `repeatable`: once more does no harm.
    pub(crate) async fn one_shot(
        &self,
        words: &[&str],
        limit: Duration,
        repeatable: bool,
    ) -> Result<(i32, String)> {
        let command = one_shot_line(words)?;
        let request = self
            .request(Method::POST, "/process/execute")
            .json(&json!({ "command": command, "timeout": limit.as_secs().max(1) }))
            .limits(Limits {
                first_byte: limit + Duration::from_secs(30),
                total: None,
                body: 4 << 20,
                ..Limits::default()
            })
            .repeatable(repeatable);
        let answer = self.api.accepted("running a command", self.send(request).await?)?;
        let body = answer.json().unwrap_or_default();
        let code = body["exitCode"].as_i64().or_else(|| body["code"].as_i64());
        let Some(code) = code.and_then(|code| i32::try_from(code).ok()) else {
            return Err(Error::new(Code::ProviderFailed, format!("{WHO}: its answer has no exit code.")));
        };
        Ok((code, body["result"].as_str().unwrap_or_default().to_owned()))
    }

    /// Writes files whole, parents included.
    pub(crate) async fn upload(&self, files: &[(String, Bytes)]) -> Result<()> {
        let (boundary, body) = multipart(files);
        let mut request = self.request(Method::POST, "/files/bulk-upload").repeatable(true);
        request = request.body("multipart/form-data", body).limits(transfer());
        request.headers.insert(vibekit_http::header::CONTENT_TYPE, boundary);
        let answer = self.send(request).await?;
        if answer.status == StatusCode::INSUFFICIENT_STORAGE || says(&answer, "no space left") {
            return Err(Error::new(Code::DiskFull, "There is no space left in the sandbox.")
                .with_hint("Remove files, or ask for a larger disk with resources.disk."));
        }
        self.api.accepted("writing files", answer).map(drop)
    }

    pub(crate) async fn download(&self, path: &str) -> Result<Response> {
        let request =
            self.request(Method::GET, &format!("/files/download?path={}", encode(path))).limits(transfer());
        self.send(request).await
    }

    pub(crate) async fn list(&self, path: &str) -> Result<Response> {
        self.send(self.request(Method::GET, &format!("/files?path={}", encode(path)))).await
    }

    pub(crate) async fn remove(&self, path: &str) -> Result<Response> {
        self.send(self.request(Method::DELETE, &format!("/files?path={}&recursive=true", encode(path)))).await
    }
}

pub(crate) fn says(answer: &Response, text: &str) -> bool {
    !answer.status.is_success() && String::from_utf8_lossy(&answer.body).to_lowercase().contains(text)
}

fn transfer() -> Limits {
    Limits {
        first_byte: Duration::from_secs(300),
        total: Some(Duration::from_secs(1800)),
        body: 1 << 30,
        ..Limits::default()
    }
}

/// Words for servers that split at blanks and know quotes but no escapes, and equally for those that ask a shell.
fn one_shot_line(words: &[&str]) -> Result<String> {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        let quote = if !word.contains('\'') {
            '\''
        } else if !word.contains(['"', '$', '`', '\\', '!']) {
            '"'
        } else {
            return Err(Error::invalid(
                "workingDirectory",
                "holds quotes this provider cannot write",
                "Rename it.",
            ));
        };
        line.push(quote);
        line.push_str(word);
        line.push(quote);
    }
    Ok(line)
}

/// RFC 7578. Gives the content type and the body.
fn multipart(files: &[(String, Bytes)]) -> (vibekit_http::HeaderValue, Bytes) {
    let content: usize = files.iter().map(|(path, content)| content.len() + 2 * path.len() + 300).sum();
    // A boundary that is in none of the files, found by trying.
    let boundary = (0u64..)
        .map(|number| format!("vibekit-{number:016x}"))
        .find(|boundary| {
            let finder = memchr::memmem::Finder::new(boundary);
            files.iter().all(|(path, content)| !path.contains(boundary) && finder.find(content).is_none())
        })
        .unwrap_or_default();
    let mut body = Vec::with_capacity(content);
    for (index, (path, content)) in files.iter().enumerate() {
        // The name of a file is given apart, where it needs no quotes.
        body.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"files[{index}].path\"\r\n\r\n{path}\r\n\
                 --{boundary}\r\nContent-Disposition: form-data; name=\"files[{index}].file\"; filename=\"file\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let content_type = vibekit_http::HeaderValue::from_str(&content_type)
        .unwrap_or_else(|_| vibekit_http::HeaderValue::from_static("multipart/form-data"));
    (content_type, body.into())
}
