//! `environment.local`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use vibekit_core::Code;
use vibekit_sandbox::{Capabilities, Error, OpenRequest, Provider, Result, Sandbox};
use vibekit_sandboxd_wire::{Access, Bind, Config, Identity, RLimit, VERSION};

use crate::identity::Caller;
use crate::refusal::Support;
use crate::sandbox::{LocalSandbox, blocking};
use crate::session::Session;
use crate::state::{Held, State};
use crate::view::{self, HOME};
use crate::{HostEnv, LocalOptions, Network};

/// Default of [`LocalOptions::idle_timeout_ms`].
const IDLE_MS: u64 = 300_000;
/// Default of `limits.pids`.
const PIDS: u64 = 4096;
/// Default working directory, the one of every environment.
const WORKING_DIRECTORY: &str = "/vibe0";

/// Opens embedded sandboxes.
#[derive(Debug)]
pub struct LocalProvider {
    options: LocalOptions,
    host: HostEnv,
    root: PathBuf,
    caller: Caller,
}

impl LocalProvider {
    /// Checks the options and finds the state directory. Touches no file yet.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for options that cannot be; `STATE_UNWRITABLE` when there is no place for state.
    pub fn new(options: LocalOptions, host: HostEnv) -> Result<Arc<Self>> {
        let root = options.state_dir.clone().or_else(|| host.state_dir()).ok_or_else(|| {
            Error::new(
                Code::StateUnwritable,
                "There is no place to keep sessions: neither HOME nor VIBEKIT_HOME is set",
            )
            .with_hint("Set VIBEKIT_HOME to a directory this user can write to.")
        })?;
        Ok(Arc::new(Self { options, host, root, caller: Caller::current() }))
    }

    /// Tries to build a sandbox and tells what this machine gives.
    ///
    /// # Errors
    /// `LOCAL_SANDBOX_UNSUPPORTED` with `details.missing` and `details.alternatives`.
    pub async fn probe(&self) -> Result<Support> {
        Err(Error::new(Code::Unsupported, "not yet"))
    }

    /// Removes what crashed processes left behind. Returns how many sessions that were.
    ///
    /// # Errors
    /// `STATE_*` when the state directory cannot be used.
    pub async fn sweep(&self) -> Result<usize> {
        let root = self.root.clone();
        blocking(move || State::open(&root)?.sweep()).await
    }

    async fn state(&self) -> Result<State> {
        let root = self.root.clone();
        blocking(move || State::open(&root)).await
    }

    fn working_directory(request: &OpenRequest) -> Result<String> {
        let path = match request.working_directory.as_str() {
            "" => WORKING_DIRECTORY,
            path => path,
        };
        view::check_working_directory(path).map_err(|problem| {
            Error::invalid("workingDirectory", problem, "Give an absolute path such as /vibe0.")
        })?;
        Ok(path.to_owned())
    }

    fn path(&self) -> String {
        let _ = &self.host;
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()
    }
}

fn configure(held: &Held, caller: &Caller) -> Result<Config> {
    use std::os::unix::ffi::OsStrExt;
    let meta = &held.meta;
    let own = |name: &str, target: &str, access: Access| Bind {
        source: held.path.join(name).as_os_str().as_bytes().to_vec(),
        target: target.to_owned(),
        access,
        expect: None,
        optional: false,
        owner: None,
    };
    let base = view::base();
    let mut binds = base.binds.clone();
    binds.push(own("home", HOME, Access::Write));
    binds.push(own("tmp", "/tmp", Access::Write));
    binds.push(own("logs", view::LOGS, Access::Read));
    binds.push(own("ws", &meta.working_directory, Access::Write));
    let hostname = "vibekit".to_owned();
    let mut files = base.files.clone();
    files.extend(view::identity_files(&hostname, meta.options.network() != Network::Deny));
    let options = &meta.options;
    Ok(Config {
        version: VERSION,
        identity: Identity { uid: meta.uid, gid: meta.gid, privileged: caller.privileged },
        working_directory: meta.working_directory.clone(),
        home: HOME.to_owned(),
        hostname,
        binds,
        files,
        links: base.links.clone(),
        overlay: None,
        capture: None,
        rlimits: vec![
            RLimit { resource: libc::RLIMIT_CORE, limit: 0 },
            RLimit { resource: libc::RLIMIT_NPROC, limit: options.limits.pids.unwrap_or(PIDS) },
            RLimit { resource: libc::RLIMIT_NOFILE, limit: 65_536 },
        ],
        ephemeral: meta.ephemeral(),
        idle_ms: Some(options.idle_timeout_ms.unwrap_or(IDLE_MS)).filter(|ms| *ms > 0),
        token: meta.token().unwrap_or_default(),
        canaries: vec![held.path.join("meta.json").to_string_lossy().into_owned()],
    })
}

/// Runs `work` to its end even when nobody waits any more; a result nobody takes is undone.
async fn unattended<W>(work: W, fresh: bool) -> Result<Arc<Session>>
where
    W: Future<Output = Result<Arc<Session>>> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        if let Err(Ok(session)) = sender.send(work.await) {
            let session: Arc<Session> = session;
            let _ = if fresh { session.kill().await } else { session.release().await };
        }
    });
    receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "Opening the sandbox panicked")))
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            separate_streams: true,
            stdin: true,
            pause: true,
            resume: true,
            files: true,
            host: true,
        }
    }

    async fn create(&self, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        let working_directory = Self::working_directory(&request)?;
        let state = self.state().await?;
        let (caller, options) = (self.caller, self.options.clone());
        let session = unattended(
            async move {
                let made = state.clone();
                let held = blocking(move || made.create(&caller, &options, &working_directory)).await?;
                let config = configure(&held, &caller)?;
                Session::create(state, held, config).await
            },
            true,
        )
        .await?;
        Ok(Arc::new(LocalSandbox::new(session, request.env, self.path())))
    }

    async fn resume(&self, id: &str, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        crate::state::check_id(id)?;
        let state = self.state().await?;
        let (caller, id) = (self.caller, id.to_owned());
        let session = unattended(
            async move {
                match Session::shared(&state, &id) {
                    Some(session) => Ok(session),
                    None => Session::resume(state, &id, |held| configure(held, &caller)).await,
                }
            },
            false,
        )
        .await?;
        Ok(Arc::new(LocalSandbox::new(session, request.env, self.path())))
    }
}
