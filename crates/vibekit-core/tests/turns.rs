//! Turns of an agent on a native provider.

#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use vibekit_core::protocol::{Channel, OpId, Opened, Report, Ticket};
use vibekit_core::{Action, Code, Command, Error, Exit, Input, Machine, Program, Setup, Stdin, Stream};

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"native-1","model":"m","cwd":"/vibe0"}"#;
const TEXT: &str = r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"done"}]}}"#;
const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"native-1","num_turns":1}"#;

struct World {
    machine: Machine,
    now: u64,
    sandbox: Ticket,
    run: Ticket,
    command: Option<Box<Command>>,
    record: Option<String>,
    /// The sandbox can hold commands to reading.
    reads: bool,
    events: Vec<Value>,
    emitted: Vec<(Channel, String)>,
    stopped: bool,
    outcome: Option<Result<Value, Error>>,
    timers: Vec<(u32, u64)>,
    next: OpId,
}

impl World {
    fn new(record: Option<String>) -> Self {
        let setup = Setup::parse(&json!({
            "generation": "config", "driver": "native", "env": {},
            "config": {
                "agent": { "type": "claude", "model": { "apiKey": "k" } },
                "environment": { "local": {} },
                "sessionId": record.as_ref().map(|_| "lcl_1"),
            },
            "random": "000102030405060708090a0b0c0d0e0f",
        }));
        Self {
            machine: Machine::new(setup),
            now: 1_000,
            sandbox: 0,
            run: 0,
            command: None,
            record,
            reads: true,
            events: Vec::new(),
            emitted: Vec::new(),
            stopped: false,
            outcome: None,
            timers: Vec::new(),
            next: 0,
        }
    }

    fn input(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Open { ticket, .. } => {
                    self.sandbox = ticket;
                    let opened = Opened {
                        sandbox_id: Some("lcl_1".to_owned()),
                        record: self.record.clone(),
                        read_only: self.reads,
                        ..Opened::default()
                    };
                    self.machine.handle(self.now, Input::Opened { ticket, result: Ok(opened) });
                }
                Action::Run { ticket, command, .. } => {
                    self.run = ticket;
                    self.command = Some(command);
                }
                Action::Stop { ticket } => self.stopped = ticket == self.run,
                Action::Remember { record, .. } => self.record = Some(record),
                Action::Emit { channel, text, .. } => self.emitted(channel, text),
                Action::Settle { result, .. } => self.outcome = Some(result),
                Action::Arm { timer, after_ms } => self.timers.push((timer, after_ms)),
                _ => {}
            }
        }
    }

    fn emitted(&mut self, channel: Channel, text: String) {
        assert!(self.outcome.is_none(), "after the outcome: {text}");
        if channel == Channel::Event {
            self.events.push(serde_json::from_str(&text).unwrap());
        }
        self.emitted.push((channel, text));
    }

    fn begin(&mut self, extra: Value) {
        self.next += 1;
        self.outcome = None;
        self.events.clear();
        self.emitted.clear();
        let mut call = json!({ "call": "generateCode", "prompt": "It's \"x\" $HOME\nline 2" });
        call.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        self.input(Input::Call { op: self.next, call: serde_json::from_value(call).unwrap() });
    }

    fn says(&mut self, stream: Stream, text: &str) {
        // Cut where it hurts.
        for chunk in text.as_bytes().chunks(7) {
            let mut out = Vec::new();
            self.machine.output(self.now, self.run, stream, chunk, &mut out);
            for emission in out {
                self.emitted(emission.channel, emission.text);
            }
        }
    }

    fn ends(&mut self, exit: Exit) {
        let report = Report { exit, stdout: "kept".to_owned(), ..Report::default() };
        self.input(Input::Ran { op: self.next, ticket: self.run, result: Ok(Box::new(report)) });
    }

    fn exits(&mut self, code: i32) {
        self.ends(Exit { code, ..Exit::default() });
    }

    fn args(&self) -> Vec<String> {
        match &self.command.as_ref().unwrap().program {
            Program::Exec { program, args } => {
                assert_eq!(program, "claude");
                args.clone()
            }
            Program::Shell(line) => panic!("a shell line: {line}"),
        }
    }

    /// The line of a helper command.
    fn line(&self) -> &str {
        match &self.command.as_ref().unwrap().program {
            Program::Shell(line) => line,
            Program::Exec { program, .. } => panic!("the program {program}"),
        }
    }

    /// A helper command ends.
    fn answers(&mut self, stdout: String) {
        let report = Report { stdout, ..Report::default() };
        self.input(Input::Ran { op: self.next, ticket: self.run, result: Ok(Box::new(report)) });
    }

    fn notices(&self, code: &str) -> usize {
        self.events.iter().filter(|event| event["type"] == "notice" && event["code"] == code).count()
    }

    fn finished(&self) -> &Value {
        let last = self.events.last().unwrap();
        assert_eq!(last["type"], "finished", "{last}");
        assert_eq!(self.events.iter().filter(|event| event["type"] == "finished").count(), 1);
        last
    }

    fn error(&self) -> &Error {
        self.outcome.as_ref().unwrap().as_ref().unwrap_err()
    }
}

