//! Which parts of the host a session sees.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

pub(crate) use vibekit_sandboxd_wire::LOGS;
use vibekit_sandboxd_wire::{Access, Bind, File};

/// Home directory inside.
pub(crate) const HOME: &str = "/home/user";

/// Whole trees, where the host has them.
const TREES: [&str; 5] = ["/usr", "/opt", "/nix", "/snap", "/gnu"];
/// Links on merged-usr systems, directories on others.
const TOP: [&str; 7] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libexec"];
/// Directories of `/etc` that programs need and that hold no secret.
const ETC_TREES: [&str; 12] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/java",
    "/etc/ld.so.conf.d",
    "/etc/openal",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/etc/static",
    "/etc/terminfo",
];
/// Small files of `/etc`, copied.
const ETC_FILES: [&str; 13] = [
    "/etc/bash.bashrc",
    "/etc/ca-certificates.conf",
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
];
/// Larger ones are shown instead of copied: a copy costs every session its size in memory.
const SMALL: u64 = 16 << 10;

/// The part that is the same for every session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    pub(crate) binds: Vec<Bind>,
    files: Vec<(String, Vec<u8>)>,
    pub(crate) links: Vec<(String, String)>,
}

/// Looked up once: the layout of the host does not change under a running process in a way that matters, and a session
/// is to cost no more system calls than it needs.
pub(crate) fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut base = Base::default();
        for path in TREES {
            if Path::new(path).is_dir() {
                base.binds.push(read_only(Path::new(path)));
            }
        }
        for path in TOP {
            match fs::read_link(path) {
                Ok(target) => {
                    if let Some(target) = target.to_str() {
                        base.links.push((path.to_owned(), target.to_owned()));
                    }
                }
                Err(_) if Path::new(path).is_dir() => base.binds.push(read_only(Path::new(path))),
                Err(_) => {}
            }
        }
        for path in ETC_TREES {
            // The real directory: a bind through a link would show the link's place.
            if let Ok(real) = fs::canonicalize(path)
                && real.is_dir()
            {
                base.binds.push(Bind { target: path.to_owned(), ..read_only(&real) });
            }
        }
        for path in ETC_FILES {
            let Ok(data) = fs::metadata(path) else { continue };
            if data.is_file() && data.len() > SMALL {
                if let Ok(real) = fs::canonicalize(path) {
                    base.binds.push(Bind { target: path.to_owned(), ..read_only(&real) });
                }
            } else if data.is_file()
                && let Ok(content) = fs::read(path)
            {
                base.files.push((path.to_owned(), content));
            }
        }
        base
    })
}

/// A host path, seen read-only at the same place.
pub(crate) fn read_only(path: &Path) -> Bind {
    Bind {
        source: path.as_os_str().as_bytes().to_vec(),
        target: path.to_string_lossy().into_owned(),
        access: Access::Read,
        expect: None,
        optional: true,
        owner: None,
    }
}

/// The files of a session's root.
pub(crate) struct Files {
    pub(crate) list: Vec<File>,
    /// What is in them, one after the other.
    pub(crate) contents: OwnedFd,
}

/// The copied files and those that tell the session who and where it is, with or without name resolution. Put together
/// once: they are the same for all sessions.
pub(crate) fn files(hostname: &str, dns: bool) -> Result<&'static Files, Errno> {
    static WITH: OnceLock<Files> = OnceLock::new();
    static WITHOUT: OnceLock<Files> = OnceLock::new();
    let known = if dns { &WITH } else { &WITHOUT };
    if let Some(files) = known.get() {
        return Ok(files);
    }
    let mut list = Vec::new();
    let contents = memfd_create(c"files", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    for (path, content) in base().files.iter().cloned().chain(identity_files(hostname, dns)) {
        let mut rest = content.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&contents, rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        list.push(File { path, length: content.len() as u64 });
    }
    // All sessions are given the same one.
    fcntl_add_seals(&contents, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(known.get_or_init(|| Files { list, contents }))
}

/// What one session may take of the host user's inotify budget, instances and watches: sessions count for the user who
/// started them as well.
pub(crate) fn inotify() -> [u64; 2] {
    static QUOTA: OnceLock<[u64; 2]> = OnceLock::new();
    *QUOTA.get_or_init(|| {
        ["instances", "watches"].map(|what| {
            let host = fs::read_to_string(format!("/proc/sys/fs/inotify/max_user_{what}"));
            let host: u64 = host.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(128);
            (host / 4).max(8)
        })
    })
}

fn identity_files(hostname: &str, dns: bool) -> Vec<(String, Vec<u8>)> {
    let file = |path: &str, content: String| (path.to_owned(), content.into_bytes());
    vec![
        file(
            "/etc/passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\nuser:x:1000:1000:user:{HOME}:/bin/sh\n\
                 nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
            ),
        ),
        file("/etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n".into()),
        file(
            "/etc/hosts",
            format!("127.0.0.1 localhost {hostname}\n::1 localhost ip6-localhost ip6-loopback\n"),
        ),
        file("/etc/hostname", format!("{hostname}\n")),
        file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".into()),
        file("/etc/host.conf", "multi on\n".into()),
        file(
            "/etc/resolv.conf",
            if dns { "nameserver 127.0.0.1\noptions edns0\n".into() } else { String::new() },
        ),
        file("/etc/shells", "/bin/sh\n/bin/bash\n".into()),
        file("/etc/gitconfig", "[safe]\n\tdirectory = *\n".into()),
    ]
}

/// Directories the session's own places must not hide: everything above is built into them.
const RESERVED: [&str; 14] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/dev", "/proc", "/sys", "/nix",
    "/var/log", "/run",
];

/// Checks the working directory inside: absolute, plain, and not in the way of the system's directories.
pub(crate) fn check_working_directory(path: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    if !path.starts_with('/') {
        return Err("is not absolute");
    }
    if path == "/" || parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
        return Err("is not a plain path below /");
    }
    if path.contains(['\0', '\n']) || path.len() > 1024 {
        return Err("holds a character no directory name should have, or is too long");
    }
    let within = |top: &str| path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
    if RESERVED.iter().any(|top| within(top)) {
        return Err("lies in a directory of the system");
    }
    if [HOME, "/home", "/tmp", "/var", "/opt"].contains(&path) {
        return Err("is a directory of the sandbox itself");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_directories() {
        for good in ["/vibe0", "/workspace", "/home/user/project", "/tmp/x", "/srv/a b", "/usrlocal"] {
            assert_eq!(check_working_directory(good), Ok(()), "{good}");
        }
        for bad in
            ["", "vibe0", "/", "/usr/src", "/a/../b", "/a//b", "/a/", "/proc/1", "/home/user", "/etc", "/a\0"]
        {
            assert!(check_working_directory(bad).is_err(), "{bad:?}");
        }
    }
}
