//! How Gemini CLI is started. Flags and settings as of 0.61.

use serde_json::json;

use crate::agents::arguments::{Arguments, environment};
use crate::agents::instruction::{system_text, with_history};
use crate::agents::{AgentConfig, TurnRequest};
use crate::command::Invocation;
use crate::protocol::Mode;
use crate::{Error, Result};

/// The program cuts its standard input there, with no more than a warning.
const MAX_PROMPT: usize = 8 * 1024 * 1024;

pub(in crate::agents) fn invocation(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    let mut args = Arguments::new(request);
    args.add(["-o", "stream-json"]);
    args.add([match request.mode {
        Mode::Code => "--approval-mode=yolo",
        Mode::Ask => "--approval-mode=plan",
    }]);
    if let Some(model) = config.model() {
        args.add(["-m", model]);
    }
    let prompt = match request.conversation {
        Some(id) => {
            args.add(["--resume", id]);
            request.prompt.to_owned()
        }
        None => {
            args.optional(["--session-id", request.fresh_uuid]);
            with_history(request.history, request.prompt)
        }
    };

    if prompt.len() > MAX_PROMPT {
        return Err(Error::invalid(
            "prompt",
            format!("has {} bytes, of which gemini would only read the first {MAX_PROMPT}", prompt.len()),
            "Put the rest into a file in the sandbox and name it in the prompt.",
        ));
    }

    // Only read from a file. The context files are the usual one, so that the repository's keeps working, and ours.
    let settings = json!({
        "security": { "auth": { "selectedType": "gemini-api-key" } },
        "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false, "maxAttempts": 4 },
        "privacy": { "usageStatisticsEnabled": false },
        "context": { "fileName": ["GEMINI.md", "VIBEKIT.md"] },
    });

    Ok(Invocation {
        program: config.kind.as_str().to_owned(),
        args: args.done(),
        stdin: prompt.into_bytes(),
        env: environment([
            ("GEMINI_API_KEY", config.api_key()),
            ("GOOGLE_GEMINI_BASE_URL", config.base_url()),
            // An untrusted folder ends the program with code 55.
            ("GEMINI_CLI_TRUST_WORKSPACE", Some("true")),
            // Saves a second start of Node.
            ("GEMINI_CLI_NO_RELAUNCH", Some("true")),
        ]),
        files: vec![
            ("$HOME/.gemini/settings.json".to_owned(), settings.to_string().into_bytes()),
            ("$HOME/.gemini/VIBEKIT.md".to_owned(), system_text(config, request.mode)?.into_bytes()),
        ],
    })
}
