//! Names that are not files: sockets, shared memory, queues.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use serde_json::json;

use crate::support::{World, host};

/// Sockets of the host [30]: an abstract one, one by path, and those everybody knows.
async fn sockets() {
    let name = format!("vk-abuse-{:016x}", host::random());
    let hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let world = World::new(json!({ "network": "deny" }));
    let path = world.path().join("agent");
    let visible = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    hidden.set_nonblocking(true).unwrap();
    visible.set_nonblocking(true).unwrap();
    let cage = world.cage().await;
    let (by_name, by_path) = (format!("@{name}"), path.display().to_string());
    let report = cage
        .attack(&[
            "unix",
            &by_name,
            &by_path,
            "/run/docker.sock",
            "/var/run/docker.sock",
            "/run/podman/podman.sock",
            "/run/containerd/containerd.sock",
            "/run/dbus/system_bus_socket",
            "/tmp/.X11-unix/X0",
            "@/tmp/.X11-unix/X0",
            "@/tmp/dbus-session",
            "/dev/log",
            "/run/systemd/journal/socket",
        ])
        .await;
    report.none_worked(30);
    for listener in [&hidden, &visible] {
        assert_eq!(
            listener.accept().err().map(|error| error.kind()),
            Some(ErrorKind::WouldBlock),
            "somebody came"
        );
    }
    cage.kill().await;
}
attack!(sockets_of_the_host_are_out_of_reach, sockets());

/// Shared memory and queues of the host and of another session [31].
async fn memory() {
    let key = (host::random() & 0x3fff_ffff) as i32 | 0x4000_0000;
    let name = format!("vk-abuse-{key}");
    let owned = Owned::new(key, &name);
    let world = World::new(json!({ "network": "deny" }));
    let (cage, other) = (world.cage().await, world.cage().await);
    let made = other.shell("echo canary > /dev/shm/vk-other; ls /dev/shm").await;
    assert_eq!(made.stdout.trim(), "vk-other", "{made:?}");
    for name in [name.as_str(), "vk-other"] {
        let report = cage.attack(&["ipc", &key.to_string(), name]).await;
        report.none_worked(31);
        report.never_shows("canary");
    }
    assert_eq!(cage.shell("ls -A /dev/shm").await.stdout, "");
    cage.kill().await;
    other.kill().await;
    drop(owned);
}
attack!(shared_memory_of_others_is_not_there, memory());

/// A segment, a queue and a file of shared memory on the host, each with the word "canary".
struct Owned {
    segment: i32,
    queue: i32,
    shared: std::path::PathBuf,
}

impl Owned {
    fn new(key: i32, name: &str) -> Self {
        // SAFETY: plain calls; the segment is a page and stays attached while it is written.
        let (segment, queue) = unsafe {
            let segment = libc::shmget(key, 4096, libc::IPC_CREAT | 0o666);
            let at = libc::shmat(segment, std::ptr::null(), 0);
            std::ptr::copy_nonoverlapping(c"canary".as_ptr().cast::<u8>(), at.cast::<u8>(), 6);
            libc::shmdt(at);
            let queue = libc::msgget(key, libc::IPC_CREAT | 0o666);
            libc::msgsnd(queue, b"\x01\0\0\0\0\0\0\0canary".as_ptr().cast(), 6, 0);
            (segment, queue)
        };
        assert!(segment >= 0 && queue >= 0);
        let shared = std::path::Path::new("/dev/shm").join(name);
        std::fs::write(&shared, "canary").unwrap();
        std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o666)).unwrap();
        Self { segment, queue, shared }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: plain calls about what `new` made.
        unsafe {
            libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut());
            libc::msgctl(self.queue, libc::IPC_RMID, std::ptr::null_mut());
        }
        let _ = std::fs::remove_file(&self.shared);
    }
}
