//! Using up what others need too.
//!
//! A limit that cannot be enforced on a machine is refused there, with a code of its own; what is never acceptable is
//! a limit that was taken and does not hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vibekit_sandbox::{Code, Stream};

use crate::support::{Cage, Report, World, host, request};

const MIB: u64 = 1 << 20;

/// A session with these limits, or `None` where they are refused as they should be.
async fn limited(limits: Value, field: &str) -> Option<(World, Cage)> {
    let made = World::try_new(json!({ "network": "deny", "limits": limits }));
    let refused = match made {
        Ok(world) => match world.provider.create(request()).await {
            Ok(sandbox) => {
                let cage = Cage::new(sandbox).await;
                return Some((world, cage));
            }
            Err(error) => {
                assert!(world.sessions().is_empty(), "a refusal left {:?}", world.sessions());
                error
            }
        },
        Err(error) => error,
    };
    assert_eq!(refused.code, Code::LimitUnsupported, "{refused:?}");
    assert!(
        refused.field.as_deref().is_some_and(|name| name.contains(field)) && refused.hint.is_some(),
        "{refused:?}"
    );
    None
}

/// Looks at the session from the host all the while, and remembers the largest value.
struct Watch {
    stop: Arc<AtomicBool>,
    largest: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn new(value: impl Fn() -> u64 + Send + 'static) -> Self {
        let (stop, largest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (end, most) = (Arc::clone(&stop), Arc::clone(&largest));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                most.fetch_max(value(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, largest, thread }
    }

    fn largest(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.largest.load(Ordering::Relaxed)
    }
}

/// Too many processes [40].
async fn forks() {
    let (world, cage) =
        limited(json!({ "pids": 60 }), "pids").await.expect("a limit of processes can always be enforced");
    let other = world.cage().await;
    let mark = cage.mark.clone();
    let watch = Watch::new(move || host::processes(&mark).len() as u64);
    let mut bomb = cage.start(cage.command(&["forks", "3000", "1500"])).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let begun = Instant::now();
    other.works().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "the other session took {:?}", begun.elapsed());
    let report = Report::parse(&bomb.output().await.stdout);
    let line = report.line("forks");
    let count: u64 = line.detail.parse().unwrap();
    assert_eq!(line.outcome, "EAGAIN", "{line:?}");
    assert!((20..=60).contains(&count), "{line:?}");
    let seen = watch.largest();
    assert!(seen > 20 && seen <= 60, "the host saw {seen} processes");
    cage.works().await;
    cage.kill().await;
    other.kill().await;
}
attack!(processes_are_counted, forks());

/// Without a limit asked for there is one all the same [40].
async fn default_forks() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let output = cage.shell("ulimit -u; cat /proc/self/limits").await;
    assert_ne!(output.stdout.lines().next(), Some("unlimited"), "{output:?}");
    cage.kill().await;
}
attack!(processes_are_counted_unasked, default_forks());

/// Too much memory, in one process and in many [41].
async fn memory() {
    let Some((world, cage)) = limited(json!({ "memory": 128 * MIB }), "memory").await else { return };
    let other = world.cage().await;
    for processes in ["1", "8"] {
        let mark = cage.mark.clone();
        let watch = Watch::new(move || {
            let of = |seen: &host::Seen| {
                seen.status.get("RssAnon").and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
            };
            host::processes(&mark).iter().filter_map(of).sum::<u64>() * 1024
        });
        let output =
            cage.start(cage.command(&["eat", &(512 * MIB).to_string(), processes])).await.output().await;
        if output.exit.code == 0 {
            let report = Report::parse(&output.stdout);
            assert_eq!(report.line(&format!("eat in {processes}")).outcome, "ENOMEM", "{output:?}");
            assert!(
                !report.line("lock all memory").worked()
                    || cage.shell("ulimit -l").await.stdout.trim() != "unlimited"
            );
        } else {
            assert!(output.exit.out_of_memory || output.exit.signal == Some(9), "{output:?}");
        }
        let seen = watch.largest();
        assert!(seen <= 192 * MIB, "the host saw {} MiB in {processes}", seen / MIB);
        other.works().await;
    }
    cage.works().await;
    cage.kill().await;
    other.kill().await;
}
attack!(memory_is_counted, memory());

/// Memory by way of files: `/dev/shm` has an end with or without a limit [41, 43].
async fn shared_memory() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    let report = cage.attack(&["fill", "file", "/dev/shm", &(512 * MIB).to_string()]).await;
    let line = &report.lines()[0];
    assert_eq!(line.outcome, "ENOSPC", "{line:?}");
    let root = cage.attack(&["fill", "file", "/run", &(64 * MIB).to_string()]).await;
    assert!(!root.lines()[0].worked(), "{root:?}");
    cage.kill().await;
}
attack!(shared_memory_has_an_end, shared_memory());

