//! How Grok is started: xAI's Grok Build (flags and variables as of 1.0.41), or else the older
//! `@vibe-kit/grok-cli` (0.0.34), whose program has the same name.

use crate::agents::arguments::{Arguments, environment};
use crate::agents::instruction::{fixed, system_text, with_history};
use crate::agents::{AgentConfig, TurnRequest};
use crate::command::Invocation;
use crate::protocol::Mode;
use crate::{Error, Result};

/// The flag the older program is recognised by: it refuses it.
const TELLTALE: &str = "--output-format";

/// The program takes a prompt as an argument, which is limited, or from a file; it does not read standard input, and
/// a pipe that another user made cannot be opened by name. So a file that is gone from the disk before the program
/// starts carries the prompt over.
const LAUNCH: &str = "p=$(mktemp) && cat >\"$p\" && exec 3<\"$p\" </dev/null && rm \"$p\" && \
                      exec grok \"$@\" --prompt-file /proc/self/fd/3";

/// Linux refuses an argument of 128 KiB.
const MAX_ARGUMENT: usize = 128 * 1024 - 1;

pub(in crate::agents) fn invocation(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    if is_older(request) {
        return older(config, request);
    }
    let mut args = Arguments::new(request);
    args.add([TELLTALE, "streaming-json"]);
    match request.mode {
        Mode::Code => args.add(["--always-approve"]),
        // Nobody is there to be asked, so what no rule allows is denied; the rules stand even if it were allowed.
        Mode::Ask => args
            .add(["--permission-mode", "dontAsk", "--no-subagents"])
            .add(["--deny", "Bash", "--deny", "Edit", "--deny", "Write"]),
    };
    args.optional(["--verbatim"]);
    if let Some(model) = config.model() {
        args.add(["-m", model]);
    }
    let system = system_text(config, request.mode)?;
    let prompt = match request.conversation {
        Some(id) => {
            args.add(["-r", id]);
            // The rules are frozen with the conversation; what changed since is told the way the program itself
            // reminds the model of things.
            format!("<system-reminder>\n{system}\n</system-reminder>\n\n{}", request.prompt)
        }
        None => {
            args.add(["--rules", &system, "-s", request.fresh_uuid]);
            shield(with_history(request.history, request.prompt))
        }
    };
    let mut words = vec!["-c".to_owned(), LAUNCH.to_owned(), config.kind.as_str().to_owned()];
    words.append(&mut args.done());

    Ok(Invocation {
        program: "sh".to_owned(),
        args: words,
        stdin: prompt.into_bytes(),
        env: environment([
            ("XAI_API_KEY", config.api_key()),
            ("GROK_MODELS_BASE_URL", config.base_url()),
            ("GROK_XAI_API_BASE_URL", config.base_url()),
            ("GROK_MAX_RETRIES", Some("2")),
            ("GROK_DISABLE_AUTOUPDATER", Some("1")),
            ("GROK_TELEMETRY_ENABLED", Some("0")),
            ("GROK_MEMORY", Some("0")),
            // A summary for its own screens, which costs a request with the whole conversation.
            ("GROK_SESSION_RECAP", Some("0")),
            ("GROK_TURN_SUMMARY", Some("0")),
        ]),
        files: Vec::new(),
    })
}

/// A prompt that begins with a slash may be taken for a command of the program's and never reach the model. A word
/// joiner, which is invisible, before it makes it text; white space would not do, the program removes it.
fn shield(prompt: String) -> String {
    if prompt.trim_start().starts_with('/') { format!("\u{2060}{prompt}") } else { prompt }
}

/// Whether the installed program was found to be the older one.
pub(super) fn is_older(request: &TurnRequest<'_>) -> bool {
    request.dropped_flags.iter().any(|flag| flag == TELLTALE)
}

/// The older program: no conversation of its own, no system text, and the prompt as an argument.
fn older(config: &AgentConfig, request: &TurnRequest<'_>) -> Result<Invocation> {
    if request.mode == Mode::Ask {
        return Err(Error::invalid(
            "agent.mode",
            "is ask, which the installed grok (@vibe-kit/grok-cli) cannot be held to",
            "Install xAI's grok (`npm install -g @xai-official/grok`), or use code mode.",
        ));
    }
    let prompt = format!("{}\n\n{}", fixed(request.mode), with_history(request.history, request.prompt));
    if prompt.len() > MAX_ARGUMENT || prompt.contains('\0') {
        return Err(Error::invalid(
            "prompt",
            "is too long for the installed grok (@vibe-kit/grok-cli), which takes it as an argument, or holds a NUL",
            "Keep it below 120 KiB of text, or install xAI's grok (`npm install -g @xai-official/grok`).",
        ));
    }
    let mut args = Arguments::new(request);
    if let Some(model) = config.model() {
        args.add(["-m", model]);
    }
    args.add(["-p", &prompt]);
    Ok(Invocation {
        program: config.kind.as_str().to_owned(),
        args: args.done(),
        stdin: Vec::new(),
        env: environment([("GROK_API_KEY", config.api_key()), ("GROK_BASE_URL", config.base_url())]),
        files: Vec::new(),
    })
}
