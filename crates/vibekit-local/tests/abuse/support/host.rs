//! The host's own view of what the sandbox does.

use std::collections::BTreeMap;
use std::path::Path;

/// A process as the host sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Number on the host.
    pub(crate) pid: i32,
    /// `/proc/PID/status`.
    pub(crate) status: BTreeMap<String, String>,
}

/// The effective user.
pub(crate) fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A number nobody else has.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).unwrap();
    u64::from_ne_bytes(bytes)
}

/// Living processes whose command line holds a text.
pub(crate) fn processes(mark: &str) -> Vec<Seen> {
    all()
        .filter(|pid| line_of(*pid).windows(mark.len()).any(|part| part == mark.as_bytes()))
        .filter_map(seen)
        .collect()
}

/// Numbers of all processes.
pub(crate) fn all() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn line_of(pid: i32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

fn seen(pid: i32) -> Option<Seen> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let status: BTreeMap<String, String> = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    if status["State"].starts_with(['Z', 'X']) {
        return None;
    }
    Some(Seen { pid, status })
}

impl Seen {
    /// True for the first process of a namespace of its own.
    pub(crate) fn is_init(&self) -> bool {
        let numbers = self.status.get("NSpid").map(|numbers| numbers.split_whitespace().collect::<Vec<_>>());
        numbers.is_some_and(|numbers| numbers.len() > 1 && numbers.last() == Some(&"1"))
    }

    /// A namespace's name; empty where it may not be seen.
    pub(crate) fn namespace(&self, kind: &str) -> String {
        let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", self.pid));
        link.map(|link| link.display().to_string()).unwrap_or_default()
    }
}

/// Every process of the same session as one of its processes, the init included. By descent: of an init that cannot be
/// looked into, an ordinary user does not see the namespaces.
pub(crate) fn session_of(member: &Seen) -> Vec<Seen> {
    let everybody: BTreeMap<i32, Seen> =
        all().filter_map(seen).map(|process| (process.pid, process)).collect();
    let parent = |process: &Seen| everybody.get(&process.status["PPid"].parse().ok()?);
    let init = |process: &Seen| {
        let mut process = everybody.get(&process.pid)?;
        while !process.is_init() {
            process = parent(process)?;
        }
        Some(process.pid)
    };
    let of = init(member).unwrap_or_else(|| panic!("there is no init above {member:?}"));
    everybody.values().filter(|process| init(process) == Some(of)).cloned().collect()
}

/// Namespaces that processes have which are not this process's, by kind.
pub(crate) fn foreign_namespaces(kind: &str) -> std::collections::BTreeSet<String> {
    let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
    all()
        .filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .filter(|link| *link != own)
        .map(|link| link.display().to_string())
        .collect()
}

/// Descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Bytes a directory takes, links not followed.
pub(crate) fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(of) = std::fs::symlink_metadata(path) else { return 0 };
    let own = of.blocks() * 512;
    if !of.is_dir() {
        return own;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| disk_usage(&entry.path())).sum::<u64>()
}

/// Everything below a directory with its content: two equal snapshots mean nothing was touched.
pub(crate) fn snapshot(path: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        // Nothing there is a snapshot, too.
        let Ok(of) = std::fs::symlink_metadata(&path) else { continue };
        let content = if of.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            b"directory".to_vec()
        } else if of.is_symlink() {
            std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if of.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            format!("{:?}", of.file_type()).into_bytes()
        };
        all.insert(path, content);
    }
    all
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Children of this process, zombies included.
pub(crate) fn children() -> usize {
    let own = std::process::id().to_string();
    let of = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(str::to_owned))
    };
    all().filter(|pid| of(*pid).as_deref() == Some(&own)).count()
}
