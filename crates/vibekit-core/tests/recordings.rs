//! The decoders against what the real agents printed. `testing/record.js` makes the recordings.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vibekit_core::agents::{self, AgentConfig, Decoder, TurnRequest};
use vibekit_core::command::Exit;
use vibekit_core::event::{AgentErrorCode, Body, Finished, Outcome, Usage};
use vibekit_core::protocol::Mode;

#[derive(Deserialize)]
struct Recording {
    config: AgentConfig,
    turn: Turn,
    exit: Exit,
    stderr: String,
    events: Vec<Body>,
    ending: End,
}

/// An [`Ending`](agents::Ending), and the conversation it is of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    finished: Finished,
    native_session_id: Option<String>,
    conversation_lost: bool,
    refused_flag: Option<String>,
    conversation_usage: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    prompt: String,
    #[serde(default)]
    mode: Mode,
    conversation: Option<String>,
    #[serde(default)]
    usage_before: Usage,
}

/// Every recording, with its standard output.
fn recordings() -> Vec<(PathBuf, Recording, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut found = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let recording = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                let output = fs::read_to_string(path.with_extension("jsonl")).unwrap();
                found.push((path, recording, output));
            }
        }
    }
    assert!(found.len() >= 35, "only {} recordings", found.len());
    found
}

fn decoder(recording: &Recording) -> Box<dyn Decoder> {
    let turn = &recording.turn;
    agents::decoder(
        &recording.config,
        &TurnRequest {
            prompt: &turn.prompt,
            mode: turn.mode,
            history: &[],
            conversation: turn.conversation.as_deref(),
            fresh_uuid: "6f1c1a52-4d0e-4d55-9d3a-0c8a3a0a3f10",
            working_directory: "/vibe0",
            dropped_flags: &[],
            usage_before: turn.usage_before.clone(),
        },
    )
}

#[test]
fn recordings_decode_to_their_events() {
    for (path, recording, output) in recordings() {
        let mut decoder = decoder(&recording);
        let mut events = Vec::new();
        for line in output.lines() {
            decoder.line(line, &mut events);
        }
        let id = decoder.native_session_id().map(str::to_owned);
        let ending = decoder.finish(&recording.exit, &recording.stderr, &mut events);
        assert_eq!(through_text(&events), recording.events, "{}", path.display());
        let ending = End {
            finished: ending.finished,
            native_session_id: id,
            conversation_lost: ending.conversation_lost,
            refused_flag: ending.refused_flag,
            conversation_usage: ending.conversation_usage,
        };
        assert_eq!(through_text(&ending), recording.ending, "{}", path.display());
    }
}

/// What is read from a recording went through text, in which a fraction may lose its last bit.
fn through_text<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// What must hold for every agent, whatever the recorded events say.
#[test]
fn recordings_mean_the_same_for_all_agents() {
    for (path, recording, output) in recordings() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let mut decoder = decoder(&recording);
        let mut events = Vec::new();
        for line in output.lines() {
            decoder.line(line, &mut events);
        }
        let ending = decoder.finish(&recording.exit, &recording.stderr, &mut events);
        let finished = &ending.finished;
        let at = path.display();

        assert!(!events.iter().any(|event| matches!(event, Body::Raw { .. })), "{at}: not understood");
        assert!(!events.iter().any(|event| matches!(event, Body::Finished(_))), "{at}: finished too early");
        let started = events.iter().filter(|event| matches!(event, Body::SessionStarted { .. })).count();
        assert!(started <= 1, "{at}: started {started} times");
        match name {
            "write" => {
                assert_eq!(finished.outcome, Outcome::Success, "{at}");
                assert_eq!(finished.files_changed, ["hello.txt"], "{at}");
                assert_eq!(finished.result_text, "All done.", "{at}");
                assert!(finished.usage.output_tokens > 0, "{at}");
            }
            "resume" => {
                assert_eq!(finished.result_text, "Second answer.", "{at}");
                // Both turns cost the same, so an agent that counts over the conversation shows here.
                let (turn, whole) = (&finished.usage, &ending.conversation_usage);
                assert_eq!(whole.output_tokens, 2 * turn.output_tokens, "{at}");
            }
            "command-fails" | "ask" | "busy" => assert_eq!(finished.outcome, Outcome::Success, "{at}"),
            "bad-key" => assert_eq!(finished.error.as_ref().unwrap().code, AgentErrorCode::Auth, "{at}"),
            "unknown-model" => {
                assert_eq!(finished.error.as_ref().unwrap().code, AgentErrorCode::ModelNotFound, "{at}");
            }
            "lost" => assert!(ending.conversation_lost, "{at}"),
            other => panic!("{at}: nothing is known about {other}"),
        }
        assert_eq!(ending.conversation_lost, name == "lost", "{at}");
        if name == "ask" {
            assert!(finished.files_changed.is_empty(), "{at}");
        }
    }
}

/// A recording that stops anywhere is never taken for a success, and one whose process died is neither.
#[test]
fn cut_recordings_are_no_success() {
    for (path, recording, output) in recordings() {
        let lines: Vec<&str> = output.lines().collect();
        for kept in 0..=lines.len() {
            let mut decoder = decoder(&recording);
            let mut events = Vec::new();
            for line in &lines[..kept] {
                decoder.line(line, &mut events);
            }
            let killed = Exit { code: 137, signal: Some(9), ..Exit::default() };
            let ending = decoder.finish(&killed, "", &mut events);
            assert_eq!(ending.finished.outcome, Outcome::Error, "{} cut at {kept}", path.display());
            assert!(ending.finished.error.is_some(), "{} cut at {kept}", path.display());
        }
    }
}
