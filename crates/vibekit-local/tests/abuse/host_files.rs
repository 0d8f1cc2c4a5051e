//! Files of the host, reached for from inside and, by what was planted inside, from outside.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::support::{World, host};

/// Writing outside of the session's own directories [6]. The host looks at what is above the workspace.
async fn outside() {
    let world = World::new(json!({ "network": "deny" }));
    let project = open_to_all(&world, "above/project");
    let provider = world.with(json!({ "network": "deny", "workspace": { "path": project } }));
    let cage = crate::support::Cage::new(provider.create(crate::support::request()).await.unwrap()).await;
    let above = world.path().join("above");
    std::fs::write(above.join("file"), &world.canary).unwrap();
    std::fs::set_permissions(&above, PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(above.join("file"), PermissionsExt::from_mode(0o666)).unwrap();
    let before = host::snapshot(&world.home());
    let above_before: Vec<_> =
        host::snapshot(&above).into_iter().filter(|(path, _)| !path.starts_with(&project)).collect();
    let (file, made) = (above.join("file").display().to_string(), above.join("made").display().to_string());
    let report = cage
        .attack(&[
            "write",
            "6",
            "/usr/vk-attack",
            "/usr/bin/env",
            "/etc/vk-attack",
            "/etc/passwd",
            "/bin/vk-attack",
            "/vk-attack",
            "/opt/vk-attack",
            "/lib/vk-attack",
            "/root/vk-attack",
            "/var/vk-attack",
            "/run/vk-attack",
            "/proc/vk-attack",
            "../vk-attack",
            "../above/file",
            "../file",
            &file,
            &made,
            "/vibe0/../vk-attack",
            "/vibe0/../file",
        ])
        .await;
    report.none_worked(6);
    assert_eq!(host::snapshot(&world.home()), before);
    let above_after: Vec<_> =
        host::snapshot(&above).into_iter().filter(|(path, _)| !path.starts_with(&project)).collect();
    assert_eq!(above_after, above_before);
    for path in [
        "/usr/vk-attack",
        "/etc/vk-attack",
        "/opt/vk-attack",
        "/vk-attack",
        "/root/vk-attack",
        "/run/vk-attack",
    ] {
        assert!(std::fs::symlink_metadata(path).is_err(), "{path} was made on the host");
    }
    // The workspace itself is the one place that is to be changed.
    assert_eq!(cage.shell("echo fine > /vibe0/fine").await.exit.code, 0);
    assert_eq!(std::fs::read_to_string(project.join("fine")).unwrap(), "fine\n");
    cage.kill().await;
    assert!(project.join("fine").exists(), "the caller's own folder is not the session's to remove");
}
attack!(nothing_outside_is_written, outside());

/// Links planted inside, followed by neither side [7].
async fn links() {
    let world = World::new(json!({ "network": "deny" }));
    let secret = open_to_all(&world, "outside").join("secret");
    std::fs::write(&secret, &world.canary).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o666)).unwrap();
    let outside = secret.parent().unwrap().to_owned();
    let before = host::snapshot(&outside);
    let cage = world.cage().await;
    let (secret, directory) = (secret.display(), outside.display());
    let planted = cage
        .shell(&format!(
            "cd /vibe0 && ln -s {secret} file && ln -s {directory} directory && ln -s /proc/self/root root && ln -s /proc/1/cwd cwd \
             && mkdir d && ln -s {directory} d/link && ln -s ../../../../../../../..{secret} relative \
             && ln -s {directory} tmp-link && ln -s /etc etc && ln -s . self && ln -s loop loop"
        ))
        .await;
    assert_eq!(planted.exit.code, 0, "{planted:?}");
    let inside =
        cage.attack(&["read", "7", "/vibe0/file", "/vibe0/directory/secret", "/vibe0/relative"]).await;
    inside.none_worked(7);
    inside.never_shows(&world.canary);

    let files = cage.files();
    let paths = [
        "/vibe0/file",
        "/vibe0/directory/secret",
        "/vibe0/d/link/secret",
        "/vibe0/relative",
        "file",
        "d/link/secret",
        "/vibe0/d/../file",
        "/vibe0/../../../../../../etc/passwd",
        "../../etc/passwd",
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/vibe0/root/etc/passwd",
        "/vibe0/etc/hostname",
        "/vibe0/loop",
        "/vibe0/cwd/meta.json",
        "/vibe0/../meta.json",
        "../meta.json",
        "/vibe0//../../meta.json",
    ];
    for path in paths {
        if let Ok(content) = files.read(path).await {
            let content = String::from_utf8_lossy(&content);
            assert!(!content.contains(&world.canary), "read {path} left the sandbox");
            panic!("read {path} gave {content:?}");
        }
        let _ = files.write(path, Bytes::from_static(b"overwritten by the host's own hand")).await;
    }
    for path in [
        "/vibe0/directory",
        "/vibe0/d/link",
        "/vibe0/root",
        "/vibe0/etc",
        "/",
        "/vibe0/..",
        "..",
        "/etc",
        "/proc",
    ] {
        if let Ok(entries) = files.list(path).await {
            assert!(
                !entries.iter().any(|entry| ["secret", "passwd", "meta.json"].contains(&&*entry.name)),
                "{path}: {entries:?}"
            );
        }
    }
    for path in [
        "/vibe0/directory/secret",
        "/vibe0/d/link/secret",
        "/vibe0/relative",
        "/vibe0/file",
        "/vibe0/directory",
        "/vibe0/d",
        "/vibe0/root",
        "/vibe0/self",
        "/vibe0/..",
        "..",
        "/",
        "/vibe0/directory/..",
    ] {
        let _ = files.remove(path).await;
    }
    assert_eq!(host::snapshot(&outside), before);
    assert!(world.state().join("sessions").join(cage.sandbox.id()).join("meta.json").exists());
    // What the session's end removes is links, not what they lead to.
    cage.shell(&format!(
        "ln -s {directory} /vibe0/again; ln -s {directory} $HOME/again; ln -s {directory} /tmp/again"
    ))
    .await;
    cage.kill().await;
    assert_eq!(host::snapshot(&outside), before);
    assert!(world.sessions().is_empty(), "{:?}", world.sessions());
}
attack!(links_lead_nowhere, links());

