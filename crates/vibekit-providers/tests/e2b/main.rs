//! E2B over its double: what goes wrong, and what is told of it.
//!
//! `VIBEKIT_FAULT_CASES` sets how many conversations are broken, `VIBEKIT_FAULT_SEED` plays one of them again.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]
#![cfg(target_os = "linux")]

mod faults;
mod life;
mod refusals;
mod sabotage;
mod stage;
mod support;
mod tcp;
