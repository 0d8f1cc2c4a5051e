//! Commands: streams, exit codes, standard input, failures to start, time limits.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{closed, collect, exec, run, sh, shell};
use vibekit_sandbox::{Code, Command, Stdin};

#[tokio::test]
async fn streams_come_apart_and_the_exit_code_is_the_commands() {
    let world = closed();
    let sandbox = world.create().await;
    let output = run(&sandbox, shell("echo out; echo err >&2; exit 7")).await;
    assert_eq!((output.out(), output.err(), output.exit.code), ("out\n", "err\n", 7));
    let output = run(&sandbox, shell("kill -TERM $$")).await;
    assert_eq!((output.exit.code, output.exit.signal), (143, Some(15)));
    let output = run(&sandbox, exec("printf", &["%s|", "a b", "", "$HOME", "'\"\n"])).await;
    assert_eq!(output.out(), "a b||$HOME|'\"\n|");
    sandbox.kill().await.unwrap();
    assert!(world.sessions().is_empty());
}

#[tokio::test]
async fn who_and_where() {
    let world = closed();
    let sandbox = world.create().await;
    assert_eq!(
        sh(&sandbox, "id -u; id -g; id -un; pwd; echo $HOME").await,
        "1000\n1000\nuser\n/vibe0\n/home/user"
    );
    // Of the host's directories only the system's are there; on the way to a toolchain nothing can be listed.
    for path in ["/root", "/var/lib", "/srv", "/boot", "/sys", "/home/*/.ssh", "/var/run"] {
        assert_eq!(sh(&sandbox, &format!("ls -A {path} 2>/dev/null")).await, "", "{path}");
    }
    assert_eq!(
        sh(&sandbox, "touch a ~/b /tmp/c && echo ok; touch /usr/x /etc/x /x 2>/dev/null || echo no").await,
        "ok\nno"
    );
    let env = sh(&sandbox, "env | cut -d= -f1 | grep -v ^RUSTUP_HOME | sort | tr '\\n' ' '").await;
    assert_eq!(env, "HOME LANG LOGNAME PATH PWD SHELL TERM TMPDIR USER");
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn files_move_and_are_linked_between_directories() {
    let world = closed();
    let sandbox = world.create().await;
    // As programs do it, without `mv`'s way out of copying.
    let moves = "import os; os.makedirs('a/b'); open('f', 'w').write('x'); os.rename('f', 'a/b/f'); os.link('a/b/f', 'g'); \
                 os.rename('a/b', 'c'); print(open('g').read(), os.listdir('c'))";
    for place in ["/vibe0", "/home/user", "/tmp"] {
        let output =
            run(&sandbox, Command { cwd: Some(place.into()), ..exec("/usr/bin/python3", &["-c", moves]) })
                .await;
        assert_eq!((output.out(), output.err()), ("x ['f']\n", ""), "{place}");
    }
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn standard_input_of_any_size_arrives_intact() {
    let world = closed();
    let sandbox = world.create().await;
    let bytes: Vec<u8> = b"\0\n\xff\xfe prompt ".repeat(1 << 20);
    let output = run(&sandbox, Command { stdin: Stdin::Bytes(bytes.clone()), ..exec("cat", &[]) }).await;
    assert!(output.stdout == bytes);
    // A command that does not read it ends all the same.
    let output = run(&sandbox, Command { stdin: Stdin::Bytes(bytes), ..exec("true", &[]) }).await;
    assert_eq!(output.exit.code, 0);
    let mut process = sandbox.spawn(Command { stdin: Stdin::Pipe, ..exec("cat", &[]) }).await.unwrap();
    let control = process.control();
    control.write("piece by ".into()).await.unwrap();
    control.write("piece".into()).await.unwrap();
    control.close_stdin().await.unwrap();
    assert_eq!(collect(&mut process).await.unwrap().out(), "piece by piece");
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let world = closed();
    let sandbox = world.create().await;
    run(&sandbox, shell("echo x > plain; printf '#!/no/such\\n' > bad; chmod +x bad; printf 'echo hi' > bare; chmod +x bare; mkdir d")).await;
    let big = "x".repeat(200 << 10);
    let many = vec!["y".repeat(100 << 10); 60];
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (command, reason, code) in [
        (exec("no-such-program", &[]), "not_found", Some(127)),
        (exec("./none", &[]), "not_found", Some(127)),
        (exec("", &[]), "not_found", Some(127)),
        (exec("./plain", &[]), "not_executable", Some(126)),
        (exec("./d", &[]), "not_executable", Some(126)),
        (exec("./bad", &[]), "bad_interpreter", Some(126)),
        (exec("echo", &[&big]), "too_long", Some(126)),
        (exec("echo", &many), "too_long", Some(126)),
        (Command { cwd: Some("/nowhere".into()), ..exec("true", &[]) }, "working_directory", None),
        (Command { cwd: Some("/vibe0/plain".into()), ..exec("true", &[]) }, "working_directory", None),
    ] {
        let error = sandbox.spawn(command).await.err().unwrap();
        assert_eq!(error.code, Code::SpawnFailed, "{error:?}");
        assert_eq!(error.details["reason"], reason, "{error}");
        assert_eq!(error.details.get("exitCode").and_then(serde_json::Value::as_i64), code, "{error}");
    }
    assert_eq!(run(&sandbox, exec("./bare", &[])).await.out(), "hi\n");
    let error = sandbox.spawn(shell("a\0b")).await.err().unwrap();
    assert_eq!(error.field.as_deref(), Some("command"));
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_main_process_is_the_end_whoever_holds_the_pipe() {
    let world = closed();
    let sandbox = world.create().await;
    let start = Instant::now();
    let output = run(&sandbox, shell("(sleep 30; echo late) & echo now")).await;
    assert_eq!(output.out(), "now\n");
    let output = run(&sandbox, shell("yes & head -c 100000 /dev/zero | tr '\\0' a; exit 3")).await;
    assert_eq!(output.exit.code, 3);
    assert!(start.elapsed() < Duration::from_secs(10));
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn a_time_limit_ends_the_whole_tree() {
    let world = closed();
    let sandbox = world.create().await;
    let limited = |line: &str| Command { timeout_ms: Some(300), ..shell(line) };
    for (line, least) in [
        ("sleep 100", 1),
        ("trap '' TERM; sleep 100 & sleep 100", 3),
        (
            "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & (setsid nohup sleep 77 >/dev/null 2>&1 &) ; sleep 100",
            4,
        ),
        ("sh -c 'kill -STOP $$' & sleep 100", 3),
    ] {
        let start = Instant::now();
        let output = run(&sandbox, limited(line)).await;
        let took = start.elapsed();
        assert!(output.exit.timed_out, "{line}");
        let stopped = output.exit.stopped.unwrap();
        assert!(stopped.processes >= least && !stopped.session_reset, "{line}: {stopped:?}");
        assert!(took < Duration::from_millis(2300), "{line}: {took:?}");
        assert_eq!(
            sh(&sandbox, "pgrep -c 'sleep|sh' -P 1; ps -e -o comm= | grep -c sleep").await,
            "0\n0",
            "{line}"
        );
    }
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn a_fork_bomb_does_not_outlive_its_time() {
    let world = common::world(serde_json::json!({ "network": "deny", "limits": { "pids": 200 } }));
    let sandbox = world.create().await;
    let forks = "import os, signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True:\n try: os.fork()\n except OSError: pass";
    let bomb = Command { timeout_ms: Some(300), ..exec("/usr/bin/python3", &["-c", forks]) };
    let start = Instant::now();
    let output = run(&sandbox, bomb).await;
    assert!(output.exit.timed_out);
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(sh(&sandbox, "echo still here").await, "still here");
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn stop_and_signal() {
    let world = closed();
    let sandbox = world.create().await;
    let mut process = sandbox
        .spawn(shell("trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done"))
        .await
        .unwrap();
    assert_eq!(&process.next().await.unwrap().unwrap().1[..], b"ready\n");
    process.control().signal(10).await.unwrap();
    let output = collect(&mut process).await.unwrap();
    assert_eq!((output.out(), output.exit.code), ("got\n", 5));
    let mut process = sandbox.spawn(shell("sleep 100 & sleep 100")).await.unwrap();
    process.control().stop(Duration::from_millis(500)).await.unwrap();
    let output = collect(&mut process).await.unwrap();
    assert!(!output.exit.timed_out);
    assert!(!output.exit.stopped.unwrap().session_reset);
    // A dropped process is a stopped one.
    let process = sandbox.spawn(shell("sleep 1234")).await.unwrap();
    drop(process);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sh(&sandbox, "ps -e -o args= | grep -c '[s]leep 1234'").await, "0");
    sandbox.kill().await.unwrap();
}

#[tokio::test]
async fn killing_ends_everything_and_later_calls_say_so() {
    let world = closed();
    let sandbox = world.create().await;
    let mut process = sandbox.spawn(shell("setsid sleep 5555 & sleep 100")).await.unwrap();
    sandbox.kill().await.unwrap();
    sandbox.kill().await.unwrap();
    assert_eq!(collect(&mut process).await.unwrap_err().code, Code::SandboxKilled);
    assert_eq!(sandbox.spawn(shell("true")).await.err().unwrap().code, Code::SandboxKilled);
    assert_eq!(world.resume(sandbox.id()).await.err().unwrap().code, Code::SessionNotFound);
    let left = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x005555"))
    });
    assert!(!left);
}
