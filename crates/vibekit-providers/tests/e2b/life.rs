//! Sandboxes from their making to their end: nothing leaks, nothing hangs, nothing is told otherwise than it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vibekit_core::Admitted;
use vibekit_providers::e2b::{E2bOptions, E2bProvider};
use vibekit_sandbox::{Code, Command, OpenRequest, Provider};
use vibekit_testkit::doubles::e2b::{Double, Options, Programs};
use vibekit_testkit::doubles::scripted::Answer;
use vibekit_testkit::doubles::way::{Fate, Trouble, Way};

use crate::stage::{Kind, Part, Stage};
use crate::support::{
    double, finish, hasty, no_env, open, options, plain, provider, request, sh, until, within,
};

fn bodies(double: &Double, method: &str, path: &str) -> Vec<serde_json::Value> {
    let asked = double.log().all().into_iter();
    let asked = asked.filter(|one| one.method == method && one.path.starts_with(path));
    asked.map(|one| serde_json::from_str(&one.body).unwrap_or_default()).collect()
}

fn paused(double: &Double, id: &str) -> bool {
    double.is_paused(id)
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_adopted() {
    let double = double(plain()).await;
    double.answer(Answer::lost("/v2/sandboxes").method("POST"));
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    assert_eq!(double.sandboxes(), [sandbox.id()]);
    assert_eq!(double.log().count("POST", "/v2/sandboxes/"), 1, "It was not attached to");
    assert_eq!(sh(&sandbox, "echo mine").await.unwrap().0, "mine\n");
    within(sandbox.kill()).await.unwrap();
    assert_eq!(double.sandboxes(), [""; 0]);
}

/// The answer comes after nobody waits for it any more.
#[tokio::test]
async fn a_creation_that_is_given_up_leaves_nothing() {
    let double = double(plain()).await;
    let late = Answer::late("/v2/sandboxes", Duration::from_millis(300)).method("POST");
    double.answer(late);
    let provider = provider(&double.url(), json!({}));
    let given_up = tokio::time::timeout(Duration::from_millis(100), provider.create(request())).await;
    assert!(given_up.is_err());
    until("The sandbox's end", || double.log().count("DELETE", "/sandboxes/") == 1).await;
    until("The sandbox's end", || double.sandboxes().is_empty()).await;
}

#[tokio::test]
async fn a_step_of_setting_up_that_fails_ends_what_was_made() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({}));
    // A file is in its place.
    let request = OpenRequest { working_directory: "/etc/hostname/below".to_owned(), ..request() };
    let error = within(provider.create(request)).await.err().unwrap();
    assert_eq!(
        (error.code, error.field.as_deref()),
        (Code::ProviderFailed, Some("workingDirectory")),
        "{error:?}"
    );
    assert!(error.hint.is_some());
    assert_eq!(double.log().count("DELETE", "/sandboxes/"), 1);
    assert_eq!(double.sandboxes(), [""; 0]);

    // And if that does not work either, it is said what is left.
    double.answer(Answer::status("/sandboxes/", 500, r#"{"message":"no"}"#).method("DELETE").times(9));
    let request = OpenRequest { working_directory: "/etc/hostname/below".to_owned(), ..self::request() };
    let error = within(provider.create(request)).await.err().unwrap();
    assert_eq!(error.details["leakedSandboxId"], double.sandboxes()[0].as_str(), "{error:?}");
}

#[tokio::test]
async fn killing_twice_does_no_harm() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({}));
    let one = open(&provider).await;
    let other = within(provider.resume(one.id(), request())).await.unwrap();
    within(one.kill()).await.unwrap();
    within(one.kill()).await.unwrap();
    within(other.kill()).await.unwrap();
    let third = open(&provider).await;
    double.vanish(third.id());
    within(third.kill()).await.unwrap();
    // An answer that is lost is asked for again.
    let fourth = open(&hasty(&double.url(), json!({}))).await;
    double.answer(Answer::lost(format!("/sandboxes/{}", fourth.id())).method("DELETE"));
    within(fourth.kill()).await.unwrap();
    assert_eq!(double.sandboxes(), [""; 0]);
}

