//! Using up what others need too. Everything is bounded: a sandbox without limits must not take the machine along.

use std::ffi::OsString;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::report::{isolated, say, tell};
use crate::sys::{self, Attempt, Errno, sys};

const MIB: usize = 1 << 20;

/// `forks LIMIT HOLD-MILLISECONDS`: children that stay; the detail is how many there were before the first failure.
pub(crate) fn forks(arguments: &[OsString]) {
    let (limit, hold) = (number(arguments, 0).min(3000), number(arguments, 1));
    let mut children = Vec::new();
    let mut stopped_by = None;
    while children.len() < limit && stopped_by.is_none() {
        match sys::fork() {
            Ok(0) => {
                sys::sleep_ms(20_000);
                sys::exit(0);
            }
            Ok(pid) => children.push(pid),
            Err(errno) => stopped_by = Some(errno),
        }
    }
    sys::sleep_ms(hold as u64);
    let count = children.len();
    for pid in children {
        let _ = sys!(libc::SYS_kill, pid, libc::SIGKILL);
        let _ = sys::wait(pid);
    }
    let outcome = stopped_by.map_or_else(|| "ok".to_owned(), |errno| errno.to_string());
    say(40, "forks", &outcome, &count.to_string());
}

/// `eat BYTES PROCESSES`: touches memory in each process until it is there or the process is not.
pub(crate) fn eat(arguments: &[OsString]) {
    let (bytes, processes) = (number(arguments, 0), number(arguments, 1).clamp(1, 32));
    let share = bytes / processes;
    let children: Vec<Attempt<i32>> = (0..processes)
        .map(|_| match sys::fork()? {
            0 => sys::exit(if touch(share).is_ok() { 0 } else { 1 }),
            pid => Ok(pid),
        })
        .collect();
    let mut whole = 0;
    for child in children {
        if child.and_then(sys::wait) == Ok(0) {
            whole += 1;
        }
    }
    let outcome = if whole == processes { "ok" } else { "ENOMEM" };
    say(41, &format!("eat in {processes}"), outcome, &format!("{whole} of {processes} got {share} bytes"));
    isolated(41, "lock memory", || {
        let at = map(64 * MIB)?;
        sys!(libc::SYS_mlock, at, 64 * MIB)
    });
    isolated(41, "lock all memory", || sys!(libc::SYS_mlockall, 3));
}

fn touch(bytes: usize) -> Attempt<()> {
    let at = map(bytes)?;
    for page in (0..bytes).step_by(4096) {
        // SAFETY: within the mapping just made, which nobody else knows of.
        unsafe { at.add(page).write_volatile(1) };
    }
    // Long enough to be there at the same time as the other processes' shares.
    sys::sleep_ms(1500);
    Ok(())
}

fn map(bytes: usize) -> Attempt<*mut u8> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_ANONYMOUS | libc::MAP_PRIVATE);
    sys!(libc::SYS_mmap, 0, bytes, access, kind, -1, 0).map(|at| at as *mut u8)
}

/// `fill WAY DIRECTORY BYTES`: `file`, `small`, `sparse`, `deleted` or `allocated`. The detail is how far it came.
pub(crate) fn fill(arguments: &[OsString]) {
    let [way, directory, _] = arguments else { return };
    let bytes = number(arguments, 2);
    let way = way.to_str().unwrap_or_default();
    let directory = std::path::Path::new(directory);
    let path = directory.join(format!("fill-{way}"));
    let mut done = 0_usize;
    let result: Attempt<()> = (|| {
        match way {
            "small" => {
                std::fs::create_dir_all(&path)?;
                for index in 0..(bytes / 4096).min(50_000) {
                    std::fs::write(path.join(index.to_string()), [1_u8; 4096])?;
                    done += 4096;
                }
                return Ok(());
            }
            "sparse" => {
                let file = std::fs::File::create(&path)?;
                return Ok(file.set_len(bytes as u64)?);
            }
            "allocated" => {
                let fd = sys::open(&path, libc::O_CREAT | libc::O_RDWR, 0o644)?;
                return sys!(libc::SYS_fallocate, fd, 0, 0, bytes).map(|_| done = bytes);
            }
            _ => {}
        }
        let mut file = std::fs::File::create(&path)?;
        if way == "deleted" {
            std::fs::remove_file(&path)?;
        }
        let block = vec![7_u8; MIB];
        while done < bytes {
            file.write_all(&block)?;
            done += MIB;
        }
        sys::sleep_ms(500);
        Ok(())
    })();
    let outcome = result.map_or_else(|errno| errno.to_string(), |()| "ok".to_owned());
    say(43, &format!("fill {way} in {}", directory.display()), &outcome, &done.to_string());
}

