//! How the agents are started, as far as it can be seen without them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use vibekit_core::agents::{
    AgentConfig, AgentKind, Credentials, Route, TurnRequest, invocation, sandbox_env, shell_command, validate,
};
use vibekit_core::event::Usage;
use vibekit_core::protocol::{Message, Mode};
use vibekit_core::{Invocation, Result};

const UUID: &str = "6f1c1a52-4d0e-4d55-9d3a-0c8a3a0a3f10";

fn config(kind: AgentKind) -> AgentConfig {
    AgentConfig {
        api_key: Some("a-key".to_owned()),
        model: Some("a-model".to_owned()),
        ..AgentConfig::new(kind)
    }
}

fn request(prompt: &str) -> TurnRequest<'_> {
    TurnRequest {
        prompt,
        mode: Mode::Code,
        history: &[],
        conversation: None,
        fresh_uuid: UUID,
        working_directory: "/vibe0",
        dropped_flags: &[],
        usage_before: Usage::default(),
    }
}

fn env<'a>(invocation: &'a Invocation, name: &str) -> Option<&'a str> {
    invocation.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn a_missing_credential_is_refused_in_upstreams_words() {
    let words = [
        (
            AgentKind::Claude,
            "Claude agent requires either providerApiKey or oauthToken. Run 'vibekit auth claude' to authenticate.",
        ),
        (
            AgentKind::Codex,
            "Provider API key is required. Please provide providerApiKey, apiKey, or openaiApiKey.",
        ),
        (AgentKind::Grok, "Grok agent requires providerApiKey or GROK_API_KEY environment variable"),
        (AgentKind::Opencode, "Provider API key is required. Please provide providerApiKey."),
    ];
    for (kind, message) in words {
        let empty = AgentConfig { api_key: Some(String::new()), ..AgentConfig::new(kind) };
        assert_eq!(validate(empty, Credentials::Required, &nothing).unwrap_err().message, message);
    }
    for kind in [AgentKind::Claude, AgentKind::Gemini] {
        assert!(validate(AgentConfig::new(kind), Credentials::Required, &nothing).is_err());
        assert!(validate(AgentConfig::new(kind), Credentials::Lenient, &nothing).is_ok());
    }
}

#[test]
fn a_wrong_provider_is_refused_in_upstreams_words() {
    let words = [
        (AgentKind::Claude, "Claude agent only supports 'anthropic' provider"),
        (AgentKind::Gemini, "Gemini agent only supports 'gemini' or 'google' provider"),
        (AgentKind::Grok, "Grok agent only supports 'xai' provider"),
    ];
    for (kind, message) in words {
        let wrong = AgentConfig { provider: Some("openai".to_owned()), ..config(kind) };
        assert_eq!(validate(wrong, Credentials::Lenient, &nothing).unwrap_err().message, message);
    }
}

#[test]
fn credentials_come_from_the_configuration_and_then_from_the_environment() {
    let host = |name: &str| Some(format!("from {name}"));
    let grok = validate(AgentConfig::new(AgentKind::Grok), Credentials::Required, &host).unwrap();
    assert_eq!(sandbox_env(&grok), [("GROK_API_KEY".to_owned(), "from GROK_API_KEY".to_owned())]);
    let grok = validate(config(AgentKind::Grok), Credentials::Required, &host).unwrap();
    assert_eq!(sandbox_env(&grok), [("GROK_API_KEY".to_owned(), "a-key".to_owned())]);

    let token =
        AgentConfig { oauth_token: Some("a-token".to_owned()), ..AgentConfig::new(AgentKind::Claude) };
    let token = validate(token, Credentials::Required, &host).unwrap();
    assert_eq!(sandbox_env(&token), [("CLAUDE_CODE_OAUTH_TOKEN".to_owned(), "a-token".to_owned())]);
    // A key in the environment would win inside the program.
    let run = invocation(&token, &request("x")).unwrap();
    assert_eq!(env(&run, "ANTHROPIC_API_KEY"), Some(""));
    let both = AgentConfig { oauth_token: Some("a-token".to_owned()), ..config(AgentKind::Claude) };
    assert_eq!(sandbox_env(&both), [("ANTHROPIC_API_KEY".to_owned(), "a-key".to_owned())]);
}

#[test]
fn secrets_are_never_arguments_nor_debug_output() {
    for kind in AgentKind::ALL {
        let run = invocation(&config(kind), &request("a-prompt")).unwrap();
        assert!(!run.args.iter().any(|argument| argument.contains("a-key")), "{kind}");
        assert!(!run.args.iter().any(|argument| argument.contains("a-prompt")), "{kind}");
        assert!(run.env.iter().any(|(_, value)| value.contains("a-key")), "{kind}");
        assert!(!format!("{:?}", config(kind)).contains("a-key"), "{kind}");
    }
}

#[test]
fn flags_that_were_refused_are_left_out() {
    let dropped = ["--system-prompt-snapshot".to_owned(), "--session-id".to_owned()];
    let request = TurnRequest { dropped_flags: &dropped, ..request("x") };
    let run = invocation(&config(AgentKind::Claude), &request).unwrap();
    assert!(
        !run.args.iter().any(|argument| dropped.contains(argument) || argument == "off" || argument == UUID)
    );
    // The older grok is told by what it refuses.
    let dropped = ["--output-format".to_owned()];
    let request = TurnRequest { dropped_flags: &dropped, ..request };
    let run = invocation(&config(AgentKind::Grok), &request).unwrap();
    assert_eq!((run.program.as_str(), run.args[0].as_str()), ("grok", "-m"));
    let ask = TurnRequest { mode: Mode::Ask, ..request };
    assert!(invocation(&config(AgentKind::Grok), &ask).is_err(), "it cannot be held to reading");
}

