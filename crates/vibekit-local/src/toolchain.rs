//! Programs of the host that live outside the system's directories: they appear inside at the same path, read-only.
//!
//! Version managers keep programs below the home directory, next to credentials. So never the home directory itself
//! is shown, but the smallest directory that makes the program run, and none that is known to hold a secret.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use vibekit_sandboxd_wire::Bind;

use crate::view::read_only;

/// What every system has.
const STANDARD: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Visible anyway. The alternatives system's links lie between the names and the programs of `/usr/bin`.
const VISIBLE: [&str; 11] = [
    "/usr",
    "/opt",
    "/nix",
    "/snap",
    "/gnu",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/libexec",
    "/etc/alternatives",
];
/// Directories of version managers, below the home directory, that are shown as a whole.
const MANAGERS: [&str; 12] = [
    ".asdf",
    ".bun",
    ".deno",
    ".fnm",
    ".local/share/fnm",
    ".local/share/mise",
    ".nodenv",
    ".pyenv",
    ".rbenv",
    ".sdkman",
    ".volta",
    ".local/share/uv/python",
];
/// Names that mark a directory as one that holds secrets.
const SECRETS: [&str; 18] = [
    ".aws",
    ".azure",
    ".claude.json",
    ".config",
    ".docker",
    ".env",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".ssh",
    "auth.json",
    "credentials",
    "credentials.json",
    "credentials.toml",
    "oauth_creds.json",
];
/// A directory with more links than this is somebody's collection, not a toolchain.
const LINKS: usize = 1000;

/// What the host's `PATH` gives a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Toolchains {
    pub(crate) binds: Vec<Bind>,
    pub(crate) path: String,
    pub(crate) env: Vec<(String, String)>,
}

impl Toolchains {
    /// Looks through `PATH`.
    pub(crate) fn find(path: Option<&str>, home: Option<&Path>) -> Self {
        let mut finder =
            Finder { home: home.and_then(|home| fs::canonicalize(home).ok()), roots: BTreeSet::new() };
        let mut visible: Vec<String> = Vec::new();
        for entry in path.unwrap_or_default().split(':').filter(|entry| entry.starts_with('/')) {
            let directory = Path::new(entry);
            if directory.components().any(|part| part == Component::ParentDir) || !directory.is_dir() {
                continue;
            }
            if finder.show_directory(directory) && !visible.iter().any(|known| known == entry) {
                visible.push(entry.to_owned());
            }
        }
        for entry in STANDARD {
            if !visible.iter().any(|known| known == entry) && Path::new(entry).is_dir() {
                visible.push(entry.to_owned());
            }
        }
        let mut env = Vec::new();
        if let Some(home) = home {
            // The programs in ~/.cargo/bin are proxies that look for the compilers here.
            let rustup = home.join(".rustup");
            if visible.iter().any(|entry| Path::new(entry) == home.join(".cargo/bin"))
                && rustup.join("toolchains").is_dir()
                && finder.add(&rustup)
            {
                env.push(("RUSTUP_HOME".to_owned(), rustup.to_string_lossy().into_owned()));
            }
        }
        // A parent before what lies in it: binds are attached in this order.
        let roots: Vec<&PathBuf> = finder.roots.iter().collect();
        let top = |root: &PathBuf| !roots.iter().any(|other| *other != root && root.starts_with(other));
        let binds = roots.iter().filter(|root| top(root)).map(|root| read_only(root)).collect();
        Self { binds, path: visible.join(":"), env }
    }
}

struct Finder {
    home: Option<PathBuf>,
    roots: BTreeSet<PathBuf>,
}

