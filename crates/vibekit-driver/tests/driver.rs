//! The driver over a scripted provider: ordering, exactly-once settlement, stopping, windows, panics.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Heard, Listener, Script, Scripted, call, setup};
use tokio::runtime::Handle;
use vibekit_core::http::HttpResponse;
use vibekit_core::machine::Machine;
use vibekit_core::protocol::Call;
use vibekit_core::{Code, Stream};
use vibekit_driver::Driver;

mod support;

fn driver(provider: &Arc<Scripted>) -> Driver {
    Driver::new(Machine::new(setup()), provider.clone(), Handle::current())
}

fn shell(line: &str) -> Call {
    call(json!({ "call": "executeCommand", "command": line }))
}

async fn run(driver: &Driver, call: Call) -> Listener {
    let listener = Listener::new();
    driver.start(call, listener.sink());
    listener.settled().await;
    listener
}

#[tokio::test]
async fn output_comes_in_order_and_before_the_outcome() {
    let provider = Scripted::new(Script::Output(vec![
        (Stream::Stdout, "one\n"),
        (Stream::Stderr, "two\n"),
        (Stream::Stdout, "three\n"),
    ]));
    let driver = driver(&provider);
    let heard = run(&driver, shell("anything")).await;
    let texts: Vec<String> =
        heard.texts().into_iter().filter(|text| !text.starts_with("{\"type\"")).collect();
    assert_eq!(texts, ["one\n", "two\n", "three\n"]);
    let Heard::Settled(Ok(value)) = heard.last() else { panic!("{:?}", heard.last()) };
    assert_eq!((&value["stdout"], &value["stderr"]), (&json!("one\nthree\n"), &json!("two\n")));
    assert_eq!(heard.settlements(), 1);
    assert_eq!(driver.session().as_deref(), Some("scripted-1"));
}

