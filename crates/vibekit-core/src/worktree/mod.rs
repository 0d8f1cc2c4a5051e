//! A directory of its own for each branch (contract, 6.1).

use crate::git::branch::Change;
use crate::machine::limits;
use crate::script::{Desk, Helper, Note};
use crate::text::quote;
use crate::{Error, Result};

/// What the user wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worktrees {
    /// Where the directories are. Default: `<working directory>-wt`, and `<working directory>/.worktrees` in sandboxes of
    /// ours, where nothing beside the working directory can be written.
    pub root: Option<String>,
    /// Whether `pushToBranch` removes the directory once the branch is pushed. Default: yes.
    pub keep: bool,
}

impl Worktrees {
    pub(crate) fn root(&self, working_directory: &str, native: bool) -> String {
        let beside = working_directory.trim_end_matches('/');
        match &self.root {
            Some(root) => root.clone(),
            None if native => format!("{beside}/.worktrees"),
            None => format!("{beside}-wt"),
        }
    }

    /// Where a branch's directory is when no other branch is in the way.
    fn path(root: &str, branch: &str) -> String {
        let name: String = branch
            .chars()
            .map(|character| match character {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => character,
                _ => '-',
            })
            .collect();
        format!("{}/{name}", root.trim_end_matches('/'))
    }
}

/// What git says about worktrees and the branch.
#[derive(Debug, Default, PartialEq, Eq)]
struct Survey {
    /// Directory and branch of each worktree.
    trees: Vec<(String, Option<String>)>,
    /// The branch exists, here or at the remote.
    known: bool,
}

impl Survey {
    fn read(text: &str) -> Self {
        let mut survey = Self::default();
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("worktree ") {
                survey.trees.push((path.to_owned(), None));
            } else if let Some(name) = line.strip_prefix("branch refs/heads/") {
                if let Some(last) = survey.trees.last_mut() {
                    last.1 = Some(name.to_owned());
                }
            } else if line.starts_with("known ") {
                survey.known = true;
            }
        }
        survey
    }

    fn of_branch(&self, branch: &str) -> Option<&str> {
        self.trees.iter().find(|(_, name)| name.as_deref() == Some(branch)).map(|(path, _)| path.as_str())
    }

    /// The directory for a branch. `a/b` and `a-b` would have the same one; whoever comes second gets a number.
    fn place(&self, wanted: String) -> String {
        let taken = |path: &str| self.trees.iter().any(|(known, _)| known == path);
        if !taken(&wanted) {
            return wanted;
        }
        (2..).map(|number| format!("{wanted}-{number}")).find(|path| !taken(path)).unwrap_or(wanted)
    }
}

/// Git repeats paths as it resolved them, so a directory is recognised by its branch alone.
async fn survey(desk: &Desk, directory: &str, branch: &str) -> Result<Survey> {
    let refs =
        ["refs/heads/", "refs/remotes/origin/"].map(|place| quote(&format!("{place}{branch}")).into_owned());
    let line = format!(
        "git worktree list --porcelain && git for-each-ref --format='known %(refname)' {} {}",
        refs[0], refs[1]
    );
    let output = desk.succeed(Helper::new("git worktree list", directory, line, limits::GIT)).await?;
    Ok(Survey::read(&output.stdout))
}

/// Makes the branch's directory, or finds it. A branch that is known already is checked out as it is; a new one begins at
/// the remote's `main`, or where the working directory is when there is none.
///
/// Upstream's fallback, to run in the working directory, is not repeated: work that was to be kept apart would land in
/// the tree of somebody else.
pub(crate) async fn enter(desk: &Desk, change: &Change, worktrees: &Worktrees) -> Result<String> {
    let Change { branch, directory, access, .. } = change;
    let root = worktrees.root(directory, change.native);
    if root.starts_with('-') {
        return Err(Error::invalid("worktrees.root", "begins with '-'", "Use an absolute path."));
    }
    let mkdir = format!("mkdir -p {} || true", quote(&root));
    desk.succeed(Helper::new("mkdir", "", mkdir, limits::MKDIR).anywhere()).await?;
    let survey = survey(desk, directory, branch).await?;
    if let Some(path) = survey.of_branch(branch) {
        desk.say(format!("Preparing worktree at: {path}"));
        desk.note(Note::Worktree(Some(path.to_owned())));
        return Ok(path.to_owned());
    }
    keep_apart(desk, directory, &root).await?;
    let path = survey.place(Worktrees::path(&root, branch));
    desk.say(format!("Preparing worktree at: {path}"));
    let (name, place) = (quote(branch), quote(&path));
    let add = if survey.known {
        format!("git worktree add {place} {name}")
    } else {
        format!(
            "(git worktree add -B {name} {place} origin/main || git worktree add {place} {name} || \
             git worktree add -b {name} {place})"
        )
    };
    let line = format!("git fetch --all --prune && {add}");
    let add = Helper::new("git worktree add", directory, line, limits::WORKTREE);
    desk.succeed(add.env(access.env.clone())).await?;
    desk.note(Note::Worktree(Some(path.clone())));
    Ok(path)
}

/// A root inside of the working directory is no part of the repository: without this `git add -A` would commit what is
/// in it as submodules.
async fn keep_apart(desk: &Desk, directory: &str, root: &str) -> Result<()> {
    let inside = root.strip_prefix(directory.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    let Some(inside) = inside.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let pattern = quote(&format!("/{inside}/")).into_owned();
    let line = format!(
        "file=$(git rev-parse --git-path info/exclude) && {{ grep -qxF -- {pattern} \"$file\" 2>/dev/null || \
         {{ mkdir -p \"$(dirname \"$file\")\" && printf '%s\\n' {pattern} >> \"$file\"; }}; }}"
    );
    desk.succeed(Helper::new("git exclude", directory, line, limits::PROBE)).await.map(drop)
}

/// Removes the directory of a branch.
pub(crate) async fn leave(desk: &Desk, directory: &str, path: &str) -> Result<()> {
    let line = format!("git worktree remove --force {}", quote(path));
    desk.succeed(Helper::new("git worktree remove", directory, line, limits::GIT)).await?;
    desk.note(Note::Worktree(None));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_finds_a_branch_and_a_free_place() {
        let survey = Survey::read(
            "worktree /w\nHEAD 1\nbranch refs/heads/main\n\nworktree /w-wt/a-b\nHEAD 2\nbranch refs/heads/a/b\n\n\
             worktree /w-wt/x\nHEAD 3\ndetached\n\nknown refs/heads/a/b\n",
        );
        assert_eq!(survey.of_branch("a/b"), Some("/w-wt/a-b"));
        assert_eq!(survey.of_branch("a-b"), None);
        assert!(survey.known);
        assert_eq!(survey.place("/w-wt/a-b".to_owned()), "/w-wt/a-b-2");
        assert_eq!(survey.place("/w-wt/new".to_owned()), "/w-wt/new");
    }

    #[test]
    fn directories_have_names_every_file_system_takes() {
        let default = Worktrees::default();
        assert_eq!(Worktrees::path(&default.root("/vibe0", false), "feature/x y"), "/vibe0-wt/feature-x-y");
        assert_eq!(Worktrees::path(&default.root("/vibe0/", true), "main"), "/vibe0/.worktrees/main");
        let elsewhere = Worktrees { root: Some("/trees/".to_owned()), keep: false };
        assert_eq!(Worktrees::path(&elsewhere.root("/vibe0", true), "main"), "/trees/main");
    }
}
