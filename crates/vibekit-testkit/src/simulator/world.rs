//! Providers, agents and time, none of them reliable.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vibekit_core::protocol::{Call, Channel, Emission, OpId, Opened, Report, Ticket, TimerId};
use vibekit_core::stream::Compat;
use vibekit_core::{Action, Code, Command, Error, Exit, Input, Machine, Program, Setup, Stopped, Stream};

use super::Subject;
use super::check::{Broken, Check};
use super::user::{self, Deed};
use crate::Rng;

/// What kind of object is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavour {
    /// Native provider, or a JavaScript one.
    pub native: bool,
    /// `new VibeKit(config)`, or fluent.
    pub config: bool,
    /// With a repository.
    pub github: bool,
}

/// What a history was made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Public calls.
    pub calls: u64,
    /// Inputs the machine got.
    pub inputs: u64,
    /// Sandboxes asked for.
    pub opens: u64,
    /// Commands run.
    pub runs: u64,
    /// Virtual milliseconds.
    pub time: u64,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.inputs += other.inputs;
        self.opens += other.opens;
        self.runs += other.runs;
        self.time += other.time;
    }
}

/// Plays the history of a seed.
///
/// # Errors
///
/// The first thing that did not hold.
pub fn simulate(seed: u64) -> Result<Outcome, Broken> {
    simulate_with(seed, |machine| Box::new(machine))
}

/// Plays the history of a seed with something around the machine.
///
/// # Errors
///
/// The first thing that did not hold.
pub fn simulate_with(
    seed: u64,
    subject: impl FnOnce(Machine) -> Box<dyn Subject>,
) -> Result<Outcome, Broken> {
    let mut rng = Rng::new(seed);
    let flavour = Flavour { native: rng.chance(60), config: rng.chance(50), github: rng.chance(30) };
    let session = rng.chance(30).then(|| user::FOREIGN[0].to_owned());
    let agent = *rng.pick(&["claude", "codex", "gemini", "grok", "opencode"]).unwrap_or(&"claude");
    let mut config = json!({
        "agent": { "type": agent, "model": { "apiKey": "key" }, "apiKey": "key" },
        "environment": { "local": {} },
        "secrets": { "S": "secret" },
        "sessionId": session,
    });
    if flavour.github {
        config["github"] = json!({ "token": "ghp_secret", "repository": "owner/repo" });
    }
    let setup = Setup::parse(&json!({
        "generation": if flavour.config { "config" } else { "fluent" },
        "driver": if flavour.native { "native" } else { "javascript" },
        "config": config,
        "env": {},
        "random": format!("{seed:032x}"),
    }));
    let mut world = World {
        subject: subject(Machine::new(setup)),
        check: Check::new(flavour.native, session),
        flavour,
        agent,
        rng,
        now: 1_000,
        order: 0,
        agenda: BTreeMap::new(),
        timers: BTreeMap::new(),
        boxes: user::FOREIGN.iter().map(|id| Sandbox::new(Some((*id).to_owned()), false)).collect(),
        attached: BTreeMap::new(),
        runs: BTreeMap::new(),
        close_faults: 0,
        ever_paused: false,
        next_op: 0,
        calls: BTreeMap::new(),
        seen: Vec::new(),
        trace: vec![format!("{flavour:?} agent {agent}")],
        outcome: Outcome::default(),
    };
    match world.play() {
        Ok(()) => Ok(world.outcome),
        Err(what) => Err(Broken { seed, what, trace: world.trace }),
    }
}

type Verdict = Result<(), String>;

#[derive(Debug)]
struct Sandbox {
    id: Option<String>,
    alive: bool,
    paused: bool,
    record: Option<String>,
    /// Made by the machine's wish.
    ours: bool,
    /// Ends of runs that wait for a thaw.
    frozen: Vec<Ticket>,
}

impl Sandbox {
    fn new(id: Option<String>, ours: bool) -> Self {
        Self { id, alive: true, paused: false, record: None, ours, frozen: Vec::new() }
    }
}

