//! A host with something to lose, and a provider on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use vibekit_local::{HostEnv, LocalOptions, LocalProvider};
use vibekit_sandbox::{OpenRequest, Provider, Result, Sandbox};

use super::Cage;

/// Files of a home directory nobody else should see.
pub(crate) const SECRETS: &[&str] = &[
    ".ssh/id_ed25519",
    ".ssh/config",
    ".aws/credentials",
    ".npmrc",
    ".netrc",
    ".git-credentials",
    ".config/gh/hosts.yml",
    ".config/gcloud/credentials.db",
    ".docker/config.json",
    ".kube/config",
    ".gnupg/private-keys-v1.d/key",
    ".mozilla/firefox/profile/logins.json",
    ".config/google-chrome/Default/Login Data",
    ".bash_history",
    "project/.env",
];

/// A home directory full of canaries, a state directory, and a provider that knows both.
pub(crate) struct World {
    scratch: tempfile::TempDir,
    /// A text that is in every file of the host that is none of the sandbox's business.
    pub(crate) canary: String,
    /// The provider under attack.
    pub(crate) provider: Arc<dyn Provider>,
    options: Value,
}

impl World {
    /// A world with a provider of these options.
    pub(crate) fn new(options: Value) -> Self {
        Self::try_new(options).unwrap()
    }

    /// The same, where the provider may refuse.
    pub(crate) fn try_new(options: Value) -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("abuse-").tempdir().unwrap();
        let canary = format!("canary-{:016x}", super::host::random());
        let home = scratch.path().join("home");
        for file in SECRETS {
            let path = home.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &canary).unwrap();
        }
        let provider = provider(scratch.path(), &options)?;
        Ok(Self { scratch, canary, provider, options })
    }

    /// Another provider on the same world, as another process would have it.
    pub(crate) fn second(&self) -> Arc<dyn Provider> {
        self.with(self.options.clone())
    }

    /// A provider of other options on the same world.
    pub(crate) fn with(&self, options: Value) -> Arc<dyn Provider> {
        provider(self.path(), &options).unwrap()
    }

    /// What a process does that starts on this world: clears away what others left. Gives how many sessions.
    pub(crate) async fn sweep(&self) -> usize {
        local(self.path(), &self.options).unwrap().sweep().await.unwrap()
    }

    /// The directory everything of this world is in.
    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The home directory on the host.
    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// Where the provider keeps its sessions.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// A session with the attack in it.
    pub(crate) async fn cage(&self) -> Cage {
        Cage::new(self.provider.create(request()).await.unwrap()).await
    }

    /// A session whose commands have these variables.
    pub(crate) async fn cage_with(&self, env: &[(&str, &str)]) -> Cage {
        let mut request = request();
        request.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Cage::new(self.provider.create(request).await.unwrap()).await
    }

    /// Resumes by any id.
    pub(crate) async fn resume(&self, id: &str) -> Result<Arc<dyn Sandbox>> {
        self.provider.resume(id, request()).await
    }

    /// Sessions on disk.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.state().join("sessions")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("lcl_")).collect()
    }
}

/// What every session here is opened with.
pub(crate) fn request() -> OpenRequest {
    OpenRequest { working_directory: "/vibe0".to_owned(), ..OpenRequest::default() }
}

/// A provider for whoever lives at this place.
pub(crate) fn provider(scratch: &Path, options: &Value) -> Result<Arc<dyn Provider>> {
    Ok(local(scratch, options)?)
}

fn local(scratch: &Path, options: &Value) -> Result<Arc<LocalProvider>> {
    let env = HostEnv {
        path: Some("/usr/local/bin:/usr/bin:/bin".to_owned()),
        home: Some(scratch.join("home")),
        vibekit_home: Some(scratch.join("state")),
        ..HostEnv::default()
    };
    let options = if options.is_null() { json!({}) } else { options.clone() };
    let options = LocalOptions::parse(&options, "environment.local")?;
    LocalProvider::new(options, env)
}
