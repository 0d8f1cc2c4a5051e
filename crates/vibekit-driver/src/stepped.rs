//! The synchronous half of a driver, for machines whose sandboxes are not ours: somebody else carries out the actions.

use vibekit_core::Input;
use vibekit_core::machine::Machine;
use vibekit_core::protocol::{Action, TimerId};

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
