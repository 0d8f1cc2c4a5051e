//! Lives of sandboxes on a way on which requests and connections are lost, late and refused: each ends, leaves nothing
//! behind, and what is told of a command that succeeded is all it wrote. The clock is virtual.
//!
//! A life is its seed. `VIBEKIT_LIVES=4711` plays that one alone, `VIBEKIT_LIVES=10000..20000` others than usual.

mod programs;
mod sabotage;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use vibekit_http::{Backoff, Retry, Sockets, Transport};
use vibekit_sandbox::{Command, Exit, OpenRequest, Program, Provider, Result, Sandbox, Stdin, Stream};
use vibekit_testkit::Rng;
use vibekit_testkit::doubles::{Double, Memory, Odds, Player};

use self::programs::{Programs, written};
pub(crate) use self::sabotage::{Sabotage, noticed};

/// Nothing may take longer, whatever goes wrong: every wait has a limit, and the limits add up to less.
const ENOUGH: Duration = Duration::from_secs(6 * 3600);

/// After this nothing is under way any more.
const QUIET: Duration = Duration::from_secs(1200);

const ODDS: Odds = Odds { request: 60, socket: 150 };

/// A service and its provider.
pub(crate) trait Cloud {
    /// A new double whose commands are played.
    fn double(&self, player: Arc<dyn Player>) -> Arc<dyn Double>;
    /// A provider that takes this way to it.
    fn provider(&self, http: Arc<dyn Transport>, sockets: Arc<dyn Sockets>) -> Arc<dyn Provider>;
}

/// How lives went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    made: u64,
    refused: u64,
    /// Given up by whoever waited.
    dropped: u64,
    /// Commands told of to their end.
    whole: u64,
    failed: u64,
    resumed: u64,
    troubles: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.refused += other.refused;
        self.dropped += other.dropped;
        self.whole += other.whole;
        self.failed += other.failed;
        self.resumed += other.resumed;
        for (what, times) in &other.troubles {
            *self.troubles.entry(what).or_default() += times;
        }
    }
}

/// The seeds that were asked for, or the usual ones.
fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(wanted) = std::env::var("VIBEKIT_LIVES") else { return usual };
    let number =
        |text: &str| text.trim().parse::<u64>().expect("VIBEKIT_LIVES is a seed, or two with .. between");
    match wanted.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&wanted)..number(&wanted) + 1,
    }
}

/// Plays lives, and panics with the seed of the first that does not go as it must.
pub(crate) async fn lives(cloud: &dyn Cloud, usual: Range<u64>) {
    let wanted = seeds(usual.clone());
    let mut tally = Tally::default();
    for seed in wanted.clone() {
        match life(cloud, seed, None).await {
            Ok((one, _)) => tally.add(&one),
            Err(what) => panic!("{what}\nAlone: VIBEKIT_LIVES={seed}"),
        }
    }
    if wanted != usual {
        return;
    }
    // A suite in which everything goes well, or nothing does, shows nothing.
    let count = wanted.end - wanted.start;
    let Tally { made, refused, dropped, whole, failed, resumed, troubles } = &tally;
    assert!(*made > count / 2 && *refused > 0 && *dropped > 0 && *resumed > 0, "{tally:?}");
    assert!(*whole > count / 2 && *failed > 0, "{tally:?}");
    assert!(troubles.len() >= 10, "{tally:?}");
}

/// Plays some lives twice: a seed that does not lead to the same life again would be of no use.
pub(crate) async fn replays(cloud: &dyn Cloud, seeds: Range<u64>) {
    for seed in seeds {
        let (one, other) = (life(cloud, seed, None).await, life(cloud, seed, None).await);
        assert_eq!(one, other, "{seed} is two lives");
    }
}

