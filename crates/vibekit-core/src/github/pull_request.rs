//! `createPullRequest` (contract, 3.9 and 5.1).

use serde_json::{Map, Value, json};

use super::{Api, Label, labels, refused, send, unreadable};
use crate::git::clone::Access;
use crate::git::push::push_line;
use crate::git::server::Server;
use crate::git::{Diffs, branch_name, commit_line, plain};
use crate::model::{self, Author};
use crate::script::Desk;
use crate::text::quote;
use crate::{Code, Error, Result};

/// What `createPullRequest` needs to know.
pub(crate) struct PullRequest {
    pub(crate) server: Server,
    pub(crate) token: String,
    pub(crate) repository: String,
    pub(crate) label: Label,
    pub(crate) branch_prefix: Option<String>,
    /// Where the changes are.
    pub(crate) directory: String,
    pub(crate) access: Access,
    pub(crate) author: Author,
    /// 0.0.69 sets the upstream branch, its forerunners did not.
    pub(crate) set_upstream: bool,
}

/// What is copied from GitHub's answer, in this order.
const COPIED: [&str; 14] = [
    "id",
    "number",
    "state",
    "title",
    "body",
    "html_url",
    "head",
    "base",
    "user",
    "created_at",
    "updated_at",
    "merged",
    "mergeable",
    "merge_commit_sha",
];

pub(crate) async fn create(desk: Desk, wanted: PullRequest) -> Result<Value> {
    let directory = wanted.directory.as_str();
    let api = Api::new(&wanted.server, &wanted.token, &wanted.repository)?;
    let line = "git rev-parse --abbrev-ref HEAD";
    let base = desk.run(plain("git rev-parse", directory, line)).await?.stdout;
    let base = match base.trim() {
        // Nothing is checked out by name.
        "" | "HEAD" => "main",
        base => base,
    };
    let patch = patch(&desk, directory).await?;
    let words = model::pull_request(&desk, &wanted.author, &patch).await?;

    let name = match wanted.branch_prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
        Some(prefix) => format!("{prefix}/{}", words.branch_name),
        None => words.branch_name.clone(),
    };
    let branch = branch_name(&name);
    let word = quote(&branch);
    let line = format!("git checkout -b {word} && {}", commit_line(&words.commit_message));
    let committed = desk.succeed(plain("git commit", directory, line)).await?.stdout;
    let push = push_line(&word, wanted.set_upstream);
    desk.succeed(plain("git push", directory, push).env(wanted.access.env.clone())).await?;

    let body = json!({ "title": words.title, "body": words.body, "head": branch, "base": base });
    let response = send(&desk, api.v3(Some("POST"), "/pulls").json(&body)).await?;
    if !response.ok() {
        let message = format!("Failed to create PR: {} {}", response.status, response.body);
        return Err(refused(message, &response).with("branchName", branch));
    }
    let answer = response.json().ok_or_else(|| unreadable(&response))?;
    let number = answer.get("number").map(Value::to_string).unwrap_or_default();
    labels::attach(&desk, &api, &number, &wanted.label).await;

    let mut result = Map::new();
    for key in COPIED {
        if let Some(value) = answer.get(key) {
            result.insert(key.to_owned(), value.clone());
        }
    }
    result.insert("branchName".to_owned(), branch.into());
    if let Some(sha) = commit_sha(&committed) {
        result.insert("commitSha".to_owned(), sha.into());
    }
    Ok(Value::Object(result))
}

/// Everything that changed, steps 2 to 7.
async fn patch(desk: &Desk, directory: &str) -> Result<String> {
    desk.run(plain("git status", directory, "git status --porcelain")).await?;
    let line = "git ls-files --others --exclude-standard";
    let untracked = desk.run(plain("git ls-files", directory, line)).await?.stdout;
    let diffs = Diffs::read(desk, directory).await?;
    let new_files = !untracked.trim().is_empty();
    if !new_files && diffs.head.trim().is_empty() && diffs.unstaged.trim().is_empty() {
        return Err(Error::new(
            Code::NoChanges,
            "No changes found - check if the agent actually modified any files",
        ));
    }
    let patch = diffs.patch();
    if !patch.trim().is_empty() {
        return Ok(patch);
    }
    desk.succeed(plain("git add", directory, "git add .")).await?;
    let line = "git --no-pager diff --no-color --cached";
    let staged = desk.run(plain("git diff", directory, line)).await?.stdout;
    if staged.trim().is_empty() {
        return Err(Error::new(Code::NoChanges, "No patch content found after checking all diff methods"));
    }
    Ok(staged)
}

/// The abbreviated id in what `git commit` prints: `[branch 1a2b3c4] subject`. As upstream, a branch with a slash in its name
/// is not looked through.
fn commit_sha(text: &str) -> Option<&str> {
    text.match_indices('[').find_map(|(at, _)| {
        let (branch, rest) = text[at + 1..].split_once(' ')?;
        let word = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
        if branch.is_empty() || !branch.chars().all(word) {
            return None;
        }
        let (sha, _) = rest.split_once(']')?;
        let hex = |character: char| matches!(character, '0'..='9' | 'a'..='f');
        (!sha.is_empty() && sha.chars().all(hex)).then_some(sha)
    })
}

#[cfg(test)]
mod tests {
    use super::commit_sha;

    #[test]
    fn the_commit_is_found_where_upstream_finds_it() {
        assert_eq!(commit_sha("[fix-it 1a2b3c4] Mend it\n 1 file changed"), Some("1a2b3c4"));
        assert_eq!(commit_sha("[vibekit/fix 1a2b3c4] Mend it"), None);
        assert_eq!(commit_sha("[main (root-commit) 1a2b3c4] First"), None);
        assert_eq!(commit_sha(""), None);
    }
}
