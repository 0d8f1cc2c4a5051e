//! Switches of the kernel that are files, priorities or programs, and sandboxes in the sandbox.

use serde_json::json;

use crate::support::World;

/// Switches [60].
async fn switches() {
    let watched = ["kernel/core_pattern", "kernel/hostname", "vm/overcommit_memory", "net/ipv4/ip_forward"]
        .map(|name| format!("/proc/sys/{name}"));
    let before = watched.clone().map(|path| std::fs::read(path).unwrap());
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["side-doors"]).await;
    report.none_worked_but(60, &["core limit"]);
    assert_eq!(report.line("core limit").detail, "0");
    assert_eq!(watched.map(|path| std::fs::read(path).unwrap()), before);
    cage.works().await;
    cage.kill().await;
}
attack!(switches_cannot_be_turned, switches());

/// A sandbox inside [59]: it fails, says so, and nothing is weaker afterwards.
async fn nested() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    for line in [
        "unshare --user true",
        "unshare --user --map-root-user --mount --net true",
        "unshare --pid --fork true",
    ] {
        let output = cage.shell(line).await;
        assert_ne!(output.exit.code, 0, "{line}: {output:?}");
        assert!(output.stderr.contains("unshare failed"), "{line}: {output:?}");
    }
    let mut arguments = vec!["wrap", "no-landlock"];
    let program = cage.program();
    arguments.extend([program.as_str(), "namespaces"]);
    // A filter of its own is welcome, and does not replace ours.
    cage.attack(&arguments).await.all_refused(20);
    cage.kill().await;
}
attack!(a_sandbox_inside_opens_nothing, nested());
