//! Changing a directory that may only be read.
//!
//! `change-prepare DIRECTORY` makes what there is to be changed: for each way a file `NAME` that holds `kept`, and an
//! empty directory `NAME.d`. `change ROW DIRECTORY SCRATCH` then tries every way; SCRATCH is a directory that may be
//! written to.

use std::ffi::{CString, OsString};
use std::path::{Path, PathBuf};

use crate::files::routes;
use crate::report::isolated;
use crate::sys::{self, Attempt, Errno, sys};

/// What one way works on.
struct Place {
    directory: PathBuf,
    /// A file that is there.
    victim: CString,
    /// An empty directory that is there.
    empty: CString,
    /// Nothing is there yet.
    fresh: CString,
    /// The same, in the directory that may be written to.
    outside: CString,
}

type Way = fn(&Place) -> Attempt;

/// `change-prepare DIRECTORY`.
pub(crate) fn prepare(arguments: &[OsString]) {
    let [directory] = arguments else { return };
    let directory = Path::new(directory);
    isolated(0, "prepare", || {
        std::fs::create_dir_all(directory)?;
        for (name, _) in WAYS {
            std::fs::write(directory.join(slug(name)), "kept\n")?;
            std::fs::create_dir(directory.join(slug(name) + ".d"))?;
        }
        Ok(0)
    });
}

/// `change ROW DIRECTORY SCRATCH`.
pub(crate) fn change(arguments: &[OsString]) {
    let [row, directory, scratch] = arguments else { return };
    let Some(row) = row.to_str().and_then(|row| row.parse().ok()) else { return };
    let directory = Path::new(directory);
    for (name, way) in WAYS {
        let slug = slug(name);
        let place = Place {
            directory: directory.to_owned(),
            victim: sys::cstring(directory.join(&slug)),
            empty: sys::cstring(directory.join(format!("{slug}.d"))),
            fresh: sys::cstring(directory.join(format!("{slug}.new"))),
            outside: sys::cstring(Path::new(scratch).join(format!("change-{slug}-{}", std::process::id()))),
        };
        isolated(row, name, || way(&place));
    }
    let victim = directory.join(slug(WAYS[0].0)).into_os_string();
    for (route, path) in routes(&victim) {
        isolated(row, &format!("open by {route}"), || overwrite(&sys::cstring(&path)));
        let mut fresh = path;
        fresh.push(".by-route");
        isolated(row, &format!("create by {route}"), || create(&sys::cstring(&fresh)));
    }
    for pid in crate::peers::pids() {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for descriptor in descriptors
            .flatten()
            .filter(|one| std::fs::read_link(one.path()).is_ok_and(|target| target.starts_with(directory)))
        {
            let name = format!("descriptor of another: {}", descriptor.path().display());
            isolated(row, &name, || overwrite(&sys::cstring(descriptor.path())));
        }
    }
}

fn slug(name: &str) -> String {
    name.replace(' ', "-")
}

fn open(path: &CString, flags: i32) -> Attempt<i32> {
    sys!(libc::SYS_openat, libc::AT_FDCWD, path.as_c_str(), flags | libc::O_CLOEXEC, 0o644)
        .map(|fd| fd as i32)
}

fn overwrite(path: &CString) -> Attempt {
    sys::write(open(path, libc::O_WRONLY)?, b"changed\n")
}

fn create(path: &CString) -> Attempt {
    open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL).map(i64::from)
}

fn reopen(fd: i32) -> Attempt {
    overwrite(&sys::cstring(format!("/proc/self/fd/{fd}")))
}

fn rename(from: &CString, to: &CString, flags: u32) -> Attempt {
    let (from, to) = (from.as_c_str(), to.as_c_str());
    sys!(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, flags)
}

fn link(from: &CString, to: &CString) -> Attempt {
    sys!(libc::SYS_linkat, libc::AT_FDCWD, from.as_c_str(), libc::AT_FDCWD, to.as_c_str(), 0)
}

fn node(place: &Place, kind: u32) -> Attempt {
    sys!(libc::SYS_mknodat, libc::AT_FDCWD, place.fresh.as_c_str(), kind | 0o644, 0)
}

