//! What the user configured for the agent, and whether that is enough to run it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AgentKind;
use crate::protocol::Mode;
use crate::{Code, Error, Result};

/// An agent as configured. Empty strings count as absent everywhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentConfig {
    /// Which agent.
    #[serde(rename = "type")]
    pub kind: AgentKind,
    /// Model provider: `openai`, `anthropic`, `openrouter` … After [`validate`] it is lower case and never absent.
    #[serde(default)]
    pub provider: Option<String>,
    /// The model provider's key. Secret.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Claude only: a subscription token, used when there is no key. Secret.
    #[serde(default)]
    pub oauth_token: Option<String>,
    /// Model name in the spelling of the agent. `None`: the agent's own default.
    #[serde(default)]
    pub model: Option<String>,
    /// Where the model provider's API is, as its SDK wants it (with `/v1` where the SDK's default has it).
    #[serde(default)]
    pub base_url: Option<String>,
    /// Used by calls that do not say `ask` or `code` themselves.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Instructions of the user, given to the agent after the fixed ones, as system text.
    #[serde(default)]
    pub instructions: Option<String>,
    /// More environment for the agent's process alone; wins over what the library sets.
    #[serde(default)]
    pub env: Vec<(String, String)>,
}

impl AgentConfig {
    /// An agent with nothing configured yet.
    #[must_use]
    pub const fn new(kind: AgentKind) -> Self {
        Self {
            kind,
            provider: None,
            api_key: None,
            oauth_token: None,
            model: None,
            base_url: None,
            mode: None,
            instructions: None,
            env: Vec::new(),
        }
    }

    /// The provider, or the agent's default one.
    pub(crate) fn provider(&self) -> &str {
        given(self.provider.as_deref()).unwrap_or(match self.kind {
            AgentKind::Claude => "anthropic",
            AgentKind::Codex | AgentKind::Opencode => "openai",
            AgentKind::Gemini => "gemini",
            AgentKind::Grok => "xai",
        })
    }

    pub(crate) fn api_key(&self) -> Option<&str> {
        given(self.api_key.as_deref())
    }

    /// The subscription token, if it is what authenticates: a key always wins.
    pub(crate) fn oauth_token(&self) -> Option<&str> {
        match self.api_key() {
            Some(_) => None,
            None => given(self.oauth_token.as_deref()),
        }
    }

    pub(crate) fn model(&self) -> Option<&str> {
        given(self.model.as_deref())
    }

    pub(crate) fn base_url(&self) -> Option<&str> {
        given(self.base_url.as_deref())
    }
}

/// Secrets stay out of logs and panics.
impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "***");
        f.debug_struct("AgentConfig")
            .field("kind", &self.kind)
            .field("provider", &self.provider)
            .field("api_key", &hidden(&self.api_key))
            .field("oauth_token", &hidden(&self.oauth_token))
            .field("model", &self.model)
            .field("base_url", &self.base_url)
            .field("mode", &self.mode)
            .field("instructions", &self.instructions)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

/// How strict [`validate`] is about credentials that upstream did not check at construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// All five agents need one: objects made from a configuration, and every turn of an agent.
    Required,
    /// As upstream's fluent class: Claude and Gemini may be without (commands still run).
    Lenient,
}

/// Checks a configuration and completes it: provider in lower case or the default one, credential from the
/// configuration or else from the environment (`lookup` gives the value of a variable of the host).
///
/// # Errors
///
/// `INVALID_ARGUMENT` with upstream's text where upstream had one; `field` and `hint` say what to set.
pub fn validate(
    mut config: AgentConfig,
    credentials: Credentials,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<AgentConfig> {
    let provider = config.provider().to_ascii_lowercase();
    check_provider(config.kind, &provider)?;

    let from_env =
        |names: &[String]| names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()));
    if config.api_key().is_none() && config.oauth_token().is_none() {
        config.oauth_token = match config.kind {
            AgentKind::Claude => from_env(&["CLAUDE_CODE_OAUTH_TOKEN".to_owned()]),
            _ => None,
        };
        config.api_key = match config.oauth_token {
            Some(_) => None,
            None => from_env(&key_variables(config.kind, &provider)),
        };
    }

    let usable = match config.kind {
        AgentKind::Claude => config.api_key().is_some() || config.oauth_token().is_some(),
        _ => config.api_key().is_some(),
    };
    let may_lack =
        credentials == Credentials::Lenient && matches!(config.kind, AgentKind::Claude | AgentKind::Gemini);
    if !usable && !may_lack {
        return Err(missing_credential(config.kind, &provider));
    }
    config.provider = Some(provider);
    Ok(config)
}

fn check_provider(kind: AgentKind, provider: &str) -> Result<()> {
    let (allowed, message): (&[&str], _) = match kind {
        AgentKind::Claude => (&["anthropic"], "Claude agent only supports 'anthropic' provider"),
        AgentKind::Gemini => {
            (&["gemini", "google"], "Gemini agent only supports 'gemini' or 'google' provider")
        }
        AgentKind::Grok => (&["xai"], "Grok agent only supports 'xai' provider"),
        AgentKind::Codex | AgentKind::Opencode => return Ok(()),
    };
    if allowed.contains(&provider) {
        return Ok(());
    }
    Err(Error::new(Code::InvalidArgument, message)
        .with_field("agent.model.provider")
        .with_hint(format!("Leave it out or set it to '{}'.", allowed[0])))
}

/// The vendor's own environment variables for a key, in the order they are tried.
pub(super) fn key_variables(kind: AgentKind, provider: &str) -> Vec<String> {
    let names: &[&str] = match (kind, provider) {
        (AgentKind::Claude, _) => &["ANTHROPIC_API_KEY"],
        (AgentKind::Gemini, _) => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        (AgentKind::Grok, _) => &["GROK_API_KEY", "XAI_API_KEY"],
        (AgentKind::Codex, "openai") => &["CODEX_API_KEY", "OPENAI_API_KEY"],
        (AgentKind::Opencode, "google" | "gemini") => {
            &["GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"]
        }
        (AgentKind::Codex | AgentKind::Opencode, _) => return vec![provider_variable(provider)],
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

/// `openai` → `OPENAI_API_KEY`, as upstream builds it.
pub(super) fn provider_variable(provider: &str) -> String {
    format!("{}_API_KEY", provider.to_uppercase())
}

fn missing_credential(kind: AgentKind, provider: &str) -> Error {
    let message = match kind {
        AgentKind::Claude => {
            "Claude agent requires either providerApiKey or oauthToken. Run 'vibekit auth claude' to authenticate."
        }
        AgentKind::Codex => {
            "Provider API key is required. Please provide providerApiKey, apiKey, or openaiApiKey."
        }
        AgentKind::Opencode => "Provider API key is required. Please provide providerApiKey.",
        AgentKind::Gemini => {
            "Gemini agent requires an API key. Please provide apiKey or the GEMINI_API_KEY environment variable."
        }
        AgentKind::Grok => "Grok agent requires providerApiKey or GROK_API_KEY environment variable",
    };
    Error::new(Code::InvalidArgument, message).with_field("agent.model.apiKey").with_hint(format!(
        "Set agent.model.apiKey, or the environment variable {}.",
        key_variables(kind, provider).join(" or ")
    ))
}

/// An empty string counts as absent.
fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}
