//! What is run in sandboxes that are played.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use vibekit_testkit::Rng;
use vibekit_testkit::doubles::{Play, Player};

/// Plays the commands `play <seed> <finite|endless>`, and the script that stops them.
#[derive(Default)]
pub(super) struct Programs {
    /// True: it was stopped, perhaps before it was started.
    jobs: Mutex<HashMap<String, watch::Sender<bool>>>,
}

impl Programs {
    fn job(&self, job: &str) -> watch::Sender<bool> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.entry(job.to_owned()).or_insert_with(|| watch::Sender::new(false)).clone()
    }

    /// Commands without an end that still run.
    pub(super) fn running(&self) -> usize {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.values().filter(|stop| !*stop.borrow() && stop.receiver_count() > 0).count()
    }

    pub(super) fn forget(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What a program writes: lines on both streams.
fn lines(seed: u64) -> Vec<(Duration, bool, Bytes)> {
    let mut rng = Rng::new(seed);
    (0..rng.between(0, 8))
        .map(|number| {
            let text = "x".repeat(usize::try_from(rng.below(60)).unwrap_or(0));
            let line = format!("{number} ✓ {text}\n");
            (Duration::from_millis(rng.below(3000)), rng.chance(30), line.into())
        })
        .collect()
}

/// Standard output and standard error of a program.
pub(super) fn written(seed: u64) -> [Vec<u8>; 2] {
    [false, true].map(|error| {
        lines(seed).into_iter().filter(|line| line.1 == error).flat_map(|line| line.2.to_vec()).collect()
    })
}

impl Player for Programs {
    fn play(&self, text: &str) -> Play {
        let after = |what: &str| text.split_once(what).map(|(_, rest)| rest);
        let line = |text: String| (Duration::ZERO, false, Bytes::from(text));
        let Some(job) = after("VIBEKIT_JOB=").map(|rest| &rest[..16]).filter(|_| !text.contains("look()"))
        else {
            let (code, said) = self.one_shot(text);
            return Play { output: vec![line(said)], code, ..Play::default() };
        };
        let mark = text.split_once("=%s").map_or("", |(before, _)| &before[before.len() - 16..]);
        let stop = self.job(job);
        if *stop.borrow() {
            // Given up before it was started.
            return Play { code: 143, ..Play::default() };
        }
        let mut words = after("play ").unwrap_or("0 finite").split(|c: char| !c.is_ascii_alphanumeric());
        let seed = words.next().and_then(|seed| seed.parse().ok()).unwrap_or(0);
        let endless = words.next() == Some("endless");
        let code = if endless { 143 } else { i32::try_from(seed % 256).unwrap_or(0) };
        let mut output = vec![line(format!("\x1e{mark}+7\n"))];
        output.extend(lines(seed));
        let last = vec![
            line(format!("\x1e{mark}={code}\n")),
            (Duration::ZERO, true, Bytes::from(format!("\x1e{mark}.\n"))),
        ];
        Play { output, until: endless.then(|| stop.subscribe()), last, code }
    }

    fn one_shot(&self, text: &str) -> (i32, String) {
        if text.contains("look()") {
            let mut words = text.trim_end().rsplit(' ').map(|word| word.trim_matches('\''));
            if let Some(job) = words.nth(2) {
                self.job(job).send_replace(true);
                return (0, "stopped 1 sh/\n".to_owned());
            }
        }
        (0, String::new())
    }
}
