//! What a user does, at random.

use serde_json::json;
use vibekit_core::protocol::{Call, Mode, OpId};

use super::check::USER_COMMAND;
use crate::Rng;

/// One thing a user does.
#[derive(Debug)]
pub(super) enum Deed {
    Call(Call),
    Cancel(OpId),
}

/// Sessions that exist before the object is made.
pub(super) const FOREIGN: [&str; 3] = ["lcl_foreign_a", "lcl_foreign_b", "lcl_foreign_c"];

/// `seen`: ids the user has learnt; `pending`: calls without an outcome.
pub(super) fn deed(rng: &mut Rng, seen: &[String], pending: &[OpId], native: bool) -> Deed {
    match rng.below(100) {
        0..35 => Deed::Call(execute(rng, native)),
        35..52 => Deed::Call(generate(rng)),
        52..62 => Deed::Call(Call::Kill),
        62..72 => Deed::Call(Call::SetSession { id: session(rng, seen) }),
        72..77 => Deed::Call(Call::Pause),
        77..83 => Deed::Call(Call::Resume),
        83..87 => Deed::Call(Call::GetHost { port: json!(3000) }),
        _ => match rng.pick(pending) {
            Some(&op) => Deed::Cancel(op),
            None => Deed::Call(execute(rng, native)),
        },
    }
}

fn execute(rng: &mut Rng, native: bool) -> Call {
    Call::ExecuteCommand {
        command: USER_COMMAND.to_owned(),
        timeout_ms: limit(rng),
        background: rng.chance(10),
        read_only: native && rng.chance(10),
        branch: branch(rng),
        env: if native && rng.chance(20) { vec![("K".to_owned(), "v".to_owned())] } else { Vec::new() },
        stdin: (native && rng.chance(10)).then(|| "input".to_owned()),
        max_output_bytes: None,
    }
}

fn generate(rng: &mut Rng) -> Call {
    Call::GenerateCode {
        prompt: "add a test".to_owned(),
        mode: rng.chance(30).then_some(Mode::Ask),
        branch: branch(rng),
        history: Vec::new(),
        agent_level: rng.chance(20),
        background: false,
        timeout_ms: limit(rng),
        max_output_bytes: None,
    }
}

fn limit(rng: &mut Rng) -> Option<u64> {
    match rng.below(10) {
        0..6 => None,
        6 => Some(1),
        7 => Some(rng.between(10, 1_000)),
        8 => Some(rng.between(1_000, 100_000)),
        _ => Some(0),
    }
}

fn branch(rng: &mut Rng) -> Option<String> {
    rng.chance(20).then(|| "feature/x".to_owned())
}

fn session(rng: &mut Rng, seen: &[String]) -> String {
    let known = if rng.chance(60) { rng.pick(seen).cloned() } else { None };
    known.unwrap_or_else(|| match rng.below(8) {
        0 => "lcl_never_existed".to_owned(),
        index => FOREIGN[usize::try_from(index).unwrap_or_default() % FOREIGN.len()].to_owned(),
    })
}
