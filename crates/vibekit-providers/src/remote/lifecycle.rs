//! Lives of sandboxes on a way on which requests and connections are lost, late and refused: each ends, leaves nothing
//! behind, and what is told of a command that succeeded is all it wrote. The clock is virtual.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use vibekit_http::{Backoff, Retry, Sockets, Transport};
use vibekit_sandbox::{Command, Exit, OpenRequest, Program, Provider, Result, Sandbox, Stdin, Stream};
use vibekit_testkit::Rng;
use vibekit_testkit::doubles::{Double, Memory, Odds, Play, Player};

/// Nothing may take longer, whatever goes wrong: every wait has a limit, and the limits add up to less.
const ENOUGH: Duration = Duration::from_secs(6 * 3600);

/// After this nothing is under way any more.
const QUIET: Duration = Duration::from_secs(600);

/// Plays the commands `play <seed> <finite|endless>`, and the script that stops them.
#[derive(Default)]
pub(crate) struct Programs {
    jobs: Mutex<HashMap<String, watch::Sender<bool>>>,
}

impl Programs {
    fn job(&self, job: &str) -> watch::Sender<bool> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.entry(job.to_owned()).or_insert_with(|| watch::Sender::new(false)).clone()
    }

    fn forget(&self) {
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

/// Plays `count` lives. `make` makes a provider over a way.
pub(crate) async fn lives<D: Double>(
    count: u64,
    programs: Arc<Programs>,
    double: Arc<D>,
    make: impl Fn(Arc<dyn Transport>, Arc<dyn Sockets>) -> Arc<dyn Provider>,
) {
    let odds = Odds { request: 60, socket: 150 };
    let memory = Memory::new(double.clone(), 7, odds);
    let provider = make(Arc::new(Retry::new(Arc::clone(&memory), Backoff::default())), memory.clone());
    let mut tally = [0u64; 5];
    for seed in 0..count {
        let life = life(&*provider, seed, &mut tally);
        assert!(tokio::time::timeout(ENOUGH, life).await.is_ok(), "Life {seed} hangs");
        tokio::time::sleep(QUIET).await;
        assert_eq!(double.leftovers(), [""; 0], "Life {seed} left something behind");
        double.log().take();
        programs.forget();
    }
    let [made, refused, dropped, whole, failed] = tally;
    // A suite in which everything goes well, or nothing does, shows nothing.
    assert!(made > count / 2 && refused > 0 && dropped > 0, "{tally:?}");
    assert!(whole > count / 2 && failed > 0, "{tally:?}");
    assert!(memory.tally().len() >= 10, "{:?}", memory.tally());
}

async fn life(provider: &dyn Provider, seed: u64, tally: &mut [u64; 5]) {
    let mut rng = Rng::new(seed);
    let request = OpenRequest { agent: "claude".to_owned(), ..OpenRequest::default() };
    let patience = if rng.chance(10) { Duration::from_millis(rng.below(2000)) } else { ENOUGH };
    let sandbox = match tokio::time::timeout(patience, provider.create(request)).await {
        Ok(Ok(sandbox)) => sandbox,
        Ok(Err(_)) => return tally[1] += 1,
        Err(_) => return tally[2] += 1,
    };
    tally[0] += 1;
    for _ in 0..rng.between(1, 3) {
        let (seed, endless) = (rng.below(1 << 40), rng.chance(20));
        let patience = if rng.chance(10) { Duration::from_millis(rng.below(5000)) } else { ENOUGH };
        match tokio::time::timeout(patience, run(&*sandbox, seed, endless)).await {
            Ok(Ok((output, exit))) => {
                tally[3] += 1;
                let written = |error: bool| -> Vec<u8> {
                    lines(seed)
                        .into_iter()
                        .filter(|line| line.1 == error)
                        .flat_map(|line| line.2.to_vec())
                        .collect()
                };
                if endless {
                    assert!(exit.timed_out, "{exit:?}");
                } else {
                    assert_eq!(u64::try_from(exit.code), Ok(seed % 256));
                    assert_eq!(
                        output,
                        [written(false), written(true)],
                        "Output of {seed} is not what it wrote"
                    );
                }
            }
            Ok(Err(_)) => tally[4] += 1,
            Err(_) => tally[2] += 1,
        }
    }
    // As a caller has to who is told that it failed.
    for _ in 0..50 {
        if sandbox.kill().await.is_ok() {
            return;
        }
    }
    panic!("The sandbox could not be killed");
}

async fn run(sandbox: &dyn Sandbox, seed: u64, endless: bool) -> Result<([Vec<u8>; 2], Exit)> {
    let command = Command {
        program: Program::Shell(format!("play {seed} {}", if endless { "endless" } else { "finite" })),
        stdin: Stdin::Null,
        env: Vec::new(),
        cwd: None,
        timeout_ms: endless.then_some(30_000),
        background: false,
        read_only: false,
    };
    let mut process = sandbox.spawn(command).await?;
    let mut output = [Vec::new(), Vec::new()];
    while let Some((stream, bytes)) = process.next().await? {
        output[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
    }
    Ok((output, process.exit().await?))
}
