//! From the start of the helper to a process that is alone in its namespaces.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use rustix::thread::{Gid, Uid};
use vibekit_sandboxd_wire::{
    Config, Failure, FromInit, INSIDE_ID, Identity, Step, ToInit, VERSION, receive, send,
};

use crate::failure::{At, Result};
use crate::{root, serve, sys};

/// The control socket. The host starts us with it as standard input and nothing else open.
pub(crate) fn control() -> BorrowedFd<'static> {
    // SAFETY: descriptor 0 is open for the whole life of the process.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Entry point. Never returns an error: the host gets it as a message.
pub(crate) fn main() -> ! {
    let Err(failure) = launch();
    // When even this fails the host sees the end of the connection.
    let _ = send(control(), &FromInit::Refused(failure), &[]);
    sys::exit(1)
}

/// What came with the configuration, or was made for it with the caller's rights.
pub(crate) struct Handed {
    /// The contents of [`Config::files`], one after the other.
    pub(crate) contents: OwnedFd,
    /// Host trees, one per bind, empty when the session opens them itself.
    pub(crate) trees: Vec<Option<OwnedFd>>,
}

fn launch() -> Result<Infallible> {
    sys::close_range(3, u32::MAX).at(Step::Config, || "close_range".into())?;
    let (config, fds) = configuration()?;
    let mut fds = fds.into_iter();
    let Some(contents) = fds.next() else {
        return Err(Failure { step: Step::Config, errno: 0, what: "contents of files missing".into() });
    };
    for group in fds {
        rustix::io::write(&group, b"0").at(Step::Cgroup, || "cgroup.procs".into())?;
    }
    let trees = if config.identity.privileged { root::prepare(&config)? } else { Vec::new() };
    // The child waits on this socket until its ids are mapped; end of file instead of a byte means we failed.
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .at(Step::Config, || "socketpair".into())?;
    match sys::clone_session().at(Step::Clone, || "clone with all namespaces".into())? {
        Some(child) => {
            map_ids(child, &config.identity)?;
            let pid = child.as_raw_nonzero().get().unsigned_abs();
            send(control(), &FromInit::Launched { pid }, &[]).at(Step::Clone, || "report".into())?;
            rustix::io::write(&ours, b"g").at(Step::Clone, || "release".into())?;
            // The session now belongs to the host process; we are done.
            sys::exit(0)
        }
        None => {
            drop(ours);
            let mut byte = [0];
            let go = rustix::io::read(&theirs, &mut byte);
            drop(theirs);
            if go != Ok(1) {
                sys::exit(1);
            }
            serve::session(config, Handed { contents, trees })
        }
    }
}

fn configuration() -> Result<(Box<Config>, Vec<OwnedFd>)> {
    let received = receive::<ToInit>(control()).at(Step::Config, || "first message".into())?;
    match received {
        Some(received) => match received.message {
            ToInit::Config(config) if config.version == VERSION => Ok((config, received.fds)),
            _ => Err(Failure {
                step: Step::Config,
                errno: 0,
                what: "helper and host differ in version".into(),
            }),
        },
        None => sys::exit(1),
    }
}

fn map_ids(child: Pid, identity: &Identity) -> Result<()> {
    let at = |file: &str| format!("/proc/{}/{file}", child.as_raw_nonzero());
    let write = |file: &str, text: String| std::fs::write(at(file), text).at(Step::IdMap, || file.to_owned());
    if !identity.privileged {
        write("setgroups", "deny".into())?;
    }
    write("uid_map", format!("{INSIDE_ID} {} 1", identity.uid))?;
    write("gid_map", format!("{INSIDE_ID} {} 1", identity.gid))
}

/// Becomes the session's user. Must happen before any file is made: until then the ids are unmapped.
pub(crate) fn become_user(identity: &Identity) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(INSIDE_ID), Gid::from_raw(INSIDE_ID));
    if identity.privileged {
        rustix::thread::set_thread_groups(&[]).at(Step::Identity, || "setgroups".into())?;
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::Identity, || "setresgid".into())?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::Identity, || "setresuid".into())
}

/// A user namespace that shows files of one host owner as the session's own.
pub(crate) fn owner_namespace(identity: &Identity, owner: (u32, u32)) -> std::result::Result<OwnedFd, Errno> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let Some(child) = sys::clone_user()? else {
        drop(ours);
        // Stay until the other end closes; then nobody needs the namespace through us any more.
        let _ = rustix::io::read(theirs.as_fd(), &mut [0]);
        sys::exit(0);
    };
    drop(theirs);
    let base = format!("/proc/{}", child.as_raw_nonzero());
    let write = |file: &str, from: u32, to: u32| {
        std::fs::write(format!("{base}/{file}"), format!("{from} {to} 1"))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    let namespace = write("uid_map", owner.0, identity.uid)
        .and_then(|()| write("gid_map", owner.1, identity.gid))
        .and_then(|()| {
            rustix::fs::open(
                format!("{base}/ns/user"),
                rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )
        });
    drop(ours);
    let _ = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    namespace
}
