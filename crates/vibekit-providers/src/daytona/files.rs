//! A sandbox's files, through its server.

use async_trait::async_trait;
use bytes::Bytes;
use vibekit_http::{Response, StatusCode};
use vibekit_sandbox::{Code, Entry, Error, Files, Result};

use super::sandbox::{DaytonaSandbox, SHORT};
use super::toolbox::says;
use crate::remote::{check_path, full_path, places};

impl DaytonaSandbox {
    /// A path as the sandbox's server takes it.
    async fn path(&self, path: &str) -> Result<String> {
        check_path(path)?;
        self.inner.check()?;
        full_path(path, &self.directory, self.told()).await
    }

    /// What [`places`] prints.
    async fn told(&self) -> Result<&str> {
        let told = self
            .home
            .get_or_try_init(|| async {
                let (_, said) = self.inner.toolbox.one_shot(&["sh", "-c", &places()], SHORT, true).await?;
                Ok::<_, Error>(said)
            })
            .await?;
        Ok(told)
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
