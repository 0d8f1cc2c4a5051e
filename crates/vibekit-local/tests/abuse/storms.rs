//! Many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Report, World, eventually_within, host, request};

/// Two hundred sessions come and go, and leave nothing [54].
async fn sessions() {
    let world = Arc::new(World::new(json!({ "network": "deny", "ephemeral": true })));
    // Whatever the first one sets up once stays.
    world.provider.create(request()).await.unwrap().kill().await.unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let namespaces = host::foreign_namespaces("net");
    let own_children = host::children();
    let (descriptors, begun) = (host::descriptors(), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let world = Arc::clone(&world);
        tasks.spawn(async move {
            for _ in 0..13 {
                let sandbox = world.provider.create(request()).await.unwrap();
                sandbox.kill().await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "208 sessions took {took:?}");
    assert!(world.sessions().is_empty(), "{:?}", world.sessions());
    eventually_within(Duration::from_secs(5), "descriptors are back", || {
        host::descriptors() <= descriptors + 2
    });
    eventually_within(Duration::from_secs(5), "children are reaped", || host::children() <= own_children);
    eventually_within(Duration::from_secs(5), "network namespaces are gone", || {
        host::foreign_namespaces("net").is_subset(&namespaces)
            || host::foreign_namespaces("net").len() <= namespaces.len()
    });
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    let left: Vec<_> = host::snapshot(&world.state()).into_keys().filter(|path| path.is_file()).collect();
    assert!(left.len() <= 1, "left on disk: {left:?}");
}
attack!(sessions_leave_nothing_behind, sessions());

/// A hundred live at once, all of them answer, all of them go [54].
async fn alive() {
    let world = Arc::new(World::new(json!({ "network": "deny", "ephemeral": true })));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let world = Arc::clone(&world);
        tasks.spawn(async move { world.provider.create(request()).await.unwrap() });
    }
    let sandboxes = tasks.join_all().await;
    let mut ids: Vec<String> = sandboxes.iter().map(|sandbox| sandbox.id().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    let mut tasks = JoinSet::new();
    for sandbox in sandboxes {
        tasks.spawn(async move {
            let command = vibekit_sandbox::Command::shell("echo alive");
            let process = sandbox.spawn(command).await.unwrap();
            let output = crate::support::Running(process).output().await;
            assert_eq!(output.stdout, "alive\n");
            sandbox.kill().await.unwrap();
        });
    }
    tasks.join_all().await;
    assert!(world.sessions().is_empty());
}
attack!(a_hundred_sessions_live, alive());

/// Starts from many threads, while other threads allocate and start programs of their own [55].
async fn starts() {
    let world = World::new(json!({ "network": "deny" }));
    let cage = Arc::new(world.cage().await);
    let stop = Arc::new(AtomicBool::new(false));
    let disturbers: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // Descriptors without the flag that closes them, as any library might have them for a moment.
                    let file = std::fs::File::open("/etc/hostname").unwrap();
                    // SAFETY: a duplicate of a live descriptor, closed below.
                    let leaky = unsafe { libc::dup(std::os::fd::AsRawFd::as_raw_fd(&file)) };
                    let garbage: Vec<Vec<u8>> = (1..100).map(|size| vec![1; size * 100]).collect();
                    assert!(std::process::Command::new("/bin/true").status().unwrap().success());
                    drop(garbage);
                    // SAFETY: opened above.
                    unsafe { libc::close(leaky) };
                }
            })
        })
        .collect();
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let cage = Arc::clone(&cage);
        tasks.spawn(async move {
            for _ in 0..10 {
                let output = cage.start(cage.command(&["descriptors"])).await.output().await;
                Report::parse(&output.stdout).none_worked(17);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for disturber in disturbers {
        disturber.join().unwrap();
    }
    cage.kill().await;
}
attack!(starts_from_many_threads_stay_apart, starts());
