//! How OpenCode is started. Flags and settings as of 1.18.

use serde_json::{Map, Value, json};

use crate::Result;
use crate::agents::arguments::{Arguments, environment};
use crate::agents::instruction::{system_text, with_history};
use crate::agents::{AgentConfig, TurnRequest};
use crate::command::Invocation;
use crate::protocol::Mode;

pub(in crate::agents) fn invocation(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    let provider = match config.provider() {
        "gemini" => "google",
        provider => provider,
    };
    let mut args = Arguments::new(request);
    args.add(["run", "--format", "json"]);
    args.optional(["--thinking"]);
    if request.mode == Mode::Code {
        args.optional(["--auto"]);
    }
    if let Some(model) = config.model() {
        args.add(["--model", &format!("{provider}/{model}")]);
    }
    // A conversation is bound to its folder: resumed from another one, the program waits for ever.
    args.add(["--dir", request.working_directory]);
    let prompt = match request.conversation {
        Some(id) => {
            args.add(["--session", id]);
            request.prompt.to_owned()
        }
        None => with_history(request.history, request.prompt),
    };

    let auth = config.api_key().map(|key| json!({ provider: { "type": "api", "key": key } }).to_string());
    Ok(Invocation {
        program: config.kind.as_str().to_owned(),
        args: args.done(),
        stdin: prompt.into_bytes(),
        env: environment([
            ("OPENCODE_AUTH_CONTENT", auth.as_deref()),
            ("OPENCODE_CONFIG_CONTENT", Some(&settings(config, provider).to_string())),
            ("OPENCODE_PERMISSION", Some(&permission(request.mode).to_string())),
            ("OPENCODE_DISABLE_MODELS_FETCH", Some("1")),
            ("OPENCODE_DISABLE_AUTOUPDATE", Some("1")),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", Some("1")),
        ]),
        files: vec![(
            "$HOME/.config/opencode/vibekit.md".to_owned(),
            system_text(config, request.mode)?.into_bytes(),
        )],
    })
}

fn settings(config: &AgentConfig, provider: &str) -> Value {
    let mut entry = Map::new();
    if let Some(url) = config.base_url() {
        entry.insert("options".to_owned(), json!({ "baseURL": url }));
        // The program refuses a model it has not heard of, which an endpoint of one's own may well have. The
        // provider's own endpoint is better not asked: it is asked for minutes.
        if let Some(model) = config.model() {
            entry.insert("models".to_owned(), json!({ model: {} }));
        }
    }
    json!({
        "share": "disabled",
        "autoupdate": false,
        "instructions": ["~/.config/opencode/vibekit.md"],
        "provider": { provider: entry },
    })
}

/// Nobody is there to be asked, so everything is allowed or denied; the last rule that fits counts. The shell cannot
/// be limited to reading.
fn permission(mode: Mode) -> Value {
    const READERS: [&str; 11] = [
        "read",
        "glob",
        "grep",
        "list",
        "lsp",
        "skill",
        "todoread",
        "todowrite",
        "webfetch",
        "websearch",
        "codesearch",
    ];
    let rule = |tool: &str, rule: &str| (tool.to_owned(), Value::from(rule));
    Value::Object(match mode {
        Mode::Code => Map::from_iter([rule("*", "allow")]),
        Mode::Ask => {
            std::iter::once(rule("*", "deny")).chain(READERS.map(|tool| rule(tool, "allow"))).collect()
        }
    })
}
