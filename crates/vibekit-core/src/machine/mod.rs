//! The session machine: one per VibeKit object.
//!
//! # Sandboxes
//!
//! A sandbox is a *slot*, named by the ticket of the `Open` that asked for it. At most one slot is *current*: it takes new
//! work. A switch of sessions takes the current slot out of its place; calls that began in it finish in it, then it
//! is released (or closed, when nobody could ever find it again). Calls that find no current slot open one, and all that
//! come meanwhile share it. Calls that find it being killed wait for that and then go on as if they came later.
//!
//! # Where output goes
//!
//! | object | call | stdout and messages | stderr, native | stderr, JavaScript | failure | prefix of failures |
//! |---|---|---|---|---|---|---|
//! | config | `executeCommand` | `stdout` `update` | `stderr` `update` | `stdout` `update` | `error` | `Failed to execute command: ` |
//! | config | `generateCode` | `stdout` `update` | `stderr` | `stdout` `update` | `error` | `Failed to generate code: ` |
//! | fluent | `executeCommand` | `stdout` | `stderr` | `stdout` | `stderr` | `Failed to execute command: ` |
//! | fluent | `generateCode` | `stdout` `update` | `stderr` | `stdout` `update` | `stderr` | `Failed to execute command: ` |
//! | fluent, GitHub | `generateCode` | `update` | `stderr` | `update` | `error` | `Failed to generate code: ` |
//!
//! "Messages" are the envelopes `start`, `git` and `end`. `generateCode` on native providers also gives `event`.
//! Listeners' callbacks get what is on `update` (`onUpdate`) and `error` (`onError`).
//!
//! Calls that are scripts (`createPullRequest`, `pushToBranch`, `mergePullRequest`, `cloneRepository`) fail without a message
//! and without a sentence around the failure. `runTests` of fluent objects is as `fluent, GitHub`.
//!
//! # Failures
//!
//! A failure of the command, the agent or the provider is wrapped in the sentence of the table, with the original as its
//! cause and the original's code. What the machine itself decides (`ABORTED`, `TIMEOUT`, `SANDBOX_KILLED`, `SANDBOX_PAUSED`,
//! `SANDBOX_LOST`, `DISPOSED`) keeps its own sentence. Whatever output is held is delivered before a failure.

mod calls;
mod flags;
pub mod limits;
mod output;
mod plan;
mod sandbox;
mod script;
mod slot;
mod steps;
mod work;

pub use plan::Plan;

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::config::{DriverKind, Setup};
use crate::protocol::{Channel, Input, OpId, Ticket, TimerId};
use crate::{Action, Code, Error, Result};
use slot::{Phase, Slot};
use work::Work;

/// Decides; see the crate's documentation. Drivers call [`Machine::handle`] and then [`Machine::poll`] until it is empty.
pub struct Machine {
    setup: Setup,
    now: u64,
    last_number: u32,
    random: Random,
    actions: VecDeque<Action>,
    ops: BTreeMap<OpId, Op>,
    slots: BTreeMap<Ticket, Slot>,
    /// The slot that takes new work.
    current: Option<Ticket>,
    /// Calls that wait until the current slot is gone, to go on with its successor.
    queue: VecDeque<OpId>,
    /// Runs whose end matters to somebody.
    runs: BTreeMap<Ticket, OpId>,
    asks: BTreeMap<Ticket, Ask>,
    alarms: BTreeMap<TimerId, Alarm>,
    /// The session the user set.
    configured: Option<String>,
    /// The session whose sandbox went away by itself; the next call resumes it.
    lost: Option<String>,
    /// What the last [`Action::Session`] said.
    reported: Option<String>,
    /// The branch of the last call that had one, for `pushToBranch`.
    branch: Option<String>,
    /// Where that branch is worked on, if it has a directory of its own.
    worktree: Option<String>,
    /// The prompt of the last turn that succeeded, for the words of commits.
    task: Option<String>,
    /// Requests to services: whose they are.
    requests: BTreeMap<Ticket, OpId>,
    /// Flags the installed agent was found to refuse.
    dropped_flags: Vec<String>,
    /// What the record says about the agent's program was compared with it.
    compared: bool,
    /// The agent's program was asked for its flags.
    asked_flags: bool,
    disposing: bool,
    /// Disposes that wait for slots and stopped runs to be gone.
    disposers: Vec<OpId>,
    /// Runs that were stopped for a dispose and have not ended yet.
    stopping: std::collections::BTreeSet<Ticket>,
}

