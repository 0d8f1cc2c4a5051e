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

async fn create(api: Arc<Api>, request: OpenRequest, directory: String) -> Result<Arc<NorthflankSandbox>> {
    // As upstream's provider calls them: twelve digits.
    let name = format!("sandbox-{}", &Names::new().job[..12]);
    let mut env = Map::new();
    for (name, value) in request.env {
        env.insert(name, value.into());
    }
    env.insert(WORKING_DIRECTORY.to_owned(), directory.clone().into());
    let image = api.options.image.clone().unwrap_or_else(|| image(&request.agent).to_owned());
    let id = match api.create_service(&name, &image, Value::Object(env)).await {
        Ok(id) => id,
        Err(error) => {
            if error.admitted != Some(Admitted::No) {
                tokio::spawn(clear(api, name));
            }
            return Err(error);
        }
    };
    let made = finish(&api, &id, directory).await;
    if made.is_err() {
        // The first failure is the one worth telling.
        tokio::spawn(clear(api, id));
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

    use super::*;
    use crate::remote::lifecycle::{Programs, lives};

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_faulted_lives() {
        let programs = Arc::new(Programs::default());
        let double = Northflank::new(Settings { player: Some(programs.clone() as _), ..Settings::default() });
        let options = json!({ "apiKey": "nf-key-000000", "projectId": "project", "apiUrl": "http://double" });
        lives(10_000, programs, double, |http, sockets| {
            let options = Options::parse(&options, "options", &(Arc::new(|_: &str| None) as _));
            NorthflankProvider::new(options.expect("valid"), http, sockets)
        })
        .await;
    }
}
