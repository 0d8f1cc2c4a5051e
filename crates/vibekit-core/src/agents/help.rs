//! What an installed program says of itself: which flags it knows.

use serde_json::{Value, json};

use super::{AgentKind, claude, codex, gemini, grok, opencode};
use crate::Result;
use crate::script::{Desk, Helper};

/// Milliseconds for it. Some of the programs take seconds to start.
const LIMIT: u64 = 20_000;
/// Exit codes of a program that does not like its arguments: those of the command-line parsers the five are built with, and
/// `EX_USAGE`.
const USAGE: [i32; 3] = [1, 2, 64];

/// Whether an end looks like that of a program that did not like its arguments.
pub(crate) fn is_usage(code: i32) -> bool {
    USAGE.contains(&code)
}

/// Flags of ours a turn can do without.
#[must_use]
pub fn optional_flags(kind: AgentKind) -> &'static [&'static str] {
    match kind {
        AgentKind::Claude => claude::TRAITS.optional_flags,
        AgentKind::Codex => codex::TRAITS.optional_flags,
        AgentKind::Gemini => gemini::TRAITS.optional_flags,
        AgentKind::Grok => grok::TRAITS.optional_flags,
        AgentKind::Opencode => opencode::TRAITS.optional_flags,
    }
}

/// Those of [`optional_flags`] that a help text does not list. A text that is no help tells nothing, and none is given.
#[must_use]
pub fn unlisted_flags(kind: AgentKind, help: &str) -> Vec<String> {
    if !lists(help, "--help") {
        return Vec::new();
    }
    optional_flags(kind).iter().filter(|flag| !lists(help, flag)).map(|&flag| flag.to_owned()).collect()
}

/// Whether the text has the flag as a word of its own.
fn lists(help: &str, flag: &str) -> bool {
    help.match_indices(flag).any(|(at, _)| {
        let next = help[at + flag.len()..].chars().next();
        !next.is_some_and(|next| next.is_ascii_alphanumeric() || next == '-')
    })
}

/// What a look at the program gave.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Which file it is: changes with every update. Empty where that cannot be told.
    pub(crate) file: String,
    pub(crate) help: String,
}

impl Look {
    pub(crate) fn of(told: &Value) -> Self {
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        Self { file: text("file"), help: text("help") }
    }
}

/// Looks at the program: which file it is, and, if asked, its help. Never fails: a look that came to nothing tells nothing.
pub(crate) async fn look(desk: Desk, kind: AgentKind, directory: String, help: bool) -> Result<Value> {
    let arguments = match kind {
        AgentKind::Codex => "exec --help",
        AgentKind::Opencode => "run --help",
        AgentKind::Claude | AgentKind::Gemini | AgentKind::Grok => "--help",
    };
    let file = format!("stat -L -c '%d:%i:%s:%Y' \"$(command -v {kind})\" 2>/dev/null || echo");
    let line = if help { format!("{file}; {kind} {arguments} </dev/null 2>&1") } else { file };
    let told = match desk.run(Helper::new("Looking at the agent's program", &directory, line, LIMIT)).await {
        Ok(output) => output.stdout,
        Err(_) => String::new(),
    };
    let (file, help) = told.split_once('\n').unwrap_or_default();
    Ok(json!({ "file": file.trim(), "help": help }))
}
