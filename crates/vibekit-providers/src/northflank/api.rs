//! Requests to Northflank, and what their refusals mean.
//!
//! Written against its API reference and recordings of the official client 0.8.10 and 0.9.5.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vibekit_core::Admitted;
use vibekit_http::{Limits, Method, Request, Response, Sockets, StatusCode, Transport, header, retry_after};
use vibekit_sandbox::{Code, Error, Result};

use super::options::Options;

/// In errors.
pub(crate) const WHO: &str = "Northflank";

/// The way to one project.
pub(crate) struct Api {
    pub(crate) http: Arc<dyn Transport>,
    pub(crate) sockets: Arc<dyn Sockets>,
    pub(crate) options: Options,
}

/// A service, as far as it matters.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) instances: u64,
    /// `PENDING`, `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    pub(crate) status: String,
}

impl Api {
    /// A request below the project. `path` is made of ids that were checked.
    fn request(&self, method: Method, path: &str) -> Request {
        let Options { api, project, key, .. } = &self.options;
        Request::new(method, format!("{api}/v1/projects/{project}{path}"))
            .secret(header::AUTHORIZATION, format!("Bearer {key}"))
            .limits(Limits { body: 4 << 20, total: Some(Duration::from_secs(60)), ..Limits::default() })
    }

    async fn send(&self, request: Request) -> Result<Response> {
        self.http.fetch(request).await.map_err(|failure| failure.into_error(WHO))
    }

