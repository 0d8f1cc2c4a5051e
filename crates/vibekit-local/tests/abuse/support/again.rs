//! Starting a test again, as somebody else or somewhere else.

use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{attack, host};

/// Set in a process that is already where the test wants to be.
const THERE: &str = "VIBEKIT_ABUSE_THERE";

/// Everything a test does, the start of its other self included.
const LIMIT: Duration = Duration::from_secs(90);

/// Who attacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Whoever runs the tests.
    Same,
    /// `nobody`, if whoever runs the tests is root; else there is no difference.
    Nobody,
}

/// Where the attack is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Here.
    Host,
    /// In a network of its own, whose way out ends at a listener of the test: whatever gets out of a sandbox arrives
    /// there, and nowhere else. Any port may be listened on.
    Internet,
    /// Where `unshare` and `clone` refuse namespaces, as in a container.
    NoNamespaces,
    /// Where no user namespace may be made, by the limit of the kernel.
    NoUserNamespaces,
    /// Where a part of `/proc` is covered, as in a container: the kernel then refuses a fresh one.
    MaskedProc,
    /// Where nothing may be mounted.
    NoMount,
    /// Where no filter of system calls can be loaded.
    NoSeccomp,
    /// Where the kernel has no Landlock.
    NoLandlock,
    /// Where memory files cannot be executed.
    NoMemoryPrograms,
    /// Where there are no memory files.
    NoMemoryFiles,
}

impl Place {
    /// The program and arguments that lead there.
    fn way(self, root: bool, attack: &Path) -> Vec<String> {
        let attack = attack.display().to_string();
        let wrap = |condition: &str| vec![attack.clone(), "wrap".to_owned(), condition.to_owned()];
        let shell = |unshare: &str, line: &str| {
            // An ordinary user needs a user namespace first, in which it keeps its number and has rights.
            let user = if root { "" } else { "--map-current-user --keep-caps " };
            let line = format!("{line}; exec \"$0\" \"$@\"");
            let mut words: Vec<String> =
                format!("unshare {user}{unshare}").split_whitespace().map(Into::into).collect();
            words.extend(["sh", "-ec"].map(Into::into));
            words.push(line);
            words
        };
        match self {
            Self::Host => Vec::new(),
            Self::Internet => {
                let mut way = shell("--net", "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start");
                way.extend(wrap("internet"));
                way
            }
            Self::NoNamespaces => wrap("no-namespaces"),
            // The limit of a user namespace holds for all below it.
            Self::NoUserNamespaces if root => {
                let words = "unshare --user --map-root-user sh -ec".split(' ').map(Into::into);
                let line = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$0\" \"$@\"".to_owned();
                words.chain([line]).collect()
            }
            Self::NoUserNamespaces => shell("--user", "echo 0 > /proc/sys/user/max_user_namespaces"),
            Self::MaskedProc => shell("--mount", "mount -t tmpfs none /proc/sys"),
            Self::NoMount => wrap("no-mount"),
            Self::NoSeccomp => wrap("no-seccomp"),
            Self::NoLandlock => wrap("no-landlock"),
            Self::NoMemoryPrograms => {
                shell("--pid --fork --mount-proc", "echo 2 > /proc/sys/vm/memfd_noexec")
            }
            Self::NoMemoryFiles => wrap("no-memfd"),
        }
    }
}

/// Runs an attack as `caller` at `place`. `test` is the whole name of the test that does.
pub(crate) fn run<F>(test: &str, caller: Caller, place: Place, attack: impl FnOnce() -> F)
where
    F: Future<Output = ()>,
{
    let (_, test) = test.split_once("::").unwrap();
    if std::env::var_os(THERE).is_some() {
        return block_on(attack());
    }
    let root = host::uid() == 0;
    match (caller, place) {
        (Caller::Nobody, _) if !root => {}
        (Caller::Same, Place::Host) => block_on(attack()),
        _ => again(test, caller, place, root),
    }
}

fn block_on(attack: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(LIMIT, attack).await });
    assert!(done.is_ok(), "still not done after {LIMIT:?}");
    runtime.shutdown_timeout(Duration::from_secs(1));
}

fn again(test: &str, caller: Caller, place: Place, root: bool) {
    let (_lent, attack) = attack::lent();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"];
    let nobody = nobody.iter().filter(|_| caller == Caller::Nobody).map(|word| (*word).to_owned());
    let mut words: Vec<String> = match place {
        // The way there maps one user only, so it is gone as that user.
        Place::NoUserNamespaces => nobody.chain(place.way(root && caller == Caller::Same, &attack)).collect(),
        _ => place.way(root, &attack).into_iter().chain(nobody).collect(),
    };
    // By descriptor: nobody may not be able to reach the directory the tests were built in.
    words.push("/proc/self/fd/0".into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(THERE, "1").env(attack::VARIABLE, &attack);
    command.env("HOST_SECRET", "host-secret-in-the-environment");
    command.stdin(File::open("/proc/self/exe").unwrap());
    command.current_dir("/");
    let output = command.output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "as {words:?}:\n{text}");
}
