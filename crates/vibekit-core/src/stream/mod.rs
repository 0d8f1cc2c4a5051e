//! Output on its way from a process to listeners: bytes to text, text to messages, text to lines.
//!
//! Everything here is incremental and linear: a unit is looked at once however the input was cut, and any cutting of
//! the input gives the same messages (for [`Live`]: up to where plain text is cut).
//!
//! | piece | takes | gives |
//! |---|---|---|
//! | [`Utf8`] | bytes, cut anywhere | text; what is not UTF-8 becomes U+FFFD |
//! | [`Live`] | text | plain text at once, JSON objects at the start of a line whole |
//! | [`Cutter`] | UTF-16 units | where the messages of the TypeScript SDK begin and end, plus the text it lost |
//! | [`Compat`] | UTF-16 units | the same messages, with their text |
//! | [`Lines`] | text | lines for an agent's decoder |

mod compat;
mod cutter;
mod json;
mod lines;
mod live;
mod search;
mod unit;
mod utf8;

pub use compat::Compat;
pub use cutter::{Cut, Cutter};
pub use json::{Inside, Json, Verdict};
pub use lines::Lines;
pub use live::Live;
pub(crate) use search::string_end;
pub use utf8::Utf8;

/// Units held back at most while a message or line is incomplete: 256 Mi. Beyond that the held text is handed on as it
/// is, so a stream that never completes anything cannot exhaust memory.
pub const HOLD_LIMIT: usize = 256 << 20;
