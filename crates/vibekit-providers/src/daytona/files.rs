//! A sandbox's files, through its server.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use vibekit_http::{Response, StatusCode};
use vibekit_sandbox::{Code, Entry, Error, Files, Result};

use super::sandbox::{DaytonaSandbox, SHORT};
use super::toolbox::says;
use crate::remote::WORKING_DIRECTORY;

impl DaytonaSandbox {
    /// A path as the sandbox's server takes it.
    async fn path(&self, path: &str) -> Result<String> {
        if path.contains('\0') {
            return Err(Error::invalid("path", "holds a NUL character", "No file is called so."));
        }
        self.inner.check()?;
        let under = |base: &str, rest: &str| format!("{}/{rest}", base.trim_end_matches('/'));
        if let Some(rest) = path.strip_prefix("$HOME/").or_else(|| path.strip_prefix("~/")) {
            return Ok(under(&self.places().await?.0, rest));
        }
        if path.starts_with('/') {
            return Ok(path.to_owned());
        }
        Ok(under(&self.places().await?.1, path))
    }

    /// Home and working directory.
    async fn places(&self) -> Result<(Cow<'_, str>, Cow<'_, str>)> {
        let told = self
            .home
            .get_or_try_init(|| async {
                let script = format!("echo \"$HOME\"; echo \"${{{WORKING_DIRECTORY}:-}}\"");
                let (_, said) = self.inner.toolbox.one_shot(&["sh", "-c", &script], SHORT, true).await?;
                Ok::<_, Error>(said)
            })
            .await?;
        let mut lines = told.lines();
        let home = lines.next().filter(|home| home.starts_with('/')).unwrap_or("/root");
        let directory =
            lines.next().filter(|directory| directory.starts_with('/')).unwrap_or(&self.directory);
        Ok((home.into(), directory.into()))
    }

    async fn refused(&self, doing: &str, path: &str, answer: &Response) -> Error {
        let missing = answer.status == StatusCode::NOT_FOUND || says(answer, "no such file");
        if let Some(error) = self.inner.look().await.filter(|_| answer.status != StatusCode::OK) {
            return error;
        }
        let error = self.inner.api.refusal(doing, answer);
        if missing || answer.status == StatusCode::BAD_REQUEST {
            let reason = if missing { "there is none".to_owned() } else { error.message };
            return Error::new(Code::FileError, format!("{doing} {path:?} failed: {reason}"))
                .with("reason", if missing { "not_found" } else { "other" });
        }
        error
    }
}

#[async_trait]
impl Files for DaytonaSandbox {
    async fn read(&self, path: &str) -> Result<Bytes> {
        let full = self.path(path).await?;
        let answer = self.inner.toolbox.download(&full).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(self.refused("Reading", path, &answer).await)
    }

    async fn write(&self, path: &str, content: Bytes) -> Result<()> {
        let full = self.path(path).await?;
        match self.inner.toolbox.upload(&[(full, content)]).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.inner.explain(error).await),
        }
    }

    async fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let full = self.path(path).await?;
        let answer = self.inner.toolbox.list(&full).await?;
        if !answer.status.is_success() {
            return Err(self.refused("Listing", path, &answer).await);
        }
        let body = answer.json().unwrap_or_default();
        let mut entries: Vec<Entry> = body
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                // As Go writes modes: the first letter is the kind.
                let kind = match (
                    entry["isDir"].as_bool(),
                    entry["mode"].as_str().and_then(|mode| mode.chars().next()),
                ) {
                    (Some(true), _) => "directory",
                    (_, Some('L')) => "symlink",
                    (_, Some('-') | None) => "file",
                    _ => "other",
                };
                let size = if kind == "file" { entry["size"].as_u64().unwrap_or(0) } else { 0 };
                Some(Entry { name: entry["name"].as_str()?.to_owned(), kind, size })
            })
            .collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let full = self.path(path).await?;
        let answer = self.inner.toolbox.remove(&full).await?;
        if answer.status.is_success()
            || answer.status == StatusCode::NOT_FOUND
            || says(&answer, "no such file")
        {
            self.inner.check()?;
            return Ok(());
        }
        Err(self.refused("Removing", path, &answer).await)
    }
}
