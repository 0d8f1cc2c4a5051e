//! Native providers and their sandboxes, used on their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use napi::bindgen_prelude::{Buffer, Either, External, Result, Uint8Array};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::{Value, json};
use vibekit_core::config::Setup;
use vibekit_driver::solo::{self, Request};
use vibekit_driver::{Driver, Sink, guarded};
use vibekit_providers::Lookup;
use vibekit_sandbox::{OpenRequest, Provider, Sandbox};

use crate::channel::{Channel, OnFrames};
use crate::{failure, runtime};

/// A provider behind an opaque handle.
pub struct NativeProvider(pub(crate) Arc<dyn Provider>);
/// A sandbox behind an opaque handle.
pub struct NativeSandbox(pub(crate) Arc<dyn Sandbox>);

/// What finished operations leave to be fetched, and handles on running ones.
#[derive(Default)]
struct Table {
    sandboxes: HashMap<u32, Arc<dyn Sandbox>>,
    bytes: HashMap<u32, Bytes>,
    runs: HashMap<u32, solo::Handle>,
}

fn table() -> MutexGuard<'static, Table> {
    static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();
    TABLE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// The provider a setup's `environment` names.
pub(crate) fn provider_of(setup: &Setup, env: &Value) -> vibekit_core::Result<Arc<dyn Provider>> {
    let environment = setup.environment()?;
    vibekit_providers::make(
        environment.name,
        &environment.options,
        &format!("environment.{}", environment.name),
        &lookup(env),
    )
}

/// The host's environment as the shim sees it.
pub(crate) fn lookup(env: &Value) -> Lookup {
    let env = env.clone();
    Arc::new(move |name| env[name].as_str().map(str::to_owned))
}

