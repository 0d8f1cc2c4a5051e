//! A sandbox's own server: sessions, one-shot commands, files.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::session::{Ran, Session};
use super::{Daytona, Generation, error};
use crate::doubles::{Answer, Ask, Line, Room, multipart};

/// Without a limit of its own, a one-shot command gets six minutes.
const EXECUTE: Duration = Duration::from_secs(360);

impl Daytona {
    pub(super) async fn toolbox(&self, ask: &Ask, id: &str, rest: &[&str]) -> Answer {
        let (room, state) = {
            let all = self.lock();
            match all.sandboxes.get(id) {
                Some(sandbox) => (sandbox.room.clone(), sandbox.state().to_owned()),
                None => return error(ask, 404, &format!("Sandbox with ID or name {id} not found")),
            }
        };
        if state != "started" {
            return error(ask, 400, &format!("Sandbox is not running (state {state})"));
        }
        let generation = self.settings().generation;
        match (ask.method.as_str(), rest) {
            (_, ["process", "session", rest @ ..]) => self.session(ask, id, rest, room).await,
            ("POST", ["process", "execute"]) => match room {
                Some(room) => execute(ask, &room, generation).await,
                None => {
                    let player = self.settings().player.clone();
                    let text = ask.json()["command"].as_str().unwrap_or_default().to_owned();
                    let (code, result) = player.map(|player| player.one_shot(&text)).unwrap_or_default();
                    Answer::json(200, &json!({ "exitCode": code, "result": result }))
                }
            },
            ("GET", ["project-dir" | "work-dir" | "user-home-dir"]) => {
                Answer::json(200, &json!({ "dir": "/vibe0" }))
            }
            (_, ["files", rest @ ..]) => match room {
                Some(room) => files(ask, rest, &room).await,
                None => Answer::json(200, &json!({})),
            },
            _ => error(ask, 404, "Cannot find it"),
        }
    }

    async fn session(&self, ask: &Ask, id: &str, rest: &[&str], room: Option<Arc<Room>>) -> Answer {
        let found = |session: &str| -> Option<Arc<Session>> {
            self.lock().sandboxes.get(id).and_then(|sandbox| sandbox.sessions.get(session).cloned())
        };
        let missing = || error(ask, 404, "session not found");
        match (ask.method.as_str(), rest) {
            ("POST", []) => {
                let body = ask.json();
                let Some(name) = body["sessionId"].as_str() else {
                    return error(ask, 400, "sessionId is required");
                };
                if found(name).is_some() {
                    return error(ask, 409, "session already exists");
                }
                let session = match room {
                    Some(room) => match Session::shell(name, room) {
                        Ok(session) => session,
                        Err(problem) => return error(ask, 500, &problem.to_string()),
                    },
                    None => Session::played(name),
                };
                if let Some(sandbox) = self.lock().sandboxes.get_mut(id) {
                    sandbox.sessions.insert(name.to_owned(), Arc::new(session));
                }
                Answer::empty(201)
            }
            ("GET", []) => {
                let all = self.lock();
                let list: Vec<Value> = all
                    .sandboxes
                    .get(id)
                    .map(|s| s.sessions.values().map(|s| told(s)).collect())
                    .unwrap_or_default();
                Answer::json(200, &json!(list))
            }
            ("GET", [name]) => found(name).map_or_else(missing, |session| Answer::json(200, &told(&session))),
            ("DELETE", [name]) => {
                let gone =
                    self.lock().sandboxes.get_mut(id).and_then(|sandbox| sandbox.sessions.remove(*name));
                gone.map_or_else(missing, |_| Answer::empty(204))
            }
            ("POST", [name, "exec"]) => match found(name) {
                Some(session) => self.execute_in(ask, &session).await,
                None => missing(),
            },
            ("GET", [name, "command", command]) => {
                let Some(session) = found(name) else { return missing() };
                match session.command(command) {
                    Some(ran) => Answer::json(200, &command_told(&ran)),
                    None => error(ask, 404, "command not found"),
                }
            }
            ("GET", [name, "command", command, "logs"]) => {
                let Some(session) = found(name) else { return missing() };
                match session.command(command) {
                    Some(ran) => logs(ask, &ran),
                    None => error(ask, 404, "command not found"),
                }
            }
            _ => error(ask, 404, "Cannot find it"),
        }
    }

