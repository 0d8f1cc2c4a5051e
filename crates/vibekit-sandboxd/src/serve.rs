//! PID 1 of a session: builds it, then starts, watches and ends commands until it is told to go.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::{PipeFlags, pipe_with};
use vibekit_sandboxd_wire::{
    Attestation, Config, Exec, FromInit, Job as JobState, LOGS, Listener, MAX_FDS, Reason, Received, Step,
    ToInit, VERSION, receive, send,
};

use crate::clock::Clock;
use crate::command::{self, Report};
use crate::failure::{At, Result};
use crate::job::{Ended, Job, Log, Stop};
use crate::launch::{Handed, become_user, control};
use crate::network::Listening;
use crate::{attest, freezer, lockdown, network, processes, root, sys};

/// Rounds of killing one by one before the whole session is held still for a moment.
const QUICK_ROUNDS: u32 = 4;
/// Between two rounds.
const ROUND: Duration = Duration::from_millis(5);
/// After this a tree that cannot be ended takes the session's other processes with it.
const GIVE_UP: Duration = Duration::from_secs(2);
/// A stopped process can still be continued by a timer of its own; while paused by signals, everything is stopped this often.
const HOLD: Duration = Duration::from_millis(10);
/// Grace for foreground commands whose host went away.
const ORPHAN_GRACE_MS: u64 = 2000;
/// Ended background jobs that are remembered.
const REMEMBERED: usize = 256;

/// Builds the session and serves it. Returns only failures of building.
pub(crate) fn session(mut config: Box<Config>, handed: Handed) -> Result<Infallible> {
    rustix::process::setsid().at(Step::Identity, || "setsid".into())?;
    become_user(&config.identity)?;
    rustix::system::sethostname(config.hostname.as_bytes()).at(Step::Identity, || "sethostname".into())?;
    // Files a command makes are its own business; those we make for it are readable.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let old_root = root::build(&config, handed)?;
    // Only the building needed them, and every session keeps its memory for as long as it lives.
    (config.files, config.binds, config.links) = Default::default();
    let listeners = network::set_up(&config)?;
    let places = [config.working_directory.as_str(), &config.home, "/tmp", LOGS].map(|path| {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .at(Step::Attest, || path.to_owned())
    });
    let [work, home, tmp, logs] = places;
    let places = [work?, home?, tmp?, logs?];
    let children = sys::child_signals().at(Step::Serve, || "signalfd".into())?;
    let landlock = lockdown::lock(&config)?;
    let attestation = attest::measure(&config, landlock, old_root)?;
    rustix::io::ioctl_fionbio(control(), true).at(Step::Serve, || "non-blocking control".into())?;
    let first = rustix::io::fcntl_dupfd_cloexec(control(), 3).at(Step::Serve, || "control".into())?;
    let mut init = Init {
        config,
        attestation,
        places,
        listeners,
        children,
        listener: None,
        lock: None,
        left: None,
        host: Some(Host::new(first)),
        applicants: Vec::new(),
        committed: false,
        jobs: Vec::new(),
        clock: Clock::start(),
        paused: false,
        signalled: false,
        idle_since: Some(Instant::now()),
        idle_told: false,
        unwanted_since: None,
        buffer: vec![0; 64 << 10],
    };
    // Standard input was the control socket; whatever is started from here on must not inherit it.
    close_standard().at(Step::Serve, || "standard descriptors".into())?;
    init.ready();
    init.serve()
}

fn close_standard() -> std::result::Result<(), Errno> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

/// The attached host and what it has not taken yet.
struct Host {
    socket: OwnedFd,
    queue: VecDeque<(FromInit, Vec<OwnedFd>)>,
}