/// A directory that is a link every other moment, while the host reads, writes, lists and removes [8].
async fn races() {
    let world = World::new(json!({ "network": "deny" }));
    let outside = open_to_all(&world, "outside");
    std::fs::create_dir(outside.join("deep")).unwrap();
    for file in ["file", "deep/file"] {
        std::fs::write(outside.join(file), &world.canary).unwrap();
        std::fs::set_permissions(outside.join(file), PermissionsExt::from_mode(0o666)).unwrap();
    }
    std::fs::set_permissions(outside.join("deep"), PermissionsExt::from_mode(0o777)).unwrap();
    let before = host::snapshot(&outside);
    let cage = world.cage().await;
    let prepared = cage
        .shell(&format!(
            "cd /vibe0 && mkdir -p a/deep && echo inside > a/file && echo inside > a/deep/file && ln -s {} b",
            outside.display()
        ))
        .await;
    assert_eq!(prepared.exit.code, 0, "{prepared:?}");
    let mut swapper = cage.start(cage.command(&["swap", "/vibe0/a", "/vibe0/b", "4000"])).await;
    let begun = Instant::now();
    let (mut inside, mut refused) = (0, 0);
    while begun.elapsed() < Duration::from_millis(3500) {
        for path in ["/vibe0/a/file", "/vibe0/a/deep/file", "/vibe0/b/file"] {
            match cage.files().read(path).await {
                Ok(content) => {
                    assert_ne!(content, world.canary.as_bytes(), "the race was lost at {path}");
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
        }
        let _ = cage.files().write("/vibe0/a/deep/file", Bytes::from_static(b"written")).await;
        let _ = cage.files().write("/vibe0/b/made/by/race", Bytes::from_static(b"written")).await;
        let _ = cage.files().list("/vibe0/a").await;
        let _ = cage.files().remove("/vibe0/a/deep/file").await;
        let _ = cage.files().remove("/vibe0/b/deep").await;
        if inside % 50 == 0 {
            assert_eq!(host::snapshot(&outside), before, "something outside was changed");
        }
    }
    let report = swapper.output().await;
    let swaps: u64 = crate::support::Report::parse(&report.stdout).line("swap").detail.parse().unwrap();
    assert!(
        swaps > 1000 && refused > 0,
        "there was no race: {swaps} swaps, {inside} reads, {refused} refusals"
    );
    // The end comes in the middle of a race as well.
    let _swapper = cage.start(cage.command(&["swap", "/vibe0/a", "/vibe0/b", "8000"])).await;
    cage.kill().await;
    assert_eq!(host::snapshot(&outside), before);
    assert!(world.sessions().is_empty());
}
attack!(races_are_not_won, races());

/// Hard links to files of the system [9].
async fn hard_links() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new(json!({ "network": "deny" }));
    let before = std::fs::metadata("/usr/bin/env").unwrap();
    let cage = world.cage().await;
    let report = cage.attack(&["hardlink", "9", "/usr/bin/env", "/vibe0/link"]).await;
    report.none_worked(9);
    cage.attack(&["hardlink", "9", "/etc/passwd", "/tmp/link"]).await.none_worked(9);
    let after = std::fs::metadata("/usr/bin/env").unwrap();
    assert_eq!(
        (after.nlink(), after.mtime(), after.ctime()),
        (before.nlink(), before.mtime(), before.ctime())
    );
    cage.kill().await;
}
attack!(no_file_of_the_system_gets_a_second_name, hard_links());

/// Programs of the caller's that are on the path: to be run, not to be changed, and not what lies beside them [58].
async fn toolchains() {
    use std::sync::Arc;
    use vibekit_local::{HostEnv, LocalOptions, LocalProvider};
    let world = World::new(json!({}));
    let bin = world.home().join(".cargo/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("vk-tool"), "#!/bin/sh\necho tool\n").unwrap();
    std::fs::set_permissions(bin.join("vk-tool"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(world.home().join(".cargo/credentials.toml"), &world.canary).unwrap();
    // A directory on the path that is the home directory itself must not show it.
    let path = format!("{}:{}:/usr/bin:/bin", bin.display(), world.home().display());
    let env = HostEnv {
        path: Some(path),
        home: Some(world.home()),
        vibekit_home: Some(world.state()),
        ..HostEnv::default()
    };
    let options = LocalOptions::parse(&json!({ "network": "deny" }), "environment.local").unwrap();
    let provider: Arc<dyn vibekit_sandbox::Provider> = LocalProvider::new(options, env).unwrap();
    let before = host::snapshot(&world.home());
    let cage = crate::support::Cage::new(provider.create(crate::support::request()).await.unwrap()).await;
    let tool = bin.join("vk-tool").display().to_string();
    let new = bin.join("cargo").display().to_string();
    let report = cage.attack(&["write", "58", &tool, &new]).await;
    report.none_worked(58);
    let secrets: Vec<String> = crate::support::SECRETS
        .iter()
        .copied()
        .chain([".cargo/credentials.toml"])
        .map(|file| world.home().join(file).display().to_string())
        .collect();
    let arguments: Vec<&str> = ["read", "58"].into_iter().chain(secrets.iter().map(String::as_str)).collect();
    let report = cage.attack(&arguments).await;
    report.none_worked(58);
    report.never_shows(&world.canary);
    assert_eq!(host::snapshot(&world.home()).len(), before.len());
    cage.kill().await;
}
attack!(tools_are_lent_not_given, toolchains());

/// A directory of the world that everybody may write, if they can reach it.
fn open_to_all(world: &World, name: &str) -> std::path::PathBuf {
    let path = world.path().join(name);
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(world.path(), PermissionsExt::from_mode(0o755)).unwrap();
    path
}
