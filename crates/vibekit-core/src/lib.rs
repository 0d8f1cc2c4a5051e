//! The session machine of vibekit-native.
//!
//! # Design
//!
//! This crate decides everything and does nothing. Whatever happens to a VibeKit object is an [`Input`]
//! (a call, a chunk of output, an exit, a timer, a cancel); whatever it wants done is an [`Action`] (open a
//! sandbox, run a command, emit an event, arm a timer, settle a call). Drivers carry actions out: one steps
//! JavaScript providers synchronously, one runs native providers on tokio, one is a simulator with a seed.
//!
//! Time, randomness, ids, environment variables and files reach the crate only as inputs. It depends on no
//! runtime, no socket and no JavaScript engine, and CI checks that its dependency tree stays that way.

#![forbid(unsafe_code)]

pub mod agents;
pub mod command;
pub mod config;
pub mod error;
pub mod event;
pub mod git;
pub mod github;
pub mod http;
pub mod machine;
pub mod model;
pub mod protocol;
mod script;
pub mod session;
pub mod stream;
pub mod text;
mod turn;
pub mod worktree;

pub use command::{Command, Exit, Invocation, Program, Stdin, Stopped, Stream};
pub use config::Setup;
pub use error::{Admitted, Code, Error, Result};
pub use machine::Machine;
pub use protocol::{Action, Call, Input};
