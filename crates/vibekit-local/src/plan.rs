//! What a session is built from: its record and the machine, turned into the helper's configuration.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};

use vibekit_core::Result;
use vibekit_egress::Policy;
use vibekit_sandboxd_wire::{Access, Bind, Config, Identity, VERSION};

use crate::cgroups;
use crate::fail;
use crate::freezer::Freezer;
use crate::identity::Caller;
use crate::limits::Enforced;
use crate::network;
use crate::state::Held;
use crate::toolchain::Toolchains;
use crate::view::{self, HOME};
use crate::workspace;

/// Default of [`crate::LocalOptions::idle_timeout_ms`].
const IDLE_MS: u64 = 300_000;
const HOSTNAME: &str = "vibekit";

/// Everything a start of the session's init needs, and what its commands get.
pub(crate) struct Plan {
    pub(crate) config: Config,
    /// The contents of [`Config::files`].
    pub(crate) contents: &'static OwnedFd,
    pub(crate) policy: Arc<Policy>,
    /// `PATH` inside.
    pub(crate) path: String,
    /// Variables of every command beside the usual ones.
    pub(crate) env: Vec<(String, String)>,
    limits: Enforced,
    /// The name of the session's control groups.
    group: String,
    /// Looked for when it is needed first; `None` in it where there can be none.
    freezer: OnceLock<Option<Freezer>>,
}

impl Plan {
    pub(crate) fn new(held: &Held, caller: &Caller, tools: &Toolchains) -> Result<Self> {
        let meta = &held.meta;
        let options = &meta.options;
        let policy = network::policy(&options.network())?;
        let capture = network::capture(&policy);
        let limits = Enforced::new(options.limits, caller, &meta.id)?;
        let base = view::base();
        let mut binds = base.binds.clone();
        binds.extend(tools.binds.iter().cloned());
        binds.push(own(held, "home", HOME, Access::Write));
        binds.push(own(held, "tmp", "/tmp", Access::Write));
        binds.push(own(held, "logs", view::LOGS, Access::Read));
        let overlay = workspace::binds(held, caller, &mut binds)?;
        let files = view::files(HOSTNAME, capture.is_some())
            .map_err(|errno| fail::internal("Making a memory file", errno))?;
        let mut env = tools.env.clone();
        if capture.is_some() {
            env.extend(network::proxy_variables());
        }
        let config = Config {
            version: VERSION,
            identity: Identity { uid: meta.uid, gid: meta.gid, privileged: caller.privileged },
            working_directory: meta.working_directory.clone(),
            home: HOME.to_owned(),
            hostname: HOSTNAME.to_owned(),
            binds,
            files: files.list.clone(),
            links: base.links.clone(),
            overlay,
            capture,
            rlimits: limits.rlimits(),
            inotify: view::inotify(),
            ephemeral: meta.ephemeral(),
            idle_ms: Some(options.idle_timeout_ms.unwrap_or(IDLE_MS)).filter(|ms| *ms > 0),
            token: meta.token().unwrap_or_default(),
            canaries: vec![held.path.join("meta.json").to_string_lossy().into_owned()],
        };
        Ok(Self {
            config,
            contents: &files.contents,
            policy: Arc::new(policy),
            path: tools.path.clone(),
            env,
            limits,
            group: cgroups::name(&meta.id),
            freezer: OnceLock::new(),
        })
    }

    /// Control groups for a new init, made if need be: one open `cgroup.procs` each.
    pub(crate) fn groups(&self) -> Result<Vec<OwnedFd>> {
        self.limits.groups()
    }

    /// How many processes the session has lost for want of memory.
    pub(crate) fn memory_kills(&self) -> u64 {
        self.limits.memory_kills()
    }

    /// What holds the session still when it is paused, where this machine lets us have it.
    pub(crate) fn freezer(&self) -> Option<&Freezer> {
        let find = || match self.limits.unified() {
            // Within, so that the limits go on to hold.
            Some(own) => Some(Freezer::new(own.join("frozen"))),
            None => cgroups::unified().map(|place| Freezer::new(place.join(&self.group))),
        };
        self.freezer.get_or_init(find).as_ref()
    }

    /// Removes the control groups once nothing runs in them.
    pub(crate) fn remove_groups(&self) {
        if let Some(Some(freezer)) = self.freezer.get() {
            freezer.remove();
        }
        self.limits.remove();
    }
}

/// A directory of the session itself.
pub(crate) fn own(held: &Held, name: &str, target: &str, access: Access) -> Bind {
    Bind {
        source: held.path.join(name).as_os_str().as_bytes().to_vec(),
        target: target.to_owned(),
        access,
        expect: None,
        optional: false,
        owner: None,
    }
}
