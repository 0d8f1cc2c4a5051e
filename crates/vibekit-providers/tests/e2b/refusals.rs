//! Bad input and refusals: each is a typed error with a remedy, and leaves nothing behind.

use std::time::Duration;

use serde_json::json;
use vibekit_core::Admitted;
use vibekit_sandbox::{Code, Command, Error, OpenRequest};
use vibekit_testkit::doubles::e2b::{Double, Options};
use vibekit_testkit::doubles::scripted::Answer;
use vibekit_testkit::doubles::tls::TlsFront;

use crate::support::{
    KEY, double, env_of, finish, hasty, open, options, plain, provider, request, sh, until, within,
};

fn assert_clean(double: &Double, error: &Error) {
    assert_eq!(double.sandboxes(), [""; 0], "{error:?}");
    assert!(!format!("{error:?}").contains(&KEY[4..]), "{error:?}");
}

#[tokio::test]
async fn a_key_of_another_format_is_refused_by_the_service() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({ "apiKey": "sk-0123456789abcdef" }));
    let error = within(provider.create(request())).await.err().unwrap();
    assert_eq!((error.code, error.admitted), (Code::AuthenticationFailed, Some(Admitted::No)));
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("E2B_API_KEY")), "{error:?}");
    assert_clean(&double, &error);
    let error = within(provider.probe()).await.err().unwrap();
    assert_eq!(error.code, Code::AuthenticationFailed);
}

#[tokio::test]
async fn a_template_nobody_knows_is_named() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({ "templateId": "missing-one" }));
    let error = within(provider.create(request())).await.err().unwrap();
    assert_eq!(error.code, Code::TemplateNotFound);
    assert_eq!(error.field.as_deref(), Some("options.templateId"));
    assert!(error.message.contains("missing-one") && error.hint.is_some(), "{error:?}");
    assert_clean(&double, &error);
}

#[tokio::test]
async fn a_session_that_is_not_there_or_is_none() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({}));
    let expired = open(&provider).await;
    let id = expired.id().to_owned();
    double.vanish(&id);
    for id in [id.as_str(), "i0foreign"] {
        let error = within(provider.resume(id, request())).await.err().unwrap();
        assert_eq!((error.code, error.admitted), (Code::SessionNotFound, Some(Admitted::No)), "{error:?}");
        assert_eq!(error.details["sessionId"], id);
        assert!(error.hint.is_some());
    }
    let before = double.log().all().len();
    for id in ["", "../x", "i1/kill", "i1?x=y", "i 1", "ü"] {
        let error = within(provider.resume(id, request())).await.err().unwrap();
        assert_eq!(
            (error.code, error.field.as_deref()),
            (Code::InvalidArgument, Some("sessionId")),
            "{id:?}"
        );
    }
    assert_eq!(double.log().all().len(), before, "It was asked for");
}

#[tokio::test]
async fn a_sandbox_that_goes_while_a_command_runs() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let mut process = within(sandbox.spawn(Command::shell("echo on; sleep 1000"))).await.unwrap();
    assert!(within(process.next()).await.unwrap().is_some());
    double.vanish(sandbox.id());
    let error = within(finish(&mut *process)).await.err().unwrap();
    assert_eq!(error.code, Code::SandboxLost, "{error:?}");
    assert!(error.hint.is_some());
    assert_eq!(within(sandbox.lost()).await.code, Code::SandboxLost);
    let error = within(sandbox.spawn(Command::shell("true"))).await.err().unwrap();
    assert_eq!(error.code, Code::SandboxLost);
    // And it can be killed all the same.
    within(sandbox.kill()).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let double = double(plain()).await;
    let sandbox = open(&provider(&double.url(), json!({}))).await;
    let files = sandbox.files().unwrap();
    let error = within(files.write("/dev/full", "x".into())).await.unwrap_err();
    assert_eq!(error.code, Code::DiskFull, "{error:?}");
    // Also where it is the input of a command: which is not started then.
    double.answer(Answer::status(
        "/files",
        507,
        r#"{"code":507,"message":"not enough disk space available"}"#,
    ));
    let command =
        Command { stdin: vibekit_sandbox::Stdin::Bytes(b"x".to_vec()), ..Command::shell("echo started >&2") };
    let error = within(sandbox.spawn(command)).await.err().unwrap();
    assert_eq!((error.code, error.admitted), (Code::DiskFull, Some(Admitted::No)), "{error:?}");
    within(sandbox.kill()).await.unwrap();
}

