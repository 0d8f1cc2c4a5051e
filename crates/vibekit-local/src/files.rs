//! Files of a session without a command.
//!
//! The directories are those the session sees, passed out by its init, so every workspace mode works the same. What is
//! in them is hostile: paths are resolved by the kernel below the directory and nowhere else, and on behalf of a root
//! caller everything happens with the session's own user, who may do nothing the session could not do itself.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use vibekit_sandbox::{Code, Entry, Error, Files, Result};

use crate::fail;
use crate::launch::Live;
use crate::sandbox::{LocalSandbox, blocking};
use crate::state;
use crate::view::{HOME, LOGS};

/// Larger files are not read into memory at once.
const LARGEST: u64 = 256 << 20;

/// A path inside, split into the directory it lies in and the rest.
struct Place {
    live: Arc<Live>,
    index: usize,
    /// Relative, without `.`, `..` and empty parts; empty for the directory itself.
    rest: String,
    /// As the caller gave it, for errors.
    path: String,
    /// Host user to act as.
    user: Option<(u32, u32)>,
}

impl Place {
    fn directory(&self) -> &OwnedFd {
        &self.live.places[self.index]
    }

    fn error(&self, errno: Errno) -> Error {
        let what = match errno {
            Errno::XDEV | Errno::LOOP => "leads out of the sandbox's directories through a link".to_owned(),
            Errno::NOENT => "does not exist".to_owned(),
            errno => fail::text(errno),
        };
        let code = match errno {
            Errno::NOSPC | Errno::DQUOT => Code::DiskFull,
            _ => Code::FileError,
        };
        Error::new(code, format!("{}: {what}", self.path))
            .with("path", self.path.clone())
            .with("errno", errno.raw_os_error())
    }

    fn open(&self, rest: &str, flags: OFlags, links: bool) -> std::result::Result<OwnedFd, Errno> {
        let resolve = if links { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
        let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
        let rest = if rest.is_empty() { "." } else { rest };
        loop {
            match rustix::fs::openat2(
                self.directory(),
                rest,
                flags | OFlags::CLOEXEC | OFlags::NOCTTY,
                mode,
                resolve,
            ) {
                // The kernel could not rule out a race with a rename.
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
    }

    fn split(&self) -> std::result::Result<(&str, &str), Errno> {
        if self.rest.is_empty() {
            return Err(Errno::ISDIR);
        }
        Ok(self.rest.rsplit_once('/').unwrap_or(("", &self.rest)))
    }

    /// The directory a new entry goes into; made if need be, never through a link.
    fn parent(&self, make: bool) -> std::result::Result<(OwnedFd, &str), Errno> {
        let (parent, name) = self.split()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.open(parent, flags, true) {
            Err(Errno::NOENT) if make => {}
            other => return Ok((other?, name)),
        }
        let mut here = self.open("", flags, false)?;
        for part in parent.split('/') {
            match rustix::fs::mkdirat(&here, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            here =
                rustix::fs::openat(&here, part, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        }
        Ok((here, name))
    }
}

/// Acts as the session's user on this thread until it is dropped.
struct As(Option<()>);

impl As {
    fn user(user: Option<(u32, u32)>) -> Self {
        let Some((uid, gid)) = user else { return Self(None) };
        // SAFETY: plain values; both calls concern the calling thread only, which does nothing else until they are
        // undone. They always succeed for the privileged caller `user` is given for, and fail to no effect otherwise.
        unsafe {
            libc::syscall(libc::SYS_setfsgid, gid);
            libc::syscall(libc::SYS_setfsuid, uid);
        }
        Self(Some(()))
    }
}

impl Drop for As {
    fn drop(&mut self) {
        if self.0.take().is_some() {
            // SAFETY: as above.
            unsafe {
                libc::syscall(libc::SYS_setfsuid, libc::geteuid());
                libc::syscall(libc::SYS_setfsgid, libc::getegid());
            }
        }
    }
}

impl LocalSandbox {
    async fn place(&self, path: &str) -> Result<Place> {
        let session = self.session()?;
        let wrong = |problem: &str| {
            Error::new(Code::FileError, format!("{path:?} {problem}"))
                .with("path", path)
                .with_hint(format!("Give a path below {}, {HOME} or /tmp.", session.meta.working_directory))
        };
        if path.contains('\0') || path.split('/').any(|part| part == "..") {
            return Err(wrong("is not a plain path"));
        }
        let full = match path.strip_prefix("$HOME/").or_else(|| path.strip_prefix("~/")) {
            Some(rest) => format!("{HOME}/{rest}"),
            None if path.starts_with('/') => path.to_owned(),
            None => format!("{}/{path}", session.meta.working_directory),
        };
        let plain: Vec<&str> = full.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let plain = format!("/{}", plain.join("/"));
        // The working directory first: it may lie in one of the others.
        let places = [session.meta.working_directory.as_str(), HOME, "/tmp", LOGS];
        let found = places.iter().enumerate().find_map(|(index, top)| {
            let rest = plain.strip_prefix(top)?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| (index, rest.trim_start_matches('/').to_owned()))
        });
        let (index, rest) = found.ok_or_else(|| wrong("is not in a directory of the session"))?;
        let user = session.privileged().then_some((session.meta.uid, session.meta.gid));
        Ok(Place { live: session.live().await?, index, rest, path: path.to_owned(), user })
    }

    async fn at<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&Place) -> std::result::Result<T, Errno> + Send + 'static,
    ) -> Result<T> {
        let place = self.place(path).await?;
        blocking(move || {
            let _user = As::user(place.user);
            work(&place).map_err(|errno| place.error(errno))
        })
        .await
    }
}

fn io(error: &std::io::Error) -> Errno {
    fail::errno(error)
}

#[async_trait]
impl Files for LocalSandbox {
    async fn read(&self, path: &str) -> Result<Bytes> {
        self.at(path, |place| {
            // Without NONBLOCK a named pipe would wait for a writer.
            let fd = place.open(&place.rest, OFlags::RDONLY | OFlags::NONBLOCK, true)?;
            let stat = rustix::fs::fstat(&fd)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {}
                FileType::Directory => return Err(Errno::ISDIR),
                _ => return Err(Errno::INVAL),
            }
            let mut content = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(1 << 20));
            let mut file = File::from(fd).take(LARGEST + 1);
            file.read_to_end(&mut content).map_err(|error| io(&error))?;
            if content.len() as u64 > LARGEST { Err(Errno::FBIG) } else { Ok(content.into()) }
        })
        .await
    }

