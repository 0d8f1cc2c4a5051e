//! HTTP as the machine asks for it and gets it answered.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A request, whole in memory. The driver carries it out with whatever its host uses for HTTP.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// `None` where upstream leaves it to the default, which is GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Absolute. Never holds a secret.
    pub url: String,
    /// In upstream's order and spelling. May hold secrets.
    pub headers: Vec<(String, String)>,
    /// JSON; `None` is no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl HttpRequest {
    /// Replaces the body.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(body.to_string());
        self
    }
}

/// Secrets stay out of logs and panics: of the headers only the names are shown.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &names)
            .field("body", &self.body.as_ref().map(|body| format!("{} bytes", body.len())))
            .finish()
    }
}

/// An answer. Every status is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    /// Status.
    pub status: u16,
    /// Reason phrase; empty over HTTP/2.
    #[serde(default)]
    pub status_text: String,
    /// Body as text.
    #[serde(default)]
    pub body: String,
}

impl HttpResponse {
    /// 200 to 299.
    #[must_use]
    pub const fn ok(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The body, if it is JSON.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.body).ok()
    }
}
