//! A session this process owns. All objects for the same session share one of these.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex as StdMutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use vibekit_core::{Code, Error, Result};
use vibekit_sandboxd_wire::{Job, READ_ONLY_SINCE, ToInit};

use crate::clock::Clock;
use crate::fail;
use crate::freezer::Freezer;
use crate::launch::{self, Built, Helper, Live};
use crate::link::{self, Answer};
use crate::plan::Plan;
use crate::ports::Ports;
use crate::sandbox::blocking;
use crate::state::{Held, Meta, State};
use crate::view;

/// Sessions of this process by directory, so that two objects in one process never compete for the owner's lock.
static SESSIONS: LazyLock<StdMutex<HashMap<PathBuf, Weak<Session>>>> = LazyLock::new(StdMutex::default);

/// How long a session that another object of this process is just letting go of is waited for.
const HAND_OVER: Duration = Duration::from_millis(200);

fn sessions() -> MutexGuard<'static, HashMap<PathBuf, Weak<Session>>> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An owned session.
pub(crate) struct Session {
    pub(crate) meta: Meta,
    pub(crate) clock: Clock,
    state: State,
    /// What the init is told, the same at every start.
    pub(crate) plan: Plan,
    ports: Ports,
    /// `None` after the session was killed.
    held: Mutex<Option<Arc<Held>>>,
    /// `None` while the session is parked.
    live: Mutex<Option<Arc<Live>>>,
    /// Why the session is over, once it is.
    over: watch::Sender<Option<Error>>,
    processes_lost: AtomicBool,
    /// Version of Landlock the init measured.
    landlock: AtomicU32,
    /// Objects that have not released it yet.
    users: AtomicUsize,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.meta.id).finish_non_exhaustive()
    }
}

impl Session {
    fn new(state: State, held: Held, plan: Plan) -> Arc<Self> {
        let session = Arc::new(Self {
            meta: held.meta.clone(),
            clock: Clock::new(false),
            state,
            plan,
            ports: Ports::default(),
            held: Mutex::new(Some(Arc::new(held))),
            live: Mutex::new(None),
            over: watch::Sender::new(None),
            processes_lost: AtomicBool::new(false),
            landlock: AtomicU32::new(0),
            users: AtomicUsize::new(1),
        });
        sessions().insert(session.key(), Arc::downgrade(&session));
        session
    }

    fn key(&self) -> PathBuf {
        self.state.root().join(&self.meta.id)
    }

    /// Makes and starts a session, blocking. When that fails, nothing of it is left. `make` gives its directory and what
    /// is built from it.
    pub(crate) fn build(
        state: &State,
        make: impl FnOnce(&State) -> Result<(Held, Plan)>,
    ) -> Result<(Held, Plan, Built)> {
        let helper = Helper::start()?;
        let (held, plan) = make(state)?;
        match helper.build(&plan, &held) {
            Ok(built) => Ok((held, plan, built)),
            Err(error) => {
                plan.remove_groups();
                // The first failure is the one worth telling; what stays is swept.
                let _ = state.destroy(&held);
                Err(error)
            }
        }
    }

    /// Takes possession of a session that was just built.
    pub(crate) async fn created(state: State, held: Held, plan: Plan, built: Built) -> Result<Arc<Self>> {
        let session = Self::new(state, held, plan);
        let adopted = match built.live(1) {
            Ok(live) => session.adopt(&mut *session.live.lock().await, live),
            Err(error) => Err(error),
        };
        match adopted {
            Ok(_) => Ok(session),
            Err(error) => {
                let _ = session.kill().await;
                Err(error)
            }
        }
    }

    /// The session this process has already, as one more user of it.
    pub(crate) fn shared(state: &State, id: &str) -> Option<Arc<Self>> {
        let session = sessions().get(&state.root().join(id)).and_then(Weak::upgrade)?;
        if session.over.borrow().is_some() || session.users.load(Ordering::Acquire) == 0 {
            return None;
        }
        session.users.fetch_add(1, Ordering::AcqRel);
        Some(session)
    }

