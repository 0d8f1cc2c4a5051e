use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Environment;
use super::read::{get, join, object, text, truthy, variables, wrong_type};
use crate::agents::{self, AgentConfig, AgentKind, Credentials};
use crate::git::credential;
use crate::git::server::Server;
use crate::protocol::Mode;
use crate::worktree::Worktrees;
use crate::{Code, Error, Result};

/// How the object was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// `new VibeKit(config)`.
    Config,
    /// `new VibeKit().withAgent(…)…`.
    Fluent,
}

/// Who runs the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// A provider of ours: programs with arguments, standard input, stop, separate streams.
    Native,
    /// A JavaScript object of the user's: shell lines only (contract, section 7).
    Javascript,
}

/// Where code is cloned from and pushed to.
#[derive(Clone, PartialEq, Eq)]
pub struct Github {
    /// Secret.
    pub token: String,
    /// `owner/repo`, as given.
    pub repository: String,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github").field("token", &"***").field("repository", &self.repository).finish()
    }
}

/// Everything the machine is told about its user. Made by [`Setup::parse`], which never fails: what is wrong is kept and
/// comes out of [`Setup::check_session_access`] and [`Setup::check_work`].
#[derive(Clone)]
pub struct Setup {
    generation: Generation,
    driver: DriverKind,
    agent: Agent,
    environment: Result<Environment>,
    /// A provider object was handed over, so `environment` does not matter.
    provider_given: bool,
    secrets: Vec<(String, String)>,
    hub: Hub,
    worktrees: Option<Worktrees>,
    session_id: Option<String>,
    working_directory: String,
    random: u128,
    /// What is wrong apart from agent and environment.
    fault: Option<Error>,
}

/// What is known of GitHub.
#[derive(Clone, Default)]
struct Hub {
    /// `github` was configured, however incompletely.
    mentioned: bool,
    token: Option<String>,
    repository: Option<String>,
    /// Both, when both were given.
    github: Option<Github>,
    server: Server,
}

impl Hub {
    fn complete(mut self) -> Self {
        let pair = self.token.clone().zip(self.repository.clone());
        self.github = pair.map(|(token, repository)| Github { token, repository });
        self
    }
}

#[derive(Clone)]
enum Agent {
    Missing,
    Faulty(Error),
    Usable(Box<AgentConfig>),
}

/// Where commands run unless the user says otherwise.
const WORKING_DIRECTORY: &str = "/vibe0";

const AGENT_REMEDY: &str = "Set agent to { type: \"claude\" | \"codex\" | \"gemini\" | \"grok\" | \"opencode\", model: { apiKey } }.";

impl Setup {
    /// Reads what the shim sends:
    ///
    /// ```json
    /// { "generation": "config", "driver": "native",
    ///   "config": { "agent": {}, "environment": {}, "secrets": {}, "github": {}, "sessionId": "", "workingDirectory": "" },
    ///   "env": { "E2B_API_KEY": "" }, "random": "00112233445566778899aabbccddeeff", "provider": false }
    /// ```
    ///
    /// `config.agent` may have the shape of either generation. `provider: true` (or a truthy `config.sandbox`, or the
    /// JavaScript driver) says that a provider object was given and `environment` is not needed.
    #[must_use]
    pub fn parse(value: &Value) -> Self {
        let empty = Map::new();
        let top = value.as_object().unwrap_or(&empty);
        let generation = match top.get("generation").and_then(Value::as_str) {
            Some("fluent") => Generation::Fluent,
            _ => Generation::Config,
        };
        let driver = match top.get("driver").and_then(Value::as_str) {
            Some("javascript") => DriverKind::Javascript,
            _ => DriverKind::Native,
        };
        let env: BTreeMap<&str, &str> = top
            .get("env")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let lookup = |name: &str| env.get(name).map(|&value| value.to_owned());

        let mut fault = None;
        let config = match top.get("config") {
            Some(Value::Object(config)) => config,
            None | Some(Value::Null) => &empty,
            Some(other) => {
                fault =
                    Some(wrong_type("config", other, "Pass an object: new VibeKit({ agent, environment })."));
                &empty
            }
        };
        let mut keep = |error: Error| fault = fault.take().or(Some(error));

        let secrets = variables(config.get("secrets"), "secrets").unwrap_or_else(|error| {
            keep(error);
            Vec::new()
        });
        let hub = hub(config, &lookup).unwrap_or_else(|error| {
            keep(error);
            Hub::default()
        });
        let worktrees = worktrees(config).unwrap_or_else(|error| {
            keep(error);
            None
        });
        let session_id =
            text(config, "", "sessionId", "Set sessionId to the id of a session, or leave it out.")
                .unwrap_or_else(|error| {
                    keep(error);
                    None
                });
        let working_directory =
            text(config, "", "workingDirectory", "Set workingDirectory to a path inside the sandbox.")
                .and_then(|path| match path {
                    Some(path) if path.contains('\0') => Err(Error::invalid(
                        "workingDirectory",
                        "holds a NUL character",
                        "Remove it; no path can hold one.",
                    )),
                    path => Ok(path),
                })
                .unwrap_or_else(|error| {
                    keep(error);
                    None
                });

        Self {
            generation,
            driver,
            agent: Agent::parse(config.get("agent"), generation, &lookup),
            environment: Environment::parse(config.get("environment"), &lookup),
            provider_given: driver == DriverKind::Javascript
                || top.get("provider").is_some_and(truthy)
                || config.get("sandbox").is_some_and(truthy),
            secrets,
            hub,
            worktrees,
            session_id,
            working_directory: working_directory.unwrap_or_else(|| WORKING_DIRECTORY.to_owned()),
            random: top
                .get("random")
                .and_then(Value::as_str)
                .and_then(|hex| u128::from_str_radix(hex, 16).ok())
                .unwrap_or_default(),
            fault,
        }
    }

