use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use opentelemetry_http::{HttpClient, HttpError};
use vibekit_core::{Error, Result};
use vibekit_http::{Backoff, Limits, Request, Retry, Transport};

use crate::Options;

/// The exporter's way out: our transport, and only what the options say about where to and with which headers.
pub(crate) struct Post {
    transport: Arc<dyn Transport>,
    endpoint: String,
    headers: HeaderMap,
    timeout: Duration,
}

impl Post {
    pub(crate) fn new(options: &Options, transport: impl Transport) -> Result<Self> {
        const REMEDY: &str =
            "Set it to the http or https URL that takes OTLP, like https://collector.example/v1/traces.";
        let uri: http::Uri = options
            .endpoint
            .parse()
            .map_err(|_| Error::invalid("telemetry.endpoint", "is no URL", REMEDY))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(Error::invalid("telemetry.endpoint", "is no URL of a web server", REMEDY));
        }
        if options.timeout == 0 {
            return Err(Error::invalid(
                "telemetry.timeout",
                "is 0",
                "Give milliseconds, or leave it out for 5000.",
            ));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let field = format!("telemetry.headers.{name}");
            let wrong = |what| Error::invalid(&field, what, "Use characters an HTTP header can have.");
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("is no name of a header"))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|_| wrong("has a value no header can have"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // Spans carry ids of their own: a receiver knows one that comes twice.
        let backoff =
            Backoff { attempts: 3, first: Duration::from_millis(200), most: Duration::from_secs(2) };
        let transport: Arc<dyn Transport> = Arc::new(Retry::new(transport, backoff));
        Ok(Self { transport, endpoint: options.endpoint.clone(), headers, timeout: options.timeout() })
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let mut sending = Request::new(Method::POST, &self.endpoint)
            .body("application/x-protobuf", request.into_body())
            .limits(Limits {
                first_byte: self.timeout,
                idle: Some(self.timeout),
                total: Some(self.timeout),
                body: 1 << 20,
            })
            .repeatable(true);
        for (name, value) in &self.headers {
            sending.headers.insert(name, value.clone());
        }
        let answer = self.transport.fetch(sending).await?;
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
