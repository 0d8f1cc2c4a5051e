//! Reaching files that are not the sandbox's.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use crate::report::{isolated, say};
use crate::sys::{self, Attempt, Errno, sys};

/// `read ROW PATH …`: reads each file by every route there is; the detail is the route and what the file begins with.
pub(crate) fn read(arguments: &[OsString]) {
    let (row, paths) = row_of(arguments);
    for path in paths {
        isolated(row, &format!("read {}", path.display()), || {
            let mut failure = Errno(libc::ENOENT);
            for (position, (route, path)) in routes(path).into_iter().enumerate() {
                match content(&path) {
                    Ok(bytes) => return Ok(format!("{route}: {}", String::from_utf8_lossy(&bytes))),
                    Err(errno) if position == 0 => failure = errno,
                    Err(_) => {}
                }
            }
            by_handle(path)
                .map(|bytes| format!("handle: {}", String::from_utf8_lossy(&bytes)))
                .map_err(|_| failure)
        });
    }
}

/// `list ROW DIRECTORY …`: the detail is the names, one per line.
pub(crate) fn list(arguments: &[OsString]) {
    let (row, paths) = row_of(arguments);
    for path in paths {
        isolated(row, &format!("list {}", path.display()), || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(path)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names.join("\n"))
        });
    }
}

/// `write ROW PATH …`: makes or changes something at each path, in every way there is.
pub(crate) fn write(arguments: &[OsString]) {
    let (row, paths) = row_of(arguments);
    for path in paths {
        for (route, path) in routes(path) {
            let at = sys::cstring(&path);
            let at = at.as_c_str();
            let name = |way: &str| format!("{way} {} by {route}", path.display());
            isolated(row, &name("create"), || {
                let fd = sys::open(&path, libc::O_WRONLY | libc::O_CREAT, 0o644)?;
                sys::write(fd, b"overwritten from inside\n")
            });
            isolated(row, &name("truncate"), || sys!(libc::SYS_truncate, at, 0));
            isolated(row, &name("chmod"), || sys!(libc::SYS_fchmodat, libc::AT_FDCWD, at, 0o777));
            isolated(row, &name("rename over"), || {
                let own = format!("vk-rename-{}", std::process::id());
                std::fs::write(&own, "renamed from inside\n")?;
                let source = sys::cstring(&own);
                let result =
                    sys!(libc::SYS_renameat2, libc::AT_FDCWD, source.as_c_str(), libc::AT_FDCWD, at, 0);
                let _ = std::fs::remove_file(&own);
                result
            });
            isolated(row, &name("unlink"), || sys!(libc::SYS_unlinkat, libc::AT_FDCWD, at, 0));
            isolated(row, &name("mkdir"), || {
                sys!(libc::SYS_mkdirat, libc::AT_FDCWD, at, 0o755)?;
                sys!(libc::SYS_unlinkat, libc::AT_FDCWD, at, libc::AT_REMOVEDIR)
            });
            isolated(row, &name("symlink"), || sys!(libc::SYS_symlinkat, c"/", libc::AT_FDCWD, at));
        }
    }
}

/// `hardlink ROW TARGET LINK`: links a file into a directory of ours and writes to it there.
pub(crate) fn hardlink(arguments: &[OsString]) {
    let (row, paths) = row_of(arguments);
    let [target, link] = paths else { return };
    let (old, new) = (sys::cstring(target), sys::cstring(link));
    let result = sys!(
        libc::SYS_linkat,
        libc::AT_FDCWD,
        old.as_c_str(),
        libc::AT_FDCWD,
        new.as_c_str(),
        libc::AT_SYMLINK_FOLLOW
    );
    crate::report::tell(row, &format!("link {}", target.display()), result);
    isolated(row, "link by descriptor", || {
        let fd = sys::open(target, libc::O_PATH, 0)?;
        let source = sys::cstring(format!("/proc/self/fd/{fd}"));
        let second = sys::cstring(format!("{}-by-fd", link.display()));
        sys!(
            libc::SYS_linkat,
            libc::AT_FDCWD,
            source.as_c_str(),
            libc::AT_FDCWD,
            second.as_c_str(),
            libc::AT_SYMLINK_FOLLOW
        )
    });
    isolated(row, "write through the link", || {
        let fd = sys::open(link, libc::O_WRONLY, 0)?;
        sys::write(fd, b"overwritten through a link\n")
    });
}

/// `modes DIRECTORY`: set-uid and set-gid bits on files of our own, by every call that takes a mode.
pub(crate) fn modes(arguments: &[OsString]) {
    let Some(directory) = arguments.first() else { return };
    for mode in [0o4755_u32, 0o2755, 0o6777] {
        for (way, make) in WAYS {
            let path = std::path::Path::new(directory).join(format!("{way}-{mode:o}"));
            isolated(23, &format!("{way} {mode:o}"), || {
                // SAFETY: only sets the mask of this process.
                unsafe { libc::umask(0) };
                let at = sys::cstring(&path);
                make(&at, mode)?;
                let bits = std::fs::symlink_metadata(&path)?.mode() & 0o6000;
                // A mode call that drops the bits has done nothing worth having.
                if bits == 0 { Err(Errno(libc::EPERM)) } else { Ok(format!("{bits:o}")) }
            });
        }
    }
}

type Make = fn(&std::ffi::CStr, u32) -> Attempt;

/// `fchmodat2`, absent from older headers; the number is the same everywhere.
const SYS_FCHMODAT2: i64 = 452;

