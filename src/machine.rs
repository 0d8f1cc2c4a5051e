//! The session machine, for both drivers.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{Either, External, Result, Utf16String};
use napi_derive::napi;
use vibekit_core::Stream;
use vibekit_core::config::Setup;
use vibekit_core::machine::Machine;
use vibekit_core::protocol::{Action, Call, Emission, Input};
use vibekit_driver::{Driver, Sink};
use vibekit_sandbox::Provider;

use crate::channel::{Channel, OnFrames};
use crate::frames::{Frame, Frames, Kind, Text};
use crate::sandbox::{self, NativeProvider};
use crate::{failure, runtime};

/// A machine and who drives it.
pub enum Handle {
    /// Native provider, driven on tokio.
    Native(Arc<Driver>),
    /// JavaScript provider, stepped by the shim.
    Stepped(Box<Mutex<Machine>>),
}

fn setup(text: &str) -> vibekit_core::Result<Setup> {
    Ok(Setup::parse(&failure::read_value(text, "The configuration")?))
}

/// Whether a setup allows session access or work; the failure if not.
#[napi(catch_unwind)]
pub fn check(setup_json: String, access: String) -> Option<String> {
    let checked = setup(&setup_json).and_then(|setup| match access.as_str() {
        "session" => setup.check_session_access(),
        _ => setup.check_work(),
    });
    checked.err().map(|error| failure::json(&error))
}

/// Makes a machine.
#[napi(catch_unwind)]
pub fn machine(
    setup_json: String,
    provider: Option<&External<NativeProvider>>,
) -> Either<External<Handle>, String> {
    match make(&setup_json, provider.map(|provider| provider.0.clone())) {
        Ok(handle) => Either::A(External::new(handle)),
        Err(error) => Either::B(failure::json(&error)),
    }
}

fn make(text: &str, provider: Option<Arc<dyn Provider>>) -> vibekit_core::Result<Handle> {
    let value = failure::read_value(text, "The configuration")?;
    let setup = Setup::parse(&value);
    if value["driver"] == "javascript" {
        return Ok(Handle::Stepped(Box::new(Mutex::new(Machine::new(setup)))));
    }
    let provider = match provider {
        Some(provider) => provider,
        None => sandbox::provider_of(&setup, &value["env"])?,
    };
    Ok(Handle::Native(Arc::new(Driver::new(Machine::new(setup), provider, runtime::handle().clone()))))
}

/// Starts a call over a native provider.
#[napi(catch_unwind)]
pub fn start(machine: &External<Handle>, call: String, on_frames: OnFrames<'_>) -> Result<u32> {
    let driver = match &**machine {
        Handle::Native(driver) => driver.clone(),
        Handle::Stepped(_) => return Err(napi::Error::from_reason("this machine is stepped")),
    };
    let session = driver.clone();
    let channel = Channel::open(&on_frames, move || session.session())?;
    match failure::read::<Call>(&call, "The call") {
        Ok(call) => Ok(driver.start(call, channel)),
        Err(error) => {
            channel.settle(Err(error));
            Ok(Driver::next_op())
        }
    }
}

/// The caller no longer wants the result.
#[napi(catch_unwind)]
pub fn cancel(machine: &External<Handle>, op: u32) {
    if let Handle::Native(driver) = &**machine {
        driver.cancel(op);
    }
}

/// What came of a request of a natively driven machine: JSON of `{ "Ok": response }` or `{ "Err": failure }`.
#[napi(catch_unwind)]
pub fn answer(machine: &External<Handle>, ticket: u32, result: String) {
    if let Handle::Native(driver) = &**machine {
        let result = failure::read(&result, "The answer").unwrap_or_else(Err);
        driver.answer(ticket, result);
    }
}

/// Feeds one input and gives the actions it caused.
#[napi(catch_unwind)]
pub fn feed(machine: &External<Handle>, now: f64, input: String) -> Result<String> {
    let mut machine = stepped(machine)?;
    let input: Input = match failure::read(&input, "The input") {
        Ok(input) => input,
        Err(error) => return Err(napi::Error::from_reason(error.message)),
    };
    machine.handle(millis(now), input);
    let mut actions: Vec<Action> = Vec::new();
    while let Some(action) = machine.poll() {
        actions.push(action);
    }
    serde_json::to_string(&actions).map_err(|error| napi::Error::from_reason(error.to_string()))
}

/// One chunk of a run's output, and what it delivers.
#[napi(catch_unwind)]
pub fn output(
    machine: &External<Handle>,
    now: f64,
    ticket: u32,
    stream: u32,
    chunk: Utf16String,
) -> Result<Option<Frames>> {
    let mut machine = stepped(machine)?;
    let stream = if stream == 0 { Stream::Stdout } else { Stream::Stderr };
    let mut emissions: Vec<Emission<Vec<u16>>> = Vec::new();
    machine.output_utf16(millis(now), ticket, stream, &chunk, &mut emissions);
    let frames: Vec<Frame> = emissions
        .into_iter()
        .map(|Emission { channel, text }| Frame(Kind::from(channel), Text::Wide(text)))
        .collect();
    Ok((!frames.is_empty()).then_some(Frames(frames)))
}

/// A fresh id for a call that the shim feeds itself.
#[napi(catch_unwind)]
pub fn next_op() -> u32 {
    Driver::next_op()
}

fn stepped(machine: &Handle) -> Result<std::sync::MutexGuard<'_, Machine>> {
    match machine {
        Handle::Stepped(machine) => Ok(machine.lock().unwrap_or_else(PoisonError::into_inner)),
        Handle::Native(_) => Err(napi::Error::from_reason("this machine is driven natively")),
    }
}

/// JavaScript's clock (milliseconds since the Unix epoch, a double) as the machine counts.
fn millis(now: f64) -> u64 {
    if now.is_finite() && now > 0.0 { now as u64 } else { 0 }
}
