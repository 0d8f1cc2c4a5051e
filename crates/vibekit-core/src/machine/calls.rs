//! Public calls and their cancellation.

use serde_json::Value;

use super::slot::Phase;
use super::work::{Why, Work, route};
use super::{Alarm, Kind, Machine, Op, aborted, disposed, killed, limits};
use crate::agents::{self, Credentials, Route};
use crate::config::Generation;
use crate::protocol::{Call, OpId};
use crate::{Action, Error, Result};

impl Machine {
    pub(super) fn call(&mut self, op: OpId, call: Call) {
        if self.ops.contains_key(&op) {
            return;
        }
        if let Err(error) = self.admit(&call) {
            return self.act(Action::Settle { op, result: Err(error) });
        }
        match call {
            Call::GenerateCode { .. } | Call::ExecuteCommand { .. } => {
                let work = Work::new(&self.setup, call, self.now);
                self.begin(op, Kind::Work(Box::new(work)));
                self.want(op);
            }
            Call::GetHost { port } => {
                self.begin(op, Kind::Host(port));
                self.want(op);
            }
            Call::GetSandbox => {
                self.begin(op, Kind::Sandbox);
                self.want(op);
            }
            Call::SetSession { id } => {
                let result = self.set_session(id).map(|()| Value::Null);
                self.act(Action::Settle { op, result });
            }
            Call::Kill => {
                self.begin(op, Kind::Kill);
                self.kill(op);
            }
            Call::Pause => {
                self.begin(op, Kind::Pause);
                self.control(op);
            }
            Call::Resume => {
                self.begin(op, Kind::Thaw);
                self.control(op);
            }
            Call::Dispose => {
                self.begin(op, Kind::Dispose);
                self.dispose(op);
            }
        }
    }

    /// Whether the call may be made at all.
    fn admit(&self, call: &Call) -> Result<()> {
        if matches!(call, Call::Dispose) {
            return Ok(());
        }
        if self.disposing {
            return Err(disposed());
        }
        match call {
            Call::GenerateCode { .. }
            | Call::ExecuteCommand { .. }
            | Call::GetHost { .. }
            | Call::GetSandbox => {
                self.setup.check_work()?;
                if let Call::GenerateCode { agent_level, .. } = call {
                    self.check_credential(*agent_level)?;
                }
                self.setup.check_openable()
            }
            Call::SetSession { .. } => self.setup.check_session_access(),
            _ => match self.setup.generation() {
                Generation::Config => self.setup.check_session_access(),
                // Upstream resolves these without an agent.
                Generation::Fluent => Ok(()),
            },
        }
    }

    /// Fluent objects may be without a credential as long as they only run commands. The command flow of JavaScript
    /// providers is a command (contract, 3.3).
    fn check_credential(&self, agent_level: bool) -> Result<()> {
        let command = !self.native() && !agent_level && route(&self.setup) == Route::Fluent;
        match self.setup.agent() {
            Some(agent) if !command => {
                agents::validate(agent.clone(), Credentials::Required, &|_| None).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, op: OpId, kind: Kind) {
        self.ops.insert(op, Op { kind, slot: None });
    }

    /// Switches sessions at once, whatever is going on.
    fn set_session(&mut self, id: String) -> Result<()> {
        if id.is_empty() {
            return Err(Error::invalid(
                "sessionId",
                "is empty",
                "Pass the id that getSession() gave; to begin a new session, make a new VibeKit object.",
            ));
        }
        self.lost = None;
        // A sandbox of that session may be here already: the current one, one that was left and still has work in it, or one
        // that is being killed, which must be over before the session is asked for again.
        let here = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.phase != Phase::Abandoned)
            .find(|(_, slot)| match slot.phase {
                Phase::Opening => slot.resume.as_ref() == Some(&id),
                _ => slot.id.as_ref() == Some(&id),
            })
            .map(|(&ticket, _)| ticket);
        self.configured = Some(id);
        if here != self.current {
            let left = std::mem::replace(&mut self.current, here);
            if let Some(left) = left {
                self.retire_if_done(left);
            }
        }
        self.report_session();
        self.pump();
        Ok(())
    }

    fn kill(&mut self, op: OpId) {
        if self.current.is_none()
            && self.native()
            && self.setup.check_openable().is_ok()
            && let Some(session) = self.next_session().map(str::to_owned)
        {
            // Nothing is attached, but the user means this session: attach in order to kill it.
            let ticket = self.open(Some(session));
            if let Some(slot) = self.slots.get_mut(&ticket) {
                slot.doomed = true;
            }
        }
        let Some(ticket) = self.current else {
            return self.settle(op, Ok(Value::Null));
        };
        if let Some(op) = self.ops.get_mut(&op) {
            op.slot = Some(ticket);
        }
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.closers.push(op);
        match slot.phase {
            Phase::Live => self.close(ticket),
            Phase::Opening => {
                slot.doomed = true;
                for waiting in std::mem::take(&mut slot.waiting) {
                    self.fail(waiting, killed());
                }
            }
            // Closing is shared; an abandoned slot is never current.
            Phase::Closing | Phase::Abandoned => {}
        }
    }

    /// Pause or thaw.
    fn control(&mut self, op: OpId) {
        let Some(ticket) = self.current else {
            return self.settle(op, Ok(Value::Null));
        };
        if let Some(op) = self.ops.get_mut(&op) {
            op.slot = Some(ticket);
        }
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.controls.push_back(op);
        self.next_control(ticket);
    }

    fn dispose(&mut self, op: OpId) {
        let first = !std::mem::replace(&mut self.disposing, true);
        self.disposers.push(op);
        self.arm(limits::DISPOSE, Alarm::Dispose(op));
        if !first {
            return;
        }
        let others: Vec<_> =
            self.ops.iter().filter(|(_, op)| !matches!(op.kind, Kind::Dispose)).map(|(&op, _)| op).collect();
        for other in others {
            if self.native() {
                self.stop_for_dispose(other);
            }
            self.fail(other, disposed());
        }
        // Nothing takes new work any more. Slots go as soon as nothing runs in them.
        self.current = None;
    }

    /// Lets go of slots once nothing runs in them, and settles disposes once all are gone. Called after every input.
    pub(super) fn dispose_progress(&mut self) {
        if !self.disposing {
            return;
        }
        if self.stopping.is_empty() {
            let slots: Vec<_> = self.slots.keys().copied().collect();
            for ticket in slots {
                self.let_go(ticket);
            }
        }
        if self.slots.is_empty() {
            for op in std::mem::take(&mut self.disposers) {
                self.settle(op, Ok(Value::Null));
            }
        }
    }

    pub(super) fn cancel(&mut self, op: OpId) {
        // A run that can be stopped ends the call when it has ended.
        if !self.stop(op, Why::Cancelled) {
            self.fail(op, aborted());
        }
    }
}
