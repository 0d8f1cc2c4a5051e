//! What a receiver gets, decoded with the official schema.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::runtime::Handle;
use vibekit_http::{Client, Settings};
use vibekit_telemetry::{Options, Record, Telemetry};

#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>,
    /// Answers to give before 200.
    refusals: Arc<Mutex<Vec<u16>>>,
    asked: Arc<Mutex<u32>>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/custom/path", listener.local_addr().unwrap());
        let app = Router::new().route("/custom/path", axum::routing::post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let scopes =
            got.iter().flat_map(|(_, request)| &request.resource_spans).flat_map(|one| &one.scope_spans);
        scopes.flat_map(|one| one.spans.clone()).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    *receiver.asked.lock().unwrap() += 1;
    if let Some(status) = receiver.refusals.lock().unwrap().pop() {
        return (StatusCode::from_u16(status).unwrap(), Vec::new());
    }
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    receiver.got.lock().unwrap().push((headers, request));
    (StatusCode::OK, Vec::new())
}

fn telemetry(options: serde_json::Value) -> vibekit_core::Result<Telemetry> {
    let options: Options = serde_json::from_value(options).unwrap();
    let client = Client::new(&Settings::bare())?;
    Telemetry::new(&options, client, &Handle::current())
}

fn record(event: &str, more: serde_json::Value) -> Record {
    let mut record = json!({
        "event": event, "sessionId": "vibekit-1-abc", "agentType": "claude", "mode": "code", "promptLength": 6,
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(record).unwrap()
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, serde_json::Value> {
    let value = |value: &Value| match value {
        Value::StringValue(text) => json!(text),
        Value::IntValue(number) => json!(number),
        Value::BoolValue(flag) => json!(flag),
        Value::DoubleValue(number) => json!(number),
        other => json!(format!("{other:?}")),
    };
    all.iter()
        .map(|one| (one.key.clone(), value(one.value.as_ref().unwrap().value.as_ref().unwrap())))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_spans_of_a_call() {
    let (receiver, url) = Receiver::start().await;
    let telemetry = telemetry(json!({
        "endpoint": url, "headers": { "X-Team": "blue" }, "serviceName": "shop", "process": { "host.name": "h" },
        "resourceAttributes": { "deployment.environment": "test", "host.name": "own" },
    }))
    .unwrap();
    let gen_ai = json!({ "provider": "anthropic", "model": "m", "inputTokens": 10, "outputTokens": 2 });
    telemetry.record(&record(
        "start",
        json!({ "metadata": { "model": "m", "hasHistory": true, "nothing": null } }),
    ));
    telemetry.record(&record(
        "stream",
        json!({ "data": "{\"type\":\"x\"}", "sandboxId": "s", "metadata": { "dataType": "x" } }),
    ));
    telemetry.record(&record(
        "end",
        json!({ "sandboxId": "s", "repoUrl": "o/r", "metadata": { "exitCode": 0 }, "genAi": gen_ai }),
    ));
    telemetry.record(&record(
        "error",
        json!({ "message": "boom", "code": "AGENT_FAILED", "metadata": { "source": "vibekit" } }),
    ));
    telemetry.flush().await.unwrap();

    let got = receiver.got.lock().unwrap().clone();
    assert_eq!(got.len(), 1);
    let (headers, request) = &got[0];
    assert_eq!(headers["x-team"], "blue");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let resource = attributes(&request.resource_spans[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "shop");
    assert_eq!(resource["service.version"], "1.0.0");
    assert_eq!(resource["deployment.environment"], "test");
    assert_eq!(resource["host.name"], "own");
    let scope = request.resource_spans[0].scope_spans[0].scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("vibekit", "1.0.0"));

    let spans = receiver.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["vibekit.start", "vibekit.stream", "vibekit.end", "vibekit.error"]);
    let traces: std::collections::BTreeSet<_> = spans.iter().map(|span| span.trace_id.clone()).collect();
    assert_eq!(traces.len(), 4, "each span is a trace of its own");
    for (span, event) in spans.iter().zip(["start", "stream", "end", "error"]) {
        assert_eq!(span.kind, 1, "INTERNAL");
        assert!(span.parent_span_id.is_empty());
        assert_eq!(span.start_time_unix_nano, span.end_time_unix_nano);
        let all = attributes(&span.attributes);
        assert_eq!(all["vibekit.session_id"], "vibekit-1-abc");
        assert_eq!(all["vibekit.agent_type"], "claude");
        assert_eq!(all["vibekit.mode"], "code");
        assert_eq!(all["vibekit.event_type"], event);
        assert_eq!(all["vibekit.prompt_length"], 6);
        assert_eq!(span.status.as_ref().unwrap().code, if event == "error" { 2 } else { 1 });
    }
    let events = |at: usize| spans[at].events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>();
    assert_eq!(events(0), ["operation_started"]);
    assert_eq!(events(1), ["stream_data"]);
    assert_eq!(events(2), ["operation_completed"]);
    assert_eq!(events(3), ["exception", "error_occurred"]);
    let start = attributes(&spans[0].attributes);
    assert_eq!(start["hasHistory"], true);
    assert!(!start.contains_key("nothing"));
    let stream = attributes(&spans[1].attributes);
    assert_eq!(stream["vibekit.stream_data_length"], 12);
    assert_eq!(attributes(&spans[1].events[0].attributes)["stream.data"], "{\"type\":\"x\"}");
    let end = attributes(&spans[2].attributes);
    assert_eq!(end["vibekit.sandbox_id"], "s");
    assert_eq!(end["vibekit.repo_url"], "o/r");
    assert_eq!(end["gen_ai.operation.name"], "invoke_agent");
    assert_eq!(end["gen_ai.provider.name"], "anthropic");
    assert_eq!(end["gen_ai.usage.input_tokens"], 10);
    assert_eq!(end["gen_ai.conversation.id"], "s");
    assert_eq!(spans[3].status.as_ref().unwrap().message, "boom");
    assert_eq!(attributes(&spans[3].attributes)["error.type"], "AGENT_FAILED");
    assert_eq!(attributes(&spans[3].events[0].attributes)["exception.message"], "boom");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_leaves_and_long_messages_are_cut() {
    let (receiver, url) = Receiver::start().await;
    let telemetry = telemetry(json!({ "endpoint": url, "secrets": ["sk-canary-1", "short"] })).unwrap();
    let long = format!("{}sk-canary-1{}", "é".repeat(8_190), "x".repeat(20_000));
    telemetry
        .record(&record("stream", json!({ "data": long, "metadata": { "deep": { "a": "sk-canary-1" } } })));
    telemetry.record(&record(
        "error",
        json!({ "message": "no sk-canary-1 there", "repoUrl": "https://sk-canary-1@x" }),
    ));
    telemetry.flush().await.unwrap();
    let spans = receiver.spans();
    assert_eq!(spans.len(), 2);
    let all = format!("{spans:?}");
    assert!(!all.contains("canary"), "{all}");
    let stream = attributes(&spans[0].attributes);
    assert_eq!(stream["vibekit.stream_data_length"], 8_190 + 11 + 20_000);
    assert_eq!(stream["vibekit.stream_data_cut"], true);
    let data = attributes(&spans[0].events[0].attributes)["stream.data"].as_str().unwrap().len();
    assert!(data <= 16 << 10, "{data}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_send_to_their_own_receivers() {
    let (first, first_url) = Receiver::start().await;
    let (second, second_url) = Receiver::start().await;
    let one = telemetry(json!({ "endpoint": first_url })).unwrap();
    let two = telemetry(json!({ "endpoint": second_url })).unwrap();
    one.record(&record("start", json!({})));
    two.record(&record("end", json!({})));
    one.flush().await.unwrap();
    two.flush().await.unwrap();
    assert_eq!(first.spans()[0].name, "vibekit.start");
    assert_eq!(second.spans()[0].name, "vibekit.end");
    assert_eq!((first.spans().len(), second.spans().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_busy_is_asked_again() {
    let (receiver, url) = Receiver::start().await;
    receiver.refusals.lock().unwrap().extend([503, 429]);
    let telemetry = telemetry(json!({ "endpoint": url })).unwrap();
    telemetry.record(&record("start", json!({})));
    telemetry.flush().await.unwrap();
    assert_eq!(receiver.spans().len(), 1);
    assert_eq!(*receiver.asked.lock().unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_does_not_answer_costs_no_more_than_the_limit() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let telemetry = telemetry(json!({ "endpoint": url, "timeout": 300 })).unwrap();
    let begin = Instant::now();
    telemetry.record(&record("start", json!({})));
    let error = telemetry.flush().await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(error.message.contains("1 spans were not taken"), "{}", error.message);
    // What is lost is lost: the next flush has nothing to do.
    telemetry.flush().await.unwrap();
    drop(listener);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_an_instance_sends_what_is_left() {
    let (receiver, url) = Receiver::start().await;
    let telemetry = telemetry(json!({ "endpoint": url })).unwrap();
    telemetry.record(&record("start", json!({})));
    drop(telemetry);
    let begin = Instant::now();
    while receiver.spans().is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(20), "nothing came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_options_are_named() {
    for (options, field) in [
        (json!({ "endpoint": "not a url" }), "telemetry.endpoint"),
        (json!({ "endpoint": "/v1/traces" }), "telemetry.endpoint"),
        (json!({ "endpoint": "http://h/", "headers": { "bad name": "x" } }), "telemetry.headers.bad name"),
        (json!({ "endpoint": "http://h/", "headers": { "x": "line\nbreak-canary" } }), "telemetry.headers.x"),
        (json!({ "endpoint": "http://h/", "timeout": 0 }), "telemetry.timeout"),
    ] {
        let error = telemetry(options).unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field));
        assert!(!error.message.contains("canary"));
    }
}
