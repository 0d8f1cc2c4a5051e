//! Compares what a sandbox attests with what was asked for.

use rustix::io::Errno;
use vibekit_core::{Code, Error, Result};
use vibekit_sandboxd_wire::{Attestation, Config, INSIDE_ID, NAMESPACES, VERSION};

const TMPFS: i64 = 0x0102_1994;

/// Accepts a sandbox, or says what is wrong with it. The caller kills what is not accepted.
pub(crate) fn verify(config: &Config, attestation: &Attestation) -> Result<()> {
    let mut problems = Vec::new();
    let mut demand = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let Attestation { ids, capabilities, .. } = attestation;
    demand(attestation.version == VERSION, "the helper has another version");
    demand(attestation.pid == 1, "it is not the first process of its namespace");
    demand(ids.iter().all(|id| *id == INSIDE_ID), "it has another user inside");
    demand(attestation.uid_map == format!("{INSIDE_ID} {} 1", config.identity.uid), "its user map differs");
    demand(attestation.gid_map == format!("{INSIDE_ID} {} 1", config.identity.gid), "its group map differs");
    demand(!config.identity.privileged || attestation.groups == 0, "it kept supplementary groups");
    demand(config.identity.uid != 0 && config.identity.gid != 0, "it is root on the host");
    demand(attestation.no_new_privs, "it may gain privileges");
    demand(attestation.seccomp == 2, "no system call filter is in force");
    demand(
        attestation.forbidden_call == Errno::PERM.raw_os_error(),
        "a forbidden system call was let through",
    );
    demand(capabilities.iter().all(|set| *set == 0), "it has capabilities");
    demand(attestation.root_fs == TMPFS && attestation.root_read_only, "its root is not the private one");
    demand(
        attestation.landlock == 0 || attestation.landlock_denied == Errno::ACCESS.raw_os_error(),
        "Landlock did not deny what it should",
    );
    demand(attestation.canaries_seen.is_empty(), "it sees files of the host");
    demand(!attestation.dumpable, "its memory can be read");
    demand(attestation.interfaces == ["lo"], "it has network interfaces beside loopback");
    for (name, inode) in NAMESPACES.iter().zip(attestation.namespaces) {
        let ours = rustix::fs::stat(format!("/proc/self/ns/{name}")).map(|stat| stat.st_ino);
        demand(
            inode != 0 && ours.is_ok_and(|ours| ours != inode),
            &format!("it shares the {name} namespace"),
        );
    }
    if problems.is_empty() {
        return Ok(());
    }
    let list: Vec<serde_json::Value> = problems.iter().cloned().map(Into::into).collect();
    Err(Error::new(
        Code::AttestationFailed,
        format!("The sandbox is not what was asked for: {}", problems.join("; ")),
    )
    .with("problems", list))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vibekit_sandboxd_wire::Identity;

    use super::*;

    fn good() -> (Config, Attestation) {
        let identity = Identity { uid: 5, gid: 6, privileged: true };
        let attestation = Attestation {
            version: VERSION,
            pid: 1,
            ids: [INSIDE_ID; 6],
            uid_map: "1000 5 1".into(),
            gid_map: "1000 6 1".into(),
            groups: 0,
            no_new_privs: true,
            seccomp: 2,
            capabilities: [0; 5],
            namespaces: [1, 2, 3, 4, 5, 6, 7],
            root_fs: TMPFS,
            root_read_only: true,
            forbidden_call: 1,
            landlock: 7,
            landlock_denied: 13,
            canaries_seen: Vec::new(),
            dumpable: false,
            interfaces: vec!["lo".into()],
        };
        (Config { identity, ..Config::default() }, attestation)
    }

    #[test]
    fn the_right_sandbox_is_accepted_and_every_lie_is_found() {
        let (config, fine) = good();
        verify(&config, &fine).unwrap();
        let ours = rustix::fs::stat("/proc/self/ns/net").unwrap().st_ino;
        let lies: [fn(&mut Attestation); 14] = [
            |a| a.version += 1,
            |a| a.pid = 7,
            |a| a.ids[1] = 0,
            |a| a.uid_map = "0 0 4294967295".into(),
            |a| a.groups = 1,
            |a| a.no_new_privs = false,
            |a| a.seccomp = 0,
            |a| a.forbidden_call = 14,
            |a| a.capabilities[3] = 1,
            |a| a.root_read_only = false,
            |a| a.landlock_denied = 0,
            |a| a.canaries_seen.push("/root".into()),
            |a| a.dumpable = true,
            |a| a.interfaces.push("eth0".into()),
        ];
        for lie in lies {
            let mut attestation = fine.clone();
            lie(&mut attestation);
            assert_eq!(verify(&config, &attestation).unwrap_err().code, Code::AttestationFailed);
        }
        let mut shared = fine;
        shared.namespaces[3] = ours;
        assert!(verify(&config, &shared).unwrap_err().message.contains("net namespace"));
    }
}