#[test]
fn success_is_said_by_the_agent_and_by_its_exit() {
    let mut world = World::new(None);
    world.begin(json!({}));
    assert_eq!(world.command.as_ref().unwrap().stdin, Stdin::Bytes(b"It's \"x\" $HOME\nline 2".to_vec()));
    world.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    world.exits(0);
    assert_eq!(world.finished()["outcome"], "success");
    assert_eq!(world.finished()["resultText"], "done");
    let numbers: Vec<_> = world.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(world.outcome.as_ref().unwrap().as_ref().unwrap()["exitCode"], 0);
    // Every line is one message, on both channels.
    for channel in [Channel::Stdout, Channel::Update] {
        let messages: Vec<_> =
            world.emitted.iter().filter(|(of, _)| *of == channel).map(|(_, text)| text.as_str()).collect();
        assert_eq!(messages[1..4], [INIT, TEXT, RESULT]);
        assert!(
            messages[0].starts_with(r#"{"type": "start""#) && messages[4].starts_with(r#"{"type": "end""#)
        );
    }

    // Exit 0 without the agent's word is no success, nor is its word with another exit.
    for (lines, code) in [(vec![INIT, TEXT], 0), (vec![INIT, TEXT, RESULT], 3)] {
        let mut world = World::new(None);
        world.begin(json!({}));
        world.says(Stream::Stdout, &lines.join("\n"));
        world.exits(code);
        assert_eq!(world.error().code, Code::AgentFailed);
        assert!(world.error().message.starts_with("Failed to generate code: "));
        assert_eq!(world.error().details["exitCode"], code);
        assert_eq!(world.error().details["sandboxId"], "lcl_1");
        assert_eq!(world.finished()["outcome"], "error");
        assert_eq!(world.emitted[world.emitted.len() - 2], (Channel::Error, world.error().message.clone()));
    }
}

#[test]
fn a_conversation_goes_on_in_another_process_with_numbers_that_go_on() {
    let mut first = World::new(None);
    first.begin(json!({}));
    assert!(!first.args().iter().any(|arg| arg == "--resume"));
    first.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    first.exits(0);
    let last = first.finished()["seq"].as_u64().unwrap();

    let mut second = World::new(first.record);
    second.begin(json!({}));
    let args = second.args();
    let resume = args.iter().position(|arg| arg == "--resume").unwrap();
    assert_eq!(args[resume + 1], "native-1");
    second.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    second.exits(0);
    assert_eq!(second.events[0]["seq"], last + 1);
    assert_eq!(second.events[0]["turnId"], 2);

    // A process that died in the middle of a turn leaves no number to be given twice.
    let mut third = World::new(second.record);
    third.begin(json!({}));
    third.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n"));
    let given = third.events.last().unwrap()["seq"].as_u64().unwrap();
    let mut fourth = World::new(third.record);
    fourth.begin(json!({}));
    fourth.says(Stream::Stdout, &format!("{INIT}\n"));
    assert!(fourth.events[0]["seq"].as_u64().unwrap() > given);
}

#[test]
fn a_lost_conversation_is_begun_anew_once() {
    let mut world = World::new(None);
    world.begin(json!({}));
    world.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    world.exits(0);
    world.begin(json!({ "history": [{ "role": "user", "content": "earlier" }] }));
    assert!(world.args().iter().any(|arg| arg == "--resume"));
    let first = world.run;
    world.says(Stream::Stderr, "No conversation found with session ID: native-1\n");
    world.exits(1);
    assert!(world.outcome.is_none() && world.run != first);
    assert!(!world.args().iter().any(|arg| arg == "--resume"));
    assert!(
        world.events.iter().any(|event| event["type"] == "notice" && event["code"] == "conversation_lost")
    );
    world.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    world.exits(0);
    assert_eq!(world.finished()["outcome"], "success");
}

#[test]
fn a_cancelled_turn_waits_for_its_processes_but_not_for_ever() {
    for answered in [true, false] {
        let mut world = World::new(None);
        world.begin(json!({}));
        world.says(Stream::Stdout, &format!("{INIT}\n"));
        world.input(Input::Cancel { op: 1 });
        assert!(world.stopped && world.outcome.is_none());
        if answered {
            world.ends(Exit { code: 143, signal: Some(15), ..Exit::default() });
        } else {
            let &(timer, after) = world.timers.last().unwrap();
            assert_eq!(after, 5_000);
            world.now += after;
            world.input(Input::Timer { timer });
        }
        assert_eq!(world.error().code, Code::Aborted);
        assert_eq!(world.finished()["outcome"], "cancelled");
        assert!(!world.emitted.iter().any(|(channel, _)| *channel == Channel::Error));
    }
}

#[test]
fn a_turn_that_takes_too_long_says_so() {
    let mut world = World::new(None);
    world.begin(json!({ "timeoutMs": 1000 }));
    assert_eq!(world.command.as_ref().unwrap().timeout_ms, Some(1000));
    world.says(Stream::Stdout, &format!("{INIT}\n"));
    world.ends(Exit { code: 143, signal: Some(15), timed_out: true, ..Exit::default() });
    assert_eq!(world.error().code, Code::Timeout);
    assert_eq!(world.error().details["limit"], 1000);
    assert_eq!(world.finished()["outcome"], "timeout");
}

#[test]
fn an_agent_that_is_not_there() {
    let mut world = World::new(None);
    world.begin(json!({}));
    let result = Err(Error::new(Code::SpawnFailed, "claude: not found"));
    world.input(Input::Ran { op: 1, ticket: world.run, result });
    assert_eq!(world.error().code, Code::AgentNotInstalled);
    assert!(world.error().hint.as_ref().unwrap().contains("npm install"));
    assert_eq!(world.finished()["outcome"], "error");

    let mut world = World::new(None);
    world.begin(json!({}));
    world.says(Stream::Stderr, "sh: claude: not found\n");
    world.exits(127);
    assert_eq!(world.error().code, Code::AgentNotInstalled);
}

#[test]
fn two_turns_at_once_do_not_share_a_conversation() {
    let mut world = World::new(None);
    world.begin(json!({}));
    world.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    world.exits(0);
    world.begin(json!({}));
    assert!(world.args().iter().any(|arg| arg == "--resume"));
    world.begin(json!({}));
    assert!(!world.args().iter().any(|arg| arg == "--resume"));
}

#[test]
fn an_ask_turn_is_held_to_reading_where_that_can_be() {
    for (reads, mode) in [(true, "ask"), (false, "ask"), (true, "code"), (false, "code")] {
        let mut world = World::new(None);
        world.reads = reads;
        world.begin(json!({ "mode": mode }));
        assert_eq!(world.command.as_ref().unwrap().read_only, reads && mode == "ask");
        let notices: Vec<_> = world.events.iter().map(|event| event["code"].as_str().unwrap()).collect();
        let unenforced = !reads && mode == "ask";
        assert_eq!(notices, if unenforced { vec!["read_only_unenforced"] } else { vec![] });
    }
}

#[test]
fn a_command_is_held_to_reading_or_refused() {
    for reads in [true, false] {
        let mut world = World::new(None);
        world.reads = reads;
        let call = json!({ "call": "executeCommand", "command": "x", "readOnly": true });
        world.input(Input::Call { op: 1, call: serde_json::from_value(call).unwrap() });
        if reads {
            assert!(world.command.as_ref().unwrap().read_only);
        } else {
            assert!(world.command.is_none());
            assert_eq!(
                (world.error().code, world.error().field.as_deref()),
                (Code::Unsupported, Some("readOnly"))
            );
        }
    }
}

const SNAPSHOT: &str = "--system-prompt-snapshot";
const FILE: &str = "1:2:3:4";

fn help_without(flag: &str) -> String {
    let help = include_str!("helps/claude.txt").replace(flag, "--another");
    format!("{FILE}\n{help}")
}

#[test]
fn a_program_that_says_no_in_unknown_words_is_asked_for_its_flags_once() {
    let mut world = World::new(None);
    world.begin(json!({}));
    assert!(world.args().iter().any(|flag| flag == SNAPSHOT));
    world.says(Stream::Stderr, "claude: bad usage, sorry\n");
    world.exits(64);
    assert!(world.outcome.is_none());
    assert!(world.line().contains("stat -L") && world.line().contains("claude --help"), "{}", world.line());
    world.answers(help_without(SNAPSHOT));
    let args = world.args();
    assert!(!args.iter().any(|flag| flag == SNAPSHOT), "{args:?}");
    assert!(args.iter().any(|flag| flag == "--include-partial-messages"), "{args:?}");
    world.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    world.exits(0);
    assert!(matches!(world.outcome, Some(Ok(_))), "{:?}", world.outcome);
    assert_eq!((world.notices("flag_refused"), &world.finished()["outcome"]), (1, &json!("success")));

    // Known for good: by this object, and by the next one, as long as it is the same file.
    world.begin(json!({}));
    assert!(!world.args().iter().any(|flag| flag == SNAPSHOT));
    for (file, dropped) in [(FILE, true), ("1:2:9:9", false)] {
        let mut other = World::new(world.record.clone());
        other.begin(json!({}));
        assert!(other.line().contains("stat -L") && !other.line().contains("--help"), "{}", other.line());
        other.answers(format!("{file}\n"));
        assert_eq!(!other.args().iter().any(|flag| flag == SNAPSHOT), dropped, "{file}");
        other.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
        other.exits(0);
        assert!(matches!(other.outcome, Some(Ok(_))));
        assert_eq!(other.record.as_ref().unwrap().contains(SNAPSHOT), dropped);
    }
}

#[test]
fn a_program_that_knows_our_flags_has_failed_for_another_reason() {
    for (code, told) in [
        (1, format!("{FILE}\n{}", include_str!("helps/claude.txt"))),
        (2, String::new()),
        (64, format!("{FILE}\nno such option")),
    ] {
        let mut world = World::new(None);
        world.begin(json!({}));
        world.says(Stream::Stderr, "something is wrong\n");
        world.exits(code);
        world.answers(told);
        let error = world.outcome.take().unwrap().unwrap_err();
        assert_eq!(error.details["exitCode"], json!(code), "{error:?}");
        assert!(error.message.contains("something is wrong"), "{error:?}");
        assert_eq!(world.finished()["outcome"], "error");
        // Not asked again.
        world.begin(json!({}));
        world.exits(code);
        assert!(world.outcome.is_some());
    }
}

#[test]
fn a_call_that_ends_while_the_program_is_asked_has_its_last_event() {
    let mut world = World::new(None);
    world.begin(json!({}));
    world.exits(2);
    world.line();
    world.input(Input::Cancel { op: world.next });
    assert!(world.stopped);
    world.ends(Exit { code: 143, signal: Some(15), ..Exit::default() });
    assert_eq!(world.outcome.take().unwrap().unwrap_err().code, Code::Aborted);
    assert_eq!(world.finished()["outcome"], "cancelled");
}

#[test]
fn a_flag_that_is_refused_by_name_is_kept_with_the_session() {
    let mut world = World::new(None);
    world.begin(json!({}));
    world.says(Stream::Stderr, "error: unknown option '--session-id'\n");
    world.exits(1);
    assert!(world.line().contains("claude --help"));
    // A look that comes to nothing changes nothing about what was said.
    world.answers(String::new());
    assert!(!world.args().iter().any(|flag| flag == "--session-id"));
    world.says(Stream::Stdout, &format!("{INIT}\n{TEXT}\n{RESULT}\n"));
    world.exits(0);
    assert!(matches!(world.outcome, Some(Ok(_))), "{:?}", world.outcome);
    assert_eq!(world.notices("flag_refused"), 1);
}
