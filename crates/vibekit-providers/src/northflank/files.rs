//! A sandbox's files, through commands of ours: the service has no other way to them. Contents travel as Base64, because
//! its messages hold text.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use vibekit_core::text::quote;
use vibekit_sandbox::{Code, Entry, Error, Files, Result};

use super::sandbox::{NorthflankSandbox, SHORT};
use crate::remote::{check_path, full_path, places};

/// For a whole file.
const TRANSFER: Duration = Duration::from_secs(1800);

/// Kind, size and name of each entry; no name has a slash, so one ends each.
const LIST: &str = r#"for f in * .[!.]* ..?*; do
  if [ -L "$f" ]; then printf 'l 0 %s/\n' "$f"
  elif [ -d "$f" ]; then printf 'd 0 %s/\n' "$f"
  elif [ -f "$f" ]; then printf 'f %s %s/\n' "$(($(wc -c <"$f")))" "$f"
  elif [ -e "$f" ]; then printf 'o 0 %s/\n' "$f"; fi
done"#;

impl NorthflankSandbox {
    async fn path(&self, path: &str) -> Result<String> {
        check_path(path)?;
        self.inner.check()?;
        full_path(path, &self.directory, self.told()).await
    }

    /// What [`places`] prints.
    async fn told(&self) -> Result<&str> {
        let told = self
            .places
            .get_or_try_init(|| async {
                let (_, said) = self.inner.run(&places(), "", SHORT).await?;
                Ok::<_, Error>(String::from_utf8_lossy(&said).into_owned())
            })
            .await?;
        Ok(told)
    }

    /// Writes a file of this full path.
    pub(super) async fn put(&self, full: &str, content: Bytes) -> Result<()> {
        let parent =
            full.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
        let line = format!("mkdir -p -- {} && base64 -d >{}", quote(parent), quote(full));
        let (code, said) = self.inner.run(&line, &STANDARD.encode(&content), TRANSFER).await?;
        if code == 0 { Ok(()) } else { Err(failed("Writing", full, &said)) }
    }
}

fn failed(doing: &str, path: &str, said: &[u8]) -> Error {
    let said = String::from_utf8_lossy(said);
    let said = said.trim();
    if said.contains("No space left") {
        return Error::new(Code::DiskFull, "There is no space left in the sandbox.")
            .with_hint("Remove files, or ask for a larger volume with persistentVolumeStorage.");
    }
    let missing = said.contains("No such file") || said.contains("can't cd");
    Error::new(Code::FileError, format!("{doing} {path:?} failed: {said}"))
        .with("reason", if missing { "not_found" } else { "other" })
}

#[async_trait]
impl Files for NorthflankSandbox {
    async fn read(&self, path: &str) -> Result<Bytes> {
        let full = self.path(path).await?;
        // A program that cannot read says so on standard error, and no output is no content.
        let (code, said) =
            self.inner.run(&format!("base64 <{} && echo .", quote(&full)), "", TRANSFER).await?;
        if code != 0 {
            return Err(failed("Reading", path, &said));
        }
        let text: Vec<u8> =
            said.into_iter().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'.').collect();
        let content = STANDARD.decode(text).map_err(|error| {
            Error::new(
                Code::ProviderFailed,
                format!("Northflank: {path:?} did not arrive as it was sent: {error}"),
            )
        })?;
        Ok(content.into())
    }

    async fn write(&self, path: &str, content: Bytes) -> Result<()> {
        let full = self.path(path).await?;
        self.put(&full, content).await
    }

    async fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let full = self.path(path).await?;
        let (code, said) = self.inner.run(&format!("cd -- {} && {LIST}", quote(&full)), "", SHORT).await?;
        if code != 0 {
            return Err(failed("Listing", path, &said));
        }
        let said = String::from_utf8_lossy(&said);
        let mut entries: Vec<Entry> = said
            .split("/\n")
            .filter_map(|line| {
                let mut words = line.splitn(3, ' ');
                let kind = match words.next()? {
                    "f" => "file",
                    "d" => "directory",
                    "l" => "symlink",
                    _ => "other",
                };
                let size = words.next()?.parse().ok()?;
                Some(Entry { name: words.next()?.to_owned(), kind, size })
            })
            .collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let full = self.path(path).await?;
        let (code, said) = self.inner.run(&format!("rm -rf -- {}", quote(&full)), "", SHORT).await?;
        if code == 0 { Ok(()) } else { Err(failed("Removing", path, &said)) }
    }
}
