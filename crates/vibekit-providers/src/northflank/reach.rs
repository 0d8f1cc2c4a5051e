//! What can be done to a running command from elsewhere.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, oneshot};
use vibekit_core::text::quote;
use vibekit_sandbox::{Code, Error, Result};

use super::exec::Send;
use super::sandbox::{Inner, SHORT};
use crate::remote::{Reach, Report, report, stop_words, tenths};

/// Standard input of a command.
#[derive(Default)]
struct Input {
    to: Option<mpsc::Sender<Send>>,
    /// The beginning of a character whose rest is to come: messages hold text.
    rest: Vec<u8>,
}

/// One command.
pub(super) struct Remote {
    inner: Arc<Inner>,
    job: String,
    input: Mutex<Input>,
}

impl Remote {
    pub(super) fn new(inner: Arc<Inner>, job: &str) -> Self {
        Self { inner, job: job.to_owned(), input: Mutex::default() }
    }

    /// Standard input can be written here.
    pub(super) async fn pipes_to(&self, to: mpsc::Sender<Send>) {
        self.input.lock().await.to = Some(to);
    }

    fn closed() -> Error {
        Error::new(Code::InvalidArgument, "The command's standard input is not open")
    }
}

#[async_trait]
impl Reach for Remote {
    async fn stop(&self, pid: u32, grace: Duration) -> Result<Report> {
        let words = stop_words(&self.job, pid, tenths(grace));
        let line = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let (_, said) = self.inner.run(&line, "", grace + SHORT).await?;
        let said = String::from_utf8_lossy(&said);
        report(&said).ok_or_else(|| {
            let text = format!("Northflank: the command's processes could not be ended: {}", said.trim());
            Error::new(Code::ProviderFailed, text)
        })
    }

    async fn reset(&self) {
        // There is no harder way than the signals that were sent.
    }

    async fn vanished(&self) -> Option<Error> {
        self.inner.look().await
    }

    async fn signal(&self, pid: u32, signal: i32) -> Result<()> {
        // A process that has just ended is none to complain about.
        self.inner.run(&format!("kill -{signal} {pid} 2>/dev/null"), "", SHORT).await.map(drop)
    }

    async fn write(&self, bytes: Bytes) -> Result<()> {
        let mut input = self.input.lock().await;
        let Some(to) = input.to.clone() else { return Err(Self::closed()) };
        let mut whole = std::mem::take(&mut input.rest);
        whole.extend_from_slice(&bytes);
        let text = match String::from_utf8(whole) {
            Ok(text) => text,
            Err(error) => {
                let (problem, valid) = (error.utf8_error(), error.utf8_error().valid_up_to());
                let mut bytes = error.into_bytes();
                if problem.error_len().is_some() {
                    let remedy = "Give the whole input at once as bytes, or write it to a file.";
                    return Err(Error::invalid(
                        "stdin",
                        "is not UTF-8, which this service's messages need",
                        remedy,
                    ));
                }
                input.rest = bytes.split_off(valid);
                String::from_utf8(bytes).unwrap_or_default()
            }
        };
        if text.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        to.send(Send::Input(text, answer)).await.map_err(|_| Self::closed())?;
        match answered.await {
            Ok(sent) => sent.map_err(|failure| failure.into_error(super::api::WHO)),
            Err(_) => Err(Self::closed()),
        }
    }

    async fn close_stdin(&self) -> Result<()> {
        // If the command is over, so is its input.
        if let Some(to) = self.input.lock().await.to.take() {
            let _ = to.send(Send::End).await;
        }
        Ok(())
    }

    fn done(&self, _clean: bool) {
        // A connection of its own, and no place that has to be given back.
    }
}
