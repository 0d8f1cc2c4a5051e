//! The session's view of the file system, built on an empty memory file system before any untrusted code exists.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use vibekit_sandboxd_wire::{Access, Bind, Config, Failure, File, Identity, Overlay, Step};

use crate::failure::{At, Result};
use crate::launch::{Handed, owner_namespace};
use crate::sys::{self, attr};

/// Files of `/proc` that tell about the host or could harm it.
const MASKED_FILES: [&str; 6] = ["sysrq-trigger", "kcore", "keys", "kallsyms", "timer_list", "sched_debug"];
const MASKED_DIRECTORIES: [&str; 2] = ["irq", "bus"];
/// What every session has, parents first.
const DIRECTORIES: [&str; 9] = ["run", "var", "var/tmp", "var/log", "mnt", "proc", "dev", "etc", "home"];
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
pub(crate) fn build(config: &Config, handed: Handed) -> Result<OwnedFd> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .at(Step::Root, || "make mounts private".into())?;
    let mut view = View { root: new_root()?, own: BTreeSet::new(), foreign: Vec::new() };
    for directory in DIRECTORIES {
        view.directory(directory, Step::Root, 0o755)?;
    }
    view.files(&config.files, &handed.contents)?;
    for (path, target) in &config.links {
        view.link(path, target)?;
    }
    let mut trees = handed.trees.into_iter();
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
            view.bind(&tree, bind)?;
        }
    }
    if let Some(overlay) = &config.overlay {
        view.overlay(overlay, overlay_trees, &config.working_directory)?;
    }
    view.proc(config.inotify)?;
    view.devices()?;
    sys::mount_setattr(&view.root, false, attr::RDONLY | attr::NOSUID | attr::NODEV, None)
        .at(Step::Root, || "make the root read-only".into())?;
    pivot(&view.root)
}

fn new_root() -> Result<OwnedFd> {
    let fs = memory_fs(c"4m", c"0755", MountAttrFlags::empty()).at(Step::Root, || "tmpfs".into())?;
    move_onto(&fs, CWD, "/").at(Step::Root, || "attach the root".into())?;
    Ok(fs)
}

fn memory_fs(size: &CStr, mode: &CStr, attributes: MountAttrFlags) -> std::result::Result<OwnedFd, Errno> {
    let fs = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(fs.as_fd(), c"size", size)?;
    rustix::mount::fsconfig_set_string(fs.as_fd(), c"mode", mode)?;
    rustix::mount::fsconfig_create(fs.as_fd())?;
    let attributes = attributes | MountAttrFlags::MOUNT_ATTR_NOSUID;
    rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
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
    /// Directories made here. Nobody else can have put anything into them, so paths through them are taken at their
    /// word.
    own: BTreeSet<String>,
    /// Places where something else begins: a link, or a directory of the host or of an earlier life of the session.
    foreign: Vec<String>,
}

/// Where a tree is attached.
enum Place<'p> {
    /// A path from the root through directories of our own.
    Own(&'p str),
    /// What was found at the end of a careful walk.
    Found(OwnedFd),
}

/// Relative to the root, whatever it is given as.
fn relative(path: &str) -> &str {
    path.trim_matches('/')
}

impl View {
    fn is_foreign(&self, path: &str) -> bool {
        self.foreign.iter().any(|top| {
            path.strip_prefix(top.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Makes a directory and its parents.
    fn directory<'p>(&mut self, path: &'p str, step: Step, mode: u32) -> Result<Place<'p>> {
        let path = relative(path);
        if self.is_foreign(path) {
            return self.walk(path, step, mode).map(Place::Found);
        }
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for part in ends.filter_map(|end| path.get(..end)) {
            if part.is_empty() || self.own.contains(part) {
                continue;
            }
            match rustix::fs::mkdirat(&self.root, part, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => drop(self.own.insert(part.to_owned())),
                Err(error) => return Err(error).at(step, || part.to_owned()),
            }
        }
        Ok(Place::Own(path))
    }

    /// As [`View::directory`], component by component and never through a link.
    fn walk(&self, path: &str, step: Step, mode: u32) -> Result<OwnedFd> {
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

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let path = relative(path);
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent, Step::Root, 0o755)?;
        }
        rustix::fs::symlinkat(target, &self.root, path).at(Step::Root, || path.to_owned())?;
        self.foreign.push(path.to_owned());
        Ok(())
    }

