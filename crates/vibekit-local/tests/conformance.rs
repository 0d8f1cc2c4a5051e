//! The embedded sandbox against the suite every provider passes.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use common::exec;
use serde_json::json;
use vibekit_sandbox::conformance::{Harness, run};
use vibekit_sandbox::{Code, Command, Error, Provider, Result};

struct Local(common::World);

/// Answers every connection, as a server inside the sandbox.
const SERVER: &str = "
import socket
server = socket.create_server(('127.0.0.1', 3000))
while True:
    connection, _ = server.accept()
    connection.sendall(b'conformance\\n')
    connection.close()
";

/// Sandboxes are children of this process.
fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: &Path| std::fs::read_to_string(task.join("children")).unwrap_or_default();
    let pids: Vec<String> = tasks
        .flat_map(|task| of(&task.unwrap().path()).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    pids.into_iter().map(|pid| format!("process {pid}")).collect()
}

#[async_trait]
impl Harness for Local {
    fn provider(&self) -> Result<Arc<dyn Provider>> {
        Ok(common::provider(&self.0.home, json!({ "network": "deny" })))
    }

    async fn leftovers(&self) -> Result<Vec<String>> {
        Ok(self.0.sessions().into_iter().map(|id| format!("session {id}")).chain(children()).collect())
    }

    async fn take_away(&self, _id: &str) -> Result<bool> {
        // What holds a sandbox together is its first process, a child of ours.
        let [ref child] = children()[..] else {
            return Err(Error::new(Code::Internal, format!("There is not one child: {:?}", children())));
        };
        let pid: i32 = child.trim_start_matches("process ").parse().unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        Ok(true)
    }

    fn server(&self) -> Option<(u16, Command)> {
        Some((3000, exec("/usr/bin/python3", &["-c", SERVER])))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance() {
    run(&Local(common::closed())).await.conclude();
}