    async fn execute_in(&self, ask: &Ask, session: &Arc<Session>) -> Answer {
        let body = ask.json();
        let Some(text) = body["command"].as_str() else { return error(ask, 400, "command is required") };
        let player = self.settings().player.clone();
        let ran = match player {
            Some(player) => session.play(text, player.play(text)),
            None => match session.execute(text).await {
                Ok(ran) => ran,
                Err(problem) => return error(ask, 400, &format!("failed to write command: {problem}")),
            },
        };
        if body["runAsync"] == true || body["async"] == true {
            return Answer::json(202, &json!({ "cmdId": ran.id }));
        }
        ran.ended().await;
        let (output, stdout, stderr) = split(&ran.whole());
        Answer::json(
            200,
            &json!({ "cmdId": ran.id, "output": output, "stdout": stdout, "stderr": stderr, "exitCode": ran.code() }),
        )
    }

    /// Opens the stream of a command's log.
    pub(super) fn follow(&self, ask: &Ask, id: &str, rest: &[&str], line: Line) -> Result<(), Answer> {
        let ["process", "session", session, "command", command, "logs"] = rest else {
            return Err(error(ask, 404, "Cannot find it"));
        };
        let mut all = self.lock();
        let ran = all
            .sandboxes
            .get(id)
            .filter(|sandbox| sandbox.state() == "started")
            .and_then(|sandbox| sandbox.sessions.get(*session))
            .and_then(|session| session.command(command))
            .ok_or_else(|| error(ask, 404, "command not found"))?;
        let cut = if all.cuts.is_empty() { None } else { Some(all.cuts.remove(0)) };
        drop(all);
        let (frame, linger) = {
            let settings = self.settings();
            // The older server ends a stream after about a second of silence.
            (settings.frame, if settings.generation == Generation::Api { 50 } else { 1 })
        };
        tokio::spawn(async move { ran.follow(line.send, frame, cut, linger).await });
        Ok(())
    }
}

fn told(session: &Session) -> Value {
    json!({ "sessionId": session.id, "commands": session.commands().iter().map(|ran| command_told(ran)).collect::<Vec<_>>() })
}

fn command_told(ran: &Ran) -> Value {
    let mut told = json!({ "id": ran.id, "command": ran.text });
    if let Some(code) = ran.code() {
        told["exitCode"] = json!(code);
    }
    told
}

/// The log as text with markers, or, for newer clients and those that ask, as JSON apart.
fn logs(ask: &Ask, ran: &Ran) -> Answer {
    let whole = ran.whole();
    let newer = ask
        .header("x-daytona-sdk-version")
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| minor >= 167);
    if newer || ask.header("x-daytona-split-output") == "true" {
        let (output, stdout, stderr) = split(&whole);
        return Answer::json(200, &json!({ "output": output, "stdout": stdout, "stderr": stderr }));
    }
    Answer::bytes(200, "text/plain", whole)
}

/// A log's lines: all, those of standard output, those of standard error.
fn split(log: &[u8]) -> (String, String, String) {
    let mut streams = [Vec::new(), Vec::new()];
    let mut all = Vec::new();
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let (stream, line) = match line {
            [1, 1, 1, rest @ ..] => (0, rest),
            [2, 2, 2, rest @ ..] => (1, rest),
            rest => (0, rest),
        };
        streams[stream].extend_from_slice(line);
        all.extend_from_slice(line);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&all), text(&streams[0]), text(&streams[1]))
}

/// A one-shot command: words in quotes, without a shell of its own.
async fn execute(ask: &Ask, room: &Room, generation: Generation) -> Answer {
    let body = ask.json();
    let text = body["command"].as_str().unwrap_or_default();
    // Newer servers ask a shell.
    let words = match generation {
        Generation::Api => words(text),
        Generation::Proxy => vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()],
    };
    if words.is_empty() {
        return error(ask, 400, "empty command");
    }
    let cwd = body["cwd"].as_str().unwrap_or("/vibe0");
    let mut program = vec!["sh", "-c", "cd -- \"$0\" && exec \"$@\"", cwd];
    program.extend(words.iter().map(String::as_str));
    let mut command = room.command(&program);
    if let Some(envs) = body["envs"].as_object() {
        command.envs(envs.iter().filter_map(|(name, value)| Some((name, value.as_str()?))));
    }
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let limit = body["timeout"].as_u64().filter(|limit| *limit > 0).map_or(EXECUTE, Duration::from_secs);
    match tokio::time::timeout(limit, command.output()).await {
        Ok(Ok(output)) => {
            let mut result = output.stdout;
            result.extend_from_slice(&output.stderr);
            let result = String::from_utf8_lossy(&result).into_owned();
            Answer::json(200, &json!({ "exitCode": output.status.code().unwrap_or(-1), "result": result }))
        }
        Ok(Err(problem)) => error(ask, 400, &problem.to_string()),
        Err(_) => error(ask, 408, "command execution timeout"),
    }
}

