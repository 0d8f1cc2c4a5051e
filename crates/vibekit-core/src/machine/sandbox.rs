//! The life of sandboxes: open, hand out, pause, close, let go, lose.

use serde_json::Value;

use super::slot::{Phase, Slot};
use super::{Alarm, Ask, AskKind, Kind, Machine, killed, limits, timed_out};
use crate::protocol::{OpId, Opened, Ticket};
use crate::session::Record;
use crate::{Action, Code, Error, Result};

impl Machine {
    /// Puts a call where it gets a sandbox as soon as there is one.
    pub(super) fn want(&mut self, op: OpId) {
        self.queue.push_back(op);
        self.pump();
    }

    /// Moves queued calls on, as far as the current slot lets them.
    pub(super) fn pump(&mut self) {
        if self.queue.is_empty() || self.disposing {
            return;
        }
        let ticket = match self.current {
            Some(current) => current,
            None => {
                let resume = self.next_session().map(str::to_owned);
                self.open(resume)
            }
        };
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        if !slot.accepts() {
            return;
        }
        let calls = std::mem::take(&mut self.queue);
        if slot.phase == Phase::Opening {
            slot.waiting.extend(calls);
        } else {
            for op in calls {
                self.enter(op, ticket);
            }
        }
    }

    pub(super) fn open(&mut self, resume: Option<String>) -> Ticket {
        let ticket = self.number();
        self.act(Action::Open {
            ticket,
            resume: resume.clone(),
            env: self.setup.sandbox_env(),
            agent: self.setup.agent().map_or("", |agent| agent.kind.as_str()).to_owned(),
            working_directory: self.setup.working_directory().to_owned(),
        });
        let alarm = self.arm(limits::OPEN, Alarm::Open(ticket));
        self.slots.insert(ticket, Slot::opening(resume, alarm));
        self.current = Some(ticket);
        ticket
    }

