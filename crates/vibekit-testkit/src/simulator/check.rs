//! What must hold, judged from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use vibekit_core::protocol::{Action, Call, Channel, Mode, OpId, Ticket};
use vibekit_core::{Command, Program};

/// A check failed.
#[derive(Debug)]
pub struct Broken {
    /// Reproduces it.
    pub seed: u64,
    /// What does not hold.
    pub what: String,
    /// Everything that happened, one line each.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        for line in &self.trace {
            writeln!(f, "  {line}")?;
        }
        write!(f, "replay with VIBEKIT_SIM_SEED={}", self.seed)
    }
}

/// What `executeCommand` is called with.
pub(super) const USER_COMMAND: &str = "make test";

const SECOND: u64 = 1_000;
const OPEN: u64 = 600 * SECOND;
const ANSWER: u64 = 60 * SECOND;

/// How far a sandbox is, as the actions and their answers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Opening,
    Failed,
    Attached,
    Closed,
    Released,
    Lost,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) asked_at: u64,
    pub(super) resume: Option<String>,
    pub(super) id: Option<String>,
    /// Its commands can be held to reading.
    reads: bool,
    /// Number of the call that switched away from it.
    left_at: Option<u64>,
}

impl Slot {
    /// The machine may have given up waiting for it.
    fn overdue(&self, now: u64) -> bool {
        self.state == State::Opening && now >= self.asked_at + OPEN
    }

    fn over(&self) -> bool {
        matches!(self.state, State::Failed | State::Closed | State::Released | State::Lost)
    }
}

#[derive(Debug)]
struct Known {
    kind: &'static str,
    at: u64,
    number: u64,
    paused_before: u64,
    limit: Option<u64>,
    /// It is to change no file.
    reads: bool,
    settled: bool,
    sandbox: Option<Ticket>,
    /// `kill`: the sandbox it is about.
    victim: Option<Ticket>,
    turns: u64,
    finished: u64,
    last_event: String,
}

/// The observer.
#[derive(Debug, Default)]
pub(super) struct Check {
    now: u64,
    calls: BTreeMap<OpId, Known>,
    numbers: u64,
    pub(super) slots: BTreeMap<Ticket, Slot>,
    /// The slot that takes new work.
    latest: Option<Ticket>,
    runs: BTreeSet<Ticket>,
    timers: BTreeSet<u32>,
    killed: BTreeSet<String>,
    session: Option<String>,
    pub(super) told: BTreeSet<String>,
    events: BTreeMap<String, BTreeSet<u64>>,
    /// Milliseconds a sandbox was paused so far, for limits that stop then.
    paused_total: u64,
    paused_since: Option<u64>,
    native: bool,
    disposed: bool,
}

type Verdict = Result<(), String>;

impl Check {
    pub(super) fn new(native: bool, session: Option<String>) -> Self {
        Self { native, told: session.iter().cloned().collect(), session, ..Self::default() }
    }

    pub(super) fn time(&mut self, now: u64) {
        self.now = now;
    }

    pub(super) fn paused(&mut self, paused: bool) {
        match (paused, self.paused_since) {
            (true, None) => self.paused_since = Some(self.now),
            (false, Some(since)) => {
                self.paused_total += self.now - since;
                self.paused_since = None;
            }
            _ => {}
        }
    }

    fn paused_so_far(&self) -> u64 {
        self.paused_total + self.paused_since.map_or(0, |since| self.now - since)
    }

    pub(super) fn pending(&self) -> Vec<OpId> {
        self.calls.iter().filter(|(_, call)| !call.settled).map(|(&op, _)| op).collect()
    }

    /// Whether calls work on in a sandbox that was left.
    pub(super) fn pending_elsewhere(&self) -> bool {
        self.calls.values().any(|call| !call.settled && call.sandbox.is_some() && call.sandbox != self.latest)
    }

