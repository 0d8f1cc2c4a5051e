//! Machines whose sandboxes come from JavaScript objects: the shim steps them, synchronously.

use std::cell::{RefCell, RefMut};

use napi::bindgen_prelude::{External, Int32ArraySlice, Result, Unknown};
use napi_derive::napi;
use vibekit_core::Exit;
use vibekit_core::protocol::{Call, Input, Report};
use vibekit_core::stream::Cutter;
use vibekit_driver::Stepped;

use crate::failure;
use crate::frames::Kind;
use crate::machine::Handle;
use crate::packed::Packed;
use crate::text::{Utf8, with_units};

/// Feeds one input as JSON: all but the two that have functions of their own, because they come with every command.
#[napi(catch_unwind)]
pub fn feed(machine: &External<Handle>, input: Utf8) -> Result<Packed> {
    let input: Input = match failure::read(&input.0, "The input") {
        Ok(input) => input,
        Err(error) => return Err(napi::Error::from_reason(error.message)),
    };
    step(machine, input)
}

/// Feeds the call of a command without anything special about it.
#[napi(catch_unwind)]
pub fn execute(
    machine: &External<Handle>,
    op: u32,
    command: Utf8,
    timeout_ms: Option<f64>,
    background: bool,
) -> Result<Packed> {
    step(machine, Input::Call { op, call: plain(command, timeout_ms, background) })
}

fn plain(command: Utf8, timeout_ms: Option<f64>, background: bool) -> Call {
    Call::command(command.0, timeout_ms.map(|limit| limit as u64), background)
}

/// What [`execute`] comes to until the machine gets another input: JSON, or null when it cannot be told.
#[napi(catch_unwind)]
pub fn plan(machine: &External<Handle>) -> Result<Option<String>> {
    let Some(plan) = stepped(machine)?.plan() else { return Ok(None) };
    let channels: Vec<_> = plan.channels.iter().map(|&channel| Kind::from(channel) as u32).collect();
    let json = serde_json::json!({
        "sandbox": plan.sandbox,
        "sandboxId": plan.sandbox_id,
        "channels": channels,
        "start": plan.start,
        "mkdir": plan.mkdir,
        "mkdirLimit": plan.mkdir_limit,
        "before": plan.before,
        "limit": plan.limit,
        "end": plan.end,
    });
    Ok(Some(json.to_string()))
}

/// Feeds what has happened to a command that follows a plan: the call and, if `made`, the end of its `mkdir`. Gives the ticket
/// of the run that goes on.
#[napi(catch_unwind)]
pub fn adopt(
    machine: &External<Handle>,
    op: u32,
    command: Utf8,
    timeout_ms: Option<f64>,
    background: bool,
    made: bool,
) -> Result<Option<u32>> {
    Ok(stepped(machine)?.adopt(op, plain(command, timeout_ms, background), made))
}

/// Feeds the end of a run that ended by itself.
#[napi(catch_unwind)]
pub fn ran(
    machine: &External<Handle>,
    op: u32,
    ticket: u32,
    exit_code: i32,
    json: Option<Utf8>,
) -> Result<Packed> {
    let report = Report {
        exit: Exit { code: exit_code, ..Exit::default() },
        json: json.map(|json| json.0),
        ..Report::default()
    };
    step(machine, Input::Ran { op, ticket, result: Ok(Box::new(report)) })
}

/// Milliseconds until [`expire`] has something to do.
#[napi(catch_unwind)]
pub fn due_in_ms(machine: &External<Handle>) -> Result<Option<f64>> {
    Ok(stepped(machine)?.due_in_ms().map(|ms| ms as f64))
}

/// Feeds the timers that are due.
#[napi(catch_unwind)]
pub fn expire(machine: &External<Handle>) -> Result<Packed> {
    pack(machine, |stepped, packed| stepped.expire(|action| packed.action(&action)))
}

fn step(machine: &Handle, input: Input) -> Result<Packed> {
    pack(machine, |stepped, packed| stepped.input(input, |action| packed.action(&action)))
}

fn pack(machine: &Handle, work: impl FnOnce(&mut Stepped, &mut Packed)) -> Result<Packed> {
    let mut stepped = stepped(machine)?;
    let mut packed = Packed::new();
    work(&mut stepped, &mut packed);
    packed.timers(stepped.timers());
    Ok(packed)
}

fn stepped(machine: &Handle) -> Result<RefMut<'_, Stepped>> {
    match machine {
        Handle::Stepped(stepped) => {
            stepped.try_borrow_mut().map_err(|_| napi::Error::from_reason("this machine is being stepped"))
        }
        Handle::Native(_) => Err(napi::Error::from_reason("this machine is driven natively")),
    }
}

/// Finds messages in one stream of a run.
pub struct Scanner(RefCell<Cutter>);

/// A scanner at the beginning of a stream.
#[napi(catch_unwind)]
pub fn scanner() -> External<Scanner> {
    External::new(Scanner(RefCell::default()))
}

/// Scans the next text, which has at most `length` units and no NUL. Gives the number of messages, whose places are in
/// `places`: see `lib/native.d.ts`.
#[napi(catch_unwind)]
pub fn scan(
    scanner: &External<Scanner>,
    text: Unknown<'_>,
    length: u32,
    mut places: Int32ArraySlice<'_>,
) -> Result<u32> {
    #[derive(Default)]
    struct Room {
        bytes: Vec<u8>,
        messages: Vec<(usize, usize)>,
    }
    thread_local! {
        static ROOM: RefCell<Room> = RefCell::default();
    }
    // SAFETY: the array is JavaScript's, nothing else runs there until this returns.
    let places = unsafe { places.as_mut() };
    // One more may come after the one that fills the room.
    let room = (places.len() / 2).saturating_sub(2);
    ROOM.with_borrow_mut(|Room { bytes, messages }| {
        messages.clear();
        let cut = with_units(&text, length as usize, |units| {
            scanner.0.borrow_mut().push(units, bytes, room, messages)
        })?;
        let numbers = messages.iter().flat_map(|&(from, to)| [from, to]);
        for (place, number) in places.iter_mut().zip([cut.taken, cut.at].into_iter().chain(numbers)) {
            *place = i32::try_from(number).unwrap_or(i32::MAX);
        }
        Ok(messages.len() as u32)
    })
}
