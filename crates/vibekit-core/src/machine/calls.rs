//! Public calls and their cancellation.

use serde_json::Value;

use super::slot::Phase;
use super::work::{Why, Work, route};
use super::{Alarm, Kind, Machine, Op, aborted, disposed, killed, limits};
use crate::agents::{self, Credentials, Route};
use crate::config::Generation;
use crate::protocol::{Call, OpId};
use crate::{Action, Code, Error, Result, git};

impl Machine {
    pub(super) fn call(&mut self, op: OpId, call: Call) {
        if self.ops.contains_key(&op) {
            return;
        }
        if let Err(error) = self.admit(&call) {
            return self.act(Action::Settle { op, result: Err(error) });
        }
        match call {
            Call::PushToBranch { branch, variables } => {
                let branch = branch.filter(|branch| !branch.is_empty()).or_else(|| self.branch.clone());
                self.work_on(op, Call::PushToBranch { branch, variables });
            }
            Call::GenerateCode { .. }
            | Call::ExecuteCommand { .. }
            | Call::CreatePullRequest { .. }
            | Call::MergePullRequest(_)
            | Call::CloneRepository { .. } => self.work_on(op, call),
            Call::SetGithub { token, repository } => {
                self.setup.set_github(token, repository);
                self.act(Action::Settle { op, result: Ok(Value::Null) });
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

    fn work_on(&mut self, op: OpId, call: Call) {
        let sandbox = !matches!(call, Call::MergePullRequest(_));
        let Some(work) = Work::new(&self.setup, call, self.now) else { return };
        self.begin(op, Kind::Work(Box::new(work)));
        if sandbox {
            self.want(op);
        } else {
            self.start_script(op);
        }
    }

    /// Whether the call may be made at all.
    pub(super) fn admit(&self, call: &Call) -> Result<()> {
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
            | Call::GetSandbox
            | Call::CreatePullRequest { .. }
            | Call::PushToBranch { .. }
            | Call::CloneRepository { .. } => {
                self.setup.check_work()?;
                self.check_github(call)?;
                if let Call::GenerateCode { agent_level, .. } = call {
                    self.check_credential(*agent_level)?;
                }
                Ok(())
            }
            Call::SetSession { .. } => self.setup.check_session_access(),
            Call::SetGithub { .. } => Ok(()),
            _ => match self.setup.generation() {
                Generation::Config => self.setup.check_session_access(),
                // Upstream resolves these without an agent.
                Generation::Fluent => Ok(()),
            },
        }
    }

    /// What the calls about repositories need, before any sandbox is touched.
    fn check_github(&self, call: &Call) -> Result<()> {
        let missing = |message: &str| Err(Error::new(Code::InvalidArgument, message));
        match call {
            Call::CreatePullRequest { target, .. } => {
                if self.setup.github_token().is_some() && self.repository(target.as_deref()).is_some() {
                    return Ok(());
                }
                if self.setup.generation() == Generation::Config || self.setup.mentions_github() {
                    return missing(
                        "GitHub configuration is required for creating pull requests. Please provide githubToken and repoUrl in your configuration.",
                    );
                }
                missing(
                    "GitHub token and repository are required for creating pull requests. Please provide GH_TOKEN in secrets and repository parameter.",
                )
            }
            Call::PushToBranch { branch, .. } => {
                let branch = branch.as_deref().filter(|branch| !branch.is_empty()).or(self.branch.as_deref());
                match branch {
                    Some(branch) => git::check_branch(branch),
                    None => missing(
                        "No branch specified. Either pass a branch name or call generateCode with a branch first.",
                    ),
                }
            }
            Call::CloneRepository { directory: Some(directory), .. } if directory.starts_with('-') => {
                Err(Error::invalid("directoryPath", "begins with '-'", "Use an absolute path."))
            }
            _ => Ok(()),
        }
    }

    /// The repository a pull request is for. For an object made from a configuration that has one, a text stands for the
    /// directory of the project (contract, 10.4).
    pub(super) fn repository<'a>(&'a self, target: Option<&'a str>) -> Option<&'a str> {
        let target = target.filter(|target| !target.is_empty());
        match self.setup.generation() {
            Generation::Fluent => target.or(self.setup.repository()),
            Generation::Config => self.setup.repository().or(target),
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
