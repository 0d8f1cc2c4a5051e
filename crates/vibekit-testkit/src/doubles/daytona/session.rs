//! Sessions: a shell each, into which commands are sourced one after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::doubles::{Frame, Play, Room};

/// What marks standard output and standard error in logs.
const MARKERS: [[u8; 3]; 2] = [[1; 3], [2; 3]];

/// How often the real server looks for output.
const LOOK: Duration = Duration::from_millis(20);

/// How often it is looked for where commands are played: the clock is virtual, and every look costs as much as a real one.
const SELDOM: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Log {
    bytes: Vec<u8>,
    code: Option<i32>,
    /// The session was deleted.
    gone: bool,
}

/// A command of a session.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) id: String,
    pub(crate) text: String,
    log: Mutex<Log>,
    over: watch::Sender<bool>,
    look: Duration,
}

impl Ran {
    fn new(id: String, text: String, look: Duration) -> Arc<Self> {
        Arc::new(Self { id, text, log: Mutex::default(), over: watch::Sender::new(false), look })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.log().code
    }

    /// The whole log, with its markers.
    pub(crate) fn whole(&self) -> Vec<u8> {
        self.log().bytes.clone()
    }

    fn end(&self, code: i32) {
        self.log().code.get_or_insert(code);
        self.over.send_replace(true);
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Sends the log as it grows, until a while after the end.
    pub(crate) async fn follow(
        &self,
        send: mpsc::Sender<Frame>,
        frame: usize,
        cut: Option<usize>,
        linger: u32,
    ) {
        let (mut at, mut frames, mut silent) = (0, 0, 0);
        loop {
            let (piece, over) = {
                let log = self.log();
                let end = log.bytes.len().min(at + frame);
                (Bytes::copy_from_slice(&log.bytes[at..end]), log.code.is_some() || log.gone)
            };
            if piece.is_empty() {
                silent = if over { silent + 1 } else { 0 };
                if silent > linger {
                    let _ = send.send(Frame::Close(1000, String::new())).await;
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(self.look) => {}
                    () = send.closed() => return,
                }
                continue;
            }
            silent = 0;
            at += piece.len();
            if cut == Some(frames) || send.send(Frame::Binary(piece)).await.is_err() {
                return;
            }
            frames += 1;
        }
    }
}

/// Labels a stream line by line, as the real server's shell loop does: NUL is lost, a missing last line feed is added.
#[derive(Default)]
struct Labeller {
    line: Vec<u8>,
}

impl Labeller {
    fn push(&mut self, stream: usize, bytes: &[u8], log: &Ran) {
        for byte in bytes {
            match byte {
                0 => {}
                b'\n' => self.flush(stream, log),
                byte => self.line.push(*byte),
            }
        }
    }

    fn flush(&mut self, stream: usize, log: &Ran) {
        let mut log = log.log();
        log.bytes.extend_from_slice(&MARKERS[stream]);
        log.bytes.append(&mut self.line);
        log.bytes.push(b'\n');
    }

    fn finish(&mut self, stream: usize, log: &Ran) {
        if !self.line.is_empty() {
            self.flush(stream, log);
        }
    }
}

enum Inside {
    Shell { room: Arc<Room>, stdin: tokio::sync::Mutex<ChildStdin>, child: Box<Mutex<Child>> },
    Played,
}

/// A session.
pub(crate) struct Session {
    pub(crate) id: String,
    inside: Inside,
    commands: Mutex<BTreeMap<String, Arc<Ran>>>,
    made: Mutex<u64>,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// Into the shell, for each command. `$d` is the command's folder.
const WRAPPER: &str = r"
{ while :; do sleep 3600; done >$d/in & } 2>/dev/null
held=$!
{ . $d/command; } <$d/in >$d/out 2>$d/err
code=$?
kill $held 2>/dev/null
echo $code >$d/code.new; mv $d/code.new $d/code
";

impl Session {
    /// A session with a shell in a room.
    pub(crate) fn shell(id: &str, room: Arc<Room>) -> std::io::Result<Self> {
        let mut command = room.command(&["sh"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
        let stdin = child.stdin.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
        let inside =
            Inside::Shell { room, stdin: tokio::sync::Mutex::new(stdin), child: Box::new(Mutex::new(child)) };
        Ok(Self::new(id, inside))
    }

    /// A session whose commands are played.
    pub(crate) fn played(id: &str) -> Self {
        Self::new(id, Inside::Played)
    }

    fn new(id: &str, inside: Inside) -> Self {
        Self {
            id: id.to_owned(),
            inside,
            commands: Mutex::default(),
            made: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    pub(crate) fn commands(&self) -> Vec<Arc<Ran>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn command(&self, id: &str) -> Option<Arc<Ran>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn own(&self, task: tokio::task::JoinHandle<()>) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task.abort_handle());
    }

    fn record(&self, text: &str) -> Arc<Ran> {
        let id = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            *made += 1;
            format!("command-{made}")
        };
        let look = if matches!(self.inside, Inside::Played) { SELDOM } else { LOOK };
        let ran = Ran::new(id.clone(), text.to_owned(), look);
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).insert(id, ran.clone());
        ran
    }