    /// Takes possession of an existing session: re-attaches a living init, or starts a new one on the same files.
    pub(crate) async fn resume(
        state: State,
        id: &str,
        plan: impl FnOnce(&Held) -> Result<Plan>,
    ) -> Result<Arc<Self>> {
        let give_up = tokio::time::Instant::now() + HAND_OVER;
        let held = loop {
            match state.hold(id) {
                Err(error) if error.code == Code::SessionInUse && tokio::time::Instant::now() < give_up => {
                    if let Some(session) = Self::shared(&state, id) {
                        return Ok(session);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other => break other?,
            }
        };
        let plan = plan(&held)?;
        let session = Self::new(state, held, plan);
        let held = session.held().await?;
        if let Some(live) = launch::attach(&session.plan.config, &held, held.first_command()).await? {
            session.clock.set_paused(live.paused);
            // An earlier owner may have made the group; looked for here, it is removed with the session.
            session.plan.freezer();
            session.adopt(&mut *session.live.lock().await, live)?;
        } else {
            session.processes_lost.store(held.processes_lost(), Ordering::Release);
            session.live().await?;
        }
        Ok(session)
    }

    /// True when the session runs under a host user of its own.
    pub(crate) fn privileged(&self) -> bool {
        self.plan.config.identity.privileged
    }

    /// Name of a port from outside.
    pub(crate) async fn host(self: &Arc<Self>, port: u16) -> Result<String> {
        if self.over.borrow().is_some() {
            return Err(self.why_over());
        }
        Ok(format!("localhost:{}", self.ports.open(Arc::downgrade(self), port).await?))
    }

    pub(crate) fn processes_lost(&self) -> bool {
        self.processes_lost.load(Ordering::Acquire)
    }

    /// True when commands can be held to reading: the kernel can, and the working directory lies in none of the
    /// directories that stay writable.
    pub(crate) fn read_only(&self) -> bool {
        let scratch = [view::HOME, "/tmp", "/dev/shm"].iter().any(|top| {
            let rest = self.meta.working_directory.strip_prefix(top);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        !scratch && self.landlock.load(Ordering::Acquire) >= READ_ONLY_SINCE
    }

    pub(crate) async fn held(&self) -> Result<Arc<Held>> {
        self.held.lock().await.clone().ok_or_else(|| self.why_over())
    }

    /// Why nothing works any more.
    pub(crate) fn why_over(&self) -> Error {
        self.over.borrow().clone().unwrap_or_else(link::lost)
    }

    /// Resolves when the session ended without having been asked.
    pub(crate) async fn lost(&self) -> Error {
        let mut over = self.over.subscribe();
        loop {
            let why = over.borrow_and_update().clone();
            if let Some(error) = why {
                if error.code == Code::SandboxLost {
                    return error;
                }
                return std::future::pending().await;
            }
            if over.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The living init, started if need be. Starting goes on when the caller stops waiting, so that it is never left
    /// half-way.
    pub(crate) async fn live(self: &Arc<Self>) -> Result<Arc<Live>> {
        if let Some(live) = &*self.live.lock().await {
            return if live.link.is_gone() { Err(self.why_over()) } else { Ok(Arc::clone(live)) };
        }
        let session = Arc::clone(self);
        tokio::spawn(async move { session.start().await })
            .await
            .map_err(|_| Error::new(Code::Internal, "Starting the sandbox panicked"))?
    }

    async fn start(self: Arc<Self>) -> Result<Arc<Live>> {
        let mut slot = self.live.lock().await;
        if let Some(live) = &*slot {
            return Ok(Arc::clone(live));
        }
        let held = self.held().await?;
        let session = Arc::clone(&self);
        let (first, built) = blocking(move || {
            let built = Helper::start()?.build(&session.plan, &held)?;
            Ok((held.first_command(), built))
        })
        .await?;
        self.adopt(&mut slot, built.live(first)?)
    }

    fn adopt(self: &Arc<Self>, slot: &mut Option<Arc<Live>>, live: Live) -> Result<Arc<Live>> {
        live.open_network(&self.plan.policy)?;
        self.landlock.store(live.landlock, Ordering::Release);
        let live = Arc::new(live);
        *slot = Some(Arc::clone(&live));
        tokio::spawn(keep(Arc::downgrade(self), Arc::downgrade(&live)));
        Ok(live)
    }

    /// Lets an idle init go. The next command starts another one.
    async fn park(&self, live: &Arc<Live>) {
        // While this is held, no command can be on its way.
        let mut slot = self.live.lock().await;
        if !slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, live)) || self.clock.paused() {
            return;
        }
        if live.link.tell(&ToInit::Park, &[]).await.is_err() {
            return;
        }
        if tokio::time::timeout(link::ANSWER, live.link.gone()).await.is_ok() {
            *slot = None;
            live.bury().await;
            self.plan.remove_groups();
        }
    }

    /// True when the session has no init at the moment.
    pub(crate) async fn parked(&self) -> bool {
        self.live.lock().await.is_none()
    }

    pub(crate) async fn set_paused(self: &Arc<Self>, paused: bool) -> Result<()> {
        let live = self.live().await?;
        // Stopped before the processes are and started after: a command never loses time to a pause.
        if paused {
            self.clock.set_paused(true);
        }
        let answer = if paused { self.hold_still(&live).await } else { self.let_run(&live).await };
        if answer.is_ok() != paused {
            self.clock.set_paused(false);
        }
        answer
    }

    /// By the freezer if there is one and it takes hold, otherwise by signals.
    async fn hold_still(self: &Arc<Self>, live: &Live) -> Result<()> {
        let session = Arc::clone(self);
        let frozen = blocking(move || Ok(session.plan.freezer().and_then(|freezer| freezer.freeze().ok())));
        if let Some(group) = frozen.await? {
            live.link.ask_with(|request| ToInit::Pause { request }, &[group.as_fd()]).await?;
            let session = Arc::clone(self);
            if blocking(move || Ok(session.plan.freezer().is_some_and(Freezer::wait))).await? {
                return Ok(());
            }
        }
        live.link.ask(|request| ToInit::Pause { request }).await.map(drop)
    }

    async fn let_run(self: &Arc<Self>, live: &Live) -> Result<()> {
        let session = Arc::clone(self);
        blocking(move || match session.plan.freezer().map_or(Ok(()), Freezer::thaw) {
            Ok(()) => Ok(()),
            Err(error) => Err(fail::internal("Thawing the session", fail::errno(&error))),
        })
        .await?;
        live.link.ask(|request| ToInit::Thaw { request }).await.map(drop)
    }

    /// All commands the init knows, and the number of processes.
    pub(crate) async fn jobs(self: &Arc<Self>) -> Result<(Vec<Job>, u32)> {
        match self.live().await?.link.ask(|request| ToInit::Look { request }).await? {
            Answer::Jobs(jobs, processes) => Ok((jobs, processes)),
            Answer::Done | Answer::Socket(_) => {
                Err(Error::new(Code::Internal, "The sandbox gave a wrong answer"))
            }
        }
    }

    /// Ends everything and forgets the session. Idempotent.
    pub(crate) async fn kill(&self) -> Result<()> {
        let killed = Error::new(Code::SandboxKilled, "The sandbox was killed");
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            over.get_or_insert(killed);
            first
        });
        sessions().retain(|_, session| session.as_ptr() != std::ptr::from_ref(self));
        self.ports.close();
        let live = self.live.lock().await.take();
        if let Some(live) = live {
            live.end().await;
        }
        self.plan.remove_groups();
        let Some(held) = self.held.lock().await.take() else { return Ok(()) };
        let state = self.state.clone();
        tokio::task::spawn_blocking(move || state.destroy(&held))
            .await
            .map_err(|_| Error::new(Code::Internal, "Removing the session panicked"))?
    }

    /// One user less. The last one lets go: a persistent session lives on, an ephemeral one ends.
    pub(crate) async fn release(&self) -> Result<()> {
        if self.users.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        if self.meta.ephemeral() {
            return self.kill().await;
        }
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            over.get_or_insert_with(|| Error::new(Code::Disposed, "The sandbox was released"));
            first
        });
        sessions().retain(|_, session| session.as_ptr() != std::ptr::from_ref(self));
        self.ports.close();
        let live = self.live.lock().await.take();
        if let Some(live) = live {
            live.let_go().await;
        }
        *self.held.lock().await = None;
        Ok(())
    }

