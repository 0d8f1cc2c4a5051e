//! Ending a command's processes, all of them, from a second shell.

use std::time::Duration;

use vibekit_sandbox::Stopped;

/// `$0` is the job, `$1` its main process (0: not known), `$2` tenths of a second between TERM and KILL.
///
/// Processes are found by the job's name in their environment, which they inherit whatever becomes of their parents, and
/// by the main process's session. It leaves a file that keeps a start that is on its way from becoming one. Holds no
/// single quote, because one-shot commands of Daytona's older servers know no way to write one.
const STOP: &str = r#": >"/tmp/.vibekit-$0.stop"
rm -f "/tmp/.vibekit-$0.env" "/tmp/.vibekit-$0.in"
look() {
  for found in $(grep -l "VIBEKIT_JOB=$0" /proc/[0-9]*/environ 2>/dev/null); do found=${found#/proc/}; echo "${found%/environ}"; done
  [ "$1" -gt 0 ] || return 0
  for found in /proc/[0-9]*/stat; do
    { read -r line <"$found"; } 2>/dev/null || continue
    line=${line##*) }
    session=${line#* * * }
    session=${session%% *}
    case "$line" in Z*) continue;; esac
    [ "$session" = "$1" ] || continue
    found=${found#/proc/}
    echo "${found%/stat}"
  done
}
first=$(look "$1" | sort -un)
count=0
names=
for one in $first; do
  count=$((count + 1))
  [ "$count" -gt 32 ] || { read -r name </proc/$one/comm && names="$names$name/"; } 2>/dev/null
done
echo "stopped $count $names"
[ "$count" -gt 0 ] || exit 0
if [ "$2" -gt 0 ]; then
  kill -TERM $first 2>/dev/null
  left=$2
  while [ "$left" -gt 0 ] && [ -n "$(look "$1")" ]; do sleep 0.1 2>/dev/null || sleep 1; left=$((left - 1)); done
fi
left=50
while rest=$(look "$1") && [ -n "$rest" ] && [ "$left" -gt 0 ]; do kill -KILL $rest 2>/dev/null; sleep 0.05 2>/dev/null || sleep 1; left=$((left - 1)); done
[ -z "$rest" ] || echo left"#;

/// A program and its arguments that end a job. Starts of it that are still to come do not happen.
pub(crate) fn words(job: &str, pid: u32, grace_tenths: u128) -> [String; 6] {
    [
        "sh".to_owned(),
        "-c".to_owned(),
        STOP.to_owned(),
        job.to_owned(),
        pid.to_string(),
        grace_tenths.to_string(),
    ]
}

/// Tenths of a second, rounded up.
pub(crate) fn tenths(grace: Duration) -> u128 {
    grace.as_millis().div_ceil(100)
}

/// What the script said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) stopped: Stopped,
    /// Processes are left that nothing ends.
    pub(crate) left: bool,
}

/// Reads what the script said. `None`: it did not run.
pub(crate) fn report(output: &str) -> Option<Report> {
    let mut lines = output.lines();
    let mut first = lines.find_map(|line| line.strip_prefix("stopped "))?.splitn(2, ' ');
    let processes = first.next()?.parse().ok()?;
    let names = first
        .next()
        .unwrap_or_default()
        .split('/')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let left = lines.any(|line| line == "left");
    Some(Report { stopped: Stopped { processes, names, session_reset: false }, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_can_be_put_in_single_quotes() {
        assert!(!STOP.contains('\''));
    }

    #[test]
    fn reports_are_read() {
        let stopped =
            Stopped { processes: 2, names: vec!["sh".into(), "my job".into()], session_reset: false };
        assert_eq!(report("stopped 2 sh/my job/\n"), Some(Report { stopped: stopped.clone(), left: false }));
        assert_eq!(report("noise\nstopped 2 sh/my job/\nleft\n"), Some(Report { stopped, left: true }));
        assert_eq!(report("sh: not found"), None);
    }
}
