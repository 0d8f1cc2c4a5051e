//! Processes: real ones, with the daemon's ways of telling about them.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStdin;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};

use super::played::{self, Played};
use super::{Place, World, frames, tree};

/// Bytes read from a pipe at once, as the daemon does it; an environment variable of the sandbox or of the command overrides
/// it, for tests of what is cut and for benchmarks.
const CHUNK: usize = 32 << 10;
const CHUNK_VARIABLE: &str = "E2B_DOUBLE_FRAME";
/// How long an end is remembered.
pub(super) const REMEMBERED: Duration = Duration::from_secs(30);

/// The processes of one sandbox by their ids.
pub(super) type Table = Mutex<HashMap<u32, Arc<Process>>>;

/// What a stream carries.
pub(super) enum Item {
    /// An envelope.
    Frame(Bytes),
    /// The envelope that tells the end; a trailer follows.
    End(Bytes),
}

pub(super) struct Process {
    pub(super) pid: u32,
    config: Value,
    tag: Option<String>,
    stdin: AsyncMutex<Option<ChildStdin>>,
    /// Everybody who follows. Output waits for all of them, and is dropped while there is nobody.
    followers: AsyncMutex<Vec<mpsc::Sender<Item>>>,
    pub(super) ended: watch::Sender<Option<Bytes>>,
    /// The signal of ours that ended it: then nobody waits for those that hold its pipes.
    pub(super) forced: watch::Sender<Option<i32>>,
    /// It is not run, but played.
    pub(super) played: Option<Played>,
    noise: bool,
}

