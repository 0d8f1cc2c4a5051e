//! Living on after the end.

use std::ffi::OsString;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::report::say;
use crate::sys::{self, sys};

/// No process of this program lives longer, whatever happens to the one that should end it.
const LIFETIME: Duration = Duration::from_secs(25);

type Way = (&'static str, fn());

const WAYS: &[Way] = &[
    ("plain", idle),
    ("session", || {
        let _ = sys!(libc::SYS_setsid);
        idle();
    }),
    ("orphan", || {
        let _ = sys!(libc::SYS_setsid);
        if sys::fork() == Ok(0) {
            idle();
        }
        sys::exit(0);
    }),
    ("deaf", || {
        for signal in 1..32 {
            // SAFETY: ignoring a signal has no handler to be wrong about.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        idle();
    }),
    ("stopped", || {
        let _ = sys!(libc::SYS_kill, std::process::id(), libc::SIGSTOP);
        idle();
    }),
    ("renamed", || {
        let _ = sys!(libc::SYS_prctl, libc::PR_SET_NAME, c"kworker/0:1");
        idle();
    }),
    ("silent", || {
        let _ = sys!(libc::SYS_setsid);
        for fd in 0..3 {
            sys::close(fd);
        }
        idle();
    }),
    ("runner", run_away),
    ("runner deaf", || {
        let _ = sys!(libc::SYS_setsid);
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        run_away();
    }),
    ("reaper", || {
        let _ = sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1);
        if sys::fork() == Ok(0) {
            if sys::fork() == Ok(0) {
                idle();
            }
            sys::exit(0);
        }
        idle();
    }),
];

/// `survive exit|stay [WAY]`: starts a process per way of surviving. `stay` waits for the end itself, deaf to requests;
/// `exit` leaves them behind, output held open.
pub(crate) fn survive(arguments: &[OsString]) {
    let wanted = arguments.get(1).and_then(|way| way.to_str());
    for (name, live) in WAYS {
        if wanted.is_some_and(|wanted| wanted != *name) {
            continue;
        }
        if sys::fork() == Ok(0) {
            let title = sys::cstring(format!("vk {name}"));
            let _ = sys!(libc::SYS_prctl, libc::PR_SET_NAME, title.as_c_str());
            live();
            sys::exit(0);
        }
        say(46, &format!("started {name}"), "ok", "");
    }
    if arguments.first().is_some_and(|mode| mode == "stay") {
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        idle();
    }
}

fn idle() {
    let begun = Instant::now();
    while begun.elapsed() < LIFETIME {
        sys::sleep_ms(50);
    }
    sys::exit(0);
}

/// A process that is always somebody else by the time it is looked at.
fn run_away() {
    let begun = Instant::now();
    while begun.elapsed() < LIFETIME {
        match sys::fork() {
            Ok(0) => {}
            Ok(_) => sys::exit(0),
            Err(_) => sys::sleep_ms(1),
        }
        // Every generation lives a little, or the runner would take a whole processor for nothing.
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// `tick FILE MILLISECONDS`: a byte into the file and one to standard output, every millisecond, each by a process of
/// its own, while another one spins.
pub(crate) fn tick(arguments: &[OsString]) {
    let [file, duration] = arguments else { return };
    let duration = duration.to_str().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let duration = Duration::from_millis(duration).min(LIFETIME);
    let begun = Instant::now();
    let spinner = sys::fork().unwrap_or(-1);
    if spinner == 0 {
        while begun.elapsed() < duration {
            std::hint::spin_loop();
        }
        sys::exit(0);
    }
    while begun.elapsed() < duration {
        if let Ok(pid) = sys::fork() {
            if pid == 0 {
                if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(file) {
                    let _ = file.write_all(b".");
                }
                let _ = sys::write(1, b".");
                sys::exit(0);
            }
            let _ = sys::wait(pid);
        }
        sys::sleep_ms(1);
    }
    if spinner > 0 {
        let _ = sys::wait(spinner);
    }
    sys::exit(0);
}

/// `hold`: says it is there and stays, to be looked at from outside.
pub(crate) fn hold() {
    say(0, "holding", "ok", &std::process::id().to_string());
    let _ = std::io::stdout().flush();
    idle();
}
