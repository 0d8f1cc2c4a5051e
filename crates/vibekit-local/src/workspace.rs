//! What the working directory is: an own one, or a host folder in place, under a layer, or copied.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use vibekit_core::{Code, Error, Result};
use vibekit_sandboxd_wire::{Access, Bind, Overlay};

use crate::identity::Caller;
use crate::plan::own;
use crate::state::Held;
use crate::{LocalOptions, WorkspaceMode, fail};

const FIELD: &str = "environment.local.workspace.path";

/// Refuses folders a sandbox must not get: those that hold the host's secrets or the sandbox's own state.
pub(crate) fn check(options: &LocalOptions, state: &Path, home: Option<&Path>) -> Result<()> {
    let Some(workspace) = &options.workspace else { return Ok(()) };
    let real = fs::canonicalize(&workspace.path).map_err(|error| {
        Error::invalid(
            FIELD,
            format!("cannot be opened: {}", fail::text(fail::errno(&error))),
            "Give an existing folder.",
        )
    })?;
    if !real.is_dir() {
        return Err(Error::invalid(FIELD, "is not a folder", "Give a folder."));
    }
    let state = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let remedy = "Give the folder of one project.";
    if state.starts_with(&real) || real.starts_with(&state) {
        return Err(Error::invalid(FIELD, "holds the sandbox's own state, or lies in it", remedy));
    }
    let home = home.and_then(|home| fs::canonicalize(home).ok());
    if home.is_some_and(|home| home.starts_with(&real)) {
        return Err(Error::invalid(
            FIELD,
            "is the home directory or holds it, and with it credentials",
            remedy,
        ));
    }
    const SYSTEM: [&str; 14] = [
        "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/root", "/run", "/sbin", "/sys",
        "/usr", "/var",
    ];
    if SYSTEM.iter().any(|path| Path::new(path) == real) {
        return Err(Error::invalid(FIELD, "is a directory of the system", remedy));
    }
    Ok(())
}

/// Adds the binds of the working directory.
pub(crate) fn binds(held: &Held, caller: &Caller, binds: &mut Vec<Bind>) -> Result<Option<Overlay>> {
    let meta = &held.meta;
    let target = &meta.working_directory;
    let folder = meta.options.workspace.as_ref().filter(|workspace| workspace.mode != WorkspaceMode::Copy);
    let Some(workspace) = folder else {
        binds.push(own(held, "ws", target, Access::Write));
        return Ok(None);
    };
    let found = fs::metadata(&workspace.path).map_err(|error| {
        Error::new(
            Code::StateCorrupt,
            format!("{}: {}", workspace.path.display(), fail::text(fail::errno(&error))),
        )
        .with_field(FIELD)
        .with_hint("The folder this session works on is missing; put it back.")
    })?;
    // Files keep their owner on disk and belong to the session's user inside.
    let owner = caller.privileged.then(|| (found.uid(), found.gid()));
    let overlay = workspace.mode == WorkspaceMode::Overlay;
    binds.push(Bind {
        source: workspace.path.as_os_str().as_bytes().to_vec(),
        target: target.clone(),
        access: if overlay { Access::Read } else { Access::Write },
        expect: Some((found.dev(), found.ino())),
        optional: false,
        owner,
    });
    if !overlay {
        return Ok(None);
    }
    let lower = u32::try_from(binds.len() - 1).unwrap_or(u32::MAX);
    binds.push(own(held, "layer", target, Access::Write));
    Ok(Some(Overlay { lower, layer: lower + 1 }))
}

/// Copies the folder into a new session; blocks shared where the file system can. Links stay links, sockets and
/// devices stay behind.
pub(crate) fn copy(held: &Held) -> Result<()> {
    let Some(workspace) = &held.meta.options.workspace else { return Ok(()) };
    if workspace.mode != WorkspaceMode::Copy {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let failed = |errno| fail::state(&held.path.join("ws"), "Copying the workspace to", errno);
    let from = rustix::fs::open(&workspace.path, flags, Mode::empty()).map_err(failed)?;
    let to =
        rustix::fs::open(held.path.join("ws"), flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed)?;
    let owner = (Uid::from_raw(held.meta.uid), Gid::from_raw(held.meta.gid));
    let mut pending = vec![(from, to)];
    while let Some((from, to)) = pending.pop() {
        for entry in rustix::fs::Dir::read_from(&from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            copy_entry(&from, &to, name, owner, &mut pending).map_err(failed)?;
        }
    }
    Ok(())
}

fn copy_entry(
    from: &OwnedFd,
    to: &OwnedFd,
    name: &std::ffi::CStr,
    owner: (Uid, Gid),
    pending: &mut Vec<(OwnedFd, OwnedFd)>,
) -> std::result::Result<(), Errno> {
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, mode | Mode::RWXU)?;
            let target = rustix::fs::openat(to, name, read | OFlags::DIRECTORY, Mode::empty())?;
            rustix::fs::fchown(&target, Some(owner.0), Some(owner.1))?;
            pending.push((rustix::fs::openat(from, name, read | OFlags::DIRECTORY, Mode::empty())?, target));
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(&target, to, name)?;
            rustix::fs::chownat(to, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        FileType::RegularFile => {
            let source = rustix::fs::openat(from, name, read, Mode::empty())?;
            let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let target = rustix::fs::openat(to, name, write, mode)?;
            rustix::fs::fchown(&target, Some(owner.0), Some(owner.1))?;
            if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
                let (mut source, mut target) = (fs::File::from(source), fs::File::from(target));
                std::io::copy(&mut source, &mut target).map_err(|error| fail::errno(&error))?;
            }
        }
        _ => {}
    }
    Ok(())
}
