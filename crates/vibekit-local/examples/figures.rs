//! Prints the figures of the embedded sandbox: `cargo run --release --example figures -p vibekit-local`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a report for people"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vibekit_local::{HostEnv, LocalOptions, LocalProvider};
use vibekit_sandbox::{Command, OpenRequest, Process, Provider, Sandbox};

fn command(program: &str, args: &[&str]) -> Command {
    Command::exec(program, args.iter().copied())
}

async fn drain(process: &mut Box<dyn Process>) -> u64 {
    let mut bytes = 0;
    while let Some((_, chunk)) = process.next().await.unwrap() {
        bytes += chunk.len() as u64;
    }
    process.exit().await.unwrap();
    bytes
}

fn report(name: &str, samples: &mut [Duration]) {
    samples.sort_unstable();
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{name:<34} p50 {:>8.2} ms   p90 {:>8.2} ms   n {}", at(0.5), at(0.9), samples.len());
}

/// Private memory of a session's init, in KiB.
fn memory(before: &[u32]) -> Option<u64> {
    let mut total = 0;
    for pid in children().into_iter().filter(|pid| !before.contains(pid)) {
        // Only root may read it: the init is not dumpable.
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let field = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        total += field.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
    }
    Some(total)
}

fn children() -> Vec<u32> {
    let id = std::process::id();
    std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .chain(std::fs::read_dir("/proc/self/task").unwrap().flatten().flat_map(|task| {
            std::fs::read_to_string(task.path().join("children"))
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        }))
        .collect()
}

#[tokio::main]
async fn main() {
    let home = tempfile::tempdir().unwrap();
    for network in ["deny", "allow"] {
        let options = LocalOptions::parse(&json!({ "network": network }), "local").unwrap();
        let host = HostEnv {
            path: std::env::var("PATH").ok(),
            home: std::env::var_os("HOME").map(Into::into),
            vibekit_home: Some(home.path().join("state")),
            ..HostEnv::default()
        };
        let provider = LocalProvider::new(options, host).unwrap();
        println!("network: {network}");
        figures(&provider).await;
    }
    let mut plain = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        std::process::Command::new("/bin/true").status().unwrap();
        plain.push(begin.elapsed());
    }
    report("plain posix_spawn of true", &mut plain);
}

async fn figures(provider: &Arc<LocalProvider>) {
    let (mut create, mut destroy) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let begin = Instant::now();
        let sandbox = provider.create(OpenRequest::default()).await.unwrap();
        create.push(begin.elapsed());
        let begin = Instant::now();
        sandbox.kill().await.unwrap();
        destroy.push(begin.elapsed());
    }
    report("create", &mut create);
    report("destroy", &mut destroy);

    let before = children();
    let sandbox: Arc<dyn Sandbox> = provider.create(OpenRequest::default()).await.unwrap();
    let mut exec = Vec::new();
    for _ in 0..300 {
        let begin = Instant::now();
        let mut process = sandbox.spawn(command("/bin/true", &[])).await.unwrap();
        drain(&mut process).await;
        exec.push(begin.elapsed());
    }
    report("exec true", &mut exec);
    match memory(&before) {
        Some(kib) => println!("{:<34} {kib} KiB (proportional set of the init)", "idle memory"),
        None => println!("{:<34} not readable as this user", "idle memory"),
    }

    let begin = Instant::now();
    let mut process = sandbox.spawn(command("head", &["-c", "1073741824", "/dev/zero"])).await.unwrap();
    let bytes = drain(&mut process).await;
    let took = begin.elapsed().as_secs_f64();
    println!(
        "{:<34} {:.2} GiB/s ({bytes} bytes)",
        "1 GiB of output",
        bytes as f64 / took / f64::from(1 << 30)
    );
    sandbox.kill().await.unwrap();

    let begin = Instant::now();
    let mut all = Vec::new();
    for _ in 0..100 {
        let provider = Arc::clone(provider);
        all.push(tokio::spawn(async move {
            let sandbox = provider.create(OpenRequest::default()).await.unwrap();
            sandbox.kill().await.unwrap();
        }));
    }
    for task in all {
        task.await.unwrap();
    }
    println!(
        "{:<34} {:.0} per second",
        "create and destroy, 100 at once",
        100.0 / begin.elapsed().as_secs_f64()
    );
}
