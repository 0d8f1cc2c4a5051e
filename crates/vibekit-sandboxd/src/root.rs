//! The session's view of the file system, built on an empty memory file system before any untrusted code exists.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use vibekit_sandboxd_wire::{Access, Bind, Config, Failure, Identity, Overlay, Step};

use crate::failure::{At, Result};
use crate::launch::{Handed, owner_namespace};
use crate::sys::{self, attr};

/// Files of `/proc` that tell about the host or could harm it.
const MASKED: [&str; 8] =
    ["sysrq-trigger", "irq", "bus", "kcore", "keys", "kallsyms", "timer_list", "sched_debug"];
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Opens all binds with the caller's rights, as trees that belong to no namespace yet.
pub(crate) fn prepare(config: &Config) -> Result<Vec<Option<OwnedFd>>> {
    config.binds.iter().map(|bind| open_bind(bind, &config.identity)).collect()
}

fn open_bind(bind: &Bind, identity: &Identity) -> Result<Option<OwnedFd>> {
    let source = OsStr::from_bytes(&bind.source);
    // Failures name the place inside: host paths stay out of messages that may reach a log.
    let name = || bind.target.clone();
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = match rustix::mount::open_tree(CWD, source, flags) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) if bind.optional => return Ok(None),
        other => other.at(Step::Bind, name)?,
    };
    if let Some(expected) = bind.expect {
        let found = rustix::fs::fstat(&tree).at(Step::Bind, name)?;
        if (found.st_dev, found.st_ino) != expected {
            return Err(Failure { step: Step::Bind, errno: libc::ESTALE, what: name() });
        }
    }
    let set = match bind.access {
        Access::Read => attr::RDONLY | attr::NOSUID | attr::NODEV,
        Access::Write => attr::NOSUID | attr::NODEV,
        Access::Device => attr::NOSUID | attr::NOEXEC,
    };
    sys::mount_setattr(&tree, true, set, None).at(Step::Bind, name)?;
    if let Some(owner) = bind.owner {
        let namespace = owner_namespace(identity, owner).at(Step::Bind, || "owner namespace".into())?;
        sys::mount_setattr(&tree, false, 0, Some(namespace.as_fd()))
            .at(Step::Bind, || format!("{} (owner)", bind.target))?;
    }
    Ok(Some(tree))
}

/// Builds the view and makes it the root. Returns a descriptor of the old root for the attestation.
pub(crate) fn build(config: &Config, handed: &mut Handed) -> Result<OwnedFd> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .at(Step::Root, || "make mounts private".into())?;
    let root = new_root()?;
    let view = View { root };
    for (path, target) in &config.links {
        view.link(path, target)?;
    }
    for directory in ["run", "var", "var/tmp", "var/log", "mnt", "proc", "dev", "etc", "home"] {
        drop(view.directory(directory, Step::Root)?);
    }
    for file in &config.files {
        view.file(&file.path, &file.content)?;
    }
    let mut trees = std::mem::take(&mut handed.trees).into_iter();
    let hidden =
        config.overlay.as_ref().map(|overlay| [overlay.lower, overlay.layer]).unwrap_or([u32::MAX; 2]);
    let mut overlay_trees = Vec::new();
    for (index, bind) in config.binds.iter().enumerate() {
        let tree = match trees.next() {
            Some(tree) => tree,
            None => open_bind(bind, &config.identity)?,
        };
        let Some(tree) = tree else { continue };
        if hidden.iter().any(|hidden| *hidden as usize == index) {
            overlay_trees.push(tree);
        } else {
            view.attach(&tree, bind)?;
        }
    }
    if let Some(overlay) = &config.overlay {
        view.overlay(overlay, overlay_trees, &config.working_directory)?;
    }
    view.proc()?;
    view.devices()?;
    sys::mount_setattr(&view.root, false, attr::RDONLY | attr::NOSUID | attr::NODEV, None)
        .at(Step::Root, || "make the root read-only".into())?;
    pivot(&view.root)
}

fn new_root() -> Result<OwnedFd> {
    let fs = memory_fs("4m", "0755")?;
    let move_flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&fs, c"", CWD, c"/", move_flags).at(Step::Root, || "attach the root".into())?;
    Ok(fs)
}

fn memory_fs(size: &str, mode: &str) -> Result<OwnedFd> {
    let make = || {
        let fs = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(fs.as_fd(), c"size", size)?;
        rustix::mount::fsconfig_set_string(fs.as_fd(), c"mode", mode)?;
        rustix::mount::fsconfig_create(fs.as_fd())?;
        rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NOSUID)
    };
    make().at(Step::Root, || "tmpfs".into())
}