/// `spin PROCESSES MILLISECONDS`: all of the processor.
pub(crate) fn spin(arguments: &[OsString]) {
    let (processes, duration) =
        (number(arguments, 0).min(16), Duration::from_millis(number(arguments, 1) as u64));
    let children: Vec<i32> = (0..processes)
        .filter_map(|_| match sys::fork() {
            Ok(0) => {
                let begun = Instant::now();
                while begun.elapsed() < duration {
                    std::hint::spin_loop();
                }
                sys::exit(0)
            }
            other => other.ok(),
        })
        .collect();
    for pid in &children {
        let _ = sys::wait(*pid);
    }
    tell(42, "spin", Ok(children.len()));
}

/// `flood BYTES KIND`: `zeros`, `line` (no newline at all) or `utf8` (characters that never end where a block does).
/// Gives no report of its own: the output is the attack.
pub(crate) fn flood(arguments: &[OsString]) {
    let bytes = number(arguments, 0);
    let pattern: &[u8] = match arguments.get(1).and_then(|kind| kind.to_str()) {
        Some("line") => b"x",
        Some("utf8") => "aß€😀\u{0301}".as_bytes(),
        Some("broken") => b"\xf0\x9f\x98ok\xff\xc3\n",
        _ => b"\0",
    };
    let block: Vec<u8> = pattern.iter().copied().cycle().take(pattern.len() * 65_536).collect();
    let mut left = bytes;
    let mut out = std::io::stdout().lock();
    while left > 0 {
        let count = left.min(block.len());
        if out.write_all(&block[..count]).is_err() {
            sys::exit(1);
        }
        left -= count;
    }
    let _ = out.flush();
    sys::exit(0);
}

/// A table's name and how to take one entry more.
type Taking = (&'static str, fn(usize) -> Attempt);

/// `exhaust HOLD-MILLISECONDS`: tables of the kernel, each until it is full. The detail is how many there were.
pub(crate) fn exhaust(arguments: &[OsString]) {
    const ENOUGH: usize = 70_000;
    let hold = number(arguments, 0) as u64;
    let ways: &[Taking] = &[
        ("inotify instances", |_| sys!(libc::SYS_inotify_init1, 0)),
        ("descriptors", |_| sys!(libc::SYS_dup, 1)),
        ("terminals", |_| sys::open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0).map(i64::from)),
        ("sockets", |_| sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_DGRAM, 0)),
        ("event counters", |_| sys!(libc::SYS_eventfd2, 0, 0)),
        ("memory files", |_| sys!(libc::SYS_memfd_create, c"x", 0)),
        ("message queues", |_| sys!(libc::SYS_msgget, 0, 0o1600)),
        ("shared memory", |_| sys!(libc::SYS_shmget, 0, 4096, 0o1600)),
        ("keys", |index| {
            let name = sys::cstring(index.to_string());
            sys!(libc::SYS_add_key, c"user", name.as_c_str(), c"x", 1, -3)
        }),
    ];
    for (name, take) in ways {
        isolated(45, name, || {
            let mut count = 0;
            let mut last = Errno(0);
            while count < ENOUGH {
                match take(count) {
                    Ok(_) => count += 1,
                    Err(errno) => {
                        last = errno;
                        break;
                    }
                }
            }
            sys::sleep_ms(hold);
            Ok(format!("{count} until {last}"))
        });
    }
    isolated(45, "inotify watches", || {
        let fd = sys!(libc::SYS_inotify_init1, 0)?;
        std::fs::create_dir_all("watched")?;
        let mut count = 0_usize;
        while count < 2000 {
            let path = format!("watched/{count}");
            std::fs::write(&path, "")?;
            let path = sys::cstring(path);
            if sys!(libc::SYS_inotify_add_watch, fd, path.as_c_str(), libc::IN_MODIFY).is_err() {
                break;
            }
            count += 1;
        }
        Ok(count)
    });
}

fn number(arguments: &[OsString], position: usize) -> usize {
    arguments.get(position).and_then(|text| text.to_str()).and_then(|text| text.parse().ok()).unwrap_or(0)
}
