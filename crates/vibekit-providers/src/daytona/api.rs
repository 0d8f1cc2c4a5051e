//! Requests to Daytona, and what their refusals mean.
//!
//! Written against the published OpenAPI of its API and toolbox and recordings of the official clients 0.27.1 and 0.218.0.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use vibekit_core::Admitted;
use vibekit_http::{
    HeaderName, Limits, Method, Request, Response, Sockets, StatusCode, Transport, header, retry_after,
};
use vibekit_sandbox::{Code, Error, Result};

use super::options::Options;

/// In errors.
pub(crate) const WHO: &str = "Daytona";

const ORGANIZATION: HeaderName = HeaderName::from_static("x-daytona-organization-id");
const SOURCE: HeaderName = HeaderName::from_static("x-daytona-source");
/// Asks for standard output and standard error apart, which otherwise depends on which version of the official client
/// one is.
pub(crate) const SPLIT: HeaderName = HeaderName::from_static("x-daytona-split-output");
pub(crate) const PREVIEW_TOKEN: HeaderName = HeaderName::from_static("x-daytona-preview-token");

/// Everything that is there of a sandbox; all but the id may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SandboxInfo {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) error_reason: Option<String>,
    pub(crate) toolbox_proxy_url: Option<String>,
}

/// A command of a session.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CommandInfo {
    pub(crate) id: String,
    pub(crate) command: String,
    pub(crate) exit_code: Option<i32>,
}

/// Where a port is reached.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Preview {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) token: String,
}

/// The way to one account.
pub(crate) struct Api {
    pub(crate) http: Arc<dyn Transport>,
    pub(crate) sockets: Arc<dyn Sockets>,
    pub(crate) options: Options,
}

/// A part of a path. Ids are checked before they get here; names of sessions are our own.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

impl Api {
    /// Adds what every request carries.
    pub(crate) fn signed(&self, mut request: Request) -> Request {
        request = request
            .secret(header::AUTHORIZATION, format!("Bearer {}", self.options.token))
            .header(SOURCE, "vibekit-native")
            .header(SPLIT, "true");
        match &self.options.organization {
            Some(organization) => request.header(ORGANIZATION, organization),
            None => request,
        }
    }

    pub(crate) fn headers(&self) -> Vec<(HeaderName, String)> {
        let mut headers = vec![
            (header::AUTHORIZATION, format!("Bearer {}", self.options.token)),
            (SOURCE, "vibekit-native".to_owned()),
        ];
        if let Some(organization) = &self.options.organization {
            headers.push((ORGANIZATION, organization.clone()));
        }
        headers
    }

