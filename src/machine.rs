//! The session machine, for both drivers.

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::{Either, External, Result};
use napi_derive::napi;
use vibekit_core::config::Setup;
use vibekit_core::machine::Machine;
use vibekit_core::protocol::{Call, Mode};
use vibekit_driver::{Driver, Sink, Stepped};
use vibekit_sandbox::Provider;

use crate::channel::{Channel, OnFrames};
use crate::sandbox::{self, NativeProvider, NativeSandbox};
use crate::{failure, runtime};

/// A machine and who drives it.
pub enum Handle {
    /// Native provider, driven on tokio.
    Native(Arc<Driver>),
    /// JavaScript provider, stepped by the shim.
    Stepped(Box<RefCell<Stepped>>),
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

/// The line a JavaScript provider would run for a prompt.
#[napi(catch_unwind)]
pub fn shell_command(setup_json: String, prompt: String, ask: bool) -> Option<String> {
    let mode = if ask { Mode::Ask } else { Mode::Code };
    setup(&setup_json).ok().and_then(|setup| Machine::shell_command(&setup, &prompt, mode))
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
        return Ok(Handle::Stepped(Box::new(RefCell::new(Stepped::new(Machine::new(setup))))));
    }
    let provider = match provider {
        Some(provider) => provider,
        None => sandbox::provider_of(&setup, &value["env"])?,
    };
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        vibekit_core::Error::new(vibekit_core::Code::Internal, format!("no random numbers: {error}"))
    })?;
    let setup = setup.with_random(u128::from_ne_bytes(random));
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

/// The sandbox a finished `getSandbox` call named.
#[napi(catch_unwind)]
pub fn machine_sandbox(machine: &External<Handle>, ticket: u32) -> Option<External<NativeSandbox>> {
    match &**machine {
        Handle::Native(driver) => driver.sandbox(ticket).map(|sandbox| External::new(NativeSandbox(sandbox))),
        Handle::Stepped(_) => None,
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

/// The caller no longer wants the result.
#[napi(catch_unwind)]
pub fn cancel(machine: &External<Handle>, op: u32) {
    if let Handle::Native(driver) = &**machine {
        driver.cancel(op);
    }
}