/// Too much on disk, in every way [43].
async fn disk() {
    let Some((world, cage)) = limited(json!({ "disk": 64 * MIB }), "disk").await else { return };
    let state = world.state();
    let watch = Watch::new(move || host::disk_usage(&state));
    for (way, directory) in [
        ("file", "/vibe0"),
        ("small", "/vibe0"),
        ("deleted", "/vibe0"),
        ("allocated", "/home/user"),
        ("file", "/tmp"),
    ] {
        let mut command = cage.command(&["fill", way, directory, &(192 * MIB).to_string()]);
        command.timeout_ms = Some(8000);
        let output = cage.start(command).await.output().await;
        if output.exit.code == 0 {
            let line = Report::parse(&output.stdout).lines()[0].clone();
            assert!(["ENOSPC", "EDQUOT", "EFBIG"].contains(&line.outcome.as_str()), "{line:?}");
        }
        cage.shell(&format!("rm -rf {directory}/fill-*")).await;
    }
    let seen = watch.largest();
    assert!(seen <= 128 * MIB, "the host saw {} MiB", seen / MIB);
    cage.kill().await;
}
attack!(disk_is_counted, disk());

/// All of the processor [42].
async fn processor() {
    let Some((world, cage)) = limited(json!({ "cpu": 1 }), "cpu").await else { return };
    let other = world.cage().await;
    let mut spinning = cage.start(cage.command(&["spin", "8", "2500"])).await;
    let mut times = Vec::new();
    for _ in 0..25 {
        let begun = Instant::now();
        other.works().await;
        times.push(begun.elapsed());
    }
    times.sort();
    assert!(times[times.len() - 1] < Duration::from_secs(2), "{times:?}");
    spinning.output().await;
    cage.kill().await;
    other.kill().await;
}
attack!(the_processor_is_shared, processor());

/// Output nobody reads: the writer waits, and this process stays small [44].
async fn unread() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    for kind in ["zeros", "line"] {
        let before = host::resident();
        let mut flood = cage.start(cage.command(&["flood", &(1024 * MIB).to_string(), kind])).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let grown = host::resident().saturating_sub(before);
        assert!(grown < 32 * MIB, "{} MiB for output nobody reads", grown / MIB);
        assert!(flood.0.next().await.unwrap().is_some());
        flood.0.control().stop(Duration::ZERO).await.unwrap();
        let output = flood.output_within(Duration::from_secs(10)).await;
        assert!(output.exit.stopped.is_some(), "{:?}", output.exit);
    }
    cage.kill().await;
}
attack!(unread_output_waits, unread());

/// Output is what was written, byte for byte, whatever it is [44].
async fn intact() {
    const BYTES: usize = 48 << 20;
    let world = World::new(json!({ "network": "deny" }));
    let cage = world.cage().await;
    for (kind, pattern) in
        [("utf8", "aß€😀\u{0301}".as_bytes()), ("broken", b"\xf0\x9f\x98ok\xff\xc3\n"), ("line", b"x")]
    {
        let mut flood = cage.start(cage.command(&["flood", &BYTES.to_string(), kind])).await;
        let mut expected = pattern.iter().cycle();
        let mut count = 0;
        while let Some((stream, chunk)) = flood.0.next().await.unwrap() {
            assert_eq!(stream, Stream::Stdout);
            assert!(
                chunk.iter().all(|byte| Some(byte) == expected.next()),
                "{kind} differs within {count}+{}",
                chunk.len()
            );
            count += chunk.len();
        }
        assert_eq!(count, BYTES, "{kind}");
        assert_eq!(flood.0.exit().await.unwrap().code, 0);
    }
    cage.kill().await;
}
attack!(output_is_intact, intact());

/// Tables of the kernel [45]: full for the session, not for the host or for another session.
async fn tables() {
    let world = World::new(json!({ "network": "deny" }));
    let (cage, other) = (world.cage().await, world.cage().await);
    let mut exhausting = cage.start(cage.command(&["exhaust", "150"])).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2000) {
        // SAFETY: plain calls; what is opened is closed.
        unsafe {
            let inotify = libc::inotify_init1(0);
            assert!(inotify >= 0, "the host has no inotify left: {}", std::io::Error::last_os_error());
            libc::close(inotify);
            let terminal = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
            assert!(terminal >= 0, "the host has no terminals left: {}", std::io::Error::last_os_error());
            libc::close(terminal);
            let queue = libc::msgget(libc::IPC_PRIVATE, libc::IPC_CREAT | 0o600);
            assert!(queue >= 0, "the host has no queues left: {}", std::io::Error::last_os_error());
            libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut());
        }
        other.works().await;
    }
    let report = Report::parse(&exhausting.output().await.stdout);
    for line in report.lines() {
        let count: u64 = line.detail.split(' ').next().unwrap().parse().unwrap();
        assert!(count < 70_000, "{line:?} has no end");
    }
    assert!(report.line("keys").detail.starts_with("0 until E"), "{:?}", report.line("keys"));
    cage.works().await;
    cage.kill().await;
    other.kill().await;
}
attack!(full_tables_are_the_sessions_own, tables());