    /// Asks, and gives the answer's `data`.
    async fn ask(&self, doing: &str, request: Request) -> Result<Value> {
        let answer = self.send(request).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(doing, &answer));
        }
        Ok(answer.json().map(|mut body| body["data"].take()).unwrap_or_default())
    }

    /// Asks for a service with no instance. `None`: there is one of that name.
    pub(crate) async fn create_service(
        &self,
        name: &str,
        image: &str,
        env: &Value,
    ) -> Result<Option<String>> {
        let Options { plan, ephemeral, .. } = &self.options;
        let body = json!({
            "name": name,
            "billing": { "deploymentPlan": plan },
            "deployment": {
                "instances": 0,
                "external": { "imagePath": image },
                "storage": { "ephemeralStorage": { "storageSize": ephemeral } },
            },
            "runtimeEnvironment": env,
        });
        let request = self.request(Method::POST, "/services/deployment").json(&body);
        let answer = self.send(request).await?;
        match answer.status {
            status if status.is_success() => {
                let data = answer.json().map(|mut body| body["data"].take()).unwrap_or_default();
                Ok(Some(data["id"].as_str().unwrap_or(name).to_owned()))
            }
            StatusCode::CONFLICT => Ok(None),
            _ => Err(self.refusal("creating a service", &answer)),
        }
    }

    /// Asks for a service's volume.
    pub(crate) async fn create_volume(&self, service: &str, directory: &str) -> Result<()> {
        let body = json!({
            "name": format!("Data-{service}"),
            "mounts": [{ "containerMountPath": directory }],
            "spec": {
                "accessMode": "ReadWriteMany",
                "storageClassName": "ssd",
                "storageSize": self.options.volume,
            },
            "attachedObjects": [{ "id": service, "type": "service" }],
        });
        self.ask("creating a volume", self.request(Method::POST, "/volumes").json(&body)).await.map(drop)
    }

    pub(crate) async fn scale(&self, service: &str, instances: u64) -> Result<()> {
        let request = self
            .request(Method::POST, &format!("/services/{service}/scale"))
            .json(&json!({ "instances": instances }))
            .repeatable(true);
        self.ask("scaling the service", request).await.map(drop)
    }

    /// `None`: there is no such service.
    pub(crate) async fn service(&self, service: &str) -> Result<Option<Service>> {
        let answer = self.send(self.request(Method::GET, &format!("/services/{service}"))).await?;
        if answer.status == StatusCode::NOT_FOUND && !names_project(&answer) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(self.refusal("looking at the service", &answer));
        }
        let data = answer.json().map(|mut body| body["data"].take()).unwrap_or_default();
        Ok(Some(Service {
            instances: data["deployment"]["instances"].as_u64().unwrap_or(1),
            status: data["status"]["deployment"]["status"].as_str().unwrap_or_default().to_owned(),
        }))
    }

    pub(crate) async fn ports(&self, service: &str) -> Result<Vec<Value>> {
        let request = self.request(Method::GET, &format!("/services/{service}/ports"));
        let mut data = self.ask("looking at ports", request).await?;
        Ok(serde_json::from_value(data["ports"].take()).unwrap_or_default())
    }

    /// Replaces all ports of a service.
    pub(crate) async fn set_ports(&self, service: &str, ports: &[Value]) -> Result<()> {
        let request = self
            .request(Method::POST, &format!("/services/{service}/ports"))
            .json(&json!({ "ports": ports }))
            .repeatable(true);
        self.ask("opening a port", request).await.map(drop)
    }

    /// Deletes a service and its volume. True if there was a service.
    pub(crate) async fn delete(&self, service: &str) -> Result<bool> {
        let path = format!("/services/{service}?delete_child_objects=true");
        let there = self.gone("deleting the service", self.request(Method::DELETE, &path)).await?;
        // A volume is no child of its service on all versions of the API, and it costs as long as it is there.
        let volume = format!("/volumes/{}", volume_id(service));
        let kept = self.gone("deleting the volume", self.request(Method::DELETE, &volume)).await?;
        Ok(there || kept)
    }

    async fn gone(&self, doing: &str, request: Request) -> Result<bool> {
        let answer = self.send(request).await?;
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refusal(doing, &answer)),
        }
    }

    /// Where commands are executed.
    pub(crate) fn exec_url(&self, service: &str) -> String {
        let Options { api, project, .. } = &self.options;
        format!("{api}/v1/command-exec/projects/{project}/services/{service}")
    }

    /// What a refusal means.
    pub(crate) fn refusal(&self, doing: &str, answer: &Response) -> Error {
        let status = answer.status;
        let body = answer.json().unwrap_or_default();
        let message =
            body["error"]["message"].as_str().filter(|text| !text.is_empty()).unwrap_or("no reason given");
        let path = &self.options.path;
        let text = format!("{WHO}: {doing} failed with status {}: {message}", status.as_u16());
        let lower = message.to_lowercase();
        let error = match status {
            StatusCode::UNAUTHORIZED => self.unauthenticated(text),
            StatusCode::TOO_MANY_REQUESTS => {
                let error = Error::new(Code::RateLimited, text).with_hint("Try again later.").retryable();
                match retry_after(&answer.headers) {
                    Some(after) => {
                        error.with("retryAfterMs", u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
                    }
                    None => error,
                }
            }
            _ if status.is_client_error()
                && ["quota", "limit", "billing"].iter().any(|word| lower.contains(word))
                && !lower.contains("plan") =>
            {
                Error::new(Code::ConcurrencyLimit, text)
                    .with_hint("Delete services and volumes that are not needed, or ask Northflank for more.")
                    .retryable()
            }
            StatusCode::FORBIDDEN => {
                Error::new(Code::PermissionDenied, text).with_field(format!("{path}.apiKey")).with_hint(
                    "Use a token with the rights to services, volumes and command execution of the project.",
                )
            }
            StatusCode::NOT_FOUND if names_project(answer) => Error::new(Code::InvalidArgument, text)
                .with_field(format!("{path}.projectId"))
                .with_hint("Give the id of a project the token may use."),
            StatusCode::NOT_FOUND => Error::new(Code::SessionNotFound, text)
                .with_hint("It was deleted, or belongs to another project. Make a new one."),
            StatusCode::BAD_REQUEST if lower.contains("plan") => Error::new(Code::InvalidArgument, text)
                .with_field(format!("{path}.billingPlan"))
                .with_hint("Name a plan of Northflank, such as nf-compute-200."),
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

    pub(crate) fn unauthenticated(&self, text: String) -> Error {
        let path = &self.options.path;
        Error::new(Code::AuthenticationFailed, text)
            .with_field(format!("{path}.apiKey"))
            .with_hint(format!("Check {path}.apiKey, or NORTHFLANK_API_KEY."))
    }
}

/// Ids are made of names.
pub(crate) fn volume_id(service: &str) -> String {
    format!("data-{service}")
}

fn names_project(answer: &Response) -> bool {
    answer.status == StatusCode::NOT_FOUND
        && String::from_utf8_lossy(&answer.body).to_lowercase().contains("project")
}