    /// Whether `getSession` and `setSession` may be used.
    ///
    /// # Errors
    ///
    /// `AGENT_NOT_INITIALIZED` with the cause (contract, 10.2).
    pub fn check_session_access(&self) -> Result<()> {
        match (self.generation, &self.agent) {
            (Generation::Config, _) => self.initialized(),
            (Generation::Fluent, Agent::Missing) => Err(not_initialized(agent_missing())),
            (Generation::Fluent, _) => Ok(()),
        }
    }

    /// Whether sandboxes, commands and turns may be used.
    ///
    /// # Errors
    ///
    /// `AGENT_NOT_INITIALIZED`: for objects made from a configuration the one sentence with the cause, for fluent ones
    /// upstream's sentence of what is missing. Otherwise what is wrong with `secrets`, `github` and the rest.
    pub fn check_work(&self) -> Result<()> {
        match self.generation {
            Generation::Config => self.initialized()?,
            Generation::Fluent => match &self.agent {
                Agent::Missing => return Err(uninitialized(agent_missing())),
                Agent::Faulty(error) if unknown_type(error) => return Err(uninitialized(error.clone())),
                _ if !self.has_sandbox() => {
                    return Err(uninitialized(
                        Error::new(
                            Code::InvalidArgument,
                            "Sandbox provider is required. Use withSandbox() to configure a provider.",
                        )
                        .with_field("sandbox")
                        .with_hint("Call withSandbox(provider) before the first command."),
                    ));
                }
                Agent::Faulty(error) => return Err(uninitialized(error.clone())),
                Agent::Usable(_) => {}
            },
        }
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// The chosen environment.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn environment(&self) -> Result<Environment> {
        self.environment.clone()
    }

    /// How the object was made.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Who runs the sandbox.
    #[must_use]
    pub const fn driver(&self) -> DriverKind {
        self.driver
    }

