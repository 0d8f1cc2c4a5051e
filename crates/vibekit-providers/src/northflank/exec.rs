//! Commands over a WebSocket: JSON messages, of which the client's first carries the key and the command.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use vibekit_http::{End, Failure, Message, Opening, Reason, Socket, WsRequest};
use vibekit_sandbox::{Code, Error, Result, Stream};

use super::api::{Api, WHO};
use crate::remote::{Raw, Wire};

/// From the first message to the answer to it.
const INIT: Duration = Duration::from_secs(30);

/// Pieces read ahead of who takes them.
const AHEAD: usize = 16;

/// Bytes of standard input in one message.
const PIECE: usize = 32 << 10;

/// What the service runs: it takes the true line from standard input, where no list of processes shows it.
const READ_LINE: &str = r#"IFS= read -r vk && eval "$(printf %b "$vk")""#;

/// A message of the service.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(default, borrow)]
    data: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Told {
    auth: String,
    message: String,
    exit_code: Option<i32>,
}

/// To the command.
pub(crate) enum Send {
    /// A piece of standard input. Answered when it was taken.
    Input(String, oneshot::Sender<Result<(), Failure>>),
    /// The end of standard input.
    End,
}

/// A command's connection. Ends when it is dropped.
pub(crate) struct Exec {
    pieces: mpsc::Receiver<Result<Raw>>,
    task: AbortHandle,
}

impl Drop for Exec {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A line as `read -r` and then `printf %b` take it.
fn escaped(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len() + line.len() / 8 + 1);
    for c in line.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped.push('\n');
    escaped
}

impl Exec {
    /// Has a shell run a line. `input` follows it as standard input; without `more` that is all of it.
    pub(crate) async fn start(
        api: &Arc<Api>,
        service: &str,
        line: &str,
        input: &str,
        more: bool,
    ) -> Result<(Self, mpsc::Sender<Send>)> {
        let request = WsRequest::new(api.exec_url(service));
        let mut socket = match api.sockets.open(request).await.map_err(|failure| failure.into_error(WHO))? {
            Opening::Open(socket) => socket,
            Opening::Refused(answer) => return Err(api.refusal("executing a command", &answer)),
        };
        let init = json!({
            "type": "init",
            "data": {
                "auth": { "type": "apiToken", "apiToken": api.options.key },
                "context": { "command": READ_LINE, "shell": "sh -c", "tty": false },
            },
        });
        let failed = |failure: Failure| failure.into_error(WHO);
        socket.send(Message::Binary(init.to_string().into())).await.map_err(failed)?;
        // The answer to it says whether the rest is wanted.
        let answer = tokio::time::timeout(INIT, first(&mut *socket, api)).await;
        match answer {
            Ok(answered) => answered?,
            Err(_) => {
                let text = format!("{WHO}: no answer to a command within {} s", INIT.as_secs());
                return Err(Error::new(Code::Timeout, text).with("limit", 30_000).retryable());
            }
        }
        socket.send(payload(&escaped(line))).await.map_err(failed)?;
        for piece in pieces_of(input) {
            socket.send(payload(piece)).await.map_err(failed)?;
        }
        if !more {
            socket.send(end()).await.map_err(failed)?;
        }
        let (to, from) = mpsc::channel(1);
        let (give, pieces) = mpsc::channel(AHEAD);
        let task = tokio::spawn(carry(socket, Arc::clone(api), from, give)).abort_handle();
        Ok((Self { pieces, task }, to))
    }

    /// Runs a line to its end. Exit code and standard output; standard error is told if there is no output.
    pub(crate) async fn run(
        api: &Arc<Api>,
        service: &str,
        line: &str,
        input: &str,
        limit: Duration,
    ) -> Result<(i32, Vec<u8>)> {
        let work = async {
            let (mut exec, _to) = Self::start(api, service, line, input, false).await?;
            let (mut output, mut errors) = (Vec::new(), Vec::new());
            loop {
                match exec.next().await? {
                    Raw::Output(Stream::Stdout, bytes) => output.extend_from_slice(&bytes),
                    Raw::Output(Stream::Stderr, bytes) => errors.extend_from_slice(&bytes),
                    Raw::End(code) => {
                        let output = if output.is_empty() { errors } else { output };
                        return Ok((code.unwrap_or(-1), output));
                    }
                }
            }
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            Err(Error::new(Code::Timeout, format!("{WHO}: a command of ours did not end within {ms} ms"))
                .with("limit", ms))
        })
    }
}

/// Pieces of a text that end where characters do.
fn pieces_of(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let mut at = text.len().min(PIECE);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (piece, rest) = text.split_at(at);
        text = rest;
        Some(piece)
    })
}

fn payload(text: &str) -> Message {
    Message::Binary(format!("{}\n", json!({ "type": "payload", "data": text })).into())
}

fn end() -> Message {
    Message::Binary(format!("{}\n", json!({ "type": "stdInEnd" })).into())
}

