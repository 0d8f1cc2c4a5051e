//! The machine with a JavaScript provider: the commands and messages of the TypeScript SDK, in its order.

#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use vibekit_core::protocol::{Channel, Opened, Report};
use vibekit_core::stream::Compat;
use vibekit_core::{Action, Code, Error, Exit, Input, Machine, Program, Setup};

fn machine(generation: &str, extra: Value) -> Machine {
    let mut config =
        json!({ "agent": { "type": "claude", "apiKey": "k", "model": "MODEL" }, "workingDirectory": "/w" });
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Machine::new(Setup::parse(
        &json!({ "generation": generation, "driver": "javascript", "config": config, "env": {} }),
    ))
}

/// What a run is answered with.
type Answer<'a> = (&'a str, Result<i32, &'a str>);

/// Plays a call against a provider that answers commands in order; gives a transcript.
fn play(machine: &mut Machine, call: Value, answers: &[Answer<'_>]) -> (Vec<String>, Result<Value, Error>) {
    let mut transcript = Vec::new();
    let mut answers = answers.iter();
    let mut inputs = vec![Input::Call { op: 1, call: serde_json::from_value(call).unwrap() }];
    let mut outcome = None;
    let mut held: Option<(Vec<Channel>, Compat)> = None;
    let said = |channels: &[Channel], text: &[u16]| {
        let text = String::from_utf16(text).unwrap();
        channels.iter().map(|channel| format!("{channel:?} {text}")).collect::<Vec<_>>()
    };
    while !inputs.is_empty() {
        for input in std::mem::take(&mut inputs) {
            machine.handle(0, input);
        }
        while let Some(action) = machine.poll() {
            match action {
                Action::Open { ticket, resume, .. } => {
                    transcript.push(format!("open {resume:?}"));
                    let opened = Opened { sandbox_id: Some("sbx".to_owned()), ..Opened::default() };
                    inputs.push(Input::Opened { ticket, result: Ok(opened) });
                }
                Action::Flush { .. } => {
                    let (channels, mut buffer) = held.take().unwrap();
                    buffer.finish(&mut |text: &[u16]| transcript.extend(said(&channels, text)));
                }
                Action::Run { op, ticket, command, channels, .. } => {
                    let Program::Shell(line) = &command.program else { panic!("{command:?}") };
                    let limit = command.timeout_ms.unwrap();
                    let with = command.env.iter().map(|(name, value)| format!(" {name}={value}"));
                    transcript.push(format!(
                        "run {line} ({limit},{}){}",
                        command.background,
                        with.collect::<String>()
                    ));
                    let (output, ended) = answers.next().expect("no answer for this command");
                    let units: Vec<u16> = output.encode_utf16().collect();
                    let mut buffer = Compat::new();
                    buffer.push(&units, &mut |text: &[u16]| transcript.extend(said(&channels, text)));
                    held = Some((channels, buffer));
                    let result = match ended {
                        Ok(code) => Ok(Box::new(Report {
                            exit: Exit { code: *code, ..Exit::default() },
                            json: Some(format!("{{\"exitCode\":{code}}}")),
                            ..Report::default()
                        })),
                        Err(message) => Err(Error::new(Code::ProviderFailed, *message).with("exitCode", 7)),
                    };
                    inputs.push(Input::Ran { op, ticket, result });
                }
                Action::Emit { channel, text, .. } if channel != Channel::Update => {
                    transcript.push(format!("{channel:?} {text}"));
                }
                Action::Answer { sandbox_id, .. } => {
                    outcome = Some(Ok(json!({ "sandboxId": sandbox_id, "answer": true })));
                }
                Action::Settle { result, .. } => outcome = Some(result),
                _ => {}
            }
        }
    }
    (transcript, outcome.unwrap())
}

#[test]
fn a_command() {
    let mut machine = machine("fluent", json!({}));
    let call = json!({ "call": "executeCommand", "command": "npm test" });
    let answers = [("", Ok(0)), ("{\"a\":1}\nsome text", Ok(1))];
    let (transcript, outcome) = play(&mut machine, call, &answers);
    assert_eq!(
        transcript,
        [
            "open None",
            r#"Stdout {"type": "start", "sandbox_id": "sbx"}"#,
            "run mkdir -p /w || true (30000,false)",
            "run cd /w && npm test (3600000,false)",
            "Stdout {\"a\":1}",
            "Stdout some text",
            r#"Stdout {"type": "end", "sandbox_id": "sbx", "output": "{\"exitCode\":1}"}"#,
        ]
    );
    assert_eq!(outcome.unwrap(), json!({ "sandboxId": "sbx", "answer": true }));
}

#[test]
fn branches() {
    let call = || json!({ "call": "executeCommand", "command": "c", "branch": "f/x", "timeoutMs": 5, "background": true });
    let git = |text: &str| format!("Stdout {{\"type\": \"git\", \"output\": \"{text}\"}}");
    let new = [("", Ok(0)), ("", Ok(0)), ("", Err("exit status 1")), ("", Ok(0)), ("", Ok(0))];
    let (transcript, _) = play(&mut machine("fluent", json!({})), call(), &new);
    assert_eq!(
        transcript[3..transcript.len() - 1],
        [
            "run cd /w && git rev-parse --git-dir (10000,false)".to_owned(),
            git("Switching to branch: f/x"),
            "run cd /w && git checkout f/x (30000,false)".to_owned(),
            git("Creating new branch: f/x"),
            "run cd /w && git checkout -b f/x (30000,false)".to_owned(),
            git("Created and switched to new branch: f/x"),
            "run cd /w && c (5,true)".to_owned(),
        ]
    );
    // A provider that resolves with a non-zero exit code means no less.
    let (transcript, outcome) =
        play(&mut machine("fluent", json!({})), call(), &[("", Ok(0)), ("", Ok(128)), ("", Ok(0))]);
    assert_eq!(transcript[4], git("Not in a git repository, skipping branch/worktree operations"));
    assert_eq!(transcript[5], "run cd /w && c (5,true)");
    outcome.unwrap();
}

#[test]
fn what_needs_quotes_gets_them() {
    let mut machine = machine("fluent", json!({ "workingDirectory": "/my dir" }));
    let call = json!({ "call": "executeCommand", "command": "c", "branch": "a;b" });
    let (transcript, _) = play(&mut machine, call, &[("", Ok(0)), ("", Ok(0)), ("", Ok(0)), ("", Ok(0))]);
    assert!(
        transcript.iter().any(|line| line == "run cd '/my dir' && git checkout 'a;b' (30000,false)"),
        "{transcript:?}"
    );
}

#[test]
fn a_failure_comes_after_the_output_it_followed() {
    let mut machine = machine("fluent", json!({}));
    let call = json!({ "call": "executeCommand", "command": "c" });
    let (transcript, outcome) =
        play(&mut machine, call, &[("", Ok(0)), ("half a line", Err("exit status 1"))]);
    assert_eq!(
        transcript[transcript.len() - 2..],
        ["Stdout half a line", "Stderr Failed to execute command: exit status 1"]
    );
    let error = outcome.unwrap_err();
    assert_eq!(error.message, "Failed to execute command: exit status 1");
    assert_eq!(error.cause.unwrap().message, "exit status 1");
    assert_eq!(Value::Object(error.details), json!({ "exitCode": 7, "sandboxId": "sbx" }));
}

#[test]
fn a_configured_session_is_resumed_without_a_start_message() {
    let mut machine = machine("fluent", json!({ "sessionId": "S" }));
    assert_eq!(machine.session(), Some("S"));
    let (transcript, _) =
        play(&mut machine, json!({ "call": "executeCommand", "command": "c" }), &[("", Ok(0)), ("", Ok(0))]);
    assert_eq!(transcript[..2], [r#"open Some("S")"#, "run mkdir -p /w || true (30000,false)"]);
    // The instance's own id is what is reported.
    assert_eq!(machine.session(), Some("sbx"));
}

#[test]
fn the_agent_is_a_command_for_fluent_objects() {
    let mut machine = machine("fluent", json!({}));
    let (transcript, _) = play(
        &mut machine,
        json!({ "call": "generateCode", "prompt": "PROMPT" }),
        &[("", Ok(0)), ("", Ok(0))],
    );
    assert!(
        transcript[3].starts_with("run cd /w && echo \"PROMPT\" | claude -p --append-system-prompt "),
        "{transcript:?}"
    );
    assert!(transcript[3].contains(" --output-format stream-json --verbose"), "{transcript:?}");
    assert!(transcript[3].ends_with(" --model MODEL (3600000,false)"), "{transcript:?}");
}

#[test]
fn objects_from_a_configuration_clone_once_and_hide_the_token() {
    let github = json!({ "token": "ghp_x", "repository": "https://github.com/o/r.git" });
    let mut object = machine("config", json!({ "github": github }));
    let call = || json!({ "call": "generateCode", "prompt": "p", "branch": "b" });
    let ok = ("", Ok(0));
    let (transcript, _) = play(&mut object, call(), &[ok, ok, ok, ok, ok, ok]);
    let commands: Vec<_> = transcript.iter().filter(|line| line.starts_with("run")).collect();
    let credential = " GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.https://github.com/.extraHeader \
                      GIT_CONFIG_VALUE_0=Authorization: Basic eC1hY2Nlc3MtdG9rZW46Z2hwX3g=";
    assert_eq!(
        commands[1],
        &format!("run cd /w && git clone https://github.com/o/r.git . (3600000,false){credential}")
    );
    assert_eq!(commands[3], "run cd /w && git checkout b (60000,false)");
    assert_eq!(commands[4], &format!("run cd /w && git pull origin b (60000,false){credential}"));
    let (transcript, _) = play(&mut object, call(), &[ok, ok, ok, ok]);
    assert!(!transcript.iter().any(|line| line.contains("git clone")), "{transcript:?}");

    let mut object = machine("config", json!({ "github": { "token": "ghp_x", "repository": "o/r" } }));
    let fails = [ok, ("", Err("fatal: https://x-access-token:ghp_x@github.com"))];
    let (transcript, outcome) = play(&mut object, call(), &fails);
    let error = outcome.unwrap_err();
    assert_eq!(error.message, "Failed to generate code: fatal: https://x-access-token:***@github.com");
    assert_eq!(transcript.last().unwrap(), &format!("Error {}", error.message));
    assert!(!format!("{error:?}").contains("ghp_x"));
}

#[test]
fn a_sandbox_without_an_id_has_no_start_message() {
    let mut machine = machine("fluent", json!({}));
    machine.handle(
        0,
        Input::Call {
            op: 1,
            call: serde_json::from_value(json!({ "call": "executeCommand", "command": "c" })).unwrap(),
        },
    );
    let Some(Action::Open { ticket, .. }) = machine.poll() else { panic!() };
    machine.handle(0, Input::Opened { ticket, result: Ok(Opened::default()) });
    let actions: Vec<_> = std::iter::from_fn(|| machine.poll()).collect();
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Emit { .. } | Action::Session { .. })),
        "{actions:?}"
    );
    assert_eq!(machine.session(), None);
}
