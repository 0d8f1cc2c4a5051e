//! Control groups: where this process may make some.

use std::fs;
use std::path::{Path, PathBuf};

use crate::identity::Caller;

/// A group in which others can be made.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// Of the second version.
    pub(crate) unified: bool,
}

/// What a session's groups are called.
pub(crate) fn name(id: &str) -> String {
    format!("vibekit-{id}")
}

/// The groups this process is in, and where they are mounted.
struct Own {
    groups: String,
    mounts: String,
}

impl Own {
    fn read() -> Option<Self> {
        let read = |path| fs::read_to_string(path).ok();
        Some(Self { groups: read("/proc/self/cgroup")?, mounts: read("/proc/self/mounts")? })
    }

    fn mount(&self, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
        self.mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            wanted(kind, options).then(|| PathBuf::from(path))
        })
    }

    fn group(&self, wanted: impl Fn(&str) -> bool) -> Option<&str> {
        self.groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            wanted(controllers).then_some(path)
        })
    }

    /// Of the second version.
    fn unified(&self) -> Option<PathBuf> {
        let root = self.mount(|kind, _| kind == "cgroup2")?;
        let path = within(&root, self.group(str::is_empty)?);
        writable(&path).then_some(path)
    }
}

/// Where groups of the second version can be made, whatever they control.
pub(crate) fn unified() -> Option<PathBuf> {
    Own::read()?.unified()
}

/// Where groups with this controller can be made.
pub(crate) fn hierarchy(controller: &str, caller: &Caller) -> Option<Place> {
    let own = Own::read()?;
    // The second version first: its groups can be delegated to users.
    if let Some(path) = own.unified() {
        let enabled = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
        if enabled.split_whitespace().any(|name| name == controller) {
            return Some(Place { path, unified: true });
        }
    }
    if !caller.privileged {
        return None;
    }
    let named = |list: &str| list.split(',').any(|name| name == controller);
    let path = within(&own.mount(|kind, options| kind == "cgroup" && named(options))?, own.group(named)?);
    writable(&path).then_some(Place { path, unified: false })
}

fn within(root: &Path, group: &str) -> PathBuf {
    root.join(group.trim_start_matches('/'))
}

fn writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}