#[derive(Debug)]
struct Running {
    op: OpId,
    sandbox: usize,
    result: Result<Report, Error>,
    ended: bool,
    stopped: bool,
    /// JavaScript providers: where messages go, and the buffers of both streams.
    channels: Vec<Channel>,
    held: [Compat; 2],
}

#[derive(Debug)]
enum Event {
    Deed,
    Dispose,
    Timer(TimerId),
    /// The answer to an `Open` that does not fail.
    Open {
        ticket: Ticket,
        resume: Option<String>,
    },
    /// The effect of a `Close` and its answer.
    Close {
        ticket: Ticket,
        sandbox: Ticket,
        index: usize,
        answer: bool,
    },
    /// The effect of a `Pause` or `Thaw` and its answer.
    Control {
        ticket: Ticket,
        sandbox: Ticket,
        pause: bool,
    },
    Chunk {
        ticket: Ticket,
        stream: Stream,
        bytes: Vec<u8>,
    },
    RunEnd {
        ticket: Ticket,
    },
    Crash {
        sandbox: usize,
    },
    Input(Input),
}

struct World {
    subject: Box<dyn Subject>,
    check: Check,
    flavour: Flavour,
    agent: &'static str,
    rng: Rng,
    now: u64,
    order: u64,
    agenda: BTreeMap<(u64, u64), Event>,
    timers: BTreeMap<TimerId, (u64, u64)>,
    boxes: Vec<Sandbox>,
    /// The driver's map from the ticket of an `Open` to the sandbox.
    attached: BTreeMap<Ticket, usize>,
    runs: BTreeMap<Ticket, Running>,
    close_faults: u32,
    ever_paused: bool,
    next_op: OpId,
    calls: BTreeMap<OpId, &'static str>,
    seen: Vec<String>,
    trace: Vec<String>,
    outcome: Outcome,
}

impl World {
    fn play(&mut self) -> Verdict {
        let deeds = self.rng.between(1, 25);
        let mut at = self.now;
        for _ in 0..deeds {
            at += self.gap();
            self.at(at, Event::Deed);
        }
        if self.rng.chance(15) {
            let end = self.rng.between(self.now, at + 5_000);
            self.at(end, Event::Dispose);
        }
        self.run_dry()?;
        // Work in a paused sandbox rightly waits for ever; a user who wants it to end thaws the sandbox, or kills it.
        for round in 0..12 {
            if self.check.pending().is_empty() || !self.ever_paused {
                break;
            }
            self.call(if round < 8 { Call::Resume } else { Call::Kill })?;
            self.run_dry()?;
        }
        self.outcome.time = self.now;
        if self.ever_paused && self.check.pending_elsewhere() {
            // A sandbox that was left while it was paused holds its calls; only a return to its session thaws it.
            return Ok(());
        }
        self.check.quiet()?;
        self.no_orphans()
    }

    fn no_orphans(&self) -> Verdict {
        for (index, sandbox) in self.boxes.iter().enumerate() {
            let current = self.check.latest_attached().and_then(|latest| self.attached.get(&latest));
            let known = sandbox.id.as_ref().is_some_and(|id| self.check.told.contains(id));
            if sandbox.alive && sandbox.ours && current != Some(&index) && !known {
                return Err(format!("sandbox {:?} is alive and nobody can find it", sandbox.id));
            }
        }
        Ok(())
    }

    fn gap(&mut self) -> u64 {
        match self.rng.below(10) {
            0..3 => 0,
            3..7 => self.rng.between(1, 400),
            7..9 => self.rng.between(400, 20_000),
            _ => self.rng.between(20_000, 900_000),
        }
    }

    fn at(&mut self, time: u64, event: Event) -> (u64, u64) {
        self.order += 1;
        // Equal times in random order.
        let key = (time.max(self.now), self.rng.below(1 << 20) << 32 | self.order);
        self.agenda.insert(key, event);
        key
    }

    fn after(&mut self, delay: u64, event: Event) -> (u64, u64) {
        self.at(self.now + delay, event)
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        self.trace.push(format!("{now:>9} {}", line()));
    }