    /// Ends the init by force: the last resort when it does not do what it is told.
    pub(crate) async fn reset(&self) {
        let live = self.live.lock().await.clone();
        if let Some(live) = live {
            live.bury().await;
        }
        self.lose();
    }

    /// The init is gone without having been asked.
    fn lose(&self) {
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            over.get_or_insert_with(link::lost);
            first
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nobody released it. Closing the connection lets go of a persistent session; an ephemeral one ends with it,
        // and its files go here or with the next sweep.
        let Some(held) = self.held.get_mut().take() else { return };
        let live = self.live.get_mut().take();
        if self.meta.ephemeral()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let state = self.state.clone();
            runtime.spawn(async move {
                if let Some(live) = live {
                    live.end().await;
                }
                let _ = tokio::task::spawn_blocking(move || state.destroy(&held)).await;
            });
        }
    }
}

/// Watches one init: parks it when it is idle, and notices when it goes by itself. Ends with the connection or with
/// the session, whichever goes first; it keeps neither alive.
async fn keep(session: Weak<Session>, live: Weak<Live>) {
    let Some((mut gone, mut idle)) =
        live.upgrade().map(|live| (live.link.watch_gone(), live.link.idle.clone()))
    else {
        return;
    };
    loop {
        let parks = tokio::select! {
            ended = gone.wait_for(|gone| *gone) => {
                if ended.is_err() {
                    return;
                }
                false
            }
            changed = idle.changed() => changed.is_ok(),
        };
        let (Some(session), Some(live)) = (session.upgrade(), live.upgrade()) else { return };
        if parks {
            session.park(&live).await;
            continue;
        }
        let asked = !session.live.lock().await.as_ref().is_some_and(|current| Arc::ptr_eq(current, &live));
        if !asked {
            live.bury().await;
            session.lose();
        }
        return;
    }
}
