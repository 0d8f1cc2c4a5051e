//! `environment.local`.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::oneshot;
use vibekit_core::Code;
use vibekit_sandbox::{Capabilities, Error, OpenRequest, Provider, Result, Sandbox};
use vibekit_sandboxd_wire::READ_ONLY_SINCE;

use crate::identity::Caller;
use crate::plan::Plan;
use crate::refusal::Support;
use crate::sandbox::{LocalSandbox, blocking, check_env};
use crate::session::Session;
use crate::state::{Held, State, check_id};
use crate::toolchain::Toolchains;
use crate::{HostEnv, Limits, LocalOptions, limits, network, view, workspace};

/// Default working directory, the one of every environment.
const WORKING_DIRECTORY: &str = "/vibe0";

/// Opens embedded sandboxes.
#[derive(Debug)]
pub struct LocalProvider(Arc<Shared>);

/// What the tasks that open sandboxes keep hold of.
#[derive(Debug)]
struct Shared {
    options: LocalOptions,
    host: HostEnv,
    root: PathBuf,
    caller: Caller,
    tools: OnceLock<Toolchains>,
    swept: OnceLock<()>,
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
        network::policy(&options.network())?;
        let caller = Caller::current();
        let (tools, swept) = (OnceLock::new(), OnceLock::new());
        Ok(Arc::new(Self(Arc::new(Shared { options, host, root, caller, tools, swept }))))
    }

    /// Tries to build a sandbox and tells what this machine gives.
    ///
    /// # Errors
    /// `LOCAL_SANDBOX_UNSUPPORTED` with `details.missing` and `details.alternatives`.
    pub async fn probe(&self) -> Result<Support> {
        // The real thing, with everything a session has: nothing else tells the truth about this machine.
        let begin = Instant::now();
        let options = LocalOptions {
            ephemeral: Some(true),
            network: Some(self.0.options.network()),
            state_dir: self.0.options.state_dir.clone(),
            ..LocalOptions::default()
        };
        let provider = Self::new(options, self.0.host.clone())?;
        let caller = self.0.caller;
        let probed = unattended(Arc::clone(&provider.0).made(WORKING_DIRECTORY.to_owned()), true).await?;
        let landlock = probed.live().await.map(|live| live.landlock);
        let session = Arc::clone(&probed);
        let freezer =
            blocking(move || Ok(session.plan.freezer().is_some_and(|freezer| freezer.freeze().is_ok())))
                .await;
        probed.kill().await?;
        let (landlock, freezer) = (landlock?, freezer?);
        let unenforced = limits::unenforced(&caller);
        Ok(Support {
            tier: "namespaces",
            landlock,
            read_only: landlock >= READ_ONLY_SINCE,
            own_user: caller.privileged,
            cgroups: !unenforced.contains(&"memory"),
            freezer,
            unenforced,
            probe_us: u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// Removes what crashed processes left behind. Returns how many sessions that were.
    ///
    /// # Errors
    /// `STATE_*` when the state directory cannot be used.
    pub async fn sweep(&self) -> Result<usize> {
        let root = self.0.root.clone();
        blocking(move || State::open(&root)?.sweep()).await
    }
}

impl Shared {
    /// Opens the state directory, blocking.
    fn state(&self) -> Result<State> {
        self.caller.check()?;
        State::open(&self.root)
    }

    /// Sweeps in the background, the first time the state directory is used.
    fn sweep_once(&self, state: &State) {
        if self.swept.set(()).is_ok() {
            let swept = state.clone();
            // Leftovers that cannot be removed now are tried again by the next process.
            drop(tokio::task::spawn_blocking(move || swept.sweep()));
        }
    }

    /// A new session, from nothing to living.
    async fn made(self: Arc<Self>, working_directory: String) -> Result<Arc<Session>> {
        let provider = Arc::clone(&self);
        let (state, (held, plan, built)) = blocking(move || {
            let Self { caller, options, .. } = &*provider;
            let state = provider.state()?;
            let make = |state: &State| {
                let held = state.create(caller, options, &working_directory, workspace::copy)?;
                let plan = planned(state, &held, caller, provider.tools())?;
                Ok((held, plan))
            };
            let built = Session::build(&state, make)?;
            Ok((state, built))
        })
        .await?;
        self.sweep_once(&state);
        Session::created(state, held, plan, built).await
    }

    /// What the host's `PATH` gives; looked up once, when the first session needs it.
    fn tools(&self) -> &Toolchains {
        self.tools.get_or_init(|| Toolchains::find(self.host.path.as_deref(), self.host.home.as_deref()))
    }
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

/// Runs `work` to its end even when nobody waits any more; a result nobody takes is undone.
async fn unattended<W>(work: W, fresh: bool) -> Result<Arc<Session>>
where
    W: Future<Output = Result<Arc<Session>>> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let made = work.await.map(|session| Untaken { session: Some(session), fresh });
        // What is not received is dropped, here or in the channel, and undone by that.
        let _ = sender.send(made);
    });
    let made =
        receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "Opening the sandbox panicked")))?;
    made.take()
}

