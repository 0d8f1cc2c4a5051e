//! GitHub's REST API, as the TypeScript SDK speaks it (contract, 5.1).

mod labels;
pub(crate) mod merge;
pub(crate) mod pull_request;

pub use labels::Label;
pub use merge::Merge;

use serde_json::Value;

use crate::git::server::Server;
use crate::http::{HttpRequest, HttpResponse};
use crate::machine::limits;
use crate::script::{Desk, Exchange};
use crate::text::percent;
use crate::{Code, Error, Result};

/// One repository and how to talk about it.
pub(crate) struct Api {
    base: String,
    token: String,
}

impl Api {
    pub(crate) fn new(server: &Server, token: &str, repository: &str) -> Result<Self> {
        let (owner, name) = server.owner_and_name(repository)?;
        let base = format!("{}/repos/{}/{}", server.api, percent(owner), percent(name));
        Ok(Self { base, token: token.to_owned() })
    }

    /// A request in the headers of the third version of the API, which `createPullRequest` uses.
    fn v3(&self, method: Option<&str>, path: &str) -> HttpRequest {
        let mut headers = vec![
            ("Authorization".to_owned(), format!("token {}", self.token)),
            ("Accept".to_owned(), "application/vnd.github.v3+json".to_owned()),
        ];
        if method.is_some() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        HttpRequest {
            method: method.map(str::to_owned),
            url: format!("{}{path}", self.base),
            headers,
            body: None,
        }
    }

    /// The same with a date for a version.
    fn dated(&self, method: &str, path: &str) -> HttpRequest {
        let headers = [
            ("Authorization", format!("token {}", self.token)),
            ("Accept", "application/vnd.github+json".to_owned()),
            ("X-GitHub-Api-Version", "2022-11-28".to_owned()),
            ("Content-Type", "application/json".to_owned()),
        ];
        HttpRequest {
            method: Some(method.to_owned()),
            url: format!("{}{path}", self.base),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: None,
        }
    }
}

async fn send(desk: &Desk, request: HttpRequest) -> Result<HttpResponse> {
    desk.request(Exchange { who: "GitHub", request, limit: limits::GITHUB }).await
}

/// An answer that says no.
fn refused(message: String, response: &HttpResponse) -> Error {
    let mut error = Error::new(Code::GithubFailed, message).with("status", response.status);
    error.retryable = response.status == 429 || response.status >= 500;
    error
}

/// An answer that says yes and cannot be read.
fn unreadable(response: &HttpResponse) -> Error {
    Error::new(
        Code::GithubFailed,
        format!("GitHub answered {} with something that is no JSON", response.status),
    )
    .with("status", response.status)
}

/// `message` of an answer.
fn message(body: Option<&Value>) -> Option<&str> {
    body?.get("message")?.as_str().filter(|message| !message.is_empty())
}
