//! Other processes, and living on after the end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Cage, World, eventually, host};

/// A process of the host, of the same user where the session has one of ours.
struct Bystander(std::process::Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    #[track_caller]
    fn is_unharmed(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it was ended");
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        assert!(status.contains("State:\tS"), "it was stopped: {status}");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Signals to the host and to another session [11], and to the session's own init [12].
async fn signals() {
    let mut bystander = Bystander::new();
    let world = World::new(json!({ "network": "deny" }));
    let (cage, other) = (world.cage().await, world.cage().await);
    let (_held, _) = other.hold().await;
    let theirs: Vec<String> =
        host::session_of(&other.processes()[0]).iter().map(|seen| seen.pid.to_string()).collect();
    let mut targets = vec![bystander.pid(), std::process::id().to_string()];
    targets.extend(theirs);
    for signal in ["9", "19", "15"] {
        let arguments: Vec<&str> =
            ["signal", signal].into_iter().chain(targets.iter().map(String::as_str)).collect();
        cage.attack(&arguments).await.none_worked(11);
    }
    // Everybody the sender may signal: that ends the session's commands, and nobody else's.
    let everybody = cage.shell("sleep 60 & kill -9 -1; echo survived").await;
    assert!(everybody.exit.code == 137 || everybody.stdout == "survived\n", "{everybody:?}");
    bystander.is_unharmed();
    assert_eq!(other.processes().len(), 1, "the other session was hit");
    cage.works().await;

    for signal in ["9", "19", "15", "1", "2", "11", "23", "34", "64"] {
        let _ = cage.attack(&["signal", signal, "1"]).await;
        cage.works().await;
    }
    cage.kill().await;
    other.kill().await;
}
attack!(signals_stay_in_the_session, signals());

/// Memory and descriptors of the init, of another command and of the host [13].
async fn memory() {
    let mut bystander = Bystander::new();
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let (_held, sibling) = cage.hold().await;
    let report =
        cage.attack(&["peers", "1", &sibling, &bystander.pid(), &std::process::id().to_string()]).await;
    report.none_worked(13);
    for pid in ["1", sibling.as_str()] {
        for way in ["ptrace attach", "ptrace seize", "process_vm_readv", "process_vm_writev", "pidfd_getfd"] {
            assert_eq!(report.line(&format!("{way} {pid}")).outcome, "EPERM", "{way} {pid}");
        }
    }
    assert_eq!(report.line("ptrace traceme").outcome, "EPERM");
    bystander.is_unharmed();
    cage.works().await;
    cage.kill().await;
}
attack!(memory_of_others_is_closed, memory());

/// What `/proc` tells about the init, and its program [14].
async fn proc() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["proc", "1"]).await;
    // Its name and its arguments are everybody's to read; they tell nothing.
    report.none_worked_but(14, &["command line"]);
    report.never_shows(&world.path().display().to_string());
    cage.works().await;
    world.cage().await.kill().await;
    cage.kill().await;
}
attack!(the_init_keeps_to_itself, proc());

/// Everything that tries to outlive its command's time limit [46].
async fn timeouts() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let (_held, bystander) = cage.hold().await;
    let mut command = cage.command(&["survive", "stay"]);
    command.timeout_ms = Some(1000);
    let begun = Instant::now();
    let mut running = cage.start(command).await;
    let output = running.output_within(Duration::from_secs(20)).await;
    let took = begun.elapsed();
    assert!(output.exit.timed_out, "{output:?}");
    let stopped = output.exit.stopped.clone().unwrap();
    assert!(stopped.processes >= 8, "{stopped:?}");
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    if stopped.session_reset {
        eventually("the session is empty", || cage.processes().is_empty());
    } else {
        // All of it is gone, and nothing but it.
        eventually("only the other command is left", || cage.processes().len() == 1);
        let report = cage.attack(&["signal", "0", &bystander]).await;
        assert!(report.line(&format!("kill {bystander} with 0")).worked());
    }
    cage.works().await;
    cage.kill().await;
}
attack!(nothing_outlives_its_time, timeouts());

/// Each way to survive on its own, so that a failure has a name [46].
async fn each() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    for way in ["session", "orphan", "deaf", "stopped", "silent", "runner", "runner deaf", "reaper"] {
        let mut command = cage.command(&["survive", "stay", way]);
        command.timeout_ms = Some(300);
        let begun = Instant::now();
        let output = cage.start(command).await.output_within(Duration::from_secs(20)).await;
        assert!(output.exit.timed_out, "{way}: {output:?}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{way} took {:?}", begun.elapsed());
        eventually(way, || cage.processes().is_empty());
    }
    cage.kill().await;
}
attack!(no_single_way_to_survive_works, each());

