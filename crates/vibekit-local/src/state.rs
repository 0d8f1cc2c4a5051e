//! Sessions on disk.
//!
//! ```text
//! <state>/format                  "vibekit-state 1"
//! <state>/uids/<uid>              the session that has this host user id (root callers only)
//! <state>/sessions/<id>/          0700
//!     meta.json                   what the session is; replaced atomically
//!     record.json                 what the layers above remember; replaced atomically
//!     owner.lock  init.lock       held by the owning process and by the session's init
//!     ctl.sock                    where a living init is re-attached
//!     ws/ home/ tmp/ logs/        seen inside
//!     layer/                      upper and work directory of an overlay workspace
//! ```

use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use vibekit_core::{Code, Error, Result};

use crate::LocalOptions;
use crate::fail::{self, errno};
use crate::identity::{Caller, SESSION_IDS};

/// Version of everything in the state directory.
const FORMAT: u32 = 1;
const PREFIX: &str = "lcl_";
const ID_LENGTH: usize = 26;
/// A directory that is still being made; nobody resumes it, a sweep removes it.
const HALF_MADE: &str = ".new-";
/// A directory that is being removed.
const DOOMED: &str = ".old-";

/// What a session is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    pub(crate) format: u32,
    pub(crate) id: String,
    pub(crate) created_ms: u64,
    /// Host user and group of the session's processes and files.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Secret for re-attaching, hexadecimal.
    pub(crate) token: String,
    pub(crate) working_directory: String,
    pub(crate) options: LocalOptions,
}

impl Meta {
    pub(crate) fn token(&self) -> Option<[u8; 32]> {
        let bytes: Option<Vec<u8>> = (0..self.token.len() / 2)
            .map(|i| u8::from_str_radix(self.token.get(2 * i..2 * i + 2)?, 16).ok())
            .collect();
        bytes?.try_into().ok()
    }

    pub(crate) fn ephemeral(&self) -> bool {
        self.options.ephemeral == Some(true)
    }
}

/// Refuses everything that is not an id, before any file is touched.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let body = id.strip_prefix(PREFIX).filter(|body| body.len() == ID_LENGTH);
    if body.is_some_and(|body| body.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))) {
        return Ok(());
    }
    Err(Error::invalid(
        "sessionId",
        "is not the id of a local session",
        "Ids are lcl_ and 26 characters of a-z2-7.",
    ))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(fail::internal("getrandom", error)),
        }
    }
    Ok(bytes)
}

fn new_id() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bytes: [u8; ID_LENGTH] = random()?;
    let body = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
    Ok(PREFIX.chars().chain(body).collect())
}

/// The state directory.
#[derive(Clone, Debug)]
pub(crate) struct State {
    root: PathBuf,
}

