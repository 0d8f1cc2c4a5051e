//! Starts an init, or finds the one that is still alive.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;
use vibekit_core::{Code, Error, Result};
use vibekit_egress::Policy;
use vibekit_sandboxd_wire::{
    Config, Failure, FromInit, Job, Listener, Received, Step, ToInit, VERSION, receive, send,
};

use crate::fail;
use crate::helper;
use crate::link::{Link, hear, heard, locked, tell, unready, untold};
use crate::network;
use crate::peer;
use crate::plan::Plan;
use crate::refusal::{Missing, unsupported};
use crate::state::Held;
use crate::verify::verify;
use crate::watched::{watched, watched_both};

/// How long building a session may take. Namespaces of a busy machine have been seen to take 100 ms.
const READY: Duration = Duration::from_secs(20);
/// How long an init that is on its way out is waited for.
const LEAVING: Duration = Duration::from_secs(10);
/// Between two looks at what an init does that cannot be waited for.
const AGAIN: Duration = Duration::from_millis(2);

/// A living init, freshly started or found.
pub(crate) struct Live {
    pub(crate) link: Link,
    /// To end it without its help and to know when it has gone.
    process: Mutex<Option<AsyncFd<OwnedFd>>>,
    /// Working directory, home, temporary directory, logs, as seen inside.
    pub(crate) places: [OwnedFd; 4],
    /// Taken by the network gateway.
    pub(crate) listeners: std::sync::Mutex<Vec<(Listener, OwnedFd)>>,
    /// Decides where connections from inside lead. Closed with the connection to the init.
    pub(crate) gateway: std::sync::Mutex<Option<vibekit_egress::Gateway>>,
    pub(crate) paused: bool,
    pub(crate) landlock: u32,
}

/// A helper that waits to be told what to build. Started early: while it is being executed, the session's directory can
/// be made.
pub(crate) struct Helper {
    child: Child,
    socket: OwnedFd,
}

/// A session that was built and is as it was asked for, and whose init waits to be told that it is accepted.
struct Raised {
    helper: Helper,
    process: Guard,
    greeting: Greeting,
    /// What a persistent session is given: where it listens, its lock, where it says good-bye.
    handed: Vec<OwnedFd>,
}

/// A session that was built and accepted, and belongs to no runtime yet.
pub(crate) struct Built {
    socket: OwnedFd,
    process: Guard,
    greeting: Greeting,
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It has done its part, or it hangs: either way it goes. Its exit code says nothing its messages did not say.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Helper {
    /// Blocks until the helper executes, some hundred microseconds.
    pub(crate) fn start() -> Result<Self> {
        let refuse = |errno: Errno| {
            let what = "start the helper".into();
            refused(&Failure { step: Step::Config, errno: errno.raw_os_error(), what })
        };
        helper::program().map_err(refuse)?;
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (socket, theirs) = pair.map_err(|errno| fail::internal("socketpair", errno))?;
        let child = helper::start(theirs).map_err(refuse)?;
        Ok(Self { child, socket })
    }

    /// Builds and accepts a session. Blocks until it is there; whatever fails, nothing of it is left.
    ///
    /// One thread does all of it in one go: on a busy machine every hand-over between threads would cost more than a
    /// step of the work itself.
    pub(crate) fn build(self, plan: &Plan, held: &Held) -> Result<Built> {
        self.raise(plan, held)?.commit()
    }

    fn raise(self, plan: &Plan, held: &Held) -> Result<Raised> {
        let groups = plan.groups()?;
        let persistent = !held.meta.ephemeral();
        let lock = if persistent { Some(init_lock(held)?) } else { None };
        let config = &plan.config;
        let fds: Vec<_> = std::iter::once(plan.contents).chain(&groups).map(AsFd::as_fd).collect();
        say(&self.socket, &ToInit::Config(Box::new(config.clone())), &fds)?;
        drop(fds);
        // Made while the helper works.
        let mut handed = Vec::new();
        if let Some(lock) = lock {
            handed.extend([control_socket(held)?, lock, held.left()?]);
        }
        let pid = match listen(&self.socket)?.message {
            FromInit::Launched { pid } => pid,
            FromInit::Refused(failure) => return Err(refused(&failure)),
            _ => return Err(Error::new(Code::Internal, "The helper spoke out of turn")),
        };
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH).and_then(|pid| {
            // A child of ours: until we reap it, the number is nobody else's.
            pidfd_open(pid, PidfdFlags::NONBLOCK)
        });
        let process = Guard(Some(process.map_err(|errno| fail::internal("pidfd_open", errno))?));
        let mut greeting = Greeting::default();
        while !greeting.hear(listen(&self.socket)?, config)? {}
        Ok(Raised { helper: self, process, greeting, handed })
    }
}

