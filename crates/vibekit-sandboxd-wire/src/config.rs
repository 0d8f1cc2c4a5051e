//! What a session's init is told before it builds the session.

use serde::{Deserialize, Serialize};

/// Everything the helper needs. Sent as the first message, never through arguments or environment, because
/// `/proc/1/cmdline` can be read by every command inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// [`crate::VERSION`] of the sender.
    pub version: u32,
    /// Who the session is on the host.
    pub identity: Identity,
    /// Working directory inside, absolute.
    pub working_directory: String,
    /// Home directory inside, absolute.
    pub home: String,
    /// Host name inside.
    pub hostname: String,
    /// Host paths that become visible, in the order in which they are attached.
    pub binds: Vec<Bind>,
    /// Files made in the (then read-only) root, in order.
    pub files: Vec<File>,
    /// Symbolic links made in the root: path, target.
    pub links: Vec<(String, String)>,
    /// The working directory as a writable layer above a host directory.
    pub overlay: Option<Overlay>,
    /// `None`: only loopback. Otherwise every address leads to listeners on these TCP ports, a DNS port, an HTTP proxy
    /// port and a SOCKS port, and the listeners are handed to the host.
    pub capture: Option<Vec<u16>>,
    /// Limits of every process inside.
    pub rlimits: Vec<RLimit>,
    /// How many inotify instances and watches the session may have.
    pub inotify: [u64; 2],
    /// True: the session ends with the connection it was made over.
    pub ephemeral: bool,
    /// Milliseconds without any process after which the init offers to go. Without a host it goes by itself, and takes
    /// this long after the last background command whatever finished commands left running.
    pub idle_ms: Option<u64>,
    /// Shared secret for re-attaching.
    pub token: [u8; 32],
    /// Host paths that must not exist inside; part of the attestation.
    pub canaries: Vec<String>,
}

/// Who a session is on the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Host user id that [`crate::INSIDE_ID`] maps to.
    pub uid: u32,
    /// Host group id that [`crate::INSIDE_ID`] maps to.
    pub gid: u32,
    /// True when the caller may map any id (root). Then the binds are prepared before the privileges go, because the
    /// session's user could not reach them.
    pub privileged: bool,
}

/// What may be done with a bound path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read and execute.
    Read,
    /// Read, write and execute.
    Write,
    /// A device node: read and write, no other device beside it.
    Device,
}

/// A host path that becomes visible inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Host path, absolute, not necessarily UTF-8.
    pub source: Vec<u8>,
    /// Path inside, absolute.
    pub target: String,
    /// What may be done with it.
    pub access: Access,
    /// Device and inode the source must be, checked on the opened file.
    pub expect: Option<(u64, u64)>,
    /// Skip it when the source is missing.
    pub optional: bool,
    /// Show files of this host user and group as the session's own (privileged callers only).
    pub owner: Option<(u32, u32)>,
}

/// A file in the root of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Path inside, absolute.
    pub path: String,
    /// Bytes of content, which comes in a descriptor beside the configuration.
    pub length: u64,
}

/// A writable layer above a host directory. The three host directories are given as binds onto private targets, so
/// that they are prepared with the caller's rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Index in [`Config::binds`] of the directory that stays untouched.
    pub lower: u32,
    /// Index in [`Config::binds`] of the directory that holds `upper` and `work`.
    pub layer: u32,
}

/// A resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RLimit {
    /// `RLIMIT_*` number.
    pub resource: u32,
    /// Soft and hard limit.
    pub limit: u64,
}