    fn run_dry(&mut self) -> Verdict {
        let mut steps = 0_u64;
        while let Some(((time, _), event)) = self.agenda.pop_first() {
            steps += 1;
            if steps > 100_000 {
                return Err("never comes to rest".to_owned());
            }
            self.now = time;
            self.check.time(time);
            self.event(event)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Verdict {
        match event {
            Event::Deed => {
                let pending = self.check.pending();
                let deed = user::deed(&mut self.rng, &self.seen, &pending, self.flavour.native);
                match deed {
                    Deed::Call(call) => self.call(call),
                    Deed::Cancel(op) => self.input(Input::Cancel { op }),
                }
            }
            Event::Dispose => self.call(Call::Dispose),
            Event::Timer(timer) => {
                self.timers.remove(&timer);
                self.check.timer_fired(timer);
                self.input(Input::Timer { timer })
            }
            Event::Open { ticket, resume } => self.open_answer(ticket, resume),
            Event::Close { ticket, sandbox, index, answer } => self.close_now(ticket, sandbox, index, answer),
            Event::Control { ticket, sandbox, pause } => self.control_now(ticket, sandbox, pause),
            Event::Chunk { ticket, stream, bytes } => self.chunk(ticket, stream, &bytes),
            Event::RunEnd { ticket } => self.run_end(ticket),
            Event::Crash { sandbox } => self.crash(sandbox),
            Event::Input(input) => self.input(input),
        }
    }

    fn call(&mut self, call: Call) -> Verdict {
        self.next_op += 1;
        let op = self.next_op;
        self.outcome.calls += 1;
        self.check.call(op, &call);
        self.calls.insert(op, self.check.kind(op));
        self.input(Input::Call { op, call })
    }

    fn input(&mut self, input: Input) -> Verdict {
        self.outcome.inputs += 1;
        if let Input::Opened { ticket, result: Err(_) } = &input {
            self.check.opened(*ticket, None);
        }
        self.note(|| format!("> {}", short(&format!("{input:?}"))));
        self.subject.handle(self.now, input);
        self.carry_out()
    }

    fn carry_out(&mut self) -> Verdict {
        while let Some(action) = self.subject.poll() {
            if !matches!(action, Action::Arm { .. } | Action::Disarm { .. }) {
                self.note(|| format!("    < {}", short(&format!("{action:?}"))));
            }
            self.check.action(&action)?;
            if let Action::Flush { op } = action {
                self.flush(op)?;
            } else {
                self.act(action);
            }
        }
        let session = self.subject.session();
        if let Some(id) = &session
            && !self.seen.contains(id)
        {
            self.seen.push(id.clone());
        }
        self.check.step(session.as_deref())
    }

    // ---- actions ---------------------------------------------------------------------------------------------------

    fn act(&mut self, action: Action) {
        match action {
            Action::Open { ticket, resume, .. } => {
                self.outcome.opens += 1;
                let delay = match self.rng.below(100) {
                    0..70 => self.rng.between(0, 300),
                    70..85 => self.rng.between(300, 30_000),
                    // Never at the limit itself, where either order is right.
                    85..92 => self.rng.between(590_000, 700_000) | 1,
                    92..95 => return,
                    _ => {
                        let delay = self.rng.between(0, 2_000);
                        let error = Error::new(Code::ProviderFailed, "no room");
                        self.after(delay, Event::Input(Input::Opened { ticket, result: Err(error) }));
                        return;
                    }
                };
                self.after(delay, Event::Open { ticket, resume });
            }
            Action::Run { op, ticket, sandbox, command, channels, .. } => {
                self.start(op, ticket, sandbox, &command, channels);
            }
            Action::Stop { ticket } => self.stop(ticket),
            Action::Close { ticket, sandbox } => {
                let Some(&index) = self.attached.get(&sandbox) else { return };
                let mut fate = self.rng.below(100);
                if self.close_faults >= 3 {
                    fate = 0;
                }
                self.close_faults += u32::from(fate >= 80);
                match fate {
                    0..80 => {
                        let delay = self.rng.between(0, 1_500);
                        self.after(delay, Event::Close { ticket, sandbox, index, answer: true });
                    }
                    80..88 => {
                        let delay = self.rng.between(0, 2_000);
                        let error = Error::new(Code::ProviderFailed, "cannot kill");
                        self.after(delay, Event::Input(Input::Done { ticket, result: Err(error) }));
                    }
                    88..95 => {
                        let delay = self.rng.between(59_000, 130_000);
                        self.after(delay, Event::Close { ticket, sandbox, index, answer: true });
                    }
                    95..98 => {
                        let delay = self.rng.between(0, 1_000);
                        self.after(delay, Event::Close { ticket, sandbox, index, answer: false });
                    }
                    _ => {}
                }
            }
            Action::Pause { ticket, sandbox } => self.control(ticket, sandbox, true),
            Action::Thaw { ticket, sandbox } => self.control(ticket, sandbox, false),
            Action::Host { ticket, .. } => {
                let result = match self.rng.below(100) {
                    0..85 => Ok(json!("localhost:3000")),
                    85..92 => Err(Error::new(Code::ProviderFailed, "no such port")),
                    _ => return,
                };
                let delay = self.delay();
                self.after(delay, Event::Input(Input::Done { ticket, result }));
            }
            Action::Release { sandbox } => {
                self.attached.remove(&sandbox);
            }
            Action::Remember { sandbox, record } => {
                if let Some(&index) = self.attached.get(&sandbox) {
                    self.boxes[index].record = Some(record);
                }
            }
            Action::Arm { timer, after_ms } => {
                let key = self.after(after_ms, Event::Timer(timer));
                self.timers.insert(timer, key);
            }
            Action::Disarm { timer } => {
                if let Some(key) = self.timers.remove(&timer) {
                    self.agenda.remove(&key);
                }
            }
            Action::Emit { .. }
            | Action::Flush { .. }
            | Action::Session { .. }
            | Action::Answer { .. }
            | Action::Settle { .. } => {}
        }
    }

    /// Quick mostly, late at times.
    fn delay(&mut self) -> u64 {
        match self.rng.below(20) {
            0..18 => self.rng.between(0, 500),
            18 => self.rng.between(500, 59_000),
            _ => self.rng.between(59_000, 90_000),
        }
    }

    fn open_answer(&mut self, ticket: Ticket, resume: Option<String>) -> Verdict {
        let known = resume.as_ref().and_then(|id| {
            self.boxes.iter().position(|sandbox| sandbox.alive && sandbox.id.as_ref() == Some(id))
        });
        let index = match (&resume, known) {
            // Some JavaScript providers answer a resume with a new sandbox.
            (Some(_), _) if !self.flavour.native && self.rng.chance(5) => self.create(true),
            (Some(_), Some(index)) => index,
            (Some(id), None) => {
                let error = Error::new(Code::SessionNotFound, format!("no session {id}"));
                return self.input(Input::Opened { ticket, result: Err(error) });
            }
            (None, _) => self.create(false),
        };
        self.attached.insert(ticket, index);
        let opened = Opened {
            sandbox_id: self.boxes[index].id.clone(),
            record: self.boxes[index].record.clone(),
            processes_lost: false,
            paused: self.flavour.native && self.boxes[index].paused,
            read_only: self.flavour.native && index % 4 != 1,
        };
        self.ever_paused |= opened.paused;
        self.check.opened(ticket, Some(opened.sandbox_id.clone()));
        self.check.reads(ticket, opened.read_only);
        if self.rng.chance(4) {
            let delay = self.rng.between(0, 20_000);
            self.after(delay, Event::Crash { sandbox: index });
        }
        self.input(Input::Opened { ticket, result: Ok(opened) })
    }

    /// Some JavaScript providers give no id to what they create; an answer to a resume without one counts as the
    /// session that was asked for, so only a fresh one may lack it.
    fn create(&mut self, named: bool) -> usize {
        let number = self.boxes.len();
        let nameless = !named && !self.flavour.native && self.rng.chance(8);
        self.boxes.push(Sandbox::new((!nameless).then(|| format!("lcl_{number}")), true));
        number
    }

    fn close_now(&mut self, ticket: Ticket, sandbox: Ticket, index: usize, answer: bool) -> Verdict {
        self.boxes[index].alive = false;
        self.boxes[index].paused = false;
        self.end_runs_of(index, 20);
        if !self.boxes.iter().any(|sandbox| sandbox.paused) {
            self.check.paused(false);
        }
        if answer {
            self.check.closed(sandbox);
            self.input(Input::Done { ticket, result: Ok(Value::Null) })?;
            self.attached.remove(&sandbox);
        }
        Ok(())
    }

    /// What runs in a sandbox that is gone ends badly, or nothing is heard of it any more.
    fn end_runs_of(&mut self, sandbox: usize, silent: u64) {
        let runs: Vec<_> = self
            .runs
            .iter()
            .filter(|(_, run)| run.sandbox == sandbox && !run.ended)
            .map(|(&ticket, _)| ticket)
            .collect();
        for ticket in runs {
            let silent = self.rng.chance(silent);
            let signal = self.rng.chance(50);
            let delay = self.rng.between(0, 200);
            if let Some(run) = self.runs.get_mut(&ticket) {
                run.result = if signal {
                    Ok(Report {
                        exit: Exit { code: 137, signal: Some(9), ..Exit::default() },
                        ..Report::default()
                    })
                } else {
                    Err(Error::new(Code::ProviderFailed, "connection lost"))
                };
            }
            self.boxes[sandbox].frozen.clear();
            if !silent {
                self.after(delay, Event::RunEnd { ticket });
            }
        }
    }

    fn control(&mut self, ticket: Ticket, sandbox: Ticket, pause: bool) {
        match self.rng.below(100) {
            0..88 => {
                let delay = self.delay();
                self.after(delay, Event::Control { ticket, sandbox, pause });
            }
            88..95 => {
                let delay = self.delay();
                let error = Error::new(Code::ProviderFailed, "cannot");
                self.after(delay, Event::Input(Input::Done { ticket, result: Err(error) }));
            }
            _ => {}
        }
    }

    fn control_now(&mut self, ticket: Ticket, sandbox: Ticket, pause: bool) -> Verdict {
        let mut value = Value::Null;
        self.ever_paused |= pause;
        if let Some(&index) = self.attached.get(&sandbox) {
            if self.boxes[index].alive {
                self.boxes[index].paused = pause;
                let any = self.boxes.iter().any(|sandbox| sandbox.paused);
                self.check.paused(any);
                if !pause {
                    for run in std::mem::take(&mut self.boxes[index].frozen) {
                        self.after(1, Event::RunEnd { ticket: run });
                    }
                }
            }
            if !pause && !self.flavour.native {
                self.check.renamed(sandbox, self.boxes[index].id.clone());
                value = self.boxes[index].id.clone().map_or(Value::Null, Value::String);
            }
        }
        self.input(Input::Done { ticket, result: Ok(value) })
    }

    fn crash(&mut self, sandbox: usize) -> Verdict {
        if !self.flavour.native || !self.boxes[sandbox].alive {
            return Ok(());
        }
        self.note(|| format!("! sandbox {sandbox} crashes"));
        // Files outlive a crash and make the session resumable. Of a sandbox nobody knows nothing runs any more, and its
        // files are the provider's to sweep.
        let known = self.boxes[sandbox].id.as_ref().is_some_and(|id| self.check.told.contains(id));
        self.boxes[sandbox].alive = self.rng.chance(70) && known;
        self.boxes[sandbox].paused = false;
        if !self.boxes.iter().any(|sandbox| sandbox.paused) {
            self.check.paused(false);
        }
        self.end_runs_of(sandbox, 50);
        let tickets: Vec<_> = self
            .attached
            .iter()
            .filter(|(_, attached)| **attached == sandbox)
            .map(|(&ticket, _)| ticket)
            .collect();
        for ticket in tickets {
            self.check.lost(ticket);
            let error = Error::new(Code::SandboxLost, "the init process ended");
            self.input(Input::Lost { ticket, error })?;
            self.attached.remove(&ticket);
        }
        Ok(())
    }

    // ---- runs ------------------------------------------------------------------------------------------------------

    fn start(
        &mut self,
        op: OpId,
        ticket: Ticket,
        sandbox: Ticket,
        command: &Command,
        channels: Vec<Channel>,
    ) {
        self.outcome.runs += 1;
        let Some(&index) = self.attached.get(&sandbox) else { return };
        let agent = matches!(command.program, Program::Exec { .. });
        let limit = command.timeout_ms.filter(|&limit| limit > 0);
        let mut took = match self.rng.below(20) {
            0..14 => self.rng.between(0, 3_000),
            14..18 => self.rng.between(3_000, 300_000),
            _ => self.rng.between(300_000, 8_000_000),
        };
        let mut result = match self.rng.below(100) {
            0..90 => Ok(Report::default()),
            90..94 => Err(Error::new(Code::SpawnFailed, "no such program")),
            _ => Err(Error::new(Code::ProviderFailed, "exit status 1").with("exitCode", 1)),
        };
        let mut lines = vec!["plain\n".to_owned(), "{\"a\":\"\u{e9}\u{1f600}\"}\n".to_owned()];
        let mut stderr = Vec::new();
        if let Ok(report) = &mut result {
            report.exit.code = *self.rng.pick(&[0, 0, 0, 0, 0, 1, 2, 127]).unwrap_or(&0);
            report.json = Some("{\"exitCode\":0}".to_owned());
            report.stdout = "kept".to_owned();
            if agent {
                lines.extend(agent_lines(self.agent));
                match self.rng.below(20) {
                    0 => {
                        lines.clear();
                        stderr.push("No conversation found with session ID: x\n".to_owned());
                        report.exit.code = 1;
                    }
                    1 => {
                        lines.clear();
                        stderr.push("error: unknown option '--verbose'\n".to_owned());
                        report.exit.code = 1;
                    }
                    _ => {}
                }
            }
            if let Some(limit) = limit.filter(|&limit| took > limit)
                && self.rng.chance(85)
            {
                took = limit + self.rng.between(0, 500);
                report.exit = Exit { code: 143, signal: Some(15), timed_out: true, ..Exit::default() };
            }
        }
        for (stream, lines) in [(Stream::Stdout, lines), (Stream::Stderr, stderr)] {
            self.schedule_output(ticket, stream, &lines.concat(), took);
        }
        let held = [Compat::new(), Compat::new()];
        let run = Running { op, sandbox: index, result, ended: false, stopped: false, channels, held };
        self.runs.insert(ticket, run);
        // Only a run with a limit may never end: without one the user is who ends it.
        if limit.is_none() || self.rng.chance(95) {
            self.after(took, Event::RunEnd { ticket });
        }
    }

    /// Output in chunks cut anywhere, some of it after the run is over.
    fn schedule_output(&mut self, ticket: Ticket, stream: Stream, text: &str, took: u64) {
        let mut bytes = text.as_bytes();
        let mut at = 0;
        let late = self.rng.chance(5);
        while !bytes.is_empty() {
            let size = usize::try_from(self.rng.between(1, 40)).unwrap_or(1).min(bytes.len());
            let (chunk, rest) = bytes.split_at(size);
            bytes = rest;
            at = self.rng.between(at, took.max(at));
            let delay = if late { at + 10 } else { at };
            // Of two events at one time the one asked for first must come first within a stream.
            self.order += 1;
            let key = (self.now + delay, self.order);
            self.agenda.insert(key, Event::Chunk { ticket, stream, bytes: chunk.to_vec() });
        }
    }

    fn chunk(&mut self, ticket: Ticket, stream: Stream, bytes: &[u8]) -> Verdict {
        let Some(run) = self.runs.get_mut(&ticket) else { return Ok(()) };
        let op = run.op;
        if run.ended {
            return Ok(());
        }
        if self.flavour.native {
            let mut out = Vec::new();
            self.subject.output(self.now, ticket, stream, bytes, &mut out);
            for Emission { channel, text } in out {
                self.check.emission(op, channel, &text)?;
            }
        } else {
            if self.check.is_settled(op) {
                return Ok(());
            }
            let units: Vec<u16> = String::from_utf8_lossy(bytes).encode_utf16().collect();
            let mut messages = Vec::new();
            run.held[usize::from(stream == Stream::Stderr)]
                .push(&units, &mut |message: &[u16]| messages.push(String::from_utf16_lossy(message)));
            for (channel, message) in spread(&run.channels, &messages) {
                self.check.emission(op, channel, message)?;
            }
        }
        self.carry_out()
    }

    fn flush(&mut self, op: OpId) -> Verdict {
        for run in self.runs.values_mut().filter(|run| run.op == op) {
            let mut messages = Vec::new();
            for held in &mut run.held {
                held.finish(&mut |message: &[u16]| messages.push(String::from_utf16_lossy(message)));
            }
            for (channel, message) in spread(&run.channels, &messages) {
                self.check.emission(op, channel, message)?;
            }
        }
        Ok(())
    }

    fn run_end(&mut self, ticket: Ticket) -> Verdict {
        let Some(run) = self.runs.get_mut(&ticket) else { return Ok(()) };
        let sandbox = run.sandbox;
        if run.ended {
            return Ok(());
        }
        if self.boxes[sandbox].paused && !run.stopped {
            self.boxes[sandbox].frozen.push(ticket);
            return Ok(());
        }
        run.ended = true;
        let op = run.op;
        let result = run.result.clone().map(Box::new);
        self.input(Input::Ran { op, ticket, result })
    }

    fn stop(&mut self, ticket: Ticket) {
        let fate = self.rng.below(100);
        let delay = match fate {
            0..80 => self.rng.between(0, 3_000),
            80..90 => self.rng.between(4_900, 20_000),
            _ => return,
        };
        let Some(run) = self.runs.get_mut(&ticket) else { return };
        run.stopped = true;
        if self.rng.chance(70) {
            let stopped = Stopped { processes: 2, names: vec!["sh".to_owned()], session_reset: false };
            run.result = Ok(Report {
                exit: Exit { code: 143, signal: Some(15), stopped: Some(stopped), ..Exit::default() },
                ..Report::default()
            });
        }
        self.after(delay, Event::RunEnd { ticket });
    }
}

/// Every message on every channel.
fn spread<'a>(channels: &'a [Channel], messages: &'a [String]) -> impl Iterator<Item = (Channel, &'a str)> {
    messages.iter().flat_map(|message| channels.iter().map(move |&channel| (channel, message.as_str())))
}

/// How a successful turn looks to the decoder.
fn agent_lines(agent: &str) -> Vec<String> {
    let lines: &[&str] = match agent {
        "claude" => &[
            r#"{"type":"system","subtype":"init","session_id":"native-1","model":"m","cwd":"/vibe0"}"#,
            r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"done"}]}}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"native-1","num_turns":1}"#,
        ],
        "codex" => &[
            r#"{"type":"thread.started","thread_id":"native-1"}"#,
            r#"{"type":"turn.started"}"#,
            r#"{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"done"}}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":1,"cached_input_tokens":0,"output_tokens":1}}"#,
        ],
        "gemini" => &[
            r#"{"type":"init","session_id":"native-1","model":"m"}"#,
            r#"{"type":"message","role":"assistant","content":"done","delta":true}"#,
            r#"{"type":"result","status":"success","stats":{"total_tokens":2}}"#,
        ],
        "grok" => &[
            r#"{"type":"text","data":"done"}"#,
            r#"{"type":"end","stopReason":"EndTurn","sessionId":"native-1","num_turns":1}"#,
        ],
        _ => &[
            r#"{"type":"step_start","sessionID":"native-1","part":{}}"#,
            r#"{"type":"text","sessionID":"native-1","part":{"text":"done"}}"#,
            r#"{"type":"step_finish","sessionID":"native-1","part":{"reason":"stop","tokens":{"input":1,"output":1},"cost":0}}"#,
        ],
    };
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