/// A call in flight.
struct Op {
    kind: Kind,
    /// The sandbox it works in.
    slot: Option<Ticket>,
}

enum Kind {
    /// Calls that do something.
    Work(Box<Work>),
    Kill,
    Pause,
    Thaw,
    Host(Value),
    Sandbox,
    Dispose,
}

/// A question to the provider.
struct Ask {
    kind: AskKind,
    slot: Ticket,
    op: Option<OpId>,
    /// Gone once the limit was reached: the answer then only serves to know the truth.
    alarm: Option<TimerId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskKind {
    Close,
    Pause,
    Thaw,
    Host,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
enum Alarm {
    Open(Ticket),
    CloseAgain(Ticket),
    Ask(Ticket),
    /// The limit of the call's current run.
    Run(OpId),
    /// A stopped run of the call did not end.
    Stop(OpId),
    /// The limit of the call's request, or the end of its pause.
    Pending(OpId),
    Dispose(OpId),
    /// Runs stopped for a dispose did not end.
    DisposeStops,
}

impl Machine {
    /// A machine that has done nothing yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let configured = setup.session_id().map(str::to_owned);
        let random = Random(setup.random());
        Self {
            setup,
            now: 0,
            last_number: 0,
            random,
            actions: VecDeque::new(),
            ops: BTreeMap::new(),
            slots: BTreeMap::new(),
            current: None,
            queue: VecDeque::new(),
            runs: BTreeMap::new(),
            asks: BTreeMap::new(),
            alarms: BTreeMap::new(),
            reported: configured.clone(),
            configured,
            lost: None,
            branch: None,
            worktree: None,
            task: None,
            requests: BTreeMap::new(),
            dropped_flags: Vec::new(),
            compared: false,
            asked_flags: false,
            disposing: false,
            disposers: Vec::new(),
            stopping: std::collections::BTreeSet::new(),
        }
    }

    /// Takes another setup, as fluent objects may be completed after a call failed. Ignored (false) once a sandbox was
    /// asked for: from then on the agent is fixed.
    pub fn reconfigure(&mut self, setup: Setup) -> bool {
        let untouched = self.last_number == 0 && self.ops.is_empty() && !self.disposing;
        if untouched {
            if let Some(id) = setup.session_id() {
                self.configured = Some(id.to_owned());
                self.reported.clone_from(&self.configured);
            }
            self.random = Random(setup.random());
            self.setup = setup;
        }
        untouched
    }

    /// The line a JavaScript provider would run for a prompt, without the leading `cd`: upstream's `getCommandConfig`.
    /// `None` while the agent cannot be used.
    #[must_use]
    pub fn shell_command(setup: &Setup, prompt: &str, mode: crate::protocol::Mode) -> Option<String> {
        let agent = setup.agent()?;
        Some(crate::agents::shell_command(agent, prompt, mode, &[], work::route(setup)))
    }

    /// The current session id.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.reported.as_deref()
    }

