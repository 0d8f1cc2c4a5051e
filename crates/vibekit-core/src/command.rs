//! What runs in a sandbox, and how it ended.

use serde::{Deserialize, Serialize};

use crate::text::quote;
use crate::{Code, Error};

/// What to execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Program {
    /// A line for `sh -c`.
    Shell(String),
    /// A program found through `PATH` (or a path), and its arguments without the program itself. No shell.
    Exec {
        /// Name or path.
        program: String,
        /// Arguments after `argv[0]`.
        args: Vec<String>,
    },
}

/// Standard input of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// These bytes, then end of file.
    Bytes(Vec<u8>),
    /// A pipe the caller writes to later.
    Pipe,
}

/// A command as a provider gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// What to execute.
    pub program: Program,
    /// Its standard input.
    pub stdin: Stdin,
    /// Environment on top of the sandbox's own, in order; the last of two equal names wins. May hold secrets.
    pub env: Vec<(String, String)>,
    /// Working directory inside the sandbox, absolute or relative to the session's own, which `None` is.
    pub cwd: Option<String>,
    /// Milliseconds of running (not paused) time after which the whole tree is stopped. `None`: no limit.
    pub timeout_ms: Option<u64>,
    /// Keep running after the call returned; output goes to a log in the sandbox.
    pub background: bool,
    /// Neither the command nor anything it starts can change a file of the working directory: not make, write, empty,
    /// rename, link or remove one. Home and temporary directories stay writable. Providers that cannot see to that
    /// refuse such a command, they never run it without.
    #[serde(default)]
    pub read_only: bool,
}

impl Command {
    /// What a sandbox says that cannot hold a command to reading.
    #[must_use]
    pub fn read_only_refusal() -> Error {
        Error::new(Code::Unsupported, "This sandbox cannot hold a command to reading")
            .with_field("readOnly")
            .with_hint(
                "It takes the local environment, Linux 6.2 or later with Landlock, and a working directory outside \
                 of /tmp and /home/user.",
            )
    }
}

impl Command {
    /// A program with nothing special about it: no input, no environment of its own, no limit, in the foreground.
    #[must_use]
    pub const fn new(program: Program) -> Self {
        Self {
            program,
            stdin: Stdin::Null,
            env: Vec::new(),
            cwd: None,
            timeout_ms: None,
            background: false,
            read_only: false,
        }
    }

    /// A line for the shell with nothing special about it.
    #[must_use]
    pub fn shell(line: impl Into<String>) -> Self {
        Self::new(Program::Shell(line.into()))
    }

    /// The environment as a line for a POSIX shell that gives it to all that follows, for providers that take nothing but a
    /// line. Empty without one. May hold secrets: it must not become part of a line as it is.
    #[must_use]
    pub fn exports(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.env {
            line.push_str(if line.is_empty() { "export " } else { " " });
            line.push_str(name);
            line.push('=');
            line.push_str(&quote(value));
        }
        line
    }

    /// A program and its arguments with nothing special about it.
    #[must_use]
    pub fn exec<'a>(program: &str, args: impl IntoIterator<Item = &'a str>) -> Self {
        let args = args.into_iter().map(str::to_owned).collect();
        Self::new(Program::Exec { program: program.to_owned(), args })
    }
}

/// How an agent is run: a command plus what the machine needs to read its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invocation {
    /// Program name as the user would type it (`claude`).
    pub program: String,
    /// Arguments, never through a shell.
    pub args: Vec<String>,
    /// The prompt for agents that read it from standard input, byte-exact.
    pub stdin: Vec<u8>,
    /// Credentials, base URLs and quiet settings.
    pub env: Vec<(String, String)>,
    /// Files to put into the sandbox before the start: absolute path inside (may begin with `$HOME/`), content.
    /// Used for prompt files of agents that do not read standard input, and for settings files.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Which stream a chunk came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What stopping a command's process tree took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// Processes that were still running and were ended, the main one included.
    pub processes: u32,
    /// Their names (`comm`), at most 32 of them.
    pub names: Vec<String>,
    /// True when only ending the whole session's processes got rid of them.
    pub session_reset: bool,
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Exit code; 128 + n when signal n ended it, as shells report it.
    pub code: i32,
    /// The signal, if one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// True when the command's own time limit ended it.
    #[serde(default)]
    pub timed_out: bool,
    /// Present when the tree was stopped (time limit, cancel).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// True when a memory limit ended it.
    #[serde(default)]
    pub out_of_memory: bool,
    /// True when the connection to a remote sandbox broke while it ran, and what it wrote meanwhile is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub output_gap: bool,
    /// CPU time of the main process and its waited-for children, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Largest resident set of one of them, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rss: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn exports_mean_nothing_but_themselves_to_a_shell() {
        let mut command = Command::shell("true");
        assert_eq!(command.exports(), "");
        command.env = vec![("A".to_owned(), "plain".to_owned()), ("B".to_owned(), "it's $x".to_owned())];
        assert_eq!(command.exports(), r"export A=plain B='it'\''s $x'");
    }
}
