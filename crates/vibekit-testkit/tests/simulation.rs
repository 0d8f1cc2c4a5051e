//! Random histories. `VIBEKIT_SIM_HISTORIES` sets how many, `VIBEKIT_SIM_SEED` replays one.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::sync::atomic::{AtomicU64, Ordering};

use vibekit_testkit::simulator::{Broken, Outcome, simulate};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Plays seeds `0..histories` on all cores. Of what broke, the shortest history.
fn play(histories: u64, one: impl Fn(u64) -> Result<Outcome, Broken> + Sync) -> Result<Outcome, Broken> {
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut total = Outcome::default();
        let mut shortest: Option<Broken> = None;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= histories {
                return shortest.map_or(Ok(total), Err);
            }
            match one(seed) {
                Ok(outcome) => total += outcome,
                Err(broken) => match &shortest {
                    Some(known) if known.trace.len() <= broken.trace.len() => {}
                    _ => shortest = Some(broken),
                },
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut total = Outcome::default();
        let mut shortest: Option<Broken> = None;
        for worker in workers {
            match worker.join().unwrap() {
                Ok(outcome) => total += outcome,
                Err(broken) => match &shortest {
                    Some(known) if known.trace.len() <= broken.trace.len() => {}
                    _ => shortest = Some(broken),
                },
            }
        }
        shortest.map_or(Ok(total), Err)
    })
}

#[test]
fn histories() {
    let (histories, result) = match number("VIBEKIT_SIM_SEED") {
        Some(seed) => (1, simulate(seed)),
        None => {
            let histories = number("VIBEKIT_SIM_HISTORIES").unwrap_or(10_000);
            (histories, play(histories, simulate))
        }
    };
    let total = result.unwrap_or_else(|broken| panic!("{broken}"));
    eprintln!("{histories} histories: {total:?}");
    // The world must be worth surviving.
    assert!(histories < 1_000 || (total.opens > histories && total.runs > histories));
}
