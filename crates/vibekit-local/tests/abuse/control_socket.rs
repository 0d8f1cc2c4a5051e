//! The socket between the host and a session's init [51].

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::json;
use vibekit_sandboxd_wire::{MAX_MESSAGE, ToInit, VERSION};

use crate::support::{World, host};

fn new_socket() -> OwnedFd {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// Listens as an init would.
pub(crate) fn listen(path: &Path) -> OwnedFd {
    let socket = new_socket();
    let directory = std::fs::File::open(path.parent().unwrap()).unwrap();
    rustix::net::bind(&socket, &address(&directory, path.file_name().unwrap().to_str().unwrap())).unwrap();
    rustix::net::listen(&socket, 16).unwrap();
    socket
}

/// Accepts, and closes, for a while.
pub(crate) fn hang_up(listener: &OwnedFd, duration: Duration) {
    rustix::io::ioctl_fionbio(listener, true).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < duration {
        let _ = rustix::net::accept(listener);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// By way of the directory's descriptor: the address of a socket is no longer than 107 bytes.
fn address(directory: &impl AsFd, name: &str) -> SocketAddrUnix {
    use std::os::fd::AsRawFd;
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_fd().as_raw_fd())).unwrap()
}

fn connect(directory: &std::fs::File) -> OwnedFd {
    let socket = new_socket();
    rustix::net::connect(&socket, &address(directory, "ctl.sock")).unwrap();
    socket
}

/// Commands do not see it, by path, by name or by descriptor.
async fn inside() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let path = world.state().join("sessions").join(cage.sandbox.id()).join("ctl.sock");
    assert!(path.exists(), "where is the control socket?");
    let path = path.display().to_string();
    let report = cage
        .attack(&["unix", &path, "/vibe0/ctl.sock", "/vibe0/../ctl.sock", "/tmp/ctl.sock", "@ctl.sock"])
        .await;
    report.none_worked(30);
    let seen =
        cage.shell("cat /proc/net/unix; ls -l /proc/1/fd 2>&1; find / -xdev -type s 2>/dev/null").await;
    assert!(!seen.stdout.contains("ctl.sock") && !seen.stdout.contains("socket:"), "{seen:?}");
    cage.attack(&["descriptors"]).await.none_worked(17);
    cage.kill().await;
}
attack!(commands_do_not_reach_it, inside());

/// Whoever reaches it must know the token, and speak properly.
async fn outside() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let (mut held, _) = cage.hold().await;
    let directory = world.state().join("sessions").join(cage.sandbox.id());
    for path in [&directory, &world.state().join("sessions"), &directory.join("meta.json")] {
        use std::os::unix::fs::MetadataExt;
        let of = std::fs::metadata(path).unwrap();
        assert_eq!(
            (of.mode() & 0o077, of.uid()),
            (0, host::uid()),
            "others may look into {}",
            path.display()
        );
    }
    let directory = std::fs::File::open(directory).unwrap();
    let send = |socket: &OwnedFd, bytes: &[u8]| {
        rustix::net::send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    };

    // Noise, nothing, too much.
    for bytes in [vec![], vec![0; 1], vec![0xff; 1], vec![0xff; 4096], vec![0x80; 65_536], vec![0; 150_000]] {
        let socket = connect(&directory);
        let _ = send(&socket, &bytes);
        let _ = send(&socket, &bytes);
        cage.works().await;
    }
    let mut seed = host::random();
    for round in 0..200_usize {
        let socket = connect(&directory);
        let noise: Vec<u8> = (0..round)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        let _ = send(&socket, &noise);
    }
    cage.works().await;

    // Proper messages of somebody who does not know the token; commands without having asked to come in.
    for message in [
        ToInit::Attach { version: VERSION, token: [0; 32] },
        ToInit::Attach { version: VERSION + 1, token: [0; 32] },
        ToInit::Shutdown,
        ToInit::Park,
        ToInit::Pause { request: 1 },
        ToInit::Signal { id: 1, signal: 9 },
        ToInit::Commit,
    ] {
        let socket = connect(&directory);
        let _ = vibekit_sandboxd_wire::send(&socket, &message, &[]);
        let mut answer = [0; 4096];
        let begun = Instant::now();
        rustix::net::sockopt::set_socket_timeout(
            &socket,
            rustix::net::sockopt::Timeout::Recv,
            Some(Duration::from_secs(5)),
        )
        .unwrap();
        let answered = rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty());
        assert!(
            matches!(answered, Ok((0, 0)) | Err(rustix::io::Errno::CONNRESET)),
            "{message:?} was answered: {answered:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
    cage.works().await;

    // Descriptors, as many as fit, again and again; and a message that claims to be in one of them.
    let null = std::fs::File::open("/dev/null").unwrap();
    for _ in 0..50 {
        let socket = connect(&directory);
        let many = vec![null.as_fd(); 250];
        let mut space = vec![std::mem::MaybeUninit::uninit(); 4096];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&many)));
        let iov = [std::io::IoSlice::new(b"x")];
        let _ = rustix::net::sendmsg(&socket, &iov, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
    let huge = rustix::fs::memfd_create("huge", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&huge, MAX_MESSAGE as u64 * 64).unwrap();
    let socket = connect(&directory);
    let mut space = vec![std::mem::MaybeUninit::uninit(); 128];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    let file = [huge.as_fd()];
    assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&file)));
    let _ = rustix::net::sendmsg(&socket, &[std::io::IoSlice::new(&[])], &mut control, SendFlags::NOSIGNAL);
    cage.works().await;

    // Many who say nothing.
    let silent: Vec<OwnedFd> = (0..40)
        .filter_map(|_| {
            let socket = new_socket();
            rustix::io::ioctl_fionbio(&socket, true).unwrap();
            rustix::net::connect(&socket, &address(&directory, "ctl.sock")).ok().map(|()| socket)
        })
        .collect();
    cage.works().await;
    drop(silent);
    cage.works().await;
    assert_eq!(cage.processes().len(), 1, "the command from before all this is still there");
    held.0.control().stop(Duration::ZERO).await.unwrap();
    held.output().await;
    cage.kill().await;
}
attack!(strangers_are_not_heard, outside());