impl Finder {
    /// Shows a directory of programs and what its links lead to.
    fn show_directory(&mut self, directory: &Path) -> bool {
        if !visible(directory) && !self.add(&self.root(directory)) {
            return false;
        }
        self.follow_entry(directory);
        let Ok(entries) = fs::read_dir(directory) else { return true };
        for entry in entries.flatten().take(LINKS) {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                self.follow_entry(&entry.path());
            }
        }
        true
    }

    /// Shows every stop of a chain of links.
    fn follow_entry(&mut self, link: &Path) {
        let mut here = link.to_owned();
        let mut outside = !visible(link);
        for _ in 0..16 {
            let Ok(target) = fs::read_link(&here) else { break };
            let Some(parent) = here.parent() else { break };
            here = plain(&parent.join(target));
            if visible(&here) {
                continue;
            }
            outside = true;
            if !here.exists() {
                continue;
            }
            let root = if here.is_dir() { here.clone() } else { self.package(&here) };
            self.add(&root);
        }
        // Links among the directories on the way. The system's own hundreds of links stay within the system, and asking
        // for the real place of each would cost more than everything else a first session needs.
        if outside
            && let Ok(real) = fs::canonicalize(link)
            && !visible(&real)
        {
            let root = if real.is_dir() { self.root(&real) } else { self.package(&real) };
            self.add(&root);
        }
    }

    /// The directory to show for a directory of programs.
    fn root(&self, directory: &Path) -> PathBuf {
        if let Some(root) = self.manager(directory) {
            return root;
        }
        let parent = directory.parent().unwrap_or(directory);
        if directory.ends_with("node_modules/.bin") {
            return parent.to_owned();
        }
        let programs =
            directory.file_name().is_some_and(|name| name == "bin" || name == "sbin" || name == "shims");
        let prefix = ["lib", "libexec", "share"].iter().any(|name| parent.join(name).is_dir());
        if programs && prefix && self.allowed(parent) { parent.to_owned() } else { directory.to_owned() }
    }

    /// The directory to show for a program a link leads to.
    fn package(&self, file: &Path) -> PathBuf {
        if let Some(root) = self.manager(file) {
            return root;
        }
        // The outermost one: packages find their dependencies in those around them.
        let mut outer = PathBuf::new();
        for part in file.components() {
            outer.push(part);
            if part.as_os_str() == "node_modules" {
                return outer;
            }
        }
        if let Some(home) = &self.home
            && let Ok(rest) = file.strip_prefix(home.join(".local/share"))
            && let Some(name) = rest.components().next()
            && rest.components().count() > 1
        {
            return home.join(".local/share").join(name);
        }
        let parent = file.parent().unwrap_or(file);
        if self.allowed(parent) { self.root(parent) } else { file.to_owned() }
    }

    fn manager(&self, path: &Path) -> Option<PathBuf> {
        let home = self.home.as_ref()?;
        if let Ok(rest) = path.strip_prefix(home.join(".nvm/versions")) {
            // ~/.nvm/versions/node/v20.1.0
            let version: PathBuf = rest.components().take(2).collect();
            return Some(home.join(".nvm/versions").join(version));
        }
        MANAGERS.iter().map(|name| home.join(name)).find(|root| path.starts_with(root))
    }

    fn add(&mut self, root: &Path) -> bool {
        let file = root.is_file();
        if !file && !self.allowed(root) {
            return false;
        }
        self.roots.insert(root.to_owned());
        true
    }

    /// Never the home directory or one above it, never a directory that holds secrets.
    fn allowed(&self, directory: &Path) -> bool {
        let broad = directory.components().count() < 3
            || ["/tmp", "/var/tmp", "/dev", "/proc", "/sys", "/run", "/etc"]
                .iter()
                .any(|top| directory.starts_with(top) && directory.components().count() < 4)
            || self.home.as_ref().is_some_and(|home| home.starts_with(directory))
            || self.home.as_ref().is_some_and(|home| {
                directory == home.join(".local")
                    || directory == home.join(".config")
                    || directory == home.join(".local/share")
            });
        !broad && !SECRETS.iter().any(|name| directory.join(name).exists())
    }
}

fn visible(path: &Path) -> bool {
    VISIBLE.iter().any(|top| path.starts_with(top))
}

/// Without `.` and `..`, by name alone.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    fn shown(tools: &Toolchains, home: &Path) -> Vec<String> {
        let home = fs::canonicalize(home).unwrap();
        tools
            .binds
            .iter()
            .map(|bind| {
                let path = Path::new(&bind.target);
                path.strip_prefix(&home).unwrap_or(path).to_string_lossy().into_owned()
            })
            .collect()
    }

    #[test]
    fn the_smallest_directory_that_works_is_shown() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("u/ser");
        let make = |path: &str| fs::create_dir_all(home.join(path)).unwrap();
        for path in [
            ".nvm/versions/node/v20.1.0/bin",
            ".nvm/versions/node/v18.0.0/bin",
            ".pyenv/shims",
            ".cargo/bin",
            ".cargo/registry",
            ".rustup/toolchains/stable",
            ".local/bin",
            ".local/share/claude/versions",
            ".ssh",
            "project/node_modules/.bin",
            "project/node_modules/tool",
            "bin",
        ] {
            make(path);
        }
        fs::write(home.join(".cargo/credentials.toml"), "secret").unwrap();
        fs::write(home.join(".local/share/claude/versions/2.1"), "").unwrap();
        symlink("../share/claude/versions/2.1", home.join(".local/bin/claude")).unwrap();
        let entries = [
            ".nvm/versions/node/v20.1.0/bin",
            ".pyenv/shims",
            ".cargo/bin",
            ".local/bin",
            "project/node_modules/.bin",
            "bin",
            "missing",
            ".",
        ];
        let path = entries.map(|entry| home.join(entry).to_string_lossy().into_owned()).join(":");
        let tools = Toolchains::find(Some(&path), Some(&home));
        assert_eq!(
            shown(&tools, &home),
            [
                ".cargo/bin",
                ".local/bin",
                ".local/share/claude",
                ".nvm/versions/node/v20.1.0",
                ".pyenv",
                ".rustup",
                "bin",
                "project/node_modules"
            ]
        );
        assert!(tools.env.iter().any(|(name, _)| name == "RUSTUP_HOME"));
        assert!(!tools.path.contains("missing") && tools.path.ends_with("/bin"));
    }
}
