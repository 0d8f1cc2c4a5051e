//! The machine with a native driver, step by step.

#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use vibekit_core::protocol::{Call, Channel, Emission, Opened, Report};
use vibekit_core::{Action, Code, Error, Exit, Input, Machine, Program, Setup, Stream};

fn setup(extra: Value) -> Setup {
    let mut top = json!({
        "generation": "config", "driver": "native",
        "config": {
            "agent": { "type": "claude", "model": { "apiKey": "sk-test" } },
            "environment": { "local": {} },
            "secrets": { "B": "2", "A": "1" },
        },
        "env": {}, "random": "00112233445566778899aabbccddeeff",
    });
    for (key, value) in extra.as_object().unwrap() {
        top["config"][key] = value.clone();
    }
    Setup::parse(&top)
}

fn drain(machine: &mut Machine) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll())
        .filter(|action| !matches!(action, Action::Arm { .. } | Action::Disarm { .. }))
        .collect()
}

fn execute(command: &str) -> Call {
    serde_json::from_value(json!({ "call": "executeCommand", "command": command })).unwrap()
}

fn call(machine: &mut Machine, op: u32, call: Call) -> Vec<Action> {
    machine.handle(0, Input::Call { op, call });
    drain(machine)
}

fn input(machine: &mut Machine, input: Input) -> Vec<Action> {
    machine.handle(0, input);
    drain(machine)
}

fn opened(ticket: u32, id: &str) -> Input {
    Input::Opened { ticket, result: Ok(Opened { sandbox_id: Some(id.to_owned()), ..Opened::default() }) }
}

fn settled(actions: &[Action], of: u32) -> Option<&Result<Value, Error>> {
    actions.iter().find_map(|action| match action {
        Action::Settle { op, result } if *op == of => Some(result),
        _ => None,
    })
}

#[test]
fn a_command_runs_and_its_output_is_told_apart() {
    let mut machine = Machine::new(setup(json!({})));
    let actions = call(&mut machine, 1, execute("echo hi"));
    let Action::Open { ticket: open, resume: None, env, .. } = &actions[0] else { panic!("{actions:?}") };
    let names: Vec<_> = env.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ANTHROPIC_API_KEY", "B", "A"]);

    let actions = input(&mut machine, opened(*open, "lcl_x"));
    assert_eq!(actions[0], Action::Session { id: Some("lcl_x".to_owned()) });
    assert_eq!(machine.session(), Some("lcl_x"));
    let start = r#"{"type": "start", "sandbox_id": "lcl_x"}"#;
    assert!(matches!(&actions[1], Action::Emit { channel: Channel::Stdout, text, .. } if text == start));
    assert!(matches!(&actions[2], Action::Emit { channel: Channel::Update, text, .. } if text == start));
    let Action::Run { ticket: run, command, .. } = &actions[3] else { panic!("{actions:?}") };
    assert_eq!(command.program, Program::Shell("echo hi".to_owned()));
    assert_eq!(command.cwd.as_deref(), Some("/vibe0"));

    let mut out = Vec::new();
    machine.output(1, *run, Stream::Stdout, b"hi\n", &mut out);
    machine.output(1, *run, Stream::Stderr, b"oh\n", &mut out);
    let emission = |channel, text: &str| Emission { channel, text: text.to_owned() };
    assert_eq!(
        out,
        [
            emission(Channel::Stdout, "hi\n"),
            emission(Channel::Update, "hi\n"),
            emission(Channel::Stderr, "oh\n"),
            emission(Channel::Update, "oh\n"),
        ]
    );

    let report = Report {
        exit: Exit { code: 3, ..Exit::default() },
        stdout: "hi\n".to_owned(),
        stderr: "oh\n".to_owned(),
        ..Report::default()
    };
    let actions = input(&mut machine, Input::Ran { op: 1, ticket: *run, result: Ok(Box::new(report)) });
    let Action::Emit { text: end, .. } = &actions[0] else { panic!("{actions:?}") };
    let end: Value = serde_json::from_str(end).unwrap();
    let output: Value = serde_json::from_str(end["output"].as_str().unwrap()).unwrap();
    assert_eq!(output, json!({ "exitCode": 3, "stdout": "hi\n", "stderr": "oh\n" }));
    assert_eq!(
        settled(&actions, 1).unwrap().as_ref().unwrap().to_string(),
        r#"{"sandboxId":"lcl_x","exitCode":3,"stdout":"hi\n","stderr":"oh\n"}"#
    );
    assert!(machine.is_idle());
}

#[test]
fn parallel_first_calls_share_one_sandbox_and_kill_forgets_it() {
    let mut machine = Machine::new(setup(json!({ "sessionId": "lcl_s" })));
    let first = call(&mut machine, 1, execute("a"));
    let second = call(&mut machine, 2, execute("b"));
    assert!(matches!(&first[0], Action::Open { resume: Some(id), .. } if id == "lcl_s"));
    assert!(second.is_empty());
    let actions = input(&mut machine, opened(1, "lcl_s"));
    assert_eq!(actions.iter().filter(|action| matches!(action, Action::Run { .. })).count(), 2);

    let actions = call(&mut machine, 3, Call::Kill);
    let Action::Close { ticket, sandbox: 1 } = actions[0] else { panic!("{actions:?}") };
    // A call that comes now waits, and gets a sandbox of its own.
    assert!(call(&mut machine, 4, execute("c")).is_empty());
    let actions = input(&mut machine, Input::Done { ticket, result: Ok(Value::Null) });
    assert!(matches!(actions[0], Action::Session { id: None }));
    for op in [1, 2] {
        assert_eq!(settled(&actions, op).unwrap().as_ref().unwrap_err().code, Code::SandboxKilled);
    }
    assert!(settled(&actions, 3).unwrap().is_ok());
    assert!(matches!(actions.last(), Some(Action::Open { resume: None, .. })));
}
