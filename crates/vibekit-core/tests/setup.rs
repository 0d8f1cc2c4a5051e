//! What is wrong with a configuration, when it is said, and in which words.

#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use vibekit_core::{Code, Error, Setup};

fn setup(generation: &str, driver: &str, config: Value, env: Value) -> Setup {
    Setup::parse(&json!({ "generation": generation, "driver": driver, "config": config, "env": env }))
}

fn config(config: Value) -> Setup {
    setup("config", "native", config, json!({}))
}

fn cause(setup: &Setup) -> Error {
    let error = setup.check_session_access().unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (Code::AgentNotInitialized, "Agent not initialized"));
    assert_eq!(setup.check_work().unwrap_err(), error);
    *error.cause.unwrap()
}

#[test]
fn an_object_from_a_configuration_says_why_it_has_no_agent() {
    let agent = json!({ "type": "codex", "model": { "apiKey": "k" } });
    let local = json!({ "local": {} });
    let rows = [
        (json!({}), "agent", "Agent configuration is required"),
        (json!({ "agent": 5, "environment": local }), "agent", "must not be a number"),
        (
            json!({ "agent": { "type": "gpt" }, "environment": local }),
            "agent.type",
            "Unsupported agent type: gpt",
        ),
        (json!({ "agent": {}, "environment": local }), "agent.type", "is missing"),
        (json!({ "agent": { "type": 1 }, "environment": local }), "agent.type", "must not be a number"),
        (
            json!({ "agent": { "type": "codex" }, "environment": local }),
            "agent.model.apiKey",
            "API key is required",
        ),
        (
            json!({ "agent": { "type": "codex", "model": { "apiKey": "" } }, "environment": local }),
            "agent.model.apiKey",
            "API key is required",
        ),
        (
            json!({ "agent": { "type": "claude", "model": { "apiKey": "k", "provider": "openai" } }, "environment": local }),
            "agent.model.provider",
            "Claude agent only supports 'anthropic' provider",
        ),
        (
            json!({ "agent": { "type": "codex", "model": { "apiKey": 7 } }, "environment": local }),
            "agent.model.apiKey",
            "must not be a number",
        ),
        (
            json!({ "agent": { "type": "codex", "mode": "edit", "model": { "apiKey": "k" } }, "environment": local }),
            "agent.mode",
            "must not be",
        ),
        (json!({ "agent": agent }), "environment", "No sandbox configuration found in environment config"),
        (json!({ "agent": agent, "environment": "e2b" }), "environment", "No sandbox configuration found"),
        (json!({ "agent": agent, "environment": {} }), "environment", "No sandbox configuration found"),
        (json!({ "agent": agent, "environment": [] }), "environment", "must not be an array"),
        (json!({ "agent": agent, "environment": { "e2b": {} } }), "environment.e2b.apiKey", "is missing"),
        (
            json!({ "agent": agent, "environment": { "local": 1 } }),
            "environment.local",
            "must not be a number",
        ),
    ];
    for (given, field, words) in rows {
        let error = cause(&config(given.clone()));
        assert_eq!(error.field.as_deref(), Some(field), "{given}");
        assert!(error.message.contains(words), "{given}: {error}");
        assert!(error.hint.is_some(), "{given} has no remedy");
        assert_eq!(error.code == Code::InvalidType, words.starts_with("must not be a"), "{given}");
    }
}

#[test]
fn credentials_may_come_from_the_environment() {
    let given = json!({ "agent": { "type": "claude" }, "environment": { "e2b": {} } });
    let with = setup("config", "native", given, json!({ "ANTHROPIC_API_KEY": "k", "E2B_API_KEY": "e" }));
    with.check_session_access().unwrap();
    with.check_work().unwrap();
    assert_eq!(with.sandbox_env(), [("ANTHROPIC_API_KEY".to_owned(), "k".to_owned())]);
}

