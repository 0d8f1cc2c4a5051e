//! What the user configured: read once, judged when it is needed, never a reason to fail at construction.

mod environment;
mod read;
mod setup;

pub use environment::Environment;
pub use setup::{DriverKind, Generation, Github, Setup};
