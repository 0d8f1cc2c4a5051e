//! An attack that never works proves nothing: outside of a sandbox, as an ordinary user, these must work.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const NOBODY: u32 = 65_534;

/// A directory of the ordinary user, with the attack in it.
struct Scratch {
    directory: tempfile::TempDir,
    attack: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let attack = directory.path().join("attack");
        std::fs::copy(env!("CARGO_BIN_EXE_vibekit-attack"), &attack).unwrap();
        std::fs::set_permissions(&attack, PermissionsExt::from_mode(0o755)).unwrap();
        if is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { directory, attack }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The attack as the ordinary user: the one who runs the tests, or `nobody` when that is root.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]);
            command.arg(&self.attack);
            command
        } else {
            Command::new(&self.attack)
        };
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> BTreeMap<String, (String, String)> {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let mut outcomes = BTreeMap::new();
        let mut end = None;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            if text("probe") == "end" {
                end = text("detail").parse::<usize>().ok();
            } else {
                assert_ne!(text("outcome"), "unprobed", "{line}");
                outcomes.insert(text("probe"), (text("outcome"), text("detail")));
            }
        }
        assert!(end.is_some_and(|end| end >= outcomes.len()), "the report of {arguments:?} is not whole");
        outcomes
    }

    fn holder(&self) -> Holder {
        let mut child = self.command(&["hold"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        Holder(child)
    }
}

/// A process to be attacked.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `/proc/self` belongs to the effective user.
fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

#[track_caller]
fn all_work(outcomes: &BTreeMap<String, (String, String)>, probes: &[&str]) {
    for probe in probes {
        let (outcome, detail) =
            outcomes.get(*probe).unwrap_or_else(|| panic!("no probe {probe} in {outcomes:#?}"));
        assert_eq!(outcome, "ok", "{probe} does not bite ({detail})");
    }
}

#[test]
fn files_are_reached() {
    let scratch = Scratch::new();
    let secret = scratch.path().join("secret");
    std::fs::write(&secret, "canary").unwrap();
    let secret = secret.to_str().unwrap();
    let read = scratch.run(&["read", "1", secret]);
    assert_eq!(read[&format!("read {secret}")], ("ok".into(), "name: canary".into()));
    all_work(&scratch.run(&["list", "3", "/usr"]), &["list /usr"]);

    let made = scratch.path().join("made");
    let write = scratch.run(&["write", "6", made.to_str().unwrap()]);
    for way in ["create", "truncate", "chmod", "unlink", "mkdir", "rename over"] {
        let prefix = format!("{way} {}", made.display());
        assert!(
            write.iter().any(|(probe, (outcome, _))| probe.starts_with(&prefix) && outcome == "ok"),
            "{way} does not bite: {write:#?}"
        );
    }
    std::os::unix::fs::symlink("/usr", scratch.path().join("b")).unwrap();
    std::fs::create_dir(scratch.path().join("a")).unwrap();
    all_work(&scratch.run(&["swap", "a", "b", "50"]), &["swap"]);
}

#[test]
fn directories_are_changed() {
    let scratch = Scratch::new();
    all_work(&scratch.run(&["change-prepare", "target"]), &["prepare"]);
    let target = scratch.path().join("target");
    let outcomes = scratch.run(&["change", "61", target.to_str().unwrap(), scratch.path().to_str().unwrap()]);
    // By the other routes, what a way made is there already, and other users' processes are closed.
    let ways: Vec<_> = outcomes.iter().filter(|(probe, _)| !probe.contains(" by /proc")).collect();
    assert!(ways.len() > 25, "{ways:#?}");
    for (probe, (outcome, detail)) in ways {
        assert_eq!(outcome, "ok", "{probe} does not bite ({detail})");
    }
    all_work(&outcomes, &["open by /proc/self/root", "open by /proc/thread-self/root"]);
}

#[test]
fn mode_bits_are_set() {
    let scratch = Scratch::new();
    let modes = scratch.run(&["modes", "."]);
    for way in ["chmod", "fchmod", "fchmodat", "fchmodat2", "open", "openat2", "mknod", "temporary", "creat"]
    {
        all_work(&modes, &[&format!("{way} 4755")]);
    }
}

#[test]
fn system_calls_go_through() {
    let scratch = Scratch::new();
    let namespaces = scratch.run(&["namespaces"]);
    all_work(
        &namespaces,
        &[
            "unshare user",
            "unshare user and mnt",
            "unshare user and net",
            "clone user",
            "clone3 user",
            "unshare time",
        ],
    );
    all_work(&scratch.run(&["mounts"]), &["mount in own namespaces"]);
    all_work(&scratch.run(&["kernel"]), &["io_uring_setup", "perf_event_open", "userfaultfd", "modify_ldt"]);
    all_work(&scratch.run(&["keys"]), &["add_key", "join a session keyring", "find the user keyring"]);
    all_work(
        &scratch.run(&["arch"]),
        &["int 0x80 getpid", "personality: no random addresses", "personality: readable is executable"],
    );
    all_work(&scratch.run(&["terminal"]), &["TIOCSTI"]);
    all_work(&scratch.run(&["sockets"]), &["mptcp", "netlink netfilter", "netlink uevent"]);
    all_work(&scratch.run(&["side-doors"]), &["read /proc/kallsyms", "read /proc/keys"]);
}

#[test]
fn neighbours_are_reached() {
    let scratch = Scratch::new();
    let holder = scratch.holder();
    let pid = holder.0.id().to_string();
    let peers = scratch.run(&["peers", &pid]);
    for way in ["ptrace seize", "process_vm_readv", "pidfd_getfd", "open memory of"] {
        all_work(&peers, &[&format!("{way} {pid}")]);
    }
    let files = scratch.run(&["proc", &pid]);
    all_work(&files, &[&format!("read /proc/{pid}/maps"), &format!("list /proc/{pid}/fd")]);
    all_work(&scratch.run(&["signal", "0", &pid]), &[&format!("kill {pid} with 0")]);

    let mut command = scratch.command(&["hold"]);
    let mut secretive = command.env("TOKEN", "needle-in-a-haystack").stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    secretive.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let secretive = Holder(secretive);
    let found = scratch.run(&["needle", "kcatsyah-a-ni-eldeen"]);
    let path = format!("needle in /proc/{}/environ", secretive.0.id());
    all_work(&found, &[&path]);
}

#[test]
fn the_host_is_heard() {
    let scratch = Scratch::new();
    let path = scratch.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    let path = path.to_str().unwrap();
    all_work(&scratch.run(&["unix", path]), &[&format!("stream to {path}")]);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"canary").unwrap();
        let mut request = [0; 512];
        stream.read(&mut request).unwrap()
    });
    let answer = scratch.run(&["tcp", "33", "host", &address]);
    assert_eq!(answer[&format!("tcp {address}")], ("ok".into(), "canary".into()));
    assert!(server.join().unwrap() > 0);
}

