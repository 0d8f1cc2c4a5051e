//! Resource limits: control groups where this process may make them, limits per process where those do the same, and
//! a refusal otherwise.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use vibekit_core::{Code, Error, Result};
use vibekit_sandboxd_wire::RLimit;

use crate::cgroups::{hierarchy, name};
use crate::identity::Caller;
use crate::{Limits, fail};

/// Default of `limits.pids`.
const PIDS: u64 = 4096;
const FILES: u64 = 65_536;
/// Length of a CPU accounting period in microseconds.
const PERIOD: u64 = 100_000;

/// A limit as a file of a control group.
#[derive(Debug)]
struct Setting {
    file: &'static str,
    value: String,
    /// Kernels without swap accounting lack some files; the limit holds without them.
    optional: bool,
}

/// One directory to be made in a hierarchy.
#[derive(Debug)]
struct Group {
    path: PathBuf,
    settings: Vec<Setting>,
    /// File that counts kills for want of memory.
    kills: Option<&'static str>,
    /// Of the second version.
    unified: bool,
}

/// The limits of one session and how they are enforced.
#[derive(Debug)]
pub(crate) struct Enforced {
    limits: Limits,
    groups: Vec<Group>,
    memory_grouped: bool,
}

impl Enforced {
    pub(crate) fn new(limits: Limits, caller: &Caller, id: &str) -> Result<Self> {
        let best_effort = limits.best_effort == Some(true);
        let mut groups = Vec::new();
        if let Some(bytes) = limits.memory
            && let Some(place) = hierarchy("memory", caller)
        {
            let setting = |file, value: String, optional| Setting { file, value, optional };
            let (settings, kills) = if place.unified {
                let settings = vec![
                    setting("memory.max", bytes.to_string(), false),
                    setting("memory.swap.max", "0".into(), true),
                    setting("memory.oom.group", "0".into(), true),
                ];
                (settings, "memory.events")
            } else {
                let settings = vec![
                    setting("memory.limit_in_bytes", bytes.to_string(), false),
                    setting("memory.memsw.limit_in_bytes", bytes.to_string(), true),
                ];
                (settings, "memory.oom_control")
            };
            groups.push(Group {
                path: place.path.join(name(id)),
                settings,
                kills: Some(kills),
                unified: place.unified,
            });
        }
        let memory_grouped = !groups.is_empty();
        if let Some(cores) = limits.cpu
            && let Some(place) = hierarchy("cpu", caller)
        {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "at least 0.01 cores; no machine has cores enough to matter"
            )]
            let quota = ((cores * PERIOD as f64) as u64).max(1000);
            let setting = |file, value| Setting { file, value, optional: false };
            let settings = if place.unified {
                vec![setting("cpu.max", format!("{quota} {PERIOD}"))]
            } else {
                vec![
                    setting("cpu.cfs_period_us", PERIOD.to_string()),
                    setting("cpu.cfs_quota_us", quota.to_string()),
                ]
            };
            let path = place.path.join(name(id));
            match groups.iter_mut().find(|group| group.path == path) {
                Some(group) => group.settings.extend(settings),
                None => groups.push(Group { path, settings, kills: None, unified: place.unified }),
            }
        } else if limits.cpu.is_some() && !best_effort {
            return Err(unsupported("cpu"));
        }
        if limits.memory.is_some() && !memory_grouped && !best_effort {
            return Err(unsupported("memory"));
        }
        if limits.disk.is_some() && !best_effort {
            return Err(unsupported("disk"));
        }
        Ok(Self { limits, groups, memory_grouped })
    }

    /// Limits every process inside has.
    pub(crate) fn rlimits(&self) -> Vec<RLimit> {
        let limit = |resource, limit| RLimit { resource, limit };
        let mut all = vec![
            limit(libc::RLIMIT_CORE, 0),
            // Counted for the session's user namespace as a whole.
            limit(libc::RLIMIT_NPROC, self.limits.pids.unwrap_or(PIDS)),
            limit(libc::RLIMIT_NOFILE, FILES),
            limit(libc::RLIMIT_MSGQUEUE, 1 << 20),
            limit(libc::RLIMIT_NICE, 0),
            limit(libc::RLIMIT_RTPRIO, 0),
        ];
        if let (Some(bytes), false) = (self.limits.memory, self.memory_grouped) {
            all.push(limit(libc::RLIMIT_DATA, bytes));
        }
        if let Some(bytes) = self.limits.disk {
            all.push(limit(libc::RLIMIT_FSIZE, bytes));
        }
        all
    }

    /// Makes the groups and opens the files through which a process joins them.
    pub(crate) fn groups(&self) -> Result<Vec<OwnedFd>> {
        self.groups
            .iter()
            .map(|group| {
                let failed = |what: &Path, errno| {
                    Error::new(Code::LimitUnsupported, format!("{}: {}", what.display(), fail::text(errno)))
                        .with("errno", errno.raw_os_error())
                };
                match fs::create_dir(&group.path) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                        return Err(failed(&group.path, fail::errno(&error)));
                    }
                    _ => {}
                }
                for setting in &group.settings {
                    let file = group.path.join(setting.file);
                    match fs::write(&file, &setting.value) {
                        Err(error) if !setting.optional => return Err(failed(&file, fail::errno(&error))),
                        _ => {}
                    }
                }
                let file = group.path.join("cgroup.procs");
                rustix::fs::open(&file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(|errno| failed(&file, errno))
            })
            .collect()
    }

    /// How many processes were killed for want of memory so far.
    pub(crate) fn memory_kills(&self) -> u64 {
        let counts = self.groups.iter().filter_map(|group| {
            let text = fs::read_to_string(group.path.join(group.kills?)).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        });
        counts.sum()
    }

    /// The session's own group of the second version, if its limits need one.
    pub(crate) fn unified(&self) -> Option<&Path> {
        self.groups.iter().find(|group| group.unified).map(|group| group.path.as_path())
    }

    pub(crate) fn remove(&self) {
        for group in &self.groups {
            // Busy while something still runs in it; the next end of the session tries again.
            let _ = fs::remove_dir(&group.path);
        }
    }
}

/// Limits that cannot be enforced on this machine for a session as a whole.
pub(crate) fn unenforced(caller: &Caller) -> Vec<&'static str> {
    let mut list = vec!["disk"];
    list.extend(["memory", "cpu"].into_iter().filter(|controller| hierarchy(controller, caller).is_none()));
    list
}

fn unsupported(limit: &str) -> Error {
    let field = format!("environment.local.limits.{limit}");
    let remedy = "Remove it, or set limits.bestEffort to true to have it approximated.";
    let mut error = Error::invalid(&field, "cannot be enforced on this machine", remedy);
    error.code = Code::LimitUnsupported;
    error
}
