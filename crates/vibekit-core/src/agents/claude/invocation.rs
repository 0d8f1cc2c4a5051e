//! How Claude Code is started. Flags and variables as of 2.1.330.

use crate::Result;
use crate::agents::arguments::{Arguments, environment};
use crate::agents::instruction::{system_text, with_history};
use crate::agents::{AgentConfig, TurnRequest};
use crate::command::Invocation;
use crate::protocol::Mode;

pub(in crate::agents) fn invocation(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    let mut args = Arguments::new(request);
    args.add(["-p", "--output-format", "stream-json", "--verbose"]);
    args.optional(["--include-partial-messages"]);
    match request.mode {
        Mode::Code => args.add(["--permission-mode", "bypassPermissions"]),
        // Without anybody to ask, this mode denies what is neither read-only nor allowed, so that the shell still
        // answers questions about the repository. Settings of the repository could allow more: they are not read.
        Mode::Ask => args
            .add(["--permission-mode", "dontAsk"])
            .add(["--disallowedTools", "Edit,Write,NotebookEdit"])
            .add(["--setting-sources", "user"]),
    };
    args.add(["--append-system-prompt", &system_text(config, request.mode)?]);
    // The system text is otherwise frozen with the conversation, and a change of mode would not reach the model.
    args.optional(["--system-prompt-snapshot", "off"]);
    if let Some(model) = config.model() {
        args.add(["--model", model]);
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

    Ok(Invocation {
        program: config.kind.as_str().to_owned(),
        args: args.done(),
        stdin: shield(prompt).into_bytes(),
        env: environment([
            // A key wins over a token inside the program too; an empty one counts as none there.
            ("ANTHROPIC_API_KEY", config.api_key().or(config.oauth_token().map(|_| ""))),
            ("CLAUDE_CODE_OAUTH_TOKEN", config.oauth_token()),
            ("ANTHROPIC_BASE_URL", config.base_url()),
            // Lets the program skip its own permission prompts under uid 0 too.
            ("IS_SANDBOX", Some("1")),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", Some("1")),
            ("DISABLE_AUTOUPDATER", Some("1")),
            // The default of ten keeps it busy for three minutes on a bad key.
            ("CLAUDE_CODE_MAX_RETRIES", Some("4")),
        ]),
        files: Vec::new(),
    })
}

/// A prompt that begins with a slash would be taken for a command of the program's and never reach the model. A
/// line feed before it makes it text; it is the only byte ever added to a prompt.
fn shield(prompt: String) -> String {
    if prompt.starts_with('/') { format!("\n{prompt}") } else { prompt }
}