#[tokio::test]
async fn a_command_of_a_paused_sandbox_can_be_stopped() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let mut process =
        within(sandbox.spawn(Command::shell("echo on; sleep 1000 & sleep 1000"))).await.unwrap();
    assert!(within(process.next()).await.unwrap().is_some());
    within(sandbox.pause()).await.unwrap();
    assert!(sandbox.paused() && paused(&double, sandbox.id()));

    within(process.control().stop(Duration::from_millis(200))).await.unwrap();
    let (_, _, exit) = within(finish(&mut *process)).await.unwrap();
    assert!(exit.stopped.is_some_and(|stopped| stopped.processes >= 3), "{:?}", double.log().all());
    assert_eq!(double.processes(sandbox.id()), [0; 0]);
    // It was woken for that, and sleeps again.
    assert!(sandbox.paused() && paused(&double, sandbox.id()));
    within(sandbox.thaw()).await.unwrap();
    assert_eq!(sh(&sandbox, "echo again").await.unwrap().0, "again\n");
}

#[tokio::test]
async fn a_paused_sandbox_can_be_killed() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let mut process = within(sandbox.spawn(Command::shell("echo on; sleep 1000"))).await.unwrap();
    assert!(within(process.next()).await.unwrap().is_some());
    within(sandbox.pause()).await.unwrap();
    let error = within(sandbox.spawn(Command::shell("true"))).await.err().unwrap();
    assert_eq!(error.code, Code::SandboxPaused);
    within(sandbox.kill()).await.unwrap();
    assert_eq!(within(finish(&mut *process)).await.err().unwrap().code, Code::SandboxKilled);
    assert_eq!(double.sandboxes(), [""; 0]);
}

/// Writing the memory out takes longer than other requests may.
#[tokio::test]
async fn pausing_may_take_its_time() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({ "requestTimeoutMs": 700 }))).await;
    double.answer(Answer::late("/pause", Duration::from_millis(1500)));
    within(sandbox.pause()).await.unwrap();
    within(sandbox.pause()).await.unwrap();
    within(sandbox.thaw()).await.unwrap();
    // Where the answer is lost, the state tells.
    double.answer(Answer::lost("/pause"));
    within(sandbox.pause()).await.unwrap();
    assert!(sandbox.paused());
    assert_eq!(bodies(&double, "POST", &format!("/sandboxes/{}/pause", sandbox.id())).len(), 2);
}

/// Complaint: a background command dies after a minute, by a limit nobody asked for.
#[tokio::test]
async fn a_background_command_has_no_limit_and_outlives_the_attachment() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({}));
    let sandbox = open(&provider).await;
    let command = Command { background: true, ..Command::shell("echo $$; exec sleep 1000") };
    let mut process = within(sandbox.spawn(command)).await.unwrap();
    let (out, _, exit) = within(finish(&mut *process)).await.unwrap();
    assert_eq!((out.as_str(), exit.code), ("", 0));
    let starts = double.log().all();
    let start = starts.iter().rfind(|one| one.path.ends_with("/Start")).unwrap();
    assert!(!start.headers.contains_key("connect-timeout-ms"), "{:?}", start.headers);
    assert_eq!(start.headers["e2b-sandbox-id"], sandbox.id());
    drop(process);
    within(sandbox.release()).await.unwrap();
    let id = sandbox.id().to_owned();
    drop(sandbox);
    let sandbox = within(provider.resume(&id, request())).await.unwrap();
    assert!(!double.processes(&id).is_empty(), "It went with who started it");
    within(sandbox.kill()).await.unwrap();
}