/// Makes a provider.
#[napi(catch_unwind)]
pub fn provider(name: String, options: String, env: String) -> Either<External<NativeProvider>, String> {
    let made = failure::read_value(&options, "options").and_then(|options| {
        let env = failure::read_value(&env, "env")?;
        vibekit_providers::make(&name, &options, "options", &lookup(&env))
    });
    match made {
        Ok(provider) => Either::A(External::new(NativeProvider(provider))),
        Err(error) => Either::B(failure::json(&error)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenCall {
    resume: Option<String>,
    #[serde(default)]
    env: Vec<(String, String)>,
    #[serde(default)]
    agent: String,
    working_directory: String,
}

/// Creates or resumes a sandbox; [`take_sandbox`] fetches it.
#[napi(catch_unwind)]
pub fn provider_open(
    provider: &External<NativeProvider>,
    request: String,
    on_frames: OnFrames<'_>,
) -> Result<u32> {
    let provider = provider.0.clone();
    perform(&on_frames, move |op| async move {
        let OpenCall { resume, env, agent, working_directory } = failure::read(&request, "The request")?;
        let request = OpenRequest { env, agent, working_directory };
        let sandbox = match resume {
            Some(id) => provider.resume(&id, request).await?,
            None => provider.create(request).await?,
        };
        let told = json!({
            "sandboxId": sandbox.id(),
            "processesLost": sandbox.processes_lost(),
            "paused": sandbox.paused(),
        });
        table().sandboxes.insert(op, sandbox);
        Ok(told)
    })
}

/// The sandbox of a finished [`provider_open`].
#[napi(catch_unwind)]
pub fn take_sandbox(op: u32) -> Option<External<NativeSandbox>> {
    table().sandboxes.remove(&op).map(|sandbox| External::new(NativeSandbox(sandbox)))
}

/// What an open sandbox tells.
#[napi(catch_unwind)]
pub fn describe_sandbox(sandbox: &External<NativeSandbox>) -> String {
    let sandbox = &sandbox.0;
    json!({ "sandboxId": sandbox.id(), "processesLost": sandbox.processes_lost(), "paused": sandbox.paused() })
        .to_string()
}

/// Starts an operation on a sandbox.
#[napi(catch_unwind)]
pub fn sandbox_start(
    sandbox: &External<NativeSandbox>,
    request: String,
    on_frames: OnFrames<'_>,
) -> Result<u32> {
    let op = Driver::next_op();
    let channel = Channel::open(&on_frames, || None)?;
    match failure::read::<Request>(&request, "The request") {
        Ok(request) => {
            let forget = Forget { op, sink: channel };
            let mut table = table();
            let handle = solo::start(runtime::handle(), sandbox.0.clone(), request, Arc::new(forget));
            table.runs.insert(op, handle);
        }
        Err(error) => channel.settle(Err(error)),
    }
    Ok(op)
}

/// A channel that clears the operation's entry when it settles.
struct Forget {
    op: u32,
    sink: Arc<Channel>,
}

#[async_trait::async_trait]
impl Sink for Forget {
    fn emit(&self, channel: vibekit_core::protocol::Channel, text: String) {
        self.sink.emit(channel, text);
    }

    fn session_changed(&self) {
        self.sink.session_changed();
    }

    fn request(&self, ticket: vibekit_core::protocol::Ticket, request: vibekit_core::http::HttpRequest) {
        self.sink.request(ticket, request);
    }

    fn settle(&self, result: vibekit_core::Result<Value>) {
        table().runs.remove(&self.op);
        self.sink.settle(result);
    }

    async fn ready(&self) -> bool {
        self.sink.ready().await
    }
}

/// Reads a file; [`take_bytes`] fetches the content.
#[napi(catch_unwind)]
pub fn sandbox_read(sandbox: &External<NativeSandbox>, path: String, on_frames: OnFrames<'_>) -> Result<u32> {
    let sandbox = sandbox.0.clone();
    perform(&on_frames, move |op| async move {
        let content = solo::files(&*sandbox)?.read(&path).await?;
        table().bytes.insert(op, content);
        Ok(Value::Null)
    })
}

/// Content of a finished [`sandbox_read`].
#[napi(catch_unwind)]
pub fn take_bytes(op: u32) -> Option<Buffer> {
    table().bytes.remove(&op).map(|bytes| Buffer::from(Vec::from(bytes)))
}

/// Writes a file.
#[napi(catch_unwind)]
pub fn sandbox_write(
    sandbox: &External<NativeSandbox>,
    path: String,
    content: Uint8Array,
    on_frames: OnFrames<'_>,
) -> Result<u32> {
    let sandbox = sandbox.0.clone();
    let content = Bytes::copy_from_slice(&content);
    perform(&on_frames, move |_op| async move {
        solo::files(&*sandbox)?.write(&path, content).await.map(|()| Value::Null)
    })
}

/// Stops a run; its outcome still comes.
#[napi(catch_unwind)]
pub fn sandbox_cancel(op: u32) {
    if let Some(run) = table().runs.get(&op) {
        run.stop();
    }
}

/// Standard input of a run; `None` closes it.
#[napi(catch_unwind)]
pub fn sandbox_input(op: u32, data: Option<Uint8Array>) -> bool {
    let data = data.map(|data| Bytes::copy_from_slice(&data));
    table().runs.get(&op).is_some_and(|run| run.input(data))
}

/// What this host can do for a provider, found out by trying.
#[napi(catch_unwind)]
pub fn provider_probe(provider: &External<NativeProvider>, on_frames: OnFrames<'_>) -> Result<u32> {
    let provider = provider.0.clone();
    perform(&on_frames, move |_op| async move { provider.probe().await })
}

/// Runs one piece of work with a channel of its own.
pub(crate) fn perform<F, W>(on_frames: &OnFrames<'_>, work: F) -> Result<u32>
where
    F: FnOnce(u32) -> W,
    W: Future<Output = vibekit_core::Result<Value>> + Send + 'static,
{
    let op = Driver::next_op();
    let channel = Channel::open(on_frames, || None)?;
    let work = work(op);
    runtime::handle().spawn(async move { channel.settle(guarded(work).await) });
    Ok(op)
}
