use std::fmt::Write;

use crate::stream::string_end;

/// Appends a JSON string literal. What needs no escape, nearly everything, is copied in one piece.
pub(crate) fn push_literal(json: &mut String, text: &str) {
    json.reserve(text.len() + 2);
    json.push('"');
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(string_end(rest.as_bytes()));
        json.push_str(plain);
        let Some(unit) = special.chars().next() else { break };
        match unit {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            // Writing to a string cannot fail.
            control => drop(write!(json, "\\u{:04x}", u32::from(control))),
        }
        // All of them are ASCII.
        rest = &special[1..];
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn writes_what_a_serialiser_writes(text in "[\\x00-\\x7f\u{e9}\u{2713}\u{1f600}]{0,80}") {
            let mut json = String::new();
            push_literal(&mut json, &text);
            prop_assert_eq!(json, serde_json::Value::String(text).to_string());
        }
    }
}
