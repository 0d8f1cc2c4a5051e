//! Reading JSON with errors that name the field and say what belongs there.

use serde_json::{Map, Value};

use crate::{Code, Error, Result};

/// A wrong type. Becomes a JavaScript `TypeError`.
pub(super) fn wrong_type(field: &str, value: &Value, remedy: &str) -> Error {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Error::new(Code::InvalidType, format!("{field} must not be {found}. {remedy}"))
        .with_field(field)
        .with_hint(remedy)
}

/// The value of a key; `null` counts as absent, as it does for users who write `key: maybe ?? null`.
pub(super) fn get<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// A string. Empty ones count as absent.
pub(super) fn text(
    object: &Map<String, Value>,
    path: &str,
    key: &str,
    remedy: &str,
) -> Result<Option<String>> {
    match get(object, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(other) => Err(wrong_type(&join(path, key), other, remedy)),
    }
}

/// A nested object.
pub(super) fn object<'a>(
    parent: &'a Map<String, Value>,
    path: &str,
    key: &str,
    remedy: &str,
) -> Result<Option<&'a Map<String, Value>>> {
    match get(parent, key) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(wrong_type(&join(path, key), other, remedy)),
    }
}

/// Environment variables: an object of names and values. Numbers and booleans are taken as their text.
pub(super) fn variables(value: Option<&Value>, field: &str) -> Result<Vec<(String, String)>> {
    let remedy = format!("Set {field} to an object of variable names and string values.");
    let entries = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(other) => return Err(wrong_type(field, other, &remedy)),
    };
    let mut variables = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let path = join(field, name);
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid(
                path,
                "is no name for an environment variable",
                "Use a name that is not empty and has neither '=' nor NUL in it.",
            ));
        }
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            other => return Err(wrong_type(&path, other, "Give it as a string.")),
        };
        if value.contains('\0') {
            return Err(Error::invalid(
                path,
                "holds a NUL character",
                "Remove it; no environment variable can hold one.",
            ));
        }
        variables.push((name.clone(), value));
    }
    Ok(variables)
}

/// Whether JavaScript takes the value for true.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
