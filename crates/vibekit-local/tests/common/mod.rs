//! What the tests of this crate share.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test binary uses a part")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vibekit_local::{HostEnv, LocalOptions, LocalProvider};
use vibekit_sandbox::{Command, Exit, OpenRequest, Process, Provider, Result, Sandbox, Stream};

/// A provider with a state directory of its own, removed at the end.
pub struct World {
    pub home: TempDir,
    pub provider: Arc<LocalProvider>,
}

pub fn world(options: Value) -> World {
    let home = tempfile::Builder::new().prefix("vk-test-").tempdir().unwrap();
    let provider = provider(&home, options);
    World { home, provider }
}

pub fn provider(home: &TempDir, options: Value) -> Arc<LocalProvider> {
    let host = HostEnv {
        path: std::env::var("PATH").ok(),
        home: std::env::var_os("HOME").map(Into::into),
        vibekit_home: Some(home.path().join("state")),
        ..HostEnv::default()
    };
    LocalProvider::new(LocalOptions::parse(&options, "environment.local").unwrap(), host).unwrap()
}

impl World {
    pub async fn create(&self) -> Arc<dyn Sandbox> {
        self.provider.create(OpenRequest::default()).await.unwrap()
    }

    pub async fn resume(&self, id: &str) -> Result<Arc<dyn Sandbox>> {
        self.provider.resume(id, OpenRequest::default()).await
    }

    pub fn sessions(&self) -> Vec<String> {
        std::fs::read_dir(self.home.path().join("state/sessions"))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default()
    }
}

/// A world whose sessions reach no network.
pub fn closed() -> World {
    world(json!({ "network": "deny" }))
}

pub fn shell(line: &str) -> Command {
    Command::shell(line)
}

pub fn exec(program: &str, args: &[&str]) -> Command {
    Command::exec(program, args.iter().copied())
}

/// Everything a command gave.
#[derive(Debug, Default)]
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit: Exit,
}

impl Output {
    pub fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
    pub fn err(&self) -> &str {
        std::str::from_utf8(&self.stderr).unwrap()
    }
}

pub async fn collect(process: &mut Box<dyn Process>) -> Result<Output> {
    let mut output = Output::default();
    while let Some((stream, bytes)) = process.next().await? {
        match stream {
            Stream::Stdout => output.stdout.extend_from_slice(&bytes),
            Stream::Stderr => output.stderr.extend_from_slice(&bytes),
        }
    }
    output.exit = process.exit().await?;
    Ok(output)
}

pub async fn run(sandbox: &Arc<dyn Sandbox>, command: Command) -> Output {
    let mut process = sandbox.spawn(command).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), collect(&mut process))
        .await
        .expect("the command hangs")
        .unwrap()
}

/// Runs a line and gives its standard output without the last line end.
pub async fn sh(sandbox: &Arc<dyn Sandbox>, line: &str) -> String {
    run(sandbox, shell(line)).await.out().trim_end().to_owned()
}