    pub(super) fn kind(&self, op: OpId) -> &'static str {
        self.calls.get(&op).map_or("unknown", |call| call.kind)
    }

    pub(super) fn latest_attached(&self) -> Option<Ticket> {
        self.latest.filter(|latest| self.slots.get(latest).is_some_and(|slot| slot.state == State::Attached))
    }

    // ---- what goes in ----------------------------------------------------------------------------------------------

    pub(super) fn call(&mut self, op: OpId, call: &Call) {
        self.numbers += 1;
        let (kind, limit) = match call {
            Call::GenerateCode { timeout_ms, .. } => ("generateCode", *timeout_ms),
            Call::ExecuteCommand { timeout_ms, .. } => ("executeCommand", *timeout_ms),
            Call::SetSession { .. } => ("setSession", None),
            Call::Kill => ("kill", None),
            Call::Pause => ("pause", None),
            Call::Resume => ("resume", None),
            Call::GetHost { .. } => ("getHost", None),
            Call::Dispose => ("dispose", None),
            _ => ("unknown", None),
        };
        let reads = matches!(
            call,
            Call::GenerateCode { mode: Some(Mode::Ask), .. } | Call::ExecuteCommand { read_only: true, .. }
        );
        let victim = self.latest.filter(|latest| {
            self.slots.get(latest).is_some_and(|slot| !slot.over() && !slot.overdue(self.now))
        });
        self.calls.insert(
            op,
            Known {
                kind,
                at: self.now,
                number: self.numbers,
                paused_before: self.paused_so_far(),
                limit,
                reads,
                settled: false,
                sandbox: None,
                victim: victim.filter(|_| kind == "kill"),
                turns: 0,
                finished: 0,
                last_event: String::new(),
            },
        );
        match call {
            Call::SetSession { id } if !self.disposed => {
                self.killed.remove(id);
                let about = self
                    .slots
                    .iter()
                    .filter(|(_, slot)| !slot.over() && !slot.overdue(self.now))
                    .find(|(_, slot)| {
                        slot.id.as_ref() == Some(id)
                            || (slot.state == State::Opening && slot.resume.as_ref() == Some(id))
                    })
                    .map(|(&ticket, _)| ticket);
                if about != self.latest {
                    if let Some(slot) = self.latest.and_then(|latest| self.slots.get_mut(&latest)) {
                        slot.left_at = Some(self.numbers);
                    }
                    if let Some(slot) = about.and_then(|about| self.slots.get_mut(&about)) {
                        slot.left_at = None;
                    }
                    self.latest = about;
                }
            }
            Call::Dispose => self.disposed = true,
            _ => {}
        }
    }

    pub(super) fn opened(&mut self, ticket: Ticket, id: Option<Option<String>>) {
        if self.latest == Some(ticket) && self.slots.get(&ticket).is_some_and(|slot| slot.overdue(self.now)) {
            self.latest = None;
            if let Some(slot) = self.slots.get_mut(&ticket) {
                slot.left_at = Some(0);
            }
        }
        if let Some(slot) = self.slots.get_mut(&ticket) {
            match id {
                Some(id) => {
                    slot.state = State::Attached;
                    slot.id = id.or_else(|| slot.resume.clone());
                }
                None => slot.state = State::Failed,
            }
        }
    }

    pub(super) fn reads(&mut self, ticket: Ticket, reads: bool) {
        if let Some(slot) = self.slots.get_mut(&ticket) {
            slot.reads = reads;
        }
    }

    pub(super) fn closed(&mut self, sandbox: Ticket) {
        if let Some(slot) = self.slots.get_mut(&sandbox)
            && slot.state == State::Attached
        {
            slot.state = State::Closed;
            self.killed.extend(slot.id.clone());
        }
    }

    pub(super) fn lost(&mut self, sandbox: Ticket) {
        if let Some(slot) = self.slots.get_mut(&sandbox)
            && slot.state == State::Attached
        {
            slot.state = State::Lost;
        }
    }

    pub(super) fn renamed(&mut self, sandbox: Ticket, id: Option<String>) {
        if let Some(slot) = self.slots.get_mut(&sandbox) {
            slot.id = id;
        }
    }

    pub(super) fn timer_fired(&mut self, timer: u32) {
        self.timers.remove(&timer);
    }

    // ---- what comes out --------------------------------------------------------------------------------------------

    pub(super) fn action(&mut self, action: &Action) -> Verdict {
        match action {
            Action::Open { ticket, resume, .. } => self.open(*ticket, resume.clone()),
            Action::Run { op, ticket, sandbox, command, .. } => {
                self.attached(*sandbox, "Run")?;
                self.run(*op, *ticket, *sandbox)?;
                self.held_to_reading(*op, *sandbox, command)?;
                if let (Program::Exec { .. }, Some(call)) = (&command.program, self.calls.get_mut(op)) {
                    call.turns = 1;
                }
                Ok(())
            }
            Action::Stop { ticket } => {
                ensure(self.native, || "a JavaScript provider's run cannot be stopped".to_owned())?;
                ensure(self.runs.contains(ticket), || format!("Stop of unknown run {ticket}"))
            }
            Action::Close { sandbox, .. } => self.attached(*sandbox, "Close"),
            Action::Pause { sandbox, .. } => self.attached(*sandbox, "Pause"),
            Action::Thaw { sandbox, .. } => self.attached(*sandbox, "Thaw"),
            Action::Host { sandbox, op, .. } => {
                self.attached(*sandbox, "Host")?;
                self.work_in(*op, *sandbox)
            }
            Action::Remember { sandbox, .. } => self.attached(*sandbox, "Remember"),
            Action::Release { sandbox } => {
                let Some(slot) = self.slots.get_mut(sandbox) else {
                    return Err(format!("Release of unknown sandbox {sandbox}"));
                };
                match slot.state {
                    State::Attached => slot.state = State::Released,
                    State::Lost => {}
                    state => return Err(format!("Release of sandbox {sandbox}, which is {state:?}")),
                }
                Ok(())
            }
            Action::Flush { op } => {
                ensure(!self.is_settled(*op), || format!("output of call {op} wanted after it was settled"))
            }
            Action::Emit { op, channel, text } => self.emission(*op, *channel, text),
            Action::Session { id } => {
                ensure(*id != self.session, || "Session without a change".to_owned())?;
                self.session.clone_from(id);
                self.told.extend(id.clone());
                Ok(())
            }
            Action::Arm { timer, .. } => {
                ensure(self.timers.insert(*timer), || format!("timer {timer} armed twice"))
            }
            Action::Disarm { timer } => {
                ensure(self.timers.remove(timer), || format!("timer {timer} disarmed but not armed"))
            }
            Action::Answer { op, sandbox_id, .. } => {
                ensure(!self.native, || {
                    format!("call {op} of a native provider has no answer of a JavaScript one")
                })?;
                // The answer's id is how its caller finds the sandbox again.
                self.told.extend(sandbox_id.clone());
                self.settle(*op, true)
            }
            Action::Settle { op, result } => {
                let details = match result {
                    Ok(value) => value.get("sandboxId").cloned(),
                    Err(error) => error.details.get("sandboxId").cloned(),
                };
                if let Some(Value::String(id)) = details {
                    self.told.insert(id);
                }
                self.settle(*op, result.is_ok())
            }
        }
    }

    fn open(&mut self, ticket: Ticket, resume: Option<String>) -> Verdict {
        if let Some((latest, slot)) = self.latest.and_then(|latest| self.slots.get_key_value(&latest)) {
            ensure(slot.over() || slot.overdue(self.now), || {
                format!("Open {ticket} while sandbox {latest} takes new work: {slot:?}")
            })?;
        }
        ensure(!self.disposed, || "Open after a dispose".to_owned())?;
        let slot =
            Slot { state: State::Opening, asked_at: self.now, resume, id: None, reads: false, left_at: None };
        ensure(self.slots.insert(ticket, slot).is_none(), || format!("ticket {ticket} used twice"))?;
        self.latest = Some(ticket);
        Ok(())
    }

    fn attached(&self, sandbox: Ticket, what: &str) -> Verdict {
        let state = self.slots.get(&sandbox).map(|slot| slot.state);
        ensure(state == Some(State::Attached), || format!("{what} for sandbox {sandbox}, which is {state:?}"))
    }

    fn run(&mut self, op: OpId, ticket: Ticket, sandbox: Ticket) -> Verdict {
        ensure(self.runs.insert(ticket), || format!("run {ticket} used twice"))?;
        self.work_in(op, sandbox)
    }

    /// What is to change nothing is held to that wherever it can be, and nothing else is.
    fn held_to_reading(&self, op: OpId, sandbox: Ticket, command: &Command) -> Verdict {
        let able = self.slots.get(&sandbox).is_some_and(|slot| slot.reads);
        let Some(call) = self.calls.get(&op) else { return Ok(()) };
        let user = matches!(&command.program, Program::Shell(line) if line == USER_COMMAND);
        let agent = self.native && matches!(command.program, Program::Exec { .. });
        ensure(command.read_only == (call.reads && able && (user || agent)), || {
            format!("call {op}, which may only read: {}, ran {command:?}", call.reads)
        })?;
        ensure(!(user && call.reads) || able, || format!("call {op} ran without being held to reading"))
    }

    fn work_in(&mut self, op: OpId, sandbox: Ticket) -> Verdict {
        let Some(call) = self.calls.get_mut(&op) else { return Err(format!("work for unknown call {op}")) };
        ensure(!call.settled, || format!("work for settled call {op}"))?;
        match call.sandbox {
            None => {
                call.sandbox = Some(sandbox);
                let left = self.slots.get(&sandbox).and_then(|slot| slot.left_at);
                ensure(left.is_none_or(|left| left >= call.number), || {
                    format!("call {op} got sandbox {sandbox}, which was left before it came")
                })
            }
            Some(known) => {
                ensure(known == sandbox, || format!("call {op} changed from sandbox {known} to {sandbox}"))
            }
        }
    }

    pub(super) fn is_settled(&self, op: OpId) -> bool {
        self.calls.get(&op).is_some_and(|call| call.settled)
    }

    pub(super) fn emission(&mut self, op: OpId, channel: Channel, text: &str) -> Verdict {
        let Some(call) = self.calls.get_mut(&op) else {
            return Err(format!("emission for unknown call {op}"));
        };
        ensure(!call.settled, || format!("emission for call {op} after it was settled: {text:?}"))?;
        ensure(!text.is_empty(), || "empty emission".to_owned())?;
        if channel != Channel::Event {
            return Ok(());
        }
        let event: Value =
            serde_json::from_str(text).map_err(|error| format!("event is no JSON: {error}"))?;
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        ensure(call.finished == 0, || format!("event {kind} of call {op} after its finished event"))?;
        call.finished += u64::from(kind == "finished");
        call.last_event = kind;
        let session = event["sessionId"].as_str().unwrap_or_default().to_owned();
        let number = event["seq"].as_u64().unwrap_or_default();
        ensure(self.events.entry(session.clone()).or_default().insert(number), || {
            format!("event number {number} of session {session:?} given twice: {text}")
        })
    }

    fn settle(&mut self, op: OpId, ok: bool) -> Verdict {
        let paused = self.paused_so_far();
        let Some(call) = self.calls.get_mut(&op) else { return Err(format!("settled unknown call {op}")) };
        ensure(!call.settled, || format!("call {op} settled twice"))?;
        call.settled = true;
        ensure(call.finished == call.turns, || {
            format!(
                "call {op} ran an agent and gave {} finished events, last {:?}",
                call.finished, call.last_event
            )
        })?;
        let bound = match call.kind {
            "setSession" => 0,
            "dispose" => ANSWER,
            "kill" => OPEN + ANSWER,
            // Behind others of their kind, one answer each.
            "pause" | "resume" => OPEN + 40 * ANSWER,
            "getHost" => 2 * (OPEN + ANSWER) + ANSWER,
            // Waiting for a sandbox to go and another to come, helper commands, and the work with its repetitions.
            _ => {
                2 * (OPEN + ANSWER)
                    + 12_000 * SECOND
                    + 6 * (call.limit.unwrap_or(3_600 * SECOND) + 15 * SECOND)
            }
        };
        let took = (self.now - call.at).saturating_sub(paused - call.paused_before);
        // Limit 0 is none: the world ends such runs at some time.
        ensure(call.limit == Some(0) || took <= bound, || {
            format!("{} {op} took {took} ms, {bound} allowed", call.kind)
        })?;
        if let (true, Some(victim)) = (ok, call.victim) {
            let slot = self.slots.get(&victim);
            let gone = slot.is_none_or(|slot| {
                matches!(slot.state, State::Closed | State::Failed | State::Lost) || slot.overdue(self.now)
            });
            ensure(gone, || format!("kill {op} succeeded, but sandbox {victim} is {slot:?}"))?;
        }
        Ok(())
    }

    // ---- always ----------------------------------------------------------------------------------------------------

    pub(super) fn step(&self, session: Option<&str>) -> Verdict {
        ensure(session == self.session.as_deref(), || {
            format!("session() is {session:?}, the actions said {:?}", self.session)
        })?;
        ensure(!session.is_some_and(|id| self.killed.contains(id)), || {
            format!("session() names {session:?}, which was killed")
        })
    }

    /// Nothing will happen any more.
    pub(super) fn quiet(&self) -> Verdict {
        let pending = self.pending();
        ensure(pending.is_empty(), || {
            let kinds: Vec<_> = pending.iter().map(|&op| format!("{} {op}", self.kind(op))).collect();
            format!("hangs: {}", kinds.join(", "))
        })?;
        ensure(self.timers.is_empty(), || format!("timers left: {:?}", self.timers))?;
        for (ticket, slot) in &self.slots {
            let current = self.latest == Some(*ticket) && !self.disposed;
            ensure(slot.state != State::Attached || current, || {
                format!("sandbox {ticket} is neither in use nor let go: {slot:?}")
            })?;
        }
        Ok(())
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}