#[test]
fn both_shapes_of_an_agent_are_read_in_both_generations() {
    let flat = json!({ "type": "opencode", "provider": "openrouter", "providerApiKey": "k", "model": "m", "baseUrl": "u" });
    let nested = json!({ "type": "opencode", "model": { "name": "m", "provider": "openrouter", "apiKey": "k", "baseUrl": "u" } });
    for generation in ["config", "fluent"] {
        for agent in [&flat, &nested] {
            let given = json!({ "agent": agent, "environment": { "local": {} } });
            let setup = setup(generation, "native", given, json!({}));
            setup.check_work().unwrap();
            let agent = setup.agent().unwrap();
            assert_eq!(agent.provider.as_deref(), Some("openrouter"));
            assert_eq!(agent.model.as_deref(), Some("m"));
            assert_eq!(agent.api_key.as_deref(), Some("k"));
            assert_eq!(agent.base_url.as_deref(), Some("u"));
        }
    }
}

#[test]
fn environments_have_an_order() {
    let agent = json!({ "type": "codex", "model": { "apiKey": "k" } });
    let all = json!({ "local": {}, "docker": {}, "e2b": { "apiKey": "x" }, "daytona": { "apiKey": "x" },
        "northflank": { "apiKey": "x", "projectId": "p" } });
    let mut left = all.as_object().unwrap().clone();
    for name in ["northflank", "daytona", "e2b", "docker", "local"] {
        let setup = config(json!({ "agent": agent, "environment": left }));
        setup.check_work().unwrap();
        assert_eq!(setup.environment().unwrap().name, name);
        left.remove(name);
    }
}

#[test]
fn fluent_objects_keep_their_words() {
    let words = |config: Value| {
        let setup = setup("fluent", "native", config, json!({}));
        let error = setup.check_work().unwrap_err();
        assert_eq!(error.code, Code::AgentNotInitialized);
        (error.message, setup.check_session_access().is_ok())
    };
    assert_eq!(words(json!({})), ("Agent configuration is required".to_owned(), false));
    assert_eq!(words(json!({ "agent": { "type": "x" } })), ("Unsupported agent type: x".to_owned(), true));
    assert_eq!(
        words(json!({ "agent": { "type": "codex", "apiKey": "k" } })),
        ("Sandbox provider is required. Use withSandbox() to configure a provider.".to_owned(), true)
    );
    assert_eq!(
        words(json!({ "agent": { "type": "codex" }, "sandbox": {} })).0,
        "Provider API key is required. Please provide providerApiKey, apiKey, or openaiApiKey."
    );
    // Commands do not need Claude's credential.
    setup("fluent", "javascript", json!({ "agent": { "type": "claude" } }), json!({})).check_work().unwrap();
}

#[test]
fn other_fields_are_checked_when_work_begins() {
    let rows = [
        (json!({ "secrets": [] }), "secrets"),
        (json!({ "secrets": { "A": {} } }), "secrets.A"),
        (json!({ "secrets": { "A=B": "x" } }), "secrets.A=B"),
        (json!({ "github": "owner/repo" }), "github"),
        (json!({ "github": { "token": 1 } }), "github.token"),
        (json!({ "sessionId": 1 }), "sessionId"),
        (json!({ "workingDirectory": false }), "workingDirectory"),
    ];
    for (extra, field) in rows {
        let mut given = json!({ "agent": { "type": "codex", "model": { "apiKey": "k" } }, "environment": { "local": {} } });
        given.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let setup = config(given);
        setup.check_session_access().unwrap();
        assert_eq!(setup.check_work().unwrap_err().field.as_deref(), Some(field));
    }
}

#[test]
fn secrets_win_and_keep_their_order() {
    let given = json!({
        "agent": { "type": "gemini", "model": { "apiKey": "k" } },
        "environment": { "local": {} },
        "secrets": { "Z": "1", "GOOGLE_API_KEY": "mine", "A": 2, "B": true, "C": null },
    });
    let env = config(given).sandbox_env();
    let env: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["GEMINI_API_KEY=k", "GOOGLE_API_KEY=mine", "Z=1", "A=2", "B=true"]);
}