    /// The agent, if it can be used.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentConfig> {
        match &self.agent {
            Agent::Usable(agent) => Some(agent),
            _ => None,
        }
    }

    /// Secrets in the user's order.
    #[must_use]
    pub fn secrets(&self) -> &[(String, String)] {
        &self.secrets
    }

    /// Repository and token, when both were given.
    #[must_use]
    pub const fn github(&self) -> Option<&Github> {
        self.hub.github.as_ref()
    }

    /// Whether the object was told about GitHub in the way of the older generations.
    #[must_use]
    pub const fn mentions_github(&self) -> bool {
        self.hub.mentioned
    }

    /// The token for GitHub: the one among the secrets, else the configured one (contract, 10.4).
    #[must_use]
    pub fn github_token(&self) -> Option<&str> {
        self.secret_token().or(self.hub.token.as_deref()).filter(|token| !token.is_empty())
    }

    /// The token among the secrets, which the sandbox has too.
    #[must_use]
    pub fn secret_token(&self) -> Option<&str> {
        let found = self.secrets.iter().find(|(name, _)| name == credential::VARIABLE);
        found.map(|(_, value)| value.as_str()).filter(|token| !token.is_empty())
    }

    /// The configured repository, also without a token.
    #[must_use]
    pub fn repository(&self) -> Option<&str> {
        self.hub.repository.as_deref().filter(|repository| !repository.is_empty())
    }

    /// Where repositories are.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.hub.server
    }

    /// Changes token or repository; the half that was never given becomes empty, as upstream has it.
    pub fn set_github(&mut self, token: Option<String>, repository: Option<String>) {
        let hub = std::mem::take(&mut self.hub);
        self.hub = Hub {
            mentioned: true,
            token: token.or(hub.token),
            repository: repository.or(hub.repository),
            ..hub
        }
        .complete();
    }

    /// Whether branches have directories of their own.
    #[must_use]
    pub const fn worktrees(&self) -> Option<&Worktrees> {
        self.worktrees.as_ref()
    }

    /// Keys and tokens. They are nobody's business but that of whom they are for.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let agent = self.agent().into_iter().flat_map(|agent| [agent.api_key(), agent.oauth_token()]);
        let hub = [self.hub.token.as_deref(), self.secret_token()];
        let keys = agent.flatten().chain(hub.into_iter().flatten());
        keys.filter(|key| key.len() >= 5).map(str::to_owned).collect()
    }

    /// Keys, tokens and those of the secrets that are no ordinary words (`production` is none to look for).
    #[must_use]
    pub fn confidential(&self) -> Vec<String> {
        let unusual = |text: &&String| text.len() >= 8 && !text.chars().all(char::is_alphabetic);
        let secrets = self.secrets.iter().map(|(_, value)| value).filter(unusual).cloned();
        self.keys().into_iter().chain(secrets).collect()
    }

    /// The session to resume.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// Where commands run.
    #[must_use]
    pub fn working_directory(&self) -> &str {
        &self.working_directory
    }

    /// With 128 random bits of the driver's.
    #[must_use]
    pub const fn with_random(mut self, random: u128) -> Self {
        self.random = random;
        self
    }

    /// The driver's 128 random bits; 0 when it gave none.
    #[must_use]
    pub const fn random(&self) -> u128 {
        self.random
    }

    /// Environment of a sandbox: the agent's first, then the secrets, which win.
    #[must_use]
    pub fn sandbox_env(&self) -> Vec<(String, String)> {
        let mut env = self.agent().map(agents::sandbox_env).unwrap_or_default();
        for (name, value) in &self.secrets {
            match env.iter_mut().find(|(known, _)| known == name) {
                Some(entry) => entry.1.clone_from(value),
                None => env.push((name.clone(), value.clone())),
            }
        }
        env
    }

    fn has_sandbox(&self) -> bool {
        self.provider_given || self.environment.is_ok()
    }

    fn initialized(&self) -> Result<()> {
        let cause = match (&self.agent, &self.environment) {
            // Upstream looked at the environment first, and at the agent's type before that.
            (Agent::Missing, _) => agent_missing(),
            (_, Err(error)) if !self.provider_given => error.clone(),
            (Agent::Faulty(error), _) => error.clone(),
            (Agent::Usable(_), _) => return Ok(()),
        };
        Err(not_initialized(cause))
    }
}

impl Agent {
    fn parse(value: Option<&Value>, generation: Generation, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let agent = match value {
            Some(Value::Object(agent)) => agent,
            Some(value) if truthy(value) => {
                return Self::Faulty(wrong_type("agent", value, AGENT_REMEDY));
            }
            _ => return Self::Missing,
        };
        let credentials = match generation {
            Generation::Config => Credentials::Required,
            Generation::Fluent => Credentials::Lenient,
        };
        match read_agent(agent).and_then(|agent| agents::validate(agent, credentials, lookup)) {
            Ok(agent) => Self::Usable(Box::new(agent)),
            Err(error) => Self::Faulty(error),
        }
    }
}

