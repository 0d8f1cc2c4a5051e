//! Asking a model for an object.

use serde_json::{Map, Value, json};

use super::answer;
use super::provider::{Access, Dialect, reasons};
use crate::http::{HttpRequest, HttpResponse};
use crate::machine::limits;
use crate::script::{Desk, Exchange};
use crate::{Code, Error, Result};

/// Before the second and the third attempt, in milliseconds.
const PAUSES: [u64; 2] = [2_000, 4_000];

/// What a model is told to answer with, where it answers by calling a tool.
const TOOL: &str = "json";
const DESCRIPTION: &str = "Respond with a JSON object.";
/// Anthropic serves subscriptions to its own program alone; this is how that program begins.
const CLAUDE_CODE: &str = "You are Claude Code, Anthropic's official CLI for Claude.";

/// Asks, and asks again where that may help.
pub(super) async fn object(
    desk: &Desk,
    access: &Access,
    prompt: &str,
    schema: &Value,
) -> Result<Map<String, Value>> {
    let request = HttpRequest {
        method: Some("POST".to_owned()),
        url: access.url.clone(),
        headers: access.headers.clone(),
        body: None,
    }
    .json(&body(access, prompt, schema));
    let mut attempt = 0;
    let response = loop {
        let exchange = Exchange { who: "The model", request: request.clone(), limit: limits::MODEL };
        let error = match desk.request(exchange).await {
            Ok(response) if response.ok() => break response,
            Ok(response) => answered_badly(&response),
            Err(error) => unreachable(error),
        };
        match PAUSES.get(attempt) {
            Some(&pause) if error.retryable => desk.pause(pause).await,
            None if error.retryable => return Err(given_up(error, attempt + 1)),
            _ if attempt > 0 => {
                let message = format!(
                    "Failed after {} attempts with non-retryable error: '{}'",
                    attempt + 1,
                    error.message
                );
                return Err(retried(message, error));
            }
            _ => return Err(error),
        }
        attempt += 1;
    };
    answer::read(access.dialect, &response)
}

/// The body, its keys in upstream's order.
fn body(access: &Access, prompt: &str, schema: &Value) -> Value {
    let model = access.model.as_str();
    let messages = json!([{ "role": "user", "content": prompt }]);
    match access.dialect {
        Dialect::Messages => {
            let mut body = Map::new();
            let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
            set("model", model.into());
            set("max_tokens", 4096.into());
            set("temperature", 0.into());
            if access.subscription {
                set("system", CLAUDE_CODE.into());
            }
            set("messages", json!([{ "role": "user", "content": [{ "type": "text", "text": prompt }] }]));
            set("tools", json!([{ "name": TOOL, "description": DESCRIPTION, "input_schema": schema }]));
            set("tool_choice", json!({ "type": "tool", "name": TOOL }));
            Value::Object(body)
        }
        Dialect::Responses => {
            let mut body = Map::new();
            let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
            set("model", model.into());
            set("input", json!([{ "role": "user", "content": [{ "type": "input_text", "text": prompt }] }]));
            if !reasons(model) {
                set("temperature", 0.into());
            }
            let format =
                json!({ "type": "json_schema", "strict": true, "name": "response", "schema": schema });
            set("text", json!({ "format": format }));
            Value::Object(body)
        }
        Dialect::ChatSchema => {
            let wanted = json!({ "schema": schema, "strict": true, "name": "response" });
            let format = json!({ "type": "json_schema", "json_schema": wanted });
            json!({ "model": model, "messages": messages, "response_format": format })
        }
        Dialect::ChatTool => {
            let function = json!({ "name": TOOL, "description": DESCRIPTION, "parameters": schema });
            json!({
                "model": model,
                "temperature": 0,
                "messages": messages,
                "tool_choice": { "type": "function", "function": { "name": TOOL } },
                "tools": [{ "type": "function", "function": function }],
            })
        }
    }
}

/// An answer that says no: the API's own sentence.
fn answered_badly(response: &HttpResponse) -> Error {
    let body = response.json();
    let told = body.as_ref().and_then(|body| {
        // Gemini's compatible API wraps its errors in a list.
        let body = body.get(0).unwrap_or(body);
        let error = body.get("error")?;
        error.get("message").or(Some(error))?.as_str()
    });
    let message = match told {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ if !response.status_text.is_empty() => response.status_text.clone(),
        _ => format!("HTTP {}", response.status),
    };
    let mut error = Error::new(Code::ModelFailed, message)
        .with("name", "AI_APICallError")
        .with("statusCode", response.status)
        .with("responseBody", response.body.clone());
    error.retryable = matches!(response.status, 408 | 409 | 429 | 500..);
    error
}

/// No answer. Waiting longer for one that did not come in time is no use.
fn unreachable(mut error: Error) -> Error {
    if error.code == Code::Timeout {
        error.retryable = false;
        return error;
    }
    // `fetch failed` says nothing; what JavaScript knows beyond that is beside it.
    let reason = error.details.get("reason").and_then(Value::as_str);
    let why = reason.unwrap_or(&error.message).to_owned();
    Error::new(Code::ModelFailed, format!("Cannot connect to API: {why}"))
        .with("name", "AI_APICallError")
        .retryable()
        .caused_by(error)
}

fn given_up(error: Error, attempts: usize) -> Error {
    retried(format!("Failed after {attempts} attempts. Last error: {}", error.message), error).retryable()
}

fn retried(message: String, error: Error) -> Error {
    Error::new(Code::ModelFailed, message).with("name", "AI_RetryError").caused_by(error)
}
