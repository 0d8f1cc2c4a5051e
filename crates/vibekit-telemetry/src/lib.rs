//! OTLP spans of calls: one exporter per instance, nothing global.
//!
//! [`Telemetry`] takes [`Record`]s and sends them in batches behind its user's back: after five seconds, at 512 spans, and
//! when it is flushed. Taking a record never waits and never fails; a queue that is full drops what is new. Every wait for
//! the receiver has the limit of [`Options::timeout`].
//!
//! The spans are those of the TypeScript SDK's configuration generation, with attributes of OpenTelemetry's semantic
//! conventions for generative AI beside the old ones.

#![forbid(unsafe_code)]

mod batch;
mod options;
mod post;
mod record;
mod redact;

use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanExporter as _};
use tokio::runtime::Handle;
use vibekit_core::{Code, Error, Result};
use vibekit_http::Transport;

use batch::Batch;
use post::Post;
use redact::Secrets;

pub use options::Options;
pub use record::{GenAi, Record};

/// One instance's spans on their way to its receiver. Dropping it sends what is left, if the runtime lives that long.
pub struct Telemetry {
    tracer: SdkTracer,
    batch: Batch,
    secrets: Secrets,
    /// Keeps the span processor.
    _provider: SdkTracerProvider,
}

impl Telemetry {
    /// Begins to take records. Sends over `transport`; tasks run on `runtime`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` that names the option at fault.
    pub fn new(options: &Options, transport: impl Transport, runtime: &Handle) -> Result<Self> {
        let post = Post::new(options, transport)?;
        let resource = Resource::builder_empty().with_attributes(options.resource()).build();
        let mut exporter = SpanExporter::builder()
            .with_http()
            // The endpoint, the headers and the limit are `Post`'s, so that the variables of the host's environment which
            // this exporter would read cannot send spans or headers elsewhere.
            .with_http_client(post)
            .with_endpoint("http://localhost/")
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| {
                Error::new(Code::Internal, format!("The exporter of spans cannot be made: {error}"))
            })?;
        exporter.set_resource(&resource);
        let batch = Batch::start(exporter, options.timeout(), runtime);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(batch.processor())
            .with_resource(resource)
            .build();
        let scope = InstrumentationScope::builder("vibekit").with_version("1.0.0").build();
        Ok(Self {
            tracer: provider.tracer_with_scope(scope),
            batch,
            secrets: Secrets::new(options.secrets.iter().cloned()),
            _provider: provider,
        })
    }

    /// Takes a record.
    pub fn record(&self, record: &Record) {
        record.span(&self.tracer, &self.secrets);
    }

    /// Sends what was recorded so far. Ends within the limit of the options, whatever the receiver does.
    ///
    /// # Errors
    ///
    /// `TIMEOUT` or `PROVIDER_FAILED` when spans could not be delivered since the last flush; they are gone.
    pub async fn flush(&self) -> Result<()> {
        self.batch.flush().await
    }

    /// The same for a process that ends: the calling thread waits, at most for `limit`. Not to be called from a task.
    pub fn flush_blocking(&self, limit: Duration, runtime: &Handle) {
        // Nobody is left who could be told that it failed.
        let _ = runtime.block_on(async { tokio::time::timeout(limit, self.batch.flush()).await });
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}
