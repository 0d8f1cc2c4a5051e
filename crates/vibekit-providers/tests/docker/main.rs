//! `environment.docker` over a real engine.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod clash;
mod conformance;
mod life;
mod own;
mod refusals;
mod support;

use std::sync::Arc;

use vibekit_sandbox::{Command, Exit, Sandbox, Stream};

/// A line for the shell.
fn shell(line: &str) -> Command {
    Command::shell(line)
}

/// Runs a command; gives its standard output and its end.
async fn run(sandbox: &Arc<dyn Sandbox>, command: Command) -> (String, Exit) {
    let mut process = sandbox.spawn(command).await.unwrap();
    let mut output = Vec::new();
    while let Some((stream, bytes)) = process.next().await.unwrap() {
        if stream == Stream::Stdout {
            output.extend_from_slice(&bytes);
        }
    }
    (String::from_utf8(output).unwrap(), process.exit().await.unwrap())
}
