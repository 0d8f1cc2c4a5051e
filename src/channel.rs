//! The ordered channel of one operation.
//!
//! Events and outcome share a queue, so no event can arrive after the outcome. A wake-up takes what has piled up, as far
//! as one turn of the event loop should bear; at most one is in flight, and the next is sent only when JavaScript says,
//! from its next turn, that it is done with the last ([`deliver`]): a producer that keeps up would otherwise hold the event
//! loop for as long as it produces. The queue's bytes are bounded by a window that the producer waits for
//! ([`Sink::ready`]). The ThreadsafeFunction is strong while the operation runs (Node stays alive for it) and dropped
//! with the last frame (nothing is held between operations, which Jest's `--detectOpenHandles` would report).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use napi::bindgen_prelude::{Function, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Result, Status};
use napi_derive::napi;
use serde_json::Value;
use tokio::sync::Notify;
use vibekit_core::http::HttpRequest;
use vibekit_core::protocol::{Channel as Target, Ticket};
use vibekit_driver::Sink;

use crate::failure;
use crate::frames::{Frame, Frames, Kind, enqueue};
use crate::text::Text;

/// Bytes that may wait for the event loop before the producer pauses. One mebibyte keeps the pipe busy and the data
/// in cache; larger windows are slower.
const WINDOW: usize = 1 << 20;
/// Bytes that one turn of the event loop delivers, or one message if that is longer.
const TURN: usize = 256 << 10;
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
}

struct Shared {
    number: u32,
    queue: Mutex<VecDeque<Frame>>,
    /// Gone after the last frame.
    wake: Mutex<Option<Wake>>,
    /// A wake-up is on its way, or what it took is being delivered.
    armed: AtomicBool,
    /// The last frame is in the queue.
    finished: AtomicBool,
    /// Bytes not yet taken by the event loop.
    waiting: AtomicUsize,
    /// The event loop took something, or is gone.
    taken: Notify,
    gone: AtomicBool,
}

/// Channels that JavaScript is delivering from, by number.
fn delivering() -> MutexGuard<'static, HashMap<u32, Weak<Shared>>> {
    static CHANNELS: LazyLock<Mutex<HashMap<u32, Weak<Shared>>>> = LazyLock::new(Mutex::default);
    locked(&CHANNELS)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What runs under these locks leaves what they guard whole at every point.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a channel gave was delivered, and the event loop has seen to others since: there may be more.
#[napi(catch_unwind)]
pub fn deliver(channel: u32) {
    let shared = delivering().remove(&channel).and_then(|shared| shared.upgrade());
    if let Some(shared) = shared {
        shared.armed.store(false, Ordering::Release);
        if !locked(&shared.queue).is_empty() {
            shared.rouse();
        }
    }
}

impl Channel {
    /// Opens a channel. `session` tells the current session id when a delivery says that it may have changed;
    /// whatever it captures lives as long as the operation.
    pub(crate) fn open(
        on_frames: &OnFrames<'_>,
        session: impl Fn() -> Option<String> + 'static,
    ) -> Result<Arc<Self>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let shared = Arc::new(Shared {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            queue: Mutex::default(),
            wake: Mutex::default(),
            armed: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            taken: Notify::new(),
            gone: AtomicBool::new(false),
        });
        let reader = shared.clone();
        let wake = on_frames.build_threadsafe_function::<()>().build_callback(move |_context| {
            let (mut frames, over) = reader.take();
            for frame in &mut frames {
                if matches!(frame.kind, Kind::Session) {
                    frame.text = session().unwrap_or_default().into();
                }
            }
            if over {
                drop(locked(&reader.wake).take());
                return Ok(Frames(frames, None));
            }
            delivering().insert(reader.number, Arc::downgrade(&reader));
            Ok(Frames(frames, Some(reader.number)))
        })?;
        *locked(&shared.wake) = Some(wake);
        Ok(Arc::new(Self { shared }))
    }

    fn push(&self, kind: Kind, text: Text, last: bool) {
        let shared = &self.shared;
        if shared.finished.load(Ordering::Acquire) {
            return;
        }
        // The session's text is filled in on delivery: counted is what was counted here.
        let cost = FRAME + text.size();
        shared.waiting.fetch_add(cost, Ordering::AcqRel);
        let mut queue = locked(&shared.queue);
        enqueue(&mut queue, Frame::new(kind, text, cost));
        shared.finished.store(last, Ordering::Release);
        drop(queue);
        shared.rouse();
    }
}

impl Drop for Channel {
    /// Whoever gave up before the outcome. With it, the delivery of the last frame lets go.
    fn drop(&mut self) {
        if !self.shared.finished.load(Ordering::Acquire) {
            drop(locked(&self.shared.wake).take());
        }
    }
}

impl Shared {
    /// Has the event loop take something, unless it is about to.
    fn rouse(&self) {
        if self.armed.swap(true, Ordering::AcqRel) {
            return;
        }
        let wake = locked(&self.wake);
        if let Some(wake) = &*wake
            && wake.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok
        {
            // The environment is being torn down; nobody will take anything any more.
            self.gone.store(true, Ordering::Release);
            self.taken.notify_waiters();
        }
    }

    /// Takes what one turn should bear, and says whether that was the last of it.
    fn take(&self) -> (Vec<Frame>, bool) {
        let mut queue = locked(&self.queue);
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while let Some(frame) = queue.front()
            && (frames.is_empty() || bytes + frame.cost <= TURN)
        {
            bytes += frame.cost;
            frames.extend(queue.pop_front());
        }
        let over = queue.is_empty() && self.finished.load(Ordering::Acquire);
        drop(queue);
        self.waiting.fetch_sub(bytes, Ordering::AcqRel);
        self.taken.notify_waiters();
        (frames, over)
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