    async fn write(&self, path: &str, content: Bytes) -> Result<()> {
        self.at(path, move |place| {
            let (parent, name) = place.parent(true)?;
            // Written beside and renamed: a reader sees the old content or the new one, and whatever takes the name
            // meanwhile, a link or a pipe, is replaced and not written through.
            let temporary = format!(".{}.{}", name.chars().take(64).collect::<String>(), std::process::id());
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let _ = rustix::fs::unlinkat(&parent, temporary.as_str(), AtFlags::empty());
            let mode = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => return Err(Errno::ISDIR),
                    FileType::Symlink => return Err(Errno::LOOP),
                    FileType::RegularFile => stat.st_mode & 0o777,
                    _ => 0o644,
                },
                Err(_) => 0o644,
            };
            let fd = rustix::fs::openat(&parent, temporary.as_str(), flags, Mode::from_raw_mode(mode))?;
            let mut file = File::from(fd);
            let written = file
                .write_all(&content)
                .map_err(|error| io(&error))
                .and_then(|()| rustix::fs::renameat(&parent, temporary.as_str(), &parent, name));
            if written.is_err() {
                let _ = rustix::fs::unlinkat(&parent, temporary.as_str(), AtFlags::empty());
            }
            written
        })
        .await
    }

    async fn list(&self, path: &str) -> Result<Vec<Entry>> {
        self.at(path, |place| {
            let fd = place.open(&place.rest, OFlags::RDONLY | OFlags::DIRECTORY, true)?;
            let mut entries = Vec::new();
            for entry in rustix::fs::Dir::read_from(&fd)? {
                let entry = entry?;
                if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                    continue;
                }
                // It may be gone by now.
                let Ok(stat) = rustix::fs::statat(&fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                let (kind, size) = match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => ("file", u64::try_from(stat.st_size).unwrap_or(0)),
                    FileType::Directory => ("directory", 0),
                    FileType::Symlink => ("symlink", 0),
                    _ => ("other", 0),
                };
                entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind, size });
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        })
        .await
    }

    async fn remove(&self, path: &str) -> Result<()> {
        self.at(path, |place| {
            let (parent, name) = match place.parent(false) {
                Err(Errno::NOENT) => return Ok(()),
                other => other?,
            };
            match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(error) => return Err(error),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
                Ok(directory) => state::empty(directory)?,
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(error),
            }
            match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }
}
