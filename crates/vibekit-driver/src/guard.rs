//! A panic in a task is a defect, and must reach the caller as a failure instead of leaving him waiting.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use vibekit_core::{Code, Error, Result};

/// Runs a future; a panic inside becomes an `INTERNAL` failure that carries the panic's text.
///
/// # Errors
/// What the future fails with, or the panic.
pub async fn guarded<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(payload) => std::task::Poll::Ready(Err(internal(&*payload))),
    })
    .await
}

/// The failure a panic becomes.
pub(crate) fn internal(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned());
    Error::new(Code::Internal, format!("Internal error: {text}"))
        .with_hint("This is a defect of vibekit-native; please report it with the text of this message.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_keeps_its_text() {
        let number = 7;
        let error = guarded::<()>(async { panic!("seven is {number}") }).await.expect_err("it panicked");
        assert_eq!(error.message, "Internal error: seven is 7");
        assert_eq!(error.code, Code::Internal);
    }
}
