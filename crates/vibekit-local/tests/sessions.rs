//! The life of a session: resuming, ownership, parking, pausing, background commands, files, ports, workspaces.

#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, Instant};

use common::{closed, exec, run, sh, shell, world};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vibekit_sandbox::{Code, Command, OpenRequest, Sandbox};

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < give_up, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_is_found_again_with_its_processes() {
    let world = closed();
    let sandbox = world.create().await;
    let id = sandbox.id().to_owned();
    let background = Command { background: true, ..shell("echo begun; echo $$ > pid; exec sleep 300") };
    let mut process = sandbox.spawn(background).await.unwrap();
    assert_eq!(process.next().await.unwrap(), None);
    assert_eq!(process.exit().await.unwrap().code, 0);
    sandbox.remember("{\"turn\":1}").await.unwrap();
    sandbox.remember("{\"turn\":2}").await.unwrap();
    // Another object of this process shares the attachment.
    let other = world.resume(&id).await.unwrap();
    assert_eq!(sh(&other, "echo shared").await, "shared");
    sandbox.release().await.unwrap();
    sandbox.release().await.unwrap();
    assert_eq!(sh(&other, "echo still").await, "still");
    other.release().await.unwrap();
    assert_eq!(other.spawn(shell("true")).await.err().unwrap().code, Code::Disposed);

    let again = world.provider.resume_local(&id, OpenRequest::default()).await.unwrap();
    assert!(!again.processes_lost());
    assert_eq!(again.record().await.unwrap().as_deref(), Some("{\"turn\":2}"));
    let jobs = again.jobs().await.unwrap();
    assert_eq!((jobs.len(), jobs[0].code), (1, None));
    let log = jobs[0].log.clone().unwrap();
    assert_eq!(&again.files().unwrap().read(&log).await.unwrap()[..], b"begun\n");
    let again: std::sync::Arc<dyn Sandbox> = again;
    assert_eq!(sh(&again, "kill -0 $(cat pid) && echo alive").await, "alive");
    again.kill().await.unwrap();
    assert!(world.sessions().is_empty());
}

/// Its init may not have heard yet that it was accepted. (A wrong idea of which process that is killed this one.)
#[tokio::test]
async fn a_session_that_was_just_made_can_be_taken_over_and_killed() {
    let world = closed();
    for _ in 0..20 {
        let sandbox = world.create().await;
        let id = sandbox.id().to_owned();
        sandbox.release().await.unwrap();
        let again = world.resume(&id).await.unwrap();
        assert!(!again.processes_lost());
        again.kill().await.unwrap();
    }
    assert!(world.sessions().is_empty());
}

#[tokio::test]
async fn files_outlive_a_killed_init() {
    let world = closed();
    let sandbox = world.create().await;
    let id = sandbox.id().to_owned();
    let background = Command { background: true, ..shell("exec sleep 300") };
    sandbox.spawn(background).await.unwrap();
    assert_eq!(sh(&sandbox, "echo kept > file; cat file").await, "kept");
    // The host's name for PID 1 of the session.
    let init = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let parent = format!("PPid:\t{}\n", std::process::id());
        (status.contains("NSpid")
            && status.contains(&parent)
            && status.lines().any(|l| l.starts_with("NSpid:") && l.ends_with("\t1")))
        .then_some(pid)
    });
    let init = rustix::process::Pid::from_raw(init.unwrap()).unwrap();
    let lost = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { sandbox.lost().await }
    });
    rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(5), lost).await.unwrap().unwrap().code,
        Code::SandboxLost
    );
    assert_eq!(sandbox.spawn(shell("true")).await.err().unwrap().code, Code::SandboxLost);
    sandbox.release().await.unwrap();
    let again = world.resume(&id).await.unwrap();
    assert!(again.processes_lost());
    assert_eq!(sh(&again, "cat file").await, "kept");
    again.kill().await.unwrap();
}

#[tokio::test]
async fn ids_are_checked_before_the_disk_is_touched() {
    let world = closed();
    for id in [
        "",
        "../x",
        "lcl_",
        "/etc",
        "lcl_../../../../../../../../etc",
        "lcl_AAAAAAAAAAAAAAAAAAAAAAAAAA",
        "lcl_\0aaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert_eq!(world.resume(id).await.err().unwrap().code, Code::InvalidArgument, "{id:?}");
    }
    assert_eq!(world.resume(&"x".repeat(5000)).await.err().unwrap().code, Code::InvalidArgument);
    assert!(!world.home.path().join("state").exists());
    let missing = format!("lcl_{}", "a".repeat(26));
    assert_eq!(world.resume(&missing).await.err().unwrap().code, Code::SessionNotFound);
    symlink("/etc", world.home.path().join("state/sessions").join(&missing)).unwrap();
    assert_eq!(world.resume(&missing).await.err().unwrap().code, Code::SessionNotFound);
}

