//! `pushToBranch` (contract, 3.10).

use serde_json::Value;

use super::clone::Access;
use super::{Diffs, commit_line, plain};
use crate::machine::limits;
use crate::model::{self, Author};
use crate::script::{Desk, Helper};
use crate::text::quote;
use crate::worktree;
use crate::{Code, Error, Result};

/// What `pushToBranch` needs to know.
pub(crate) struct Push {
    pub(crate) branch: String,
    pub(crate) working_directory: String,
    /// Where the branch is worked on, if not there.
    pub(crate) worktree: Option<String>,
    /// The worktree goes once the branch is pushed.
    pub(crate) clean_up: bool,
    pub(crate) access: Access,
    pub(crate) author: Author,
    /// 0.0.69 sets the upstream branch, its forerunners did not.
    pub(crate) set_upstream: bool,
}

pub(crate) async fn push_to_branch(desk: Desk, push: Push) -> Result<Value> {
    let Push { branch, working_directory, worktree, clean_up, access, author, set_upstream } = push;
    let directory = worktree.as_deref().unwrap_or(&working_directory);
    let status = desk.run(plain("git status", directory, "git status --porcelain")).await?.stdout;
    let untracked =
        desk.run(plain("git ls-files", directory, "git ls-files --others --exclude-standard")).await?.stdout;
    if status.trim().is_empty() && untracked.trim().is_empty() {
        return Err(Error::new(Code::NoChanges, "No changes found to commit and push"));
    }
    let word = quote(&branch);
    if worktree.is_none() {
        let checkout = |line: String| {
            Helper::new("git checkout", directory, line, limits::GIT)
                .options(crate::protocol::RunOptions::Limit)
        };
        if desk.succeed(checkout(format!("git checkout {word}"))).await.is_err() {
            desk.succeed(checkout(format!("git checkout -b {word}"))).await?;
        }
    }
    let patch = Diffs::read(&desk, directory).await?.patch();
    let message = model::commit_message(&desk, &author, &patch).await?;
    desk.succeed(plain("git commit", directory, commit_line(&message))).await?;
    desk.succeed(plain("git push", directory, push_line(&word, set_upstream)).env(access.env.clone()))
        .await?;
    if let (Some(path), true) = (&worktree, clean_up) {
        worktree::leave(&desk, &working_directory, path).await?;
    }
    Ok(Value::Null)
}

pub(crate) fn push_line(word: &str, set_upstream: bool) -> String {
    format!("git push {}origin {word}", if set_upstream { "-u " } else { "" })
}
