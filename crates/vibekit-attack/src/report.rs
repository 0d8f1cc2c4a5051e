//! One JSON line per attempt.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;

use crate::sys::{self, Attempt, Errno, sys};

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

/// Seconds an attempt may take before it is ended and reported as `SIGALRM`.
const PATIENCE: u32 = 8;

/// Tells how an attempt went: `ok` (it worked), the name of the error, or the name of the signal that ended it.
pub(crate) fn say(row: u16, probe: &str, outcome: &str, detail: &str) {
    let mut line = format!("{{\"row\":{row},\"probe\":");
    quote(&mut line, probe);
    line.push_str(",\"outcome\":");
    quote(&mut line, outcome);
    if !detail.is_empty() {
        line.push_str(",\"detail\":");
        quote(&mut line, detail);
    }
    line.push_str("}\n");
    COUNT.set(COUNT.get() + 1);
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

/// The last line: how many lines there should be before it, so that a lost one is noticed.
pub(crate) fn end() {
    let count = COUNT.get();
    say(0, "end", "ok", &count.to_string());
}

/// Tells a result without running anything apart.
pub(crate) fn tell<T: ToString>(row: u16, probe: &str, attempt: Attempt<T>) {
    match attempt {
        Ok(detail) => say(row, probe, "ok", &detail.to_string()),
        Err(errno) => say(row, probe, &errno.to_string(), ""),
    }
}

/// Makes an attempt in a child process, where it can neither harm nor help the next one.
pub(crate) fn isolated<T: ToString>(row: u16, probe: &str, attempt: impl FnOnce() -> Attempt<T>) {
    begin(row, probe, attempt).end();
}

/// An attempt that is being made.
pub(crate) struct Begun {
    row: u16,
    probe: String,
    child: Attempt<(i32, i32)>,
}

/// Begins an attempt in a child process. Those that wait for the network are made at the same time.
pub(crate) fn begin<T: ToString>(row: u16, probe: &str, attempt: impl FnOnce() -> Attempt<T>) -> Begun {
    let child = apart(|| attempt().map(|detail| detail.to_string()));
    Begun { row, probe: probe.to_owned(), child }
}

impl Begun {
    /// Waits for the attempt and tells how it went.
    pub(crate) fn end(self) {
        match self.child.and_then(|(child, reader)| outcome(child, reader)) {
            Ok((outcome, detail)) => say(self.row, &self.probe, &outcome, &detail),
            Err(errno) => say(self.row, &self.probe, "unprobed", &errno.to_string()),
        }
    }
}

/// The child, and where it writes how it went.
fn apart(attempt: impl FnOnce() -> Attempt<String>) -> Attempt<(i32, i32)> {
    let mut ends = [0_i32; 2];
    sys!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK)?;
    let [reader, writer] = ends;
    let child = sys::fork()?;
    if child == 0 {
        // SAFETY: only arms a timer.
        unsafe { libc::alarm(PATIENCE) };
        let text = match attempt() {
            Ok(detail) => format!("ok\0{}", detail.chars().take(2000).collect::<String>()),
            Err(errno) => errno.to_string(),
        };
        let _ = sys::write(writer, text.as_bytes());
        sys::exit(0);
    }
    sys::close(writer);
    Ok((child, reader))
}

fn outcome(child: i32, reader: i32) -> Attempt<(String, String)> {
    let status = sys::wait(child);
    let bytes = sys::read(reader, 16_384).unwrap_or_default();
    sys::close(reader);
    let status = status?;
    if libc::WIFSIGNALED(status) {
        return Ok((signal_name(libc::WTERMSIG(status)), String::new()));
    }
    let text = String::from_utf8_lossy(&bytes);
    let (outcome, detail) = text.split_once('\0').unwrap_or((&text, ""));
    if outcome.is_empty() {
        return Err(Errno(libc::ECHILD));
    }
    Ok((outcome.to_owned(), detail.to_owned()))
}

fn signal_name(number: i32) -> String {
    match number {
        libc::SIGSYS => "SIGSYS".to_owned(),
        libc::SIGKILL => "SIGKILL".to_owned(),
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        libc::SIGALRM => "SIGALRM".to_owned(),
        libc::SIGBUS => "SIGBUS".to_owned(),
        other => format!("signal {other}"),
    }
}

fn quote(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                line.push('\\');
                line.push(character);
            }
            control if (control as u32) < 0x20 => {
                let _ = write!(line, "\\u{:04x}", control as u32);
            }
            other => line.push(other),
        }
    }
    line.push('"');
}
