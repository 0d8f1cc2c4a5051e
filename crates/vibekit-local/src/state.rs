//! Sessions on disk.
//!
//! ```text
//! <state>/format                  "vibekit-state 1"; owning processes lock one byte of it per session
//! <state>/uids/<uid>              another name of the meta.json that has this host user id (root callers only)
//! <state>/sessions/<id>/          0700
//!     meta.json                   what the session is; written once, and locked by the session's init while it lives
//!     record.json                 what the layers above remember; replaced atomically
//!     ctl.sock                    where a living init is re-attached
//!     left                        empty while an init lives; it writes here when it goes and nothing is lost
//!     ws/ home/ tmp/ logs/        seen inside
//!     layer/                      upper and work directory of an overlay workspace
//! ```
//!
//! Making an inode is the slowest thing a file system does, so a session has no more of them than it needs.

use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use vibekit_core::{Code, Error, Result};

use crate::fail::{self, errno};
use crate::identity::{Caller, SESSION_IDS};
use crate::locks::{self, Locks, OwnerLock};
use crate::{LocalOptions, WorkspaceMode};

/// Version of everything in the state directory.
const FORMAT: u32 = 1;
const PREFIX: &str = "lcl_";
const ID_LENGTH: usize = 26;
/// A directory that is still being made; nobody resumes it, a sweep removes it.
const HALF_MADE: &str = ".new-";
/// A directory that is being removed.
const DOOMED: &str = ".old-";

/// Names in a session's directory.
const META: &str = "meta.json";
const LEFT: &str = "left";
const LOGS: &str = "logs";

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
    locks: Arc<Locks>,
}

impl State {
    /// Makes it if need be, and refuses one of another version.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let sessions = root.join("sessions");
        make_directory(&sessions)?;
        make_directory(&root.join("uids"))?;
        let file = root.join("format");
        match fs::read_to_string(&file) {
            Ok(text) => check_format(root, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                make_format(&file).map_err(|error| fail::state(&file, "Writing", errno(&error)))?;
            }
            Err(error) => return Err(fail::state(&file, "Reading", errno(&error))),
        }
        let locks = Locks::open(&file).map_err(|error| fail::state(&file, "Opening", error))?;
        Ok(Self { root: root.to_owned(), locks })
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
        // Owned before there is anything to be seen: whoever comes across it knows that it is being made.
        let lock = self.own(&id)?;
        let half = self.sessions().join(format!("{HALF_MADE}{id}"));
        let made = self.fill(half.clone(), &id, caller, options, working_directory).and_then(|meta| {
            let mut held = Held { path: half.clone(), meta, _lock: lock };
            furnish(&held)?;
            let path = self.sessions().join(&id);
            fs::rename(&half, &path).map_err(|error| fail::state(&path, "Making", errno(&error)))?;
            held.path = path;
            Ok(held)
        });
        if made.is_err() {
            // Whatever stopped us may stop this too; the sweep comes back to it.
            let uid = read_meta(&half, &id).ok().map(|meta| meta.uid);
            let _ = remove_tree(&half);
            uid.into_iter().for_each(|uid| self.free_uid(uid));
        }
        made
    }

    /// The directories and the record of a new session.
    fn fill(
        &self,
        half: PathBuf,
        id: &str,
        caller: &Caller,
        options: &LocalOptions,
        working_directory: &str,
    ) -> Result<Meta> {
        let token: [u8; 32] = random()?;
        let mut meta = Meta {
            format: FORMAT,
            id: id.to_owned(),
            created_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            uid: caller.uid,
            gid: caller.gid,
            token: token.iter().map(|byte| format!("{byte:02x}")).collect(),
            working_directory: working_directory.to_owned(),
            options: options.clone(),
        };
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&half)
            .map_err(|error| fail::state(&half, "Making", errno(&error)))?;
        if caller.privileged {
            self.claim_uid(&half, &mut meta)?;
        } else {
            write_meta(&half, &meta)?;
        }
        let overlay =
            options.workspace.as_ref().is_some_and(|workspace| workspace.mode == WorkspaceMode::Overlay);
        let layer: &[&str] = if overlay { &["layer", "layer/upper", "layer/work"] } else { &[] };
        for name in ["ws", "home", "tmp", LOGS].iter().chain(layer) {
            let path = half.join(name);
            let failed = |doing| move |error| (doing, error);
            let make = || {
                rustix::fs::mkdir(&path, Mode::from_raw_mode(0o700)).map_err(failed("Making"))?;
                if *name == LOGS {
                    // They stay ours and are read by the session's user; the directory above keeps others out.
                    rustix::fs::chmod(&path, Mode::from_raw_mode(0o755)).map_err(failed("Opening up"))
                } else if caller.privileged {
                    let owner = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
                    rustix::fs::chown(&path, Some(owner.0), Some(owner.1)).map_err(failed("Giving away"))
                } else {
                    Ok(())
                }
            };
            make().map_err(|(doing, error)| fail::state(&path, doing, error))?;
        }
        Ok(meta)
    }

    /// Finds the session a host user nobody else has, and writes its record, of which the claim is another name.
    fn claim_uid(&self, half: &Path, meta: &mut Meta) -> Result<()> {
        let span = SESSION_IDS.end - SESSION_IDS.start;
        loop {
            let uid = SESSION_IDS.start + u32::from_ne_bytes(random()?) % span;
            (meta.uid, meta.gid) = (uid, uid);
            write_meta(half, meta)?;
            let path = self.root.join("uids").join(uid.to_string());
            match fs::hard_link(half.join(META), &path) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail::state(&path, "Making", errno(&error))),
            }
        }
    }

    /// Takes the owner's lock of a session, whether it exists or not.
    fn own(&self, id: &str) -> Result<OwnerLock> {
        let lock = self.try_own(id)?;
        lock.ok_or_else(|| in_use(id))
    }

    fn try_own(&self, id: &str) -> Result<Option<OwnerLock>> {
        self.locks.take(id).map_err(|error| fail::state(&self.root.join("format"), "Locking", error))
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
        let lock = self.own(id)?;
        let meta = read_meta(&path, id)?;
        Ok(Held { path, meta, _lock: lock })
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
                .filter(|id| check_id(id).is_ok());
            if let Some(id) = leftover {
                // Whoever still makes or removes it has its lock.
                let Ok(Some(_lock)) = self.try_own(id) else { continue };
                let uid = read_meta(&path, id).ok().map(|meta| meta.uid);
                if remove_tree(&path).is_ok() {
                    removed += 1;
                    uid.into_iter().for_each(|uid| self.free_uid(uid));
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
            let Some(id) = fs::read(entry.path()).ok().and_then(|text| claimant(&text)) else { continue };
            let used = || {
                ["", HALF_MADE, DOOMED]
                    .iter()
                    .any(|prefix| self.sessions().join(format!("{prefix}{id}")).exists())
            };
            // A session that is being made or removed has its lock taken, and may have no directory.
            if !used() && matches!(self.try_own(&id), Ok(Some(_))) && !used() {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The session a claim of a user id belongs to.
fn claimant(record: &[u8]) -> Option<String> {
    let record: serde_json::Value = serde_json::from_slice(record).ok()?;
    let id = record.get("id")?.as_str()?;
    check_id(id).ok()?;
    Some(id.to_owned())
}

/// A session's directory, owned by this process until it is dropped (or the process ends, in whatever way).
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    pub(crate) meta: Meta,
    _lock: OwnerLock,
}

impl Held {
    /// The directory, as a short way to what is in it: socket addresses hold no more than 107 bytes.
    pub(crate) fn directory(&self) -> Result<Directory> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.path, flags, Mode::empty())
            .map_err(|error| fail::state(&self.path, "Opening", error))?;
        Ok(Directory(directory))
    }

    /// The lock a living init holds; `None` when one does. It can be read from, and nothing else.
    pub(crate) fn init_lock(&self) -> Result<Option<OwnedFd>> {
        let path = self.path.join(META);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&path, flags, Mode::empty())
            .and_then(locks::share)
            .map_err(|error| fail::state(&path, "Locking", error))
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
        replace(&self.path.join("record.json"), record.as_bytes())
    }

    /// True when processes may have been lost with the last init: it neither lives nor has it said good-bye.
    pub(crate) fn processes_lost(&self) -> bool {
        // No file: there never was an init.
        fs::symlink_metadata(self.path.join(LEFT)).is_ok_and(|data| data.len() == 0)
    }

    /// Where the next init writes when it leaves nothing behind.
    pub(crate) fn left(&self) -> Result<OwnedFd> {
        let path = self.path.join(LEFT);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600))
            .map_err(|error| fail::state(&path, "Making", error))
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

