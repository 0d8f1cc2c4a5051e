//! Measures the finished sandbox from inside.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use vibekit_sandboxd_wire::{Attestation, Config, NAMESPACES, Step, VERSION};

use crate::failure::{At, Result};
use crate::sys;

/// Consumes the descriptor of the old root: nothing of the host stays open.
pub(crate) fn measure(config: &Config, landlock: u32, old_root: OwnedFd) -> Result<Attestation> {
    let status = fs::read_to_string("/proc/self/status").at(Step::Attest, || "/proc/self/status".into())?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim()
    };
    let ids = |name: &str| -> Vec<u32> {
        field(name).split_whitespace().take(3).filter_map(|id| id.parse().ok()).collect()
    };
    let capability = |name: &str| u64::from_str_radix(field(name), 16).unwrap_or(u64::MAX);
    let map = |name: &str| -> Result<String> {
        let text = fs::read_to_string(name).at(Step::Attest, || name.to_owned())?;
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let mut namespaces = [0; NAMESPACES.len()];
    for (inode, name) in namespaces.iter_mut().zip(NAMESPACES) {
        *inode =
            rustix::fs::stat(format!("/proc/self/ns/{name}")).at(Step::Attest, || name.to_owned())?.st_ino;
    }
    let root = rustix::fs::statfs(c"/").at(Step::Attest, || "/".into())?;
    let flags = rustix::fs::statvfs(c"/").at(Step::Attest, || "/".into())?.f_flag;
    let opened = rustix::fs::openat(&old_root, c".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    drop(old_root);
    let interfaces = fs::read_to_string("/proc/net/dev").at(Step::Attest, || "/proc/net/dev".into())?;
    Ok(Attestation {
        version: VERSION,
        pid: rustix::process::getpid().as_raw_nonzero().get().unsigned_abs(),
        ids: [ids("Uid"), ids("Gid")].concat().try_into().unwrap_or([u32::MAX; 6]),
        uid_map: map("/proc/self/uid_map")?,
        gid_map: map("/proc/self/gid_map")?,
        groups: u32::try_from(field("Groups").split_whitespace().count()).unwrap_or(u32::MAX),
        no_new_privs: field("NoNewPrivs") == "1",
        seccomp: field("Seccomp").parse().unwrap_or(0),
        capabilities: ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(capability),
        namespaces,
        root_fs: root.f_type,
        root_read_only: flags.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        forbidden_call: sys::forbidden_call(),
        landlock,
        landlock_denied: opened.map_or_else(|error| error.raw_os_error(), |_| 0),
        canaries_seen: config
            .canaries
            .iter()
            .filter(|path| fs::symlink_metadata(path).is_ok())
            .cloned()
            .collect(),
        dumpable: rustix::process::dumpable_behavior() != Ok(rustix::process::DumpableBehavior::NotDumpable),
        interfaces: interfaces
            .lines()
            .filter_map(|line| line.split_once(':').map(|(name, _)| name.trim().to_owned()))
            .collect(),
    })
}