const WAYS: &[(&str, Make)] = &[
    ("fchmodat", |at, mode| {
        touch(at)?;
        sys!(libc::SYS_fchmodat, libc::AT_FDCWD, at, mode)
    }),
    ("fchmod", |at, mode| {
        let fd = touch(at)?;
        sys!(libc::SYS_fchmod, fd, mode)
    }),
    ("fchmodat2", |at, mode| {
        touch(at)?;
        sys!(SYS_FCHMODAT2, libc::AT_FDCWD, at, mode, 0)
    }),
    ("fchmodat2 by descriptor", |at, mode| {
        let fd = touch(at)?;
        sys!(SYS_FCHMODAT2, fd, c"", mode, libc::AT_EMPTY_PATH)
    }),
    ("high bits", |at, mode| {
        touch(at)?;
        sys!(libc::SYS_fchmodat, libc::AT_FDCWD, at, u64::from(mode) | (1 << 32))
    }),
    ("open", |at, mode| sys!(libc::SYS_openat, libc::AT_FDCWD, at, libc::O_CREAT | libc::O_WRONLY, mode)),
    ("openat2", |at, mode| {
        let how = [(libc::O_CREAT | libc::O_WRONLY) as u64, u64::from(mode), 0];
        sys!(libc::SYS_openat2, libc::AT_FDCWD, at, how.as_ptr(), size_of_val(&how))
    }),
    ("temporary", |at, mode| {
        let fd = sys!(libc::SYS_openat, libc::AT_FDCWD, c".", libc::O_TMPFILE | libc::O_RDWR, mode)?;
        let source = sys::cstring(format!("/proc/self/fd/{fd}"));
        sys!(libc::SYS_linkat, libc::AT_FDCWD, source.as_c_str(), libc::AT_FDCWD, at, libc::AT_SYMLINK_FOLLOW)
    }),
    ("mknod", |at, mode| sys!(libc::SYS_mknodat, libc::AT_FDCWD, at, libc::S_IFREG | mode, 0)),
    ("mkdir", |at, mode| {
        sys!(libc::SYS_mkdirat, libc::AT_FDCWD, at, mode)?;
        sys!(libc::SYS_fchmodat, libc::AT_FDCWD, at, mode)
    }),
    #[cfg(target_arch = "x86_64")]
    ("chmod", |at, mode| {
        touch(at)?;
        sys!(libc::SYS_chmod, at, mode)
    }),
    #[cfg(target_arch = "x86_64")]
    ("creat", |at, mode| sys!(libc::SYS_creat, at, mode)),
    #[cfg(target_arch = "x86_64")]
    ("old open", |at, mode| sys!(libc::SYS_open, at, libc::O_CREAT | libc::O_WRONLY, mode)),
    #[cfg(target_arch = "x86_64")]
    ("old mknod", |at, mode| sys!(libc::SYS_mknod, at, libc::S_IFREG | mode, 0)),
];

fn touch(at: &std::ffi::CStr) -> Attempt {
    sys!(libc::SYS_openat, libc::AT_FDCWD, at, libc::O_CREAT | libc::O_RDWR, 0o755)
}

/// The same file, spelt in every way that has fooled a sandbox before.
pub(crate) fn routes(path: &OsStr) -> Vec<(String, OsString)> {
    let mut routes = vec![("name".to_owned(), path.to_owned())];
    if path.as_bytes().first() != Some(&b'/') {
        return routes;
    }
    for prefix in ["/proc/self/root", "/proc/thread-self/root", "/proc/self/cwd/../../../../../.."] {
        routes.push((prefix.to_owned(), joined(prefix, path)));
    }
    // The init and its first commands are the interesting ones.
    for pid in crate::peers::pids().into_iter().take(8) {
        for door in ["root", "cwd/../../../../../.."] {
            let prefix = format!("/proc/{pid}/{door}");
            routes.push((prefix.clone(), joined(&prefix, path)));
        }
    }
    routes
}

fn joined(prefix: &str, path: &OsStr) -> OsString {
    let mut joined = OsString::from(prefix);
    joined.push(path);
    joined
}

fn content(path: &OsStr) -> Attempt<Vec<u8>> {
    let by_name = sys::open(path, libc::O_RDONLY | libc::O_NONBLOCK, 0).and_then(|fd| sys::read(fd, 200));
    by_name.or_else(|errno| {
        let fd = sys::open(path, libc::O_PATH, 0).map_err(|_| errno)?;
        let reopened = sys::open(format!("/proc/self/fd/{fd}"), libc::O_RDONLY, 0).map_err(|_| errno)?;
        sys::read(reopened, 200).map_err(|_| errno)
    })
}

/// Opens by inode number, which knows no directories and so no sandbox made of them.
fn by_handle(path: &OsStr) -> Attempt<Vec<u8>> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        data: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; 128] };
    let mut mount = 0_i32;
    let at = sys::cstring(path);
    sys!(libc::SYS_name_to_handle_at, libc::AT_FDCWD, at.as_c_str(), &raw mut handle, &raw mut mount, 0)?;
    let root = sys::open("/", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let fd = sys!(libc::SYS_open_by_handle_at, root, &raw mut handle, libc::O_RDONLY)? as i32;
    sys::read(fd, 200)
}

fn row_of(arguments: &[OsString]) -> (u16, &[OsString]) {
    match arguments.split_first() {
        Some((row, rest)) => match row.to_str().and_then(|row| row.parse().ok()) {
            Some(row) => (row, rest),
            None => {
                say(0, "arguments", "unprobed", "the row must be a number");
                (0, &[])
            }
        },
        None => (0, &[]),
    }
}