impl Raised {
    /// Accepts the session. Its init hears of it when it gets to run.
    fn commit(self) -> Result<Built> {
        let Self { helper, process, greeting, handed } = self;
        let fds: Vec<_> = handed.iter().map(AsFd::as_fd).collect();
        say(&helper.socket, &ToInit::Commit, &fds)?;
        let socket = rustix::io::fcntl_dupfd_cloexec(&helper.socket, 3)
            .and_then(|socket| rustix::io::ioctl_fionbio(&socket, true).map(|()| socket))
            .map_err(|errno| fail::internal("socketpair", errno))?;
        Ok(Built { socket, process, greeting })
    }
}

impl Built {
    /// Hands the session to the runtime this is called on. `first` is the first free command number.
    pub(crate) fn live(mut self, first: u32) -> Result<Live> {
        let socket = watched_both(self.socket)?;
        let process =
            self.process.0.take().map(|process| watched(process, Interest::READABLE)).transpose()?;
        self.greeting.live(socket, process, first)
    }
}

/// Sends to a helper that reads nothing else meanwhile.
fn say(socket: &OwnedFd, message: &ToInit, fds: &[BorrowedFd<'_>]) -> Result<()> {
    send(socket, message, fds).map_err(untold)
}

/// Receives one message, within [`READY`].
fn listen(socket: &OwnedFd) -> Result<Received<FromInit>> {
    let give_up = Instant::now() + READY;
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(0),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fail::internal("Hearing from the sandbox", errno)),
            Ok(0) => return Err(unready(READY)),
            Ok(_) => return heard(receive(socket)),
        }
    }
}

/// Ends an init that was not accepted.
struct Guard(Option<OwnedFd>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(process) = self.0.take() {
            let _ = pidfd_send_signal(&process, Signal::KILL);
            reap_later(process);
        }
    }
}

/// Reaps a child of ours that is about to be gone, without blocking the runtime.
fn reap_later(process: OwnedFd) {
    let reap = move || {
        // The descriptor is non-blocking, so `waitid` alone would not wait. A killed process is gone in milliseconds.
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit));
        // Not ours after a re-attach: then there is nothing to reap.
        let _ = rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(reap)),
        Err(_) => reap(),
    }
}

/// What an init says when a connection begins.
#[derive(Default)]
struct Greeting {
    listeners: Vec<(Listener, OwnedFd)>,
    places: Option<[OwnedFd; 4]>,
    jobs: Vec<Job>,
    paused: bool,
    landlock: u32,
}

impl Greeting {
    /// Takes one message. True when it was the last one, and the sandbox is what `config` asks for.
    fn hear(&mut self, received: Received<FromInit>, config: &Config) -> Result<bool> {
        let short = || Error::new(Code::AttestationFailed, "The sandbox kept a descriptor back");
        let Received { message, fds } = received;
        match message {
            FromInit::Listeners { listeners } if listeners.len() == fds.len() => {
                self.listeners.extend(listeners.into_iter().zip(fds));
                Ok(false)
            }
            FromInit::Listeners { .. } => Err(short()),
            FromInit::Ready { attestation, jobs, paused } => {
                verify(config, &attestation)?;
                self.places = Some(fds.try_into().map_err(|_| short())?);
                (self.jobs, self.paused, self.landlock) = (jobs, paused, attestation.landlock);
                Ok(true)
            }
            FromInit::Refused(failure) => Err(refused(&failure)),
            _ => Err(Error::new(Code::Internal, "The sandbox spoke out of turn")),
        }
    }

    fn live(self, socket: AsyncFd<OwnedFd>, process: Option<AsyncFd<OwnedFd>>, first: u32) -> Result<Live> {
        let places = self.places.ok_or_else(|| Error::new(Code::Internal, "The sandbox is not ready"))?;
        let last = self.jobs.iter().map(|job| job.id).max().unwrap_or(0);
        let running: Vec<u32> = self.jobs.iter().filter(|job| job.code.is_none()).map(|job| job.id).collect();
        Ok(Live {
            link: Link::new(socket, first.max(last + 1), &running),
            process: Mutex::new(process),
            places,
            listeners: std::sync::Mutex::new(self.listeners),
            gateway: std::sync::Mutex::new(None),
            paused: self.paused,
            landlock: self.landlock,
        })
    }
}

async fn greeted(
    socket: AsyncFd<OwnedFd>,
    config: &Config,
    first: u32,
    process: Option<AsyncFd<OwnedFd>>,
) -> Result<Live> {
    let mut greeting = Greeting::default();
    while !greeting.hear(hear(&socket, READY).await?, config)? {}
    greeting.live(socket, process, first)
}

