//! The language between the embedded sandbox's init process and its host.
//!
//! Messages are postcard over a `SOCK_SEQPACKET` socket; file descriptors travel beside them (`SCM_RIGHTS`). A
//! message that is too large for one packet travels in an anonymous memory file. Both ends are built from the same
//! sources and refuse each other when [`VERSION`] differs, so the encoding needs no compatibility of its own.

mod attestation;
mod config;
mod message;
#[cfg(target_os = "linux")]
mod socket;

pub use attestation::{Attestation, NAMESPACES};
pub use config::{Access, Bind, Config, File, Identity, Overlay, RLimit};
pub use message::{Background, Exec, Failure, FromInit, Job, Listener, Reason, Step, StoppedTree, ToInit};
#[cfg(target_os = "linux")]
pub use socket::{MAX_FDS, Received, receive, send};

/// Changes with every incompatible change of the messages.
pub const VERSION: u32 = 3;

/// Largest message either side accepts, in bytes. Above what `execve` accepts for arguments and environment
/// (a quarter of the stack limit, at most 6 MiB), so "too long" is told by the kernel and not by this crate.
pub const MAX_MESSAGE: usize = 16 << 20;

/// The first version of Landlock that can hold a command to reading: before it, files could be emptied all the same.
pub const READ_ONLY_SINCE: u32 = 3;

/// Where the logs of background commands are seen inside.
pub const LOGS: &str = "/var/log/vibekit";

/// The user inside, always: several agents refuse to run as root.
pub const INSIDE_ID: u32 = 1000;