    /// Starts a command in the session's shell, behind the ones before it.
    pub(crate) async fn execute(&self, text: &str) -> std::io::Result<Arc<Ran>> {
        let Inside::Shell { room, stdin, .. } = &self.inside else {
            return Err(std::io::Error::other("this session plays"));
        };
        let ran = self.record(text);
        let name = format!("{}-{}", self.id, ran.id);
        let (inside, folder) = (format!("/daemon/{name}"), room.daemon().join(&name));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("command"), text)?;
        for name in ["in", "out", "err"] {
            let made = tokio::process::Command::new("mkfifo").arg(folder.join(name)).status().await?;
            if !made.success() {
                return Err(std::io::Error::other("mkfifo failed"));
            }
        }
        let streams = ["out", "err"].map(|name| pipe::OpenOptions::new().open_receiver(folder.join(name)));
        let line = format!("d={inside}\n{}\n", WRAPPER.trim());
        stdin.lock().await.write_all(line.as_bytes()).await?;
        let log = ran.clone();
        self.own(tokio::spawn(async move {
            let code = folder.join("code");
            let [out, err] = streams;
            if let (Ok(out), Ok(err)) = (out, err) {
                tokio::join!(label(out, 0, &log, &code), label(err, 1, &log, &code));
            }
            log.end(wait_for(&code).await);
            let _ = std::fs::remove_dir_all(&folder);
        }));
        Ok(ran)
    }

    /// Starts a command that is played.
    pub(crate) fn play(&self, text: &str, play: Play) -> Arc<Ran> {
        let ran = self.record(text);
        let log = ran.clone();
        self.own(tokio::spawn(async move {
            let mut labellers = [Labeller::default(), Labeller::default()];
            let code = play
                .run(|error, bytes| {
                    labellers[usize::from(error)].push(usize::from(error), &bytes, &log);
                    std::future::ready(true)
                })
                .await;
            for (stream, labeller) in labellers.iter_mut().enumerate() {
                labeller.finish(stream, &log);
            }
            log.end(code.unwrap_or(1));
        }));
        ran
    }
}

impl Drop for Session {
    /// Ends the shell and what is in its process group.
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        for command in self.commands() {
            command.log().gone = true;
            command.over.send_replace(true);
        }
        if let Inside::Shell { child, .. } = &self.inside {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pid) = child.id() {
                let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{pid}")]).status();
            }
            let _ = child.start_kill();
        }
    }
}

/// Reads a stream until all that could write to it are gone.
async fn label(stream: pipe::Receiver, which: usize, log: &Ran, code: &Path) {
    let mut labeller = Labeller::default();
    let mut buffer = vec![0; 64 << 10];
    let mut begun = false;
    loop {
        // Before reading: what was written before the code was is there now.
        let over = begun || code.exists();
        match stream.try_read(&mut buffer) {
            // Nobody has opened it yet, or nobody has it open any more.
            Ok(0) if over => break,
            Ok(0) => tokio::time::sleep(Duration::from_millis(1)).await,
            Ok(read) => {
                begun = true;
                labeller.push(which, &buffer[..read], log);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                begun = true;
                if stream.readable().await.is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    labeller.finish(which, log);
}

async fn wait_for(code: &Path) -> i32 {
    loop {
        if let Ok(text) = std::fs::read_to_string(code) {
            return text.trim().parse().unwrap_or(1);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
