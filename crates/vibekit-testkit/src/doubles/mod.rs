//! Servers that stand in for services, and a proxy that makes the way to them unreliable.
//!
//! A double speaks the wire of the real service and runs commands for real, in the process of a Rust test or, as a program of
//! its own (`src/bin`), beside tests in JavaScript. It keeps what it was asked, so that two clients can be compared by their
//! requests.

pub mod daytona;
mod double;
pub mod e2b;
pub mod faults;
mod log;
mod memory;
mod multipart;
pub mod northflank;
mod play;
mod room;
/// Answers given instead of a double's own.
pub mod scripted;
mod serve;
pub mod tls;
pub mod way;

pub use double::{Answer, Ask, Double, Frame, Line, RequestLog};
pub use log::{Log, Logged};
pub use memory::{Memory, Odds};
pub use play::{Play, Player};
pub use room::Room;
pub use serve::{Served, serve};
