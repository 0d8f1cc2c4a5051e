//! What an init tells about the finished sandbox, measured from inside after the lock-down.

use serde::{Deserialize, Serialize};

/// Names of the namespaces in `/proc/self/ns`, in the order of [`Attestation::namespaces`].
pub const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

/// Facts, not judgements: the host compares them with what it asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// [`crate::VERSION`] of the helper.
    pub version: u32,
    /// `getpid()`.
    pub pid: u32,
    /// Real, effective and saved user id, then group id, as seen inside.
    pub ids: [u32; 6],
    /// `/proc/self/uid_map`, white space collapsed.
    pub uid_map: String,
    /// `/proc/self/gid_map`, white space collapsed.
    pub gid_map: String,
    /// Supplementary groups.
    pub groups: u32,
    /// `NoNewPrivs` of `/proc/self/status`.
    pub no_new_privs: bool,
    /// `Seccomp` of `/proc/self/status`; 2 is a filter.
    pub seccomp: u32,
    /// Inheritable, permitted, effective, bounding and ambient capabilities.
    pub capabilities: [u64; 5],
    /// Inode numbers of the namespaces.
    pub namespaces: [u64; 7],
    /// `f_type` of `/`.
    pub root_fs: i64,
    /// True when `/` is mounted read-only.
    pub root_read_only: bool,
    /// Errno of a system call the filter forbids (`mount`), 0 when it worked.
    pub forbidden_call: i32,
    /// Landlock version in force; 0 when the kernel has none.
    pub landlock: u32,
    /// Errno of opening the old root through a descriptor kept for this test, 0 when it worked.
    pub landlock_denied: i32,
    /// Canaries that were found.
    pub canaries_seen: Vec<String>,
    /// True when the process can be traced or dumped.
    pub dumpable: bool,
    /// Network interfaces.
    pub interfaces: Vec<String>,
}