impl State {
    /// Makes it if need be, and refuses one of another version.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let sessions = root.join("sessions");
        make_directory(&sessions)?;
        make_directory(&root.join("uids"))?;
        let file = root.join("format");
        match fs::read_to_string(&file) {
            Ok(text) if text.trim() == format!("vibekit-state {FORMAT}") => {}
            Ok(text) => {
                let text: String = text.chars().take(80).collect();
                return Err(Error::new(
                    Code::StateVersion,
                    format!("{} was written by another version ({:?})", root.display(), text.trim()),
                )
                .with_hint("Update the package, or set VIBEKIT_HOME to another directory."));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                replace(&file, format!("vibekit-state {FORMAT}\n").as_bytes(), false)?;
            }
            Err(error) => return Err(fail::state(&file, "Reading", errno(&error))),
        }
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// Makes a session's directory. It appears under its name only when it is complete.
    /// `furnish` puts content into it before anybody sees it.
    pub(crate) fn create(
        &self,
        caller: &Caller,
        options: &LocalOptions,
        working_directory: &str,
        furnish: impl FnOnce(&Held) -> Result<()>,
    ) -> Result<Held> {
        let id = new_id()?;
        let half = self.sessions().join(format!("{HALF_MADE}{id}"));
        let made = self.fill(&half, &id, caller, options, working_directory, furnish);
        match made {
            Ok(held) => Ok(held),
            Err(error) => {
                // Whatever stopped us may stop this too; the sweep comes back to it.
                let _ = remove_tree(&half);
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        half: &Path,
        id: &str,
        caller: &Caller,
        options: &LocalOptions,
        working_directory: &str,
        furnish: impl FnOnce(&Held) -> Result<()>,
    ) -> Result<Held> {
        make_directory(half)?;
        let (uid, gid) = if caller.privileged {
            let uid = self.claim_uid(id)?;
            (uid, uid)
        } else {
            (caller.uid, caller.gid)
        };
        for name in ["ws", "home", "tmp", "logs", "layer", "layer/upper", "layer/work"] {
            let path = half.join(name);
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(|error| fail::state(&path, "Making", errno(&error)))?;
            if name == "logs" {
                // They stay ours and are read by the session's user; the directory above keeps others out.
                rustix::fs::chmod(&path, Mode::from_raw_mode(0o755))
                    .map_err(|error| fail::state(&path, "Opening up", error))?;
            }
            if caller.privileged && name != "logs" {
                rustix::fs::chown(&path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                    .map_err(|error| fail::state(&path, "Giving away", error))?;
            }
        }
        let token: [u8; 32] = random()?;
        let meta = Meta {
            format: FORMAT,
            id: id.to_owned(),
            created_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            uid,
            gid,
            token: token.iter().map(|byte| format!("{byte:02x}")).collect(),
            working_directory: working_directory.to_owned(),
            options: options.clone(),
        };
        write_meta(half, &meta)?;
        // The lock is taken before anybody can see the directory.
        let lock = lock(&half.join("owner.lock"))?.ok_or_else(|| in_use(id))?;
        let mut held = Held::new(half.to_owned(), meta, lock)?;
        furnish(&held)?;
        let path = self.sessions().join(id);
        fs::rename(half, &path).map_err(|error| fail::state(&path, "Making", errno(&error)))?;
        held.path = path;
        Ok(held)
    }

    fn claim_uid(&self, id: &str) -> Result<u32> {
        let span = SESSION_IDS.end - SESSION_IDS.start;
        loop {
            let uid = SESSION_IDS.start + u32::from_ne_bytes(random()?) % span;
            let path = self.root.join("uids").join(uid.to_string());
            match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    file.write_all(id.as_bytes())
                        .map_err(|error| fail::state(&path, "Writing", errno(&error)))?;
                    return Ok(uid);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail::state(&path, "Making", errno(&error))),
            }
        }
    }

    /// Takes possession of an existing session.
    pub(crate) fn hold(&self, id: &str) -> Result<Held> {
        check_id(id)?;
        let path = self.sessions().join(id);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(not_found(id)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(not_found(id)),
            Err(error) => return Err(fail::state(&path, "Opening", errno(&error))),
        }
        let lock = lock(&path.join("owner.lock"))?.ok_or_else(|| in_use(id))?;
        let meta = read_meta(&path, id)?;
        Held::new(path, meta, lock)
    }

    /// Removes a session for good. The directory disappears at once, its contents as fast as the disk allows.
    pub(crate) fn destroy(&self, held: &Held) -> Result<()> {
        let doomed = self.sessions().join(format!("{DOOMED}{}", held.meta.id));
        let uid = held.meta.uid;
        match fs::rename(&held.path, &doomed) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fail::state(&held.path, "Removing", errno(&error))),
        }
        remove_tree(&doomed).map_err(|error| fail::state(&doomed, "Removing", error))?;
        self.free_uid(uid);
        Ok(())
    }

    fn free_uid(&self, uid: u32) {
        if SESSION_IDS.contains(&uid) {
            // A number that stays taken costs nothing but itself.
            let _ = fs::remove_file(self.root.join("uids").join(uid.to_string()));
        }
    }

    /// Removes what crashed processes left behind: half-made and half-removed directories, and ephemeral sessions
    /// nobody owns. Returns how many. Sessions whose state cannot be read stay: nothing is lost by looking.
    pub(crate) fn sweep(&self) -> Result<usize> {
        let directory = self.sessions();
        let entries =
            fs::read_dir(&directory).map_err(|error| fail::state(&directory, "Listing", errno(&error)))?;
        let mut removed = 0;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = entry.path();
            let leftover = [HALF_MADE, DOOMED]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
                .is_some_and(|id| check_id(id).is_ok());
            if leftover {
                // Whoever is still making it holds its lock; before that the directory is younger than a minute.
                let young = entry
                    .metadata()
                    .ok()
                    .and_then(|data| data.modified().ok()?.elapsed().ok())
                    .is_none_or(|age| age.as_secs() < 60);
                let removing = name.starts_with(DOOMED);
                let free = lock_existing(&path.join("owner.lock"));
                let abandoned = match free {
                    Ok(Some(_)) => true,
                    Ok(None) => false,
                    Err(_) => !young || removing,
                };
                if abandoned {
                    let uid = read_meta(&path, name.get(5..).unwrap_or_default()).ok().map(|meta| meta.uid);
                    if remove_tree(&path).is_ok() {
                        removed += 1;
                        uid.into_iter().for_each(|uid| self.free_uid(uid));
                    }
                }
            } else if check_id(name).is_ok()
                // Looked at before it is taken: a session that stays must not seem in use meanwhile.
                && read_meta(&path, name).is_ok_and(|meta| meta.ephemeral())
                && let Ok(held) = self.hold(name)
                && held.init_lock().is_ok_and(|lock| lock.is_some())
            {
                self.destroy(&held)?;
                removed += 1;
            }
        }
        self.sweep_uids();
        Ok(removed)
    }

    fn sweep_uids(&self) {
        let Ok(entries) = fs::read_dir(self.root.join("uids")) else { return };
        for entry in entries.flatten() {
            let Ok(id) = fs::read_to_string(entry.path()) else { continue };
            let used = check_id(&id).is_ok()
                && ["", HALF_MADE, DOOMED]
                    .iter()
                    .any(|prefix| self.sessions().join(format!("{prefix}{id}")).exists());
            let young = entry
                .metadata()
                .ok()
                .and_then(|data| data.modified().ok()?.elapsed().ok())
                .is_none_or(|age| age.as_secs() < 60);
            if !used && !young {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A session's directory, owned by this process until it is dropped (or the process ends, in whatever way).
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    pub(crate) meta: Meta,
    directory: OwnedFd,
    _lock: OwnedFd,
}

impl Held {
    fn new(path: PathBuf, meta: Meta, lock: OwnedFd) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|error| fail::state(&path, "Opening", error))?;
        Ok(Self { path, meta, directory, _lock: lock })
    }

    /// A short path to something in the directory: socket addresses hold no more than 107 bytes.
    pub(crate) fn short(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", std::os::fd::AsRawFd::as_raw_fd(&self.directory)))
    }

    /// The lock a living init holds; `None` when one does.
    pub(crate) fn init_lock(&self) -> Result<Option<OwnedFd>> {
        lock(&self.path.join("init.lock"))
    }

    pub(crate) fn record(&self) -> Result<Option<String>> {
        let path = self.path.join("record.json");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(corrupt(&path, "is not UTF-8"))
            }
            Err(error) => Err(fail::state(&path, "Reading", errno(&error))),
        }
    }

    pub(crate) fn remember(&self, record: &str) -> Result<()> {
        replace(&self.path.join("record.json"), record.as_bytes(), true)
    }

    /// True when the last init left because it had nothing to do.
    pub(crate) fn parked(&self) -> bool {
        self.path.join("parked").exists()
    }

    /// Notes that nothing is lost when there is no init, or that something may be.
    pub(crate) fn set_parked(&self, parked: bool) {
        let path = self.path.join("parked");
        // Worst case the next owner is told that processes were lost when there were none.
        let _ = if parked { fs::write(path, "") } else { fs::remove_file(path) };
    }

    /// A new, empty log of a background command.
    pub(crate) fn log(&self, id: u32) -> Result<OwnedFd> {
        let path = self.path.join("logs").join(format!("{id}.log"));
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::TRUNC
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600))
            .map_err(|error| fail::state(&path, "Making", error))?;
        // Readable inside, where the directory is visible read-only, whatever the caller's umask is.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))
            .map_err(|error| fail::state(&path, "Making", error))?;
        Ok(file)
    }

    /// The first command number that has no log of an earlier init.
    pub(crate) fn first_command(&self) -> u32 {
        let Ok(entries) = fs::read_dir(self.path.join("logs")) else { return 1 };
        let last = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".log")?.parse::<u32>().ok())
            .max();
        last.map_or(1, |last| last.saturating_add(1))
    }
}