    /// What the machine was told about its user.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Nothing is in flight and no timer is armed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.ops.is_empty()
            && self.asks.is_empty()
            && self.alarms.is_empty()
            && self.runs.is_empty()
            && self.requests.is_empty()
    }

    /// Takes an input. `now_ms` is the driver's clock in milliseconds; it must not go backwards (if it does, it counts as
    /// standing still). It is the epoch's wherever events are to carry real times.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        self.now = self.now.max(now_ms);
        match input {
            Input::Call { op, call } => self.call(op, call),
            Input::Cancel { op } => self.cancel(op),
            Input::Opened { ticket, result } => self.opened(ticket, result),
            Input::Done { ticket, result } => self.done(ticket, result),
            Input::Ran { op, ticket, result } => self.ran(op, ticket, result),
            Input::Answered { ticket, result } => self.answered(ticket, result),
            Input::Timer { timer } => self.timer(timer),
            Input::Lost { ticket, error } => self.sandbox_lost(ticket, error),
        }
        self.dispose_progress();
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn native(&self) -> bool {
        self.setup.driver() == DriverKind::Native
    }

    fn number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn emit(&mut self, op: OpId, channels: &[Channel], text: String) {
        let Some((last, rest)) = channels.split_last() else { return };
        for &channel in rest {
            self.act(Action::Emit { op, channel, text: text.clone() });
        }
        self.act(Action::Emit { op, channel: *last, text });
    }

    fn arm(&mut self, after_ms: u64, alarm: Alarm) -> TimerId {
        let timer = self.number();
        self.alarms.insert(timer, alarm);
        self.act(Action::Arm { timer, after_ms });
        timer
    }

    fn disarm(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer
            && self.alarms.remove(&timer).is_some()
        {
            self.act(Action::Disarm { timer });
        }
    }

    fn timer(&mut self, timer: TimerId) {
        match self.alarms.remove(&timer) {
            Some(Alarm::Open(slot)) => self.open_limit(slot),
            Some(Alarm::CloseAgain(slot)) => self.close_again(slot),
            Some(Alarm::Ask(ticket)) => self.ask_limit(ticket),
            Some(Alarm::Run(op)) => self.run_limit(op),
            Some(Alarm::Stop(op)) => self.stop_limit(op),
            Some(Alarm::Pending(op)) => self.pending_limit(op),
            Some(Alarm::Dispose(op)) => self.settle(op, Ok(Value::Null)),
            Some(Alarm::DisposeStops) => self.stopping.clear(),
            None => {}
        }
    }

    /// Ends a call. Unknown and ended calls are left alone, so every path may settle what it knows of.
    fn settle(&mut self, op: OpId, result: Result<Value>) {
        self.end(op, Action::Settle { op, result });
    }

    /// Ends a call with the action that says so.
    fn end(&mut self, op: OpId, outcome: Action) {
        let Some(ended) = self.ops.remove(&op) else { return };
        if let Kind::Work(work) = ended.kind {
            if let Some(run) = work.run {
                self.runs.remove(&run.ticket);
                self.disarm(run.alarm);
            }
            if let Some(pending) = work.pending {
                self.forget(pending);
            }
        }
        self.queue.retain(|&queued| queued != op);
        self.disposers.retain(|&disposer| disposer != op);
        let alarms: Vec<_> = self
            .alarms
            .iter()
            .filter(|(_, alarm)| matches!(alarm, Alarm::Dispose(of) if *of == op))
            .map(|(&timer, _)| timer)
            .collect();
        for timer in alarms {
            self.disarm(Some(timer));
        }
        for slot in self.slots.values_mut() {
            slot.users.remove(&op);
            slot.waiting.retain(|&waiting| waiting != op);
            slot.controls.retain(|&control| control != op);
            slot.parked.retain(|&parked| parked != op);
        }
        self.act(outcome);
        if let Some(slot) = ended.slot {
            self.cloning_over(op, slot);
        }
        if let Some(slot) = ended.slot {
            self.retire_if_done(slot);
        }
    }

    /// Tells the driver when the session id has changed.
    fn report_session(&mut self) {
        if self.disposing {
            // The id stays readable, for the object that goes on with the session.
            return;
        }
        let session = match self.current.and_then(|current| self.slots.get(&current)) {
            Some(slot) if matches!(slot.phase, Phase::Live | Phase::Closing) => slot.id.clone(),
            _ => self.next_session().map(str::to_owned),
        };
        if session.is_some() {
            for slot in self.slots.values_mut() {
                slot.told |= slot.id == session;
            }
        }
        self.report(session);
    }

    fn report(&mut self, session: Option<String>) {
        if session != self.reported {
            self.reported.clone_from(&session);
            self.act(Action::Session { id: session });
        }
    }

    /// What the next open resumes.
    fn next_session(&self) -> Option<&str> {
        self.configured.as_deref().or(self.lost.as_deref())
    }
}

/// Random bits from the driver's seed (SplitMix64 over both halves).
struct Random(u128);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let mut bits = (self.0 >> 64) as u64 ^ self.0 as u64;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    }

    /// A version 4 UUID, lower case.
    fn uuid(&mut self) -> String {
        let high = self.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000;
        let low = self.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFFF,
            low >> 48,
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

fn aborted() -> Error {
    Error::new(Code::Aborted, "The operation was aborted")
}

fn disposed() -> Error {
    Error::new(Code::Disposed, "This VibeKit object was disposed")
        .with_hint("Make a new one; setSession() continues the same session.")
}

fn killed() -> Error {
    Error::new(Code::SandboxKilled, "The sandbox was killed while the call was waiting or running")
}

fn timed_out(what: &str, limit: u64) -> Error {
    Error::new(Code::Timeout, format!("{what} took longer than {limit} ms")).with("limit", limit).retryable()
}
