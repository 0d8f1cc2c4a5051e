use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _};
use opentelemetry::{Array, Context, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SdkTracer;
use serde::Deserialize;
use serde_json::Map;

use crate::redact::Secrets;

/// One thing that happened, as the shim tells it. Each becomes a span of its own that begins and ends at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[allow(
    missing_docs,
    reason = "the fields are described at `Common` and named as the attributes they become"
)]
pub enum Record {
    /// A call begins.
    Start {
        #[serde(flatten)]
        common: Common,
    },
    /// A message was delivered.
    Stream {
        #[serde(flatten)]
        common: Common,
        data: String,
    },
    /// A call succeeded.
    End {
        #[serde(flatten)]
        common: Common,
    },
    /// A call failed.
    Error {
        #[serde(flatten)]
        common: Common,
        message: String,
        /// Name of the error's class.
        #[serde(default)]
        error_type: Option<String>,
        /// Stable reason (`error.type` of the conventions).
        #[serde(default)]
        code: Option<String>,
    },
}

/// What all records have.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    /// `vibekit.session_id`.
    pub session_id: String,
    /// `vibekit.agent_type`.
    pub agent_type: String,
    /// `vibekit.mode`.
    pub mode: String,
    /// `vibekit.prompt_length`, in UTF-16 units. The prompt itself is never sent.
    pub prompt_length: u64,
    /// `vibekit.sandbox_id`.
    #[serde(default)]
    pub sandbox_id: Option<String>,
    /// `vibekit.repo_url`.
    #[serde(default)]
    pub repo_url: Option<String>,
    /// More attributes, under their own names.
    #[serde(default)]
    pub metadata: Map<String, serde_json::Value>,
    /// Present for turns of an agent.
    #[serde(default)]
    pub gen_ai: Option<GenAi>,
}

/// Attributes of OpenTelemetry's semantic conventions for generative AI (`gen_ai.*`, version 1.37).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenAi {
    /// `gen_ai.provider.name`: who serves the model, in the conventions' spelling.
    pub provider: Option<String>,
    /// `gen_ai.request.model`.
    pub model: Option<String>,
    /// `gen_ai.usage.input_tokens`, cached ones included.
    pub input_tokens: Option<i64>,
    /// `gen_ai.usage.output_tokens`.
    pub output_tokens: Option<i64>,
}

/// Bytes of a message that a span carries.
const DATA: usize = 16 << 10;

impl Record {
    pub(crate) fn span(&self, tracer: &SdkTracer, secrets: &Secrets) {
        let text = |name: &'static str, value: &str| KeyValue::new(name, secrets.hide(value));
        let now = SystemTime::now();
        let (name, common) = match self {
            Self::Start { common } => ("start", common),
            Self::Stream { common, .. } => ("stream", common),
            Self::End { common } => ("end", common),
            Self::Error { common, .. } => ("error", common),
        };
        let mut attributes = common.attributes(name, secrets);
        let happened = |what: &'static str, more: Vec<KeyValue>| (what, more);
        let mut events = Vec::new();
        let mut status = Status::Ok;
        match self {
            Self::Start { .. } => events.push(happened("operation_started", stamp(name, now))),
            Self::End { .. } => events.push(happened("operation_completed", stamp(name, now))),
            Self::Stream { data, .. } => {
                attributes.push(KeyValue::new("vibekit.stream_data_length", units(data)));
                // Hidden before it is cut: a secret across the cut would leave its beginning.
                let whole = secrets.hide(data);
                let mut kept = DATA.min(whole.len());
                while !whole.is_char_boundary(kept) {
                    kept -= 1;
                }
                if kept < whole.len() {
                    attributes.push(KeyValue::new("vibekit.stream_data_cut", true));
                }
                events.push(happened(
                    "stream_data",
                    vec![KeyValue::new("stream.data", whole[..kept].to_owned())],
                ));
            }
            Self::Error { message, error_type, code, .. } => {
                let class = error_type.as_deref().unwrap_or("Error");
                attributes.push(text("errorType", class));
                attributes.push(text("error.type", code.as_deref().unwrap_or(class)));
                events.push(happened(
                    "exception",
                    vec![text("exception.type", class), text("exception.message", message)],
                ));
                events.push(happened("error_occurred", vec![text("error.message", message)]));
                status = Status::error(secrets.hide(message));
            }
        }
        let mut span = tracer
            .span_builder(format!("vibekit.{name}"))
            .with_kind(SpanKind::Internal)
            .with_start_time(now)
            .with_attributes(attributes)
            // A trace of its own, whatever the thread is in the middle of.
            .start_with_context(tracer, &Context::new());
        for (what, more) in events {
            span.add_event_with_timestamp(what, now, more);
        }
        span.set_status(status);
        span.end_with_timestamp(now);
    }
}

impl Common {
    fn attributes(&self, event: &'static str, secrets: &Secrets) -> Vec<KeyValue> {
        let text = |name: &'static str, value: &str| KeyValue::new(name, secrets.hide(value));
        let mut all = vec![
            text("vibekit.session_id", &self.session_id),
            text("vibekit.agent_type", &self.agent_type),
            text("vibekit.mode", &self.mode),
            KeyValue::new("vibekit.event_type", event),
            KeyValue::new("vibekit.prompt_length", i64::try_from(self.prompt_length).unwrap_or(i64::MAX)),
        ];
        all.extend(self.sandbox_id.as_deref().map(|id| text("vibekit.sandbox_id", id)));
        all.extend(self.repo_url.as_deref().map(|url| text("vibekit.repo_url", url)));
        for (name, value) in &self.metadata {
            all.extend(attribute(value, secrets).map(|value| KeyValue::new(Key::new(name.clone()), value)));
        }
        all.push(text("gen_ai.agent.name", &self.agent_type));
        all.extend(self.sandbox_id.as_deref().map(|id| text("gen_ai.conversation.id", id)));
        if let Some(GenAi { provider, model, input_tokens, output_tokens }) = &self.gen_ai {
            all.push(KeyValue::new("gen_ai.operation.name", "invoke_agent"));
            all.extend(provider.as_deref().map(|name| text("gen_ai.provider.name", name)));
            all.extend(model.as_deref().map(|name| text("gen_ai.request.model", name)));
            all.extend(input_tokens.map(|count| KeyValue::new("gen_ai.usage.input_tokens", count)));
            all.extend(output_tokens.map(|count| KeyValue::new("gen_ai.usage.output_tokens", count)));
        }
        all
    }
}

fn stamp(event: &'static str, now: SystemTime) -> Vec<KeyValue> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    vec![
        KeyValue::new("vibekit.event_type", event),
        KeyValue::new("timestamp", i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
    ]
}

/// What a caller's own value is as an attribute. Structures become JSON.
fn attribute(value: &serde_json::Value, secrets: &Secrets) -> Option<Value> {
    let text = |text: &str| StringValue::from(secrets.hide(text));
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => (*flag).into(),
        serde_json::Value::String(string) => Value::String(text(string)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        serde_json::Value::Array(all) if all.iter().all(serde_json::Value::is_string) => {
            let texts = all.iter().filter_map(serde_json::Value::as_str).map(text).collect();
            Value::Array(Array::String(texts))
        }
        other => Value::String(text(&other.to_string())),
    })
}

/// Length as JavaScript counts it.
fn units(text: &str) -> i64 {
    i64::try_from(text.encode_utf16().count()).unwrap_or(i64::MAX)
}
