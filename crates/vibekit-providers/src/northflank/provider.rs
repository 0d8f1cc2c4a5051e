//! Opening sandboxes of Northflank.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::Instant;
use vibekit_core::Admitted;
use vibekit_http::{Sockets, Transport};
use vibekit_sandbox::{Capabilities, Code, Error, OpenRequest, Provider, Result, Sandbox};

use super::api::Api;
use super::options::Options;
use super::sandbox::NorthflankSandbox;
use crate::remote::{Names, WORKING_DIRECTORY, check_env, check_id, check_working_directory, unattended};

/// Looks for a service whose making was not answered; it may be made some time after it was asked for.
const AFTER: [u64; 6] = [0, 500, 2_000, 6_000, 20_000, 60_000];

/// Times another name is tried.
const NAMES: usize = 3;

/// Opens sandboxes of Northflank.
pub(crate) struct NorthflankProvider {
    api: Arc<Api>,
}

impl NorthflankProvider {
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
        "gemini" => "superagentai/vibekit-gemini:1.0",
        "grok" => "superagentai/vibekit-grok-cli:1.0",
        "opencode" => "superagentai/vibekit-opencode:1.0",
        _ => "ubuntu:22.04",
    }
}

/// Deletes a service that is there or yet to be made.
async fn clear(api: Arc<Api>, id: String) {
    for wait in AFTER {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if matches!(api.delete(&id).await, Ok(true)) {
            return;
        }
    }
}

/// Makes a service of a name nobody has. Its id.
async fn named(api: &Arc<Api>, image: &str, env: &Value) -> Result<String> {
    for _ in 0..NAMES {
        // As upstream's provider calls them: twelve digits.
        let name = format!("sandbox-{}", &Names::new().job[..12]);
        match api.create_service(&name, image, env).await {
            Ok(Some(id)) => return Ok(id),
            // Somebody else's, which stays as it is.
            Ok(None) => {}
            Err(error) => {
                if error.admitted != Some(Admitted::No) {
                    tokio::spawn(clear(Arc::clone(api), name));
                }
                return Err(error);
            }
        }
    }
    let text = format!("Northflank: {NAMES} random names for the service were all taken");
    Err(Error::new(Code::ProviderFailed, text)
        .with_field(format!("{}.projectId", api.options.path))
        .with_hint("Delete services of the project that are not needed, or use another project.")
        .retryable())
}

async fn create(api: Arc<Api>, request: OpenRequest, directory: String) -> Result<Arc<NorthflankSandbox>> {
    let mut env = Map::new();
    for (name, value) in request.env {
        env.insert(name, value.into());
    }
    env.insert(WORKING_DIRECTORY.to_owned(), directory.clone().into());
    let image = api.options.image.clone().unwrap_or_else(|| image(&request.agent).to_owned());
    let id = named(&api, &image, &Value::Object(env)).await?;
    let made = finish(&api, &id, directory).await;
    if made.is_err() {
        // The first failure is the one worth telling. What cannot be deleted now is tried again.
        if !matches!(api.delete(&id).await, Ok(true)) {
            tokio::spawn(clear(api, id));
        }
    }
    made
}

async fn finish(api: &Arc<Api>, id: &str, directory: String) -> Result<Arc<NorthflankSandbox>> {
    api.create_volume(id, &directory).await?;
    api.scale(id, 1).await?;
    until_completed(api, id).await?;
    let sandbox = NorthflankSandbox::new(Arc::clone(api), id, Vec::new(), directory, false);
    sandbox.prepare().await?;
    Ok(Arc::new(sandbox))
}

/// Looks until it runs.
pub(super) async fn until_completed(api: &Api, id: &str) -> Result<()> {
    let limit = api.options.create_timeout;
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(50);
    loop {
        let Some(service) = api.service(id).await? else { return Err(not_found(id)) };
        match service.status.as_str() {
            "COMPLETED" => return Ok(()),
            "FAILED" => {
                return Err(Error::new(Code::ProviderFailed, format!("Sandbox deployment failed for {id}"))
                    .with_field(format!("{}.image", api.options.path))
                    .with_hint("Check that the image exists, and the deployment's log in Northflank."));
            }
            _ => {}
        }
        if Instant::now() + pause > end {
            let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::new(Code::Timeout, format!("Timeout waiting for sandbox {id} to be ready"))
                .with("limit", ms)
                .with_field(format!("{}.createTimeoutMs", api.options.path))
                .with_hint("Give more time in createTimeoutMs.")
                .retryable());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn not_found(id: &str) -> Error {
    Error::new(Code::SessionNotFound, format!("Northflank has no service {id}"))
        .with_hint("It was deleted, or belongs to another project. Make a new one.")
}

#[async_trait]
impl Provider for NorthflankProvider {
    fn name(&self) -> &'static str {
        "northflank"
    }

    fn capabilities(&self) -> Capabilities {
        // Output comes as text; pausing ends processes.
        Capabilities {
            exact_output: false,
            pause: false,
            read_only: false,
            suspend: true,
            ..Capabilities::ALL
        }
    }

    async fn create(&self, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        check_env(&request.env)?;
        let directory = self.directory(&request)?;
        Ok(unattended(create(Arc::clone(&self.api), request, directory)).await?)
    }

    async fn resume(&self, id: &str, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        check_id(id)?;
        check_env(&request.env)?;
        let directory = self.directory(&request)?;
        let service = self.api.service(id).await?.ok_or_else(|| not_found(id))?;
        let stopped = service.instances == 0;
        if stopped {
            self.api.scale(id, 1).await?;
        }
        until_completed(&self.api, id).await?;
        let api = Arc::clone(&self.api);
        Ok(Arc::new(NorthflankSandbox::new(api, id, request.env, directory, stopped)))
    }

    async fn probe(&self) -> Result<Value> {
        // Asks for a service there is none of: shows that the service is there and takes key and project.
        self.api.service("sandbox-probe").await?;
        serde_json::to_value(self.capabilities())
            .map_err(|error| Error::new(Code::Internal, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vibekit_testkit::doubles::northflank::{Northflank, Settings};
    use vibekit_testkit::doubles::{Double, Player};

    use super::*;
    use crate::remote::lifecycle::{Cloud, Sabotage, lives, noticed, replays};

    struct World;

    impl Cloud for World {
        fn double(&self, player: Arc<dyn Player>) -> Arc<dyn Double> {
            Northflank::new(Settings { player: Some(player), ..Settings::default() })
        }

        fn provider(&self, http: Arc<dyn Transport>, sockets: Arc<dyn Sockets>) -> Arc<dyn Provider> {
            let options =
                json!({ "apiKey": "nf-key-000000", "projectId": "project", "apiUrl": "http://double" });
            let options = Options::parse(&options, "options", &(Arc::new(|_: &str| None) as _));
            NorthflankProvider::new(options.expect("valid"), http, sockets)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_faulted_lives() {
        lives(&World, 0..10_000).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_faulted_life_is_played_again_by_its_seed() {
        replays(&World, 0..200).await;
    }

    #[tokio::test(start_paused = true)]
    async fn faulted_lives_notice_sabotage() {
        for (sabotage, signs) in [
            (Sabotage::KeepDeleted, &["left something behind"][..]),
            (Sabotage::LoseMessages, &["is not what it wrote"]),
            (Sabotage::NeverAnswer, &["hangs", "nobody waits for"]),
        ] {
            noticed(&World, sabotage, signs).await;
        }
    }
}
