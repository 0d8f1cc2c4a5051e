//! Commands over a WebSocket.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;

use super::{Northflank, Trouble};
use crate::doubles::{Frame, Line, Player, Room};

/// What a command has to work with.
struct Place {
    room: Option<Arc<Room>>,
    player: Option<Arc<dyn Player>>,
}

/// To the client, perhaps cut.
struct Out {
    send: mpsc::Sender<Frame>,
    left: Option<usize>,
}

impl Out {
    /// False when the client is gone.
    async fn frame(&mut self, value: Value) -> bool {
        if let Some(left) = &mut self.left {
            if *left == 0 {
                let _ = self.send.send(Frame::Cut).await;
                return false;
            }
            *left -= 1;
        }
        // Binary frames, as recorded.
        self.send.send(Frame::Binary(value.to_string().into())).await.is_ok()
    }

    async fn close(&mut self) {
        let _ = self.send.send(Frame::Close(1000, String::new())).await;
    }
}

impl Northflank {
    pub(super) fn execute(&self, service: String, known: bool, trouble: Option<Trouble>, line: Line) {
        let key = self.settings().key.clone();
        let place =
            {
                let state = self.lock();
                state.services.get(&service).filter(|service| known && service.instances > 0).map(|service| {
                    Place { room: service.room.clone(), player: self.settings().player.clone() }
                })
            };
        tokio::spawn(talk(key, place, trouble, line));
    }
}

/// Messages of the client, which may come several to a frame, each on a line.
async fn messages(receive: &mut mpsc::Receiver<Frame>) -> Option<Vec<Value>> {
    let bytes = match receive.recv().await? {
        Frame::Text(text) => text.into_bytes(),
        Frame::Binary(bytes) => bytes.to_vec(),
        Frame::Close(..) | Frame::Cut => return None,
    };
    Some(serde_json::Deserializer::from_slice(&bytes).into_iter().filter_map(Result::ok).collect())
}

async fn talk(key: String, place: Option<Place>, trouble: Option<Trouble>, line: Line) {
    let Line { send, mut receive } = line;
    let left = match trouble {
        Some(Trouble::Cut(frames)) => Some(frames),
        _ => None,
    };
    let mut out = Out { send, left };
    let Some(first) = messages(&mut receive).await else { return };
    let mut first = first.into_iter();
    let Some(init) = first.next() else { return };
    let early: Vec<Value> = first.collect();
    if trouble == Some(Trouble::Silence) {
        // Nothing, until the client loses patience.
        out.send.closed().await;
        return;
    }
    if trouble == Some(Trouble::Error) {
        out.frame(json!({ "type": "error", "data": { "message": "Something went wrong on our side" } }))
            .await;
        return out.close().await;
    }
    if init["type"] != "init" || init["data"]["auth"]["apiToken"] != key || trouble == Some(Trouble::Refused)
    {
        out.frame(json!({ "type": "init", "data": { "auth": "failed", "message": "Invalid API token" } }))
            .await;
        return out.close().await;
    }
    let Some(place) = place else {
        out.frame(json!({ "type": "error", "data": { "message": "No running instance of this service" } }))
            .await;
        return out.close().await;
    };
    let context = &init["data"]["context"];
    if !out.frame(json!({ "type": "init", "data": { "auth": "successful", "context": context } })).await {
        return;
    }
    let code = match (place.player, place.room) {
        (Some(player), _) => play(&*player, context, &early, &mut receive, &mut out).await,
        (None, Some(room)) => shell(&room, context, early, receive, &mut out).await,
        (None, None) => None,
    };
    if let Some(code) = code.filter(|_| trouble != Some(Trouble::NoCompletion)) {
        let status = if code == 0 { "Success" } else { "Failure" };
        out.frame(json!({ "type": "completion", "data": { "exitCode": code, "status": status } })).await;
    }
    out.close().await;
}

