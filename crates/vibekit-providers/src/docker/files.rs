//! Files, read and written by commands of the sandbox's own user.
//!
//! The engine's archive interface would act as root of the container, and a link planted there would lead it to files the
//! user may not touch. A command can do what the user can, and no link leads it out of the container.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use vibekit_sandbox::{Code, Command, Entry, Error, Files, Process, Result, Sandbox, Stdin, Stream};

use super::sandbox::DockerSandbox;
use super::script;

/// Limit on one operation.
const LIMIT: Duration = Duration::from_secs(600);

impl DockerSandbox {
    /// Runs one of the scripts on a path; gives its output.
    async fn act(&self, script: &str, path: &str, input: Option<Bytes>) -> Result<Bytes> {
        if path.is_empty() || path.contains('\0') {
            return Err(Error::invalid(
                "path",
                "is empty or holds a NUL character",
                "Give a path inside the sandbox.",
            ));
        }
        // A path that begins with a dash is a path.
        let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
        let command = Command {
            stdin: input.map_or(Stdin::Null, |input| Stdin::Bytes(input.to_vec())),
            ..Command::exec("sh", ["-c", script, "sh", &path])
        };
        let work = async {
            let mut process = self.spawn(command).await?;
            let (output, complaint) = gather(&mut *process).await?;
            Ok((process.exit().await?, output, complaint))
        };
        let (exit, output, complaint) = tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
            Err(Error::new(
                Code::Timeout,
                format!("Working on {path:?} took longer than {} s", LIMIT.as_secs()),
            ))
        })?;
        if exit.code != 0 {
            return Err(refusal(&path, &complaint));
        }
        Ok(output)
    }
}

async fn gather(process: &mut dyn Process) -> Result<(Bytes, String)> {
    let (mut output, mut complaint) = (BytesMut::new(), Vec::new());
    while let Some((stream, bytes)) = process.next().await? {
        match stream {
            Stream::Stdout => output.extend_from_slice(&bytes),
            Stream::Stderr => complaint.extend_from_slice(&bytes),
        }
    }
    Ok((output.freeze(), String::from_utf8_lossy(&complaint).into_owned()))
}

fn refusal(path: &str, complaint: &str) -> Error {
    let said = complaint.lines().next_back().unwrap_or_default();
    // `sh: 1: cannot open x: No such file`: the last part says it.
    let why = said.rsplit(": ").next().unwrap_or(said);
    if said.contains("No space left") {
        return Error::new(Code::DiskFull, format!("{path:?} cannot be written: the disk is full"))
            .with_hint("Make room in the sandbox, or where the engine keeps its data.");
    }
    Error::new(Code::FileError, format!("{path:?}: {why}")).with("path", path)
}

#[async_trait]
impl Files for DockerSandbox {
    async fn read(&self, path: &str) -> Result<Bytes> {
        self.act(script::READ, path, None).await
    }

    async fn write(&self, path: &str, content: Bytes) -> Result<()> {
        self.act(script::WRITE, path, Some(content)).await.map(drop)
    }

    async fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let output = self.act(script::LIST, path, None).await?;
        let mut entries: Vec<_> = output.split(|byte| *byte == 0).filter_map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    async fn remove(&self, path: &str) -> Result<()> {
        self.act(script::REMOVE, path, None).await.map(drop)
    }
}

/// `KIND SIZE NAME`.
fn entry(record: &[u8]) -> Option<Entry> {
    let text = String::from_utf8_lossy(record);
    let mut parts = text.splitn(3, ' ');
    let kind = match parts.next()? {
        "file" => "file",
        "directory" => "directory",
        "symlink" => "symlink",
        _ => "other",
    };
    let size = parts.next()?.trim().parse().ok()?;
    Some(Entry { name: parts.next()?.to_owned(), kind, size })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_are_read_whatever_the_name() {
        let read = entry(b"file 12 a b\nc").unwrap();
        assert_eq!((read.name.as_str(), read.kind, read.size), ("a b\nc", "file", 12));
        assert!(entry(b"").is_none() && entry(b"file x y").is_none());
    }

    #[test]
    fn complaints_of_shells_become_sentences() {
        let error = refusal("x", "sh: 1: cannot open x: No such file\n");
        assert_eq!((error.code, error.message.as_str()), (Code::FileError, "\"x\": No such file"));
        assert_eq!(refusal("x", "cat: write error: No space left on device").code, Code::DiskFull);
    }
}
