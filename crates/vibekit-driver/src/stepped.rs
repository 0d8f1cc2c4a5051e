//! The synchronous half of a driver, for machines whose sandboxes are not ours: somebody else carries out the actions.

use vibekit_core::Input;
use vibekit_core::machine::{Machine, Plan};
use vibekit_core::protocol::{Action, Call, OpId, Report, Ticket, TimerId};

use crate::clock::Clock;

/// How things stand with a machine's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timers {
    /// None is armed.
    None = 0,
    /// The same as before, or fewer.
    Armed = 1,
    /// One was armed since this was asked last: it may be due first.
    New = 2,
}

/// A machine with its clock and its timers. Whoever holds it feeds inputs, carries out the actions, and calls
/// [`Stepped::expire`] when [`Stepped::due_in_ms`] has passed.
pub struct Stepped {
    machine: Machine,
    clock: Clock,
    /// Timers and when they are due. A handful at most, nearly always one.
    timers: Vec<(TimerId, u64)>,
    /// One was armed since [`Stepped::timers`] told.
    armed: bool,
}

impl Stepped {
    /// Over a machine that has done nothing yet.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        Self { machine, clock: Clock::new(), timers: Vec::new(), armed: false }
    }

    /// Feeds one input and hands every action it caused to `action`, except those about timers, which are kept here.
    pub fn input(&mut self, input: Input, action: impl FnMut(Action)) {
        self.feed(self.clock.now(), input, action);
    }

    /// Feeds the timers that are due.
    pub fn expire(&mut self, mut action: impl FnMut(Action)) {
        let now = self.clock.now();
        while let Some(at) = self.timers.iter().position(|&(_, due)| due <= now) {
            let (timer, _) = self.timers.swap_remove(at);
            self.feed(now, Input::Timer { timer }, &mut action);
        }
    }

    /// Milliseconds until the next timer is due, if there is one.
    #[must_use]
    pub fn due_in_ms(&self) -> Option<u64> {
        let due = self.timers.iter().map(|&(_, due)| due).min()?;
        Some(due.saturating_sub(self.clock.now()))
    }

    /// Whether there are timers to wait for.
    pub fn timers(&mut self) -> Timers {
        let armed = std::mem::take(&mut self.armed);
        match (self.timers.is_empty(), armed) {
            (true, _) => Timers::None,
            (false, false) => Timers::Armed,
            (false, true) => Timers::New,
        }
    }

    /// What the next command comes to; see [`Machine::plan`].
    #[must_use]
    pub fn plan(&self) -> Option<Plan> {
        self.machine.plan()
    }

    /// Takes over a command that was begun by the plan, because something else is about to happen: feeds the call and, if
    /// `made`, that its `mkdir` has succeeded. The actions have been carried out; the run that goes on has this ticket.
    pub fn adopt(&mut self, op: OpId, call: Call, made: bool) -> Option<Ticket> {
        let run = self.begun(Input::Call { op, call });
        match run {
            Some(ticket) if made => {
                self.begun(Input::Ran { op, ticket, result: Ok(Box::new(Report::default())) })
            }
            run => run,
        }
    }

    /// Feeds an input whose actions are carried out already, and gives the ticket of the run among them.
    fn begun(&mut self, input: Input) -> Option<Ticket> {
        let mut run = None;
        self.input(input, |action| {
            if let Action::Run { ticket, .. } = action {
                run = Some(ticket);
            }
        });
        run
    }

    fn feed(&mut self, now: u64, input: Input, mut action: impl FnMut(Action)) {
        self.machine.handle(now, input);
        while let Some(next) = self.machine.poll() {
            match next {
                Action::Arm { timer, after_ms } => {
                    self.timers.push((timer, now.saturating_add(after_ms)));
                    self.armed = true;
                }
                Action::Disarm { timer } => self.timers.retain(|&(armed, _)| armed != timer),
                next => action(next),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use vibekit_core::Program;
    use vibekit_core::config::Setup;
    use vibekit_core::machine::limits;
    use vibekit_core::protocol::Opened;

    use super::*;

    fn stepped() -> Stepped {
        let config = json!({ "agent": { "type": "codex", "apiKey": "k" } });
        Stepped::new(Machine::new(Setup::parse(
            &json!({ "generation": "fluent", "driver": "javascript", "config": config, "env": {} }),
        )))
    }

    fn execute(op: u32) -> Input {
        let call = serde_json::from_value(json!({ "call": "executeCommand", "command": "true" })).unwrap();
        Input::Call { op, call }
    }

    #[test]
    fn keeps_the_timers_to_itself() {
        let mut stepped = stepped();
        let mut actions = Vec::new();
        assert_eq!(stepped.timers(), Timers::None);
        stepped.input(execute(1), |action| actions.push(action));
        assert_eq!((stepped.timers(), stepped.timers()), (Timers::New, Timers::Armed));
        let [Action::Open { ticket, .. }] = actions[..] else { panic!("{actions:?}") };
        let due = stepped.due_in_ms().unwrap();
        assert!((limits::OPEN - 5_000..=limits::OPEN).contains(&due), "{due}");
        let opened = Opened { sandbox_id: Some("s".to_owned()), ..Opened::default() };
        actions.clear();
        stepped.input(Input::Opened { ticket, result: Ok(opened) }, |action| actions.push(action));
        assert!(!actions.iter().any(|action| matches!(action, Action::Arm { .. } | Action::Disarm { .. })));
        // The limit on opening is gone, that on the working directory is there.
        let due = stepped.due_in_ms().unwrap();
        assert!(due <= limits::MKDIR + limits::RUN_GRACE, "{due}");
    }

    /// A machine after its first command, and the actions of all.
    fn after_a_command(config: serde_json::Value) -> Stepped {
        let mut stepped = Stepped::new(Machine::new(Setup::parse(
            &json!({ "generation": "fluent", "driver": "javascript", "config": config, "env": {} }),
        )));
        let mut inputs = vec![execute(1)];
        while let Some(input) = inputs.pop() {
            stepped.input(input, |action| match action {
                Action::Open { ticket, .. } => {
                    let opened = Opened { sandbox_id: Some("s \"1\"".to_owned()), ..Opened::default() };
                    inputs.push(Input::Opened { ticket, result: Ok(opened) });
                }
                Action::Run { op, ticket, .. } => {
                    let report = Report { json: Some("{}".to_owned()), ..Report::default() };
                    inputs.push(Input::Ran { op, ticket, result: Ok(Box::new(report)) });
                }
                _ => {}
            });
        }
        stepped
    }

    /// What the machine wants done for one command, in the words of a plan.
    fn wanted(stepped: &mut Stepped) -> (Vec<String>, Vec<String>, Option<String>) {
        let (mut said, mut run, mut id) = (Vec::new(), Vec::new(), None);
        let mut inputs = vec![execute(2)];
        while let Some(input) = inputs.pop() {
            stepped.input(input, |action| match action {
                Action::Emit { text, .. } => said.push(text),
                Action::Run { op, ticket, command, sandbox, .. } => {
                    let Program::Shell(line) = &command.program else { panic!("{command:?}") };
                    run.push(format!("{sandbox} {line} {:?}", command.timeout_ms));
                    let report = Report { json: Some("{\"a\":1}".to_owned()), ..Report::default() };
                    inputs.push(Input::Ran { op, ticket, result: Ok(Box::new(report)) });
                }
                Action::Answer { sandbox_id, .. } => id = sandbox_id,
                _ => {}
            });
        }
        (said, run, id)
    }

    #[test]
    fn a_plan_is_what_the_machine_would_want() {
        let agent = json!({ "type": "codex", "apiKey": "k" });
        for config in [
            json!({ "agent": agent }),
            json!({ "agent": agent, "workingDirectory": "/a b" }),
            json!({ "agent": agent, "sessionId": "kept" }),
        ] {
            let mut stepped = after_a_command(config);
            let plan = stepped.plan().unwrap();
            let (said, run, id) = wanted(&mut stepped);
            let end = format!("{}\"{{\\\"a\\\":1}}\"}}", plan.end);
            assert_eq!(said, plan.start.iter().cloned().chain([end]).collect::<Vec<_>>());
            assert_eq!(
                run,
                [
                    format!("{} {} {:?}", plan.sandbox, plan.mkdir, Some(plan.mkdir_limit)),
                    format!("{} {}true {:?}", plan.sandbox, plan.before, Some(plan.limit)),
                ]
            );
            assert_eq!(id, plan.sandbox_id);
            // It left no trace.
            assert_eq!(stepped.plan(), Some(plan));
        }
    }

    #[test]
    fn there_is_no_plan_while_anything_else_is_going_on() {
        let config = json!({ "agent": { "type": "codex", "apiKey": "k" } });
        assert_eq!(stepped().plan(), None, "no sandbox");
        for call in ["kill", "pause", "dispose"] {
            let mut stepped = after_a_command(config.clone());
            let call = serde_json::from_value(json!({ "call": call })).unwrap();
            stepped.input(Input::Call { op: 2, call }, |_| {});
            assert_eq!(stepped.plan(), None);
        }
        let mut stepped = after_a_command(config);
        let call = serde_json::from_value(json!({ "call": "setSession", "id": "other" })).unwrap();
        stepped.input(Input::Call { op: 2, call }, |_| {});
        assert_eq!(stepped.plan(), None);
    }

    #[test]
    fn a_command_that_was_begun_by_the_plan_is_taken_over_where_it_is() {
        let config = json!({ "agent": { "type": "codex", "apiKey": "k" } });
        for made in [false, true] {
            let mut stepped = after_a_command(config.clone());
            let call = Call::command("true".to_owned(), None, false);
            let ticket = stepped.adopt(2, call, made).unwrap();
            assert_ne!(stepped.timers(), Timers::None);
            let mut lines = Vec::new();
            let mut settled = 0;
            stepped.input(Input::Ran { op: 2, ticket, result: Ok(Box::default()) }, |action| match action {
                Action::Run { command, .. } => lines.push(command.program),
                Action::Answer { .. } => settled += 1,
                _ => {}
            });
            if made {
                assert_eq!((lines.len(), settled), (0, 1));
            } else {
                assert_eq!(lines, [Program::Shell("cd /vibe0 && true".to_owned())]);
            }
        }
    }

    #[test]
    fn feeds_a_timer_that_is_due_once() {
        let mut stepped = stepped();
        stepped.input(execute(1), |_| {});
        let mut settled = 0;
        let mut count = |action| settled += usize::from(matches!(action, Action::Settle { .. }));
        stepped.expire(&mut count);
        stepped.clock = Clock::ahead(limits::OPEN + 1_000);
        assert_eq!(stepped.due_in_ms(), Some(0));
        stepped.expire(&mut count);
        stepped.expire(&mut count);
        assert_eq!(settled, 1);
        assert_eq!(stepped.timers(), Timers::None);
    }
}