/// Everything the client says first belongs to the program: what is played may be told by standard input.
async fn play(
    player: &dyn Player,
    context: &Value,
    early: &[Value],
    receive: &mut mpsc::Receiver<Frame>,
    out: &mut Out,
) -> Option<i32> {
    let mut text = context["command"].to_string();
    let mut said = early.to_vec();
    while !text.contains('\n') {
        for message in said.drain(..) {
            text.push_str(message["data"].as_str().unwrap_or("\n"));
        }
        if text.contains('\n') {
            break;
        }
        said = messages(receive).await?;
    }
    let send = tokio::sync::Mutex::new(out);
    let send = &send;
    player
        .play(&text)
        .run(|error, bytes| async move {
            let kind = if error { "stdErr" } else { "stdOut" };
            let frame = json!({ "type": kind, "data": String::from_utf8_lossy(&bytes) });
            // It lives on when the client is gone.
            let _ = send.lock().await.frame(frame).await;
            true
        })
        .await
}

async fn shell(
    room: &Room,
    context: &Value,
    early: Vec<Value>,
    mut receive: mpsc::Receiver<Frame>,
    out: &mut Out,
) -> Option<i32> {
    let mut argv: Vec<String> = match &context["command"] {
        Value::Array(words) => words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect(),
        command => {
            let shell = context["shell"].as_str().unwrap_or("sh -c");
            let words = shell.split(' ').map(str::to_owned);
            words.chain([command.as_str().unwrap_or_default().to_owned()]).collect()
        }
    };
    if argv.is_empty() {
        argv = vec!["sh".to_owned()];
    }
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let mut child = room.command(&words).stdin(Stdio::piped()).spawn().ok()?;
    let (stdout, stderr) = (child.stdout.take()?, child.stderr.take()?);
    let mut stdin = child.stdin.take();
    for message in early {
        feed(&mut stdin, &message).await;
    }
    let (send, mut pieces) = mpsc::channel(4);
    let readers =
        [tokio::spawn(read(stdout, "stdOut", send.clone())), tokio::spawn(read(stderr, "stdErr", send))];
    // The command lives on when the client is gone.
    let feeding = tokio::spawn(async move {
        while let Some(messages) = messages(&mut receive).await {
            for message in messages {
                feed(&mut stdin, &message).await;
            }
        }
        // An open pipe: nobody said that the input is over.
        std::future::pending::<()>().await;
    });
    let mut there = true;
    while let Some((kind, text)) = pieces.recv().await {
        there = there && out.frame(json!({ "type": kind, "data": text })).await;
    }
    let status = child.wait().await.ok()?;
    feeding.abort();
    for reader in readers {
        reader.abort();
    }
    use std::os::unix::process::ExitStatusExt;
    Some(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

async fn feed(stdin: &mut Option<ChildStdin>, message: &Value) {
    match message["type"].as_str() {
        Some("payload") => {
            if let Some(pipe) = stdin {
                let text = message["data"].as_str().unwrap_or_default();
                // A command that does not read any more is its own affair.
                let _ = tokio::time::timeout(Duration::from_secs(600), pipe.write_all(text.as_bytes())).await;
            }
        }
        Some("stdInEnd") => *stdin = None,
        _ => {}
    }
}

/// Text in pieces that end where characters do; what is no UTF-8 is replaced.
async fn read(
    mut stream: impl AsyncRead + Unpin,
    kind: &'static str,
    send: mpsc::Sender<(&'static str, String)>,
) {
    let mut buffer = vec![0; 32 << 10];
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        rest.extend_from_slice(&buffer[..read]);
        let whole = match std::str::from_utf8(&rest) {
            // The end of a character may be on its way.
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            _ => rest.len(),
        };
        let text = String::from_utf8_lossy(&rest[..whole]).into_owned();
        rest.drain(..whole);
        if !text.is_empty() && send.send((kind, text)).await.is_err() || read == 0 {
            return;
        }
    }
}
