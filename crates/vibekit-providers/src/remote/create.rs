//! Creations that leave nothing behind when they are given up, and clearing up that does not give up itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use vibekit_sandbox::{Code, Error, Result, Sandbox};

/// The pause before which clearing up is given up.
const LONGEST: Duration = Duration::from_secs(300);

/// True when the sandbox does not run any more, and with it none of its commands.
pub(crate) fn is_over(error: &Error) -> bool {
    matches!(error.code, Code::SandboxKilled | Code::SandboxLost | Code::SandboxPaused | Code::Disposed)
}

/// Does what nobody is there to try again, until it succeeds or the sandbox is over.
pub(crate) async fn persist<T, F>(mut work: impl FnMut() -> F)
where
    F: Future<Output = Result<T>>,
{
    let mut pause = Duration::from_millis(500);
    while let Err(error) = work().await {
        if is_over(&error) || pause > LONGEST {
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// A sandbox that ends unless somebody takes it.
struct Made<S: Sandbox>(Option<Arc<S>>);

impl<S: Sandbox> Drop for Made<S> {
    fn drop(&mut self) {
        if let (Some(sandbox), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { persist(|| sandbox.kill()).await });
        }
    }
}

/// Runs a creation to its end even when nobody waits any more: a service goes on with what it was asked for. What nobody
/// takes is killed.
pub(crate) async fn unattended<S: Sandbox>(
    work: impl Future<Output = Result<Arc<S>>> + Send + 'static,
) -> Result<Arc<S>> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        // If it cannot be delivered, it is dropped here; if it is not received, with the channel.
        let _ = sender.send(work.await.map(|made| Made(Some(made))));
    });
    match receiver.await {
        Ok(Ok(mut made)) => made.0.take().ok_or_else(panicked),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(panicked()),
    }
}

fn panicked() -> Error {
    Error::new(Code::Internal, "Opening the sandbox panicked")
}
