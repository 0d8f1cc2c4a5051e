//! Short ways into an agent's JSON, which is never trusted to have a shape.

use serde_json::Value;

/// The line as an object, or nothing.
pub(super) fn object(line: &str) -> Option<Value> {
    serde_json::from_str::<Value>(line).ok().filter(Value::is_object)
}

/// The string at a JSON pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// The count at a JSON pointer, or 0.
pub(super) fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// The elements at a JSON pointer, or none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The HTTP status at a JSON pointer.
pub(super) fn status(value: &Value, pointer: &str) -> Option<u16> {
    value.pointer(pointer)?.as_u64()?.try_into().ok()
}