const WAYS: &[(&str, Way)] = &[
    ("open to write", |place| overwrite(&place.victim)),
    ("open to append", |place| sys::write(open(&place.victim, libc::O_WRONLY | libc::O_APPEND)?, b"more\n")),
    ("open to read and write", |place| sys::write(open(&place.victim, libc::O_RDWR)?, b"changed\n")),
    // Opening for reading alone empties a file, if asked to.
    ("empty while opening", |place| open(&place.victim, libc::O_RDONLY | libc::O_TRUNC).map(i64::from)),
    ("truncate", |place| sys!(libc::SYS_truncate, place.victim.as_c_str(), 1)),
    ("create", |place| create(&place.fresh)),
    ("nameless, then linked", |place| {
        let directory = sys::cstring(&place.directory);
        let fd = sys!(
            libc::SYS_openat,
            libc::AT_FDCWD,
            directory.as_c_str(),
            libc::O_TMPFILE | libc::O_RDWR,
            0o644
        )?;
        let source = sys::cstring(format!("/proc/self/fd/{fd}"));
        let (source, target) = (source.as_c_str(), place.fresh.as_c_str());
        sys!(libc::SYS_linkat, libc::AT_FDCWD, source, libc::AT_FDCWD, target, libc::AT_SYMLINK_FOLLOW)
    }),
    ("mkdir", |place| sys!(libc::SYS_mkdirat, libc::AT_FDCWD, place.fresh.as_c_str(), 0o755)),
    ("symlink", |place| sys!(libc::SYS_symlinkat, c"/", libc::AT_FDCWD, place.fresh.as_c_str())),
    ("mknod file", |place| node(place, libc::S_IFREG)),
    ("mknod pipe", |place| node(place, libc::S_IFIFO)),
    ("mknod socket", |place| node(place, libc::S_IFSOCK)),
    ("bind a socket", |place| {
        let socket = sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
        // Its address has room for no more than a short name.
        std::env::set_current_dir(&place.directory)?;
        let mut address: libc::sockaddr_un = sys::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        for (to, from) in address.sun_path.iter_mut().zip(*b"bound") {
            *to = from as libc::c_char;
        }
        sys!(libc::SYS_bind, socket, &raw const address, size_of::<libc::sockaddr_un>())
    }),
    ("link", |place| link(&place.victim, &place.fresh)),
    ("link out and write", |place| {
        link(&place.victim, &place.outside)?;
        overwrite(&place.outside)
    }),
    ("link in", |place| {
        create(&place.outside)?;
        link(&place.outside, &place.fresh)
    }),
    ("rename", |place| rename(&place.victim, &place.fresh, 0)),
    ("rename into a directory", |place| {
        let mut target = place.empty.clone().into_bytes();
        target.extend(b"/moved");
        rename(&place.victim, &CString::new(target).unwrap_or_default(), 0)
    }),
    ("rename over", |place| {
        create(&place.outside)?;
        rename(&place.outside, &place.victim, 0)
    }),
    ("rename out", |place| rename(&place.victim, &place.outside, 0)),
    ("exchange", |place| rename(&place.victim, &place.empty, libc::RENAME_EXCHANGE)),
    ("unlink", |place| sys!(libc::SYS_unlinkat, libc::AT_FDCWD, place.victim.as_c_str(), 0)),
    ("rmdir", |place| sys!(libc::SYS_unlinkat, libc::AT_FDCWD, place.empty.as_c_str(), libc::AT_REMOVEDIR)),
    ("map shared", |place| {
        let fd = open(&place.victim, libc::O_RDWR)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let at = sys!(libc::SYS_mmap, 0, 4096, access, libc::MAP_SHARED, fd, 0)?;
        // SAFETY: the kernel has just mapped a page there, with the file's five bytes at its beginning.
        unsafe { std::ptr::write_volatile(at as *mut u8, b'K') };
        Ok(at)
    }),
    ("reopen a name", |place| reopen(open(&place.victim, libc::O_PATH)?)),
    ("reopen what is read", |place| reopen(open(&place.victim, libc::O_RDONLY)?)),
    ("open from the directory", |place| {
        let fd = open(&sys::cstring(&place.directory), libc::O_RDONLY | libc::O_DIRECTORY)?;
        let name = Path::new(place.victim.to_str().unwrap_or_default()).file_name().unwrap_or_default();
        let name = sys::cstring(name);
        let fd = sys!(libc::SYS_openat, fd, name.as_c_str(), libc::O_WRONLY, 0)?;
        sys::write(fd as i32, b"changed\n")
    }),
    ("in a domain of one's own", |place| {
        // A domain that handles one right and allows it everywhere.
        let handled = [1_u64 << 1];
        let ruleset = sys!(libc::SYS_landlock_create_ruleset, handled.as_ptr(), 8, 0)?;
        let root = sys::open("/", libc::O_PATH, 0)?;
        #[repr(C, packed)]
        struct Beneath(u64, i32);
        let rule = Beneath(1 << 1, root);
        sys!(libc::SYS_landlock_add_rule, ruleset, 1, &raw const rule, 0)?;
        sys!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
        sys!(libc::SYS_landlock_restrict_self, ruleset, 0)?;
        overwrite(&place.victim)
    }),
    ("as a descendant", |place| {
        let child = sys::fork()?;
        if child == 0 {
            let _ = sys!(libc::SYS_setsid);
            let errno = overwrite(&place.victim).err().map_or(0, |Errno(number)| number);
            sys::exit(errno);
        }
        match libc::WEXITSTATUS(sys::wait(child)?) {
            0 => Ok(0),
            errno => Err(Errno(errno)),
        }
    }),
    ("as a new program", |place| {
        let program = std::env::current_exe()?;
        let path = std::ffi::OsStr::new(place.victim.to_str().unwrap_or_default());
        match std::process::Command::new(program).args(["poke".as_ref(), path]).status()?.code() {
            Some(0) => Ok(0),
            errno => Err(Errno(errno.unwrap_or(libc::EIO))),
        }
    }),
];

/// `poke FILE`: overwrites it and ends with the number of the error.
pub(crate) fn poke(arguments: &[OsString]) -> std::process::ExitCode {
    let [path] = arguments else { return std::process::ExitCode::from(64) };
    match overwrite(&sys::cstring(path)) {
        Ok(_) => std::process::ExitCode::SUCCESS,
        Err(Errno(number)) => std::process::ExitCode::from(u8::try_from(number).unwrap_or(255)),
    }
}