/// Complaint: a stream that breaks ends the command, or hides its result.
#[tokio::test]
async fn a_broken_stream_is_taken_up_again() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let line = "echo one; while [ ! -e /tmp/go-$$ ]; do sleep 0.05; done; rm /tmp/go-$$; echo two; exit 6";
    let mut process = within(sandbox.spawn(Command::shell(line))).await.unwrap();
    assert_eq!(within(process.next()).await.unwrap().unwrap().1, "one\n");
    let connects = || double.log().count("POST", "/process.Process/Connect");
    double.break_streams(sandbox.id());
    until("Following it again", || connects() == 1).await;
    double.break_streams(sandbox.id());
    until("Following it again", || connects() == 2).await;
    let pid = process.control().pid().unwrap();
    sh(&sandbox, &format!(": >/tmp/go-{pid}")).await.unwrap();
    let (out, _, exit) = within(finish(&mut *process)).await.unwrap();
    assert_eq!((out.as_str(), exit.code, exit.output_gap), ("two\n", 6, true));
}

/// A finished command whose end of stream is missing counts as finished.
#[tokio::test]
async fn an_end_without_the_end_of_the_stream_is_an_end() {
    let double = double(Options { keeps_exits: false, ..plain() }).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    for code in [0, 3] {
        let (out, _, exit) = sh(&sandbox, &format!("echo done; exit {code}")).await.unwrap();
        assert_eq!((out.as_str(), exit.code, exit.output_gap), ("done\n", code, false));
    }
}

/// Complaint: ending a command leaves what it started running.
#[tokio::test]
async fn a_time_limit_ends_everything_and_keeps_the_output() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let line = "echo before; setsid sh -c 'sleep 1001' & (sleep 1002 &) ; sleep 1003";
    let command = Command { timeout_ms: Some(700), ..Command::shell(line) };
    let mut process = within(sandbox.spawn(command)).await.unwrap();
    let (out, _, exit) = within(finish(&mut *process)).await.unwrap();
    assert!(exit.timed_out && out == "before\n", "{exit:?} {out:?}");
    let stopped = exit.stopped.unwrap();
    assert!(stopped.processes >= 4 && stopped.names.iter().any(|name| name == "sleep"), "{stopped:?}");
    assert_eq!(double.processes(sandbox.id()), [0; 0]);
}

/// Complaint: lifetimes that are set back without a word, and plans that allow less.
#[tokio::test]
async fn a_lifetime_is_always_asked_for_and_never_above_the_plan() {
    let double = double(Options { hours: 2, ..plain() }).await;
    let provider = provider(&double.url(), json!({ "timeoutMs": 24 * 3_600_000_u64, "autoPause": true }));
    let sandbox = open(&provider).await;
    let asked: Vec<_> =
        bodies(&double, "POST", "/v2/sandboxes").iter().map(|body| body["timeout"].clone()).collect();
    assert_eq!(asked, [86_400, 7200]);
    within(sandbox.pause()).await.unwrap();
    within(provider.resume(sandbox.id(), request())).await.unwrap();
    // Complaint: resuming turns off that it pauses by itself. What is not sent stays as it is.
    let resumed = bodies(&double, "POST", &format!("/v2/sandboxes/{}/connect", sandbox.id()));
    assert_eq!(resumed, [json!({ "timeout": 7200 })]);
}

