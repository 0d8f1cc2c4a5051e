//! A command as one line for a POSIX shell.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use vibekit_core::Command;
use vibekit_core::text::quote;
use vibekit_sandbox::Program;

use super::stop;

/// Variable that holds a sandbox's own working directory, for whoever attaches to it later.
pub(crate) const WORKING_DIRECTORY: &str = "VIBEKIT_WORKING_DIRECTORY";

/// What a command is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// In the environment of all its processes, and in the names of its files. No secret.
    pub(crate) job: String,
    /// Marks our own lines in its output. Known to nobody in the sandbox while it runs.
    pub(crate) mark: String,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self { job: random(), mark: random() }
    }
}

/// Sixteen digits nobody can guess: the keys of a `RandomState` come from the system.
fn random() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{:016x}",
        RandomState::new().hash_one((NEXT.fetch_add(1, Ordering::Relaxed), std::process::id()))
    )
}

/// Where a command's standard input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// The end of file at once.
    Null,
    /// The shell's own.
    Inherited,
    /// A file, which is removed when it is open.
    File(&'a str),
    /// A pipe of this name, made by the script and held open until `<name>.pid` is killed.
    Fifo(&'a str),
}

/// What a line is made of.
pub(crate) struct Script<'a> {
    pub(crate) names: &'a Names,
    pub(crate) command: &'a Command,
    /// Used when the sandbox does not say where its commands start.
    pub(crate) directory: &'a str,
    /// Environment that the shell sets itself.
    pub(crate) env: &'a [(String, String)],
    /// A file of further environment, which is removed when it is read.
    pub(crate) env_file: Option<&'a str>,
    pub(crate) input: Input<'a>,
}

/// Checks and becomes the program. `$0` is the mark, `$1` the directory to be relative to, `$2` the wish, `$3` the job;
/// markers go to 3. A start that was given up has left a file behind.
const ENTER: &str = r#"cd -- "$1" 2>/dev/null && cd -- "${2:-.}" 2>/dev/null || { printf "\036%s!cwd\n" "$0" >&3; exit 126; }
[ -e "/tmp/.vibekit-$3.stop" ] && exit 143
shift 3
case "$1" in */*) [ -f "$1" ] && [ -x "$1" ];; *) command -v "$1" >/dev/null 2>&1;; esac || { printf "\036%s!program\n" "$0" >&3; exit 127; }
printf "\036%s+%s\n" "$0" "$$" >&3
exec 3>&-
exec "$@""#;

impl Script<'_> {
    /// The line. It leaves the shell it runs in as it was.
    pub(crate) fn text(&self) -> String {
        let Names { job, mark } = self.names;
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = write!(line, "(VIBEKIT_JOB={job}; export VIBEKIT_JOB; ");
        line.push_str(&exports(self.env));
        if let Some(file) = self.env_file {
            let _ = write!(line, ". {file}; rm -f {file}; ");
        }
        match self.input {
            Input::File(file) => {
                let _ = write!(line, "exec <{file}; rm -f {file}; ");
            }
            Input::Fifo(name) => {
                let _ = write!(line, "exec <{name}; ");
            }
            Input::Null => line.push_str("exec </dev/null; "),
            Input::Inherited => {}
        }
        let wish = self.command.cwd.as_deref().unwrap_or_default();
        // A session of its own, where that can be had, is one more way to find all its processes again.
        let _ = write!(
            line,
            "exec $(command -v setsid) sh -c {} {mark} \"${{{WORKING_DIRECTORY}:-{}}}\" {} {job} ",
            quote(ENTER),
            in_double_quotes(self.directory),
            quote(wish)
        );
        match &self.command.program {
            Program::Shell(text) => {
                let _ = write!(line, "sh -c {}", quote(text));
            }
            Program::Exec { program, args } => {
                line.push_str(&quote(program));
                for arg in args {
                    line.push(' ');
                    line.push_str(&quote(arg));
                }
            }
        }
        line.push(')');
        if self.command.background { self.background(&line) } else { self.foreground(&line) }
    }

    fn foreground(&self, inner: &str) -> String {
        let mark = &self.names.mark;
        let (before, after) = match self.input {
            // The pipe's other end is held by a process that does nothing, so that it has no end before it is closed.
            Input::Fifo(name) => (
                format!(
                    "rm -f {name}; mkfifo -m 600 {name}; sleep 2147483 <>{name} >/dev/null 2>&1 3>&- & echo $! >{name}.pid; "
                ),
                format!("kill $(cat {name}.pid) 2>/dev/null; rm -f {name} {name}.pid {name}.part; "),
            ),
            _ => Default::default(),
        };
        format!(
            "({before}{inner} 3>&1; vk=$?; {after}printf '\\036{mark}=%s\\n' \"$vk\"; printf '\\036{mark}.\\n' >&2)"
        )
    }

    fn background(&self, inner: &str) -> String {
        let Names { job, mark } = self.names;
        let limit = self.command.timeout_ms.map_or_else(String::new, |limit| {
            format!(
                "(sleep {}; {}) >/dev/null 2>&1 </dev/null 3>&- & ",
                limit.div_ceil(1000),
                stop::words(job, 0, 20).iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
            )
        });
        format!("({inner} 3>&1 >/tmp/vibekit-{job}.log 2>&1 & {limit}printf '\\036{mark}.\\n' >&2)")
    }
}

/// Statements that set environment.
pub(crate) fn exports(env: &[(String, String)]) -> String {
    env.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{name}={}; export {name}; ", quote(value));
        text
    })
}

fn in_double_quotes(text: &str) -> String {
    text.chars().fold(String::new(), |mut quoted, c| {
        if matches!(c, '"' | '\\' | '$' | '`' | '}') {
            quoted.push('\\');
        }
        quoted.push(c);
        quoted
    })
}
