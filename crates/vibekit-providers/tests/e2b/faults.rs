//! Conversations with the service that are broken at every byte, stalled, late, lost and repeated.
//!
//! The clock is virtual and nothing is run, so that ten thousand of them take seconds. One half follows a script, with one fault
//! at one place: every request, and every byte of every answer. The other half is by chance, with many. After each it is asked
//! what the double saw: whether anything was lost, left behind, or told otherwise than it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use vibekit_core::Admitted;
use vibekit_http::{Backoff, Retry, Transport};
use vibekit_providers::e2b::codec::{Batch, Decoder};
use vibekit_providers::e2b::{E2bOptions, E2bProvider};
use vibekit_sandbox::{Code, Command, Error, Exit, OpenRequest, Provider, Result, Sandbox, Stdin, Stream};
use vibekit_testkit::Rng;
use vibekit_testkit::doubles::e2b::{Double, Options};
use vibekit_testkit::doubles::way::{Fate, Passage, Trouble, Way};

use crate::stage::{Kind, PART, Part, Stage};

/// Until a sandbox is there, or it is known that it will not be: what a machine above waits for.
const OPEN: Duration = Duration::from_secs(600);
/// For every other call, on top of what a command itself takes. A request may take a minute, and is tried four times.
const CALL: Duration = Duration::from_secs(420);
/// After this nothing is under way any more.
const QUIET: Duration = Duration::from_secs(600);
/// So many, and more if it takes more, go over every byte of the script.
const WHOLE: u64 = 10_000;
/// Conversations that went wrong, as far as they are shown.
const SHOWN: usize = 12;
/// What a provider is made with in this suite.
type Wrap = dyn Fn(Arc<dyn Transport>) -> Arc<dyn Transport>;

/// What was found wrong.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(Wrong(format!($($text)+)));
        }
    };
}

/// What the conversations were like, so that a suite in which nothing happens does not pass.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) whole: u64,
    pub(crate) gaps: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    pub(crate) refused: u64,
    pub(crate) troubles: BTreeMap<String, u64>,
    /// The longest of each kind of call.
    pub(crate) longest: BTreeMap<&'static str, Duration>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.gaps += other.gaps;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.refused += other.refused;
        for (name, times) in other.troubles {
            *self.troubles.entry(name).or_default() += times;
        }
        for (name, time) in other.longest {
            let longest = self.longest.entry(name).or_default();
            *longest = time.max(*longest);
        }
    }
}

/// One conversation under test.
struct Stand {
    double: Arc<Double>,
    way: Arc<Way>,
    provider: Arc<dyn Provider>,
    rng: Mutex<Rng>,
    tally: Mutex<Tally>,
    /// One fault at most: then nothing may be left running.
    strict: bool,
}

fn fate(rng: &Mutex<Rng>, trouble: impl FnOnce(&mut Rng) -> Trouble) -> Fate {
    let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
    Fate { latency: Duration::from_millis(rng.between(1, 6)), trouble: trouble(&mut rng) }
}

impl Stand {
    fn new(
        seed: u64,
        strict: bool,
        wrap: &Wrap,
        trouble: impl Fn(usize, &mut Rng) -> Trouble + Send + Sync + 'static,
    ) -> Self {
        let options =
            Options { programs: Some(Arc::new(Stage)), noise: seed.is_multiple_of(3), ..Options::default() };
        let double = Arc::new(Double::played(options));
        let served = Arc::clone(&double);
        let chance = Arc::new(Mutex::new(Rng::new(seed ^ 0x5EED)));
        let way = Way::new(
            move |request| {
                let double = Arc::clone(&served);
                async move { double.respond(request).await }
            },
            move |number, _| fate(&chance, |rng| trouble(number, rng)),
        );
        let options = serde_json::json!({
            "apiKey": "e2b_0123456789abcdef", "apiUrl": "http://double", "sandboxUrl": "http://double",
        });
        let none: vibekit_providers::Lookup = Arc::new(|_| None);
        let options = E2bOptions::parse(&options, "options", &none).unwrap();
        // Not by chance, so that a seed plays the same conversation again.
        let retry = Retry::new(wrap(way.clone()), Backoff::default()).with_chance(|| 1.0);
        let wire: Arc<dyn Transport> = Arc::new(retry);
        let provider = E2bProvider::new(options, wire);
        let rng = Mutex::new(Rng::new(seed));
        Self { double, way, provider, rng, tally: Mutex::default(), strict }
    }

