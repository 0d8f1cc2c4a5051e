use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, Uri};
use serde::Deserialize;

/// An answer that takes the place of the double's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// Method; any without one.
    #[serde(default)]
    pub method: Option<String>,
    /// What the path has to contain.
    pub path: String,
    /// How often it is given. Default 1.
    #[serde(default = "once")]
    pub times: u32,
    /// Status. 0 closes the connection without an answer.
    #[serde(default)]
    pub status: u16,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body.
    #[serde(default)]
    pub body: String,
    /// Milliseconds before it is given.
    #[serde(default)]
    pub delay_ms: u64,
    /// The request is carried out all the same; only its answer is this one.
    #[serde(default)]
    pub after: bool,
    /// The double's own answer is given, after the delay; the rest is not used.
    #[serde(default)]
    pub only_late: bool,
}

const fn once() -> u32 {
    1
}

impl Answer {
    /// A status with a JSON body, once.
    #[must_use]
    pub fn status(path: impl Into<String>, status: u16, body: impl Into<String>) -> Self {
        Self {
            method: None,
            path: path.into(),
            times: 1,
            status,
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: body.into(),
            delay_ms: 0,
            after: false,
            only_late: false,
        }
    }

    /// The request is carried out, and its answer never arrives.
    #[must_use]
    pub fn lost(path: impl Into<String>) -> Self {
        Self { after: true, ..Self::status(path, 0, "") }
    }

    /// The double's own answer, late.
    #[must_use]
    pub fn late(path: impl Into<String>, delay: Duration) -> Self {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self { delay_ms, only_late: true, ..Self::status(path, 0, "") }
    }

    /// So many times.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// For requests of one method only.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// With a further header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Answers that wait for their requests. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Scripted(Arc<Mutex<Vec<Answer>>>);

impl Scripted {
    /// Adds one.
    pub fn add(&self, answer: Answer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The one for a request, counted down.
    pub(crate) fn take(&self, method: &Method, uri: &Uri) -> Option<Answer> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = answers.iter().position(|answer| {
            answer.method.as_deref().is_none_or(|wanted| wanted == method.as_str())
                && uri.path().contains(&answer.path)
        })?;
        let answer = answers[at].clone();
        answers[at].times -= 1;
        if answers[at].times == 0 {
            answers.remove(at);
        }
        Some(answer)
    }
}
