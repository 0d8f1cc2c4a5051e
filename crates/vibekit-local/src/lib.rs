//! The embedded sandbox, host side.
//!
//! Every session is a directory on disk and, while something runs in it, one small init process in namespaces of its
//! own (`vibekit-sandboxd`). This crate makes the directory, starts the init, checks what it attests, hands pipes of
//! commands to it, and lets go of it without ending it. It never forks: the helper is started with `posix_spawn`.
//!
//! What the sandbox cannot guarantee on this machine is refused with `LOCAL_SANDBOX_UNSUPPORTED`, never degraded.

mod host_env;
mod options;
mod refusal;

#[cfg(target_os = "linux")]
mod cgroups;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod fail;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod freezer;
#[cfg(target_os = "linux")]
mod helper;
#[cfg(target_os = "linux")]
mod identity;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod locks;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod pipes;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod ports;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod provider;
#[cfg(target_os = "linux")]
mod sandbox;
#[cfg(target_os = "linux")]
mod session;
#[cfg(target_os = "linux")]
mod state;
#[cfg(target_os = "linux")]
mod toolchain;
#[cfg(target_os = "linux")]
mod verify;
#[cfg(target_os = "linux")]
mod view;
#[cfg(target_os = "linux")]
mod watched;
#[cfg(target_os = "linux")]
mod workspace;

#[cfg(not(target_os = "linux"))]
mod unsupported;

pub use host_env::HostEnv;
pub use options::{Limits, LocalOptions, Network, Workspace, WorkspaceMode};
#[cfg(target_os = "linux")]
pub use provider::LocalProvider;
pub use refusal::Support;
#[cfg(target_os = "linux")]
pub use sandbox::{Job, LocalSandbox};
#[cfg(not(target_os = "linux"))]
pub use unsupported::LocalProvider;
