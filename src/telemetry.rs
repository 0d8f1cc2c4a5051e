//! Spans of one instance.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Either, External, Result};
use napi_derive::napi;
use serde_json::Value;
use vibekit_http::{Client, Settings};
use vibekit_telemetry::{Options, Record, Telemetry};

use crate::channel::OnFrames;
use crate::sandbox::{lookup, perform};
use crate::{failure, runtime};

/// An instance behind an opaque handle.
pub struct NativeTelemetry(Arc<Telemetry>);

/// Makes an instance.
#[napi(catch_unwind)]
pub fn telemetry(options: String, env: String) -> Either<External<NativeTelemetry>, String> {
    match make(&options, &env) {
        Ok(telemetry) => Either::A(External::new(NativeTelemetry(Arc::new(telemetry)))),
        Err(error) => Either::B(failure::json(&error)),
    }
}

fn make(options: &str, env: &str) -> vibekit_core::Result<Telemetry> {
    let options: Options = failure::read(options, "telemetry")?;
    let settings = Settings::new(lookup(&failure::read_value(env, "env")?));
    let runtime = runtime::handle();
    let _entered = runtime.enter();
    Telemetry::new(&options, Client::new(&settings)?, runtime)
}

/// Takes a record. One that cannot be read is dropped: telemetry never fails a call.
#[napi(catch_unwind)]
pub fn telemetry_record(telemetry: &External<NativeTelemetry>, record: String) {
    if let Ok(record) = failure::read::<Record>(&record, "The record") {
        telemetry.0.record(&record);
    }
}

/// Sends what was recorded.
#[napi(catch_unwind)]
pub fn telemetry_flush(telemetry: &External<NativeTelemetry>, on_frames: OnFrames<'_>) -> Result<u32> {
    let telemetry = telemetry.0.clone();
    perform(&on_frames, move |_| async move { telemetry.flush().await.map(|()| Value::Null) })
}

/// Sends what was recorded while the event loop waits, for a process that ends.
#[napi(catch_unwind)]
pub fn telemetry_flush_now(telemetry: &External<NativeTelemetry>, limit_ms: u32) {
    telemetry.0.flush_blocking(Duration::from_millis(limit_ms.into()), runtime::handle());
}
