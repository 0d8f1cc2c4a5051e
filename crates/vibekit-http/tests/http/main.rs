//! The clients against servers on loopback that answer late, half, wrongly or not at all.
#![allow(clippy::unwrap_used, missing_docs)]

mod limits;
mod proxy;
mod redact;
mod retry;
mod support;
mod tls;
mod ws;
