//! Scripts of repositories: what is done in which order, over either kind of provider, and what a failure ends.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::VecDeque;

use serde_json::{Value, json};
use vibekit_core::git::server::Server;
use vibekit_core::http::{HttpRequest, HttpResponse};
use vibekit_core::protocol::{Opened, Report};
use vibekit_core::{Action, Code, Error, Exit, Input, Machine, Program, Setup};

const TOKEN: &str = "ghp_secret_token";

fn machine(driver: &str, generation: &str, extra: Value) -> Machine {
    let mut config = json!({
        "agent": { "type": "claude", "apiKey": "sk-the-key", "model": { "apiKey": "sk-the-key" } },
        "environment": { "local": {} },
        "workingDirectory": "/w",
    });
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Machine::new(Setup::parse(
        &json!({ "generation": generation, "driver": driver, "config": config, "env": {} }),
    ))
}

/// Answers commands by what they contain; everything else succeeds without output.
struct World {
    commands: Vec<(&'static str, i32, &'static str)>,
    answers: VecDeque<Result<HttpResponse, Error>>,
    lines: Vec<String>,
    env: Vec<(String, String)>,
    requests: Vec<HttpRequest>,
    pauses: Vec<u64>,
}

impl World {
    fn new(commands: &[(&'static str, i32, &'static str)], answers: &[(u16, Value)]) -> Self {
        let answers = answers.iter().map(|(status, body)| {
            let body = match body {
                Value::String(text) => text.clone(),
                body => body.to_string(),
            };
            Ok(HttpResponse { status: *status, status_text: "Said".to_owned(), body })
        });
        Self {
            commands: commands.to_vec(),
            answers: answers.collect(),
            lines: Vec::new(),
            env: Vec::new(),
            requests: Vec::new(),
            pauses: Vec::new(),
        }
    }

    fn play(&mut self, machine: &mut Machine, call: Value) -> Result<Value, Error> {
        let mut inputs = VecDeque::from([Input::Call { op: 1, call: serde_json::from_value(call).unwrap() }]);
        let mut outcome = None;
        let mut armed = Vec::new();
        loop {
            let Some(input) = inputs.pop_front() else { break };
            machine.handle(0, input);
            while let Some(action) = machine.poll() {
                match action {
                    Action::Open { ticket, .. } => {
                        let opened = Opened { sandbox_id: Some("sbx".to_owned()), ..Opened::default() };
                        inputs.push_back(Input::Opened { ticket, result: Ok(opened) });
                    }
                    Action::Run { op, ticket, command, .. } => {
                        let Program::Shell(line) = &command.program else { panic!("{command:?}") };
                        self.lines.push(line.clone());
                        self.env.extend(command.env.clone());
                        let known = self.commands.iter().find(|(part, ..)| line.contains(part));
                        let (code, stdout) = known.map_or((0, ""), |&(_, code, stdout)| (code, stdout));
                        let report = Report {
                            exit: Exit { code, ..Exit::default() },
                            stdout: stdout.to_owned(),
                            json: Some("{}".to_owned()),
                            ..Report::default()
                        };
                        inputs.push_back(Input::Ran { op, ticket, result: Ok(Box::new(report)) });
                    }
                    Action::Request { ticket, request, .. } => {
                        self.requests.push(request);
                        let result = self.answers.pop_front().expect("no answer for this request");
                        inputs.push_back(Input::Answered { ticket, result });
                    }
                    Action::Arm { timer, after_ms } => armed.push((timer, after_ms)),
                    Action::Disarm { timer } => armed.retain(|&(known, _)| known != timer),
                    Action::Settle { result, .. } => outcome = Some(result),
                    _ => {}
                }
            }
            if inputs.is_empty() && outcome.is_none() {
                let (timer, after) = armed.remove(0);
                self.pauses.push(after);
                inputs.push_back(Input::Timer { timer });
            }
        }
        assert!(machine.is_idle());
        outcome.unwrap()
    }
}

