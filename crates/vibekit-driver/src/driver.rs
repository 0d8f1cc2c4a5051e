//! One machine, and everything that is done for it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use vibekit_core::machine::Machine;
use vibekit_core::protocol::{Action, Call, Emission, Input, OpId, Opened, Ticket, TimerId};
use vibekit_sandbox::{Code, Error, OpenRequest, Provider, Result, Sandbox, Stream};

use crate::clock::Clock;
use crate::guard::{guarded, internal};
use crate::run::{Job, run};
use crate::sink::Sink;

/// Where the machine's sandboxes come from.
pub type Provision = Arc<dyn Provider>;

/// Operation ids are unique in the process: several copies of a JavaScript module may share one addon.
static NEXT_OP: AtomicU32 = AtomicU32::new(1);

/// Drives one machine. Whoever listens to an operation keeps the driver alive; dropping it ends everything.
pub struct Driver {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    provider: Provision,
    runtime: Handle,
    clock: Clock,
}

struct State {
    machine: Machine,
    sinks: HashMap<OpId, Arc<dyn Sink>>,
    sandboxes: HashMap<Ticket, Open>,
    /// Requests in flight (open, close, pause …), by ticket.
    requests: HashMap<Ticket, AbortHandle>,
    runs: HashMap<Ticket, Run>,
    timers: HashMap<TimerId, AbortHandle>,
    /// The driver is gone: nothing may be started any more.
    ended: bool,
}

struct Open {
    sandbox: Arc<dyn Sandbox>,
    /// Waits for the sandbox to vanish.
    watch: AbortHandle,
}

impl Drop for Open {
    /// However a sandbox is let go of, nobody watches it any longer.
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// What becomes of the sandbox after a request that succeeded.
#[derive(Clone, Copy)]
enum Then {
    Keep,
    Forget,
}

struct Run {
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

impl Driver {
    /// A driver for a machine whose sandboxes come from `provider`. Tasks run on `runtime`.
    #[must_use]
    pub fn new(machine: Machine, provider: Provision, runtime: Handle) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State {
                    machine,
                    sinks: HashMap::new(),
                    sandboxes: HashMap::new(),
                    requests: HashMap::new(),
                    runs: HashMap::new(),
                    timers: HashMap::new(),
                    ended: false,
                }),
                provider,
                runtime,
                clock: Clock::new(),
            }),
        }
    }

    /// A fresh operation id, unique in the process.
    #[must_use]
    pub fn next_op() -> OpId {
        NEXT_OP.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a call. Everything it delivers goes to `sink`, and exactly one `settle` ends it.
    pub fn start(&self, call: Call, sink: Arc<dyn Sink>) -> OpId {
        let op = Self::next_op();
        let mut state = self.inner.lock();
        if state.ended {
            sink.settle(Err(Error::new(Code::Internal, "This object broke in an earlier call.")
                .with_hint("Make a new VibeKit object; the session can be restored with setSession(id).")));
            return op;
        }
        state.sinks.insert(op, sink);
        self.inner.feed(&mut state, Input::Call { op, call });
        op
    }

    /// The caller no longer wants the result. Unknown and settled operations are ignored.
    pub fn cancel(&self, op: OpId) {
        self.inner.input(Input::Cancel { op });
    }

    /// The sandbox a finished [`Call::GetSandbox`] named, while the driver has it.
    #[must_use]
    pub fn sandbox(&self, ticket: Ticket) -> Option<Arc<dyn Sandbox>> {
        self.inner.lock().sandboxes.get(&ticket).map(|open| open.sandbox.clone())
    }

    /// The current session id.
    #[must_use]
    pub fn session(&self) -> Option<String> {
        self.inner.lock().machine.session().map(str::to_owned)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.inner.lock().end();
    }
}

impl State {
    /// The machine broke: nobody may be left waiting for it.
    fn fail(&mut self, error: &Error) {
        for (_, sink) in self.sinks.drain() {
            sink.settle(Err(error.clone()));
        }
        self.end();
    }

    /// Ends every task and lets go of every sandbox (whose own `Drop` releases or, when ephemeral, kills it).
    fn end(&mut self) {
        self.ended = true;
        for (_, request) in self.requests.drain() {
            request.abort();
        }
        for (_, run) in self.runs.drain() {
            run.task.abort();
        }
        for (_, timer) in self.timers.drain() {
            timer.abort();
        }
        self.sandboxes.clear();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic inside the lock is a defect that the operation's task reports; the state stays usable for the rest.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn input(self: &Arc<Self>, input: Input) {
        let mut state = self.lock();
        self.feed(&mut state, input);
    }