    /// Files with their contents, before anything foreign is there.
    fn files(&mut self, files: &[File], contents: &OwnedFd) -> Result<()> {
        let mut from = 0;
        for file in files {
            let path = relative(&file.path);
            let at = || path.to_owned();
            if let Some((parent, _)) = path.rsplit_once('/') {
                self.directory(parent, Step::Root, 0o755)?;
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made =
                rustix::fs::openat(&self.root, path, flags, Mode::from_raw_mode(0o644)).at(Step::Root, at)?;
            let end = from + file.length;
            while from < end {
                let length = usize::try_from(end - from).unwrap_or(usize::MAX);
                match rustix::fs::sendfile(&made, contents, Some(&mut from), length) {
                    Ok(0) => return Err(Errno::IO).at(Step::Root, at),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error).at(Step::Root, at),
                }
            }
        }
        Ok(())
    }

    /// Makes the place a tree is attached to.
    fn place<'p>(&mut self, target: &'p str, directory: bool, mode: u32) -> Result<Place<'p>> {
        let (step, target) = (Step::Bind, relative(target));
        let at = || target.to_owned();
        if directory {
            return self.directory(target, step, mode);
        }
        let (parent, name) = target.rsplit_once('/').unwrap_or(("", target));
        let file = |parent: &OwnedFd, name: &str| {
            rustix::fs::mknodat(parent, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)
        };
        match self.directory(parent, step, mode)? {
            Place::Own(_) => match file(&self.root, target) {
                Ok(()) | Err(Errno::EXIST) => Ok(Place::Own(target)),
                Err(error) => Err(error).at(step, at),
            },
            Place::Found(parent) => {
                // It may be there already, where nothing can be made.
                let _ = file(&parent, name);
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::empty()).at(step, at).map(Place::Found)
            }
        }
    }

    fn attach(&self, tree: &OwnedFd, place: &Place<'_>) -> std::result::Result<(), Errno> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        match place {
            Place::Own(path) => rustix::mount::move_mount(tree, c"", &self.root, *path, flags),
            Place::Found(place) => {
                let flags = flags | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
                rustix::mount::move_mount(tree, c"", place, c"", flags)
            }
        }
    }

    fn bind(&mut self, tree: &OwnedFd, bind: &Bind) -> Result<()> {
        let at = || bind.target.clone();
        let kind = rustix::fs::fstat(tree).at(Step::Bind, at)?.st_mode;
        let directory = FileType::from_raw_mode(kind) == FileType::Directory;
        // The way to a host directory tells nothing about what else is on it.
        let way = if bind.access == Access::Read { 0o111 } else { 0o755 };
        let attached = match self.place(&bind.target, directory, way) {
            Ok(place) => self.attach(tree, &place).at(Step::Bind, at),
            Err(_) if bind.optional => return Ok(()),
            Err(failure) => Err(failure),
        };
        self.foreign.push(relative(&bind.target).to_owned());
        attached
    }

    /// A file system of our own.
    fn mount(&mut self, fs: &OwnedFd, target: &str, step: Step) -> Result<()> {
        let place = self.directory(target, step, 0o755)?;
        self.attach(fs, &place).at(step, || target.to_owned())
    }

    fn overlay(&mut self, overlay: &Overlay, trees: Vec<OwnedFd>, target: &str) -> Result<()> {
        let at = |what: &'static str| move || what.to_owned();
        let mut trees = trees.into_iter();
        let (first, second) = (trees.next(), trees.next());
        let (lower, layer) = if overlay.lower < overlay.layer { (first, second) } else { (second, first) };
        let (Some(lower), Some(layer)) = (lower, layer) else {
            return Err(Failure { step: Step::Overlay, errno: libc::ENOENT, what: "layers".into() });
        };
        self.mount(&lower, ".layers/lower", Step::Overlay)?;
        self.mount(&layer, ".layers/layer", Step::Overlay)?;
        let place = self.walk(relative(target), Step::Overlay, 0o755)?;
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

    fn proc(&mut self, inotify: [u64; 2]) -> Result<()> {
        let make = || {
            let fs = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            rustix::mount::fsconfig_create(fs.as_fd())?;
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        let proc = make().at(Step::Proc, || "mount a fresh /proc".into())?;
        self.mount(&proc, "proc", Step::Proc)?;
        // No user namespaces and few watches below this one, whatever else fails. Not all kernels have the files.
        let [instances, watches] = inotify;
        for (file, value) in [
            ("max_user_namespaces", 0),
            ("max_inotify_instances", instances),
            ("max_inotify_watches", watches),
        ] {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            if let Ok(fd) = rustix::fs::openat(&proc, format!("sys/user/{file}"), flags, Mode::empty()) {
                rustix::io::write(&fd, value.to_string().as_bytes()).at(Step::Limits, || file.to_owned())?;
            }
        }
        self.mask(&proc, &MASKED_FILES, || clone_of(CWD, "/dev/null"))?;
        self.mask(&proc, &MASKED_DIRECTORIES, || {
            let empty = clone_of(&self.root, "mnt")?;
            sys::mount_setattr(&empty, false, attr::RDONLY | attr::NOSUID | attr::NODEV, None)?;
            Ok(empty)
        })?;
        let sys = clone_of(&proc, "sys").at(Step::Proc, || "/proc/sys".into())?;
        sys::mount_setattr(&sys, false, attr::RDONLY | attr::NOSUID | attr::NOEXEC, None)
            .and_then(|()| move_onto(&sys, &proc, "sys"))
            .at(Step::Proc, || "/proc/sys".into())
    }

    /// Covers those of these places that exist.
    fn mask(
        &self,
        proc: &OwnedFd,
        names: &[&str],
        make: impl Fn() -> std::result::Result<OwnedFd, Errno>,
    ) -> Result<()> {
        let mut spare = None;
        for name in names {
            let at = || (*name).to_owned();
            let cover = match spare.take() {
                Some(cover) => cover,
                None => make().at(Step::Proc, at)?,
            };
            match move_onto(&cover, proc, name) {
                Ok(()) => {}
                // Kernels differ in what they have.
                Err(Errno::NOENT) => spare = Some(cover),
                Err(error) => return Err(error).at(Step::Proc, at),
            }
        }
        Ok(())
    }

    fn devices(&mut self) -> Result<()> {
        for name in DEVICES {
            let at = || format!("/dev/{name}");
            let node = clone_of(CWD, &at()).at(Step::Devices, at)?;
            sys::mount_setattr(&node, false, attr::NOSUID | attr::NOEXEC, None).at(Step::Devices, at)?;
            let inside = at();
            let place = self.place(&inside, false, 0o755)?;
            self.attach(&node, &place).at(Step::Devices, at)?;
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
        self.mount(&pts, "dev/pts", Step::Devices)?;
        let nodev = MountAttrFlags::MOUNT_ATTR_NODEV;
        let shm = memory_fs(c"64m", c"1777", nodev).at(Step::Devices, || "/dev/shm".into())?;
        self.mount(&shm, "dev/shm", Step::Devices)?;
        for (name, target) in [
            ("dev/ptmx", "pts/ptmx"),
            ("dev/fd", "/proc/self/fd"),
            ("dev/stdin", "/proc/self/fd/0"),
            ("dev/stdout", "/proc/self/fd/1"),
            ("dev/stderr", "/proc/self/fd/2"),
        ] {
            self.link(name, target)?;
        }
        Ok(())
    }
}

/// A copy of the mount that is at a path, or of the part of it below the path.
fn clone_of(directory: impl AsFd, path: &str) -> std::result::Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(directory, path, flags)
}

/// Attaches a tree at a path through places nobody else has a hand in.
fn move_onto(tree: &OwnedFd, directory: impl AsFd, path: &str) -> std::result::Result<(), Errno> {
    rustix::mount::move_mount(tree, c"", directory, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}
