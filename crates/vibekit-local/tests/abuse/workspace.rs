//! A host folder under a layer of the session's own [56].

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{Cage, World, host, request};

async fn overlay() {
    let world = World::new(json!({ "network": "deny" }));
    let lower = world.path().join("lower");
    std::fs::create_dir_all(lower.join("sub")).unwrap();
    for file in ["kept", "changed", "removed", "sub/file"] {
        std::fs::write(lower.join(file), "original\n").unwrap();
        std::fs::set_permissions(lower.join(file), PermissionsExt::from_mode(0o666)).unwrap();
    }
    for directory in [lower.clone(), lower.join("sub"), world.path().to_owned()] {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o777)).unwrap();
    }
    let before = host::snapshot(&lower);
    let provider =
        world.with(json!({ "network": "deny", "workspace": { "path": lower, "mode": "overlay" } }));
    let cage = Cage::new(provider.create(request()).await.unwrap()).await;
    let id = cage.sandbox.id().to_owned();
    let changed = cage
        .shell("cd /vibe0 && cat kept && echo changed > changed && rm removed && rm -r sub && mkdir sub && mv kept moved && cat changed && ls sub")
        .await;
    assert_eq!(changed.stdout, "original\nchanged\n", "{changed:?}");
    let report = cage.attack(&["overlay", "/vibe0"]).await;
    for line in report
        .lines()
        .iter()
        .filter(|line| line.probe.contains("trusted") || line.probe.contains("capability"))
    {
        assert!(!line.worked(), "{line:?}");
    }
    assert_eq!(host::snapshot(&lower), before);
    // What was forged is data to the next mount of the same layers, too.
    cage.shell("setfattr -n user.overlay.redirect -v /../../home /vibe0/sub 2>/dev/null; true").await;
    cage.sandbox.release().await.unwrap();
    drop(cage);
    let resumed = provider.resume(&id, request()).await.unwrap();
    let cage = Cage::new(resumed).await;
    let seen = cage.shell("find /vibe0 -type f | xargs cat 2>/dev/null").await;
    assert!(!seen.stdout.contains(&world.canary), "{seen:?}");
    assert_eq!(host::snapshot(&lower), before);
    cage.kill().await;
    assert_eq!(host::snapshot(&lower), before);
    assert!(world.sessions().is_empty());
}
attack!(a_layer_keeps_what_is_below, overlay());

async fn copy() {
    let world = World::new(json!({ "network": "deny" }));
    let project = world.path().join("project");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::write(project.join("file"), "original\n").unwrap();
    // Links of the folder stay links: what they lead to is not copied in.
    std::os::unix::fs::symlink(world.home().join(".npmrc"), project.join("link")).unwrap();
    std::os::unix::fs::symlink(world.home(), project.join("home")).unwrap();
    let before = host::snapshot(&project);
    let provider = world.with(json!({ "network": "deny", "workspace": { "path": project, "mode": "copy" } }));
    let cage = Cage::new(provider.create(request()).await.unwrap()).await;
    let seen = cage
        .shell("cd /vibe0 && cat file; cat link home/.npmrc 2>/dev/null; echo changed > file; rm -f link")
        .await;
    assert_eq!(seen.stdout, "original\n", "{seen:?}");
    assert_eq!(host::snapshot(&project), before);
    cage.kill().await;
    assert_eq!(host::snapshot(&project), before);
}
attack!(a_copy_is_a_copy, copy());
