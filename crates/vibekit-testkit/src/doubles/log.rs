use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, Method, Uri};
use serde::Serialize;

/// Bytes of a body that are kept.
const KEPT: usize = 64 << 10;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logged {
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query as it was written.
    pub query: String,
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as text, as far as it is kept (64 KiB); bytes that are no text are replaced.
    pub body: String,
    /// Bytes the whole body had.
    pub body_bytes: usize,
}

/// What a double was asked, in the order of arrival. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Logged>>>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        self.lock().push(Logged {
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            body: String::from_utf8_lossy(&body[..body.len().min(KEPT)]).into_owned(),
            body_bytes: body.len(),
        });
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<Logged> {
        self.lock().clone()
    }

    /// Everything since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Logged> {
        std::mem::take(&mut self.lock())
    }

    /// Requests of a method whose path begins with `path`.
    #[must_use]
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.lock().iter().filter(|one| one.method == method && one.path.starts_with(path)).count()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }
}