fn pivot(root: &OwnedFd) -> Result<OwnedFd> {
    let old = rustix::fs::open(c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at(Step::Pivot, || "open the old root".into())?;
    rustix::process::fchdir(root).at(Step::Pivot, || "fchdir".into())?;
    sys::pivot_here().at(Step::Pivot, || "pivot_root".into())?;
    // The old root lies on top of the new one now; "." is still the old one's place.
    rustix::mount::unmount(c".", UnmountFlags::DETACH).at(Step::Pivot, || "detach the old root".into())?;
    rustix::process::chdir(c"/").at(Step::Pivot, || "chdir".into())?;
    Ok(old)
}

struct View {
    root: OwnedFd,
}

impl View {
    /// Makes a directory and its parents, component by component and never through a link: parts of the path may lie in
    /// a directory the session wrote earlier.
    fn directory(&self, path: &str, step: Step) -> Result<OwnedFd> {
        self.directory_with(path, step, 0o755)
    }

    fn directory_with(&self, path: &str, step: Step, mode: u32) -> Result<OwnedFd> {
        let at = || path.to_owned();
        let mut here = rustix::io::fcntl_dupfd_cloexec(&self.root, 3).at(step, at)?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            match rustix::fs::mkdirat(&here, part, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS) => {}
                Err(error) => return Err(error).at(step, at),
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
            here = rustix::fs::openat(&here, part, flags, Mode::empty()).at(step, at)?;
        }
        Ok(here)
    }

    fn parent<'p>(&self, path: &'p str, step: Step) -> Result<(OwnedFd, &'p str)> {
        let (parent, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
        Ok((self.directory(parent, step)?, name))
    }

    fn link(&self, path: &str, target: &str) -> Result<()> {
        let (parent, name) = self.parent(path, Step::Root)?;
        rustix::fs::symlinkat(target, &parent, name).at(Step::Root, || path.to_owned())
    }

    fn file(&self, path: &str, content: &[u8]) -> Result<()> {
        let (parent, name) = self.parent(path, Step::Root)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let at = || path.to_owned();
        let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).at(Step::Root, at)?;
        let mut rest = content;
        while !rest.is_empty() {
            let n = rustix::io::write(&file, rest).at(Step::Root, at)?;
            rest = rest.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Opens (making it if need be) the place a tree is attached to.
    fn place(&self, tree: &OwnedFd, target: &str, step: Step, way: u32) -> Result<OwnedFd> {
        let at = || target.to_owned();
        let kind = rustix::fs::fstat(tree).at(step, at)?.st_mode;
        if rustix::fs::FileType::from_raw_mode(kind) == rustix::fs::FileType::Directory {
            return self.directory_with(target, step, way);
        }
        let (parent, name) = target.trim_end_matches('/').rsplit_once('/').unwrap_or(("", target));
        let parent = self.directory_with(parent, step, way)?;
        let made = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::openat(&parent, name, made, Mode::from_raw_mode(0o644)) {
            drop(file);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::empty()).at(step, at)
    }

    fn attach(&self, tree: &OwnedFd, bind: &Bind) -> Result<()> {
        // The way to a host directory tells nothing about what else is on it.
        let way = if bind.access == Access::Read { 0o111 } else { 0o755 };
        match self.place(tree, &bind.target, Step::Bind, way) {
            Ok(place) => attach_at(tree, &place).at(Step::Bind, || bind.target.clone()),
            Err(_) if bind.optional => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    fn overlay(&self, overlay: &Overlay, trees: Vec<OwnedFd>, target: &str) -> Result<()> {
        let at = |what: &'static str| move || what.to_owned();
        let mut trees = trees.into_iter();
        let (first, second) = (trees.next(), trees.next());
        let (lower, layer) = if overlay.lower < overlay.layer { (first, second) } else { (second, first) };
        let (Some(lower), Some(layer)) = (lower, layer) else {
            return Err(Failure { step: Step::Overlay, errno: libc::ENOENT, what: "layers".into() });
        };
        let below = self.directory(".layers/lower", Step::Overlay)?;
        let above = self.directory(".layers/layer", Step::Overlay)?;
        attach_at(&lower, &below).at(Step::Overlay, at("lower"))?;
        attach_at(&layer, &above).at(Step::Overlay, at("layer"))?;
        let place = self.directory(target, Step::Overlay)?;
        rustix::process::fchdir(&self.root).at(Step::Overlay, at("fchdir"))?;
        let options =
            c"lowerdir=.layers/lower,upperdir=.layers/layer/upper,workdir=.layers/layer/work,userxattr";
        let here = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place));
        rustix::mount::mount(
            c"overlay",
            here.as_str(),
            c"overlay",
            MountFlags::NOSUID | MountFlags::NODEV,
            options,
        )
        .at(Step::Overlay, at("mount"))?;
        // The overlay holds its layers itself; nobody inside is to reach them beside it.
        for hidden in [c".layers/lower", c".layers/layer"] {
            rustix::mount::unmount(hidden, UnmountFlags::DETACH).at(Step::Overlay, at("detach layers"))?;
            rustix::fs::unlinkat(&self.root, hidden, AtFlags::REMOVEDIR)
                .at(Step::Overlay, at("remove layers"))?;
        }
        rustix::fs::unlinkat(&self.root, c".layers", AtFlags::REMOVEDIR)
            .at(Step::Overlay, at("remove layers"))
    }

    fn proc(&self) -> Result<()> {
        let make = || {
            let fs = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            rustix::mount::fsconfig_create(fs.as_fd())?;
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        let proc = make().at(Step::Proc, || "mount a fresh /proc".into())?;
        attach_at(&proc, &self.directory("proc", Step::Proc)?).at(Step::Proc, || "/proc".into())?;
        // No user namespaces and few watches below this one, whatever else fails. Not all kernels have the files.
        for (file, value) in [("max_user_namespaces", "0".to_owned()), quota("instances"), quota("watches")] {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            if let Ok(fd) = rustix::fs::openat(&proc, format!("sys/user/{file}"), flags, Mode::empty()) {
                rustix::io::write(&fd, value.as_bytes()).at(Step::Limits, || file.to_owned())?;
            }
        }
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        for name in MASKED {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(place) = rustix::fs::openat(&proc, name, flags, Mode::empty()) else { continue };
            let directory = rustix::fs::fstat(&place).is_ok_and(|stat| {
                rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory
            });
            let mask = if directory {
                let empty = memory_fs("4k", "0555")?;
                sys::mount_setattr(&empty, false, attr::RDONLY | attr::NOSUID | attr::NODEV, None)
                    .at(Step::Proc, || name.to_owned())?;
                empty
            } else {
                rustix::mount::open_tree(CWD, c"/dev/null", clone).at(Step::Proc, || name.to_owned())?
            };
            attach_at(&mask, &place).at(Step::Proc, || name.to_owned())?;
        }
        let sys = rustix::mount::open_tree(&proc, c"sys", clone).at(Step::Proc, || "/proc/sys".into())?;
        sys::mount_setattr(&sys, false, attr::RDONLY | attr::NOSUID | attr::NOEXEC, None)
            .at(Step::Proc, || "/proc/sys".into())?;
        attach_at(&sys, &self.directory("proc/sys", Step::Proc)?).at(Step::Proc, || "/proc/sys".into())
    }

    fn devices(&self) -> Result<()> {
        let dev = memory_fs("64k", "0755")?;
        attach_at(&dev, &self.directory("dev", Step::Devices)?).at(Step::Devices, || "/dev".into())?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        for name in DEVICES {
            let at = || format!("/dev/{name}");
            let tree = rustix::mount::open_tree(CWD, at(), clone).at(Step::Devices, at)?;
            sys::mount_setattr(&tree, false, attr::NOSUID | attr::NOEXEC, None).at(Step::Devices, at)?;
            let place = self.place(&tree, &at(), Step::Devices, 0o755)?;
            attach_at(&tree, &place).at(Step::Devices, at)?;
        }
        let pts = || {
            let fs = rustix::mount::fsopen(c"devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
            rustix::mount::fsconfig_set_string(fs.as_fd(), c"ptmxmode", c"0666")?;
            rustix::mount::fsconfig_set_string(fs.as_fd(), c"mode", c"0620")?;
            rustix::mount::fsconfig_create(fs.as_fd())?;
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        let pts = pts().at(Step::Devices, || "devpts".into())?;
        attach_at(&pts, &self.directory("dev/pts", Step::Devices)?)
            .at(Step::Devices, || "/dev/pts".into())?;
        let shm = memory_fs("64m", "1777")?;
        sys::mount_setattr(&shm, false, attr::NOSUID | attr::NODEV, None)
            .at(Step::Devices, || "/dev/shm".into())?;
        attach_at(&shm, &self.directory("dev/shm", Step::Devices)?)
            .at(Step::Devices, || "/dev/shm".into())?;
        for (name, target) in [
            ("dev/ptmx", "pts/ptmx"),
            ("dev/fd", "/proc/self/fd"),
            ("dev/stdin", "/proc/self/fd/0"),
            ("dev/stdout", "/proc/self/fd/1"),
            ("dev/stderr", "/proc/self/fd/2"),
        ] {
            self.link(name, target)?;
        }
        sys::mount_setattr(&dev, false, attr::RDONLY | attr::NOSUID | attr::NOEXEC, None)
            .at(Step::Devices, || "make /dev read-only".into())
    }
}

/// What one session may take of the host user's inotify budget: sessions count for the user who started them as well.
fn quota(what: &str) -> (&'static str, String) {
    let file = if what == "instances" { "max_inotify_instances" } else { "max_inotify_watches" };
    let host = std::fs::read_to_string(format!("/proc/sys/fs/inotify/max_user_{what}"));
    let host: u64 = host.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(128);
    (file, (host / 4).max(8).to_string())
}

fn attach_at(tree: &OwnedFd, place: &OwnedFd) -> std::result::Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", place, c"", flags)
}
