//! A provider that does what a script says, and a listener that writes down what it hears.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;
use vibekit_core::config::Setup;
use vibekit_core::protocol::{Call, Channel};
use vibekit_driver::Sink;
use vibekit_sandbox::{
    Capabilities, Code, Command, Control, Error, Exit, OpenRequest, Process, Provider, Result, Sandbox,
    Stopped, Stream,
};

/// A fluent object with an agent and a native sandbox.
pub(crate) fn setup() -> Setup {
    Setup::parse(&json!({
        "generation": "fluent",
        "driver": "native",
        "config": { "agent": { "type": "claude", "apiKey": "key" } },
        "env": {},
        "random": "00112233445566778899aabbccddeeff",
        "provider": true,
    }))
}

pub(crate) fn call(value: Value) -> Call {
    serde_json::from_value(value).unwrap()
}

/// What every process of the provider does.
#[derive(Clone)]
pub(crate) enum Script {
    Output(Vec<(Stream, &'static str)>),
    /// This much, then the connection breaks.
    Broken(&'static str),
    UntilStopped,
    Endless,
    Panic,
    NotFound,
}

pub(crate) struct Scripted {
    script: Script,
    pub(crate) created: AtomicUsize,
    pub(crate) killed: AtomicUsize,
    pub(crate) stopped: AtomicUsize,
    pub(crate) alive: AtomicUsize,
    pub(crate) spawned: Notify,
    pub(crate) vanish: Notify,
    this: std::sync::Weak<Scripted>,
}

impl Scripted {
    pub(crate) fn new(script: Script) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            script,
            created: AtomicUsize::new(0),
            killed: AtomicUsize::new(0),
            stopped: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            spawned: Notify::new(),
            vanish: Notify::new(),
            this: this.clone(),
        })
    }
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { stdin: false, files: false, read_only: false, ..Capabilities::ALL }
    }

    async fn create(&self, _request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let number = self.created.fetch_add(1, Ordering::SeqCst) + 1;
        self.resume(&format!("scripted-{number}"), OpenRequest::default()).await
    }

    async fn resume(&self, id: &str, _request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Place { id: id.to_owned(), provider: self.this.upgrade().unwrap() }))
    }
}

