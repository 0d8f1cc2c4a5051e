//! Bringing a repository into a sandbox.

use serde_json::{Value, json};

use super::server::Server;
use super::{IDENTITY, credential};
use crate::machine::limits;
use crate::protocol::RunOptions;
use crate::script::{Desk, Helper, Note};
use crate::text::quote;
use crate::{Code, Error, Result};

/// How git gets the token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// There is one.
    pub(crate) known: bool,
    /// The sandbox has it in its environment, where git can be told to look for it.
    pub(crate) in_sandbox: bool,
    /// What hands it over with a command.
    pub(crate) env: Vec<(String, String)>,
}

/// The repository of the configuration, into the working directory (contract, 3.4).
pub(crate) async fn configured(
    desk: Desk,
    server: Server,
    repository: String,
    directory: String,
    access: Access,
) -> Result<Value> {
    let url = server.clone_url(&repository)?;
    desk.say(format!("Cloning repository: {repository}"));
    let line = format!("git clone {} .", quote(&url));
    desk.succeed(Helper::new("git clone", &directory, line, limits::RUN).env(access.env.clone())).await?;
    desk.note(Note::Cloned);
    desk.succeed(Helper::new("git config", &directory, IDENTITY, limits::GIT)).await?;
    Ok(Value::Null)
}

/// `cloneRepository` (contract, 3.12).
pub(crate) async fn on_request(
    desk: Desk,
    server: Server,
    repository: String,
    directory: String,
    access: Access,
) -> Result<Value> {
    let url = server.clone_url(&repository)?;
    let mkdir = format!("mkdir -p {}", quote(&directory));
    desk.succeed(Helper::new("mkdir", "", mkdir, limits::MKDIR).anywhere().aloud()).await?;
    desk.note(Note::Object(json!({ "type": "git", "message": "Cloning repository..." }).to_string()));
    let option =
        if access.in_sandbox { format!("{} ", credential::helper_option(&server)) } else { String::new() };
    let line = format!("git clone {option}{} .", quote(&url));
    let clone = Helper::new("git clone", &directory, line, limits::RUN).env(access.env.clone()).aloud();
    if let Err(error) = desk.succeed(clone).await {
        return Err(if access.known { error } else { private(&repository, error) });
    }
    let identity = Helper::new("git config", &directory, IDENTITY, limits::GIT).aloud();
    desk.succeed(identity).await?;
    Ok(Value::Null)
}

/// Upstream's sentence; what git said stays readable as the cause.
fn private(repository: &str, cause: Error) -> Error {
    if cause.code == Code::Timeout {
        return cause;
    }
    Error::new(
        cause.code,
        format!(
            "Failed to clone repository '{repository}'. If this is a private repository, please provide GH_TOKEN in secrets using withSecrets()."
        ),
    )
    .caused_by(cause)
}

/// `mkdir` before a command (contract, 3.1 and 3.4).
pub(crate) async fn mkdir(desk: Desk, directory: String, options: RunOptions) -> Result<Value> {
    let line = mkdir_line(&directory);
    desk.succeed(Helper::new("mkdir", "", line, limits::MKDIR).anywhere().options(options)).await?;
    Ok(Value::Null)
}

pub(crate) fn mkdir_line(directory: &str) -> String {
    format!("mkdir -p {} || true", quote(directory))
}