/// With a virtual clock: a provider that asks for so many hours, over a double.
fn for_hours(double: &Arc<Double>, hours: u64) -> Arc<dyn Provider> {
    let served = Arc::clone(double);
    let answer = move |request| {
        let double = Arc::clone(&served);
        async move { double.respond(request).await }
    };
    let way = Way::new(answer, |_, _| Fate { latency: Duration::from_millis(2), trouble: Trouble::None });
    let options = options("http://double", &json!({ "timeoutMs": hours * 3_600_000 }));
    E2bProvider::new(E2bOptions::parse(&options, "options", &no_env()).unwrap(), way)
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_grows_while_work_is_done_and_never_shrinks() {
    const HOUR: Duration = Duration::from_secs(3600);
    let programs: Arc<dyn Programs> = Arc::new(Stage);
    let double = Arc::new(Double::played(Options { programs: Some(programs), ..Options::default() }));
    let command =
        || Command { timeout_ms: Some(3 * 3_600_000), ..Part { number: 1, kind: Kind::Endless }.command() };

    // Three hours of work in a sandbox of one hour.
    let sandbox = for_hours(&double, 1).create(request()).await.unwrap();
    let mut process = sandbox.spawn(command()).await.unwrap();
    assert!(finish(&mut *process).await.unwrap().2.timed_out);
    tokio::time::sleep(HOUR + HOUR / 10).await;
    assert_eq!(double.sandboxes(), [""; 0], "It lives on without any work");

    // Somebody asked for a day; another one, who asks for an hour, works in it.
    let sandbox = for_hours(&double, 24).create(request()).await.unwrap();
    let again = for_hours(&double, 1).resume(sandbox.id(), request()).await.unwrap();
    let mut process = again.spawn(command()).await.unwrap();
    assert!(finish(&mut *process).await.unwrap().2.timed_out);
    tokio::time::sleep(20 * HOUR).await;
    assert_eq!(double.sandboxes(), [sandbox.id()], "Its lifetime was shortened");
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn resuming_goes_on_where_the_sandbox_was_made_to_work() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({}));
    let made = OpenRequest { working_directory: "/usr/share".to_owned(), ..request() };
    let id = within(provider.create(made)).await.unwrap().id().to_owned();
    let sandbox = within(provider.resume(&id, OpenRequest::default())).await.unwrap();
    assert_eq!(sh(&sandbox, "pwd").await.unwrap().0, "/usr/share\n");
    // A sandbox that is placed anew, or busy: later it works.
    double.answer(Answer::status("/connect", 409, r#"{"message":"in transition"}"#));
    double.answer(Answer::status("/connect", 500, r#"{"message":"Failed to create sandbox"}"#));
    within(provider.resume(&id, OpenRequest::default())).await.unwrap();
    within(sandbox.kill()).await.unwrap();
}

/// Complaint: calls that hang after the sandbox was killed.
#[tokio::test]
async fn killing_ends_every_call() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(within(sandbox.spawn(Command::shell("sleep 1000"))).await.unwrap());
    }
    let begin = Instant::now();
    within(sandbox.kill()).await.unwrap();
    for process in &mut processes {
        assert_eq!(within(finish(&mut **process)).await.err().unwrap().code, Code::SandboxKilled);
    }
    assert!(begin.elapsed() < Duration::from_secs(30));
}

/// A page of something on the way is no sign that the sandbox is gone.
#[tokio::test]
async fn what_cannot_be_reached_is_not_called_gone() {
    let double = double(plain()).await;
    let sandbox = open(&hasty(&double.url(), json!({}))).await;
    let page = || Answer::status("/process.Process/", 502, "<html>Bad gateway</html>");
    double.answer(page().times(50));
    let error = within(sandbox.spawn(Command::shell("true"))).await.err().unwrap();
    assert_eq!((error.code, error.retryable), (Code::ProviderFailed, true), "{error:?}");
    assert_ne!(error.admitted, Some(Admitted::Yes));
    double.forget_answers();
    assert_eq!(sh(&sandbox, "echo back").await.unwrap().0, "back\n");
    double.answer(Answer::status("/files", 502, "<html>Bad gateway</html>").times(4));
    let error = within(sandbox.files().unwrap().read("x")).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::ProviderFailed, true), "{error:?}");
    within(sandbox.kill()).await.unwrap();
}

/// Complaint: a non-zero end throws its output away.
#[tokio::test]
async fn a_code_is_a_result() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let (out, err, exit) = sh(&sandbox, "echo out; echo err >&2; exit 9").await.unwrap();
    assert_eq!((out.as_str(), err.as_str(), exit.code), ("out\n", "err\n", 9));
    let (_, _, exit) = sh(&sandbox, "kill -SEGV $$").await.unwrap();
    assert_eq!((exit.code, exit.signal), (139, Some(11)));
    let error = within(sandbox.spawn(Command::exec("no-such-program", []))).await.err().unwrap();
    assert_eq!((error.code, &error.details["exitCode"]), (Code::SpawnFailed, &json!(127)));
}
