//! Gives every right away. What runs after this, the init included, has exactly the rights of a command.

use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitySet, CapabilitySets};
use vibekit_sandboxd_wire::{Config, Step};

use crate::failure::{At, Result};
use crate::{landlock, seccomp, sys};

/// Limits, capabilities, no_new_privs, Landlock, seccomp. Returns the Landlock version.
pub(crate) fn lock(config: &Config) -> Result<u32> {
    for limit in &config.rlimits {
        sys::set_limit(limit.resource, limit.limit)
            .at(Step::Limits, || format!("rlimit {}", limit.resource))?;
    }
    drop_capabilities()?;
    rustix::thread::set_no_new_privs(true).at(Step::Capabilities, || "no_new_privs".into())?;
    let abi = landlock::enter(config)?;
    // After the id maps: a process that is not dumpable belongs to root in /proc, and the maps could not be written.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .at(Step::Capabilities, || "dumpable".into())?;
    seccomp::install().at(Step::Seccomp, || "load the filter".into())?;
    Ok(abi)
}

fn drop_capabilities() -> Result<()> {
    rustix::thread::clear_ambient_capability_set().at(Step::Capabilities, || "ambient set".into())?;
    for capability in 0..sys::CAPABILITIES {
        match sys::drop_bounding(capability) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error).at(Step::Capabilities, || "bounding set".into()),
        }
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).at(Step::Capabilities, || "capset".into())
}
