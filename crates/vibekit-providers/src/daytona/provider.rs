//! Opening sandboxes of Daytona.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, json};
use tokio::time::Instant;
use vibekit_core::Admitted;
use vibekit_http::{Sockets, StatusCode, Transport};
use vibekit_sandbox::{Capabilities, Code, Error, OpenRequest, Provider, Result, Sandbox};

use super::api::{Api, SandboxInfo, create_body};
use super::options::{Options, Source};
use super::sandbox::DaytonaSandbox;
use crate::remote::{Names, WORKING_DIRECTORY, check_env, check_id, check_working_directory, unattended};

/// Label that tells which request made a sandbox, for when its answer is lost.
const LABEL: &str = "vibekit-native";

/// Looks for a sandbox whose making was not answered; it may be made some time after it was asked for.
const AFTER: [u64; 6] = [100, 500, 2_000, 6_000, 20_000, 60_000];

/// Opens sandboxes of Daytona.
pub(crate) struct DaytonaProvider {
    api: Arc<Api>,
}

impl DaytonaProvider {
    pub(crate) fn new(options: Options, http: Arc<dyn Transport>, sockets: Arc<dyn Sockets>) -> Arc<Self> {
        Arc::new(Self { api: Arc::new(Api { http, sockets, options }) })
    }

    fn directory(&self, request: &OpenRequest) -> Result<String> {
        if request.working_directory.is_empty() {
            return Ok(self.api.options.working_directory.clone());
        }
        check_working_directory(&request.working_directory)?;
        Ok(request.working_directory.clone())
    }
}

/// The image for an agent, as upstream's provider has them.
fn image(agent: &str) -> &'static str {
    match agent {
        "claude" => "superagentai/vibekit-claude:1.0",
        "codex" => "superagentai/vibekit-codex:1.0",
        "gemini" => "superagentai/vibekit-gemini:1.1",
        "grok" => "superagentai/vibekit-grok-cli:1.0",
        "opencode" => "superagentai/vibekit-opencode:1.0",
        _ => "ubuntu:22.04",
    }
}

/// With the sentence upstream's provider begins with.
fn failed(doing: &str, mut error: Error) -> Error {
    if !matches!(error.code, Code::InvalidArgument | Code::InvalidType | Code::SessionNotFound) {
        error.message = format!("Failed to {doing} Daytona sandbox: {}", error.message);
    }
    error
}

/// Deletes whatever was made with this label, now or later.
async fn clear(api: Arc<Api>, label: String) {
    for wait in AFTER {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let Ok(found) = api.labelled(LABEL, &label).await else { continue };
        let mut all = !found.is_empty();
        for id in found {
            all &= api.delete(&id).await.is_ok();
        }
        if all {
            return;
        }
    }
}

async fn create(api: Arc<Api>, request: OpenRequest, directory: String) -> Result<Arc<DaytonaSandbox>> {
    let label = Names::new().job;
    let mut env = Map::new();
    for (name, value) in request.env {
        env.insert(name, value.into());
    }
    env.insert(WORKING_DIRECTORY.to_owned(), directory.clone().into());
    let image = match &api.options.source {
        Source::Agent => Some(image(&request.agent)),
        Source::Image(image) => Some(image.as_str()),
        Source::Snapshot(_) => None,
    };
    let body = create_body(&api.options, image, env, json!({ LABEL: label }));
    let info = match api.create(&body).await {
        Ok(info) => info,
        Err(error) => {
            if error.admitted != Some(Admitted::No) {
                tokio::spawn(clear(Arc::clone(&api), label));
            }
            return Err(error);
        }
    };
    let id = info.id.clone();
    let made = finish(&api, info, directory).await;
    if made.is_err() {
        // The first failure is the one worth telling. What cannot be deleted now is tried again.
        if api.delete(&id).await.is_err() {
            tokio::spawn(clear(api, label));
        }
    }
    made
}

async fn finish(api: &Arc<Api>, info: SandboxInfo, directory: String) -> Result<Arc<DaytonaSandbox>> {
    let info = until_started(api, info, api.options.create_timeout).await?;
    let proxy = proxy(api, &info).await?;
    let sandbox = DaytonaSandbox::new(Arc::clone(api), &info.id, proxy, Vec::new(), directory, false);
    sandbox.prepare().await?;
    Ok(Arc::new(sandbox))
}

async fn proxy(api: &Api, info: &SandboxInfo) -> Result<Option<String>> {
    match &info.toolbox_proxy_url {
        Some(url) if !url.is_empty() => Ok(Some(url.clone())),
        _ => api.toolbox_proxy(&info.id).await,
    }
}

/// Looks until it runs.
async fn until_started(api: &Api, mut info: SandboxInfo, limit: Duration) -> Result<SandboxInfo> {
    let end = Instant::now() + limit;
    let id = info.id.clone();
    let mut pause = Duration::from_millis(50);
    loop {
        match info.state.as_str() {
            "started" => return Ok(info),
            state @ ("error" | "build_failed") => {
                let reason = info.error_reason.clone().unwrap_or_else(|| "no reason given".to_owned());
                let mut error = Error::new(
                    Code::ProviderFailed,
                    format!("Daytona: the sandbox could not be started (state {state}): {reason}"),
                )
                .with("state", state);
                if state == "build_failed" {
                    error = error
                        .with_field(format!("{}.image", api.options.path))
                        .with_hint("Check that the image exists and can be pulled by Daytona, and that it is for linux/amd64.");
                    if let Some(log) = api.build_logs(&id).await {
                        error = error.with("buildLog", log);
                    }
                }
                return Err(error);
            }
            _ => {}
        }
        if Instant::now() + pause > end {
            let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::new(
                Code::Timeout,
                format!("Daytona: the sandbox did not start within {ms} ms (state {})", info.state),
            )
            .with("limit", ms)
            .with_field(format!("{}.createTimeoutMs", api.options.path))
            .with_hint(
                "The first use of an image takes as long as building it: give more time in createTimeoutMs.",
            )
            .retryable());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
        info = match api.get(&id).await? {
            Some(next) => next,
            None => {
                return Err(Error::new(
                    Code::SandboxLost,
                    "Daytona: the sandbox was deleted while it started",
                ));
            }
        };
    }
}