/// A session on its way to whoever asked for it.
struct Untaken {
    session: Option<Arc<Session>>,
    fresh: bool,
}

impl Untaken {
    fn take(mut self) -> Result<Arc<Session>> {
        self.session.take().ok_or_else(|| Error::new(Code::Internal, "The sandbox was taken twice"))
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        let (Some(session), Ok(runtime)) = (self.session.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let fresh = self.fresh;
        runtime.spawn(async move { if fresh { session.kill().await } else { session.release().await } });
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn probe(&self) -> Result<serde_json::Value> {
        let support = Self::probe(self).await?;
        serde_json::to_value(support).map_err(|error| Error::new(Code::Internal, error.to_string()))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    async fn create(&self, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        Ok(self.create_local(request).await?)
    }

    async fn resume(&self, id: &str, request: OpenRequest) -> Result<Arc<dyn Sandbox>> {
        Ok(self.resume_local(id, request).await?)
    }
}

impl LocalProvider {
    /// As [`Provider::create`], with the type that knows about background commands.
    ///
    /// # Errors
    /// As there.
    pub async fn create_local(&self, request: OpenRequest) -> Result<Arc<LocalSandbox>> {
        let working_directory = working_directory(&request)?;
        check_env(&request.env)?;
        let shared = Arc::clone(&self.0);
        workspace::check(&shared.options, &shared.root, shared.host.home.as_deref())?;
        let session = unattended(shared.made(working_directory), true).await?;
        Ok(Arc::new(LocalSandbox::new(session, request.env)))
    }

    /// As [`Provider::resume`], with the type that knows about background commands.
    ///
    /// # Errors
    /// As there.
    pub async fn resume_local(&self, id: &str, request: OpenRequest) -> Result<Arc<LocalSandbox>> {
        check_id(id)?;
        check_env(&request.env)?;
        let (provider, id) = (Arc::clone(&self.0), id.to_owned());
        let session = unattended(
            async move {
                let opened = Arc::clone(&provider);
                let state = blocking(move || {
                    // Looked up here, where it may block.
                    opened.tools();
                    opened.state()
                })
                .await?;
                provider.sweep_once(&state);
                if let Some(session) = Session::shared(&state, &id) {
                    return Ok(session);
                }
                let plan = |held: &Held| {
                    agree(&provider.options, &held.meta.options)?;
                    Plan::new(held, &provider.caller, provider.tools())
                };
                Session::resume(state, &id, plan).await
            },
            false,
        )
        .await?;
        Ok(Arc::new(LocalSandbox::new(session, request.env)))
    }
}

/// The plan of a session that was just made; without one the session goes again.
fn planned(state: &State, held: &Held, caller: &Caller, tools: &Toolchains) -> Result<Plan> {
    let plan = Plan::new(held, caller, tools);
    if plan.is_err() {
        // The first failure is the one worth telling; what stays is swept.
        let _ = state.destroy(held);
    }
    plan
}

/// A session keeps the options it was made with. Options given at a resume must be the same: a stricter wish that is
/// silently ignored would be worse than an error.
fn agree(given: &LocalOptions, own: &LocalOptions) -> Result<()> {
    let differs = |field: &str| {
        let remedy = "Leave it out when resuming, or make a new session.";
        Err(Error::invalid(
            format!("environment.local.{field}"),
            "differs from what the session was made with",
            remedy,
        ))
    };
    if given.network.is_some() && given.network() != own.network() {
        return differs("network");
    }
    if given.workspace.is_some() && given.workspace != own.workspace {
        return differs("workspace");
    }
    if given.limits != Limits::default() && given.limits != own.limits {
        return differs("limits");
    }
    Ok(())
}
