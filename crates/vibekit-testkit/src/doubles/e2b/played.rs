//! Programs that are played instead of run, for tests that need many thousands of them and a clock of their own.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::process::{Item, Process, REMEMBERED, Refusal};
use super::{Place, World};
use crate::doubles::Play;

/// What a client wants to have run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its arguments, without its own name.
    pub args: Vec<String>,
    /// Its environment, as the request has it.
    pub env: BTreeMap<String, String>,
}

/// What a program does.
#[derive(Clone, Debug, Default)]
pub struct Performance {
    /// What it writes, and how it ends.
    pub play: Play,
    /// It leaves something behind that holds its output open for so long after its end.
    pub leaves: Option<Duration>,
}

/// Plays programs.
pub trait Programs: Send + Sync {
    /// What a program does; `others` is what else runs in its sandbox.
    fn perform(&self, program: &Program, others: &Others<'_>) -> Performance;
}

/// A program that was started.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its sandbox.
    pub sandbox: String,
    /// Its id there.
    pub pid: u32,
    /// What it is.
    pub program: Program,
    /// What its standard input was given.
    pub input: Vec<u8>,
    /// Whether anything of it still runs.
    pub running: bool,
}

/// How a played process stands.
#[derive(Debug)]
pub(super) struct Played {
    program: Program,
    /// Its exit code, as soon as it has one.
    code: watch::Sender<Option<i32>>,
    /// Whether what it leaves behind runs.
    left: watch::Sender<bool>,
    pub(super) input: std::sync::Mutex<Vec<u8>>,
}

impl Played {
    fn carries(&self, name: &str, value: &str) -> bool {
        self.program.env.get(name).is_some_and(|is| is == value)
    }

    fn input(&self) -> MutexGuard<'_, Vec<u8>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The processes of a sandbox.
pub struct Others<'p>(MutexGuard<'p, HashMap<u32, Arc<Process>>>);

impl Others<'_> {
    fn with(&self, name: &str, value: &str) -> impl Iterator<Item = (&Arc<Process>, &Played)> {
        self.0
            .values()
            .filter_map(|process| Some((process, process.played.as_ref()?)))
            .filter(move |(_, played)| played.carries(name, value))
    }

    /// Ends everything that carries this variable, as with SIGKILL. The ids of the processes that were there.
    pub fn end(&self, name: &str, value: &str) -> Vec<u32> {
        let mut ended = Vec::new();
        for (process, played) in self.with(name, value) {
            if running(process) {
                ended.push(process.pid);
            }
            process.signal(9);
            played.left.send_replace(false);
        }
        ended
    }

    /// The exit code of a process that has ended without its end having been told.
    #[must_use]
    pub fn zombie(&self, pid: u32) -> Option<i32> {
        let process = self.0.get(&pid).filter(|process| process.ended.borrow().is_none())?;
        *process.played.as_ref()?.code.borrow()
    }

    /// Whether anything that carries this variable runs.
    #[must_use]
    pub fn any(&self, name: &str, value: &str) -> bool {
        self.with(name, value).any(|(process, _)| running(process))
    }
}

impl fmt::Debug for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Whether anything of a played process runs.
pub(super) fn running(process: &Process) -> bool {
    process.played.as_ref().is_some_and(|played| played.code.borrow().is_none() || *played.left.borrow())
}

/// Ends all of a sandbox.
pub(super) fn kill(place: &Place) {
    for process in super::process::table(place).values() {
        process.signal(9);
        if let Some(played) = &process.played {
            played.left.send_replace(false);
        }
    }
}

/// What was started in a sandbox, by order of start.
pub(super) fn started(sandbox: &str, process: &Process) -> Option<Started> {
    let played = process.played.as_ref()?;
    Some(Started {
        sandbox: sandbox.to_owned(),
        pid: process.pid,
        program: played.program.clone(),
        input: played.input().clone(),
        running: running(process),
    })
}

/// Starts one, and gives what its first follower hears.
pub(super) fn start(
    world: &World,
    place: &Arc<Place>,
    programs: &dyn Programs,
    request: &Value,
    lifetime: Option<Duration>,
) -> Result<(Arc<Process>, mpsc::Receiver<Item>), Refusal> {
    let config = &request["process"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let program = Program {
        args: config["args"].as_array().into_iter().flatten().map(text).collect(),
        env: config["envs"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    };
    let performance = programs.perform(&program, &Others(super::process::table(place)));
    let pid = u32::try_from(world.number()).unwrap_or(u32::MAX).saturating_add(100);
    let played = Played {
        program,
        code: watch::channel(None).0,
        left: watch::channel(performance.leaves.is_some()).0,
        input: std::sync::Mutex::default(),
    };
    let (process, follower) = Process::begin(pid, request, None, Some(played), world.options.noise);
    super::process::table(place).insert(pid, Arc::clone(&process));
    world.history().push((place.id.clone(), Arc::clone(&process)));
    let (owner, kept) = (Arc::downgrade(place), Arc::clone(&process));
    let (keeps, awake) = (world.options.keeps_exits, place.awake.subscribe());
    tokio::spawn(async move {
        perform(&kept, performance, lifetime, awake).await;
        if keeps {
            tokio::time::sleep(REMEMBERED).await;
        }
        if let Some(place) = owner.upgrade() {
            super::process::table(&place).remove(&pid);
        }
    });
    Ok((process, follower))
}

async fn perform(
    process: &Arc<Process>,
    performance: Performance,
    lifetime: Option<Duration>,
    awake: watch::Receiver<bool>,
) {
    let Some(played) = &process.played else { return };
    let Performance { play, leaves } = performance;
    let mut forced = process.forced.subscribe();
    let playing = play.run(|error, bytes: Bytes| {
        let (process, mut awake) = (Arc::clone(process), awake.clone());
        async move {
            // What is frozen writes nothing.
            let _ = awake.wait_for(|awake| *awake).await;
            process.tell(if error { "stderr" } else { "stdout" }, &bytes).await;
            true
        }
    });
    let over = async {
        match lifetime {
            Some(lifetime) => tokio::time::sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    let code = tokio::select! {
        biased;
        _ = forced.wait_for(Option::is_some) => None,
        () = over => {
            process.signal(9);
            None
        }
        code = playing => code,
    };
    let _ = awake.clone().wait_for(|awake| *awake).await;
    let signal = *process.forced.borrow();
    played.code.send_replace(Some(code.or(signal.map(|signal| 128 + signal)).unwrap_or(-1)));
    if let Some(time) = leaves {
        let (kept, mut left) = (Arc::clone(process), played.left.subscribe());
        let leaving = async move {
            let _ = tokio::time::timeout(time, left.wait_for(|left| !left)).await;
            if let Some(played) = &kept.played {
                played.left.send_replace(false);
            }
        };
        // One that was ended by a signal is told at once; nobody waits for what it leaves behind.
        if signal.is_some() {
            tokio::spawn(leaving);
        } else {
            tokio::select! {
                () = leaving => {}
                _ = forced.wait_for(Option::is_some) => {}
            }
        }
    }
    let end = match (code, signal) {
        (Some(0), _) => json!({ "exited": true, "status": "exit status 0" }),
        (Some(code), _) => {
            let text = format!("exit status {code}");
            json!({ "exitCode": code, "exited": true, "status": text, "error": text })
        }
        (None, signal) => {
            let text = if signal == Some(15) { "signal: terminated" } else { "signal: killed" };
            json!({ "exitCode": -1, "status": text, "error": text })
        }
    };
    process.over(end).await;
}