/// Connects to a living init; `None` when there is none.
pub(crate) async fn attach(config: &Config, held: &Held, first: u32) -> Result<Option<Live>> {
    let Some(socket) = connect(held).await? else { return Ok(None) };
    // The process that listened, which is the init: nobody else ever listens there. That it answers, and only then is
    // the descriptor used, shows that it was alive when its number was looked up, and the number still its own.
    let process = peer::process(&socket).and_then(|fd| watched(fd, Interest::READABLE).ok());
    let socket = watched_both(socket)?;
    let message = ToInit::Attach { version: VERSION, token: config.token };
    let attached = match tell(&socket, &message, &[]).await {
        Ok(()) => greeted(socket, config, first, process).await,
        Err(error) => Err(error),
    };
    match attached {
        Ok(live) => Ok(Some(live)),
        // It was on its way out (parked, killed) when we came.
        Err(error) if error.code == Code::SandboxLost => Ok(None),
        Err(error) => Err(error),
    }
}

/// A connection to the control socket. An init that lives and does not listen has not got to it yet, or is on its way
/// out: either is waited for.
async fn connect(held: &Held) -> Result<Option<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(|errno| fail::internal("socket", errno))?;
    let directory = held.directory()?;
    let address = address(&directory.path("ctl.sock"))?;
    let give_up = Instant::now() + LEAVING;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(Some(socket)),
            Err(Errno::NOENT | Errno::CONNREFUSED) if held.init_lock()?.is_some() => return Ok(None),
            Err(Errno::NOENT | Errno::CONNREFUSED) if Instant::now() < give_up => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Err(stuck(held)),
            Err(errno) => return Err(fail::state(&held.path.join("ctl.sock"), "Connecting to", errno)),
        }
    }
}

/// A fresh socket in the session's directory, in the place of whatever was there. The init will listen on it, and nobody
/// else may: whoever connects is told the process that listened, and takes that for the init.
fn control_socket(held: &Held) -> Result<OwnedFd> {
    let path = held.path.join("ctl.sock");
    let directory = held.directory()?;
    let make = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        match rustix::fs::unlink(&path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        rustix::net::bind(&socket, &SocketAddrUnix::new(directory.path("ctl.sock"))?)?;
        Ok(socket)
    };
    make().map_err(|errno| fail::state(&path, "Making", errno))
}

/// The lock the new init will hold. An old one that is on its way out is waited for.
fn init_lock(held: &Held) -> Result<OwnedFd> {
    let give_up = Instant::now() + LEAVING;
    loop {
        if let Some(lock) = held.init_lock()? {
            return Ok(lock);
        }
        if Instant::now() >= give_up {
            return Err(stuck(held));
        }
        std::thread::sleep(AGAIN);
    }
}

fn stuck(held: &Held) -> Error {
    Error::new(Code::SessionInUse, "An earlier init of this session does not end")
        .with("sessionId", held.meta.id.clone())
        .retryable()
}

fn address(path: &Path) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new(path).map_err(|errno| fail::internal("socket address", errno))
}

impl Live {
    /// Starts accepting what the session's programs send out.
    pub(crate) fn open_network(&self, policy: &Arc<Policy>) -> Result<()> {
        let sockets = std::mem::take(&mut *locked(&self.listeners));
        if !sockets.is_empty() {
            *locked(&self.gateway) = Some(network::start(Arc::clone(policy), sockets)?);
        }
        Ok(())
    }

    /// Asks it to end, makes sure that it does, and returns when everything inside is gone.
    pub(crate) async fn end(&self) {
        let asked = self.link.tell(&ToInit::Shutdown, &[]).await.is_ok();
        if asked {
            let _ = tokio::time::timeout(Duration::from_secs(3), self.link.gone()).await;
        }
        self.bury().await;
    }

    /// Lets go of an init that lives on; when it ends, nothing of it stays behind in the table of processes.
    pub(crate) async fn let_go(&self) {
        let Some(process) = self.process.lock().await.take() else { return };
        tokio::spawn(async move {
            let _ = process.async_io(Interest::READABLE, |_| Ok(())).await;
            reap_later(process.into_inner());
        });
    }

    /// Waits for an init that has said it goes, or is gone; kills it if need be.
    pub(crate) async fn bury(&self) {
        let Some(process) = self.process.lock().await.take() else { return };
        if !self.link.is_gone() {
            let _ = pidfd_send_signal(process.get_ref(), Signal::KILL);
        }
        // A pidfd becomes readable when the process has ended, and PID 1 ends last of its namespace.
        let gone = process.async_io(Interest::READABLE, |_| Ok(()));
        if tokio::time::timeout(LEAVING, gone).await.is_err() {
            let _ = pidfd_send_signal(process.get_ref(), Signal::KILL);
        }
        reap_later(process.into_inner());
    }
}