#[test]
fn limits_are_not_there() {
    let scratch = Scratch::new();
    let forks = scratch.run(&["forks", "300", "0"]);
    assert_eq!(forks["forks"], ("ok".into(), "300".into()));
    let eaten = scratch.run(&["eat", "100000000", "2"]);
    assert_eq!(eaten["eat in 2"].0, "ok");
    for way in ["file", "small", "sparse", "deleted", "allocated"] {
        let filled = scratch.run(&["fill", way, ".", "4194304"]);
        assert_eq!(filled[&format!("fill {way} in .")].0, "ok");
    }
}

#[test]
fn descendants_survive() {
    let scratch = Scratch::new();
    // All ways but the runners: outside of a sandbox nobody but the machine's own init clears away what they leave, and
    // that would be thousands of processes.
    let ways = ["plain", "session", "orphan", "deaf", "stopped", "renamed", "silent", "reaper"];
    for way in ways {
        let mut command = scratch.command(&["survive", "exit", way]);
        assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "{way}");
    }
    let alive = || processes(&scratch.attack);
    // Those that leave their parent are between two names for a moment.
    let begun = std::time::Instant::now();
    while alive().len() < ways.len() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", alive());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for _ in 0..100 {
        let alive = alive();
        if alive.is_empty() {
            return;
        }
        for pid in alive {
            let _ = Command::new("/bin/kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
    panic!("they are still there: {:?}", alive());
}

fn processes(program: &Path) -> Vec<i32> {
    let program = program.to_str().unwrap().as_bytes();
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(program))
    })
    .collect()
}

#[test]
fn hosts_can_be_made_poorer() {
    let scratch = Scratch::new();
    let attack = scratch.attack.to_str().unwrap().to_owned();
    let refused = scratch.run(&["wrap", "no-namespaces", &attack, "namespaces"]);
    assert_eq!(refused["unshare user"].0, "EPERM");
    assert_eq!(refused["clone user"].0, "EPERM");
    assert_eq!(refused["clone3 user"].0, "ENOSYS");
}