    pub(super) fn opened(&mut self, ticket: Ticket, result: Result<Opened>) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        if !matches!(slot.phase, Phase::Opening | Phase::Abandoned) {
            return;
        }
        let alarm = slot.alarm.take();
        let opened = match result {
            Ok(opened) => opened,
            Err(error) => {
                self.disarm(alarm);
                return self.open_failed(ticket, error);
            }
        };
        let abandoned = slot.phase == Phase::Abandoned;
        slot.phase = Phase::Live;
        slot.id = opened.sandbox_id.filter(|id| !id.is_empty()).or_else(|| slot.resume.clone());
        slot.record = Record::read(opened.record.as_deref());
        slot.cloned = slot.record.cloned;
        let doomed = slot.doomed;
        let waiting = std::mem::take(&mut slot.waiting);
        // All at once: when the first of them fails at once, the others still keep the sandbox.
        slot.users.extend(&waiting);
        slot.paused = opened.paused;
        slot.read_only = opened.read_only;
        self.disarm(alarm);
        if self.current == Some(ticket) && !doomed {
            self.report_session();
        }
        if doomed {
            return self.close(ticket);
        }
        if abandoned || self.disposing {
            return self.let_go(ticket);
        }
        for op in waiting {
            self.enter(op, ticket);
        }
        self.next_control(ticket);
        self.retire_if_done(ticket);
    }

    fn open_failed(&mut self, ticket: Ticket, error: Error) {
        let Some(slot) = self.slots.remove(&ticket) else { return };
        if self.current == Some(ticket) {
            self.current = None;
        }
        let gone = error.code == Code::SessionNotFound;
        if gone {
            if self.lost == slot.resume {
                self.lost = None;
            }
            if slot.doomed && self.configured == slot.resume {
                // It was to be killed and is not there: done.
                self.configured = None;
            }
        }
        self.report_session();
        for op in slot.waiting {
            self.fail(op, error.clone());
        }
        for op in slot.closers {
            let done = gone || slot.resume.is_none() || !self.native();
            self.settle(op, if done { Ok(Value::Null) } else { Err(error.clone()) });
        }
        // Nothing is there to pause or to thaw.
        for op in slot.controls {
            self.settle(op, Ok(Value::Null));
        }
        self.pump();
    }

    pub(super) fn open_limit(&mut self, ticket: Ticket) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.alarm = None;
        slot.phase = Phase::Abandoned;
        // A kill that waited fails now. Should the answer come after all, a new sandbox is closed because nobody can find
        // it; a resumed one is released, because somebody may be using the session again by then.
        slot.doomed = false;
        let waiting = std::mem::take(&mut slot.waiting);
        let closers = std::mem::take(&mut slot.closers);
        let controls = std::mem::take(&mut slot.controls);
        if self.current == Some(ticket) {
            self.current = None;
        }
        self.report_session();
        let error = timed_out("Opening the sandbox", limits::OPEN);
        for op in waiting {
            self.fail(op, error.clone());
        }
        for op in closers.into_iter().chain(controls) {
            self.settle(op, Err(error.clone()));
        }
        self.pump();
    }

    /// A call gets its sandbox.
    fn enter(&mut self, op: OpId, ticket: Ticket) {
        let Some(entering) = self.ops.get_mut(&op) else { return };
        entering.slot = Some(ticket);
        let port = match &entering.kind {
            Kind::Host(port) => Some(port.clone()),
            Kind::Sandbox => return self.settle(op, Ok(ticket.into())),
            _ => None,
        };
        if let Some(slot) = self.slots.get_mut(&ticket) {
            slot.users.insert(op);
        }
        match port {
            Some(port) => {
                let ask = self.ask(AskKind::Host, ticket, Some(op), limits::CONTROL);
                self.act(Action::Host { ticket: ask, sandbox: ticket, op, port });
            }
            None => self.start_work(op),
        }
    }

    fn ask(&mut self, kind: AskKind, slot: Ticket, op: Option<OpId>, limit: u64) -> Ticket {
        let ticket = self.number();
        let alarm = self.arm(limit, Alarm::Ask(ticket));
        self.asks.insert(ticket, Ask { kind, slot, op, alarm: Some(alarm) });
        ticket
    }

    pub(super) fn next_control(&mut self, ticket: Ticket) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        if slot.phase != Phase::Live || slot.control.is_some() {
            return;
        }
        let Some(op) = slot.controls.pop_front() else { return };
        let thaw = matches!(self.ops.get(&op).map(|op| &op.kind), Some(Kind::Thaw));
        let kind = if thaw { AskKind::Thaw } else { AskKind::Pause };
        let ask = self.ask(kind, ticket, Some(op), limits::PAUSE);
        if let Some(op) = self.ops.get_mut(&op) {
            op.slot = Some(ticket);
        }
        if let Some(slot) = self.slots.get_mut(&ticket) {
            slot.control = Some(ask);
            slot.users.insert(op);
        }
        self.act(if thaw {
            Action::Thaw { ticket: ask, sandbox: ticket }
        } else {
            Action::Pause { ticket: ask, sandbox: ticket }
        });
    }

    pub(super) fn close(&mut self, ticket: Ticket) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.phase = Phase::Closing;
        let ask = self.ask(AskKind::Close, ticket, None, limits::CLOSE);
        self.act(Action::Close { ticket: ask, sandbox: ticket });
    }

    pub(super) fn done(&mut self, ticket: Ticket, result: Result<Value>) {
        let Some(ask) = self.asks.remove(&ticket) else { return };
        self.disarm(ask.alarm);
        match (ask.kind, result) {
            (AskKind::Close, Ok(_)) => self.closed(ask.slot),
            (AskKind::Close, Err(error)) => {
                if ask.alarm.is_some() {
                    self.close_failed(ask.slot, error);
                }
            }
            (AskKind::Host, result) => self.settle_asker(&ask, result),
            (AskKind::Pause | AskKind::Thaw, result) => {
                let result = result.map(|value| {
                    self.controlled(ask.slot, ask.kind == AskKind::Pause, &value);
                    Value::Null
                });
                self.control_over(ask.slot, ticket);
                self.settle_asker(&ask, result);
                self.next_control(ask.slot);
            }
        }
    }

    fn settle_asker(&mut self, ask: &Ask, result: Result<Value>) {
        if let Some(op) = ask.op {
            self.settle(op, result);
        }
    }

    /// The sandbox was paused or thawed.
    fn controlled(&mut self, ticket: Ticket, paused: bool, value: &Value) {
        let native = self.native();
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.paused = paused;
        if !paused && !native {
            // The driver has replaced the instance; the new one's id is what is reported (contract, 3.6).
            slot.id = value.as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        }
        let users: Vec<_> = slot.users.iter().copied().collect();
        for op in users {
            if paused { self.stop_clock(op) } else { self.start_clock(op) }
        }
        if self.current == Some(ticket) {
            self.report_session();
        }
    }

    fn control_over(&mut self, ticket: Ticket, ask: Ticket) {
        if let Some(slot) = self.slots.get_mut(&ticket)
            && slot.control == Some(ask)
        {
            slot.control = None;
        }
    }

    pub(super) fn ask_limit(&mut self, ticket: Ticket) {
        let Some(ask) = self.asks.get_mut(&ticket) else { return };
        ask.alarm = None;
        let (kind, slot, op) = (ask.kind, ask.slot, ask.op.take());
        match kind {
            AskKind::Close => self.close_failed(slot, timed_out("Killing the sandbox", limits::CLOSE)),
            AskKind::Host => {
                self.asks.remove(&ticket);
                if let Some(op) = op {
                    self.settle(op, Err(timed_out("getHost", limits::CONTROL)));
                }
            }
            AskKind::Pause | AskKind::Thaw => {
                let what = if kind == AskKind::Pause { "pause" } else { "resume" };
                self.control_over(slot, ticket);
                if let Some(op) = op {
                    self.settle(op, Err(timed_out(what, limits::PAUSE)));
                }
                self.next_control(slot);
            }
        }
    }

    /// The sandbox is gone because it was killed.
    fn closed(&mut self, ticket: Ticket) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        // Calls that fail below still number their last events in it.
        slot.phase = Phase::Closing;
        let id = slot.id.clone();
        let users = std::mem::take(&mut slot.users);
        slot.cloning = None;
        if self.current == Some(ticket) {
            self.current = None;
        }
        if id.is_some() {
            if self.configured == id {
                self.configured = None;
            }
            if self.lost == id {
                self.lost = None;
            }
            if self.disposing && self.reported == id {
                self.report(None);
            }
        }
        self.report_session();
        for op in users {
            self.fail(op, killed());
        }
        let Some(slot) = self.remove_slot(ticket) else { return };
        for op in slot.closers.into_iter().chain(slot.controls) {
            self.settle(op, Ok(Value::Null));
        }
        self.pump();
    }

    fn close_failed(&mut self, ticket: Ticket, error: Error) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        if slot.phase != Phase::Closing {
            return;
        }
        slot.phase = Phase::Live;
        slot.doomed = false;
        let closers = std::mem::take(&mut slot.closers);
        if closers.is_empty() {
            slot.close_failures += 1;
        }
        if let Some(lost) = slot.lost.take() {
            self.sandbox_lost(ticket, lost);
        }
        for op in closers {
            self.settle(op, Err(error.clone()));
        }
        if self.current == Some(ticket) {
            self.report_session();
            self.pump();
        }
        self.next_control(ticket);
        self.retire_if_done(ticket);
    }

    /// Lets go of a slot that is not current and has nothing left to do.
    pub(super) fn retire_if_done(&mut self, ticket: Ticket) {
        if self.current == Some(ticket) {
            return;
        }
        let Some(slot) = self.slots.get(&ticket) else { return };
        let idle = slot.users.is_empty()
            && slot.waiting.is_empty()
            && slot.controls.is_empty()
            && slot.closers.is_empty();
        if slot.phase == Phase::Live && idle {
            self.let_go(ticket);
        }
    }

    /// Releases a live slot, or closes it when releasing would lose it for ever.
    pub(super) fn let_go(&mut self, ticket: Ticket) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        if slot.phase != Phase::Live || slot.alarm.is_some() {
            return;
        }
        if slot.can_be_found_again() {
            self.remove_slot(ticket);
            self.act(Action::Release { sandbox: ticket });
            return;
        }
        match slot.close_failures.checked_sub(1).map(|tried| limits::CLOSE_RETRIES.get(tried)) {
            None => self.close(ticket),
            Some(Some(&delay)) => {
                let alarm = self.arm(delay, Alarm::CloseAgain(ticket));
                if let Some(slot) = self.slots.get_mut(&ticket) {
                    slot.alarm = Some(alarm);
                }
            }
            Some(None) => {
                self.remove_slot(ticket);
                self.act(Action::Release { sandbox: ticket });
            }
        }
    }

    pub(super) fn close_again(&mut self, ticket: Ticket) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.alarm = None;
        self.close(ticket);
    }

    /// Forgets a slot and every question about it.
    fn remove_slot(&mut self, ticket: Ticket) -> Option<Slot> {
        let slot = self.slots.remove(&ticket)?;
        if self.current == Some(ticket) {
            self.current = None;
        }
        self.disarm(slot.alarm);
        let asks: Vec<_> =
            self.asks.iter().filter(|(_, ask)| ask.slot == ticket).map(|(&ask, _)| ask).collect();
        for ask in asks {
            if let Some(ask) = self.asks.remove(&ask) {
                self.disarm(ask.alarm);
            }
        }
        Some(slot)
    }

    pub(super) fn sandbox_lost(&mut self, ticket: Ticket, error: Error) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        match slot.phase {
            Phase::Opening | Phase::Abandoned => {
                return self.opened(ticket, Err(error));
            }
            Phase::Closing => {
                // The answer to the kill tells whether the session is gone too; it will come, or its limit.
                slot.lost = Some(error);
                return;
            }
            Phase::Live => {}
        }
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        // Calls that fail below still number their last events in it.
        slot.phase = Phase::Closing;
        let id = slot.id.clone();
        let users = std::mem::take(&mut slot.users);
        let controls = std::mem::take(&mut slot.controls);
        slot.cloning = None;
        if self.current == Some(ticket) {
            self.current = None;
            if self.configured.is_none() {
                self.lost.clone_from(&id);
            }
        }
        self.report_session();
        let mut failure = Error::new(Code::SandboxLost, format!("The sandbox was lost: {}", error.message))
            .with_hint("The next call resumes the session.")
            .caused_by(error);
        if let Some(id) = id {
            failure = failure.with("sandboxId", id);
        }
        for op in users.into_iter().chain(controls) {
            self.fail(op, failure.clone());
        }
        self.remove_slot(ticket);
        self.act(Action::Release { sandbox: ticket });
        self.pump();
    }
}
