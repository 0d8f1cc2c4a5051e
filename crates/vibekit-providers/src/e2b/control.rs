//! The control plane: REST with the account's key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use vibekit_core::Admitted;
use vibekit_http::{HeaderName, Limits, Method, Request, Response, Transport, header};
use vibekit_sandbox::{Code, Error, Result};

use super::E2bOptions;
use super::errors::{self, About};

/// Name of the label that tells this process's sandboxes from all others of the account.
pub(super) const LABEL: &str = "vibekit-native";
/// Name under which the working directory is kept with the sandbox.
pub(super) const DIRECTORY: &str = "vibekit-native-directory";
/// Pausing writes the sandbox's memory out; the service speaks of four seconds for each GiB.
const PAUSE: Duration = Duration::from_secs(120);
/// For the state after a pause whose answer did not come.
const ASK: Duration = Duration::from_secs(20);
/// Oldest daemon the protocol works with.
const OLDEST: (u32, u32, u32) = (0, 1, 0);

/// What the service tells of a sandbox when it is made or attached to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Attached {
    #[serde(rename = "sandboxID")]
    pub(super) id: String,
    #[serde(rename = "envdVersion", default)]
    pub(super) version: String,
    #[serde(rename = "envdAccessToken", default)]
    pub(super) token: Option<String>,
    #[serde(default)]
    pub(super) domain: Option<String>,
}

/// What `GET /sandboxes/{id}` tells, as far as it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) state: String,
    pub(super) metadata: BTreeMap<String, String>,
}

/// A new sandbox.
pub(super) struct New<'a> {
    pub(super) template: &'a str,
    pub(super) env: &'a [(String, String)],
    pub(super) label: &'a str,
    pub(super) directory: &'a str,
}

pub(super) struct Control {
    options: E2bOptions,
    way: Arc<dyn Transport>,
    /// The server turned out to lack the second version of the API.
    first_version: AtomicBool,
    /// Lifetime in seconds; shortened when the plan allows no more.
    ttl: AtomicU64,
}

/// The part of an id that counts: older clients wrote `id-clientID`.
pub(super) fn plain_id(id: &str) -> &str {
    id.split('-').next().unwrap_or(id)
}