fn words() -> (u16, Value) {
    let input = json!({ "title": "T", "body": "B", "branchName": "fix it", "commitMessage": "say \"hi\"" });
    (200, json!({ "content": [{ "type": "tool_use", "input": input }] }))
}

fn dirty() -> [(&'static str, i32, &'static str); 3] {
    [("diff", 0, "+x\n"), ("git status", 0, " M x\n"), ("rev-parse --abbrev-ref", 0, "develop\n")]
}

#[test]
fn a_pull_request_in_upstreams_order() {
    let mut machine = machine("javascript", "fluent", json!({ "secrets": { "GH_TOKEN": TOKEN } }));
    let mut world = World::new(
        &dirty(),
        &[
            words(),
            (201, json!({ "number": 3, "title": "T" })),
            (404, json!({})),
            (201, json!({})),
            (200, json!([])),
        ],
    );
    let call = json!({ "call": "createPullRequest", "target": "o/r", "branchPrefix": "bot" });
    let result = world.play(&mut machine, call).unwrap();
    // What the model calls a branch is made one.
    assert_eq!(result, json!({ "number": 3, "title": "T", "branchName": "bot/fix-it" }));
    assert_eq!(
        world.lines,
        [
            "cd /w && git rev-parse --abbrev-ref HEAD",
            "cd /w && git status --porcelain",
            "cd /w && git ls-files --others --exclude-standard",
            "cd /w && git --no-pager diff --no-color HEAD",
            "cd /w && git --no-pager diff --no-color --diff-filter=ACMR",
            "cd /w && git checkout -b bot/fix-it && git add -A && git commit -m \"say \\\"hi\\\"\"",
            "cd /w && git push -u origin bot/fix-it",
        ]
    );
    assert_eq!(
        world.requests[1].body.as_deref(),
        Some(r#"{"title":"T","body":"B","head":"bot/fix-it","base":"develop"}"#)
    );
    let asked: Vec<_> = world.requests[1..]
        .iter()
        .map(|request| (request.method.as_deref().unwrap_or("-"), request.url.as_str()))
        .collect();
    assert_eq!(
        asked,
        [
            ("POST", "https://api.github.com/repos/o/r/pulls"),
            ("-", "https://api.github.com/repos/o/r/labels/claude"),
            ("POST", "https://api.github.com/repos/o/r/labels"),
            ("POST", "https://api.github.com/repos/o/r/issues/3/labels"),
        ]
    );
}

#[test]
fn trouble_with_labels_is_nobodys_trouble() {
    let mut machine = machine("javascript", "fluent", json!({ "secrets": { "GH_TOKEN": TOKEN } }));
    let mut world =
        World::new(&dirty(), &[words(), (201, json!({ "number": 3 })), (500, json!("x")), (403, json!({}))]);
    world.play(&mut machine, json!({ "call": "createPullRequest", "target": "o/r" })).unwrap();
    assert_eq!(world.requests.len(), 4);
}

#[test]
fn a_step_that_fails_ends_the_call() {
    let mut machine = machine("javascript", "fluent", json!({ "secrets": { "GH_TOKEN": TOKEN } }));
    let commands = [dirty().to_vec(), vec![("git push", 1, "")]].concat();
    let mut world = World::new(&commands, &[words()]);
    let error =
        world.play(&mut machine, json!({ "call": "createPullRequest", "target": "o/r" })).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (Code::ProviderFailed, "git push exited with code 1"));
    // GitHub was not asked.
    assert_eq!(world.requests.len(), 1);
}