#[tokio::test]
async fn broken_state_is_told_apart() {
    let world = closed();
    let sandbox = world.create().await;
    let id = sandbox.id().to_owned();
    sandbox.release().await.unwrap();
    let meta = world.home.path().join("state/sessions").join(&id).join("meta.json");
    let good = std::fs::read_to_string(&meta).unwrap();
    for (text, code) in [
        ("", Code::StateCorrupt),
        (&good[..good.len() / 2], Code::StateCorrupt),
        (&good.replace("\"format\":1", "\"format\":99"), Code::StateVersion),
    ] {
        std::fs::write(&meta, text).unwrap();
        assert_eq!(world.resume(&id).await.err().unwrap().code, code);
    }
    // A sweep leaves what it does not understand.
    world.provider.sweep().await.unwrap();
    std::fs::write(&meta, &good).unwrap();
    world.resume(&id).await.unwrap().kill().await.unwrap();
    std::fs::write(world.home.path().join("state/format"), "vibekit-state 2\n").unwrap();
    let error = world.provider.sweep().await.unwrap_err();
    assert_eq!(error.code, Code::StateVersion);
}

#[tokio::test]
async fn idle_sessions_cost_no_process() {
    let world = world(json!({ "network": "deny", "idleTimeoutMs": 100 }));
    let sandbox = world.provider.create_local(OpenRequest::default()).await.unwrap();
    let dynamic: std::sync::Arc<dyn Sandbox> = sandbox.clone();
    sh(&dynamic, "echo x > /tmp/file").await;
    until("it is parked", async || sandbox.parked().await.unwrap()).await;
    assert_eq!(sh(&dynamic, "cat /tmp/file").await, "x");
    until("it is parked again", async || sandbox.parked().await.unwrap()).await;
    // Not while something runs.
    let background = Command { background: true, ..exec("sleep", &["300"]) };
    dynamic.spawn(background).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!sandbox.parked().await.unwrap());
    let id = sandbox.id().to_owned();
    dynamic.release().await.unwrap();
    let again = world.resume(&id).await.unwrap();
    assert!(!again.processes_lost());
    again.kill().await.unwrap();
}

/// Processes of this machine that run exactly this command line.
fn running(command: &[&str]) -> usize {
    let line: String = command.iter().map(|part| format!("{part}\0")).collect();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|l| l == line))
        .count()
}

#[tokio::test]
async fn an_init_that_leaves_by_itself_has_lost_nothing() {
    let world = world(json!({ "network": "deny", "idleTimeoutMs": 100 }));
    let sandbox = world.create().await;
    let id = sandbox.id().to_owned();
    sh(&sandbox, "echo x > file").await;
    sandbox.release().await.unwrap();
    let left = world.home.path().join("state/sessions").join(&id).join("left");
    until("it has left", async || std::fs::metadata(&left).unwrap().len() > 0).await;
    until("nothing of it is left to be reaped", async || !has_init()).await;
    let again = world.resume(&id).await.unwrap();
    assert!(!again.processes_lost());
    assert_eq!(sh(&again, "cat file").await, "x");
    again.kill().await.unwrap();
}

/// True while this process has a child that is the first process of a session, a dead one included. Every test is a
/// process of its own.
fn has_init() -> bool {
    let parent = format!("PPid:\t{}\n", std::process::id());
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read_to_string(entry.path().join("status")).is_ok_and(|status| status.contains(&parent))
    })
}

#[tokio::test]
async fn what_a_finished_command_left_running_does_not_outlive_its_owner_for_ever() {
    let world = world(json!({ "network": "deny", "idleTimeoutMs": 300 }));
    let span = format!("{}", 1_000_000 + std::process::id());
    let stray = format!("(setsid sleep {span} >/dev/null 2>&1 &) ; echo started");
    let sandbox = world.create().await;
    let id = sandbox.id().to_owned();
    assert_eq!(sh(&sandbox, &stray).await, "started");
    // As long as somebody owns the session it is left alone.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(running(&["sleep", &span]), 1);
    sandbox.release().await.unwrap();
    until("it is ended", async || running(&["sleep", &span]) == 0).await;
    until("the init has gone", async || !has_init()).await;
    let again = world.resume(&id).await.unwrap();
    assert!(again.processes_lost());
    // A background command was meant to stay, and keeps everything with it.
    assert_eq!(sh(&again, &stray).await, "started");
    again.spawn(Command { background: true, ..exec("sleep", &["300"]) }).await.unwrap();
    again.release().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(running(&["sleep", &span]), 1);
    let again = world.resume(&id).await.unwrap();
    assert!(!again.processes_lost());
    again.kill().await.unwrap();
    assert_eq!(running(&["sleep", &span]), 0);
}

