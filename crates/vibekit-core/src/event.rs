//! The normalised events of an agent's turn: an own envelope around the vocabulary of the Agent Client Protocol
//! (<https://agentclientprotocol.com>), so that an ACP back end can be a second source of the same events.

#![allow(
    missing_docs,
    reason = "names and meanings are those of the Agent Client Protocol and of the table in docs/events.md"
)]

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One event. `seq` counts from 1 within a session record and never repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Version of this envelope: 1.
    pub v: u8,
    /// Position in the session's stream of events.
    pub seq: u64,
    /// Milliseconds since the Unix epoch, as the driver told the machine.
    pub time: u64,
    /// `claude`, `codex`, `gemini`, `grok` or `opencode`.
    pub agent: String,
    /// VibeKit's session id.
    pub session_id: Option<String>,
    /// The agent's own id of the conversation, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_session_id: Option<String>,
    /// Identifies the turn within the session record.
    pub turn_id: u64,
    /// True for events the library made because the agent did not give them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synthetic: bool,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Body {
    /// The agent is up.
    SessionStarted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent_version: Option<String>,
        resumed: bool,
    },
    /// A piece of the answer.
    TextDelta { message_id: String, text: String },
    /// A whole message of the answer.
    Text { message_id: String, text: String },
    /// A piece of reasoning.
    ThoughtDelta { message_id: String, text: String },
    /// A tool is being called.
    ToolCall {
        tool_call_id: String,
        /// The agent's own name of the tool.
        name: String,
        kind: ToolKind,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        input: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent_tool_call_id: Option<String>,
    },
    /// A tool has ended.
    ToolResult {
        tool_call_id: String,
        status: ToolStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A file of the repository changed, as the agent tells it.
    FileChange {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool_call_id: Option<String>,
        path: String,
        change: Change,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diff: Option<String>,
    },
    /// The agent's plan.
    Plan { entries: Vec<PlanEntry> },
    /// Tokens and cost.
    Usage(Usage),
    /// Something worth knowing that is no error.
    Notice {
        severity: Severity,
        /// `retry`, `permission_denied`, `compaction`, `warning` …
        code: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delay_ms: Option<u64>,
    },
    /// An error the agent reported.
    Error {
        code: AgentErrorCode,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        retryable: bool,
        fatal: bool,
    },
    /// A line the decoder does not know; never an exception.
    Raw { line: String },
    /// The turn is over. Exactly one per turn, always last.
    Finished(Finished),
}

/// ACP's kinds of tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    Read,
    Edit,
    Delete,
    Move,
    Search,
    Execute,
    Think,
    Fetch,
    Other,
}

/// How a tool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    Completed,
    Failed,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Add,
    Update,
    Delete,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanEntry {
    pub content: String,
    pub status: String,
}

/// Weight of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
}

/// Tokens and cost of a step, a turn or a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Input tokens that were not served from a cache.
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    pub cache_write_tokens: u64,
    pub output_tokens: u64,
    pub reasoning_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

/// Why an agent failed, in words all five share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentErrorCode {
    Auth,
    Permission,
    RateLimit,
    Overloaded,
    Server,
    InvalidRequest,
    ModelNotFound,
    MaxTurns,
    Budget,
    Context,
    Network,
    Timeout,
    Cancelled,
    Spawn,
    Protocol,
    Unknown,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    Error,
    Cancelled,
    Timeout,
}

/// The last event of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    pub outcome: Outcome,
    /// ACP's stop reason, or the agent's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The agent's last message.
    pub result_text: String,
    pub usage: Usage,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AgentError>,
    pub files_changed: Vec<String>,
}

/// The error a turn ended with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentError {
    pub code: AgentErrorCode,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    pub retryable: bool,
}
