//! Who is running, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// A process of the session.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) name: String,
    /// Already gone, only waiting to be reaped.
    pub(crate) zombie: bool,
    /// Stopped by a signal.
    pub(crate) stopped: bool,
}

/// All processes but the init itself. Processes that come or go meanwhile may be missing.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok().filter(|pid| *pid != 1)?;
            parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
        })
        .collect()
}

/// The name may hold anything, closing parentheses included; the fields begin after the last one.
fn parse(pid: u32, stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let (zombie, stopped) = (matches!(state, "Z" | "X"), matches!(state, "T" | "t"));
    Some(Process { pid, parent, name, zombie, stopped })
}

/// Those of `all` whose chain of parents reaches `wanted` before it ends.
pub(crate) fn descendants(all: &[Process], wanted: impl Fn(&Process) -> bool) -> Vec<&Process> {
    let by_pid: HashMap<u32, &Process> = all.iter().map(|process| (process.pid, process)).collect();
    all.iter()
        .filter(|process| {
            let mut here = *process;
            // A chain cannot be longer than the list; the bound guards against a torn snapshot with a cycle.
            for _ in 0..all.len() {
                if wanted(here) {
                    return true;
                }
                match by_pid.get(&here.parent) {
                    Some(parent) => here = parent,
                    None => return false,
                }
            }
            false
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let process = parse(7, b"7 (a) R 1 (b\n) S 5 7 7 0").unwrap();
        assert_eq!((process.name.as_str(), process.parent, process.zombie), ("a) R 1 (b\n", 5, false));
        assert!(parse(7, b"7 (x) Z 5").unwrap().zombie);
        assert!(parse(7, b"").is_none());
        assert!(parse(7, b")(").is_none());
    }

    #[test]
    fn a_tree_is_followed_through_any_depth_and_survives_cycles() {
        let process =
            |pid, parent| Process { pid, parent, name: String::new(), zombie: false, stopped: false };
        let all = [process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(8, 9), process(9, 8)];
        let found: Vec<u32> = descendants(&all, |p| p.parent == 2).iter().map(|p| p.pid).collect();
        assert_eq!(found, [3, 4]);
    }
}