    fn feed(self: &Arc<Self>, state: &mut State, input: Input) {
        if state.ended {
            return;
        }
        let handled = catch_unwind(AssertUnwindSafe(|| {
            state.machine.handle(self.clock.now(), input);
            self.drain(state);
        }));
        if let Err(payload) = handled {
            state.fail(&internal(&*payload));
        }
    }

    fn drain(self: &Arc<Self>, state: &mut State) {
        while let Some(action) = state.machine.poll() {
            self.carry_out(state, action);
        }
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, action: Action) {
        match action {
            Action::Open { ticket, resume, env, agent, working_directory } => {
                self.open(state, ticket, resume, OpenRequest { env, agent, working_directory });
            }
            Action::Run { op, ticket, sandbox, command, files, stream, channels: _, max_output_bytes } => {
                let Some(open) = state.sandboxes.get(&sandbox) else {
                    return self.refuse(|error| Input::Ran { op, ticket, result: Err(error) });
                };
                let job = Job {
                    sandbox: open.sandbox.clone(),
                    command: *command,
                    files,
                    keep: max_output_bytes,
                    feed: None,
                };
                let (stop, stopped) = watch::channel(false);
                let task = self.runtime.spawn(self.clone().follow(op, ticket, stream, job, stopped));
                state.runs.insert(ticket, Run { stop, task: task.abort_handle() });
            }
            Action::Stop { ticket } => {
                if let Some(run) = state.runs.get(&ticket) {
                    run.stop.send_replace(true);
                }
            }
            Action::Close { ticket, sandbox } => {
                self.request(state, ticket, sandbox, Then::Forget, |sandbox| async move {
                    sandbox.kill().await.map(|()| Value::Null)
                });
            }
            Action::Pause { ticket, sandbox } => {
                self.request(state, ticket, sandbox, Then::Keep, |sandbox| async move {
                    sandbox.pause().await.map(|()| Value::Null)
                });
            }
            Action::Thaw { ticket, sandbox } => {
                self.request(state, ticket, sandbox, Then::Keep, |sandbox| async move {
                    sandbox.thaw().await.map(|()| Value::Null)
                });
            }
            Action::Host { ticket, sandbox, op: _, port } => {
                self.request(state, ticket, sandbox, Then::Keep, |sandbox| async move {
                    let port = port_number(&port)?;
                    sandbox.host(port).await.map(Value::String)
                });
            }
            Action::Release { sandbox } => {
                if let Some(open) = state.sandboxes.remove(&sandbox) {
                    let sandbox = open.sandbox.clone();
                    self.runtime.spawn(async move {
                        // Nobody waits for this: a failure to let go leaves a session that its next owner can take.
                        let _ = sandbox.release().await;
                    });
                }
            }
            Action::Remember { sandbox, record } => {
                if let Some(open) = state.sandboxes.get(&sandbox) {
                    let sandbox = open.sandbox.clone();
                    self.runtime.spawn(async move {
                        // The record only spares the next process a new conversation; the turn itself is done.
                        let _ = sandbox.remember(&record).await;
                    });
                }
            }
            // Output of native providers goes through the machine, which holds it itself, and so do their results.
            Action::Flush { .. } | Action::Answer { .. } => {}
            Action::Emit { op, channel, text } => {
                if let Some(sink) = state.sinks.get(&op) {
                    sink.emit(channel, text);
                }
            }
            Action::Session { id: _ } => {
                for sink in state.sinks.values() {
                    sink.session_changed();
                }
            }
            Action::Arm { timer, after_ms } => {
                let inner = self.clone();
                let task = self.runtime.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(after_ms)).await;
                    let mut state = inner.lock();
                    if state.timers.remove(&timer).is_some() {
                        inner.feed(&mut state, Input::Timer { timer });
                    }
                });
                if let Some(former) = state.timers.insert(timer, task.abort_handle()) {
                    former.abort();
                }
            }
            Action::Disarm { timer } => {
                if let Some(task) = state.timers.remove(&timer) {
                    task.abort();
                }
            }
            Action::Settle { op, result } => {
                if let Some(sink) = state.sinks.remove(&op) {
                    sink.settle(result);
                }
            }
        }
    }

    fn open(
        self: &Arc<Self>,
        state: &mut State,
        ticket: Ticket,
        resume: Option<String>,
        request: OpenRequest,
    ) {
        let inner = self.clone();
        let task = self.runtime.spawn(async move {
            let opened = guarded(async {
                let sandbox = match &resume {
                    Some(id) => inner.provider.resume(id, request).await?,
                    None => inner.provider.create(request).await?,
                };
                // A record that cannot be read costs a new conversation, not the session.
                let record = sandbox.record().await.unwrap_or_default();
                Ok((sandbox, record))
            })
            .await;
            let mut state = inner.lock();
            state.requests.remove(&ticket);
            if state.ended {
                return;
            }
            let result = opened.map(|(sandbox, record)| {
                let told = Opened {
                    sandbox_id: Some(sandbox.id().to_owned()),
                    record,
                    processes_lost: sandbox.processes_lost(),
                    paused: sandbox.paused(),
                    read_only: sandbox.read_only(),
                };
                let watch = inner.watch(ticket, sandbox.clone());
                state.sandboxes.insert(ticket, Open { sandbox, watch });
                told
            });
            inner.feed(&mut state, Input::Opened { ticket, result });
        });
        state.requests.insert(ticket, task.abort_handle());
    }

    fn watch(self: &Arc<Self>, ticket: Ticket, sandbox: Arc<dyn Sandbox>) -> AbortHandle {
        let inner = Arc::downgrade(self);
        let task = self.runtime.spawn(async move {
            let error = sandbox.lost().await;
            drop(sandbox);
            let Some(inner) = inner.upgrade() else { return };
            let mut state = inner.lock();
            if state.sandboxes.remove(&ticket).is_some() {
                inner.feed(&mut state, Input::Lost { ticket, error });
            }
        });
        task.abort_handle()
    }

    fn request<F, W>(
        self: &Arc<Self>,
        state: &mut State,
        ticket: Ticket,
        sandbox: Ticket,
        then: Then,
        work: F,
    ) where
        F: FnOnce(Arc<dyn Sandbox>) -> W,
        W: Future<Output = Result<Value>> + Send + 'static,
    {
        let Some(open) = state.sandboxes.get(&sandbox) else {
            return self.refuse(|error| Input::Done { ticket, result: Err(error) });
        };
        let work = work(open.sandbox.clone());
        let inner = self.clone();
        let task = self.runtime.spawn(async move {
            let result = guarded(work).await;
            let mut state = inner.lock();
            state.requests.remove(&ticket);
            if matches!(then, Then::Forget) && result.is_ok() {
                state.sandboxes.remove(&sandbox);
            }
            inner.feed(&mut state, Input::Done { ticket, result });
        });
        state.requests.insert(ticket, task.abort_handle());
    }

    /// The machine asked something of a sandbox that is gone in this very moment.
    fn refuse(self: &Arc<Self>, input: impl FnOnce(Error) -> Input) {
        let input = input(Error::new(Code::SandboxLost, "The sandbox is gone."));
        let inner = self.clone();
        // Not at once: the machine is still telling what it wants.
        self.runtime.spawn(async move { inner.input(input) });
    }

    async fn follow(
        self: Arc<Self>,
        op: OpId,
        ticket: Ticket,
        stream: bool,
        job: Job,
        stop: watch::Receiver<bool>,
    ) {
        let mut emissions = Vec::new();
        let result = guarded(run(job, stop, |from: Stream, chunk: Bytes| {
            let sink = if stream {
                let mut state = self.lock();
                state.machine.output(self.clock.now(), ticket, from, &chunk, &mut emissions);
                let sink = state.sinks.get(&op).cloned();
                if let Some(sink) = &sink {
                    for Emission { channel, text } in emissions.drain(..) {
                        sink.emit(channel, text);
                    }
                }
                emissions.clear();
                self.drain(&mut state);
                sink
            } else {
                None
            };
            let inner = &self;
            async move {
                let Some(sink) = sink else { return true };
                let listening = sink.ready().await;
                if !listening {
                    inner.input(Input::Cancel { op });
                }
                listening
            }
        }))
        .await;
        let mut state = self.lock();
        state.runs.remove(&ticket);
        self.feed(&mut state, Input::Ran { op, ticket, result: result.map(Box::new) });
    }
}

fn port_number(port: &Value) -> Result<u16> {
    port.as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| Error::invalid("port", format!("is {port}"), "Pass a whole number from 1 to 65535."))
}
