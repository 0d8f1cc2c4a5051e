//! What can be done to a running command from elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vibekit_sandbox::{Code, Error, Result};

use super::sandbox::{Inner, SHORT};
use crate::remote::{Reach, Report, persist, report, stop_words, tenths};

/// Between looks at whether a session's shell is through with a command that has ended.
const SETTLE: [u64; 7] = [0, 10, 30, 60, 200, 500, 1000];

#[derive(Default)]
struct Place {
    session: Option<String>,
    command: Option<String>,
}

/// One command.
pub(super) struct Remote {
    inner: Arc<Inner>,
    job: String,
    place: Mutex<Place>,
    /// One write after the other. False once the input is closed.
    open: tokio::sync::Mutex<bool>,
}

impl Remote {
    pub(super) fn new(inner: Arc<Inner>, job: &str, piped: bool) -> Self {
        Self { inner, job: job.to_owned(), place: Mutex::default(), open: tokio::sync::Mutex::new(piped) }
    }

    /// It is about to be started there.
    pub(super) fn runs_in(&self, session: &str) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).session = Some(session.to_owned());
    }

    /// It was started, and is called so.
    pub(super) fn is(&self, session: &str, command: &str) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) =
            Place { session: Some(session.to_owned()), command: Some(command.to_owned()) };
    }

    fn pipe(&self) -> String {
        format!("/tmp/.vibekit-{}.in", self.job)
    }

    fn closed() -> Error {
        Error::new(Code::InvalidArgument, "The command's standard input is not open")
    }
}

#[async_trait]
impl Reach for Remote {
    async fn stop(&self, pid: u32, grace: Duration) -> Result<Report> {
        let words = stop_words(&self.job, pid, tenths(grace));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (_, said) = match self.inner.toolbox.one_shot(&words, grace + SHORT, true).await {
            Ok(done) => done,
            Err(error) => return Err(self.inner.explain(error).await),
        };
        report(&said).ok_or_else(|| {
            let text = format!("Daytona: the command's processes could not be ended: {}", said.trim());
            Error::new(Code::ProviderFailed, text)
        })
    }

    async fn reset(&self) {
        let session = self.place.lock().unwrap_or_else(PoisonError::into_inner).session.clone();
        if let Some(session) = session {
            // What this does not end, the sandbox's own end does.
            let _ = self.inner.toolbox.delete_session(&session).await;
        }
    }

    async fn vanished(&self) -> Option<Error> {
        self.inner.look().await
    }

    async fn signal(&self, pid: u32, signal: i32) -> Result<()> {
        let (signal, pid) = (format!("-{signal}"), pid.to_string());
        // A process that has just ended is none to complain about.
        let sent = self.inner.toolbox.one_shot(&["kill", &signal, &pid], SHORT, false).await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => Err(self.inner.explain(error).await),
        }
    }

    async fn write(&self, bytes: Bytes) -> Result<()> {
        // Servers older than the input endpoint have none, and newer ones add line feeds and echo.
        const FEED: &str = "[ -p \"$0\" ] || exit 3; cat \"$0.part\" >\"$0\"";
        let open = self.open.lock().await;
        if !*open {
            return Err(Self::closed());
        }
        let pipe = self.pipe();
        self.inner.toolbox.upload(&[(format!("{pipe}.part"), bytes)]).await?;
        match self.inner.toolbox.one_shot(&["sh", "-c", FEED, &pipe], Duration::from_secs(300), false).await?
        {
            (0, _) => Ok(()),
            _ => Err(Self::closed()),
        }
    }

    async fn close_stdin(&self) -> Result<()> {
        let mut open = self.open.lock().await;
        if !*open {
            return Ok(());
        }
        *open = false;
        let holder = format!("{}.pid", self.pipe());
        let words = ["sh", "-c", "kill \"$(cat \"$0\")\" 2>/dev/null", &holder];
        self.inner.toolbox.one_shot(&words, SHORT, true).await.map(drop)
    }

    fn done(&self, clean: bool) {
        let Place { session, command } =
            std::mem::take(&mut *self.place.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(session) = session else { return };
        let inner = Arc::clone(&self.inner);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let Some(command) = command.filter(|_| clean) else {
                return persist(|| inner.toolbox.delete_session(&session)).await;
            };
            for wait in SETTLE {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                if inner.check().is_err() {
                    return;
                }
                match inner.toolbox.command(&session, &command).await {
                    Ok(Some(info)) if info.exit_code.is_some() => return inner.free(session),
                    Ok(Some(_)) => {}
                    _ => return,
                }
            }
            // Something the command left behind holds its output, and with it the session's shell. It keeps it.
        });
    }
}
