//! What is done with git in a sandbox: scripts of shell lines, because these run over every kind of provider.

pub(crate) mod branch;
pub(crate) mod clone;
pub(crate) mod credential;
pub mod patch;
pub(crate) mod push;
mod secrets;
pub mod server;

pub use secrets::looks_secret;

use crate::machine::limits;
use crate::protocol::RunOptions;
use crate::script::{Desk, Helper};
use crate::text::double_quote;
use crate::{Error, Result};

/// Bytes of a diff that are looked at.
const DIFF: u64 = 8 << 20;

/// Who commits (contract, 3.4).
pub(crate) const IDENTITY: &str = "git config user.name \"github-actions[bot]\" && \
    git config user.email \"github-actions[bot]@users.noreply.github.com\"";

/// A command that looks at the repository or publishes from it. Upstream gives these its longest limit and no other option.
pub(crate) fn plain(name: &'static str, directory: &str, line: impl Into<String>) -> Helper {
    Helper::new(name, directory, line, limits::RUN).options(RunOptions::Limit).keep(DIFF)
}

/// Changes that git knows of, two ways of asking.
pub(crate) struct Diffs {
    /// Everything since the last commit.
    pub(crate) head: String,
    /// Not staged, without removals.
    pub(crate) unstaged: String,
}

impl Diffs {
    pub(crate) async fn read(desk: &Desk, directory: &str) -> Result<Self> {
        let head =
            desk.run(plain("git diff", directory, "git --no-pager diff --no-color HEAD")).await?.stdout;
        let line = "git --no-pager diff --no-color --diff-filter=ACMR";
        let unstaged = desk.run(plain("git diff", directory, line)).await?.stdout;
        Ok(Self { head, unstaged })
    }

    /// The better one of the two.
    pub(crate) fn patch(self) -> String {
        if self.unstaged.is_empty() { self.head } else { self.unstaged }
    }
}

/// Stages everything and commits.
pub(crate) fn commit_line(message: &str) -> String {
    format!("git add -A && git commit -m {}", double_quote(&message.replace('\0', "")))
}

/// A branch whose name cannot be taken for an option. What else is wrong with it, git says better.
pub(crate) fn check_branch(branch: &str) -> Result<()> {
    if branch.starts_with('-') {
        return Err(Error::invalid("branch", "begins with '-'", "Use a branch name git allows."));
    }
    if branch.contains('\0') {
        return Err(Error::invalid("branch", "holds a NUL character", "Use a branch name git allows."));
    }
    Ok(())
}

/// A name git takes for a branch, made of one that may not be one (`git check-ref-format`). Good names stay as they are.
pub(crate) fn branch_name(wanted: &str) -> String {
    let mut name = String::with_capacity(wanted.len());
    for character in wanted.trim().chars() {
        let refused = character.is_whitespace()
            || character.is_control()
            || "~^:?*[\\".contains(character)
            || character == '.' && name.ends_with(['.', '/'])
            || character == '{' && name.ends_with('@')
            || character == '/' && (name.ends_with('/') || name.is_empty())
            || character == '-' && name.is_empty();
        if !refused {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with(['-', '/']) {
            name.push('-');
        }
    }
    loop {
        let cut = name.trim_end_matches(['/', '.', '-']);
        let cut = cut.strip_suffix(".lock").unwrap_or(cut);
        if cut.len() == name.len() {
            break;
        }
        name.truncate(cut.len());
    }
    name = name.replace(".lock/", "/");
    if name.is_empty() || name == "@" || name == "HEAD" { "changes".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::branch_name;

    #[test]
    fn branches_git_takes_stay_as_they_are() {
        for name in ["main", "feature/add-x", "fix_1.2", "it's-$(x)-&-\"y\"", "größe/ü"] {
            assert_eq!(branch_name(name), name);
        }
    }

    #[test]
    fn others_become_some() {
        for (wanted, name) in [
            ("Add a greeting", "Add-a-greeting"),
            ("-option", "option"),
            ("a..b", "a.-b"),
            ("//a//b/", "a/b"),
            ("a.lock", "a"),
            ("a~b^c:d", "a-b-c-d"),
            ("@", "changes"),
            ("", "changes"),
            ("...", "changes"),
        ] {
            assert_eq!(branch_name(wanted), name, "{wanted}");
        }
    }
}
