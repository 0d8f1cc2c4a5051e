//! What is stored with a sandbox so that another process goes on where this one stopped.

mod record;

pub use record::{Conversation, Installed, Record};
