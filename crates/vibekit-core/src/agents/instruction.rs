//! The fixed texts that tell an agent what its mode allows, and how an earlier conversation is told.

use super::AgentConfig;
use crate::protocol::{Message, Mode};
use crate::{Error, Result};

/// Contract of the `ask` mode, upstream's words.
const ASK: &str = "Research the repository and answer the user's questions. Do NOT make any changes to any files in the repository.";
/// Contract of the `code` mode, upstream's words.
const CODE: &str =
    "Do the necessary changes to the codebase based on the users input.\nDon't ask any follow up questions.";

/// Linux refuses a single argument or environment entry of 128 KiB; this leaves room for what is put around it.
const MAX_INSTRUCTIONS: usize = 96 * 1024;

/// More of an earlier conversation than this is cut, oldest first.
const MAX_HISTORY: usize = 64 * 1024;

/// The fixed text of a mode.
pub(super) const fn fixed(mode: Mode) -> &'static str {
    match mode {
        Mode::Ask => ASK,
        Mode::Code => CODE,
    }
}

/// The system text: the fixed one, then the user's.
pub(super) fn system_text(config: &AgentConfig, mode: Mode) -> Result<String> {
    let mut text = fixed(mode).to_owned();
    if let Some(own) = config.instructions.as_deref().filter(|own| !own.is_empty()) {
        if own.len() > MAX_INSTRUCTIONS || own.contains('\0') {
            return Err(Error::invalid(
                "agent.instructions",
                format!("has {} bytes or holds a NUL character", own.len()),
                format!("Keep it below {MAX_INSTRUCTIONS} bytes of text, or put it into the prompt."),
            ));
        }
        text.push_str("\n\n");
        text.push_str(own);
    }
    Ok(text)
}

/// The prompt with the earlier conversation before it, as text of the user's. The newest entries that fit into
/// [`MAX_HISTORY`] bytes are told, whole ones only; without any the prompt is left untouched.
pub(super) fn with_history(history: &[Message], prompt: &str) -> String {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for message in history.iter().rev() {
        bytes += message.role.len() + message.content.len();
        if bytes > MAX_HISTORY {
            break;
        }
        kept.push(message);
    }
    if kept.is_empty() {
        return prompt.to_owned();
    }
    let mut text = String::with_capacity(bytes + prompt.len() + 256);
    text.push_str("Our conversation so far:\n\n");
    for message in kept.iter().rev() {
        text.push_str(&message.role);
        text.push_str(":\n");
        text.push_str(&message.content);
        text.push_str("\n\n");
    }
    text.push_str("Now:\n\n");
    text.push_str(prompt);
    text
}

/// An earlier conversation in upstream's layout, for the shell lines of JavaScript providers.
pub(super) fn upstream_history(history: &[Message]) -> String {
    if history.is_empty() {
        return String::new();
    }
    let entries: Vec<String> =
        history.iter().map(|message| format!("{}\n {}", message.role, message.content)).collect();
    format!("\n\nConversation history: {}", entries.join("\n\n"))
}
