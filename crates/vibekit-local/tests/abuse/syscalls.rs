//! System calls a sandboxed program has no business with.

use serde_json::json;

use crate::support::{World, host};

/// Mounts [19]. The session's mounts are the same afterwards, looked at by the host.
async fn mounts() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let (_held, _) = cage.hold().await;
    let of = format!("/proc/{}/mountinfo", cage.processes()[0].pid);
    let before = std::fs::read_to_string(&of).unwrap();
    let report = cage.attack(&["mounts"]).await;
    report.all_refused(19);
    assert_eq!(std::fs::read_to_string(&of).unwrap(), before);
    cage.works().await;
    cage.kill().await;
}
attack!(nothing_can_be_mounted, mounts());

/// Namespaces [20].
async fn namespaces() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    cage.attack(&["namespaces"]).await.all_refused(20);
    cage.kill().await;
}
attack!(no_other_namespace_is_entered, namespaces());

/// Device nodes [21].
async fn devices() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["devices"]).await;
    report.none_worked(21);
    for path in host::snapshot(&world.state()).into_keys() {
        use std::os::unix::fs::FileTypeExt;
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        assert!(!kind.is_char_device() && !kind.is_block_device(), "{path:?} is a device");
    }
    cage.kill().await;
}
attack!(devices_of_the_machine_are_out_of_reach, devices());

/// Other users [22], and who the session's processes are on the host.
async fn identity() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["identity"]).await;
    report.none_worked_but(22, &["status"]);
    let status = &report.line("status").detail;
    assert!(status.contains("Uid:\t1000\t1000\t1000\t1000"), "{status}");

    let (_held, _) = cage.hold().await;
    let session = host::session_of(&cage.processes()[0]);
    assert!(session.len() >= 2, "the init should be there, too: {session:?}");
    let member = session.iter().find(|process| process.status["Name"].starts_with("vk")).unwrap();
    assert!(!member.namespace("user").is_empty());
    for process in &session {
        let field = |name: &str| process.status[name].as_str();
        for uid in field("Uid").split_whitespace().chain(field("Gid").split_whitespace()) {
            assert_ne!(uid, "0", "{process:?} is root on the host");
        }
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set).trim_start_matches('0'), "", "{set} of {process:?}");
        }
        assert_eq!(field("NoNewPrivs"), "1", "{process:?}");
        assert_eq!(field("Seccomp"), "2", "{process:?}");
        if host::uid() == 0 {
            assert_eq!(field("Groups"), "", "{process:?}");
        }
        for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
            let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string();
            let theirs = process.namespace(kind);
            // Of what is the init's own, an ordinary user does not see them.
            if theirs.is_empty() && host::uid() != 0 {
                continue;
            }
            assert_ne!(theirs, own, "{kind} of {process:?} is the host's");
            assert_eq!(theirs, member.namespace(kind), "{kind} of {process:?}");
        }
    }
    cage.kill().await;
}
attack!(nobody_becomes_somebody_else, identity());

/// Two sessions of a privileged caller are two users on the host.
async fn users() {
    let world = World::new(json!({ "network": "deny" }));
    let (one, two) = (world.cage().await, world.cage().await);
    let ((_a, _), (_b, _)) = (one.hold().await, two.hold().await);
    let uid = |process: &host::Seen| process.status["Uid"].split_whitespace().next().unwrap().to_owned();
    let (first, second) = (uid(&one.processes()[0]), uid(&two.processes()[0]));
    if host::uid() == 0 {
        assert_ne!(first, second);
    } else {
        assert_eq!(first, host::uid().to_string());
    }
    one.kill().await;
    two.kill().await;
}
attack!(sessions_of_root_are_different_users, users());

/// Set-id bits [23], looked for by the host.
async fn modes() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["modes", "/vibe0"]).await;
    report.none_worked(23);
    cage.attack(&["modes", "/tmp"]).await.none_worked(23);
    let tar = cage.shell("cd /tmp && touch f && chmod 755 f && tar --mode=6755 -cf t.tar f && tar -xpf t.tar -C /vibe0; ls -l /vibe0/f").await;
    assert!(!tar.stdout.contains('s') || !tar.stdout.contains("rws"), "{tar:?}");
    for path in host::snapshot(&world.state()).into_keys() {
        let mode = std::fs::symlink_metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o4000, 0, "{path:?} is set-uid");
        assert!(mode & 0o2010 != 0o2010 || mode & libc::S_IFMT == libc::S_IFDIR, "{path:?} is set-gid");
    }
    cage.kill().await;
}
attack!(no_file_is_set_uid, modes());

/// The calls nobody needs [24, 25].
async fn kernel() {
    let world = World::new(json!({ "network": "deny" }));
    let hostname = rustix::system::uname().nodename().to_owned();
    let cage = world.cage().await;
    let report = cage.attack(&["kernel"]).await;
    report.all_refused(24);
    report.all_refused(25);
    assert_eq!(rustix::system::uname().nodename(), hostname.as_c_str());
    cage.kill().await;
}
attack!(the_kernels_levers_are_out_of_reach, kernel());

/// Keyrings [26], with a key of the host to find.
async fn keys() {
    const POSSESSOR_AND_USER_ALL: libc::c_ulong = 0x3f3f_0000;
    // SAFETY: strings that live over the call. -4 is the user's own keyring, which sessions of one user share.
    let serial = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            c"vk-host".as_ptr(),
            c"canary".as_ptr(),
            6_usize,
            -4,
        )
    };
    if serial > 0 {
        // SAFETY: numbers only. KEYCTL_SETPERM, so that another process of the user could read it.
        unsafe { libc::syscall(libc::SYS_keyctl, 5, serial, POSSESSOR_AND_USER_ALL) };
    }
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["keys", &serial.to_string()]).await;
    report.all_refused(26);
    report.never_shows("canary");
    cage.kill().await;
    // SAFETY: numbers only. KEYCTL_UNLINK.
    unsafe { libc::syscall(libc::SYS_keyctl, 9, serial, -4) };
}
attack!(keyrings_are_out_of_reach, keys());

/// Other entrances [27].
async fn arch() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["arch"]).await;
    report.all_refused(27);
    cage.kill().await;
}
attack!(other_entrances_to_the_kernel_are_shut, arch());

/// Terminals [28].
async fn terminals() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["terminal"]).await;
    report.none_worked(28);
    assert_eq!(report.line("TIOCSTI").outcome, "EPERM");
    assert_eq!(report.line("TIOCSTI, high bits set").outcome, "EPERM");
    assert_eq!(report.line("TIOCLINUX").outcome, "EPERM");
    cage.kill().await;
}
attack!(nobody_types_into_a_terminal, terminals());

/// Kinds of sockets [29].
async fn sockets() {
    for network in [json!("deny"), json!({ "allow": ["allowed.example"] })] {
        let world = World::new(json!({ "network": network }));
        let cage = world.cage().await;
        cage.attack(&["sockets"]).await.all_refused(29);
        cage.kill().await;
    }
}
attack!(only_plain_sockets_are_made, sockets());