/// Reads an agent in the shape of either generation, or a mixture.
fn read_agent(agent: &Map<String, Value>) -> Result<AgentConfig> {
    const TYPE_REMEDY: &str = "Set agent.type to claude, codex, gemini, grok or opencode.";
    let kind: AgentKind = match text(agent, "agent", "type", TYPE_REMEDY)? {
        Some(name) => name.parse()?,
        None => return Err(Error::invalid("agent.type", "is missing", TYPE_REMEDY)),
    };
    let mut config = AgentConfig::new(kind);
    let model = match get(agent, "model") {
        None => None,
        Some(Value::String(name)) => {
            config.model = Some(name.clone()).filter(|name| !name.is_empty());
            None
        }
        Some(Value::Object(model)) => Some(model),
        Some(other) => {
            return Err(wrong_type(
                "agent.model",
                other,
                "Give the model's name, or an object { name, provider, apiKey, baseUrl }.",
            ));
        }
    };
    let empty = Map::new();
    let model = model.unwrap_or(&empty);
    // The first that is there; a key in the model object is the more specific one.
    let first = |places: &[(&Map<String, Value>, &str, &str)]| -> Result<Option<String>> {
        for (object, path, key) in places {
            let field = join(path, key);
            if let Some(found) = text(object, path, key, &format!("Give {field} as a string."))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    };
    const AGENT: &str = "agent";
    const MODEL: &str = "agent.model";
    if config.model.is_none() {
        config.model = first(&[(model, MODEL, "name")])?;
    }
    config.provider = first(&[(model, MODEL, "provider"), (agent, AGENT, "provider")])?;
    config.api_key =
        first(&[(model, MODEL, "apiKey"), (agent, AGENT, "apiKey"), (agent, AGENT, "providerApiKey")])?;
    config.oauth_token = first(&[(model, MODEL, "oauthToken"), (agent, AGENT, "oauthToken")])?;
    config.base_url = first(&[(model, MODEL, "baseUrl"), (agent, AGENT, "baseUrl")])?;
    config.instructions = first(&[(agent, AGENT, "instructions")])?;
    config.env = variables(agent.get("env"), "agent.env")?;
    config.mode = match first(&[(agent, AGENT, "mode")])?.as_deref() {
        None => None,
        Some("ask") => Some(Mode::Ask),
        Some("code") => Some(Mode::Code),
        Some(other) => {
            return Err(Error::invalid(
                "agent.mode",
                format!("must not be {other:?}"),
                "Set it to \"ask\" (nothing is changed) or \"code\" (the default).",
            ));
        }
    };
    Ok(config)
}

fn hub(config: &Map<String, Value>, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Hub> {
    const REMEDY: &str = "Set github to { token, repository: \"owner/repo\" }.";
    let empty = Map::new();
    let given = object(config, "", "github", REMEDY)?;
    let github = given.unwrap_or(&empty);
    let server = match text(github, "github", "baseUrl", "Set it to the address of your GitHub server.")? {
        Some(url) => Server::at("github.baseUrl", &url)?,
        // What GitHub's own runners set.
        None => match lookup("GITHUB_SERVER_URL").filter(|url| !url.is_empty()) {
            Some(url) => Server::at("GITHUB_SERVER_URL", &url)?,
            None => Server::default(),
        },
    };
    let hub = Hub {
        mentioned: given.is_some(),
        token: text(github, "github", "token", REMEDY)?,
        repository: text(github, "github", "repository", REMEDY)?,
        github: None,
        server,
    };
    Ok(hub.complete())
}

fn worktrees(config: &Map<String, Value>) -> Result<Option<Worktrees>> {
    const REMEDY: &str = "Set worktrees to { root, cleanup }, both optional.";
    let Some(given) = object(config, "", "worktrees", REMEDY)? else { return Ok(None) };
    let flag = |key: &str| match get(given, key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(wrong_type(&join("worktrees", key), other, "Pass true or false.")),
    };
    if flag("enabled")? == Some(false) {
        return Ok(None);
    }
    let root = text(given, "worktrees", "root", "Set it to an absolute path inside the sandbox.")?;
    Ok(Some(Worktrees { root, keep: flag("cleanup")? == Some(false) }))
}

fn not_initialized(cause: Error) -> Error {
    let hint = cause.hint.clone();
    let mut error = Error::new(Code::AgentNotInitialized, "Agent not initialized").caused_by(cause);
    error.hint = hint;
    error
}

/// Upstream's own sentence under our code.
fn uninitialized(mut error: Error) -> Error {
    error.code = Code::AgentNotInitialized;
    error
}

fn agent_missing() -> Error {
    Error::new(Code::InvalidArgument, "Agent configuration is required")
        .with_field("agent")
        .with_hint(AGENT_REMEDY)
}

fn unknown_type(error: &Error) -> bool {
    error.field.as_deref() == Some("agent.type")
}
