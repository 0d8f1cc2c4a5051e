//! The one error type of the workspace. It is made where a thing fails and converted to JavaScript in one
//! place (`src/failure.rs` of the binding).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What every fallible function of the workspace returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Stable, machine-readable reason. Serialised in SCREAMING_SNAKE_CASE; this is the `code` JavaScript sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Code {
    /// The object has no usable agent (contract: `Error("Agent not initialized")`).
    AgentNotInitialized,
    /// The agent's program is not installed where the sandbox can see it.
    AgentNotInstalled,
    /// The agent ran and did not succeed.
    AgentFailed,
    /// The caller's `AbortSignal` fired.
    Aborted,
    /// A value the caller passed is wrong; `field` names it.
    InvalidArgument,
    /// A value the caller passed has the wrong type; becomes a JavaScript `TypeError`.
    InvalidType,
    /// The session id has the right form but no session has it.
    SessionNotFound,
    /// Another process owns the session.
    SessionInUse,
    /// The sandbox was killed while the call was waiting or running.
    SandboxKilled,
    /// The sandbox is paused and the call needs it running.
    SandboxPaused,
    /// The sandbox went away by itself (crash, out of memory, host reboot).
    SandboxLost,
    /// The object was disposed.
    Disposed,
    /// A limit on waiting was reached; `details.limit` says which one, in milliseconds.
    Timeout,
    /// The command could not be started (not found, not executable, argument list too long …).
    SpawnFailed,
    /// This host cannot give the isolation that was asked for. Never degraded, always refused.
    LocalSandboxUnsupported,
    /// The sandbox did not attest the isolation that was asked for.
    AttestationFailed,
    /// A resource limit was asked for that cannot be enforced here.
    LimitUnsupported,
    /// The provider does not have this capability.
    Unsupported,
    /// A file operation inside a sandbox failed.
    FileError,
    /// The state directory cannot be written.
    StateUnwritable,
    /// The state directory was written by another version.
    StateVersion,
    /// A state file is not readable as what it should be.
    StateCorrupt,
    /// No space left.
    DiskFull,
    /// A service refused the credential.
    AuthenticationFailed,
    /// A service knows the credential and does not allow this with it.
    PermissionDenied,
    /// A service asks to come back later; `details.retryAfterMs` says when, if it told.
    RateLimited,
    /// The account has as many sandboxes as it may have at once.
    ConcurrencyLimit,
    /// A service has no template (image, snapshot) of that name.
    TemplateNotFound,
    /// The provider (a JavaScript object or a service) failed.
    ProviderFailed,
    /// GitHub said no; `details.status` is its status.
    GithubFailed,
    /// The model's API said no, or answered something else than what it was asked for.
    ModelFailed,
    /// There is nothing to commit.
    NoChanges,
    /// A defect of this library.
    Internal,
}

impl Code {
    /// The code as JavaScript sees it.
    #[must_use]
    pub fn as_str(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(text)) => text,
            _ => "INTERNAL".to_owned(),
        }
    }
}

/// Whether the work a failed call asked for was taken on by the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admitted {
    /// It was; repeating the call repeats the work.
    Yes,
    /// It was not; repeating the call is safe.
    No,
    /// It cannot be known.
    Unknown,
}

/// A failure: a stable code, a sentence for humans, and what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Error {
    /// Stable reason.
    pub code: Code,
    /// One sentence, fit for users. Never holds a secret.
    pub message: String,
    /// The configuration field or argument at fault, in the user's spelling (`environment.local.limits.memory`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the same call may succeed later without any change.
    #[serde(default)]
    pub retryable: bool,
    /// Whether the work was taken on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Admitted>,
    /// Further own properties of the JavaScript error: `exitCode`, `stdout`, `stderr`, `sessionId`, `missing` …
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Error>>,
}

impl Error {
    /// A failure with a code and a sentence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            hint: None,
            retryable: false,
            admitted: None,
            details: Map::new(),
            cause: None,
        }
    }

    /// A wrong value. The message names field and remedy by construction.
    #[must_use]
    pub fn invalid(field: impl Into<String>, problem: impl fmt::Display, remedy: impl Into<String>) -> Self {
        let (field, remedy) = (field.into(), remedy.into());
        let mut error = Self::new(Code::InvalidArgument, format!("{field} {problem}. {remedy}"));
        error.field = Some(field);
        error.hint = Some(remedy);
        error
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds an own property for the JavaScript error.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn caused_by(mut self, cause: Error) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Marks that the same call may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
