//! Finding the object in a model's answer.

use serde_json::{Map, Value};

use super::provider::Dialect;
use crate::http::HttpResponse;
use crate::{Code, Error, Result};

/// A model that answered something else than what it was asked for.
pub(super) fn no_object(why: &str) -> Error {
    Error::new(Code::ModelFailed, format!("No object generated: {why}"))
        .with("name", "AI_NoObjectGeneratedError")
}

pub(super) fn read(dialect: Dialect, response: &HttpResponse) -> Result<Map<String, Value>> {
    let Some(body) = response.json() else { return Err(no_object("could not parse the response.")) };
    let object = match dialect {
        Dialect::Messages => tool_use(&body)?,
        Dialect::ChatTool => parsed(&function_call(&body)?)?,
        Dialect::ChatSchema => parsed(chat_text(&body)?)?,
        Dialect::Responses => parsed(&output_text(&body)?)?,
    };
    match object {
        Value::Object(object) => Ok(object),
        _ => Err(no_object("response did not match schema.")),
    }
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|_| no_object("could not parse the response."))
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn tool_use(body: &Value) -> Result<Value> {
    items(body, "content")
        .find(|block| block["type"] == "tool_use")
        .and_then(|block| block.get("input"))
        .cloned()
        .ok_or_else(not_called)
}

fn function_call(body: &Value) -> Result<String> {
    let function = body.pointer("/choices/0/message/tool_calls/0/function/arguments");
    match function {
        Some(Value::String(arguments)) => Ok(arguments.clone()),
        // Some compatible servers give the object itself.
        Some(arguments @ Value::Object(_)) => Ok(arguments.to_string()),
        _ => Err(not_called()),
    }
}

fn chat_text(body: &Value) -> Result<&str> {
    body.pointer("/choices/0/message/content").and_then(Value::as_str).ok_or_else(no_answer)
}

fn output_text(body: &Value) -> Result<String> {
    let text: String = items(body, "output")
        .flat_map(|item| items(item, "content"))
        .filter(|part| part["type"] == "output_text")
        .filter_map(|part| part.get("text")?.as_str())
        .collect();
    if text.is_empty() { Err(no_answer()) } else { Ok(text) }
}

fn not_called() -> Error {
    no_object("the tool was not called.")
}

fn no_answer() -> Error {
    no_object("the model did not return a response.")
}