fn not_found(id: &str) -> Error {
    Error::new(Code::SessionNotFound, format!("There is no local session {id}")).with("sessionId", id)
}

fn in_use(id: &str) -> Error {
    Error::new(Code::SessionInUse, format!("Session {id} is owned by another process"))
        .with_hint("Dispose it there, or wait until that process has ended.")
        .with("sessionId", id)
        .retryable()
}

fn corrupt(path: &Path, problem: &str) -> Error {
    Error::new(Code::StateCorrupt, format!("{} {problem}", path.display()))
        .with_hint("The session's files are in the same directory; copy what you need and remove it.")
}

fn read_meta(directory: &Path, id: &str) -> Result<Meta> {
    let path = directory.join("meta.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(corrupt(&path, "is missing"));
        }
        Err(error) => return Err(fail::state(&path, "Reading", errno(&error))),
    };
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|_| corrupt(&path, "is not valid JSON"))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => {
            return Err(Error::new(
                Code::StateVersion,
                format!("{} has format {format}, this version writes {FORMAT}", path.display()),
            )
            .with_hint("Resume it with the version that made it."));
        }
        None => return Err(corrupt(&path, "names no format")),
    }
    let meta: Meta = serde_json::from_value(value).map_err(|_| corrupt(&path, "lacks a field"))?;
    if meta.id != id || meta.token().is_none() {
        return Err(corrupt(&path, "belongs to another session"));
    }
    Ok(meta)
}

