//! Hosts other than this one, made out of it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::sys::sys;
use crate::{internet, report};

/// `wrap CONDITION PROGRAM [ARGUMENT …]`: runs a program with system calls missing, as container engines do it.
/// `no-namespaces`: `unshare` and `clone` with namespace flags give EPERM, `clone3` is unknown. `no-landlock`: the
/// Landlock calls are unknown. `no-seccomp`: no filter can be loaded. `no-memfd`: no anonymous files. `no-mount`: no
/// mounts. `internet`: with a world around the network namespace we are in, see [`internet`].
pub(crate) fn wrap(arguments: &[OsString]) -> ExitCode {
    let [condition, program, rest @ ..] = arguments else { return ExitCode::from(64) };
    if condition == "internet" {
        let sockets = match internet::set_up() {
            Ok(sockets) => sockets,
            Err(errno) => {
                report::say(0, "internet", &errno.to_string(), "");
                return ExitCode::from(70);
            }
        };
        let _ = Command::new(program).args(rest).env(internet::VARIABLE, sockets).exec();
        return ExitCode::from(71);
    }
    let filter = match condition.to_str().unwrap_or_default() {
        "no-namespaces" => no_namespaces(),
        "no-landlock" => refusing(&[444, 445, 446], libc::ENOSYS),
        "no-seccomp" => refusing(&[libc::SYS_seccomp as u32], libc::ENOSYS),
        "no-memfd" => refusing(&[libc::SYS_memfd_create as u32], libc::EPERM),
        "no-mount" => refusing(&[libc::SYS_mount as u32, libc::SYS_move_mount as u32], libc::EPERM),
        _ => return ExitCode::from(64),
    };
    let program_filter = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let loaded = sys!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        .and_then(|_| sys!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program_filter));
    if loaded.is_err() {
        return ExitCode::from(70);
    }
    let _ = Command::new(program).args(rest).exec();
    ExitCode::from(71)
}

const fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Offset of the low half of the first argument in `struct seccomp_data`.
const FIRST_ARGUMENT: u32 = 16;

fn refusal(errno: i32) -> libc::sock_filter {
    step(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0)
}

fn refusing(numbers: &[u32], errno: i32) -> Vec<libc::sock_filter> {
    let mut filter = vec![step(LOAD, 0, 0, 0)];
    for number in numbers {
        filter.push(step(EQUAL, *number, 0, 1));
        filter.push(refusal(errno));
    }
    filter.push(step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    filter
}

fn no_namespaces() -> Vec<libc::sock_filter> {
    let kinds = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    vec![
        step(LOAD, 0, 0, 0),
        step(EQUAL, libc::SYS_clone3 as u32, 0, 1),
        refusal(libc::ENOSYS),
        step(EQUAL, libc::SYS_unshare as u32, 1, 0),
        step(EQUAL, libc::SYS_clone as u32, 0, 3),
        step(LOAD, FIRST_ARGUMENT, 0, 0),
        step(ANY_BIT, kinds as u32, 0, 1),
        refusal(libc::EPERM),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ]
}
