//! The twelve vendors: where their APIs are, which model is asked, with which key.

use super::Variables;
use crate::agents::AgentConfig;
pub use crate::agents::Route;
use crate::{Code, Error, Result};

/// How a vendor is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Anthropic Messages, with a tool for the answer.
    Messages,
    /// OpenAI Responses, with a schema for the text.
    Responses,
    /// OpenAI Chat Completions with a schema for the text: OpenAI's reasoning models.
    ChatSchema,
    /// OpenAI Chat Completions, with a tool for the answer.
    ChatTool,
}

/// A vendor's API as it is going to be asked.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) dialect: Dialect,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) model: String,
    /// A subscription of Claude's: the API takes it only from its own program.
    pub(super) subscription: bool,
}

/// Address of the API, default model (of 0.0.69; of its forerunners), variable of the host for the key.
fn vendor(provider: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match provider {
        "anthropic" => {
            ("https://api.anthropic.com/v1", "claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20240620")
        }
        "openai" => ("https://api.openai.com/v1", "gpt-5", "gpt-4o-mini"),
        "openrouter" => {
            ("https://openrouter.ai/api/v1", "anthropic/claude-3.5-sonnet", "anthropic/claude-3.5-sonnet")
        }
        "azure" => ("", "gpt-4", "gpt-4"),
        "gemini" | "google" => {
            ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-1.5-pro", "gemini-1.5-pro")
        }
        "ollama" => ("http://localhost:11434/v1", "llama3.1", "llama3.1"),
        "mistral" => ("https://api.mistral.ai/v1", "mistral-large-latest", "mistral-large-latest"),
        "deepseek" => ("https://api.deepseek.com/v1", "deepseek-chat", "deepseek-chat"),
        "xai" => ("https://api.x.ai/v1", "grok-4", "grok-beta"),
        "groq" => ("https://api.groq.com/openai/v1", "llama-3.1-70b-versatile", "llama-3.1-70b-versatile"),
        "arceeai" => ("https://api.arcee.ai/v1", "arcee-lite", "arcee-lite"),
        _ => return None,
    })
}

/// Names Claude Code knows and the API does not.
const CLAUDE_ALIASES: [&str; 6] = ["default", "sonnet", "opus", "haiku", "opusplan", "sonnet[1m]"];

impl Access {
    /// # Errors
    ///
    /// Upstream's sentences for a vendor nobody knows, for Azure without an address, and for a missing key.
    pub(super) fn new(
        provider: &str,
        agent: &AgentConfig,
        route: Route,
        variables: &Variables,
    ) -> Result<Self> {
        let Some((default_url, newer, older)) = vendor(provider) else {
            return Err(Error::new(Code::InvalidArgument, format!("Unsupported provider: {provider}"))
                .with_field("agent.model.provider"));
        };
        let base = match agent.base_url() {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if provider == "azure" => {
                return Err(Error::new(Code::InvalidArgument, "baseUrl is required for Azure provider")
                    .with_field("agent.model.baseUrl")
                    .with_hint("Set it to https://<resource>.openai.azure.com/openai/v1."));
            }
            None => default_url.to_owned(),
        };
        let default_model = if route == Route::Fluent { newer } else { older };
        let model = agent
            .model()
            .filter(|model| provider != "anthropic" || !CLAUDE_ALIASES.contains(model))
            .unwrap_or(default_model)
            .to_owned();
        let dialect = match (provider, route) {
            ("anthropic", _) => Dialect::Messages,
            ("openai", Route::Fluent) => Dialect::Responses,
            ("openai", _) if reasons(&model) => Dialect::ChatSchema,
            _ => Dialect::ChatTool,
        };
        // Claude Code and Gemini CLI take addresses without the version of the API.
        let base = match provider {
            "anthropic" if agent.base_url().is_some() && !base.ends_with("/v1") => format!("{base}/v1"),
            "gemini" | "google" if agent.base_url().is_some() && !base.contains("/v1") => {
                format!("{base}/v1beta/openai")
            }
            _ => base,
        };
        let url = match dialect {
            Dialect::Messages => format!("{base}/messages"),
            Dialect::Responses => format!("{base}/responses"),
            Dialect::ChatSchema | Dialect::ChatTool => format!("{base}/chat/completions"),
        };
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        let key = agent.api_key().map(str::to_owned).or_else(|| variable(provider, variables));
        let mut subscription = false;
        match (provider, key) {
            ("anthropic", key) => {
                headers.push(("anthropic-version", "2023-06-01".to_owned()));
                match (key, agent.oauth_token()) {
                    // A key of the host's must not be preferred to what was configured.
                    (_, Some(token)) => {
                        subscription = true;
                        headers.push(("anthropic-beta", "oauth-2025-04-20".to_owned()));
                        headers.push(("Authorization", format!("Bearer {token}")));
                    }
                    (Some(key), None) => headers.push(("x-api-key", key)),
                    (None, None) => return Err(no_key("Anthropic", "ANTHROPIC_API_KEY")),
                }
            }
            ("openai", None) => return Err(no_key("OpenAI", "OPENAI_API_KEY")),
            ("azure", Some(key)) => {
                headers.push(("Authorization", format!("Bearer {key}")));
                headers.push(("api-key", key));
            }
            ("ollama", key) => {
                headers.push(("Authorization", format!("Bearer {}", key.as_deref().unwrap_or("ollama"))));
            }
            (_, Some(key)) => headers.push(("Authorization", format!("Bearer {key}"))),
            // Without a key upstream sends no header.
            (_, None) => {}
        }
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { dialect, url, headers, model, subscription })
    }
}

/// OpenAI's models that take no temperature.
pub(super) fn reasons(model: &str) -> bool {
    model.starts_with('o') || model.starts_with("gpt-5")
}

/// The vendor's usual variables.
fn variable(provider: &str, variables: &Variables) -> Option<String> {
    let names: &[&str] = match provider {
        "gemini" | "google" => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        "anthropic" => &["ANTHROPIC_API_KEY"],
        "openai" => &["OPENAI_API_KEY"],
        _ => &[],
    };
    let find = |name: &&str| variables.iter().find(|(known, value)| known == *name && !value.is_empty());
    names.iter().find_map(find).map(|(_, value)| value.clone())
}

fn no_key(vendor: &str, variable: &str) -> Error {
    Error::new(
        Code::ModelFailed,
        format!(
            "{vendor} API key is missing. Pass it using the 'apiKey' parameter or the {variable} environment variable."
        ),
    )
    .with_field("agent.model.apiKey")
    .with("name", "AI_LoadAPIKeyError")
}
