//! The shell lines JavaScript providers run, in upstream's words, and their environment.
//!
//! They differ from upstream's in their quoting alone: every text reaches the agent byte for byte under bash and
//! under dash. A text without a quote, a dollar, a backtick or a backslash gives upstream's line to the byte.

use super::config::provider_variable;
use super::instruction::{fixed, upstream_history};
use super::{AgentConfig, AgentKind};
use crate::protocol::{Message, Mode};
use crate::text::double_quote as quote;

/// Whose command lines are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Objects made from a configuration: the command lines of upstream 0.0.47.
    Config,
    /// Fluent objects with `withGithub`: 0.0.60.
    FluentGithub,
    /// Fluent objects: 0.0.69.
    Fluent,
}

/// Environment of the sandbox, in upstream's order and names. Claude and Gemini without a credential get what
/// upstream gives them (nothing, empty strings).
#[must_use]
pub fn sandbox_env(config: &AgentConfig) -> Vec<(String, String)> {
    let entry = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let key = config.api_key().unwrap_or_default();
    match config.kind {
        AgentKind::Claude => match config.oauth_token() {
            Some(token) => vec![entry("CLAUDE_CODE_OAUTH_TOKEN", token)],
            None => config.api_key().map(|key| entry("ANTHROPIC_API_KEY", key)).into_iter().collect(),
        },
        AgentKind::Codex | AgentKind::Opencode => {
            vec![(provider_variable(config.provider()), key.to_owned())]
        }
        AgentKind::Gemini => vec![entry("GEMINI_API_KEY", key), entry("GOOGLE_API_KEY", key)],
        AgentKind::Grok => {
            let mut env = vec![entry("GROK_API_KEY", key)];
            env.extend(config.base_url().map(|url| entry("GROK_BASE_URL", url)));
            env
        }
    }
}

/// The agent's command line for `sh -c`, without the leading `cd`.
#[must_use]
pub fn shell_command(
    config: &AgentConfig,
    prompt: &str,
    mode: Mode,
    history: &[Message],
    route: Route,
) -> String {
    let flag = |name: &str, value: Option<&str>| match value {
        Some(value) => format!("{name} {}", word(value)),
        None => String::new(),
    };
    let told = upstream_history(history);
    let instruction = match config.instructions.as_deref() {
        Some(own) if !own.is_empty() => format!("{}\n\n{own}", fixed(mode)),
        _ => fixed(mode).to_owned(),
    };
    let model = config.model();

    match config.kind {
        AgentKind::Claude => {
            let prefix = match (route, config.oauth_token()) {
                (Route::Config, _) | (_, None) => "",
                _ => "You are Claude Code, Anthropic's official CLI for Claude. ",
            };
            let forbidden = match mode {
                Mode::Ask => " --disallowedTools \"Edit\" \"Replace\" \"Write\"",
                Mode::Code => "",
            };
            let allowed = match (route, mode) {
                (Route::Fluent, Mode::Ask) => "",
                _ => " --allowedTools \"Edit,Write,MultiEdit,Read,Bash\"",
            };
            format!(
                "{} | claude -p --append-system-prompt {}{forbidden} --output-format stream-json --verbose{allowed} --model {}",
                say(prompt),
                quote(&format!("{prefix}{instruction}{told}")),
                word(model.unwrap_or("claude-sonnet-4-20250514")),
            )
        }
        AgentKind::Codex => {
            let text = quote(&format!("{instruction}\n\nUser: {prompt}{told}"));
            let model = model.map(|model| format!(" --model {}", word(model)));
            let model = model.unwrap_or_default();
            match route {
                Route::Config => {
                    format!("codex --full-auto{model} --provider {} --quiet {text}", word(config.provider()))
                }
                _ => format!("codex exec --full-auto --skip-git-repo-check{model} {text}"),
            }
        }
        AgentKind::Gemini => format!(
            "{} | gemini --model {} --yolo",
            say(&format!("{instruction}{told}\n\nUser: {prompt}")),
            word(model.unwrap_or("gemini-2.5-pro")),
        ),
        AgentKind::Opencode => {
            let text = format!("{instruction}\n\nUser: {prompt}{told}");
            let model = model.map(|model| {
                let name = format!("{}/{model}", config.provider());
                format!(" --model {} --print-logs", word(&name))
            });
            let model = model.unwrap_or_default();
            match route {
                Route::Config => format!("opencode run{model} {}", quote(&text)),
                _ => format!("{} | opencode run{model}", say(&text)),
            }
        }
        // Upstream joins its parts with blanks, the absent ones included.
        AgentKind::Grok => format!(
            "{} | grok {} {} --prompt {}",
            say(prompt),
            flag("--model", model),
            flag("--base-url", config.base_url()),
            quote(&format!("{instruction}{told}")),
        ),
    }
}

/// A command that prints the text and a line feed. `echo` is upstream's; it is kept where every shell's `echo`
/// prints the text as it is.
fn say(text: &str) -> String {
    if text.starts_with('-') || text.contains('\\') {
        format!("printf '%s\\n' {}", quote(text))
    } else {
        format!("echo {}", quote(text))
    }
}

/// One shell word, left bare where nothing in it could mean something to a shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/@:+=,-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { quote(text) }
}