#[test]
fn natively_the_token_is_in_the_environment_alone() {
    let mut machine =
        machine("native", "config", json!({ "github": { "token": TOKEN, "repository": "o/r" } }));
    let mut world =
        World::new(&dirty(), &[words(), (201, json!({ "number": 1 })), (200, json!({})), (200, json!([]))]);
    world
        .play(&mut machine, json!({ "call": "cloneRepository", "repository": "o/r", "directory": "/d" }))
        .unwrap();
    world.play(&mut machine, json!({ "call": "createPullRequest" })).unwrap();
    assert_eq!(world.lines[0], "mkdir -p /d");
    assert_eq!(world.lines[1], "git clone https://github.com/o/r.git .");
    // The generation before 0.0.69.
    assert_eq!(world.lines.last().unwrap(), "git push origin 'fix-it'".replace('\'', "").as_str());
    assert!(world.lines.iter().all(|line| !line.contains(TOKEN)));
    let told: Vec<_> = world.env.iter().filter(|(name, _)| name == "GIT_CONFIG_VALUE_0").collect();
    assert_eq!(told.len(), 2, "clone and push");
}

#[test]
fn busy_models_are_asked_again_after_two_and_four_seconds() {
    let mut machine = machine("javascript", "fluent", json!({}));
    let mut world = World::new(&dirty(), &[(529, json!({})), (429, json!({})), words()]);
    world.play(&mut machine, json!({ "call": "pushToBranch", "branch": "b" })).unwrap();
    assert_eq!(world.pauses, [2_000, 4_000]);
}

#[test]
fn silence_is_waited_for_and_no_longer_than_its_limit() {
    let mut machine = machine("javascript", "fluent", json!({ "secrets": { "GH_TOKEN": TOKEN } }));
    let call = json!({ "call": "mergePullRequest", "repository": "o/r", "pullNumber": 1 });
    machine.handle(0, Input::Call { op: 1, call: serde_json::from_value(call).unwrap() });
    let mut asked = None;
    let mut alarm = None;
    while let Some(action) = machine.poll() {
        match action {
            Action::Request { ticket, .. } => asked = Some(ticket),
            Action::Arm { timer, after_ms } => alarm = Some((timer, after_ms)),
            _ => {}
        }
    }
    let (timer, after) = alarm.unwrap();
    machine.handle(after, Input::Timer { timer });
    let Some(Action::Settle { result: Err(error), .. }) = machine.poll() else { panic!("not settled") };
    assert_eq!(
        (error.code, error.message.as_str()),
        (Code::Timeout, "An answer of GitHub took longer than 60000 ms")
    );
    // The answer comes after all.
    let ticket = asked.unwrap();
    machine.handle(after + 1, Input::Answered { ticket, result: Ok(HttpResponse::default()) });
    assert!(machine.poll().is_none() && machine.is_idle());
}

#[test]
fn servers_and_repositories() {
    let ghe = Server::at("f", "https://ghe.example.com/api/v3/").unwrap();
    assert_eq!(
        (ghe.web.as_str(), ghe.api.as_str()),
        ("https://ghe.example.com", "https://ghe.example.com/api/v3")
    );
    let cloud = Server::at("f", "https://acme.ghe.com").unwrap();
    assert_eq!(
        (cloud.web.as_str(), cloud.api.as_str()),
        ("https://acme.ghe.com", "https://api.acme.ghe.com")
    );
    assert_eq!(Server::at("f", "https://api.acme.ghe.com").unwrap(), cloud);
    for own in ["https://github.com", "https://api.github.com/"] {
        assert_eq!(Server::at("f", own).unwrap(), Server::default());
    }
    for wrong in ["", "github.com", "ftp://x", "https://user:pass@x", "https://x/?a", "https://"] {
        assert!(Server::at("f", wrong).is_err(), "{wrong}");
    }
    let github = Server::default();
    assert_eq!(github.owner_and_name("https://github.com/o/r.git").unwrap(), ("o", "r"));
    assert_eq!(github.owner_and_name("o/r/x").unwrap(), ("o", "r"));
    assert_eq!(github.clone_url("/o/r/").unwrap(), "https://github.com/o/r.git");
    for wrong in ["o", "", "/", "o/", "https://github.com.evil.example/o/r", "https://evil.example/o/r"] {
        assert!(github.owner_and_name(wrong).is_err(), "{wrong}");
    }
}