impl Host {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, queue: VecDeque::new() }
    }

    /// Sends what fits. False when the connection is gone.
    fn flush(&mut self) -> bool {
        while let Some((message, fds)) = self.queue.front() {
            let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match send(&self.socket, message, &borrowed) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(Errno::AGAIN | Errno::NOBUFS) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

struct Init {
    config: Box<Config>,
    attestation: Attestation,
    /// Working directory, home, temporary directory, logs.
    places: [OwnedFd; 4],
    listeners: Vec<Listening>,
    children: OwnedFd,
    listener: Option<OwnedFd>,
    /// Held while we live.
    lock: Option<OwnedFd>,
    /// Where we write when we go and nothing is lost.
    left: Option<OwnedFd>,
    host: Option<Host>,
    /// Connections that have not shown the token yet.
    applicants: Vec<(OwnedFd, Instant)>,
    committed: bool,
    jobs: Vec<Job>,
    clock: Clock,
    paused: bool,
    /// Paused by signals, for want of a freezer.
    signalled: bool,
    /// Since when there is no process at all.
    idle_since: Option<Instant>,
    idle_told: bool,
    /// Since when nobody wants the processes there are.
    unwanted_since: Option<Instant>,
    buffer: Vec<u8>,
}

/// What became readable.
#[derive(Clone, Copy)]
enum Source {
    Children,
    Host,
    Listener,
    Applicant(usize),
    Report(usize),
    Log(usize),
}

impl Init {
    fn serve(mut self) -> ! {
        loop {
            for source in self.wait() {
                match source {
                    Source::Children => {
                        // Only a wake-up; `reap` asks for everybody.
                        let mut info = [0; 128];
                        while rustix::io::read(&self.children, &mut info).is_ok() {}
                    }
                    Source::Host => self.hear(),
                    Source::Listener => self.accept(),
                    Source::Applicant(index) => self.admit(index),
                    Source::Report(index) => self.report(index),
                    Source::Log(index) => {
                        if let Some(log) = self.jobs.get_mut(index).and_then(|job| job.log.as_mut()) {
                            log.pump(&mut self.buffer);
                        }
                    }
                }
            }
            self.reap();
            self.stops();
            self.deadlines();
            self.hold();
            self.finish();
            self.idle();
            self.flush();
        }
    }

    fn wait(&mut self) -> Vec<Source> {
        let mut sources = vec![Source::Children];
        let mut fds = vec![PollFd::new(&self.children, PollFlags::IN)];
        if let Some(host) = &self.host {
            sources.push(Source::Host);
            let out = if host.queue.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::new(&host.socket, PollFlags::IN | out));
        }
        if let Some(listener) = &self.listener {
            sources.push(Source::Listener);
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        for (index, (socket, _)) in self.applicants.iter().enumerate() {
            sources.push(Source::Applicant(index));
            fds.push(PollFd::new(socket, PollFlags::IN));
        }
        for (index, job) in self.jobs.iter().enumerate() {
            if let Some(reports) = &job.reports {
                sources.push(Source::Report(index));
                fds.push(PollFd::new(reports, PollFlags::IN));
            }
            if let Some(output) = job.log.as_ref().and_then(|log| log.output.as_ref()) {
                sources.push(Source::Log(index));
                fds.push(PollFd::new(output, PollFlags::IN));
            }
        }
        let timeout = self.next_timer().map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        // From the back, so that removing one entry leaves the indices of the others valid.
        sources.into_iter().zip(ready).filter_map(|(source, ready)| ready.then_some(source)).rev().collect()
    }

    fn next_timer(&self) -> Option<Duration> {
        let now = Instant::now();
        let until = |at: Instant| at.saturating_duration_since(now);
        let stops = self.jobs.iter().filter_map(|job| job.stop.as_ref()?.next).map(until);
        let running = self.clock.now();
        let deadlines = self
            .jobs
            .iter()
            .filter(|job| !self.paused && job.stop.is_none() && job.ended.is_none())
            .filter_map(|job| Some(job.deadline?.0.saturating_sub(running)));
        let idle = self.config.idle_ms.and_then(|ms| {
            let since = [self.idle_since.filter(|_| !self.idle_told), self.unwanted_since];
            Some(until(since.into_iter().flatten().min()? + Duration::from_millis(ms)))
        });
        let applicants = self.applicants.iter().map(|(_, since)| until(*since + GIVE_UP));
        stops.chain(deadlines).chain(idle).chain(applicants).chain(self.signalled.then_some(HOLD)).min()
    }

    fn tell(&mut self, message: FromInit, fds: Vec<OwnedFd>) {
        if let Some(host) = &mut self.host {
            host.queue.push_back((message, fds));
        }
    }

    fn flush(&mut self) {
        if self.host.as_mut().is_some_and(|host| !host.flush()) {
            self.host_gone();
        }
    }

    /// First message of a connection.
    fn ready(&mut self) {
        let copy = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 3);
        let copies = |list: &[Listening]| -> std::result::Result<Vec<OwnedFd>, Errno> {
            list.iter().map(|(_, socket)| copy(socket)).collect()
        };
        let mut messages = Vec::new();
        for part in self.listeners.chunks(MAX_FDS) {
            let Ok(fds) = copies(part) else { return self.host_gone() };
            let listeners: Vec<Listener> = part.iter().map(|(listener, _)| *listener).collect();
            messages.push((FromInit::Listeners { listeners }, fds));
        }
        let Ok(fds) = self.places.iter().map(copy).collect() else { return self.host_gone() };
        let message = FromInit::Ready {
            attestation: Box::new(self.attestation.clone()),
            jobs: self.job_states(),
            paused: self.paused,
        };
        for (message, fds) in messages {
            self.tell(message, fds);
        }
        self.tell(message, fds);
        self.flush();
    }

    fn job_states(&self) -> Vec<JobState> {
        self.jobs
            .iter()
            .map(|job| JobState {
                id: job.id,
                pid: job.main,
                background: job.background,
                code: job.ended.map(|ended| ended.code().0),
                dropped: job.log.as_ref().map_or(0, |log| log.dropped),
            })
            .collect()
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        if let Ok(socket) = rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            self.applicants.push((socket, Instant::now()));
        }
    }

    /// A connection shows its token, or goes. The newest rightful one is the host: the host side makes sure that
    /// there is one at a time.
    fn admit(&mut self, index: usize) {
        if index >= self.applicants.len() {
            return;
        }
        let (socket, _) = self.applicants.swap_remove(index);
        if let Ok(Some(Received { message: ToInit::Attach { version: VERSION, token }, .. })) =
            receive(&socket)
            && same(&token, &self.config.token)
        {
            self.host = Some(Host::new(socket));
            self.idle_told = false;
            self.ready();
        }
    }

    fn hear(&mut self) {
        // Bounded, so that a busy host does not keep commands from being reaped.
        for _ in 0..64 {
            let Some(host) = &self.host else { return };
            match receive::<ToInit>(&host.socket) {
                Ok(Some(Received { message, fds })) => self.obey(message, fds),
                Err(Errno::AGAIN) => return,
                Ok(None) | Err(_) => return self.host_gone(),
            }
        }
    }

    fn obey(&mut self, message: ToInit, fds: Vec<OwnedFd>) {
        match message {
            ToInit::Config(_) | ToInit::Attach { .. } => {}
            ToInit::Commit => self.commit(fds),
            ToInit::Exec(exec) => self.exec(&exec, fds),
            ToInit::Signal { id, signal } => {
                if let Some(job) = self.jobs.iter().find(|job| job.id == id && job.ended.is_none()) {
                    let _ = sys::signal(job.main, signal);
                }
            }
            ToInit::Stop { id, grace_ms, timed_out } => {
                if let Some(index) = self.jobs.iter().position(|job| job.id == id) {
                    self.begin_stop(index, grace_ms, timed_out);
                }
            }
            ToInit::Pause { request } => {
                if !self.paused {
                    self.paused = true;
                    self.clock.pause();
                }
                if !self.signalled && !fds.first().is_some_and(freezer::gather) {
                    self.signalled = true;
                    sys::signal_all(libc::SIGSTOP);
                }
                self.tell(FromInit::Done { request }, Vec::new());
            }
            ToInit::Thaw { request } => {
                if self.paused {
                    self.paused = false;
                    self.clock.thaw();
                }
                if self.signalled {
                    self.signalled = false;
                    sys::signal_all(libc::SIGCONT);
                }
                self.tell(FromInit::Done { request }, Vec::new());
            }
            ToInit::Connect { request, port } => {
                let (errno, fds) = match connect(port) {
                    Ok(socket) => (0, vec![socket]),
                    Err(errno) => (errno.raw_os_error(), Vec::new()),
                };
                self.tell(FromInit::Connecting { request, errno }, fds);
            }
            ToInit::Look { request } => {
                let parents: Vec<u32> = self.jobs.iter().map(|job| job.parent).collect();
                let all = processes::all();
                let count = all.iter().filter(|p| !p.zombie && !parents.contains(&p.pid)).count();
                let processes = u32::try_from(count).unwrap_or(u32::MAX);
                self.tell(FromInit::Sample { request, jobs: self.job_states(), processes }, Vec::new());
            }
            ToInit::Park => {
                if self.idle_since.is_some() {
                    self.leave();
                }
            }
            ToInit::Shutdown => end(),
        }
    }

    fn commit(&mut self, fds: Vec<OwnedFd>) {
        self.committed = true;
        let mut fds = fds.into_iter();
        self.listener = fds.next();
        self.lock = fds.next();
        self.left = fds.next();
        if let Some(listener) = &self.listener {
            // Here and not by the host, so that the credentials a host sees on this socket are ours.
            let _ = rustix::net::listen(listener, 16);
        }
    }

    /// The connection ended. What nobody reads any more ends; background commands stay.
    fn host_gone(&mut self) {
        self.host = None;
        if self.config.ephemeral || !self.committed {
            end();
        }
        for index in 0..self.jobs.len() {
            if self.jobs.get(index).is_some_and(|job| !job.background) {
                self.begin_stop(index, ORPHAN_GRACE_MS, false);
            }
        }
        self.idle_told = false;
    }

    fn exec(&mut self, exec: &Exec, fds: Vec<OwnedFd>) {
        let id = exec.id;
        match self.try_exec(exec, fds) {
            Ok(job) => {
                self.jobs.push(job);
                self.idle_since = None;
                self.idle_told = false;
            }
            Err(errno) => {
                let reason = Reason::Resources;
                self.tell(FromInit::Failed { id, reason, errno: errno.raw_os_error() }, Vec::new());
            }
        }
    }

    fn try_exec(&mut self, exec: &Exec, fds: Vec<OwnedFd>) -> std::result::Result<Job, Errno> {
        if self.paused {
            return Err(Errno::BUSY);
        }
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or(Errno::BADF);
        let input = next()?;
        let (output, error, log) = match &exec.background {
            None => (next()?, next()?, None),
            Some(background) => {
                let file = next()?;
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                rustix::io::ioctl_fionbio(&read, true)?;
                let second = rustix::io::fcntl_dupfd_cloexec(&write, 3)?;
                (write, second, Some(Log::new(read, file, background)))
            }
        };
        let (parent, reports) = command::start(exec, &self.config, [&input, &output, &error])?;
        let deadline = exec.background.and_then(|background| {
            let at = self.clock.now() + Duration::from_millis(background.timeout_ms?);
            Some((at, background.grace_ms))
        });
        Ok(Job {
            id: exec.id,
            parent,
            reports: Some(reports),
            main: 0,
            ended: None,
            told: false,
            stop: None,
            log,
            deadline,
            background: exec.background.is_some(),
        })
    }

    fn report(&mut self, index: usize) {
        let mut messages = Vec::new();
        let Some(job) = self.jobs.get_mut(index) else { return };
        job.reports(|job, report| match report {
            Report::Started { pid } => {
                job.main = pid;
                messages.push(FromInit::Started { id: job.id, pid });
            }
            Report::Failed { reason, errno } => {
                job.told = true;
                job.ended = Some(Ended { status: 127 << 8, cpu_us: 0, max_rss: 0 });
                messages.push(FromInit::Failed { id: job.id, reason, errno });
            }
            Report::Exited { status, cpu_us, max_rss } => job.ended = Some(Ended { status, cpu_us, max_rss }),
        });
        for message in messages {
            self.tell(message, Vec::new());
        }
    }

    /// Reaps everybody who is ours: parents of commands, and what is left of commands whose parent was killed.
    fn reap(&mut self) {
        loop {
            match sys::reap(false) {
                Ok(Some(ended)) => {
                    let sys::Ended { pid, status, cpu_us, max_rss } = ended;
                    let main = self.jobs.iter_mut().find(|job| job.main == pid && job.ended.is_none());
                    if let Some(job) = main {
                        job.ended = Some(Ended { status, cpu_us, max_rss });
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    // No children at all.
                    if self.idle_since.is_none() {
                        self.idle_since = Some(Instant::now());
                    }
                    // A command whose parent was killed before it said anything.
                    for job in &mut self.jobs {
                        if job.reports.is_none() && job.ended.is_none() {
                            job.ended = Some(Ended { status: libc::SIGKILL, cpu_us: 0, max_rss: 0 });
                        }
                    }
                    return;
                }
            }
        }
    }

    /// Everybody who belongs to a command: those below its parent, or, when the parent was killed, everybody below us
    /// who belongs to no other command.
    fn tree<'p>(&self, index: usize, all: &'p [processes::Process]) -> Vec<&'p processes::Process> {
        let Some(job) = self.jobs.get(index) else { return Vec::new() };
        if job.reports.is_some() {
            return processes::descendants(all, |process| process.parent == job.parent);
        }
        let parents: Vec<u32> =
            self.jobs.iter().filter(|job| job.reports.is_some()).map(|job| job.parent).collect();
        processes::descendants(all, |process| process.parent == 1 && !parents.contains(&process.pid))
    }

    fn begin_stop(&mut self, index: usize, grace_ms: u64, timed_out: bool) {
        let all = processes::all();
        let tree: Vec<(u32, String)> =
            self.tree(index, &all).iter().filter(|p| !p.zombie).map(|p| (p.pid, p.name.clone())).collect();
        let paused = self.paused;
        let Some(job) = self.jobs.get_mut(index) else { return };
        if job.told || job.stop.is_some() {
            return;
        }
        let mut stop = Stop { timed_out, ..Stop::default() };
        let now = Instant::now();
        let grace = if paused { Duration::ZERO } else { Duration::from_millis(grace_ms) };
        if !paused && grace_ms > 0 {
            for (pid, _) in &tree {
                let _ = sys::signal(*pid, libc::SIGTERM);
                // Who is stopped hears the signal only when it runs.
                let _ = sys::signal(*pid, libc::SIGCONT);
            }
        }
        stop.seen.extend(tree);
        stop.next = Some(now + grace);
        stop.give_up = Some(now + grace + GIVE_UP);
        job.stop = Some(stop);
    }

    fn stops(&mut self) {
        let now = Instant::now();
        for index in 0..self.jobs.len() {
            let due =
                self.jobs.get(index).and_then(|job| job.stop.as_ref()?.next).is_some_and(|next| next <= now);
            if due {
                self.kill_round(index, now);
            }
        }
    }

    fn kill_round(&mut self, index: usize, now: Instant) {
        let Some(stop) = self.jobs.get_mut(index).and_then(|job| job.stop.as_mut()) else { return };
        stop.rounds += 1;
        stop.next = Some(now + ROUND);
        if stop.give_up.is_some_and(|at| at <= now) {
            stop.session_reset = true;
            sys::signal_all(libc::SIGKILL);
            return;
        }
        // Whoever forks faster than we look is held still with everybody else for the moment it takes.
        let hold = stop.rounds > QUICK_ROUNDS && !self.paused;
        let stopped_before: Vec<u32> = if hold {
            let before = processes::all().iter().filter(|p| p.stopped).map(|p| p.pid).collect();
            sys::signal_all(libc::SIGSTOP);
            before
        } else {
            Vec::new()
        };
        let all = processes::all();
        let tree: Vec<(u32, String)> =
            self.tree(index, &all).iter().filter(|p| !p.zombie).map(|p| (p.pid, p.name.clone())).collect();
        for (pid, _) in &tree {
            let _ = sys::signal(*pid, libc::SIGKILL);
        }
        if hold {
            for process in all.iter().filter(|process| !stopped_before.contains(&process.pid)) {
                let _ = sys::signal(process.pid, libc::SIGCONT);
            }
        }
        let (paused, signalled) = (self.paused, self.signalled);
        let Some(job) = self.jobs.get_mut(index) else { return };
        if paused && job.reports.is_some() {
            // The command's parent has to run to see its children end. Where it is frozen it cannot: then it goes too, and
            // we see to them.
            let _ = sys::signal(job.parent, if signalled { libc::SIGCONT } else { libc::SIGKILL });
        }
        if let Some(stop) = &mut job.stop {
            stop.seen.extend(tree);
        }
    }

    fn deadlines(&mut self) {
        if self.paused {
            return;
        }
        let now = self.clock.now();
        for index in 0..self.jobs.len() {
            let due = self.jobs.get(index).and_then(|job| {
                job.deadline.filter(|(at, _)| *at <= now && job.stop.is_none() && job.ended.is_none())
            });
            if let Some((_, grace_ms)) = due {
                self.begin_stop(index, grace_ms, true);
            }
        }
    }

    /// Keeps a session still that was paused by signals.
    fn hold(&self) {
        if self.signalled {
            let stopping: Vec<u32> =
                self.jobs.iter().filter(|job| job.stop.is_some()).map(|job| job.parent).collect();
            sys::signal_all(libc::SIGSTOP);
            for parent in stopping {
                let _ = sys::signal(parent, libc::SIGCONT);
            }
        }
    }

    /// Tells the end of commands, and forgets those that are over.
    fn finish(&mut self) {
        let mut messages = Vec::new();
        let alone = self.idle_since.is_some();
        let strays = self.jobs.iter().any(|job| job.stop.is_some() && job.reports.is_none() && !job.told)
            && !alone
            && {
                let all = processes::all();
                let parents: Vec<u32> =
                    self.jobs.iter().filter(|job| job.reports.is_some()).map(|job| job.parent).collect();
                all.iter().any(|p| p.parent == 1 && !p.zombie && !parents.contains(&p.pid))
            };
        for job in &mut self.jobs {
            let Some(ended) = job.ended.filter(|_| !job.told) else { continue };
            // A stopped command is over when its whole tree is: its parent has gone, or, if that was killed, nobody
            // is left who could belong to it.
            if job.stop.is_some() && (job.reports.is_some() || strays) {
                continue;
            }
            job.told = true;
            let (code, signal) = ended.code();
            messages.push(FromInit::Exited {
                id: job.id,
                code,
                signal,
                cpu_us: ended.cpu_us,
                max_rss: ended.max_rss,
                stopped: job.stop.as_ref().map(Stop::result),
            });
            job.stop = None;
        }
        for message in messages {
            self.tell(message, Vec::new());
        }
        self.jobs.retain(|job| job.background || !job.told || job.reports.is_some());
        // Oldest first.
        while self.jobs.len() > REMEMBERED {
            let over = |job: &Job| {
                job.told && job.reports.is_none() && job.log.as_ref().is_none_or(|log| log.output.is_none())
            };
            match self.jobs.iter().position(over) {
                Some(index) => drop(self.jobs.remove(index)),
                None => break,
            }
        }
    }

    /// Whether anybody wants what runs inside: a host, or whoever started a background command to outlive it. (Other
    /// commands are on their way out once the host is gone.)
    fn wanted(&self) -> bool {
        self.host.is_some() || self.jobs.iter().any(|job| job.ended.is_none())
    }

    fn idle(&mut self) {
        if self.wanted() {
            self.unwanted_since = None;
        } else {
            self.unwanted_since.get_or_insert_with(Instant::now);
        }
        let Some(ms) = self.config.idle_ms else { return };
        let long = |since: Instant| since.elapsed() >= Duration::from_millis(ms);
        if self.host.is_none() && self.idle_since.is_some_and(long) {
            self.leave();
        }
        // What finished commands left running has had its time: nobody can have a use for it.
        if self.unwanted_since.is_some_and(long) {
            end();
        }
        if !self.idle_told && self.host.is_some() && self.idle_since.is_some_and(long) {
            self.idle_told = true;
            self.tell(FromInit::Idle, Vec::new());
        }
    }

    /// Goes while nothing runs, and says so to whoever comes next.
    fn leave(&self) -> ! {
        if let Some(left) = &self.left {
            // Without it the next host is told that processes may have been lost.
            let _ = rustix::io::write(left, b"idle\n");
        }
        end()
    }
}

/// Ends everything inside, waits until it is gone, and goes.
fn end() -> ! {
    loop {
        sys::signal_all(libc::SIGKILL);
        if sys::reap(true).is_err() {
            sys::exit(0);
        }
    }
}

/// Compares in constant time.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// Starts a connection to a port inside; the host waits for it to be made.
fn connect(port: u16) -> std::result::Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let v4 = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&v4, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
        Ok(()) | Err(Errno::INPROGRESS) => return Ok(v4),
        Err(Errno::CONNREFUSED) => {}
        Err(errno) => return Err(errno),
    }
    let v6 = rustix::net::socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None)
        .map_err(|_| Errno::CONNREFUSED)?;
    match rustix::net::connect(&v6, &SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(v6),
        Err(_) => Err(Errno::CONNREFUSED),
    }
}
