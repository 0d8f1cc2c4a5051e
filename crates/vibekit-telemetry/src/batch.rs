use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use vibekit_core::{Code, Error, Result};

/// As OpenTelemetry's own batch processor: spans per request, spans that may wait, and how long the first one does.
const BATCH: usize = 512;
const QUEUE: usize = 2_048;
const DELAY: Duration = Duration::from_secs(5);

/// Spans on their way to the exporter. One task per instance sends them and ends when the instance is dropped; unlike
/// OpenTelemetry's processor it needs no thread, of which a server with a thousand instances would have a thousand.
pub(crate) struct Batch {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Span(Box<SpanData>),
    Flush(oneshot::Sender<Result<()>>),
}

impl Batch {
    pub(crate) fn start(exporter: SpanExporter, limit: Duration, runtime: &Handle) -> Self {
        let (queue, incoming) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        runtime.spawn(Sender { exporter, limit, incoming, batch: Vec::new(), failed: None }.run());
        Self { queue, dropped }
    }

    pub(crate) fn processor(&self) -> Processor {
        Processor { queue: self.queue.clone().downgrade(), dropped: self.dropped.clone() }
    }

    pub(crate) async fn flush(&self) -> Result<()> {
        let (done, over) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_err() {
            return Ok(());
        }
        over.await.unwrap_or(Ok(()))?;
        match self.dropped.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            dropped => Err(Error::new(
                Code::ProviderFailed,
                format!("Telemetry: {dropped} spans came faster than they could be sent and were dropped."),
            )),
        }
    }
}

struct Sender {
    exporter: SpanExporter,
    limit: Duration,
    incoming: mpsc::Receiver<Message>,
    batch: Vec<SpanData>,
    /// Why spans were lost since the last flush.
    failed: Option<Error>,
}

impl Sender {
    async fn run(mut self) {
        let mut due: Option<Instant> = None;
        loop {
            let next = match due {
                Some(due) => timeout_at(due, self.incoming.recv()).await,
                None => Ok(self.incoming.recv().await),
            };
            match next {
                Ok(None) => break,
                Ok(Some(Message::Span(span))) => {
                    self.batch.push(*span);
                    if self.batch.len() >= BATCH {
                        self.send().await;
                    }
                }
                Ok(Some(Message::Flush(done))) => {
                    self.send().await;
                    let result = self.failed.take().map_or(Ok(()), Err);
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(result);
                }
                // What fails now is told to the next flush.
                Err(_) => self.send().await,
            }
            due = if self.batch.is_empty() { None } else { due.or(Some(Instant::now() + DELAY)) };
        }
        self.send().await;
    }

    async fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len();
        match timeout(self.limit, self.exporter.export(batch)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.failed = Some(Error::new(
                    Code::ProviderFailed,
                    format!("Telemetry: {count} spans were not taken: {error}."),
                ));
            }
            Err(_) => {
                let limit = self.limit.as_millis();
                self.failed = Some(Error::new(
                    Code::Timeout,
                    format!("Telemetry: {count} spans were not taken within {limit} ms."),
                ));
            }
        }
    }
}

/// Where the tracer puts ended spans. Holds the queue weakly: the instance alone keeps the task alive.
#[derive(Debug)]
pub(crate) struct Processor {
    queue: mpsc::WeakSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl SpanProcessor for Processor {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let Some(queue) = self.queue.upgrade() else { return };
        if queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _limit: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Span(_) => "Span",
            Self::Flush(_) => "Flush",
        })
    }
}