#[test]
fn a_conversation_is_resumed_and_its_history_not_told_twice() {
    let history = [Message { role: "user".to_owned(), content: "earlier".to_owned() }];
    for kind in AgentKind::ALL {
        let told = TurnRequest { history: &history, ..request("now") };
        let run = invocation(&config(kind), &told).unwrap();
        let text = String::from_utf8(run.stdin).unwrap();
        assert!(text.contains("earlier") && text.ends_with("now"), "{kind}: {text}");

        let resumed = TurnRequest { conversation: Some("an-id"), ..told };
        let run = invocation(&config(kind), &resumed).unwrap();
        assert!(run.args.iter().any(|argument| argument == "an-id"), "{kind}");
        assert!(!run.args.iter().any(|argument| argument == UUID), "{kind}");
        assert!(!String::from_utf8(run.stdin).unwrap().contains("earlier"), "{kind}");
    }
}

/// A program that stands in for an agent: it writes down its arguments and its standard input.
fn stub(folder: &Path, name: &str) {
    let file = folder.join(name);
    let script =
        "#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done > \"$OUT.args\"\ncat > \"$OUT.stdin\"\n";
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a stub got when the line ran under a shell.
fn received(shell: &str, folder: &Path, line: &str) -> Result<(Vec<String>, String), String> {
    let out = folder.join("got");
    let status = Command::new(shell)
        .args(["-c", line])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .env("OUT", &out)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    assert!(status.success(), "{shell}: {line}");
    let text = |ending: &str| fs::read_to_string(format!("{}.{ending}", out.display())).unwrap();
    let arguments = text("args");
    let arguments = arguments.strip_suffix('\0').unwrap_or("").split('\0').map(str::to_owned).collect();
    Ok((arguments, text("stdin")))
}

/// Where the prompt is in what the agent received.
fn prompt_of(kind: AgentKind, route: Route, arguments: &[String], stdin: &str) -> String {
    let argument = match (kind, route) {
        (AgentKind::Codex, _) | (AgentKind::Opencode, Route::Config) => arguments.last().unwrap().clone(),
        _ => stdin.strip_suffix('\n').unwrap().to_owned(),
    };
    match argument.split_once("\n\nUser: ") {
        Some((_, prompt)) if !matches!(kind, AgentKind::Claude | AgentKind::Grok) => prompt.to_owned(),
        _ => argument,
    }
}

fn check_shell_lines(prompt: &str) {
    let folder = tempfile::tempdir().unwrap();
    for kind in AgentKind::ALL {
        stub(folder.path(), kind.as_str());
        for route in [Route::Config, Route::FluentGithub, Route::Fluent] {
            let line = shell_command(&config(kind), prompt, Mode::Code, &[], route);
            for shell in ["bash", "dash"] {
                let (arguments, stdin) = received(shell, folder.path(), &line).unwrap();
                let got = prompt_of(kind, route, &arguments, &stdin);
                assert_eq!(got, prompt, "{kind} under {shell}: {line}");
            }
        }
    }
}

#[test]
fn shell_lines_bring_hard_prompts_over() {
    for prompt in [
        "It's \"x\" $HOME `id` $(id) \\ ! %s\r\nline2\ttab 🦀 é",
        "-n --help",
        "\\b\\n\\\\",
        "  white  space \n\n",
        "a'b'c; rm -rf /; #",
        "",
    ] {
        check_shell_lines(prompt);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn shell_lines_bring_any_prompt_over(prompt in "[^\0]{0,60}") {
        prop_assume!(!prompt.contains("\n\nUser: "));
        check_shell_lines(&prompt);
    }
}

#[test]
fn plain_shell_lines_are_upstreams() {
    let mut plain = config(AgentKind::Grok);
    plain.model = None;
    assert_eq!(
        shell_command(&plain, "PROMPT", Mode::Ask, &[], Route::Fluent),
        "echo \"PROMPT\" | grok   --prompt \"Research the repository and answer the user's questions. \
         Do NOT make any changes to any files in the repository.\"",
    );
    assert_eq!(
        shell_command(&config(AgentKind::Claude), "PROMPT", Mode::Code, &[], Route::Config),
        "echo \"PROMPT\" | claude -p --append-system-prompt \"Do the necessary changes to the codebase based on \
         the users input.\nDon't ask any follow up questions.\" --output-format stream-json --verbose \
         --allowedTools \"Edit,Write,MultiEdit,Read,Bash\" --model a-model",
    );
    assert_eq!(
        shell_command(&config(AgentKind::Codex), "PROMPT", Mode::Code, &[], Route::Config),
        "codex --full-auto --model a-model --provider openai --quiet \"Do the necessary changes to the codebase \
         based on the users input.\nDon't ask any follow up questions.\n\nUser: PROMPT\"",
    );
}

proptest! {
    /// Nothing but what [`invocation`] says it adds: a line feed or a word joiner before a leading slash.
    #[test]
    fn standard_input_is_the_prompt(prompt in any::<String>()) {
        for kind in AgentKind::ALL {
            let run = invocation(&config(kind), &request(&prompt)).unwrap();
            let text = String::from_utf8(run.stdin).unwrap();
            prop_assert!(text.ends_with(&prompt));
            let added = &text[..text.len() - prompt.len()];
            let slash = prompt.trim_start().starts_with('/');
            prop_assert!(added.is_empty() || (slash && (added == "\n" || added == "\u{2060}")), "{added:?}");
        }
    }
}