/// A command ends when its main process does, whoever holds its output open [46].
async fn held_output() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let begun = Instant::now();
    let output =
        cage.start(cage.command(&["survive", "exit"])).await.output_within(Duration::from_secs(5)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
    assert_eq!(output.exit.code, 0);
    assert!(output.stdout.contains("started runner"), "{output:?}");
    cage.kill().await;
}
attack!(a_held_pipe_holds_nobody_up, held_output());

/// Everything that tries to outlive a cancel, and the session [46, 47].
async fn kills() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let mut running = cage.start(cage.command(&["survive", "stay"])).await;
    running.first_line().await;
    let control = running.0.control();
    tokio::time::timeout(Duration::from_secs(8), control.stop(Duration::from_millis(200)))
        .await
        .unwrap()
        .unwrap();
    let output = running.output_within(Duration::from_secs(8)).await;
    assert!(output.exit.stopped.is_some(), "{output:?}");
    eventually("the stopped tree is gone", || cage.processes().is_empty());

    let _running = cage.start(cage.command(&["survive", "exit"])).await;
    eventually("the survivors are there", || cage.processes().len() >= 8);
    let begun = Instant::now();
    cage.kill().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "the kill took {:?}", begun.elapsed());
    assert!(world.sessions().is_empty());
}
attack!(nothing_outlives_the_session, kills());

/// A paused session does nothing [50].
async fn pauses() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let mut command = cage.command(&["tick", "/vibe0/ticks", "5000"]);
    command.timeout_ms = Some(8000);
    let mut ticking = cage.start(command).await;
    let waker = cage
        .start(vibekit_sandbox::Command::shell(
            "trap '' TSTP; (while :; do kill -CONT -1; sleep 0.01; done) & wait",
        ))
        .await;
    let ticks = || std::fs::metadata(find(&world, "ticks")).map(|of| of.len()).unwrap_or(0);
    eventually("it ticks", || ticks() > 5);
    cage.sandbox.pause().await.unwrap();
    assert!(cage.sandbox.paused());
    cage.sandbox.pause().await.unwrap();
    // What was on its way arrives; then there is silence.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cpu = || cpu_of(&cage);
    let (before, cpu_before) = (ticks(), cpu());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (after, cpu_after) = (ticks(), cpu());
    assert_eq!(before, after, "{} ticks while paused", after - before);
    assert!(cpu_after - cpu_before <= 5, "{} clock ticks of processor while paused", cpu_after - cpu_before);
    cage.sandbox.thaw().await.unwrap();
    cage.sandbox.thaw().await.unwrap();
    eventually("it ticks again", || ticks() > after);
    // The command's own clock does not know pauses, ours does: 5 s of ticking, 8 s allowed, whatever the pause took.
    let output = ticking.output_within(Duration::from_secs(15)).await;
    assert!(!output.exit.timed_out, "{output:?}");
    drop(waker);

    // Killed in its sleep.
    let (_held, _) = cage.hold().await;
    cage.sandbox.pause().await.unwrap();
    cage.kill().await;
}
attack!(a_paused_session_is_still, pauses());

/// A pause does not count against a command's time limit [50].
async fn paused_clock() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let mut command = vibekit_sandbox::Command::shell("sleep 0.2; read line; echo done");
    command.stdin = vibekit_sandbox::Stdin::Pipe;
    command.timeout_ms = Some(1500);
    let mut running = cage.start(command).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cage.sandbox.pause().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    cage.sandbox.thaw().await.unwrap();
    running.0.control().write("go\n".into()).await.unwrap();
    let output = running.output().await;
    assert_eq!(output.stdout, "done\n", "{output:?}");
    assert!(!output.exit.timed_out);
    cage.kill().await;
}
attack!(a_pause_costs_no_time, paused_clock());

fn find(world: &World, name: &str) -> std::path::PathBuf {
    let all = host::snapshot(&world.state());
    all.into_keys().find(|path| path.ends_with(name)).unwrap_or_else(|| "/no/such/file".into())
}

/// User and system time of the session's processes, in clock ticks.
fn cpu_of(cage: &Cage) -> u64 {
    let of = |seen: &host::Seen| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", seen.pid)).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum::<u64>()
    };
    cage.processes().iter().map(of).sum()
}
