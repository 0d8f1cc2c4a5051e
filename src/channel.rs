//! The ordered channel of one operation.
//!
//! Events and outcome share a queue, so no event can arrive after the outcome. A wake-up takes everything that has
//! piled up; at most one is in flight. The queue's bytes are bounded by a window that the producer waits for
//! ([`Sink::ready`]). The ThreadsafeFunction is strong while the operation runs (Node stays alive for it) and dropped
//! after the last frame (nothing is held between operations, which Jest's `--detectOpenHandles` would report).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use napi::bindgen_prelude::{Function, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Result, Status};
use serde_json::Value;
use tokio::sync::Notify;
use vibekit_core::http::HttpRequest;
use vibekit_core::protocol::{Channel as Target, Ticket};
use vibekit_driver::Sink;

use crate::failure;
use crate::frames::{Frame, Frames, Kind};
use crate::text::Text;

/// Bytes that may wait for the event loop before the producer pauses. One mebibyte keeps the pipe busy and the data
/// in cache; larger windows are slower.
const WINDOW: usize = 1 << 20;
/// What a frame costs beside its text.
const FRAME: usize = 64;
/// Bytes from which on an output crosses as text of its own instead of as part of the outcome's JSON, which the event
/// loop would have to parse in one go.
const APART: usize = 64 << 10;

type Wake = ThreadsafeFunction<(), UnknownReturnValue, Frames, Status, false, false, 0>;

/// What the shim passes as `onFrames`.
pub(crate) type OnFrames<'env> = Function<'env, Unknown<'static>, UnknownReturnValue>;

/// The producer's end. The consumer's end lives in the ThreadsafeFunction's callback.
pub(crate) struct Channel {
    shared: Arc<Shared>,
    /// Gone after the last frame.
    wake: Mutex<Option<Wake>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Vec<Frame>>,
    /// A wake-up is on its way.
    armed: AtomicBool,
    /// Bytes not yet taken by the event loop.
    waiting: AtomicUsize,
    /// The event loop took something, or is gone.
    taken: Notify,
    gone: AtomicBool,
}

impl Channel {
    /// Opens a channel. `session` tells the current session id when a delivery says that it may have changed;
    /// whatever it captures lives as long as the operation.
    pub(crate) fn open(
        on_frames: &OnFrames<'_>,
        session: impl Fn() -> Option<String> + 'static,
    ) -> Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let reader = shared.clone();
        let wake = on_frames.build_threadsafe_function::<()>().build_callback(move |_context| {
            reader.armed.store(false, Ordering::Release);
            let mut frames =
                std::mem::take(&mut *reader.queue.lock().unwrap_or_else(PoisonError::into_inner));
            let bytes: usize = frames.iter().map(|frame| FRAME + frame.1.size()).sum();
            reader.waiting.fetch_sub(bytes, Ordering::AcqRel);
            reader.taken.notify_waiters();
            for frame in &mut frames {
                if matches!(frame.0, Kind::Session) {
                    frame.1 = session().unwrap_or_default().into();
                }
            }
            Ok(Frames(frames))
        })?;
        Ok(Arc::new(Self { shared, wake: Mutex::new(Some(wake)) }))
    }

    fn push(&self, kind: Kind, text: Text, last: bool) {
        let frame = Frame(kind, text);
        // The session's text is filled in on delivery: count what `open` will subtract.
        self.shared.waiting.fetch_add(FRAME + frame.1.size(), Ordering::AcqRel);
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if wake.is_none() {
            return;
        }
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
        if !self.shared.armed.swap(true, Ordering::AcqRel)
            && let Some(wake) = &*wake
            && wake.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok
        {
            // The environment is being torn down; nobody will take anything any more.
            self.shared.gone.store(true, Ordering::Release);
            self.shared.taken.notify_waiters();
        }
        if last {
            *wake = None;
        }
    }
}

#[async_trait]
impl Sink for Channel {
    fn emit(&self, channel: Target, text: String) {
        self.push(channel.into(), text.into(), false);
    }

    fn session_changed(&self) {
        self.push(Kind::Session, String::new().into(), false);
    }

    fn request(&self, ticket: Ticket, request: HttpRequest) {
        let frame = serde_json::json!({ "ticket": ticket, "request": request });
        self.push(Kind::Request, frame.to_string().into(), false);
    }

    fn settle(&self, result: vibekit_core::Result<Value>) {
        match result {
            Ok(mut value) => {
                for (name, kind) in [("stdout", Kind::ResultStdout), ("stderr", Kind::ResultStderr)] {
                    if let Some(Value::String(text)) = value.get_mut(name)
                        && text.len() >= APART
                    {
                        self.push(kind, std::mem::take(text).into(), false);
                    }
                }
                self.push(Kind::Done, value.to_string().into(), true);
            }
            Err(error) => self.push(Kind::Fail, failure::json(&error).into(), true),
        }
    }

    async fn ready(&self) -> bool {
        loop {
            let taken = self.shared.taken.notified();
            if self.shared.gone.load(Ordering::Acquire) {
                return false;
            }
            if self.shared.waiting.load(Ordering::Acquire) < WINDOW {
                return true;
            }
            taken.await;
        }
    }
}
