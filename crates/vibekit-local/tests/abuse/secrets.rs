//! Files and secrets that are not the session's.

use serde_json::json;
use vibekit_sandbox::Program;

use crate::support::{World, host};

/// The files a caller would least like to lose [1].
async fn home() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let mut arguments = vec!["read".to_owned(), "1".to_owned()];
    arguments
        .extend(crate::support::SECRETS.iter().map(|file| world.home().join(file).display().to_string()));
    arguments.push(format!("{}/.ssh/id_ed25519", "/root"));
    let report = cage.attack(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    report.none_worked(1);
    report.never_shows(&world.canary);
    cage.kill().await;
}
attack!(the_home_directory_stays_shut, home());

/// The machine's own secrets [2].
async fn system() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage
        .attack(&[
            "read",
            "2",
            "/etc/shadow",
            "/etc/gshadow",
            "/etc/sudoers",
            "/etc/ssh/ssh_host_ed25519_key",
            "/etc/machine-id",
            "/etc/fstab",
            "/var/lib/dpkg/status",
            "/var/log/wtmp",
            "/boot/grub/grub.cfg",
            "/sys/class/dmi/id/product_uuid",
        ])
        .await;
    report.none_worked(2);
    let report =
        cage.attack(&["read", "2", "/etc/passwd", "/etc/group", "/etc/hostname", "/etc/hosts"]).await;
    for line in report.lines() {
        let path = line.probe.trim_start_matches("read ");
        let Ok(content) = std::fs::read_to_string(path) else { continue };
        assert!(!line.detail.contains(content.trim()), "{path} is the host's: {line:?}");
    }
    // The names are the session's: nobody of the host is among them.
    for user in ["daemon:", "www-data:", "sshd:"] {
        report.never_shows(user);
    }
    cage.kill().await;
}
attack!(the_machines_own_files_are_not_there, system());

/// Directories where others live [3].
async fn directories() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let path = world.path().display().to_string();
    let home = world.home().display().to_string();
    let asked = [
        "/root", "/home", "/var", "/var/lib", "/var/log", "/run", "/mnt", "/media", "/sys", "/srv", "/boot",
        &path, &home,
    ];
    let report = cage.attack(&[&["list", "3"], asked.as_slice()].concat()).await;
    for directory in asked {
        let seen = report.line(&format!("list {directory}"));
        if !seen.worked() {
            continue;
        }
        let names = |entries: std::fs::ReadDir| {
            entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let theirs = std::fs::read_dir(directory).map(names).unwrap_or_default();
        // What the session has of its own there by the same name holds nothing of theirs: the next test looks.
        let allowed = ["tmp", "log", "user"];
        let both: Vec<_> = seen
            .detail
            .lines()
            .filter(|name| theirs.iter().any(|their| their == name) && !allowed.contains(name))
            .collect();
        assert!(both.is_empty(), "{directory} shows {both:?}");
    }
    cage.kill().await;
}
attack!(directories_of_others_are_empty, directories());

/// Another session, by its real place on disk and through every process [4].
async fn sessions() {
    let world = World::new(json!({ "network": "deny" }));
    let (victim, attacker) = (world.cage().await, world.cage().await);
    victim
        .shell(&format!(
            "echo {} > /vibe0/secret; cp /vibe0/secret $HOME/; cp /vibe0/secret /tmp/",
            world.canary
        ))
        .await;
    let (_held, _) = victim.hold().await;
    let session = world.state().join("sessions").join(victim.sandbox.id());
    assert!(session.is_dir(), "{session:?}: where are the sessions kept?");
    let mut paths: Vec<String> = vec!["/vibe0/secret".into(), "/tmp/secret".into()];
    for below in std::fs::read_dir(&session).unwrap().flatten() {
        paths.push(below.path().display().to_string());
        paths.push(below.path().join("secret").display().to_string());
    }
    paths.push(session.join("../../home/.npmrc").display().to_string());
    for member in host::session_of(&victim.processes()[0]) {
        paths.push(format!("/proc/{}/root/vibe0/secret", member.pid));
        paths.push(format!("/proc/{}/cwd/secret", member.pid));
    }
    let arguments: Vec<&str> = ["read", "4"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let report = attacker.attack(&arguments).await;
    report.none_worked(4);
    report.never_shows(&world.canary);
    let state = world.state().display().to_string();
    let sessions = world.state().join("sessions").display().to_string();
    attacker.attack(&["list", "4", &state, &sessions]).await.none_worked(4);
    victim.kill().await;
    attacker.kill().await;
}
attack!(sessions_do_not_see_each_other, sessions());

/// A command's secret in the sight of others: another session, the state directory, the init, errors [15, 16].
async fn commands() {
    let world = World::new(json!({ "network": "deny" }));
    let secret = format!("sk-{:016x}{:016x}", host::random(), host::random());
    let backwards: String = secret.chars().rev().collect();
    let (victim, attacker) = (world.cage_with(&[("SESSION_TOKEN", &secret)]).await, world.cage().await);
    let (held, _) = victim.hold_with(&[("COMMAND_TOKEN", &secret)]).await;
    let report = attacker.attack(&["needle", &backwards]).await;
    report.none_worked(15);

    // The host's side of it: not on disk, not in what everybody may read of the init.
    for (path, content) in host::snapshot(&world.state()) {
        let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{} holds the secret", path.display());
    }
    for process in host::session_of(&victim.processes()[0]) {
        for file in ["cmdline", "comm"] {
            let content = std::fs::read(format!("/proc/{}/{file}", process.pid)).unwrap_or_default();
            let text = String::from_utf8_lossy(&content).into_owned();
            assert!(!text.contains(&secret), "{file} of {process:?}");
            assert!(
                !text.contains(&*world.path().to_string_lossy()),
                "{file} of {process:?} shows a path: {text}"
            );
        }
    }

    // An error about a command with secrets does not quote them.
    let mut command = victim.command(&[]);
    command.program = Program::Exec { program: "no-such-program".into(), args: vec![secret.clone()] };
    command.env = vec![("COMMAND_TOKEN".into(), secret.clone())];
    let error = victim.try_start(command).await.err().expect("there is no such program");
    let told = serde_json::to_string(&error).unwrap() + &format!("{error:?}");
    assert!(!told.contains(&secret), "{told}");
    drop(held);
    victim.kill().await;
    attacker.kill().await;
    for (path, content) in host::snapshot(&world.state()) {
        assert!(
            !content.windows(secret.len()).any(|part| part == secret.as_bytes()),
            "{} after",
            path.display()
        );
    }
}
attack!(a_commands_secrets_stay_with_it, commands());

/// A crash leaves no memory image behind [16].
async fn cores() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let output = cage.shell("ulimit -c unlimited; ulimit -c; sh -c 'kill -SEGV $$'; kill -ABRT $$").await;
    assert_ne!(output.exit.code, 0);
    assert!(!output.stdout.contains("unlimited"), "{output:?}");
    let left = cage
        .shell("find / -xdev -name '*core*' -newer /proc/1/stat -type f 2>/dev/null; ls -A /vibe0 $HOME /tmp")
        .await;
    assert!(!left.stdout.contains("core"), "{left:?}");
    let cores: Vec<_> =
        host::snapshot(&world.state()).into_keys().filter(|path| path.ends_with("core")).collect();
    assert!(cores.is_empty(), "{cores:?}");
    cage.kill().await;
}
attack!(crashes_leave_no_memory_behind, cores());