/// One life. What went wrong, or how it went and what happened when.
async fn life(
    cloud: &dyn Cloud,
    seed: u64,
    sabotage: Option<Sabotage>,
) -> std::result::Result<(Tally, Vec<String>), String> {
    let programs = Arc::new(Programs::default());
    let double = cloud.double(programs.clone());
    let memory = Memory::new(double.clone(), seed, ODDS);
    let (http, sockets) = Sabotage::of(sabotage, memory.clone());
    let jitter = Mutex::new(Rng::new(!seed));
    let chance = move || {
        let mut rng = jitter.lock().unwrap_or_else(PoisonError::into_inner);
        rng.below(1000) as f64 / 1000.0
    };
    let http = Retry::new(http, Backoff::default()).with_chance(chance);
    let provider = cloud.provider(Arc::new(http), sockets);
    let mut life = Life {
        provider,
        programs: Arc::clone(&programs),
        rng: Rng::new(seed),
        begin: Instant::now(),
        tally: Tally::default(),
        story: Vec::new(),
    };
    let lived = timeout(ENOUGH, life.live()).await;
    let mut lived = lived.unwrap_or_else(|_| Err("It hangs".to_owned()));
    if lived.is_ok() {
        sleep(QUIET).await;
        let left = double.leftovers();
        if !left.is_empty() {
            lived = Err(format!("It left something behind: {left:?}"));
        }
    }
    programs.forget();
    lived.map_err(|what| format!("Life {seed}: {what}. What it told: {:#?}", life.story))?;
    life.tally.troubles = memory.tally();
    Ok((life.tally, life.story))
}

struct Life {
    provider: Arc<dyn Provider>,
    programs: Arc<Programs>,
    rng: Rng,
    begin: Instant,
    tally: Tally,
    story: Vec<String>,
}

impl Life {
    fn note(&mut self, what: impl std::fmt::Debug) {
        self.story.push(format!("{:?} {what:?}", self.begin.elapsed()));
    }

    /// Most callers wait; some do not.
    fn patience(&mut self, most: u64) -> Duration {
        if self.rng.chance(10) { Duration::from_millis(self.rng.below(most)) } else { ENOUGH }
    }

    async fn live(&mut self) -> std::result::Result<(), String> {
        let request = OpenRequest { agent: "claude".to_owned(), ..OpenRequest::default() };
        let patience = self.patience(2000);
        let mut sandbox = match timeout(patience, self.provider.create(request)).await {
            Ok(Ok(sandbox)) => sandbox,
            Ok(Err(error)) => {
                self.note(error.code);
                self.tally.refused += 1;
                return Ok(());
            }
            Err(_) => {
                self.tally.dropped += 1;
                return Ok(());
            }
        };
        self.tally.made += 1;
        for _ in 0..self.rng.between(1, 3) {
            self.command(&*sandbox).await?;
            if self.rng.chance(15) {
                // As another process would, which shares nothing but the id.
                match self.provider.resume(sandbox.id(), OpenRequest::default()).await {
                    Ok(again) => {
                        self.tally.resumed += 1;
                        sandbox = again;
                    }
                    Err(error) => self.note(error.code),
                }
            }
            if self.rng.chance(10) {
                // The name itself has chance in it.
                let named = sandbox.host(3000).await.map(drop).map_err(|error| error.code);
                self.note(named);
            }
        }
        // Commands that were given up, or failed, are ended even where ending them has to be tried again.
        sleep(QUIET).await;
        let running = self.programs.running();
        if running > 0 {
            return Err(format!("{running} commands run that nobody waits for"));
        }
        // As a caller has to who is told that it failed.
        for _ in 0..50 {
            match sandbox.kill().await {
                Ok(()) => return Ok(()),
                Err(error) => self.note(error.code),
            }
        }
        Err("The sandbox could not be killed".to_owned())
    }

    async fn command(&mut self, sandbox: &dyn Sandbox) -> std::result::Result<(), String> {
        let (seed, endless) = (self.rng.below(1 << 40), self.rng.chance(20));
        let patience = self.patience(5000);
        match timeout(patience, run(sandbox, seed, endless)).await {
            Ok(Ok((output, exit))) => {
                self.note(exit.code);
                self.tally.whole += 1;
                if endless && !exit.timed_out {
                    return Err(format!("A command that has no end ended: {exit:?}"));
                }
                if !endless && u64::try_from(exit.code) != Ok(seed % 256) {
                    return Err(format!("The exit code of command {seed} is told as {}", exit.code));
                }
                if !endless && output != written(seed) {
                    return Err(format!("Output of command {seed} is not what it wrote"));
                }
            }
            Ok(Err(error)) => {
                self.note(&error);
                self.tally.failed += 1;
            }
            Err(_) => self.tally.dropped += 1,
        }
        Ok(())
    }
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