#[tokio::test]
async fn parallel_first_calls_share_one_sandbox() {
    let provider = Scripted::new(Script::Output(vec![(Stream::Stdout, "x")]));
    let driver = driver(&provider);
    let calls: Vec<Listener> = (0..8)
        .map(|_| {
            let listener = Listener::new();
            driver.start(shell("x"), listener.sink());
            listener
        })
        .collect();
    for listener in &calls {
        listener.settled().await;
        assert!(matches!(listener.last(), Heard::Settled(Ok(_))));
    }
    assert_eq!(provider.created.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn cancelling_stops_the_process_and_says_so() {
    let provider = Scripted::new(Script::UntilStopped);
    let driver = driver(&provider);
    let listener = Listener::new();
    let op = driver.start(shell("sleep"), listener.sink());
    provider.spawned.notified().await;
    driver.cancel(op);
    listener.settled().await;
    let Heard::Settled(Err(error)) = listener.last() else { panic!("{:?}", listener.last()) };
    assert_eq!(error.code, Code::Aborted);
    assert_eq!(provider.stopped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_listener_that_went_away_stops_the_run() {
    let provider = Scripted::new(Script::Endless);
    let driver = driver(&provider);
    let listener = Listener::new();
    listener.leave_after(3);
    driver.start(shell("yes"), listener.sink());
    listener.settled().await;
    assert_eq!(provider.stopped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn kill_ends_the_sandbox_and_forgets_the_session() {
    let provider = Scripted::new(Script::Output(vec![]));
    let driver = driver(&provider);
    run(&driver, shell("x")).await;
    let heard = run(&driver, Call::Kill).await;
    assert!(matches!(heard.last(), Heard::Settled(Ok(_))));
    assert!(heard.session_changed());
    assert_eq!(driver.session(), None);
    assert_eq!(provider.killed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_vanished_sandbox_fails_what_runs() {
    let provider = Scripted::new(Script::UntilStopped);
    let driver = driver(&provider);
    let listener = Listener::new();
    driver.start(shell("sleep"), listener.sink());
    provider.spawned.notified().await;
    provider.vanish.notify_one();
    listener.settled().await;
    let Heard::Settled(Err(error)) = listener.last() else { panic!("{:?}", listener.last()) };
    assert_eq!(error.code, Code::SandboxLost);
}

#[tokio::test]
async fn a_panic_in_the_provider_is_a_failure_with_its_text() {
    let provider = Scripted::new(Script::Panic);
    let driver = driver(&provider);
    let heard = run(&driver, shell("x")).await;
    let Heard::Settled(Err(error)) = heard.last() else { panic!("{:?}", heard.last()) };
    assert!(error.message.contains("scripted panic"), "{error:?}");
}

#[tokio::test]
async fn what_came_before_a_break_is_in_the_error() {
    let provider = Scripted::new(Script::Broken("partial\n"));
    let heard = run(&driver(&provider), shell("x")).await;
    let Heard::Settled(Err(error)) = heard.last() else { panic!("{:?}", heard.last()) };
    assert_eq!(error.code, Code::ProviderFailed);
    assert_eq!(error.details.get("stdout"), Some(&json!("partial\n")));
}

#[tokio::test]
async fn a_failed_start_names_the_reason() {
    let provider = Scripted::new(Script::NotFound);
    let driver = driver(&provider);
    let heard = run(&driver, shell("x")).await;
    let Heard::Settled(Err(error)) = heard.last() else { panic!("{:?}", heard.last()) };
    assert!(error.message.contains("no such program"), "{error:?}");
}

#[tokio::test]
async fn ports_are_checked_before_the_sandbox_is_asked() {
    let provider = Scripted::new(Script::Output(vec![]));
    let driver = driver(&provider);
    for port in [json!(0), json!(65_536), json!("80"), json!(1.5)] {
        let heard = run(&driver, Call::GetHost { port: port.clone() }).await;
        let Heard::Settled(Err(error)) = heard.last() else { panic!("{port} was accepted") };
        assert_eq!(error.field.as_deref(), Some("port"), "{error:?}");
    }
    let heard = run(&driver, Call::GetHost { port: json!(3000) }).await;
    assert!(matches!(heard.last(), Heard::Settled(Ok(Value::String(name))) if name == "localhost:3000"));
}

#[tokio::test]
async fn dropping_the_driver_lets_go_of_everything() {
    let provider = Scripted::new(Script::UntilStopped);
    let driver = driver(&provider);
    let listener = Listener::new();
    driver.start(shell("sleep"), listener.sink());
    provider.spawned.notified().await;
    drop(driver);
    tokio::time::timeout(Duration::from_secs(5), async {
        while Arc::strong_count(&provider) > 1 || provider.alive.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("tasks and sandbox end with the driver");
}

#[tokio::test]
async fn a_request_to_a_service_is_handed_over_and_its_answer_taken() {
    let provider = Scripted::new(Script::Output(Vec::new()));
    let driver = driver(&provider);
    let listener = Listener::new();
    driver.start(
        call(json!({ "call": "mergePullRequest", "repository": "o/r", "pullNumber": 7 })),
        listener.sink(),
    );
    listener.settled().await;
    // No token is configured, so nobody is asked.
    let Heard::Settled(Err(error)) = listener.last() else { panic!("{:?}", listener.last()) };
    assert_eq!(error.code, Code::InvalidArgument);

    driver.start(call(json!({ "call": "setGithub", "token": "ghp_abcdef" })), Listener::new().sink());
    let listener = Listener::new();
    driver.start(
        call(json!({ "call": "mergePullRequest", "repository": "o/r", "pullNumber": 7 })),
        listener.sink(),
    );
    let (ticket, request) = listener.requested().await;
    assert_eq!(request.url, "https://api.github.com/repos/o/r/pulls/7/merge");
    assert!(!format!("{request:?}").contains("ghp_"));
    let body = json!({ "sha": "1a2b", "merged": true, "message": "done", "more": 1 }).to_string();
    driver.answer(ticket, Ok(HttpResponse { status: 200, status_text: "OK".to_owned(), body }));
    listener.settled().await;
    let Heard::Settled(Ok(value)) = listener.last() else { panic!("{:?}", listener.last()) };
    assert_eq!(value, json!({ "sha": "1a2b", "merged": true, "message": "done" }));
    // An answer nobody waits for changes nothing.
    driver.answer(ticket, Ok(HttpResponse::default()));
    assert_eq!(listener.settlements(), 1);
}
