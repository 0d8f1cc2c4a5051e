//! Who made a container, so that what a process left behind when it died can be told from what is in use.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;

use super::container::{EPHEMERAL, MARK, OWNER, remove};
use super::endpoint::Engine;

/// This process: machine boot, process id namespace, id and start time. Empty where that cannot be told; containers
/// without an owner are never swept.
pub(crate) fn current() -> String {
    place()
        .and_then(|place| Some(format!("{place}/{}/{}", std::process::id(), started(std::process::id())?)))
        .unwrap_or_default()
}

/// Process ids mean the same to all processes of one place.
fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.display()))
}

/// When a process started, in ticks since boot: a number that is used again belongs to another one.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything; the start time is the 22nd field of all.
    stat.rsplit(") ").next()?.split(' ').nth(19)?.parse().ok()
}

/// True only if it is certain that the owner was of this place and is no more.
fn dead(owner: &str) -> bool {
    let Some(place) = place() else { return false };
    let Some(rest) = owner.strip_prefix(&place).and_then(|rest| rest.strip_prefix('/')) else { return false };
    let Some((pid, start)) = rest.split_once('/') else { return false };
    match (pid.parse().ok(), start.parse().ok()) {
        (Some(pid), Some(start)) => started(pid) != Some(start),
        _ => false,
    }
}

/// Removes what dead processes left: ephemeral sandboxes, and those that were never handed to anybody.
pub(crate) async fn sweep(engine: &Engine) {
    let filters = HashMap::from([("label", vec![MARK])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    // What cannot be swept now is tried again by the next process.
    let Ok(containers) = engine.docker.list_containers(Some(options)).await else { return };
    for container in containers {
        let labels = container.labels.unwrap_or_default();
        let temporary = labels.get(EPHEMERAL).is_some_and(|value| value == "true");
        let unstarted = container.state.is_some_and(|state| state.to_string() == "created");
        let orphan = labels.get(OWNER).is_some_and(|owner| dead(owner));
        if let Some(id) = container.id
            && orphan
            && (temporary || unstarted)
        {
            let _ = remove(engine, &id).await;
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_place_that_is_gone_is_dead() {
        let own = current();
        assert!(!own.is_empty() && !dead(&own));
        let (rest, start) = own.rsplit_once('/').unwrap_or_default();
        let (place, _) = rest.rsplit_once('/').unwrap_or_default();
        assert!(dead(&format!("{rest}/1")), "the same number, another process");
        assert!(dead(&format!("{place}/4194304/{start}")), "no such number");
        for unsure in ["", "x", "another-boot/pid:[1]/1/1", place, rest] {
            assert!(!dead(unsure), "{unsure}");
        }
    }
}