struct Place {
    id: String,
    provider: Arc<Scripted>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.provider.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Sandbox for Place {
    fn id(&self) -> &str {
        &self.id
    }

    async fn spawn(&self, _command: Command) -> Result<Box<dyn Process>> {
        match &self.provider.script {
            Script::Panic => panic!("scripted panic"),
            Script::NotFound => return Err(Error::new(Code::SpawnFailed, "no such program")),
            _ => {}
        }
        let running = Running { provider: self.provider.clone(), at: 0, stop: Arc::default() };
        self.provider.spawned.notify_one();
        Ok(Box::new(running))
    }

    async fn kill(&self) -> Result<()> {
        self.provider.killed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn pause(&self) -> Result<()> {
        Ok(())
    }

    async fn thaw(&self) -> Result<()> {
        Ok(())
    }

    async fn host(&self, port: u16) -> Result<String> {
        Ok(format!("localhost:{port}"))
    }

    async fn release(&self) -> Result<()> {
        Ok(())
    }

    async fn lost(&self) -> Error {
        self.provider.vanish.notified().await;
        Error::new(Code::SandboxLost, "scripted loss")
    }
}

struct Running {
    provider: Arc<Scripted>,
    at: usize,
    stop: Arc<Stop>,
}

#[derive(Default)]
struct Stop {
    asked: Notify,
    provider: Mutex<Option<Arc<Scripted>>>,
}

#[async_trait]
impl Process for Running {
    async fn next(&mut self) -> Result<Option<(Stream, Bytes)>> {
        match &self.provider.script {
            Script::Output(chunks) => {
                let chunk =
                    chunks.get(self.at).map(|(stream, text)| (*stream, Bytes::from_static(text.as_bytes())));
                self.at += 1;
                tokio::task::yield_now().await;
                Ok(chunk)
            }
            Script::Broken(text) => {
                self.at += 1;
                match self.at {
                    1 => Ok(Some((Stream::Stdout, Bytes::from_static(text.as_bytes())))),
                    _ => Err(Error::new(Code::ProviderFailed, "scripted break")),
                }
            }
            Script::Endless => tokio::select! {
                biased;
                () = self.stop.asked.notified() => Ok(None),
                () = tokio::task::yield_now() => Ok(Some((Stream::Stdout, Bytes::from_static(b"y\n")))),
            },
            _ => {
                self.stop.asked.notified().await;
                Ok(None)
            }
        }
    }

    async fn exit(&mut self) -> Result<Exit> {
        let stopped = matches!(self.provider.script, Script::UntilStopped | Script::Endless);
        Ok(Exit {
            code: if stopped { 143 } else { 0 },
            stopped: stopped.then(|| Stopped { processes: 1, ..Stopped::default() }),
            ..Exit::default()
        })
    }

    fn control(&self) -> Arc<dyn Control> {
        *self.stop.provider.lock().unwrap() = Some(self.provider.clone());
        self.stop.clone()
    }
}

#[async_trait]
impl Control for Stop {
    fn pid(&self) -> Option<u32> {
        None
    }

    async fn write(&self, _bytes: Bytes) -> Result<()> {
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        Ok(())
    }

    async fn signal(&self, _signal: i32) -> Result<()> {
        Ok(())
    }

    async fn stop(&self, _grace: Duration) -> Result<()> {
        if let Some(provider) = self.provider.lock().unwrap().take() {
            provider.stopped.fetch_add(1, Ordering::SeqCst);
        }
        self.asked.notify_one();
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Text(Channel, String),
    SessionChanged,
    Settled(Result<Value>),
}

/// Writes down what a sink hears.
#[derive(Clone)]
pub(crate) struct Listener(Arc<Log>);

struct Log {
    heard: Mutex<Vec<Heard>>,
    settled: Notify,
    leave_after: AtomicUsize,
}

impl Listener {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Log {
            heard: Mutex::default(),
            settled: Notify::new(),
            leave_after: AtomicUsize::new(usize::MAX),
        }))
    }

    pub(crate) fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(self.clone())
    }

    pub(crate) fn leave_after(&self, deliveries: usize) {
        self.0.leave_after.store(deliveries, Ordering::SeqCst);
    }

    pub(crate) async fn settled(&self) {
        tokio::time::timeout(Duration::from_secs(10), async {
            while self.settlements() == 0 {
                self.0.settled.notified().await;
            }
        })
        .await
        .expect("the operation settles");
    }

    fn heard(&self) -> Vec<Heard> {
        self.0.heard.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Heard {
        self.heard().pop().unwrap()
    }

    pub(crate) fn settlements(&self) -> usize {
        self.heard().iter().filter(|heard| matches!(heard, Heard::Settled(_))).count()
    }

    pub(crate) fn session_changed(&self) -> bool {
        self.heard().iter().any(|heard| matches!(heard, Heard::SessionChanged))
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.heard()
            .into_iter()
            .filter_map(|heard| match heard {
                Heard::Text(Channel::Stdout | Channel::Stderr, text) => Some(text),
                _ => None,
            })
            .collect()
    }
}

#[async_trait]
impl Sink for Listener {
    fn emit(&self, channel: Channel, text: String) {
        self.0.heard.lock().unwrap().push(Heard::Text(channel, text));
    }

    fn session_changed(&self) {
        self.0.heard.lock().unwrap().push(Heard::SessionChanged);
    }

    fn settle(&self, result: Result<Value>) {
        self.0.heard.lock().unwrap().push(Heard::Settled(result));
        self.0.settled.notify_one();
    }

    async fn ready(&self) -> bool {
        tokio::task::yield_now().await;
        self.heard().len() < self.0.leave_after.load(Ordering::SeqCst)
    }
}