/// The helper's refusal with what is known about its causes.
pub(crate) fn refused(failure: &Failure) -> Error {
    let errno = Errno::from_raw_os_error(failure.errno);
    match (failure.step, errno) {
        // The machine gives the feature, the session's own files are the problem.
        (Step::Bind | Step::Overlay, Errno::NOENT | Errno::NOTDIR | Errno::STALE) => Error::new(
            Code::StateCorrupt,
            format!("A directory of the session is missing or was replaced: {}", failure.what),
        )
        .with("step", format!("{:?}", failure.step).to_lowercase())
        .with("errno", failure.errno),
        _ => unsupported(vec![missing(failure)]),
    }
}

fn missing(failure: &Failure) -> Missing {
    let read =
        |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let (feature, cause, fix) = match failure.step {
        Step::Clone | Step::IdMap | Step::Identity | Step::Capabilities => {
            let (cause, fix) = if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
                (
                    "AppArmor restricts unprivileged user namespaces",
                    "Install an AppArmor profile that allows `userns` for the program that hosts VibeKit.",
                )
            } else if read("/proc/sys/user/max_user_namespaces") == "0" {
                (
                    "user.max_user_namespaces is 0",
                    "Ask the administrator to raise the sysctl user.max_user_namespaces.",
                )
            } else if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
                (
                    "kernel.unprivileged_userns_clone is 0",
                    "Ask the administrator to set the sysctl kernel.unprivileged_userns_clone to 1.",
                )
            } else if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
                (
                    "a container engine refuses namespaces",
                    "Run the container with a seccomp profile that allows clone and unshare with namespaces.",
                )
            } else {
                ("the kernel or its security policy refuses namespaces", "Use one of the other environments.")
            };
            ("user namespaces", cause, fix)
        }
        Step::Config => (
            "starting the sandbox's helper",
            "memory files cannot be made or executed (vm.memfd_noexec, a system call filter)",
            "Allow memfd_create and executing memory files for this process.",
        ),
        Step::Proc => (
            "a fresh /proc",
            "parts of /proc are covered, as container engines do",
            "Run the container with an unmasked /proc (Docker: --security-opt systempaths=unconfined).",
        ),
        Step::Overlay => (
            "overlay mounts",
            "the kernel or the file system of the state directory cannot be overlaid without privileges",
            "Use workspace mode \"copy\", or put VIBEKIT_HOME on another file system.",
        ),
        Step::Seccomp => {
            ("system call filters", "the kernel has no seccomp", "Use one of the other environments.")
        }
        Step::Network => ("a network namespace", "the kernel refuses it", "Use network: \"deny\"."),
        Step::Cgroup => ("control groups", "they were taken away", "Remove the limits."),
        Step::Landlock => ("Landlock", "the kernel refused a rule", "Use one of the other environments."),
        Step::Limits => ("resource limits", "a limit was refused", "Remove the limits."),
        _ => (
            "private mounts",
            "the kernel is older than 5.12 or its security policy refuses mounts",
            "Use one of the other environments.",
        ),
    };
    Missing {
        feature: feature.into(),
        step: format!("{:?}: {}", failure.step, failure.what),
        errno: failure.errno,
        likely_cause: cause.into(),
        fix: fix.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::Caller;
    use crate::state::State;
    use crate::toolchain::Toolchains;
    use crate::{LocalOptions, workspace};

    /// Number of the process behind a descriptor.
    fn pid(process: &impl AsFd) -> u32 {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fdinfo/{}", process.as_fd().as_raw_fd());
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().find_map(|line| line.strip_prefix("Pid:\t")).unwrap().parse().unwrap()
    }

    /// On a busy machine an init gets to run long after it was accepted. Whoever takes the session over in the meantime
    /// must not take another process for the init: it would kill that one in its stead.
    #[tokio::test]
    async fn an_init_that_has_not_got_to_listening_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state")).unwrap();
        let caller = Caller::current();
        let held = state.create(&caller, &LocalOptions::default(), "/vibe0", workspace::copy).unwrap();
        let plan = Plan::new(&held, &caller, &Toolchains::find(None, None)).unwrap();
        let raised = Helper::start().unwrap().raise(&plan, &held).unwrap();
        let init = raised.process.0.as_ref().unwrap().try_clone().unwrap();
        pidfd_send_signal(&init, Signal::STOP).unwrap();
        let first = raised.commit().unwrap().live(1).unwrap();
        first.let_go().await;
        drop(first);

        let mut attached = Box::pin(attach(&plan.config, &held, 1));
        let early = tokio::time::timeout(Duration::from_millis(50), &mut attached).await;
        assert!(early.is_err(), "the init stands still and cannot have answered");
        pidfd_send_signal(&init, Signal::CONT).unwrap();
        let live = attached.await.unwrap().unwrap();
        assert_eq!(pid(live.process.lock().await.as_ref().unwrap().get_ref()), pid(&init));
        live.end().await;
        state.destroy(&held).unwrap();
    }
}