fn write_meta(directory: &Path, meta: &Meta) -> Result<()> {
    let text = serde_json::to_vec(meta).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    replace(&directory.join("meta.json"), &text, false)
}

/// Replaces a file so that a reader sees the old content or the new one. `durable` survives a power cut too.
fn replace(path: &Path, content: &[u8], durable: bool) -> Result<()> {
    // A name of its own: others, in this process and elsewhere, may be writing the same file.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{write}.tmp", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        if durable {
            file.sync_data()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        fail::state(path, "Writing", errno(&error))
    })
}

fn make_directory(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| fail::state(path, "Making", errno(&error)))
}

/// Takes a lock file; `None` when somebody else has it. The kernel gives it back when the last holder is gone.
fn lock(path: &Path) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    try_lock(path, flags).map_err(|error| fail::state(path, "Locking", error))
}

fn lock_existing(path: &Path) -> std::result::Result<Option<OwnedFd>, Errno> {
    try_lock(path, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

fn try_lock(path: &Path, flags: OFlags) -> std::result::Result<Option<OwnedFd>, Errno> {
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a directory and all it holds, by descriptor and never through a link: its content is hostile.
pub(crate) fn remove_tree(path: &Path) -> std::result::Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(directory) => empty(directory)?,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    }
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Empties a directory without recursion: paths inside may be deeper than any stack.
pub(crate) fn empty(directory: OwnedFd) -> std::result::Result<(), Errno> {
    // Each level keeps its parent open, but no more than this many: deeper trees are moved up first.
    const DEPTH: usize = 200;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut moved = 0_u64;
    let top = rustix::io::fcntl_dupfd_cloexec(&directory, 3)?;
    let mut stack: Vec<(OwnedFd, std::ffi::CString)> = vec![(directory, c".".to_owned())];
    while let Some((here, _)) = stack.last() {
        let mut below = None;
        for entry in rustix::fs::Dir::read_from(here)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            match rustix::fs::unlinkat(here, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR | Errno::PERM) => match rustix::fs::unlinkat(here, name, AtFlags::REMOVEDIR)
                {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::NOTEMPTY | Errno::EXIST) => {
                        if stack.len() > DEPTH {
                            moved += 1;
                            rustix::fs::renameat(here, name, &top, format!(".moved-{moved}"))?;
                        } else {
                            below = Some(name.to_owned());
                            break;
                        }
                    }
                    Err(Errno::ACCESS) => {
                        below = Some(name.to_owned());
                        break;
                    }
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        match below {
            Some(name) => {
                let next = match rustix::fs::openat(here, &name, flags, Mode::empty()) {
                    // Directories without permissions, as an overlay's work directory has them.
                    Err(Errno::ACCESS) => {
                        make_accessible(here, &name)?;
                        rustix::fs::openat(here, &name, flags, Mode::empty())?
                    }
                    other => other?,
                };
                let stat = rustix::fs::fstat(&next)?;
                if stat.st_mode & 0o700 != 0o700 {
                    rustix::fs::fchmod(&next, Mode::from_raw_mode(0o700))?;
                }
                stack.push((next, name));
            }
            None => {
                let Some((_, name)) = stack.pop() else { break };
                if let Some((parent, _)) = stack.last() {
                    match rustix::fs::unlinkat(parent, &name, AtFlags::REMOVEDIR) {
                        // Something was moved or made meanwhile: look again.
                        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
    Ok(())
}

/// Changes the mode of a directory that cannot be opened, without following a link that took its place.
fn make_accessible(parent: &OwnedFd, name: &std::ffi::CStr) -> std::result::Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd.as_fd()));
    rustix::fs::chmod(path, Mode::from_raw_mode(0o700))
}