/// Nothing is decided by comparing a clock with the service's.
#[tokio::test]
async fn a_service_whose_clock_is_years_off() {
    let double = double(plain()).await;
    let provider = provider(&double.url(), json!({}));
    let id = open(&provider).await.id().to_owned();
    for year in [1971, 2100] {
        let body = json!({
            "sandboxID": id, "templateID": "t", "clientID": "c", "state": "running",
            "startedAt": format!("{year}-01-01T00:00:00Z"), "endAt": format!("{year}-01-01T01:00:00Z"),
        });
        let date = format!("Fri, 01 Jan {year} 00:00:00 GMT");
        double.answer(
            Answer::status(format!("/sandboxes/{id}"), 200, body.to_string())
                .method("GET")
                .header("date", &date),
        );
        let sandbox = within(provider.resume(&id, OpenRequest::default())).await.unwrap();
        assert_eq!(sh(&sandbox, "cd /; echo still here").await.unwrap().0, "still here\n");
        within(sandbox.release()).await.unwrap();
    }
    // A date is no number of seconds: it is not waited for until then.
    double.answer(
        Answer::status("/v2/sandboxes", 429, r#"{"message":"Rate limit exceeded"}"#)
            .header("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT"),
    );
    let error = within(provider.create(request())).await.err().unwrap();
    assert_eq!(error.code, Code::RateLimited);
}

/// What the service answers to a new sandbox, and what comes of it.
#[tokio::test]
async fn every_status_is_a_typed_error() {
    let told = |text: &str| json!({ "code": 1, "message": text }).to_string();
    let cap = "you have reached the maximum number of concurrent E2B sandboxes (20)";
    let page = "<html><body>Bad gateway</body></html>".to_owned();
    let cases = [
        (401, told("Invalid API key"), None, Code::AuthenticationFailed, Some(Admitted::No), true),
        (403, told("blocked"), None, Code::PermissionDenied, Some(Admitted::No), true),
        (404, told("template 'x' not found"), None, Code::TemplateNotFound, Some(Admitted::No), true),
        (409, told("in transition"), None, Code::ProviderFailed, Some(Admitted::No), false),
        (429, told("Rate limit exceeded"), Some("120"), Code::RateLimited, Some(Admitted::No), true),
        (429, told(cap), None, Code::ConcurrencyLimit, Some(Admitted::No), true),
        (400, told("Timeout must be greater than 0"), None, Code::InvalidArgument, Some(Admitted::No), true),
        (500, told("internal"), None, Code::ProviderFailed, Some(Admitted::Unknown), false),
        (502, page.clone(), None, Code::ProviderFailed, Some(Admitted::Unknown), false),
        (
            503,
            told("Failed to place sandbox: no capacity"),
            None,
            Code::ProviderFailed,
            Some(Admitted::No),
            false,
        ),
        (
            504,
            told("Failed to place sandbox: late"),
            None,
            Code::ProviderFailed,
            Some(Admitted::Unknown),
            false,
        ),
        (201, page, None, Code::ProviderFailed, Some(Admitted::Yes), false),
        (201, "{}".to_owned(), None, Code::ProviderFailed, Some(Admitted::Yes), false),
    ];
    let asked = cases.map(|(status, body, retry, code, admitted, hint)| async move {
        let double = double(plain()).await;
        let mut answer = Answer::status("/v2/sandboxes", status, body.as_str()).method("POST").times(9);
        if let Some(retry) = retry {
            answer = answer.header("retry-after", retry);
        }
        double.answer(answer);
        let provider = hasty(&double.url(), json!({}));
        let error = within(provider.create(request())).await.err().unwrap();
        let seen = format!("{status} {body}: {error:?}");
        assert_eq!((error.code, error.admitted), (code, admitted), "{seen}");
        assert!(error.hint.is_some() || !hint, "{seen}");
        assert!(!error.message.contains('<'), "{seen}");
        assert_eq!(error.retryable, matches!(status, 409 | 429 | 500..), "{seen}");
        assert_eq!(double.log().count("POST", "/v2/sandboxes"), 1, "It was asked for more than once: {seen}");
        if retry.is_some() {
            assert_eq!(error.details["retryAfterMs"], 120_000, "{seen}");
        }
        assert_clean(&double, &error);
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    let double = double(plain()).await;
    let limited = Answer::status("/v2/sandboxes", 429, r#"{"message":"Rate limit exceeded"}"#);
    double.answer(limited.header("retry-after", "1").method("POST").times(2));
    let begin = std::time::Instant::now();
    let sandbox = open(&hasty(&double.url(), json!({}))).await;
    assert!(begin.elapsed() >= Duration::from_secs(2), "It did not wait");
    assert_eq!(double.log().count("POST", "/v2/sandboxes"), 3);
    within(sandbox.kill()).await.unwrap();
}

#[tokio::test]
async fn a_service_that_repeats_the_key_is_not_repeated() {
    let double = double(plain()).await;
    let body =
        json!({ "code": 401, "message": format!("Invalid API key {KEY}, please check it") }).to_string();
    double.answer(Answer::status("/v2/sandboxes", 401, body));
    let error = within(provider(&double.url(), json!({})).create(request())).await.err().unwrap();
    assert!(error.message.contains("Invalid API key ***"), "{error:?}");
    assert_clean(&double, &error);
}

#[tokio::test]
async fn servers_without_the_second_version_are_asked_once() {
    let double = double(Options { v2: false, ..plain() }).await;
    let provider = provider(&double.url(), json!({}));
    for _ in 0..2 {
        let sandbox = open(&provider).await;
        within(sandbox.kill()).await.unwrap();
    }
    assert_eq!(double.log().count("POST", "/v2/"), 1);
    let made: Vec<_> = double.log().all().into_iter().filter(|one| one.path == "/sandboxes").collect();
    assert!(made.len() == 2 && made.iter().all(|one| one.body.contains("\"secure\":true")), "{made:?}");
}

/// Names that only the proxy can resolve: it is asked for everything, and nothing goes past it.
#[tokio::test]
async fn through_a_proxy() {
    let double = double(plain()).await;
    let env = env_of(&[("HTTP_PROXY", double.url())]);
    let options = json!({
        "apiKey": KEY, "apiUrl": "http://api.service.test", "sandboxUrl": "http://sandbox.service.test",
    });
    let provider = vibekit_providers::make("e2b", &options, "options", &env).unwrap();
    let sandbox = open(&provider).await;
    assert_eq!(sh(&sandbox, "echo through").await.unwrap().0, "through\n");
    within(sandbox.kill()).await.unwrap();

    // A proxy that is not there; its password is nobody's business.
    let env = env_of(&[("HTTP_PROXY", "http://user:hunter22@127.0.0.1:9".to_owned())]);
    let provider = vibekit_providers::make("e2b", &options, "options", &env).unwrap();
    let error = within(provider.create(request())).await.err().unwrap();
    assert_eq!((error.code, error.admitted), (Code::ProviderFailed, Some(Admitted::No)), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_authority_of_ones_own() {
    let double = double(plain()).await;
    let front = TlsFront::start(double.addr()).await.unwrap();
    let options = options(&front.url(), &json!({}));
    let provider = vibekit_providers::make("e2b", &options, "options", &env_of(&[])).unwrap();
    let error = within(provider.create(request())).await.err().unwrap();
    assert_eq!((error.code, error.admitted), (Code::ProviderFailed, Some(Admitted::No)), "{error:?}");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("NODE_EXTRA_CA_CERTS")), "{error:?}");
    assert_clean(&double, &error);

    let bundle = front.authority().to_string_lossy().into_owned();
    let env = env_of(&[("NODE_EXTRA_CA_CERTS", bundle)]);
    let provider = vibekit_providers::make("e2b", &options, "options", &env).unwrap();
    let sandbox = open(&provider).await;
    assert_eq!(sh(&sandbox, "echo safe").await.unwrap().0, "safe\n");
    within(sandbox.kill()).await.unwrap();
    until("The end of the sandbox", || double.sandboxes().is_empty()).await;
}