/// Versions as three numbers; what is no version is the oldest.
pub(super) fn version(text: &str) -> (u32, u32, u32) {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

impl Control {
    pub(super) fn new(options: E2bOptions, way: Arc<dyn Transport>) -> Self {
        let ttl = options.ttl.as_millis().div_ceil(1000);
        Self {
            ttl: AtomicU64::new(u64::try_from(ttl).unwrap_or(u64::MAX)),
            first_version: AtomicBool::new(false),
            options,
            way,
        }
    }

    pub(super) fn options(&self) -> &E2bOptions {
        &self.options
    }

    pub(super) fn way(&self) -> &Arc<dyn Transport> {
        &self.way
    }

    /// The lifetime sandboxes get.
    pub(super) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl.load(Ordering::Relaxed))
    }

    fn request(&self, method: Method, path: &str) -> Request {
        let request = self.options.request;
        Request::new(method, format!("{}{path}", self.options.api_url))
            .secret(HeaderName::from_static("x-api-key"), &self.options.api_key)
            .header(header::ACCEPT, "application/json")
            .limits(Limits {
                first_byte: request,
                idle: Some(request),
                total: Some(request),
                ..Limits::default()
            })
    }

    async fn send(&self, request: Request) -> Result<Response> {
        self.way.fetch(request).await.map_err(errors::unanswered)
    }

    /// The second version of a call, the first where the server has no other.
    async fn versioned(
        &self,
        path: &str,
        second: &Value,
        first: &Value,
        repeatable: bool,
    ) -> Result<Response> {
        if !self.first_version.load(Ordering::Relaxed) {
            let request =
                self.request(Method::POST, &format!("/v2{path}")).json(second).repeatable(repeatable);
            let response = self.send(request).await?;
            if !errors::is_no_route(&response) {
                return Ok(response);
            }
            self.first_version.store(true, Ordering::Relaxed);
        }
        self.send(self.request(Method::POST, path).json(first).repeatable(repeatable)).await
    }

    /// Makes a sandbox. One whose answer is lost is looked for by its label; if it cannot be found now, a task of its own
    /// goes on looking and kills it.
    pub(super) async fn create(self: &Arc<Self>, new: &New<'_>) -> Result<Attached> {
        let about = About::Create { template: new.template, path: &self.options.path };
        let mut tried = false;
        loop {
            let body = self.body(new);
            let mut first = body.clone();
            first["secure"] = json!(true);
            let response = match self.versioned("/sandboxes", &body, &first, false).await {
                Ok(response) => response,
                Err(error) if error.admitted == Some(Admitted::No) => return Err(error),
                Err(error) => return self.adopt(new.label, error).await,
            };
            if response.status.is_success() {
                return match read(&response) {
                    Ok(attached) => self.check_version(attached).await,
                    Err(error) => self.adopt(new.label, error).await,
                };
            }
            match errors::most_hours(&response) {
                Some(hours) if !tried && hours * 3600 < self.ttl.load(Ordering::Relaxed) => {
                    tried = true;
                    self.ttl.store(hours * 3600, Ordering::Relaxed);
                }
                // A gateway gave up waiting: the sandbox may be there.
                _ if matches!(response.status.as_u16(), 500 | 502 | 504) => {
                    return self.adopt(new.label, errors::refused(&response, about)).await;
                }
                _ => return Err(errors::refused(&response, about)),
            }
        }
    }

    fn body(&self, new: &New<'_>) -> Value {
        let mut metadata = self.options.metadata.clone();
        metadata.insert(LABEL.to_owned(), new.label.to_owned());
        metadata.insert(DIRECTORY.to_owned(), new.directory.to_owned());
        let env: serde_json::Map<String, Value> =
            new.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut body = json!({
            "templateID": new.template,
            "timeout": self.ttl.load(Ordering::Relaxed),
            "metadata": metadata,
            "envVars": env,
        });
        if self.options.auto_pause {
            body["autoPause"] = json!(true);
        }
        body
    }

    async fn check_version(&self, attached: Attached) -> Result<Attached> {
        if version(&attached.version) >= OLDEST || attached.version.is_empty() {
            return Ok(attached);
        }
        let error = Error::new(
            Code::ProviderFailed,
            format!("E2B: the daemon of this template (version {}) is too old.", attached.version),
        )
        .with_field(format!("{}.templateId", self.options.path))
        .with_hint("Rebuild the template.");
        self.undo(&attached.id, error).await
    }

    /// Ends a sandbox that is of no use because of `error`.
    pub(super) async fn undo<T>(&self, id: &str, error: Error) -> Result<T> {
        match self.kill(id).await {
            Ok(()) => Err(error),
            Err(leak) => Err(error.with("leakedSandboxId", id).caused_by(leak)),
        }
    }

    async fn adopt(self: &Arc<Self>, label: &str, error: Error) -> Result<Attached> {
        // The request may still be on its way.
        for pause in [0, 500, 1500] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if let Ok(Some(id)) = self.find(label).await
                && let Ok(attached) = self.connect(&id).await
            {
                return Ok(attached);
            }
        }
        let (control, label) = (Arc::clone(self), label.to_owned());
        // Bounded, and worth its while after the caller has its error: what it kills, somebody pays for.
        tokio::spawn(async move { control.reap(&label).await });
        Err(error)
    }

    /// Kills the sandbox of a label as soon as it shows.
    pub(super) async fn reap(&self, label: &str) {
        // Longer than anything that was sent can be on its way.
        for pause in [5, 15, 40, 120] {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if let Ok(Some(id)) = self.find(label).await
                && self.kill(&id).await.is_ok()
            {
                return;
            }
        }
    }

    /// The sandbox with a label.
    async fn find(&self, label: &str) -> Result<Option<String>> {
        // Three rounds of encoding: each part, the joined parts, the query's value. Label and name are letters, digits and
        // hyphens, which all of them leave alone, so only the `=` between them shows any.
        let path = format!("/v2/sandboxes?metadata={LABEL}%3D{label}&state=running%2Cpaused");
        let response = self.send(self.request(Method::GET, &path)).await?;
        let response = if errors::is_no_route(&response) {
            self.send(self.request(Method::GET, &format!("/sandboxes?metadata={LABEL}%3D{label}"))).await?
        } else {
            response
        };
        if !response.status.is_success() {
            return Err(errors::refused(&response, About::Sandbox(label)));
        }
        let list = response.json().unwrap_or_default();
        // Checked here as well: a server that ignores the filter would have us take somebody else's.
        let found = list.as_array().into_iter().flatten().find(|one| one["metadata"][LABEL] == label);
        Ok(found.and_then(|one| one["sandboxID"].as_str()).map(|id| plain_id(id).to_owned()))
    }

    /// Attaches: resumes if need be, extends the lifetime, gives a token.
    pub(super) async fn connect(&self, id: &str) -> Result<Attached> {
        let id = plain_id(id);
        let mut tried = false;
        let mut busy = 0;
        loop {
            let body = json!({ "timeout": self.ttl.load(Ordering::Relaxed) });
            let response = self.versioned(&format!("/sandboxes/{id}/connect"), &body, &body, true).await?;
            if response.status.is_success() {
                return read(&response);
            }
            if let Some(hours) = errors::most_hours(&response).filter(|_| !tried) {
                tried = true;
                self.ttl.store(hours * 3600, Ordering::Relaxed);
                continue;
            }
            let error = errors::refused(&response, About::Sandbox(id));
            // A sandbox that is being paused or placed: the same request later is safe, its id is the same.
            if matches!(response.status.as_u16(), 409 | 500) && busy < 3 {
                busy += 1;
                tokio::time::sleep(Duration::from_millis(500 << busy)).await;
                continue;
            }
            return Err(error);
        }
    }

    /// Kills. One that is not there is fine.
    pub(super) async fn kill(&self, id: &str) -> Result<()> {
        let response =
            self.send(self.request(Method::DELETE, &format!("/sandboxes/{}", plain_id(id)))).await?;
        match response.status.as_u16() {
            200..=299 | 404 => Ok(()),
            _ => Err(errors::refused(&response, About::Sandbox(id))),
        }
    }

    /// Pauses. One that is paused already is fine. When the answer does not come in time the state tells.
    pub(super) async fn pause(&self, id: &str) -> Result<()> {
        let request = self.request(Method::POST, &format!("/sandboxes/{id}/pause")).json(&json!({}));
        let limits = Limits { first_byte: PAUSE, total: Some(PAUSE), ..Limits::default() };
        let outcome = self.send(request.limits(limits)).await;
        let error = match outcome {
            Ok(response) if response.status.is_success() => return Ok(()),
            Ok(response) if response.status.as_u16() == 404 => return Err(errors::not_found(id)),
            Ok(response) => errors::refused(&response, About::Sandbox(id)),
            Err(error) => error,
        };
        match tokio::time::timeout(ASK, self.info(id)).await {
            Ok(Ok(info)) if info.state == "paused" => Ok(()),
            _ => Err(error),
        }
    }

    /// Counts the lifetime anew. By attaching, which only ever extends it: somebody else may have asked for more.
    pub(super) async fn renew(&self, id: &str) -> Result<()> {
        let body = json!({ "timeout": self.ttl.load(Ordering::Relaxed) });
        let response = self.versioned(&format!("/sandboxes/{id}/connect"), &body, &body, true).await?;
        if response.status.is_success() {
            return Ok(());
        }
        Err(errors::refused(&response, About::Sandbox(id)))
    }

    /// State and metadata.
    pub(super) async fn info(&self, id: &str) -> Result<Info> {
        let response = self.send(self.request(Method::GET, &format!("/sandboxes/{id}"))).await?;
        if !response.status.is_success() {
            return Err(errors::refused(&response, About::Sandbox(id)));
        }
        serde_json::from_slice(&response.body)
            .map_err(|_| errors::unreadable("the answer about the sandbox is not understood."))
    }

    /// Asks for nothing but an answer: whether the key is good and the service there.
    pub(super) async fn check(&self) -> Result<()> {
        let response = self.send(self.request(Method::GET, "/v2/sandboxes?limit=1")).await?;
        if response.status.is_success() || errors::is_no_route(&response) {
            return Ok(());
        }
        Err(errors::refused(&response, About::Sandbox("")))
    }
}

fn read(response: &Response) -> Result<Attached> {
    let attached: Option<Attached> = serde_json::from_slice(&response.body).ok();
    match attached {
        Some(attached) if !attached.id.is_empty() => Ok(Attached {
            id: plain_id(&attached.id).to_owned(),
            domain: attached.domain.filter(|domain| !domain.is_empty()),
            token: attached.token.filter(|token| !token.is_empty()),
            ..attached
        }),
        _ => Err(errors::unreadable("the answer about the sandbox is not understood.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_older_clients_are_understood() {
        assert_eq!(plain_id("i1abc-6532622b"), "i1abc");
        assert_eq!(plain_id("i1abc"), "i1abc");
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert_eq!(version("v0.5.7-rc1"), (0, 5, 7));
        assert_eq!(version("nonsense"), (0, 0, 0));
    }
}
