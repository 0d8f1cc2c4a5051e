//! Text for shells (the only place that knows how to quote) and other encodings of text.

mod base64;
mod json;
mod percent;
mod quote;

pub use base64::base64;
pub(crate) use json::push_literal;
pub use percent::percent;
pub use quote::{double_quote, is_plain, quote};