    fn rng<T>(&self, take: impl FnOnce(&mut Rng) -> T) -> T {
        take(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tally(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A call, which has to settle in its time, with an error that is one if it is one.
    async fn call<T>(
        &self,
        name: &'static str,
        limit: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<Result<T>, Wrong> {
        let begin = Instant::now();
        let outcome =
            timeout(limit, work).await.map_err(|_| Wrong(format!("{name} hangs: {limit:?} have passed")))?;
        self.tally(|tally| {
            let longest = tally.longest.entry(name).or_default();
            *longest = begin.elapsed().max(*longest);
        });
        if let Err(error) = &outcome {
            ensure!(error.code != Code::Internal, "{name} fails with {error:?}");
            ensure!(!format!("{error:?}").contains("0123456789abcdef"), "{name} tells the key: {error:?}");
        }
        Ok(outcome)
    }

    /// What is told about a sandbox that is gone has to be so.
    fn check_gone(&self, sandbox: &dyn Sandbox, error: &Error) -> Result<(), Wrong> {
        let gone = matches!(error.code, Code::SandboxLost | Code::SessionNotFound);
        let there = self.double.sandboxes().iter().any(|id| id == sandbox.id());
        ensure!(!gone || !there, "The sandbox is there, and is called gone: {error:?}");
        Ok(())
    }

    /// The streams of a command, as they arrived.
    fn streams(&self, part: Part) -> Vec<Passage> {
        let name = part.name();
        let started = self.double.started();
        let pids: Vec<String> = started
            .iter()
            .filter(|one| one.program.env.get(PART) == Some(&name))
            .map(|one| format!("{{\"pid\":{}}}", one.pid))
            .collect();
        let mut streams = self.way.passages();
        streams.retain(|passage| {
            let body = String::from_utf8_lossy(&passage.body);
            match passage.path.as_str() {
                "/process.Process/Start" => body.contains(&format!("\"{name}\"")),
                "/process.Process/Connect" => pids.iter().any(|pid| body.contains(pid)),
                _ => false,
            }
        });
        streams
    }

    async fn run(&self, sandbox: &dyn Sandbox, part: Part) -> Result<(), Wrong> {
        let slow = self.rng(|rng| rng.chance(5));
        let began = self.double.started().len();
        let began_of = |double: &Double| {
            let name = part.name();
            double
                .started()
                .into_iter()
                .skip(began)
                .filter(|one| one.program.env.get(PART) == Some(&name))
                .count()
        };
        let mut output = [Vec::new(), Vec::new()];
        let mut process = match self.call("spawn", CALL, sandbox.spawn(part.command())).await? {
            Ok(process) => process,
            Err(error) => {
                self.tally(|tally| tally.failed += 1);
                self.check_gone(sandbox, &error)?;
                let ran = began_of(&self.double);
                match error.admitted {
                    Some(Admitted::No) => {
                        ensure!(ran == 0, "It was started, and is called not taken on: {error:?}")
                    }
                    Some(Admitted::Yes) => {
                        ensure!(ran > 0, "It was not started, and is called taken on: {error:?}")
                    }
                    _ => {}
                }
                return Ok(());
            }
        };
        ensure!(began_of(&self.double) == 1, "It was started {} times", began_of(&self.double));
        let following = async {
            loop {
                let Some((stream, bytes)) = process.next().await? else { break };
                output[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
                if slow {
                    sleep(Duration::from_secs(130)).await;
                }
            }
            process.exit().await
        };
        // What it takes by itself: the longest waits for the end of what it left behind, or reads slowly.
        let own = Duration::from_secs(if slow { 3000 } else { 60 });
        let outcome = self.call("run", CALL + own, following).await?;
        let left = self
            .double
            .started()
            .iter()
            .any(|one| one.program.env.get(PART) == Some(&part.name()) && one.running);
        match outcome {
            Ok(exit) => {
                let stays = part.kind == Kind::Leaves && exit.stopped.is_none();
                ensure!(!left || stays, "It ended as {exit:?}, and runs");
                self.check_output(part, &output, &exit, slow)
            }
            Err(error) => {
                self.tally(|tally| tally.failed += 1);
                self.check_gone(sandbox, &error)?;
                ensure!(
                    error.admitted != Some(Admitted::No),
                    "It ran, and is called not taken on: {error:?}"
                );
                // Partial output survives: what arrived was given before the error.
                self.check_delivered(part, &output)
            }
        }
    }

    fn check_output(&self, part: Part, output: &[Vec<u8>; 2], exit: &Exit, slow: bool) -> Result<(), Wrong> {
        let streams = self.streams(part);
        let struck = streams.iter().any(|stream| stream.trouble != Trouble::None) || streams.len() > 1;
        // The daemon ends the stream of a command whose time is over, whoever still reads.
        let struck = struck || (slow && part.kind == Kind::Endless);
        ensure!(struck || !exit.output_gap, "Nothing was wrong with its stream, and a gap is told: {exit:?}");
        if part.kind == Kind::Endless {
            // Where nobody could be reached the daemon ends it in the end, and what else was there is not known.
            let told = exit.stopped.is_some() || !self.strict;
            ensure!(exit.timed_out && told, "It was to be stopped: {exit:?}");
        } else {
            ensure!(!exit.timed_out && exit.code == part.code(), "It ended with {}: {exit:?}", part.code());
        }
        if exit.output_gap {
            self.tally(|tally| tally.gaps += 1);
            return self.check_delivered(part, output);
        }
        self.tally(|tally| tally.whole += 1);
        for (stream, got) in [(Stream::Stdout, &output[0]), (Stream::Stderr, &output[1])] {
            let wrote = part.writes(stream);
            ensure!(
                *got == wrote,
                "A gap that is not told in {stream:?}: {:?} instead of {:?}",
                String::from_utf8_lossy(got),
                String::from_utf8_lossy(&wrote)
            );
        }
        Ok(())
    }

    /// Everything that arrived was given on, once and in its order.
    fn check_delivered(&self, part: Part, output: &[Vec<u8>; 2]) -> Result<(), Wrong> {
        let mut delivered = [Vec::new(), Vec::new()];
        for passage in self.streams(part) {
            let (mut decoder, mut batch) = (Decoder::default(), Batch::default());
            decoder.push(Bytes::from(passage.received));
            let _ = batch.read(&mut decoder);
            for (stream, bytes) in batch.output {
                delivered[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
            }
        }
        if part.kind == Kind::Exec
            && let Some(at) = delivered[1].windows(8).position(|part| part == b"vibekit-")
        {
            delivered[1].drain(at..at + 8 + 32 + 1);
        }
        ensure!(
            *output == delivered,
            "Of what arrived {:?} was given on, and not {:?}",
            output.each_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            delivered.each_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        );
        Ok(())
    }

    /// Somebody stops waiting for a command in the middle of it.
    async fn abandon(&self, sandbox: &dyn Sandbox, part: Part) -> Result<(), Wrong> {
        let patience = Duration::from_millis(self.rng(|rng| rng.below(4000)));
        let before = self.way.passages().len();
        let work = async {
            let mut process = sandbox.spawn(part.command()).await?;
            while process.next().await?.is_some() {}
            process.exit().await
        };
        let _ = timeout(patience, work).await;
        self.tally(|tally| tally.dropped += 1);
        sleep(Duration::from_secs(120)).await;
        let calm = self.way.passages().iter().skip(before).all(|passage| passage.trouble == Trouble::None);
        let runs = self
            .double
            .started()
            .into_iter()
            .any(|one| one.program.env.get(PART) == Some(&part.name()) && one.running);
        let ends = part.kind == Kind::Leaves;
        ensure!(!calm || !runs || ends, "Nobody waits for it, and it runs");
        Ok(())
    }

    /// Input that is acknowledged arrives, once and in its order.
    async fn feed(&self, sandbox: &dyn Sandbox, part: Part) -> Result<(), Wrong> {
        let command = Command { stdin: Stdin::Pipe, ..part.command() };
        let Ok(process) = self.call("spawn", CALL, sandbox.spawn(command)).await? else { return Ok(()) };
        let control = process.control();
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let token = format!("<{number}>");
            match self.call("write", CALL, control.write(Bytes::from(token.clone()))).await? {
                Ok(()) => taken.push(token),
                Err(error) if error.admitted == Some(Admitted::No) => refused.push(token),
                Err(_) => {}
            }
        }
        let stopped = self.call("stop", CALL, control.stop(Duration::from_millis(100))).await?;
        drop(process);
        let input: Vec<u8> = self
            .double
            .started()
            .iter()
            .filter(|one| one.program.env.get(PART) == Some(&part.name()))
            .flat_map(|one| one.input.clone())
            .collect();
        let input = String::from_utf8_lossy(&input).into_owned();
        let mut at = 0;
        for token in &taken {
            let found = input[at..].find(token.as_str());
            ensure!(found.is_some(), "Of the input {taken:?} only {input:?} arrived");
            at += found.unwrap_or(0) + token.len();
        }
        for token in taken.iter().chain(&refused) {
            let times = input.matches(token.as_str()).count();
            let expected = usize::from(taken.contains(token));
            ensure!(times == expected, "{token} arrived {times} times: {input:?}");
        }
        ensure!(stopped.is_ok(), "{stopped:?}");
        Ok(())
    }

    async fn files(&self, sandbox: &dyn Sandbox) -> Result<(), Wrong> {
        let Some(files) = sandbox.files() else { return Err(Wrong("It has no files".to_owned())) };
        let content = self.rng(|rng| format!("content {}", rng.bits()));
        let written = self.call("file", CALL, files.write("note.txt", content.clone().into())).await?;
        let read = self.call("file", CALL, files.read("note.txt")).await?;
        for error in [written.as_ref().err(), read.as_ref().err()].into_iter().flatten() {
            self.check_gone(sandbox, error)?;
        }
        if let (Ok(()), Ok(read)) = (&written, &read) {
            ensure!(*read == content, "A file that was written holds {read:?}");
        }
        if let (Ok(()), Err(error)) = (&written, &read) {
            ensure!(error.code != Code::FileError, "A file that was written is not there: {error:?}");
        }
        let remembered = self.call("record", CALL, sandbox.remember("{\"a\":1}")).await?;
        if remembered.is_ok()
            && let Ok(record) = self.call("record", CALL, sandbox.record()).await?
        {
            ensure!(record.as_deref() == Some("{\"a\":1}"), "The record is {record:?}");
        }
        Ok(())
    }

    async fn rest(&self, sandbox: &dyn Sandbox) -> Result<(), Wrong> {
        let paused = self.call("pause", CALL, sandbox.pause()).await?;
        if let Err(error) = &paused {
            self.check_gone(sandbox, error)?;
        }
        ensure!(sandbox.paused() == paused.is_ok(), "It is {paused:?}, and says the opposite");
        for _ in 0..20 {
            match self.call("thaw", CALL, sandbox.thaw()).await? {
                Ok(()) => return Ok(()),
                Err(error) => self.check_gone(sandbox, &error)?,
            }
        }
        Err(Wrong("It could not be thawed in twenty tries".to_owned()))
    }

    async fn life(&self, scripted: bool) -> Result<(), Wrong> {
        let request = || OpenRequest {
            agent: "claude".to_owned(),
            env: vec![("LIFE".to_owned(), "1".to_owned())],
            ..OpenRequest::default()
        };
        let impatient = !scripted && self.rng(|rng| rng.chance(8));
        let patience = if impatient { Duration::from_millis(self.rng(|rng| rng.below(3000))) } else { OPEN };
        let opening = self.provider.create(request());
        let sandbox = if impatient {
            match timeout(patience, opening).await {
                Ok(Ok(sandbox)) => sandbox,
                _ => {
                    self.tally(|tally| tally.dropped += 1);
                    return self.nothing_left().await;
                }
            }
        } else {
            match self.call("create", OPEN, opening).await? {
                Ok(sandbox) => sandbox,
                Err(error) => {
                    self.tally(|tally| tally.refused += 1);
                    ensure!(
                        error.admitted != Some(Admitted::No) || self.double.sandboxes().is_empty(),
                        "A sandbox was made, and is called not taken on: {error:?}"
                    );
                    return self.nothing_left().await;
                }
            }
        };
        ensure!(self.double.sandboxes().contains(&sandbox.id().to_owned()), "There is no such sandbox");
        let part = |kind| Part { number: self.rng(|rng| rng.below(1 << 40)), kind };
        if scripted {
            self.run(&*sandbox, part(Kind::Exec)).await?;
            self.run(&*sandbox, part(Kind::Endless)).await?;
            self.files(&*sandbox).await?;
        } else {
            for _ in 0..self.rng(|rng| rng.between(1, 3)) {
                match self.rng(|rng| rng.below(12)) {
                    0..4 => self.run(&*sandbox, part(Kind::Finite)).await?,
                    4 | 5 => self.run(&*sandbox, part(Kind::Exec)).await?,
                    6 => self.run(&*sandbox, part(Kind::Endless)).await?,
                    7 => self.run(&*sandbox, part(Kind::Leaves)).await?,
                    8 => self.abandon(&*sandbox, part(Kind::Endless)).await?,
                    9 => self.feed(&*sandbox, part(Kind::Endless)).await?,
                    10 => self.files(&*sandbox).await?,
                    _ => self.rest(&*sandbox).await?,
                }
            }
        }
        // As a caller has to who is told that it failed.
        for _ in 0..50 {
            match self.call("kill", CALL, sandbox.kill()).await? {
                Ok(()) => {
                    let there = self.double.sandboxes().contains(&sandbox.id().to_owned());
                    ensure!(!there, "It was killed, and is there");
                    // Once more does no harm.
                    let again = self.call("kill", CALL, sandbox.kill()).await?;
                    ensure!(again.is_ok(), "Killing it again: {again:?}");
                    return self.nothing_left().await;
                }
                Err(error) => {
                    let there = self.double.sandboxes().contains(&sandbox.id().to_owned());
                    ensure!(
                        error.admitted != Some(Admitted::No) || there,
                        "It is killed, and that is called not taken on: {error:?}"
                    );
                }
            }
        }
        Err(Wrong("It could not be killed in fifty tries".to_owned()))
    }

    async fn nothing_left(&self) -> Result<(), Wrong> {
        sleep(QUIET).await;
        let left = self.double.sandboxes();
        ensure!(left.is_empty(), "Left behind: {left:?}");
        let running: Vec<_> = self.double.started().into_iter().filter(|one| one.running).collect();
        ensure!(running.is_empty(), "Still running: {running:?}");
        Ok(())
    }

    async fn play(self) -> Result<Tally, Wrong> {
        let outcome = self.life(self.strict).await;
        let passages = self.way.passages();
        if let Err(Wrong(what)) = outcome {
            let told: Vec<String> = passages
                .iter()
                .map(|one| {
                    format!("  {} {} {:?} ({} bytes)", one.method, one.path, one.trouble, one.received.len())
                })
                .collect();
            return Err(Wrong(format!("{what}\n{}", told.join("\n"))));
        }
        let mut tally = self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        for passage in passages {
            let name = format!("{:?}", passage.trouble);
            let name = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
            *tally.troubles.entry(name).or_default() += 1;
        }
        Ok(tally)
    }
}

/// Where the script can be broken, and how.
pub(crate) fn places(recorded: &[Passage]) -> Vec<(usize, Trouble)> {
    let (late, long) = (Duration::from_secs(75), Duration::from_secs(150));
    let mut places = Vec::new();
    for (number, passage) in recorded.iter().enumerate() {
        let whole = [
            Trouble::Refused,
            Trouble::CutUp,
            Trouble::Lost,
            Trouble::Late(late),
            Trouble::Delayed(late),
            Trouble::Twice,
            Trouble::Page(502),
            Trouble::Page(503),
            Trouble::Page(504),
            Trouble::Page(500),
            Trouble::Busy(1),
            Trouble::Busy(60),
            Trouble::Pieces(1),
        ];
        places.extend(whole.map(|trouble| (number, trouble)));
        for byte in 0..=passage.received.len() {
            places.push((number, Trouble::CutDown(byte)));
            match byte % 8 {
                0 => places.push((number, Trouble::Silent(byte))),
                3 => places.push((number, Trouble::Stall(byte, late))),
                6 => places.push((number, Trouble::Stall(byte, long))),
                _ => {}
            }
        }
    }
    places
}

fn by_chance(rng: &mut Rng) -> Trouble {
    if !rng.chance(9) {
        return Trouble::None;
    }
    let bytes = usize::try_from(rng.below(700)).unwrap_or(0);
    let pause = Duration::from_millis(rng.below(150_000));
    match rng.below(13) {
        0 => Trouble::Refused,
        1 => Trouble::CutUp,
        2 => Trouble::Lost,
        3 | 4 => Trouble::CutDown(bytes),
        5 => Trouble::Stall(bytes, pause),
        6 => Trouble::Silent(bytes),
        7 => Trouble::Late(pause),
        8 => Trouble::Delayed(pause),
        9 => Trouble::Twice,
        10 => Trouble::Page([500, 502, 503, 504][bytes % 4]),
        11 => Trouble::Busy(rng.below(30)),
        _ => Trouble::Pieces(bytes.max(1)),
    }
}

pub(crate) fn clock() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// The script without any fault.
pub(crate) async fn record(wrap: &Wrap) -> Vec<Passage> {
    let stand = Stand::new(1, true, wrap, |_, _| Trouble::None);
    let way = Arc::clone(&stand.way);
    stand.play().await.unwrap();
    way.passages()
}

/// Plays one conversation: an even seed breaks the script at one place, an odd one is by chance.
pub(crate) async fn conversation(
    seed: u64,
    places: &[(usize, Trouble)],
    wrap: &Wrap,
) -> Result<Tally, Wrong> {
    let outcome = if seed.is_multiple_of(2) {
        let (number, trouble) = places[usize::try_from(seed / 2).unwrap_or(0) % places.len()];
        let stand =
            Stand::new(1, true, wrap, move |nth, _| if nth == number { trouble } else { Trouble::None });
        stand.play().await
    } else {
        Stand::new(seed, false, wrap, |_, rng| by_chance(rng)).play().await
    };
    outcome.map_err(|Wrong(what)| Wrong(format!("Conversation {seed}: {what}")))
}

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn plain(way: Arc<dyn Transport>) -> Arc<dyn Transport> {
    way
}

/// Two threads, each with a clock of its own.
#[test]
fn conversations_that_are_broken() {
    let cases = number("VIBEKIT_FAULT_CASES").unwrap_or(2_000);
    let one = number("VIBEKIT_FAULT_SEED");
    let places = clock().block_on(async { places(&record(&plain).await) });
    // A part of them goes over the whole script as well.
    let all = 2 * u64::try_from(places.len()).unwrap();
    let cases = if cases < WHOLE { cases } else { cases.max(all) };
    let step = (all / cases.max(1)).max(1) | 1;
    let seeds: Vec<u64> = match one {
        Some(seed) => vec![seed],
        None => (0..cases).map(|case| (case * step) % all.max(cases)).collect(),
    };
    let half = seeds.len().div_ceil(2);
    let played: Vec<(Tally, Vec<Wrong>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = seeds
            .chunks(half)
            .map(|seeds| {
                let places = &places;
                scope.spawn(move || {
                    let clock = clock();
                    let (mut total, mut wrong) = (Tally::default(), Vec::new());
                    for seed in seeds {
                        match clock.block_on(conversation(*seed, places, &plain)) {
                            Ok(tally) => total.add(tally),
                            Err(found) => wrong.push(found),
                        }
                    }
                    (total, wrong)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let (mut total, mut wrong) = (Tally::default(), Vec::new());
    for (tally, found) in played {
        total.add(tally);
        wrong.extend(found.into_iter().map(|Wrong(what)| what));
    }
    let shown: Vec<_> = wrong.iter().take(SHOWN).cloned().collect();
    assert!(wrong.is_empty(), "{} of {} went wrong:\n{}", wrong.len(), seeds.len(), shown.join("\n\n"));
    eprintln!("{} conversations, {} places in the script: {total:#?}", seeds.len(), places.len());
    if one.is_some() {
        return;
    }
    // A suite in which everything goes well, or nothing does, shows nothing.
    let cases = u64::try_from(seeds.len()).unwrap();
    assert!(total.whole > cases / 2 && total.gaps > cases / 20 && total.failed > cases / 50, "{total:?}");
    assert!(total.dropped > 0 && total.refused > 0 && total.troubles.len() >= 13, "{total:?}");
}