#[tokio::test]
async fn ephemeral_sessions_leave_nothing() {
    let world = world(json!({ "network": "deny", "ephemeral": true }));
    let sandbox = world.create().await;
    sh(&sandbox, "mkdir -p a/b; chmod 000 a/b; touch /tmp/x").await;
    sandbox.release().await.unwrap();
    assert!(world.sessions().is_empty());
    let dropped = world.create().await;
    drop(dropped);
    until("the directory is gone", async || world.sessions().is_empty()).await;
}

#[tokio::test]
async fn a_paused_session_stands_still() {
    let world = closed();
    let sandbox = world.create().await;
    let ticking = Command {
        timeout_ms: Some(1500),
        ..shell("(sleep 0.3; kill -CONT -1) & while :; do echo tick; sleep 0.01; done")
    };
    let mut process = sandbox.spawn(ticking).await.unwrap();
    process.next().await.unwrap().unwrap();
    sandbox.pause().await.unwrap();
    sandbox.pause().await.unwrap();
    assert!(sandbox.paused());
    assert_eq!(sandbox.spawn(shell("true")).await.err().unwrap().code, Code::SandboxPaused);
    while tokio::time::timeout(Duration::from_millis(100), process.next()).await.is_ok() {}
    // Longer than its time limit: the clock stands still too.
    assert!(tokio::time::timeout(Duration::from_millis(2000), process.next()).await.is_err());
    let other = world.resume(sandbox.id()).await.unwrap();
    assert!(other.paused());
    sandbox.thaw().await.unwrap();
    assert!(process.next().await.unwrap().is_some());
    while process.next().await.unwrap().is_some() {}
    assert!(process.exit().await.unwrap().timed_out);
    // Paused across an attachment, killed while paused.
    other.release().await.unwrap();
    let background = Command { background: true, ..exec("sleep", &["300"]) };
    sandbox.spawn(background).await.unwrap();
    sandbox.pause().await.unwrap();
    let id = sandbox.id().to_owned();
    sandbox.release().await.unwrap();
    let again = world.resume(&id).await.unwrap();
    assert!(again.paused());
    again.kill().await.unwrap();
}

