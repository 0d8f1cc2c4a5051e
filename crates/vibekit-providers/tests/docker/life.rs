//! What a container is, and when it ends.

use std::time::{Duration, Instant};

use serde_json::json;
use vibekit_sandbox::{Command, OpenRequest};

use crate::support::{Engine, IMAGE};
use crate::{run, shell};

/// Waits until a container is gone.
async fn until_gone(engine: &Engine, name: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while engine.containers().await.iter().any(|line| line.contains(name)) {
        assert!(Instant::now() < end, "{name} is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn a_container_is_confined_by_default() {
    let engine = Engine::start();
    let limits = json!({ "memory": 64 << 20, "pids": 40, "cpu": 0.5 });
    let provider = engine.provider(json!({ "limits": limits, "ports": [3000] })).unwrap();
    let sandbox = provider.create(OpenRequest::default()).await.unwrap();
    let (who, _) =
        run(&sandbox, shell("id -u; id -g; while read -r line; do echo \"$line\"; done </proc/self/status"))
            .await;
    assert!(who.starts_with("1000\n1000\n"), "{who}");
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(who.contains(line), "{line} is not in {who}");
    }
    let inspected = engine.client(&["inspect", "--format", "{{json .HostConfig}}", sandbox.id()]);
    let host: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(
        (&host["Memory"], &host["MemorySwap"], &host["PidsLimit"]),
        (&json!(64 << 20), &json!(64 << 20), &json!(40))
    );
    assert_eq!((&host["NanoCpus"], &host["Privileged"]), (&json!(500_000_000), &json!(false)));
    assert_eq!(host["PortBindings"]["3000/tcp"][0]["HostIp"], "127.0.0.1");

    // A fork bomb leaves no process for the script that would end it: the container's processes are reset.
    let bomb = Command {
        timeout_ms: Some(1500),
        ..shell("bomb() { bomb | bomb & }; trap '' TERM; bomb & exec sleep 1000")
    };
    let (_, exit) = run(&sandbox, bomb).await;
    assert!(exit.timed_out && exit.stopped.is_some(), "{exit:?}");
    let (output, _) = run(&sandbox, shell("echo still here")).await;
    assert_eq!(output, "still here\n");
    sandbox.kill().await.unwrap();
    until_gone(&engine, sandbox.id()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn an_ephemeral_container_ends_with_its_object_and_a_persistent_one_does_not() {
    let engine = Engine::start();
    let provider = engine.provider(json!({ "ephemeral": true })).unwrap();
    let sandbox = provider.create(OpenRequest::default()).await.unwrap();
    let name = sandbox.id().to_owned();
    drop(sandbox);
    until_gone(&engine, &name).await;

    let provider = engine.provider(json!({})).unwrap();
    let sandbox = provider.create(OpenRequest::default()).await.unwrap();
    let name = sandbox.id().to_owned();
    run(&sandbox, shell("echo kept >file")).await;
    drop(sandbox);
    // Stopped, as after a restart of the machine.
    engine.client(&["stop", "--time", "0", &name]);
    let sandbox = provider.resume(&name, OpenRequest::default()).await.unwrap();
    assert!(sandbox.processes_lost());
    assert_eq!(run(&sandbox, shell("cat file")).await.0, "kept\n");
    drop(sandbox);
    engine.client(&["pause", &name]);
    let sandbox = provider.resume(&name, OpenRequest::default()).await.unwrap();
    assert!(!sandbox.processes_lost() && !sandbox.paused());
    assert_eq!(run(&sandbox, shell("cat file")).await.0, "kept\n");
    sandbox.kill().await.unwrap();
    until_gone(&engine, &name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and a container engine: npm run test:providers"]
async fn what_dead_processes_left_is_swept_and_nothing_else() {
    let engine = Engine::start();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let dead = format!("{}/{}/4194304/1", boot.trim(), space.display());
    let label = |name: &str, value: &str| format!("dev.vibekit-native.{name}={value}");
    let make = |name: &str, verb: &str, owner: &str, ephemeral: &str| {
        let labels = [label("sandbox", "1"), label("owner", owner), label("ephemeral", ephemeral)];
        let mut args = vec![verb];
        if verb == "run" {
            args.push("--detach");
        }
        args.extend(["--name", name]);
        labels.iter().for_each(|label| args.extend(["--label", label]));
        args.extend([IMAGE, "sleep", "1000"]);
        engine.client(&args);
    };
    make("vk-orphan", "run", &dead, "true");
    make("vk-unstarted", "create", &dead, "false");
    make("vk-persistent", "run", &dead, "false");
    make("vk-elsewhere", "run", "another-machine/pid:[1]/1/1", "true");
    // The first use of an engine sweeps it.
    let provider = engine.provider(json!({})).unwrap();
    provider.create(OpenRequest::default()).await.unwrap().kill().await.unwrap();
    until_gone(&engine, "vk-orphan").await;
    until_gone(&engine, "vk-unstarted").await;
    let left = engine.containers().await.join(" ");
    assert!(left.contains("vk-persistent") && left.contains("vk-elsewhere"), "{left}");
    engine.client(&["rm", "--force", "vk-persistent", "vk-elsewhere"]);
}