/// Why a process was not started: a code of Connect and a sentence.
pub(super) type Refusal = (&'static str, String);

pub(super) fn table(place: &Place) -> MutexGuard<'_, HashMap<u32, Arc<Process>>> {
    place.processes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process by the selector of a request.
pub(super) fn select(place: &Place, selector: &Value) -> Result<Arc<Process>, Refusal> {
    let table = table(place);
    let found = match (selector["pid"].as_u64(), selector["tag"].as_str()) {
        (Some(pid), _) => u32::try_from(pid).ok().and_then(|pid| table.get(&pid)).cloned(),
        (None, Some(tag)) => table.values().find(|process| process.tag.as_deref() == Some(tag)).cloned(),
        (None, None) => return Err(("invalid_argument", "no selector".to_owned())),
    };
    found.ok_or_else(|| ("not_found", format!("process with pid {} not found", selector["pid"])))
}

/// The running ones, for `List`.
pub(super) fn list(place: &Place) -> Value {
    let table = table(place);
    let running = table.values().filter(|process| process.ended.borrow().is_none());
    let tell = |process: &Arc<Process>| {
        let mut info = json!({ "config": process.config, "pid": process.pid });
        if let Some(tag) = &process.tag {
            info["tag"] = json!(tag);
        }
        info
    };
    json!({ "processes": running.map(tell).collect::<Vec<_>>() })
}

/// Starts a process, and gives what its first follower hears.
pub(super) async fn start(
    world: &World,
    place: &Arc<Place>,
    request: &Value,
    lifetime: Option<Duration>,
) -> Result<(Arc<Process>, mpsc::Receiver<Item>), Refusal> {
    if let Some(programs) = &world.options.programs {
        return played::start(world, place, &**programs, request, lifetime);
    }
    let config = &request["process"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let program = text(&config["cmd"]);
    let mut args: Vec<String> =
        config["args"].as_array().map(|args| args.iter().map(text).collect()).unwrap_or_default();
    if program.ends_with("bash") && args.first().is_some_and(|arg| arg == "-l") {
        // The machine's profile would set another PATH.
        args.remove(0);
    }
    let home = place.room.home().to_owned();
    let cwd = match config["cwd"].as_str() {
        None | Some("") => home.clone(),
        Some(path) => super::files::resolve(place, path),
    };
    if !place.room.is_dir(&cwd) {
        return Err(("invalid_argument", format!("cwd '{cwd}' does not exist")));
    }
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    let user =
        std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "root".to_owned());
    let mut command = place.room.command(&cwd, &program, &args);
    command
        .env_clear()
        .env("PATH", format!("{}:{path}", place.room.bin(world.folder())))
        .env("HOME", &home)
        .env("USER", &user)
        .env("LOGNAME", &user)
        .envs(place.env.iter().map(|(name, value)| (name, value)))
        .env(tree::MARK, &place.id)
        .stdin(if request["stdin"].as_bool() == Some(false) { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let own = place.env.iter().find(|(name, _)| name == CHUNK_VARIABLE).map(|(_, size)| size.as_str());
    let mut chunk = own;
    if let Some(variables) = config["envs"].as_object() {
        for (name, value) in variables {
            command.env(name, value.as_str().unwrap_or_default());
        }
        chunk = variables.get(CHUNK_VARIABLE).and_then(Value::as_str).or(own);
    }
    let chunk = chunk.and_then(|size| size.parse().ok()).unwrap_or(CHUNK).max(1);
    let mut child = command.spawn().map_err(|error| ("internal", error.to_string()))?;
    let pid = child.id().unwrap_or(0);
    let (process, follower) = Process::begin(pid, request, child.stdin.take(), None, world.options.noise);
    table(place).insert(pid, Arc::clone(&process));
    let stdout =
        child.stdout.take().map(|pipe| tokio::spawn(Arc::clone(&process).read(pipe, "stdout", chunk)));
    let stderr =
        child.stderr.take().map(|pipe| tokio::spawn(Arc::clone(&process).read(pipe, "stderr", chunk)));
    let (owner, keeps) = (Arc::downgrade(place), world.options.keeps_exits);
    let watched = Arc::clone(&process);
    tokio::spawn(async move {
        let process = watched;
        let mut readers = std::pin::pin!(async {
            for reader in [stdout, stderr].into_iter().flatten() {
                let _ = reader.await;
            }
        });
        let mut forced = process.forced.subscribe();
        let over = async {
            match lifetime {
                Some(lifetime) => tokio::time::sleep(lifetime).await,
                None => std::future::pending().await,
            }
        };
        // As the daemon has it: the main process is not waited for before everybody has let go of its output.
        tokio::select! {
            () = &mut readers => {}
            () = over => process.signal(9),
            _ = forced.wait_for(Option::is_some) => {}
        }
        let wait = async {
            if process.forced.borrow().is_some() {
                let waited = child.wait().await;
                let _ = tokio::time::timeout(Duration::from_millis(100), readers).await;
                waited
            } else {
                child.wait().await
            }
        };
        let waited = wait.await;
        process.over(end(waited)).await;
        if keeps {
            tokio::time::sleep(REMEMBERED).await;
        }
        if let Some(place) = owner.upgrade() {
            table(&place).remove(&pid);
        }
    });
    Ok((process, follower))
}

/// How the daemon tells an end: fields that are zero are left out.
fn end(waited: std::io::Result<std::process::ExitStatus>) -> Value {
    use std::os::unix::process::ExitStatusExt;
    let Ok(status) = waited else {
        return json!({ "exitCode": -1, "status": "wait failed", "error": "wait failed" });
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => json!({ "exited": true, "status": "exit status 0" }),
        (Some(code), _) => {
            let text = format!("exit status {code}");
            json!({ "exitCode": code, "exited": true, "status": text, "error": text })
        }
        (None, signal) => {
            let name = match signal {
                Some(1) => "hangup",
                Some(2) => "interrupt",
                Some(6) => "aborted",
                Some(9) => "killed",
                Some(11) => "segmentation fault",
                Some(15) => "terminated",
                _ => "signal",
            };
            let text = format!("signal: {name}");
            json!({ "exitCode": -1, "status": text, "error": text })
        }
    }
}

impl Process {
    /// A process that has just begun, and what its first follower hears.
    pub(super) fn begin(
        pid: u32,
        request: &Value,
        stdin: Option<ChildStdin>,
        played: Option<Played>,
        noise: bool,
    ) -> (Arc<Self>, mpsc::Receiver<Item>) {
        let (first, follower) = mpsc::channel(16);
        // There is room: it is the first.
        let _ = first.try_send(Item::Frame(frames::event(json!({ "start": { "pid": pid } }), noise)));
        let process = Self {
            pid,
            config: request["process"].clone(),
            tag: request["tag"].as_str().map(str::to_owned),
            stdin: AsyncMutex::new(stdin),
            followers: AsyncMutex::new(vec![first]),
            ended: watch::channel(None).0,
            forced: watch::channel(None).0,
            played,
            noise,
        };
        (Arc::new(process), follower)
    }

    /// Tells everybody how it ended, now and later.
    pub(super) async fn over(&self, end: Value) {
        let end = frames::event(json!({ "end": end }), self.noise);
        self.ended.send_replace(Some(end.clone()));
        for follower in self.followers.lock().await.drain(..) {
            let _ = follower.send(Item::End(end.clone())).await;
        }
    }

    /// Tells everybody who follows what it wrote.
    pub(super) async fn tell(&self, name: &str, bytes: &[u8]) {
        let frame = frames::data(name, bytes, self.noise);
        let mut followers = self.followers.lock().await;
        let mut at = 0;
        while at < followers.len() {
            if followers[at].send(Item::Frame(frame.clone())).await.is_ok() {
                at += 1;
            } else {
                followers.remove(at);
            }
        }
    }

    /// Follows from now on: the start, then what comes.
    pub(super) async fn follow(&self) -> mpsc::Receiver<Item> {
        let (sender, follower) = mpsc::channel(16);
        let mut followers = self.followers.lock().await;
        let _ = sender
            .send(Item::Frame(frames::event(json!({ "start": { "pid": self.pid } }), self.noise)))
            .await;
        let ended = self.ended.borrow().clone();
        match ended {
            Some(end) => {
                let _ = sender.send(Item::End(end)).await;
            }
            None => followers.push(sender),
        }
        follower
    }

    async fn read(self: Arc<Self>, mut pipe: impl AsyncRead + Unpin, name: &'static str, chunk: usize) {
        let mut buffer = vec![0; CHUNK.max(chunk)];
        while let Ok(n) = pipe.read(&mut buffer).await {
            if n == 0 {
                return;
            }
            for part in buffer[..n].chunks(chunk) {
                self.tell(name, part).await;
            }
        }
    }

    /// Signals the process alone, none of its children, as the daemon does.
    pub(super) fn signal(&self, number: i32) {
        if self.ended.borrow().is_none() {
            self.forced.send_if_modified(|forced| forced.is_none() && forced.replace(number).is_none());
            if self.played.is_none() {
                tree::signal_one(self.pid, number);
            }
        }
    }

    /// Writes to standard input.
    pub(super) async fn write(&self, bytes: &[u8]) -> Result<(), Refusal> {
        use tokio::io::AsyncWriteExt;
        if let Some(played) = &self.played {
            played.input.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            return Ok(());
        }
        match self.stdin.lock().await.as_mut() {
            Some(pipe) => pipe.write_all(bytes).await.map_err(|error| ("internal", error.to_string())),
            None => Err(("failed_precondition", "stdin is not open".to_owned())),
        }
    }

    /// Ends standard input.
    pub(super) async fn close(&self) {
        *self.stdin.lock().await = None;
    }
}
