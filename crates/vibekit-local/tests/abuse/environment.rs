//! What a command is born with.

use std::os::fd::IntoRawFd;

use serde_json::json;

use crate::support::{World, host};

/// Descriptors of the host that were open before the session, and before the command [17].
async fn descriptors() {
    let canary = std::fs::File::open("/etc/hostname").unwrap();
    let open_for_children = |at: i32| {
        // SAFETY: duplicates to numbers nobody else uses; without the flag that closes them.
        let fd = unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&canary), at) };
        assert_eq!(fd, at);
    };
    open_for_children(200);
    open_for_children(901);
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    open_for_children(902);
    let report = cage.attack(&["descriptors"]).await;
    report.none_worked(17);
    let (_held, _) = cage.hold().await;
    // The init has descriptors, but none of ours.
    if host::uid() == 0 {
        for process in host::session_of(&cage.processes()[0]) {
            for fd in std::fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten() {
                let target = std::fs::read_link(fd.path()).unwrap_or_default();
                assert!(!target.ends_with("etc/hostname"), "{fd:?} of {process:?}");
            }
        }
    }
    cage.kill().await;
    for fd in [200, 901, 902] {
        // SAFETY: opened above, used by nobody.
        unsafe { libc::close(fd) };
    }
    let _ = canary.into_raw_fd();
}
attack!(no_descriptor_is_inherited, descriptors());

/// The environment of the host [18, 30].
async fn variables() {
    // SAFETY: nothing else reads or writes the environment in this process at this time.
    unsafe {
        std::env::set_var("HOST_SECRET", "host-secret-in-the-environment");
        std::env::set_var("SSH_AUTH_SOCK", "/run/host-agent");
        std::env::set_var("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/host-bus");
        std::env::set_var("DISPLAY", ":77");
        std::env::set_var("WAYLAND_DISPLAY", "wayland-77");
        std::env::set_var("DOCKER_HOST", "unix:///run/host-docker.sock");
        std::env::set_var("LD_PRELOAD", "");
        std::env::set_var("WSL_INTEROP", "/run/WSL/1_interop");
    }
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage_with(&[("GIVEN", "given")]).await;
    let report = cage.attack(&["environment"]).await;
    assert_eq!(report.line("variable GIVEN").detail, "given");
    for name in [
        "HOST_SECRET",
        "SSH_AUTH_SOCK",
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "DOCKER_HOST",
        "WSL_INTEROP",
    ] {
        let found = report.lines().iter().find(|line| line.probe == format!("variable {name}"));
        assert!(found.is_none(), "{found:?}");
    }
    report.never_shows("host-secret-in-the-environment");
    report.never_shows(&world.path().display().to_string());
    cage.kill().await;
}
attack!(the_hosts_variables_are_not_seen, variables());