/// By the freezer, where there is one: nothing inside is told of the pause, and its control group goes with the session.
#[tokio::test]
async fn a_pause_is_not_noticed() {
    let world = closed();
    if !world.provider.probe().await.unwrap().freezer {
        return;
    }
    let sandbox = world.create().await;
    let watching = "trap 'echo continued' CONT; echo ready; while :; do echo tick; sleep 0.01; done";
    let mut process = sandbox.spawn(shell(watching)).await.unwrap();
    let mut text = String::new();
    for _ in 0..3 {
        sandbox.pause().await.unwrap();
        sandbox.thaw().await.unwrap();
        let seen = text.matches("tick").count();
        while text.matches("tick").count() < seen + 3 {
            let (_, bytes) = process.next().await.unwrap().unwrap();
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    assert!(!text.contains("continued"), "{text}");

    // What is stopped while it stands still ends all the same, with everything below it.
    sandbox.pause().await.unwrap();
    process.control().stop(Duration::from_secs(1)).await.unwrap();
    while process.next().await.unwrap().is_some() {}
    let exit = process.exit().await.unwrap();
    assert!(exit.stopped.is_some(), "{exit:?}");
    sandbox.thaw().await.unwrap();
    assert_eq!(sh(&sandbox, "pgrep -c sleep; true").await, "0");
    let groups = || {
        let paths = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let places = paths.map(|entry| entry.path()).chain(["/sys/fs/cgroup".into()]);
        let all = places.filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten();
        all.filter(|entry| entry.file_name().to_string_lossy().contains(sandbox.id())).count()
    };
    sandbox.kill().await.unwrap();
    assert_eq!(groups(), 0);
}

/// A pause by signals is undone by them, one by the freezer by the freezer, whoever does it.
#[tokio::test]
async fn another_owner_lets_a_paused_session_run() {
    let world = closed();
    let sandbox = world.create().await;
    let background = Command { background: true, ..shell("while :; do echo >> ticks; sleep 0.01; done") };
    sandbox.spawn(background).await.unwrap();
    sandbox.pause().await.unwrap();
    let id = sandbox.id().to_owned();
    sandbox.release().await.unwrap();
    let again = world.resume(&id).await.unwrap();
    let ticks = async || again.files().unwrap().read("ticks").await.map_or(0, |text| text.len());
    let before = ticks().await;
    again.thaw().await.unwrap();
    until("it ticks again", async || ticks().await > before).await;
    again.kill().await.unwrap();
}

#[tokio::test]
async fn files_without_a_command() {
    let world = closed();
    let sandbox = world.create().await;
    let files = sandbox.files().unwrap();
    files.write("a/b/c.txt", "one".into()).await.unwrap();
    files.write("/vibe0/a/b/c.txt", "two".into()).await.unwrap();
    files.write("$HOME/.config/x", "home".into()).await.unwrap();
    assert_eq!(
        sh(&sandbox, "cat a/b/c.txt ~/.config/x; stat -c ' %u %g %a' a/b/c.txt; echo more >> a/b/c.txt")
            .await,
        "twohome 1000 1000 644"
    );
    assert_eq!(&files.read("a/b/c.txt").await.unwrap()[..], b"twomore\n");
    sh(&sandbox, "ln -s /etc/passwd out; ln -s ../../../../../../etc/passwd up; ln -s c.txt a/b/in; mkfifo pipe; ln -s / root; ln -s /etc dir").await;
    assert_eq!(&files.read("a/b/in").await.unwrap()[..], b"twomore\n");
    for path in ["out", "up", "root/etc/passwd", "pipe", "a", "/etc/passwd", "../x", "nothing"] {
        let error = files.read(path).await.err().unwrap();
        assert_eq!(error.code, Code::FileError, "{path}");
    }
    assert_eq!(files.write("dir/x", "no".into()).await.err().unwrap().code, Code::FileError);
    // Nor is a link written through.
    assert_eq!(files.write("out", "mine".into()).await.err().unwrap().code, Code::FileError);
    let names: Vec<(String, &str)> =
        files.list("").await.unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
    let names: Vec<(&str, &str)> = names.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    assert_eq!(
        names,
        [
            ("a", "directory"),
            ("dir", "symlink"),
            ("out", "symlink"),
            ("pipe", "other"),
            ("root", "symlink"),
            ("up", "symlink")
        ]
    );
    files.remove("a").await.unwrap();
    files.remove("a").await.unwrap();
    files.remove("root").await.unwrap();
    assert_eq!(sh(&sandbox, "ls").await, "dir\nout\npipe\nup");
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn a_port_is_reachable_from_outside() {
    let world = closed();
    let sandbox = world.create().await;
    let server = "import socket\ns=socket.create_server(('127.0.0.1',3000))\nwhile True:\n c,_=s.accept()\n c.sendall(b'hello '+c.recv(100))\n c.close()";
    let mut process = sandbox.spawn(exec("/usr/bin/python3", &["-c", server])).await.unwrap();
    let host = sandbox.host(3000).await.unwrap();
    assert_eq!(sandbox.host(3000).await.unwrap(), host);
    let ask = async || {
        let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        let mut answer = String::new();
        stream.write_all(b"you").await.ok()?;
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    until("the server answers", async || ask().await.as_deref() == Some("hello you")).await;
    process.control().stop(Duration::ZERO).await.unwrap();
    while process.next().await.unwrap().is_some() {}
    sandbox.kill().await.unwrap();
    assert!(tokio::net::TcpStream::connect(&host).await.is_err());
}

#[tokio::test]
async fn workspaces() {
    for mode in ["dir", "overlay", "copy"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "host").unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let world = world(json!({ "network": "deny", "workspace": { "path": folder.path(), "mode": mode } }));
        let sandbox = world.create().await;
        assert_eq!(
            sh(
                &sandbox,
                "cat file; stat -c ' %u' file; echo inside > file; echo new > sub/new; rm -rf sub/none; cat file"
            )
            .await,
            "host 1000\ninside",
            "{mode}"
        );
        let files = sandbox.files().unwrap();
        files.write("by-api", "x".into()).await.unwrap();
        assert_eq!(sh(&sandbox, "cat by-api; stat -c ' %u' by-api").await, "x 1000");
        let outside = std::fs::read_to_string(folder.path().join("file")).unwrap();
        if mode == "dir" {
            assert_eq!(outside, "inside\n");
            let owner = std::fs::metadata(folder.path()).unwrap().uid();
            for name in ["sub/new", "by-api"] {
                assert_eq!(std::fs::metadata(folder.path().join(name)).unwrap().uid(), owner, "{name}");
            }
        } else {
            assert_eq!(outside, "host");
            assert!(!folder.path().join("sub/new").exists());
        }
        let id = sandbox.id().to_owned();
        sandbox.release().await.unwrap();
        let again = world.resume(&id).await.unwrap();
        assert_eq!(sh(&again, "cat file sub/new").await, "inside\nnew", "{mode}");
        again.kill().await.unwrap();
        assert!(folder.path().join("file").exists());
    }
    let bad = world(json!({ "workspace": { "path": "/etc" } }));
    let error = bad.provider.create_local(OpenRequest::default()).await.err().unwrap();
    assert_eq!(error.field.as_deref(), Some("environment.local.workspace.path"));
}

#[tokio::test]
async fn programs_of_the_host_work_inside() {
    let world = closed();
    let sandbox = world.create().await;
    for (program, args) in
        [("node", "--version"), ("python3", "--version"), ("cargo", "--version"), ("git", "--version")]
    {
        if std::process::Command::new(program).arg(args).output().is_ok_and(|output| output.status.success())
        {
            let output = run(&sandbox, exec(program, &[args])).await;
            assert_eq!(output.exit.code, 0, "{program}: {}", output.err());
        }
    }
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn sandboxes_that_may_reach_out_are_led_to_the_gateway() {
    let world = world(json!({ "network": { "allow": ["allowed.example"] } }));
    let sandbox = world.create().await;
    let python = |code: &str| exec("/usr/bin/python3", &["-c", code]);
    // Not in the list: no address, whatever the resolver outside would say.
    let output = run(&sandbox, python("import socket\ntry: socket.getaddrinfo('denied.example', 443); print('resolved')\nexcept OSError: print('refused')")).await;
    assert_eq!(output.out(), "refused\n", "{}", output.err());
    // In the list: an address of ours, without a question to the outside.
    let output = run(
        &sandbox,
        python("import socket; print(socket.getaddrinfo('allowed.example', 443, socket.AF_INET)[0][4][0])"),
    )
    .await;
    assert!(output.out().starts_with("198.1"), "{} {}", output.out(), output.err());
    // Every address ends at the gateway, which closes what is not allowed; ports nobody captures are refused.
    let output = run(&sandbox, python("import socket\ns=socket.create_connection(('169.254.169.254',80),5); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print('got', b'200' in s.recv(100))\ntry: socket.create_connection(('93.184.216.34',9999),5)\nexcept ConnectionRefusedError: print('refused')")).await;
    assert_eq!(output.out(), "got False\nrefused\n", "{}", output.err());
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn a_probe_tells_what_this_machine_gives() {
    let world = closed();
    let support = world.provider.probe().await.unwrap();
    assert_eq!(support.tier, "namespaces");
    assert_eq!(support.own_user, rustix::process::geteuid().is_root());
    assert!(world.sessions().is_empty());
}

#[tokio::test]
async fn limits_hold_or_are_refused() {
    let probe = closed().provider.probe().await.unwrap();
    let limited = world(json!({ "network": "deny", "limits": { "memory": 200_000_000 } }));
    let made = limited.provider.create_local(OpenRequest::default()).await;
    if probe.unenforced.contains(&"memory") {
        let error = made.err().unwrap();
        assert_eq!(
            (error.code, error.field.as_deref()),
            (Code::LimitUnsupported, Some("environment.local.limits.memory"))
        );
        assert!(limited.sessions().is_empty());
    } else {
        let sandbox: std::sync::Arc<dyn Sandbox> = made.unwrap();
        let hog = exec("/usr/bin/python3", &["-c", "x = b'x' * 1_000_000_000"]);
        let output = run(&sandbox, hog).await;
        assert_eq!((output.exit.signal, output.exit.out_of_memory), (Some(9), true));
        assert_eq!(sh(&sandbox, "echo fine").await, "fine");
        sandbox.kill().await.unwrap();
    }
    let approximated = world(
        json!({ "network": "deny", "limits": { "memory": 500_000_000, "disk": 10_000_000, "pids": 60, "bestEffort": true } }),
    );
    let sandbox = approximated.create().await;
    let forks = "import os, time\nn=0\ntry:\n while n < 3000:\n  if os.fork()==0: time.sleep(20); os._exit(0)\n  n+=1\nexcept OSError: pass\nprint(n)";
    let output =
        run(&sandbox, Command { timeout_ms: Some(30_000), ..exec("/usr/bin/python3", &["-c", forks]) }).await;
    let forked: u32 = output.out().trim().parse().unwrap();
    assert!((40..60).contains(&forked), "{forked}");
    sandbox.kill().await.unwrap();
}
