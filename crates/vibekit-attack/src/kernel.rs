//! System calls a sandboxed program has no business with. Arguments are chosen so that a call that gets past every
//! check of rights fails on them, or does nothing.

use std::ffi::OsString;

use crate::report::{isolated, tell};
use crate::sys::{self, Errno, sys};

const NULL: usize = 0;
/// `quotactl(QCMD(Q_SYNC, USRQUOTA))` for one device.
const QUOTA_GET: i64 = 0x0080_0007 << 8;

/// Rows 24 and 25.
pub(crate) fn kernel() {
    let mut parameters = [0_u64; 32];
    isolated(24, "io_uring_setup", || sys!(libc::SYS_io_uring_setup, 8, parameters.as_mut_ptr()));
    isolated(24, "io_uring_enter", || sys!(libc::SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
    isolated(24, "io_uring_register", || sys!(libc::SYS_io_uring_register, -1, 0, NULL, 0));

    let array_map = [2_u32, 4, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    isolated(25, "bpf map", || sys!(libc::SYS_bpf, 0, array_map.as_ptr(), 72));
    isolated(25, "bpf program", || sys!(libc::SYS_bpf, 5, array_map.as_ptr(), 72));
    isolated(25, "perf_event_open", || {
        // A software clock of our own process, the kernel left out.
        let mut attributes = [0_u64; 16];
        attributes[0] = 1 | (128 << 32);
        attributes[5] = 0b110_0000;
        sys!(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0)
    });
    isolated(25, "userfaultfd", || sys!(libc::SYS_userfaultfd, 1));
    isolated(25, "kexec_load", || sys!(libc::SYS_kexec_load, 0, 0, NULL, 0xffff_u32));
    isolated(25, "kexec_file_load", || sys!(libc::SYS_kexec_file_load, -1, -1, 0, NULL, 0xffff_u32));
    isolated(25, "init_module", || sys!(libc::SYS_init_module, NULL, 0, c""));
    isolated(25, "finit_module", || sys!(libc::SYS_finit_module, -1, c"", 0));
    isolated(25, "delete_module", || sys!(libc::SYS_delete_module, c"no-such-module", 0));
    isolated(25, "reboot", || sys!(libc::SYS_reboot, 0, 0, 0, NULL));
    isolated(25, "swapon", || sys!(libc::SYS_swapon, c"/no-such-swap", 0));
    isolated(25, "swapoff", || sys!(libc::SYS_swapoff, c"/no-such-swap"));
    isolated(25, "syslog size", || sys!(libc::SYS_syslog, 10, NULL, 0));
    isolated(25, "syslog read", || {
        let mut buffer = [0_u8; 64];
        sys!(libc::SYS_syslog, 3, buffer.as_mut_ptr(), buffer.len())
    });
    isolated(25, "quotactl", || sys!(libc::SYS_quotactl, QUOTA_GET, c"/dev/vda", 0, NULL));
    isolated(25, "open_by_handle_at", || {
        let handle = [8_u32, 1, 2, 0, 0, 0];
        sys!(libc::SYS_open_by_handle_at, libc::AT_FDCWD, handle.as_ptr(), libc::O_RDONLY)
    });
    isolated(25, "clock_settime", || {
        let mut now = [0_i64; 2];
        sys!(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, now.as_mut_ptr())?;
        sys!(libc::SYS_clock_settime, libc::CLOCK_REALTIME, now.as_ptr())
    });
    isolated(25, "settimeofday", || {
        let zone = [0_i32; 2];
        sys!(libc::SYS_settimeofday, NULL, zone.as_ptr())
    });
    isolated(25, "sethostname", || sys!(libc::SYS_sethostname, c"overtaken", 9));
    isolated(25, "setdomainname", || sys!(libc::SYS_setdomainname, c"overtaken", 9));
    isolated(25, "acct", || sys!(libc::SYS_acct, c"/no-such-file"));
    isolated(25, "vhangup", || sys!(libc::SYS_vhangup));
    isolated(25, "fanotify_init", || sys!(libc::SYS_fanotify_init, 0x10, 0));
    isolated(25, "lookup_dcookie", || sys!(libc::SYS_lookup_dcookie, 0, NULL, 0));
    isolated(25, "nfsservctl", || sys!(libc::SYS_nfsservctl, 0, NULL, NULL));
    isolated(25, "kcmp", || sys!(libc::SYS_kcmp, 1, 1, 0, 0, 0));
    #[cfg(target_arch = "x86_64")]
    {
        isolated(25, "iopl", || sys!(libc::SYS_iopl, 3));
        isolated(25, "ioperm", || sys!(libc::SYS_ioperm, 0x80, 1, 1));
        isolated(25, "modify_ldt", || {
            let descriptor = [0_u32, 0x1000, 0xfffff, 0x51];
            sys!(libc::SYS_modify_ldt, 1, descriptor.as_ptr(), size_of_val(&descriptor))
        });
        isolated(25, "uselib", || sys!(libc::SYS_uselib, c"/usr/lib/x86_64-linux-gnu/libc.so.6"));
    }
}

/// `keys SERIAL`: row 26, with a key of the host to read.
pub(crate) fn keys(arguments: &[OsString]) {
    const SESSION: i32 = -3;
    const USER: i32 = -4;
    const USER_SESSION: i32 = -5;
    let number = |position: usize| {
        arguments.get(position).and_then(|text| text.to_str()).and_then(|text| text.parse::<i32>().ok())
    };
    isolated(26, "add_key", || sys!(libc::SYS_add_key, c"user", c"vk-attack", c"x", 1, SESSION));
    isolated(26, "add_key to user keyring", || sys!(libc::SYS_add_key, c"user", c"vk-attack", c"x", 1, USER));
    isolated(26, "request_key", || sys!(libc::SYS_request_key, c"user", c"vk-attack", NULL, SESSION));
    for (name, keyring) in [("session", SESSION), ("user", USER), ("user session", USER_SESSION)] {
        isolated(26, &format!("find the {name} keyring"), || sys!(libc::SYS_keyctl, 0, keyring, 0));
        isolated(26, &format!("read the {name} keyring"), || {
            let mut buffer = [0_u8; 256];
            sys!(libc::SYS_keyctl, 11, keyring, buffer.as_mut_ptr(), buffer.len())
        });
    }
    isolated(26, "join a session keyring", || sys!(libc::SYS_keyctl, 1, c"vk-attack"));
    if let Some(serial) = number(0) {
        isolated(26, "read the host's key", || {
            let mut buffer = [0_u8; 256];
            let count = sys!(libc::SYS_keyctl, 11, serial, buffer.as_mut_ptr(), buffer.len())?;
            Ok(String::from_utf8_lossy(&buffer[..(count as usize).min(buffer.len())]).into_owned())
        });
    }
}

/// Row 27: other entrances to the kernel, where numbers mean other calls.
pub(crate) fn arch() {
    #[cfg(target_arch = "x86_64")]
    {
        isolated(27, "int 0x80 getpid", || int80(20));
        isolated(27, "int 0x80 mount", || int80(21));
        isolated(27, "int 0x80 unshare", || int80(310));
        const X32: i64 = 0x4000_0000;
        for (name, number) in [("getpid", libc::SYS_getpid), ("mount", libc::SYS_mount), ("ptrace", 521)] {
            isolated(27, &format!("x32 {name}"), || sys!(X32 | number, 0, 0, 0, 0, 0));
        }
    }
    for (name, persona) in [
        ("no random addresses", 0x004_0000),
        ("readable is executable", 0x040_0000),
        ("page zero", 0x010_0000),
    ] {
        isolated(27, &format!("personality: {name}"), || sys!(libc::SYS_personality, persona));
    }
    isolated(27, "map page zero", || {
        let anonymous = libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | libc::MAP_FIXED;
        sys!(libc::SYS_mmap, 0, 4096, libc::PROT_READ, anonymous, -1, 0)
    });
}

#[cfg(target_arch = "x86_64")]
fn int80(number: u32) -> Result<i64, Errno> {
    let result: i64;
    // SAFETY: a system call without pointers; the registers it changes are named.
    unsafe {
        std::arch::asm!(
            "push rbx", "xor ebx, ebx", "int 0x80", "pop rbx",
            inout("rax") u64::from(number) => result,
            in("rcx") 0, in("rdx") 0, in("rsi") 0, in("rdi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let result = i64::from(result as i32);
    if result < 0 { Err(Errno(-result as i32)) } else { Ok(result) }
}

/// Row 60: switches of the kernel that are files or priorities.
pub(crate) fn side_doors() {
    for (path, value) in [
        ("/proc/sys/kernel/hostname", "overtaken"),
        ("/proc/sys/kernel/core_pattern", "|/bin/sh"),
        ("/proc/sys/kernel/modprobe", "/tmp/x"),
        ("/proc/sys/kernel/ns_last_pid", "1"),
        ("/proc/sys/vm/overcommit_memory", "1"),
        ("/proc/sys/vm/drop_caches", "0"),
        ("/proc/sys/net/ipv4/ip_forward", "1"),
        ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
        ("/proc/sys/user/max_user_namespaces", "1000"),
        ("/proc/sys/fs/binfmt_misc/register", ""),
        ("/proc/sysrq-trigger", "h"),
        ("/proc/self/oom_score_adj", "-500"),
        ("/proc/1/oom_score_adj", "1000"),
        ("/proc/self/uid_map", "0 0 1"),
        ("/proc/self/gid_map", "0 0 1"),
        ("/proc/self/setgroups", "allow"),
        ("/proc/self/loginuid", "0"),
        ("/proc/self/timens_offsets", "monotonic 1 0"),
        ("/proc/self/attr/current", "unconfined"),
        ("/sys/fs/cgroup/cgroup.procs", "1"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "never"),
        ("/sys/power/state", ""),
    ] {
        isolated(60, &format!("write {path}"), || {
            let fd = sys::open(path, libc::O_WRONLY, 0)?;
            sys::write(fd, value.as_bytes())
        });
    }
    for path in
        ["/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list", "/proc/kpagecount", "/proc/kmsg"]
    {
        isolated(60, &format!("read {path}"), || {
            let fd = sys::open(path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
            match sys::read(fd, 64)? {
                bytes if bytes.is_empty() => Err(Errno(libc::ENODATA)),
                bytes => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            }
        });
    }
    isolated(60, "make a cgroup", || {
        sys!(libc::SYS_mkdirat, libc::AT_FDCWD, c"/sys/fs/cgroup/vk-attack", 0o755)
    });
    isolated(60, "real-time scheduling", || {
        let priority = 1_i32;
        sys!(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const priority)
    });
    isolated(60, "negative nice", || sys!(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, -10));
    isolated(60, "nice of process 1", || sys!(libc::SYS_setpriority, libc::PRIO_PROCESS, 1, 19));
    isolated(60, "nice of everybody", || sys!(libc::SYS_setpriority, libc::PRIO_USER, 0, 19));
    isolated(60, "idle scheduling of process 1", || {
        let priority = 0_i32;
        sys!(libc::SYS_sched_setscheduler, 1, libc::SCHED_IDLE, &raw const priority)
    });
    isolated(60, "processor of process 1", || {
        let mask = [1_u64; 16];
        sys!(libc::SYS_sched_setaffinity, 1, size_of_val(&mask), mask.as_ptr())
    });
    isolated(60, "io of process 1", || sys!(libc::SYS_ioprio_set, 1, 1, 3 << 13));
    isolated(60, "real-time io", || sys!(libc::SYS_ioprio_set, 1, 0, 1 << 13));
    for (name, resource) in [
        ("core", libc::RLIMIT_CORE),
        ("nproc", libc::RLIMIT_NPROC),
        ("nofile", libc::RLIMIT_NOFILE),
        ("memlock", libc::RLIMIT_MEMLOCK),
        ("nice", libc::RLIMIT_NICE),
        ("rtprio", libc::RLIMIT_RTPRIO),
    ] {
        isolated(60, &format!("raise hard limit {name}"), || {
            let mut old = [0_u64; 2];
            sys!(libc::SYS_prlimit64, 0, resource, NULL, old.as_mut_ptr())?;
            if old[1] == u64::MAX {
                // Nothing to raise: that is what the limit itself is tested for.
                return Err(Errno(libc::EINVAL));
            }
            let new = [old[1] + 1, old[1] + 1];
            sys!(libc::SYS_prlimit64, 0, resource, new.as_ptr(), NULL)
        });
    }
    isolated(60, "limits of process 1", || {
        let new = [4_u64, 4];
        sys!(libc::SYS_prlimit64, 1, libc::RLIMIT_NOFILE, new.as_ptr(), NULL)
    });
    tell(60, "core limit", limit(libc::RLIMIT_CORE));
}

fn limit(resource: u32) -> Result<u64, Errno> {
    let mut now = [0_u64; 2];
    sys!(libc::SYS_prlimit64, 0, resource, NULL, now.as_mut_ptr())?;
    Ok(now[1])
}
