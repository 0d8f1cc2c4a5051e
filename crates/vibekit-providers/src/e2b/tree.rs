//! Ending a command with everything it started.
//!
//! The daemon signals the main process alone. Its descendants are found by a variable they inherit, however often they fork or
//! change their parent, and by their parents, should they have cleaned their environment.

use std::time::Duration;

use vibekit_sandbox::{Code, Error, Result, Stopped};

use super::codec::Ended;
use super::daemon::{Daemon, Output, Start};

/// The variable every command of ours gets; its value is different for each.
pub(super) const MARK: &str = "VIBEKIT_RUN";
/// On top of the grace, for the script to run.
const PATIENCE: Duration = Duration::from_secs(10);
/// Names that are told at most.
const NAMES: usize = 32;

/// TERM to all, `$3` steps of 50 ms of grace, then KILL until none is left. Prints a line `pid name` for each. Nothing but a
/// POSIX shell, `grep`, `kill` and `sleep` is needed. Ends with 1 when some would not go.
const SCRIPT: &str = r#"
mark=$1 main=$2 steps=$3 seen=' '
tree() {
  set=' '
  for file in $(grep -lF "$mark" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${file#/proc/}; set="$set${pid%/environ} "
  done
  [ "$main" = 0 ] || set="$set$main "
  grown=1
  while [ "$grown" = 1 ]; do
    grown=0 alive=
    for file in /proc/[0-9]*/stat; do
      { read -r line < "$file"; } 2>/dev/null || continue
      pid=${line%% *}; line=${line##*) }
      state=${line%% *}; line=${line#* }; parent=${line%% *}
      [ "$state" = Z ] || [ "$state" = X ] && continue
      case $set in
        *" $pid "*) alive="$alive $pid" ;;
        *) case $set in *" $parent "*) set="$set$pid "; grown=1 ;; esac ;;
      esac
    done
  done
  for pid in $alive; do
    case $seen in *" $pid "*) continue ;; esac
    seen="$seen$pid "
    { read -r name < "/proc/$pid/comm"; } 2>/dev/null || name=
    printf '%s %s\n' "$pid" "$name"
  done
}
tree
[ -n "$alive" ] || exit 0
if [ "$steps" -gt 0 ]; then
  kill -TERM $alive 2>/dev/null
  while [ "$steps" -gt 0 ]; do
    sleep 0.05; tree
    [ -n "$alive" ] || exit 0
    steps=$((steps - 1))
  done
fi
tries=200
while [ "$tries" -gt 0 ]; do
  kill -STOP $alive 2>/dev/null; kill -KILL $alive 2>/dev/null
  tree
  [ -n "$alive" ] || exit 0
  sleep 0.02; tries=$((tries - 1))
done
exit 1
"#;

/// Ends the tree of the command with this mark. `main` is its main process, 0 when that has ended already.
pub(super) async fn end(daemon: &Daemon, mark: &str, main: u32, grace: Duration) -> Result<Stopped> {
    let steps = grace.as_millis().div_ceil(50);
    let args = ["-c", SCRIPT, "sh", &format!("{MARK}={mark}"), &main.to_string(), &steps.to_string()];
    let output = as_root(daemon, &args, grace + PATIENCE).await?;
    let told = String::from_utf8_lossy(&output.stdout);
    let mut stopped = Stopped::default();
    for line in told.lines() {
        let (_, name) = line.split_once(' ').unwrap_or((line, ""));
        stopped.processes += 1;
        if stopped.names.len() < NAMES {
            stopped.names.push(name.to_owned());
        }
    }
    match output.code {
        0 => Ok(stopped),
        code => Err(Error::new(
            Code::ProviderFailed,
            format!("E2B: some processes of the command could not be ended (status {code})."),
        )
        .with("processes", stopped.processes)),
    }
}

/// A main process that has ended, and whether something it started still is there, which may hold its output open.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) ended: Ended,
    pub(super) held: bool,
}

/// Whether the main process has ended, though the daemon has not told. The daemon takes no notice of it until everybody has let
/// go of its output, so until then it is there as what the kernel calls a zombie, with its status (`proc_pid_stat(5)`).
pub(super) async fn look(daemon: &Daemon, mark: &str, pid: u32) -> Option<Found> {
    const STATE: usize = 0;
    // Of the fields after the name: the manual counts 52 of all.
    const STATUS: usize = 49;
    // The environment of a zombie is empty, so only those that run are found.
    let script = r#"
read -r line <"/proc/$2/stat" && printf '%s\n' "${line##*) }"
grep -lqF "$1" /proc/[0-9]*/environ 2>/dev/null && echo held
"#;
    let args = ["-c", script, "sh", &format!("{MARK}={mark}"), &pid.to_string()];
    let output = as_root(daemon, &args, PATIENCE).await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines();
    let fields: Vec<&str> = lines.next()?.split_whitespace().collect();
    if fields.get(STATE) != Some(&"Z") {
        return None;
    }
    let status: i32 = fields.get(STATUS)?.parse().ok()?;
    let ended = match status & 0x7f {
        0 => Ended { exit_code: status >> 8 & 0xff, exited: true, status: String::new() },
        signal => Ended { exit_code: -1, exited: false, status: format!("signal: signal {signal}") },
    };
    Some(Found { ended, held: lines.next() == Some("held") })
}

/// Runs a helper as root, since what a command starts through `sudo` is root's, or as the sandbox's own user where there is
/// no root.
async fn as_root(daemon: &Daemon, args: &[&str], limit: Duration) -> Result<Output> {
    let start = |user| Start {
        program: "/bin/sh".to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: Vec::new(),
        cwd: Some("/".to_owned()),
        stdin: false,
        lifetime: Some(limit),
        user,
    };
    match daemon.run(&start(Some("root")), limit).await {
        Err(error) if error.code == Code::InvalidArgument => daemon.run(&start(None), limit).await,
        outcome => outcome,
    }
}
