//! Decoders are total: no line, however broken, makes one fail, and no turn has a second end.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use vibekit_core::agents::{self, AgentConfig, AgentKind, TurnRequest};
use vibekit_core::command::{Exit, Stopped};
use vibekit_core::event::{Body, Outcome, Usage};
use vibekit_core::protocol::Mode;

/// Words the decoders look for, so that made-up lines reach deep into them.
const WORDS: &[&str] = &[
    "type",
    "system",
    "init",
    "assistant",
    "user",
    "result",
    "message",
    "content",
    "text",
    "thinking",
    "tool_use",
    "tool_result",
    "id",
    "name",
    "input",
    "is_error",
    "subtype",
    "success",
    "usage",
    "input_tokens",
    "item",
    "item.completed",
    "item.started",
    "turn.completed",
    "turn.failed",
    "error",
    "agent_message",
    "command_execution",
    "file_change",
    "changes",
    "path",
    "kind",
    "status",
    "stats",
    "part",
    "tokens",
    "state",
    "step_finish",
    "sessionID",
    "tool_call",
    "tool_call_update",
    "end",
    "data",
    "rawInput",
    "todo_list",
    "items",
    "stream_event",
    "event",
    "delta",
    "structuredPatch",
    "tool_use_result",
    "filePath",
    "lines",
    "errors",
];

fn value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn line() -> impl Strategy<Value = String> {
    let typed = (prop::sample::select(WORDS), value()).prop_map(|(kind, mut value)| {
        if let Value::Object(fields) = &mut value {
            fields.insert("type".to_owned(), Value::from(kind));
        }
        value.to_string()
    });
    prop_oneof![3 => typed, 1 => value().prop_map(|value| value.to_string()), 1 => any::<String>()]
}

fn exit() -> impl Strategy<Value = Exit> {
    (any::<i32>(), prop::option::of(1..64), any::<bool>(), any::<bool>()).prop_map(
        |(code, signal, timed_out, stopped)| Exit {
            code,
            signal,
            timed_out,
            stopped: stopped.then(Stopped::default),
            ..Exit::default()
        },
    )
}

fn run(kind: AgentKind, lines: &[String], exit: &Exit, stderr: &str) -> (Vec<Body>, agents::Ending) {
    let config = AgentConfig::new(kind);
    let request = TurnRequest {
        prompt: "x",
        mode: Mode::Code,
        history: &[],
        conversation: None,
        fresh_uuid: "6f1c1a52-4d0e-4d55-9d3a-0c8a3a0a3f10",
        working_directory: "/vibe0",
        dropped_flags: &[],
        usage_before: Usage::default(),
    };
    let mut decoder = agents::decoder(&config, &request);
    let mut events = Vec::new();
    for line in lines {
        decoder.line(line, &mut events);
    }
    let ending = decoder.finish(exit, stderr, &mut events);
    (events, ending)
}

proptest! {
    #[test]
    fn no_line_makes_a_decoder_fail(
        lines in prop::collection::vec(line(), 0..12),
        exit in exit(),
        stderr in any::<String>(),
    ) {
        for kind in AgentKind::ALL {
            let (events, ending) = run(kind, &lines, &exit, &stderr);
            prop_assert!(!events.iter().any(|event| matches!(event, Body::Finished(_))));
            let success = ending.finished.outcome == Outcome::Success;
            prop_assert_eq!(success, ending.finished.error.is_none());
            prop_assert!(!success || (exit.code == 0 && exit.signal.is_none() && !exit.timed_out));
            prop_assert!(!(success && (ending.conversation_lost || ending.refused_flag.is_some())));
        }
    }

    #[test]
    fn what_is_not_json_is_passed_on(text in "[^{}\\[\\]\"0-9]{1,40}") {
        prop_assume!(!text.trim().is_empty() && serde_json::from_str::<Value>(&text).is_err());
        for kind in AgentKind::ALL {
            let (events, _) = run(kind, std::slice::from_ref(&text), &Exit::default(), "");
            prop_assert_eq!(&events[0], &Body::Raw { line: text.clone() });
        }
    }
}

/// A clean exit alone is no success: several agents exit 0 when they were interrupted.
#[test]
fn silence_is_no_success() {
    for kind in AgentKind::ALL {
        let (_, ending) = run(kind, &[], &Exit::default(), "");
        assert_eq!(ending.finished.outcome, Outcome::Error, "{kind}");
    }
}

#[test]
fn stopping_and_time_limits_are_told_apart() {
    for kind in AgentKind::ALL {
        let stopped =
            Exit { code: 143, signal: Some(15), stopped: Some(Stopped::default()), ..Exit::default() };
        assert_eq!(run(kind, &[], &stopped, "").1.finished.outcome, Outcome::Cancelled, "{kind}");
        let timed_out = Exit { timed_out: true, ..stopped };
        assert_eq!(run(kind, &[], &timed_out, "").1.finished.outcome, Outcome::Timeout, "{kind}");
    }
}

#[test]
fn a_refused_flag_is_named_when_the_turn_can_do_without() {
    let refusals = [
        (
            AgentKind::Claude,
            "error: unknown option '--system-prompt-snapshot'",
            Some("--system-prompt-snapshot"),
        ),
        (AgentKind::Claude, "error: unknown option '--append-system-prompt'", None),
        (AgentKind::Codex, "error: unexpected argument '--disable' found\n\nUsage: codex", Some("--disable")),
        (AgentKind::Gemini, "Unknown arguments: session-id, sessionId\nUsage: gemini", Some("--session-id")),
        (AgentKind::Grok, "error: unknown option '--output-format'", Some("--output-format")),
    ];
    for (kind, stderr, flag) in refusals {
        let exit = Exit { code: 1, ..Exit::default() };
        assert_eq!(run(kind, &[], &exit, stderr).1.refused_flag.as_deref(), flag, "{kind}");
    }
}

/// Lines can be larger than any buffer.
#[test]
fn a_line_of_eight_mebibytes_arrives_whole() {
    let text = "x".repeat(8 << 20);
    let line =
        json!({ "type": "item.completed", "item": { "id": "1", "type": "agent_message", "text": text } });
    let (events, ending) = run(AgentKind::Codex, &[line.to_string()], &Exit::default(), "");
    assert_eq!(events, [Body::Text { message_id: "1".to_owned(), text: text.clone() }, events[1].clone()]);
    assert_eq!(ending.finished.result_text, text);
}