    /// Sends a request; whatever the status is, it is an answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Response> {
        self.http.fetch(self.signed(request)).await.map_err(|failure| failure.into_error(WHO))
    }

    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, format!("{}{path}", self.options.api)).limits(Limits {
            body: 4 << 20,
            total: Some(Duration::from_secs(60)),
            ..Limits::default()
        })
    }

    /// Asks for a sandbox.
    pub(crate) async fn create(&self, body: &Value) -> Result<SandboxInfo> {
        // Older servers answer when the image is built.
        let limits = Limits {
            first_byte: self.options.create_timeout.max(Duration::from_secs(60)),
            total: None,
            ..Limits::default()
        };
        let answer = self.send(self.request(Method::POST, "/sandbox").json(body).limits(limits)).await?;
        read(self.accepted("creating a sandbox", answer)?)
    }

    /// `None`: there is no such sandbox.
    pub(crate) async fn get(&self, id: &str) -> Result<Option<SandboxInfo>> {
        let answer = self.send(self.request(Method::GET, &format!("/sandbox/{}", encode(id)))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let info: SandboxInfo = read(self.accepted("looking at the sandbox", answer)?)?;
        Ok(Some(info).filter(|info| !matches!(info.state.as_str(), "destroyed" | "destroying")))
    }

    /// Sandboxes with this label.
    pub(crate) async fn labelled(&self, name: &str, value: &str) -> Result<Vec<String>> {
        let mut labels = Map::new();
        labels.insert(name.to_owned(), value.into());
        let labels = encode(&Value::Object(labels).to_string());
        let answer = self.send(self.request(Method::GET, &format!("/sandbox?labels={labels}"))).await?;
        let body = self.accepted("listing sandboxes", answer)?.json().unwrap_or_default();
        // A list, or a page of one.
        let list = body.as_array().or_else(|| body["items"].as_array()).cloned().unwrap_or_default();
        Ok(list.iter().filter_map(|sandbox| sandbox["id"].as_str().map(str::to_owned)).collect())
    }

    /// Starts a sandbox that is not running.
    pub(crate) async fn start(&self, id: &str) -> Result<Response> {
        // Starting what is starting is refused, so a repetition does no harm.
        self.send(self.request(Method::POST, &format!("/sandbox/{}/start", encode(id))).repeatable(true))
            .await
    }

    /// Deletes a sandbox. Success if there is none.
    pub(crate) async fn delete(&self, id: &str) -> Result<()> {
        let mut pause = Duration::from_millis(250);
        for attempt in 1.. {
            let request = self.request(Method::DELETE, &format!("/sandbox/{}?force=true", encode(id)));
            let answer = self.send(request).await?;
            match answer.status {
                StatusCode::NOT_FOUND => return Ok(()),
                // A change of its state is under way.
                StatusCode::CONFLICT | StatusCode::BAD_REQUEST if attempt < 6 => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                _ => return self.accepted("deleting the sandbox", answer).map(drop),
            }
        }
        Ok(())
    }

    /// Where the toolboxes are, if they have a proxy of their own.
    pub(crate) async fn toolbox_proxy(&self, id: &str) -> Result<Option<String>> {
        let path = format!("/sandbox/{}/toolbox-proxy-url", encode(id));
        let answer = self.send(self.request(Method::GET, &path)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = self.accepted("looking for the toolbox", answer)?.json().unwrap_or_default();
        Ok(body["url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned))
    }

    pub(crate) async fn preview(&self, id: &str, port: u16) -> Result<Preview> {
        let path = format!("/sandbox/{}/ports/{port}/preview-url", encode(id));
        let answer = self.send(self.request(Method::GET, &path)).await?;
        read(self.accepted("naming a port", answer)?)
    }

    /// The end of what building the image said.
    pub(crate) async fn build_logs(&self, id: &str) -> Option<String> {
        let request = self.request(Method::GET, &format!("/sandbox/{}/build-logs", encode(id)));
        let answer = self.send(request).await.ok()?;
        if !answer.status.is_success() {
            return None;
        }
        let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
        let from = text.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        Some(text[from..].to_owned()).filter(|text| !text.is_empty())
    }

    /// The answer, if it is one of success; otherwise what it means.
    pub(crate) fn accepted(&self, doing: &str, answer: Response) -> Result<Response> {
        if answer.status.is_success() { Ok(answer) } else { Err(self.refusal(doing, &answer)) }
    }

    /// What a refusal means.
    pub(crate) fn refusal(&self, doing: &str, answer: &Response) -> Error {
        let status = answer.status;
        let message = message(answer);
        let path = &self.options.path;
        let text = format!("{WHO}: {doing} failed with status {}: {message}", status.as_u16());
        let lower = message.to_lowercase();
        let quota = ["quota", "limit exceeded", "exceeds", "suspended", "concurrent"]
            .iter()
            .any(|word| lower.contains(word));
        let error = match status {
            StatusCode::UNAUTHORIZED => Error::new(Code::AuthenticationFailed, text)
                .with_field(format!("{path}.apiKey"))
                .with_hint(format!(
                    "Check {path}.apiKey, or DAYTONA_API_KEY, and that it is one of {}.",
                    self.options.api
                )),
            StatusCode::TOO_MANY_REQUESTS => {
                let error = Error::new(Code::RateLimited, text).with_hint("Try again later.").retryable();
                match retry_after(&answer.headers) {
                    Some(after) => {
                        error.with("retryAfterMs", u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
                    }
                    None => error,
                }
            }
            _ if quota && status.is_client_error() => Error::new(Code::ConcurrencyLimit, text)
                .with_hint("Delete sandboxes that are not needed, or ask Daytona for a higher limit.")
                .retryable(),
            StatusCode::FORBIDDEN => Error::new(Code::PermissionDenied, text)
                .with_field(format!("{path}.apiKey"))
                .with_hint("Use a key with the rights to write and delete sandboxes."),
            StatusCode::BAD_REQUEST if lower.contains("region") || lower.contains("target") => {
                Error::new(Code::InvalidArgument, text)
                    .with_field(format!("{path}.target"))
                    .with_hint("Name a region of your organisation in target or DAYTONA_TARGET, or none.")
            }
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if lower.contains("snapshot") => {
                Error::new(Code::TemplateNotFound, text)
                    .with_field(format!("{path}.snapshot"))
                    .with_hint("Name a snapshot of your organisation that is active in this region.")
            }
            StatusCode::NOT_FOUND => Error::new(Code::SessionNotFound, text)
                .with_hint("It was deleted, or belongs to another organisation. Make a new one."),
            _ => {
                let mut error = Error::new(Code::ProviderFailed, text);
                error.retryable = status.is_server_error();
                error
            }
        };
        let mut error = error.with("status", status.as_u16());
        // The service has answered: it did not take on what it refused. Nobody knows what it did before it broke.
        error.admitted = Some(if status.is_client_error() { Admitted::No } else { Admitted::Unknown });
        error
    }
}

/// What an answer says is wrong; API, daemon and proxy write it in different places.
fn message(answer: &Response) -> String {
    let body = answer.json().unwrap_or_default();
    let found = ["message", "error", "statusText"].iter().find_map(|key| match &body[key] {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(list) if !list.is_empty() => {
            Some(list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
        }
        _ => None,
    });
    let mut text = found.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
        if text.is_empty() || text.starts_with('<') { "no reason given".to_owned() } else { text }
    });
    if let Some((at, _)) = text.char_indices().nth(500) {
        text.truncate(at);
    }
    text
}

/// Reads an answer of success.
pub(crate) fn read<T: serde::de::DeserializeOwned>(answer: Response) -> Result<T> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        Error::new(Code::ProviderFailed, format!("{WHO}: its answer is not what it should be: {error}"))
            .with("status", answer.status.as_u16())
    })
}

/// The body that asks for a sandbox.
pub(crate) fn create_body(
    options: &Options,
    image: Option<&str>,
    env: Map<String, Value>,
    labels: Value,
) -> Value {
    let mut body = json!({ "env": env, "labels": labels });
    let optional = [
        ("buildInfo", image.map(|image| json!({ "dockerfileContent": format!("FROM {image}\n") }))),
        (
            "snapshot",
            match &options.source {
                super::options::Source::Snapshot(name) => Some(json!(name)),
                _ => None,
            },
        ),
        ("target", options.target.as_ref().map(|target| json!(target))),
        ("cpu", options.resources.cpu.map(|cores| json!(cores))),
        ("memory", options.resources.memory.map(|memory| json!(memory))),
        ("disk", options.resources.disk.map(|disk| json!(disk))),
        ("public", options.public.map(|public| json!(public))),
        ("autoStopInterval", options.auto_stop.map(|minutes| json!(minutes))),
    ];
    for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        body[key] = value;
    }
    body
}
