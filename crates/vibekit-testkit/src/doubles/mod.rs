//! Servers that stand in for services, and a proxy that makes the way to them unreliable.
//!
//! A double runs in the process of a Rust test or, as a program of its own (`src/bin`), beside tests in JavaScript. It keeps
//! what it was asked, so that two clients can be compared by their requests.

pub mod e2b;
pub mod faults;
mod log;
mod scripted;

pub use log::{Log, Logged};
pub use scripted::{Answer, Scripted};
