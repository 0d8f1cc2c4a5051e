//! Commands that may only read the working directory [61].

use serde_json::json;
use vibekit_sandbox::{Code, Command, OpenRequest};

use crate::support::{Cage, World, host, request};

const TARGET: &str = "/vibe0/target";

fn reading(line: &str) -> Command {
    Command { read_only: true, ..Command::shell(line) }
}

async fn every_way() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    assert!(cage.sandbox.read_only());
    assert!(cage.attack(&["change-prepare", TARGET]).await.line("prepare").worked());
    // Somebody who may write, and has a file open, runs beside it.
    let writer = Command::shell(format!("exec 9>>{TARGET}/open-to-write && echo ready && exec sleep 60"));
    let mut writer = cage.start(writer).await;
    assert_eq!(writer.first_line().await, "ready\n");

    let sessions = world.state().join("sessions");
    let files = || {
        let mut all = host::snapshot(&sessions);
        all.retain(|path, _| path.to_string_lossy().contains("/target"));
        all
    };
    let before = files();
    assert!(before.len() > 50, "{before:?}");
    let attack = Command { read_only: true, ..cage.command(&["change", "61", TARGET, "/tmp"]) };
    let output = cage.start(attack).await.output().await;
    let report = crate::support::Report::parse(&output.stdout);
    assert!(report.lines().len() > 30, "{report:#?}");
    report.none_worked(61);
    // Another mount is no way in either.
    report.all_refused_or(61, &["EXDEV"]);
    assert_eq!(files(), before);

    // What it leaves behind is held to the same.
    let left = format!(
        "(setsid sh -c 'sleep 0.2; exec 2>/dev/null; echo x > {TARGET}/late; touch /tmp/tried' &) ; true"
    );
    cage.start(reading(&left)).await.output().await;
    let waited =
        cage.shell("for i in $(seq 200); do [ -e /tmp/tried ] && exit 0; sleep 0.05; done; exit 1").await;
    assert_eq!(waited.exit.code, 0, "{waited:?}");
    assert_eq!(files(), before);

    // Others are not: the same attack works in a command of the other kind.
    let report = cage.attack(&["change", "61", TARGET, "/tmp"]).await;
    for way in ["open to write", "create", "rename into a directory", "map shared", "as a new program"] {
        assert!(report.line(way).worked(), "{way}: {report:#?}");
    }
    assert_ne!(files(), before);
    cage.kill().await;
}
attack!(nothing_changes, every_way());

async fn the_rest() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    cage.shell("echo kept > /vibe0/kept").await;
    let line = "cat /vibe0/kept && mkdir /tmp/a ~/b && echo 1 > /tmp/a/f && mv /tmp/a/f /tmp/f && echo 2 > ~/f && mv ~/f ~/b/f && \
                echo 3 > /dev/shm/f && echo 4 > /dev/null && cat /tmp/f ~/b/f /dev/shm/f && echo 5 2>/dev/null >&2 && rm -r /tmp/a ~/b";
    let output = cage.start(reading(line)).await.output().await;
    assert_eq!((output.stdout.as_str(), output.exit.code), ("kept\n1\n2\n3\n", 0), "{output:?}");
    // What SECURITY.md says is not covered: modes and times.
    let output = cage.start(reading("chmod 600 /vibe0/kept && touch -d @0 /vibe0/kept")).await.output().await;
    assert_eq!(output.exit.code, 0, "{output:?}");
    cage.kill().await;
}
attack!(everything_else_works, the_rest());

async fn linked_before() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    // Another name for the file, made by a command that may write, where the next one may write too.
    let made = cage.shell("echo kept > /vibe0/kept; for d in /tmp ~ /dev/shm; do ln /vibe0/kept $d/name; ln -s /vibe0/kept $d/link; done 2>&1").await;
    let output = cage
        .start(reading(
            "for d in /tmp ~ /dev/shm; do echo x > $d/name; echo x > $d/link; done; cat /vibe0/kept",
        ))
        .await
        .output()
        .await;
    assert_eq!(output.stdout, "kept\n", "{made:?} {output:?}");
    cage.kill().await;
}
attack!(nor_by_another_name, linked_before());

async fn below_scratch() {
    let world = World::new(json!({ "network": "deny" }));
    for place in ["/tmp/work", "/home/user/work"] {
        let request = OpenRequest { working_directory: place.to_owned(), ..request() };
        let sandbox = world.provider.create(request).await.unwrap();
        assert!(!sandbox.read_only());
        let error = sandbox.spawn(reading("true")).await.err().unwrap();
        assert_eq!((error.code, error.field.as_deref()), (Code::Unsupported, Some("readOnly")), "{error:?}");
        sandbox.kill().await.unwrap();
    }
}
attack!(a_directory_that_stays_writable_is_refused, below_scratch());

async fn overlay() {
    let world = World::new(json!({ "network": "deny" }));
    let lower = world.path().join("lower");
    std::fs::create_dir_all(&lower).unwrap();
    std::fs::write(lower.join("kept"), "kept\n").unwrap();
    std::os::unix::fs::symlink("kept", lower.join("link")).unwrap();
    std::fs::set_permissions(world.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let provider =
        world.with(json!({ "network": "deny", "workspace": { "path": lower, "mode": "overlay" } }));
    let cage = Cage::new(provider.create(request()).await.unwrap()).await;
    let output = cage
        .start(reading("cd /vibe0; for f in kept link new; do echo x > $f; done; rm kept; ls; cat kept"))
        .await
        .output()
        .await;
    assert!(output.stdout.contains("kept\nlink\n") && output.stdout.ends_with("kept\n"), "{output:?}");
    assert!(!output.stdout.contains("new"), "{output:?}");
    cage.kill().await;
}
attack!(nor_is_a_layer_changed, overlay());