/// An open directory of a session.
pub(crate) struct Directory(OwnedFd);

impl Directory {
    /// Path to something in it, good while this lives.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", std::os::fd::AsRawFd::as_raw_fd(&self.0)))
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
    let path = directory.join(META);
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

/// Into a directory nobody sees yet.
fn write_meta(directory: &Path, meta: &Meta) -> Result<()> {
    let path = directory.join(META);
    let text = serde_json::to_vec(meta).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let mut file = fs::OpenOptions::new();
    file.write(true).create(true).truncate(true).mode(0o600);
    file.open(&path)
        .and_then(|mut file| file.write_all(&text))
        .map_err(|error| fail::state(&path, "Writing", errno(&error)))
}

fn check_format(root: &Path, text: &str) -> Result<()> {
    if text.trim() == format!("vibekit-state {FORMAT}") {
        return Ok(());
    }
    let text: String = text.chars().take(80).collect();
    Err(Error::new(
        Code::StateVersion,
        format!("{} was written by another version ({:?})", root.display(), text.trim()),
    )
    .with_hint("Update the package, or set VIBEKIT_HOME to another directory."))
}

/// Makes the file that names the version. Two processes that both find none end up with the same one: locks are kept
/// in it.
fn make_format(path: &Path) -> std::io::Result<()> {
    let temporary = temporary(path);
    let mut file = fs::OpenOptions::new();
    file.write(true).create(true).truncate(true).mode(0o600);
    let made = file
        .open(&temporary)
        .and_then(|mut file| file.write_all(format!("vibekit-state {FORMAT}\n").as_bytes()))
        .and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match made {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A name of its own beside a file: others, in this process and elsewhere, may be writing the same file.
fn temporary(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{write}.tmp", std::process::id()))
}

/// Replaces a file so that a reader sees the old content or the new one, after a power cut too.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = temporary(path);
    let write = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_data()?;
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
            // Directories first as such, so that the common case is one call.
            let first = match entry.file_type() {
                rustix::fs::FileType::Directory => Err(Errno::ISDIR),
                _ => rustix::fs::unlinkat(here, name, AtFlags::empty()),
            };
            match first {
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
