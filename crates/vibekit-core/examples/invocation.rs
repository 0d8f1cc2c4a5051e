//! Prints how an agent would be run, as JSON, for scripts that run it: give `{"config": …, "turn": …}` on standard
//! input. With `--decode` in front, the rest of standard input after the first line is the agent's output, and the
//! events it means are printed, one a line, and the ending last.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::io::{self, BufRead};

use serde::Deserialize;
use vibekit_core::agents::{self, AgentConfig, Credentials, TurnRequest};
use vibekit_core::command::Exit;
use vibekit_core::event::Usage;
use vibekit_core::protocol::{Message, Mode};

#[derive(Deserialize)]
struct Input {
    config: AgentConfig,
    turn: Turn,
    /// Of the run whose output is decoded.
    #[serde(default)]
    exit: Exit,
    #[serde(default)]
    stderr: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Turn {
    prompt: String,
    mode: Mode,
    history: Vec<Message>,
    conversation: Option<String>,
    fresh_uuid: String,
    working_directory: String,
    dropped_flags: Vec<String>,
    usage_before: Usage,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            mode: Mode::Code,
            history: Vec::new(),
            conversation: None,
            fresh_uuid: "6f1c1a52-4d0e-4d55-9d3a-0c8a3a0a3f10".to_owned(),
            working_directory: "/vibe0".to_owned(),
            dropped_flags: Vec::new(),
            usage_before: Usage::default(),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut lines = io::stdin().lock().lines();
    let input: Input = serde_json::from_str(&lines.next().ok_or("nothing on standard input")??)?;
    let turn = &input.turn;
    let request = TurnRequest {
        prompt: &turn.prompt,
        mode: turn.mode,
        history: &turn.history,
        conversation: turn.conversation.as_deref(),
        fresh_uuid: &turn.fresh_uuid,
        working_directory: &turn.working_directory,
        dropped_flags: &turn.dropped_flags,
        usage_before: turn.usage_before.clone(),
    };
    let config = agents::validate(input.config, Credentials::Required, &|_| None)?;
    if std::env::args().nth(1).as_deref() != Some("--decode") {
        println!("{}", serde_json::to_string(&agents::invocation(&config, &request)?)?);
        return Ok(());
    }
    let mut decoder = agents::decoder(&config, &request);
    let mut out = Vec::new();
    for line in lines {
        decoder.line(&line?, &mut out);
    }
    let id = decoder.native_session_id().map(str::to_owned);
    let ending = decoder.finish(&input.exit, &input.stderr, &mut out);
    for body in out {
        println!("{}", serde_json::to_string(&body)?);
    }
    println!(
        "{}",
        serde_json::json!({
            "finished": ending.finished,
            "nativeSessionId": id,
            "conversationLost": ending.conversation_lost,
            "refusedFlag": ending.refused_flag,
            "conversationUsage": ending.conversation_usage,
        })
    );
    Ok(())
}
