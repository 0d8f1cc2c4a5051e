//! How Codex is started. Flags and settings as of 0.169.

use super::guard::hook;
use crate::agents::arguments::{Arguments, environment};
use crate::agents::config::provider_variable;
use crate::agents::instruction::{system_text, with_history};
use crate::agents::{AgentConfig, TurnRequest};
use crate::command::Invocation;
use crate::protocol::Mode;
use crate::{Error, Result};

pub(in crate::agents) fn invocation(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    let mut args = Arguments::new(request);
    args.add(["exec", "--json", "--skip-git-repo-check"]);
    // The sandbox around it is the sandbox.
    args.add(["--dangerously-bypass-approvals-and-sandbox"]);
    if request.mode == Mode::Ask {
        args.add(["--dangerously-bypass-hook-trust"]);
    }
    args.optional(["--disable", "plugins"]);
    args.optional(["--disable", "unbounded_connection_retries"]);
    if let Some(model) = config.model() {
        args.add(["-m", model]);
    }
    let mut set = |key: &str, value: &str| {
        args.add(["-c", &format!("{key}={value}")]);
    };
    set("analytics.enabled", "false");
    set("check_for_update_on_startup", "false");
    if request.mode == Mode::Ask {
        set("hooks.PreToolUse", &hook());
    }
    let key_variable = match (config.provider(), config.base_url()) {
        ("openai", url) => {
            if let Some(url) = url {
                set("openai_base_url", &toml_string(url));
            }
            "CODEX_API_KEY".to_owned()
        }
        (provider, url) => {
            let url = url.or(known_url(provider)).ok_or_else(|| {
                Error::invalid(
                    "agent.model.baseUrl",
                    format!("is missing, and codex does not know where the provider {provider:?} is"),
                    "Set it to the address of an API that speaks OpenAI's Responses protocol.",
                )
            })?;
            let variable = provider_variable(provider);
            let [name, url, key] = [provider, url, &variable].map(toml_string);
            set("model_provider", "\"vibekit\"");
            set(
                "model_providers.vibekit",
                &format!(
                    "{{name={name},base_url={url},env_key={key},wire_api=\"responses\",supports_websockets=false}}"
                ),
            );
            variable
        }
    };
    let prompt = match request.conversation {
        Some(id) => {
            args.add(["resume", id]);
            request.prompt.to_owned()
        }
        None => with_history(request.history, request.prompt),
    };
    args.add(["-"]);

    Ok(Invocation {
        program: config.kind.as_str().to_owned(),
        args: args.done(),
        stdin: prompt.into_bytes(),
        env: environment([(&key_variable, config.api_key())]),
        // Unlike the setting for developer instructions, which is frozen with the conversation, this file is read
        // for every turn, and the agent is told when it has changed: so the mode may change within a conversation.
        files: vec![("$HOME/.codex/AGENTS.md".to_owned(), system_text(config, request.mode)?.into_bytes())],
    })
}

/// Providers whose address needs no configuration.
fn known_url(provider: &str) -> Option<&'static str> {
    match provider {
        "openrouter" => Some("https://openrouter.ai/api/v1"),
        _ => None,
    }
}

/// A TOML basic string. JSON's escapes are a subset of TOML's, DEL excepted.
pub(super) fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
