//! Failures as data: the only place where an error of the core becomes something JavaScript can read.

use serde::Deserialize;
use serde_json::Value;
use vibekit_core::{Code, Error, Result};

/// JSON of a failure, for `revive` in `lib/errors.js`.
pub(crate) fn json(error: &Error) -> String {
    serde_json::to_string(error)
        .unwrap_or_else(|_| r#"{"code":"INTERNAL","message":"Internal error"}"#.to_owned())
}

/// Reads JSON the shim wrote. What does not fit is a defect of the shim or a value it passed through unchecked.
pub(crate) fn read<'text, T: Deserialize<'text>>(text: &'text str, what: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Error::new(Code::InvalidType, format!("{what} is not usable: {error}")))
}

/// Like [`read`], for values that are inspected further.
pub(crate) fn read_value(text: &str, what: &str) -> Result<Value> {
    read(text, what)
}
