//! The typed "not on this machine".

use serde::{Deserialize, Serialize};
use vibekit_core::{Code, Error};

/// What the other ways to run a sandbox are called.
const ALTERNATIVES: [&str; 3] = [
    "environment.docker (a container engine)",
    "environment.e2b (a service)",
    "environment.daytona (a service)",
];

/// One thing the machine does not give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Missing {
    pub(crate) feature: String,
    pub(crate) step: String,
    pub(crate) errno: i32,
    pub(crate) likely_cause: String,
    pub(crate) fix: String,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Support {
    /// Isolation in force: `namespaces`.
    pub tier: &'static str,
    /// Landlock version, 0 when the kernel has none.
    pub landlock: u32,
    /// True when commands can be held to reading.
    pub read_only: bool,
    /// True when sessions run under a host user of their own (the caller is root).
    pub own_user: bool,
    /// True when control groups can be made: memory and CPU limits hold for the session as a whole.
    pub cgroups: bool,
    /// True when a pause is by the kernel's freezer, which nothing inside can notice; otherwise it is by signals, which
    /// parents of the stopped processes see, and which something inside can undo for some milliseconds.
    pub freezer: bool,
    /// Limits that cannot be enforced here, by name.
    pub unenforced: Vec<&'static str>,
    /// How long the probe took, in microseconds.
    pub probe_us: u64,
}

/// The refusal.
pub(crate) fn unsupported(missing: Vec<Missing>) -> Error {
    let first = missing.first();
    let message = match first {
        Some(first) => format!(
            "The embedded sandbox cannot run on this machine: {} is not available ({}). {}",
            first.feature, first.likely_cause, first.fix
        ),
        None => "The embedded sandbox cannot run on this machine.".to_owned(),
    };
    let mut error = Error::new(Code::LocalSandboxUnsupported, message)
        .with("tier", "none")
        .with("alternatives", ALTERNATIVES.map(serde_json::Value::from).to_vec())
        .with("missing", serde_json::to_value(&missing).unwrap_or_default());
    if let Some(first) = first {
        error = error.with_hint(first.fix.clone());
    }
    error
}
