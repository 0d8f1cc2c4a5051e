//! What is known of a call before it is made.
//!
//! A command with nothing special about it, in a sandbox of a JavaScript provider that is there, always comes to the same:
//! a message, `mkdir`, the command, a message, the answer. And it leaves no trace: the machine is afterwards as it was. So the
//! machine can tell in advance what it would want done. A driver that follows the plan says nothing to the machine unless
//! something else happens meanwhile; then it first feeds what has happened so far, and drops the actions it has carried out
//! (`Stepped::adopt` of the driver).

use super::script::{begin_end_message, inside, start_message};
use super::slot::Phase;
use super::work::Work;
use super::{Machine, limits};
use crate::git::clone::mkdir_line;
use crate::protocol::{Call, Channel, Ticket};

/// What `executeCommand` with a line, a limit and `background` comes to, as long as the machine gets no other input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Ticket of the [`crate::Action::Open`] that made the sandbox.
    pub sandbox: Ticket,
    /// Its id, which is part of the answer.
    pub sandbox_id: Option<String>,
    /// Where messages and output go.
    pub channels: &'static [Channel],
    /// The message the call begins with.
    pub start: Option<String>,
    /// The line that makes the working directory. If it fails, the plan is over.
    pub mkdir: String,
    /// Its limit in milliseconds.
    pub mkdir_limit: u64,
    /// What stands before the caller's line.
    pub before: String,
    /// Milliseconds, when the caller sets no limit.
    pub limit: u64,
    /// The message the call ends with: this, the JSON of the provider's answer as a JSON string, and a brace.
    pub end: String,
}

impl Machine {
    /// The plan, if there is one. It holds until the machine gets an input other than the end of a run.
    #[must_use]
    pub fn plan(&self) -> Option<Plan> {
        if self.native() || self.disposing || !self.queue.is_empty() {
            return None;
        }
        let ticket = self.current?;
        let slot = self.slots.get(&ticket)?;
        // Only where a call changes nothing about the sandbox.
        let settled = slot.phase == Phase::Live
            && slot.told == slot.id.is_some()
            && !slot.paused
            && slot.control.is_none()
            && slot.controls.is_empty();
        if !settled {
            return None;
        }
        let call = Call::command(String::new(), None, false);
        self.admit(&call).ok()?;
        let work = Work::new(&self.setup, call, self.now)?;
        let directory = self.setup.working_directory();
        let mut end = String::new();
        begin_end_message(&mut end, slot.id.as_deref());
        Some(Plan {
            sandbox: ticket,
            sandbox_id: slot.id.clone(),
            channels: work.voice.messages,
            start: slot.id.as_deref().filter(|_| self.configured.is_none()).map(start_message),
            mkdir: mkdir_line(directory),
            mkdir_limit: limits::MKDIR,
            before: inside(directory),
            limit: limits::RUN,
            end,
        })
    }
}