fn broken(end: End) -> Error {
    let failure = match end {
        End::Closed(closed) => {
            let reason =
                if closed.reason.is_empty() { String::new() } else { format!(": {}", closed.reason) };
            let text = format!(
                "the connection was closed before the command's result (code {}){reason}",
                closed.code
            );
            Failure::new(Reason::Broken, text).admitted()
        }
        End::Broken(failure) => failure,
    };
    failure.into_error(WHO)
}

/// Waits for the answer to the first message.
async fn first(socket: &mut dyn Socket, api: &Api) -> Result<()> {
    let bytes = socket.next().await.map_err(broken)?.into_bytes();
    let (kind, told) = read(&bytes).ok_or_else(|| nonsense(&bytes))?;
    match kind.as_ref() {
        "init" if told.auth == "successful" => Ok(()),
        "init" => {
            Err(api.unauthenticated(format!("{WHO}: a command was refused: {}", or_none(&told.message))))
        }
        "error" => Err(Error::new(
            Code::ProviderFailed,
            format!("{WHO}: a command failed: {}", or_none(&told.message)),
        )),
        _ => Err(nonsense(&bytes)),
    }
}

fn or_none(message: &str) -> &str {
    if message.is_empty() { "no reason given" } else { message }
}

fn nonsense(bytes: &[u8]) -> Error {
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    Error::new(
        Code::ProviderFailed,
        format!("{WHO}: a message of a command is not what it should be: {begin}"),
    )
}

fn read(bytes: &[u8]) -> Option<(String, Told)> {
    let frame: Frame<'_> = serde_json::from_slice(bytes).ok()?;
    let told = frame.data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
    Some((frame.kind.into_owned(), told))
}

/// Owns the socket: brings what comes, and takes what is to be sent.
async fn carry(
    mut socket: Box<dyn Socket>,
    api: Arc<Api>,
    mut from: mpsc::Receiver<Send>,
    give: mpsc::Sender<Result<Raw>>,
) {
    let mut listening = true;
    let last = loop {
        let message = tokio::select! {
            message = socket.next() => message,
            send = from.recv(), if listening => {
                match send {
                    Some(Send::Input(text, answer)) => {
                        let mut sent = Ok(());
                        for piece in pieces_of(&text) {
                            sent = socket.send(payload(piece)).await;
                            if sent.is_err() {
                                break;
                            }
                        }
                        // Whoever does not wait for it does not need to know.
                        let _ = answer.send(sent);
                    }
                    Some(Send::End) => {
                        // A connection that is gone shows itself when it is read.
                        let _ = socket.send(end()).await;
                    }
                    None => listening = false,
                }
                continue;
            }
        };
        let bytes = match message {
            Ok(message) => message.into_bytes(),
            Err(end) => break Err(broken(end)),
        };
        match piece(&bytes, &api) {
            Ok(Some(raw @ Raw::Output(..))) => {
                if give.send(Ok(raw)).await.is_err() {
                    return socket.close().await;
                }
            }
            Ok(Some(raw)) => break Ok(raw),
            Ok(None) => {}
            Err(error) => break Err(error),
        }
    };
    let _ = give.send(last).await;
    socket.close().await;
}

/// What a message brings.
fn piece(bytes: &Bytes, api: &Api) -> Result<Option<Raw>> {
    let frame: Frame<'_> = serde_json::from_slice(bytes).map_err(|_| nonsense(bytes))?;
    let output = |stream| {
        let text: String =
            frame.data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
        Ok(Some(Raw::Output(stream, text.into())))
    };
    let told =
        || frame.data.and_then(|data| serde_json::from_str::<Told>(data.get()).ok()).unwrap_or_default();
    match frame.kind.as_ref() {
        "stdOut" => output(Stream::Stdout),
        "stdErr" => output(Stream::Stderr),
        "completion" => Ok(Some(Raw::End(told().exit_code))),
        "error" => {
            let text = format!("{WHO}: a command failed: {}", or_none(&told().message));
            Err(Error::new(Code::ProviderFailed, text))
        }
        "init" if told().auth != "successful" => {
            Err(api.unauthenticated(format!("{WHO}: a command was refused")))
        }
        // Kinds to come.
        _ => Ok(None),
    }
}

#[async_trait]
impl Wire for Exec {
    async fn next(&mut self) -> Result<Raw> {
        self.pieces
            .recv()
            .await
            .unwrap_or_else(|| Err(Error::new(Code::Internal, "A command's connection was lost")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_read_and_printf() {
        let line = "printf '\\036%s\\n' \"a\nb\"; echo 'c\\\\d' ✓";
        let output = std::process::Command::new("sh")
            .args(["-c", "IFS= read -r vk; printf %b \"$vk\""])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                use std::io::Write;
                let stdin = child.stdin.take();
                stdin.map_or(Ok(()), |mut stdin| stdin.write_all(escaped(line).as_bytes()))?;
                child.wait_with_output()
            })
            .expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), line);
    }

    #[test]
    fn pieces_end_where_characters_do() {
        let text = "ä".repeat(PIECE);
        let pieces: Vec<&str> = pieces_of(&text).collect();
        assert!(pieces.len() == 2 && pieces.concat() == text);
    }
}