/// Looks until what is under way is done, and starts what does not run. True if processes are gone.
async fn started(api: &Api, mut info: SandboxInfo) -> Result<(SandboxInfo, bool)> {
    let end = Instant::now() + api.options.create_timeout;
    let id = info.id.clone();
    loop {
        match info.state.as_str() {
            "stopping" | "archiving" | "pausing" | "snapshotting" | "resizing" if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let Some(next) = api.get(&id).await? else { return Err(not_found(&id)) };
                info = next;
            }
            "stopped" | "archived" | "paused" => {
                let frozen = info.state == "paused";
                let answer = api.start(&id).await?;
                // Refused when somebody else has just started it.
                if answer.status != StatusCode::BAD_REQUEST && answer.status != StatusCode::CONFLICT {
                    api.accepted("starting the sandbox", answer)?;
                }
                let Some(next) = api.get(&id).await? else { return Err(not_found(&id)) };
                return Ok((until_started(api, next, api.options.create_timeout).await?, !frozen));
            }
            _ => return Ok((until_started(api, info, api.options.create_timeout).await?, false)),
        }
    }
}

fn not_found(id: &str) -> Error {
    Error::new(Code::SessionNotFound, format!("Daytona has no sandbox {id}"))
        .with_hint("It was deleted, or belongs to another organisation. Make a new one.")
}

#[async_trait]
impl Provider for DaytonaProvider {
    fn name(&self) -> &'static str {
        "daytona"
    }

    fn capabilities(&self) -> Capabilities {
        // The service hands out output line by line, without NUL; it freezes only some classes of sandboxes.
        Capabilities { exact_output: false, pause: false, read_only: false, ..Capabilities::ALL }
    }

    async fn create(&self, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        check_env(&request.env)?;
        let directory = self.directory(&request)?;
        let made = unattended(create(Arc::clone(&self.api), request, directory)).await;
        Ok(made.map_err(|error| failed("create", error))?)
    }

    async fn resume(&self, id: &str, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        check_id(id)?;
        check_env(&request.env)?;
        let directory = self.directory(&request)?;
        let attach = async {
            let info = self.api.get(id).await?.ok_or_else(|| not_found(id))?;
            let (info, processes_lost) = started(&self.api, info).await?;
            let proxy = proxy(&self.api, &info).await?;
            Ok((info, proxy, processes_lost))
        };
        let (info, proxy, processes_lost) = attach.await.map_err(|error| failed("resume", error))?;
        let api = Arc::clone(&self.api);
        Ok(Arc::new(DaytonaSandbox::new(api, &info.id, proxy, request.env, directory, processes_lost)))
    }

    async fn probe(&self) -> Result<serde_json::Value> {
        // Asks for sandboxes with a label none has: shows that the service is there and takes the key.
        self.api.labelled(LABEL, "probe").await?;
        serde_json::to_value(self.capabilities())
            .map_err(|error| Error::new(Code::Internal, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use vibekit_testkit::doubles::daytona::{Daytona, Generation, Settings};
    use vibekit_testkit::doubles::{Double, Player};

    use super::*;
    use crate::remote::lifecycle::{Cloud, Sabotage, lives, noticed, replays};

    impl Cloud for Generation {
        fn double(&self, player: Arc<dyn Player>) -> Arc<dyn Double> {
            Daytona::new(Settings { generation: *self, player: Some(player), ..Settings::default() })
        }

        fn provider(&self, http: Arc<dyn Transport>, sockets: Arc<dyn Sockets>) -> Arc<dyn Provider> {
            let options = json!({ "apiKey": "dtn_key", "apiUrl": "http://double/api" });
            let options = Options::parse(&options, "options", &(Arc::new(|_: &str| None) as _));
            DaytonaProvider::new(options.expect("valid"), http, sockets)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_faulted_lives() {
        lives(&Generation::Proxy, 0..10_000).await;
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_faulted_lives_of_the_older_generation() {
        lives(&Generation::Api, 0..10_000).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_faulted_life_is_played_again_by_its_seed() {
        replays(&Generation::Proxy, 0..200).await;
    }

    #[tokio::test(start_paused = true)]
    async fn faulted_lives_notice_sabotage() {
        for (sabotage, signs) in [
            (Sabotage::KeepDeleted, &["left something behind"][..]),
            (Sabotage::HideMade, &["left something behind"]),
            (Sabotage::LoseMessages, &["is not what it wrote"]),
            (Sabotage::NeverAnswer, &["hangs", "nobody waits for"]),
            (Sabotage::StopNothing, &["nobody waits for"]),
        ] {
            noticed(&Generation::Proxy, sabotage, signs).await;
        }
    }
}