/// Splits at blanks outside of quotes; inside of one kind of quote the other means itself, and nothing escapes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// One line for each file: kind and permissions, size, name.
const STAT: &str = r#"for file; do [ -e "$file" ] || [ -L "$file" ] || continue; stat -c "%A %s ${file##*/}" -- "$file"; done"#;

async fn files(ask: &Ask, rest: &[&str], room: &Room) -> Answer {
    let path = ask.query.get("path").cloned().unwrap_or_default();
    let file = absolute(&path);
    let done = match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let script = format!("cd -- \"$0\" && set -- * .[!.]* ..?* && {STAT}");
            room.run(&["sh", "-c", &script, &file], b"").await
        }
        ("GET", ["info"]) => {
            room.run(&["sh", "-c", &format!("ls -d -- \"$1\" >/dev/null && {STAT}"), "info", &file], b"")
                .await
        }
        ("GET", ["download"]) => room.run(&["cat", "--", &file], b"").await,
        ("POST", ["bulk-upload"]) => return bulk(ask, room).await,
        ("POST", ["bulk-download"]) => return bulk_download(ask, room).await,
        ("POST", ["folder"]) => room.run(&["mkdir", "-p", "--", &file], b"").await,
        ("DELETE", []) => {
            let recursive =
                if ask.query.get("recursive").is_some_and(|wanted| wanted == "true") { "-r" } else { "--" };
            room.run(&["rm", recursive, "--", &file], b"").await
        }
        _ => return error(ask, 404, "Cannot find it"),
    };
    let (code, output, errors) = match done {
        Ok(done) => done,
        Err(problem) => return error(ask, 500, &problem.to_string()),
    };
    if code != 0 {
        let missing = errors.contains("No such file") || errors.contains("can't cd");
        return error(ask, if missing { 404 } else { 400 }, errors.trim());
    }
    let lines = || String::from_utf8_lossy(&output).lines().filter_map(info).collect::<Vec<_>>();
    match (ask.method.as_str(), rest) {
        ("GET", []) => Answer::json(200, &json!(lines())),
        ("GET", ["info"]) => Answer::json(200, &lines().into_iter().next().unwrap_or_default()),
        ("GET", _) => Answer::bytes(200, "application/octet-stream", output),
        ("DELETE", _) => Answer::empty(204),
        _ => Answer::empty(201),
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/vibe0/{path}") }
}

async fn bulk(ask: &Ask, room: &Room) -> Answer {
    const WRITE: &str = r#"case "$0" in */*) mkdir -p -- "${0%/*}";; esac && cat >"$0""#;
    let parts = multipart::parts(ask.header("content-type"), &ask.body);
    let mut path = String::new();
    for (name, content) in parts {
        if name.ends_with(".path") {
            path = absolute(&String::from_utf8_lossy(&content));
        } else if name.ends_with(".file") {
            let problem = match room.run(&["sh", "-c", WRITE, &path], &content).await {
                Ok((0, ..)) => continue,
                Ok((_, _, errors)) => errors,
                Err(problem) => problem.to_string(),
            };
            return Answer::json(400, &json!({ "message": problem.trim(), "source": "DAYTONA_DAEMON" }));
        }
    }
    Answer::empty(200)
}

/// Several files, as `multipart/form-data`.
async fn bulk_download(ask: &Ask, room: &Room) -> Answer {
    let paths = ask.json()["paths"].as_array().cloned().unwrap_or_default();
    let mut body = Vec::new();
    for path in paths.iter().filter_map(Value::as_str) {
        let (part, content) = match room.run(&["cat", "--", &absolute(path)], b"").await {
            Ok((0, content, _)) => ("file", content),
            Ok((_, _, errors)) => ("error", errors.into_bytes()),
            Err(problem) => ("error", problem.to_string().into_bytes()),
        };
        body.extend_from_slice(
            format!(
                "--double\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{path}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--double--\r\n");
    Answer::bytes(200, "multipart/form-data; boundary=double", body)
}

/// A line of `STAT`.
fn info(line: &str) -> Option<Value> {
    let mut words = line.splitn(3, ' ');
    let (mode, size, name) = (words.next()?, words.next()?, words.next()?);
    // Go writes the kind of a link as a capital letter.
    let mode = mode.strip_prefix('l').map_or_else(|| mode.to_owned(), |rest| format!("L{rest}"));
    Some(json!({
        "name": name, "isDir": mode.starts_with('d'), "size": size.parse::<u64>().ok()?, "mode": mode,
        "modTime": "2026-01-01T00:00:00Z", "permissions": "0644", "owner": "root", "group": "root",
    }))
}
