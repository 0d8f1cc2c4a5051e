//! Requests to and reports from an init.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::{Attestation, Config};

/// From the host to the init.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToInit {
    /// First message over the first connection. Descriptors: a file with the contents of [`Config::files`], one after
    /// the other, then one `cgroup.procs` file per control group.
    Config(Box<Config>),
    /// First message over a later connection.
    Attach {
        /// [`crate::VERSION`].
        version: u32,
        /// [`Config::token`].
        token: [u8; 32],
    },
    /// The host has accepted the attestation: commands may come, and a persistent session outlives the connection.
    /// Descriptors, for a persistent session: the bound control socket, the lock that is held while the init lives, and
    /// the file it writes to when it goes and nothing is lost with it.
    Commit,
    /// Start a command. Descriptors: standard input, output, error; for background commands standard input and log.
    Exec(Box<Exec>),
    /// Signal the main process of a command.
    Signal {
        /// Which command.
        id: u32,
        /// Which signal.
        signal: i32,
    },
    /// End a command's whole tree: TERM, `grace_ms`, KILL.
    Stop {
        /// Which command.
        id: u32,
        /// Milliseconds between TERM and KILL.
        grace_ms: u64,
        /// True when the command's time limit is the reason.
        timed_out: bool,
    },
    /// Stop all processes until [`ToInit::Thaw`]. Descriptor: the `cgroup.procs` file of a frozen control group, to be joined
    /// by everybody. Without one, or where that is refused, they are stopped by signals.
    Pause {
        /// Answered with [`FromInit::Done`].
        request: u32,
    },
    /// Let them run again. The group has been thawed by the host.
    Thaw {
        /// Answered with [`FromInit::Done`].
        request: u32,
    },
    /// Connect to a port on loopback inside. Answered with [`FromInit::Connecting`] and a descriptor.
    Connect {
        /// Echoed.
        request: u32,
        /// TCP port.
        port: u16,
    },
    /// Report on all jobs. Answered with [`FromInit::Sample`].
    Look {
        /// Echoed.
        request: u32,
    },
    /// The answer to [`FromInit::Idle`]: nothing is on its way, go.
    Park,
    /// End all processes and go.
    Shutdown,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Chosen by the host, unique within the init's life.
    pub id: u32,
    /// Program name or path; without a slash it is looked up in the `PATH` of `env`.
    pub program: Vec<u8>,
    /// Arguments, `argv[0]` included.
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value`. Holds secrets.
    pub env: Vec<Vec<u8>>,
    /// Working directory inside.
    pub cwd: String,
    /// The working directory cannot be written to by the command and all it starts. Fails with `EOPNOTSUPP` where the
    /// kernel cannot see to that.
    pub read_only: bool,
    /// Present for background commands.
    pub background: Option<Background>,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Arguments and environment may hold secrets; they never reach a log, not even a debugging one.
        f.debug_struct("Exec").field("id", &self.id).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        self.env.iter_mut().for_each(Zeroize::zeroize);
        self.argv.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// How a background command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Background {
    /// Bytes of output kept in the log; what is beyond is counted and dropped.
    pub log_limit: u64,
    /// Milliseconds of running time after which the init stops it, the host being there or not.
    pub timeout_ms: Option<u64>,
    /// Milliseconds between TERM and KILL in that case.
    pub grace_ms: u64,
}

/// From the init to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromInit {
    /// From the launcher: the init's process id on the host.
    Launched {
        /// Process id.
        pid: u32,
    },
    /// The session could not be built.
    Refused(Failure),
    /// Listeners of the session, one descriptor each. Comes before [`FromInit::Ready`], as often as needed.
    Listeners {
        /// Ports and kinds.
        listeners: Vec<Listener>,
    },
    /// The session is built and locked down. Descriptors: working directory, home, temporary directory,
    /// logs.
    Ready {
        /// What the init measured.
        attestation: Box<Attestation>,
        /// Commands of earlier connections, empty on the first one.
        jobs: Vec<Job>,
        /// True when the session is paused.
        paused: bool,
    },
    /// A command runs.
    Started {
        /// Which command.
        id: u32,
        /// Process id inside.
        pid: u32,
    },
    /// A command could not be started.
    Failed {
        /// Which command.
        id: u32,
        /// Why.
        reason: Reason,
        /// The kernel's word.
        errno: i32,
    },
    /// The main process of a command is gone (and, when it was stopped, its tree).
    Exited {
        /// Which command.
        id: u32,
        /// Exit code, or 128 + signal.
        code: i32,
        /// Signal that ended it, 0 for none.
        signal: i32,
        /// CPU time in microseconds.
        cpu_us: u64,
        /// Largest resident set in bytes.
        max_rss: u64,
        /// What a stop found.
        stopped: Option<StoppedTree>,
    },
    /// A request without a result is done.
    Done {
        /// Which one.
        request: u32,
    },
    /// Answer to [`ToInit::Connect`], with a socket when `errno` is 0. The connection may still be under way.
    Connecting {
        /// Which one.
        request: u32,
        /// 0 or why not.
        errno: i32,
    },
    /// Answer to [`ToInit::Look`].
    Sample {
        /// Which one.
        request: u32,
        /// All jobs, and the number of processes.
        jobs: Vec<Job>,
        /// Processes inside, the session's own not counted.
        processes: u32,
    },
    /// No processes for the configured time.
    Idle,
}

/// What a tree stop found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedTree {
    /// Processes that were ended.
    pub processes: u32,
    /// Their names, at most 32.
    pub names: Vec<String>,
    /// True when all processes of the session had to be ended.
    pub session_reset: bool,
    /// True when a time limit was the reason.
    pub timed_out: bool,
}

/// A listener that is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listener {
    /// Captured TCP port.
    Tcp(u16),
    /// DNS over UDP.
    DnsUdp,
    /// DNS over TCP.
    DnsTcp,
    /// HTTP `CONNECT` proxy.
    Connect,
    /// SOCKS5 proxy.
    Socks,
}

/// A command the init knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Id of its [`Exec`].
    pub id: u32,
    /// Process id inside.
    pub pid: u32,
    /// True for background commands.
    pub background: bool,
    /// Code as in [`FromInit::Exited`], `None` while it runs.
    pub code: Option<i32>,
    /// Bytes of output that were not kept.
    pub dropped: u64,
}

/// Why a command could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// No such program.
    NotFound,
    /// There is one, it cannot be executed.
    NotExecutable,
    /// The interpreter its first line names does not exist.
    BadInterpreter,
    /// The working directory is missing or no directory.
    WorkingDirectory,
    /// Arguments and environment are too long.
    TooLong,
    /// No process could be made (limit reached).
    Resources,
    /// Anything else.
    Other,
}

/// A step of building a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Reading the configuration.
    Config,
    /// Preparing binds before the privileges go.
    Prepare,
    /// Joining a control group.
    Cgroup,
    /// `clone` with all namespaces.
    Clone,
    /// Writing `uid_map` and `gid_map`.
    IdMap,
    /// Becoming the mapped user.
    Identity,
    /// The root file system.
    Root,
    /// Making host paths visible.
    Bind,
    /// Mounting a fresh `/proc`.
    Proc,
    /// Devices.
    Devices,
    /// The overlay of the working directory.
    Overlay,
    /// `pivot_root`.
    Pivot,
    /// Loopback, routes, listeners.
    Network,
    /// Resource limits and quotas.
    Limits,
    /// Dropping capabilities.
    Capabilities,
    /// Landlock.
    Landlock,
    /// The system call filter.
    Seccomp,
    /// Measuring the result.
    Attest,
    /// Serving.
    Serve,
}

/// A failed step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which step.
    pub step: Step,
    /// The kernel's word.
    pub errno: i32,
    /// What exactly, for humans: a call or a path inside.
    pub what: String,
}
