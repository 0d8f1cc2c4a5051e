//! The server's side of Connect's streaming: a byte of flags, a length, a message.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn envelope(flags: u8, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(payload.len() + 5);
    bytes.push(flags);
    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.into()
}

/// An event. With noise it has white space and fields nobody knows, both of which the real daemon may add.
pub(super) fn event(event: Value, noise: bool) -> Bytes {
    let text = if noise {
        format!("{{ \"event\":{event} ,\"fieldOfTheFuture\": {{\"a\":[1,\"]}}\"]}}}}")
    } else {
        format!("{{\"event\":{event}}}")
    };
    envelope(0, text.as_bytes())
}

/// Output. Written by hand: with a value in between it would be copied three times.
pub(super) fn data(stream: &str, bytes: &[u8], noise: bool) -> Bytes {
    let space = if noise { " " } else { "" };
    let mut frame = vec![0; 5];
    frame.extend_from_slice(format!("{{\"event\":{space}{{\"data\":{{\"{stream}\":{space}\"").as_bytes());
    let start = frame.len();
    frame.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let _ = STANDARD.encode_slice(bytes, &mut frame[start..]);
    frame.extend_from_slice(b"\"}}}");
    let length = u32::try_from(frame.len() - 5).unwrap_or(u32::MAX).to_be_bytes();
    frame[1..5].copy_from_slice(&length);
    frame.into()
}

/// The last envelope of a stream; with an error, or without.
pub(super) fn trailer(error: Option<(&str, &str)>) -> Bytes {
    let body = match error {
        Some((code, message)) => json!({ "error": { "code": code, "message": message } }),
        None => json!({}),
    };
    envelope(2, body.to_string().as_bytes())
}

/// The one message of a request.
pub(super) fn request(body: &[u8]) -> Option<Value> {
    let (head, payload) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    (head[0] == 0 && usize::try_from(length) == Ok(payload.len())).then_some(())?;
    serde_json::from_slice(payload).ok()
}
