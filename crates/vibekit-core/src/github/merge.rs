//! `mergePullRequest` (contract, 3.11 and 5.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Api, message, refused, send, unreadable};
use crate::git::server::Server;
use crate::script::Desk;
use crate::{Code, Error, Result};

/// What to merge, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Merge {
    /// `owner/repo`.
    #[serde(default)]
    pub repository: Option<String>,
    /// As given: what is no number is refused here.
    #[serde(default)]
    pub pull_number: Value,
    /// First line of the commit.
    #[serde(default)]
    pub commit_title: Option<String>,
    /// The rest of it.
    #[serde(default)]
    pub commit_message: Option<String>,
    /// `merge`, `squash` or `rebase`.
    #[serde(default)]
    pub merge_method: Option<String>,
}

/// What is wrong with the call, in the order upstream looks.
fn check<'a>(merge: &'a Merge, token: Option<&'a str>) -> Result<(&'a str, &'a str)> {
    let given = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
    let (Some(token), Some(repository)) = (given(token), given(merge.repository.as_deref())) else {
        return Err(Error::new(
            Code::InvalidArgument,
            "GitHub token and repository are required for merging pull requests. Please provide GH_TOKEN in secrets using withSecrets().",
        )
        .with_field(if token.is_none_or(str::is_empty) { "secrets.GH_TOKEN" } else { "repository" }));
    };
    if merge.pull_number.as_f64().is_none_or(|number| number == 0.0) {
        return Err(Error::new(
            Code::InvalidArgument,
            "Pull request number is required and must be a number",
        )
        .with_field("pullNumber"));
    }
    Ok((token, repository))
}

pub(crate) async fn merge(desk: Desk, server: Server, token: Option<String>, merge: Merge) -> Result<Value> {
    let (token, repository) = check(&merge, token.as_deref())?;
    let api = Api::new(&server, token, repository)?;
    let number = &merge.pull_number;
    let mut body = Map::new();
    for (key, value) in [("commit_title", &merge.commit_title), ("commit_message", &merge.commit_message)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.clone().into());
        }
    }
    let method = merge.merge_method.as_deref().filter(|method| !method.is_empty()).unwrap_or("merge");
    body.insert("merge_method".to_owned(), method.into());
    let request = api.dated("PUT", &format!("/pulls/{number}/merge")).json(&Value::Object(body));
    let response = send(&desk, request).await?;
    let answer = response.json();
    if !response.ok() {
        let text = match response.status {
            404 => format!("Pull request #{number} not found in {repository}"),
            405 => format!(
                "Pull request #{number} is not mergeable. It may have conflicts or failed status checks."
            ),
            422 => {
                let why = message(answer.as_ref()).unwrap_or("Unknown validation error");
                format!("Invalid merge parameters: {why}")
            }
            status => {
                let why = message(answer.as_ref()).unwrap_or(&response.status_text);
                format!("Failed to merge pull request #{number}: {status} {why}")
            }
        };
        return Err(refused(text, &response));
    }
    let answer = answer.ok_or_else(|| unreadable(&response))?;
    let of = |key: &str| answer.get(key).cloned().unwrap_or_default();
    Ok(json!({ "sha": of("sha"), "merged": of("merged"), "message": of("message") }))
}
