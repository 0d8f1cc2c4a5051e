//! Does the simulator bite? Each test breaks the machine in one known way and wants to see it noticed.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeSet, VecDeque};

use vibekit_core::protocol::{Channel, Emission, OpId, Ticket};
use vibekit_core::{Action, Error, Input, Machine, Stream};
use vibekit_testkit::simulator::{Subject, simulate_with};

/// A machine whose actions go through something that tampers with them.
struct Broken<F> {
    machine: Machine,
    tamper: F,
    ready: VecDeque<Action>,
    session: fn(&Machine) -> Option<String>,
    /// Makes up output for runs that are over.
    babble: bool,
}

impl<F: FnMut(Action) -> Vec<Action>> Subject for Broken<F> {
    fn handle(&mut self, now_ms: u64, input: Input) {
        self.machine.handle(now_ms, input);
    }

    fn poll(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.ready.pop_front() {
                return Some(action);
            }
            let action = self.machine.poll()?;
            self.ready.extend((self.tamper)(action));
        }
    }

    fn output(&mut self, now_ms: u64, ticket: Ticket, stream: Stream, chunk: &[u8], out: &mut Vec<Emission>) {
        self.machine.output(now_ms, ticket, stream, chunk, out);
        if self.babble && out.is_empty() {
            out.push(Emission { channel: Channel::Stdout, text: "A".to_owned() });
        }
    }

    fn session(&self) -> Option<String> {
        (self.session)(&self.machine)
    }
}

fn session(machine: &Machine) -> Option<String> {
    machine.session().map(str::to_owned)
}

/// Plays until something is noticed, and wants it to be what was broken.
#[track_caller]
fn noticed<F: FnMut(Action) -> Vec<Action> + 'static>(
    signs: &[&str],
    break_it: impl Fn(Machine) -> Broken<F>,
) {
    const HISTORIES: u64 = 3_000;
    let broken = (0..HISTORIES).find_map(|seed| {
        simulate_with(seed, |machine| Box::new(break_it(machine)) as Box<dyn Subject>).err()
    });
    let broken = broken.unwrap_or_else(|| panic!("{HISTORIES} histories did not notice {signs:?}"));
    let meant = signs.iter().any(|sign| broken.what.contains(sign));
    assert!(meant, "noticed something else than {signs:?}: {broken}");
}

fn tampering<F: FnMut(Action) -> Vec<Action>>(machine: Machine, tamper: F) -> Broken<F> {
    Broken { machine, tamper, ready: VecDeque::new(), session, babble: false }
}

#[test]
fn a_command_that_is_not_held_to_reading() {
    noticed(&["which may only read"], |machine| {
        tampering(machine, |mut action| {
            if let Action::Run { command, .. } = &mut action {
                command.read_only = false;
            }
            vec![action]
        })
    });
}

#[test]
fn a_second_sandbox_for_parallel_calls() {
    noticed(&["takes new work"], |machine| {
        let mut last = None;
        tampering(machine, move |action| match action {
            Action::Open { ticket, resume, env, agent, working_directory } if last != Some(ticket) => {
                last = Some(ticket + 1_000_000);
                let open = |ticket| Action::Open {
                    ticket,
                    resume: resume.clone(),
                    env: env.clone(),
                    agent: agent.clone(),
                    working_directory: working_directory.clone(),
                };
                vec![open(ticket), open(ticket + 1_000_000)]
            }
            other => vec![other],
        })
    });
}

#[test]
fn a_sandbox_that_appears_after_a_kill_or_too_late_and_is_not_closed() {
    noticed(&["hangs", "neither in use nor let go", "nobody can find it", "allowed"], |machine| {
        tampering(machine, |action| match action {
            Action::Close { .. } => vec![],
            other => vec![other],
        })
    });
}

#[test]
fn a_sandbox_let_go_of_that_nobody_can_find() {
    noticed(&["nobody can find it", "Released"], |machine| {
        tampering(machine, |action| match action {
            Action::Close { sandbox, .. } => vec![Action::Release { sandbox }],
            other => vec![other],
        })
    });
}

#[test]
fn a_sandbox_left_without_a_release() {
    noticed(&["neither in use nor let go"], |machine| {
        tampering(machine, |action| match action {
            Action::Release { .. } => vec![],
            other => vec![other],
        })
    });
}

#[test]
fn an_emission_after_the_outcome() {
    noticed(&["after it was settled"], |machine| {
        let mut held: Option<Action> = None;
        tampering(machine, move |action| match (&action, held.take()) {
            (Action::Settle { .. }, Some(emit)) => vec![action, emit],
            (Action::Emit { .. }, before) => {
                held = Some(action);
                before.into_iter().collect()
            }
            (_, before) => before.into_iter().chain([action]).collect(),
        })
    });
}

#[test]
fn output_after_the_outcome() {
    noticed(&["after it was settled"], |machine| Broken {
        babble: true,
        ..tampering(machine, |action| vec![action])
    });
}

#[test]
fn an_outcome_that_never_comes() {
    noticed(&["hangs"], |machine| {
        let mut count = 0;
        tampering(machine, move |action| match action {
            Action::Settle { .. }
                if {
                    count += 1;
                    count % 7 == 0
                } =>
            {
                vec![]
            }
            other => vec![other],
        })
    });
}

#[test]
fn two_outcomes() {
    noticed(&["settled twice"], |machine| {
        let mut count = 0;
        tampering(machine, move |action| match &action {
            Action::Settle { .. }
                if {
                    count += 1;
                    count % 7 == 0
                } =>
            {
                vec![action.clone(), action]
            }
            _ => vec![action],
        })
    });
}

#[test]
fn a_limit_that_is_never_armed() {
    noticed(&["hangs", "was left before it came", "allowed"], |machine| {
        let mut dropped = BTreeSet::new();
        tampering(machine, move |action| match action {
            Action::Arm { timer, after_ms } if after_ms >= 600_000 => {
                dropped.insert(timer);
                vec![]
            }
            Action::Disarm { timer } if dropped.contains(&timer) => vec![],
            other => vec![other],
        })
    });
}

#[test]
fn a_session_id_that_is_late() {
    noticed(&["session() is"], |machine| Broken {
        session: |_| None,
        ..tampering(machine, |action| vec![action])
    });
}

#[test]
fn a_kill_that_says_it_succeeded() {
    noticed(&["succeeded, but"], |machine| {
        let mut kills: BTreeSet<OpId> = BTreeSet::new();
        tampering(machine, move |action| match action {
            Action::Settle { op, result: Err(Error { ref message, .. }) } if message == "cannot kill" => {
                kills.insert(op);
                vec![Action::Settle { op, result: Ok(serde_json::Value::Null) }]
            }
            other => vec![other],
        })
    });
}

#[test]
fn a_turn_without_its_last_event() {
    noticed(&["finished events"], |machine| {
        tampering(machine, |action| match action {
            Action::Emit { channel: Channel::Event, ref text, .. } if text.contains("\"finished\"") => vec![],
            other => vec![other],
        })
    });
}
