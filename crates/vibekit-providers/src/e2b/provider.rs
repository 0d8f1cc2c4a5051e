//! `environment.e2b`.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use vibekit_http::Transport;
use vibekit_sandbox::{Capabilities, Code, Error, OpenRequest, Provider, Result, Sandbox};

use super::E2bOptions;
use super::control::{self, Control, New};
use super::sandbox::{E2bSandbox, check_env};
use super::unique::unique;

/// Default working directory, the one of every environment.
const WORKING_DIRECTORY: &str = "/vibe0";

/// Opens sandboxes at E2B.
pub struct E2bProvider {
    control: Arc<Control>,
}

impl E2bProvider {
    /// A provider that reaches the service by this way. Talks to nobody yet.
    #[must_use]
    pub fn new(options: E2bOptions, way: Arc<dyn Transport>) -> Arc<Self> {
        Arc::new(Self { control: Arc::new(Control::new(options, way)) })
    }
}

fn directory(request: &OpenRequest) -> Result<String> {
    let path = match request.working_directory.as_str() {
        "" => WORKING_DIRECTORY,
        path => path,
    };
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Error::invalid("workingDirectory", "is no absolute path", "Give one such as /vibe0."));
    }
    // No place for files, whatever the template.
    if ["/proc", "/sys", "/dev"]
        .iter()
        .any(|system| path.strip_prefix(system).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    {
        return Err(Error::invalid(
            "workingDirectory",
            "is a directory of the system",
            "Give one such as /vibe0.",
        ));
    }
    Ok(match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    })
}

/// Runs `work` to its end even when nobody waits any more; what nobody takes is undone.
async fn unattended(
    fresh: bool,
    work: impl Future<Output = Result<E2bSandbox>> + Send + 'static,
) -> Result<Arc<dyn Sandbox>> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let made = work.await.map(|sandbox| Untaken { sandbox: Some(sandbox), fresh });
        // What is not received is dropped, here or in the channel, and undone by that.
        let _ = sender.send(made);
    });
    let made =
        receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "Opening the sandbox panicked")))?;
    made.take()
}

/// A sandbox on its way to whoever asked for it.
struct Untaken {
    sandbox: Option<E2bSandbox>,
    fresh: bool,
}

impl Untaken {
    fn take(mut self) -> Result<Arc<dyn Sandbox>> {
        match self.sandbox.take() {
            Some(sandbox) => Ok(Arc::new(sandbox)),
            None => Err(Error::new(Code::Internal, "The sandbox was taken twice")),
        }
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        // One that was there before lives on without us.
        let (Some(sandbox), Ok(runtime)) = (self.sandbox.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        if self.fresh {
            runtime.spawn(async move { sandbox.kill().await });
        }
    }
}

#[async_trait]
impl Provider for E2bProvider {
    fn name(&self) -> &'static str {
        "e2b"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { read_only: false, ..Capabilities::ALL }
    }

    /// The environment is kept by the service with the sandbox, as upstream's provider has it.
    async fn create(&self, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        let directory = directory(&request)?;
        check_env(&request.env)?;
        let control = Arc::clone(&self.control);
        unattended(true, async move {
            let template = control.options().template_for(&request.agent);
            let label = unique();
            let new = New { template: &template, env: &request.env, label: &label, directory: &directory };
            let attached = control.create(&new).await?;
            let sandbox = E2bSandbox::new(Arc::clone(&control), attached, directory, Vec::new(), true);
            match sandbox.prepare().await {
                Ok(()) => Ok(sandbox),
                Err(error) => control.undo(sandbox.id(), error).await,
            }
        })
        .await
    }

    async fn resume(&self, id: &str, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        let plain = control::plain_id(id).to_owned();
        // What else stands in a path could name another thing of the service.
        if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(Error::invalid(
                "sessionId",
                "is no id of an E2B sandbox",
                "Pass the id getSession() gave.",
            ));
        }
        let asked = directory(&request)?;
        check_env(&request.env)?;
        let control = Arc::clone(&self.control);
        unattended(false, async move {
            let attached = control.connect(&plain).await?;
            // Without a wish of its own an attachment works where the sandbox was made to work.
            let directory = if asked == WORKING_DIRECTORY {
                let info = control.info(&attached.id).await.unwrap_or_default();
                info.metadata.get(control::DIRECTORY).cloned().unwrap_or(asked)
            } else {
                asked
            };
            Ok(E2bSandbox::new(control, attached, directory, request.env, false))
        })
        .await
    }

    /// Whether the key is good and the service answers.
    async fn probe(&self) -> Result<serde_json::Value> {
        self.control.check().await?;
        serde_json::to_value(self.capabilities())
            .map_err(|error| Error::new(Code::Internal, error.to_string()))
    }
}
