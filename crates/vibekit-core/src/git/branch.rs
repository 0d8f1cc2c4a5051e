//! Changing to a branch before work begins. The answer is the directory to work in, `null` for the working directory.

use serde_json::Value;

use super::clone::Access;
use crate::machine::limits;
use crate::script::{Desk, Helper};
use crate::text::quote;
use crate::worktree::{self, Worktrees};
use crate::{Error, Result};

pub(crate) const NO_REPOSITORY: &str = "Not in a git repository, skipping branch/worktree operations";

/// What a change of branch needs to know.
pub(crate) struct Change {
    pub(crate) branch: String,
    pub(crate) directory: String,
    pub(crate) access: Access,
    pub(crate) worktrees: Option<Worktrees>,
    /// In a sandbox of ours.
    pub(crate) native: bool,
}

/// Before a command (contract, 3.1.1 and 6.1).
pub(crate) async fn for_command(desk: Desk, change: Change) -> Result<Value> {
    let Change { branch, directory, .. } = &change;
    let probe = Helper::new("git rev-parse", directory, "git rev-parse --git-dir", limits::PROBE);
    if desk.succeed(probe).await.is_err() {
        desk.say(NO_REPOSITORY.to_owned());
        return Ok(Value::Null);
    }
    if let Some(worktrees) = &change.worktrees {
        return worktree::enter(&desk, &change, worktrees).await.map(Value::String);
    }
    let word = quote(branch);
    desk.say(format!("Switching to branch: {branch}"));
    let checkout = format!("git checkout {word}");
    match desk.succeed(Helper::new("git checkout", directory, checkout, limits::CHECKOUT)).await {
        Ok(_) => desk.say(format!("Switched to existing branch: {branch}")),
        Err(_) => {
            desk.say(format!("Creating new branch: {branch}"));
            let create = format!("git checkout -b {word}");
            let create = Helper::new("git checkout", directory, create, limits::CHECKOUT);
            match desk.succeed(create).await {
                Ok(_) => desk.say(format!("Created and switched to new branch: {branch}")),
                // Upstream goes on without the branch (contract, 3.1.1 step 5).
                Err(_) => desk.say(NO_REPOSITORY.to_owned()),
            }
        }
    }
    Ok(Value::Null)
}

/// Before an agent's turn, where a repository was configured (contract, 3.4).
pub(crate) async fn for_turn(desk: Desk, change: Change) -> Result<Value> {
    match switch_for_turn(&desk, &change).await? {
        Switched::To(place) => Ok(place),
        Switched::Failed(error) => Err(error),
    }
}

/// The same where nothing says that there is a repository. Upstream goes on without the branch, whatever went wrong with it.
pub(crate) async fn for_turn_anywhere(desk: Desk, change: Change) -> Result<Value> {
    const NOT_THERE: &str = "Not in a git repository, skipping branch operations";
    let directory = &change.directory;
    let probe = Helper::new("git rev-parse", directory, "git rev-parse --git-dir", limits::PROBE);
    if desk.succeed(probe).await.is_ok()
        && let Switched::To(place) = switch_for_turn(&desk, &change).await?
    {
        return Ok(place);
    }
    desk.say(NOT_THERE.to_owned());
    Ok(Value::Null)
}

enum Switched {
    To(Value),
    /// The branch can neither be had nor made.
    Failed(Error),
}

async fn switch_for_turn(desk: &Desk, change: &Change) -> Result<Switched> {
    let Change { branch, directory, access, .. } = change;
    if let Some(worktrees) = &change.worktrees {
        return worktree::enter(desk, change, worktrees).await.map(|path| Switched::To(Value::String(path)));
    }
    let word = quote(branch);
    desk.say(format!("Switching to branch: {branch}"));
    let checkout = Helper::new("git checkout", directory, format!("git checkout {word}"), limits::GIT);
    let there = match desk.succeed(checkout).await {
        Ok(_) => {
            desk.say(format!("Pulling latest changes from {branch}"));
            let pull = Helper::new("git pull", directory, format!("git pull origin {word}"), limits::GIT);
            desk.succeed(pull.env(access.env.clone())).await.is_ok()
        }
        Err(_) => false,
    };
    if !there {
        desk.say(format!("Branch {branch} not found, creating new branch"));
        let create = format!("git checkout -b {word}");
        if let Err(error) = desk.succeed(Helper::new("git checkout", directory, create, limits::GIT)).await {
            return Ok(Switched::Failed(error));
        }
    }
    Ok(Switched::To(Value::Null))
}
