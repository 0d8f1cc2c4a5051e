//! Creations that leave nothing behind when they are given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use vibekit_sandbox::{Code, Error, Result, Sandbox};

/// The pause before which killing what nobody took is given up.
const LONGEST: Duration = Duration::from_secs(300);

/// A sandbox that ends unless somebody takes it.
struct Made<S: Sandbox>(Option<Arc<S>>);

impl<S: Sandbox> Drop for Made<S> {
    fn drop(&mut self) {
        if let (Some(sandbox), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                // Nobody is there to hear of a failure, and to try again.
                let mut pause = Duration::from_millis(500);
                while sandbox.kill().await.is_err() && pause < LONGEST {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            });
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
