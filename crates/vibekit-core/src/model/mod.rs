//! Words for commits and pull requests, from a model's API (contract, 5.2).

mod answer;
mod ask;
mod provider;

pub use provider::Route;

use serde_json::{Map, Value, json};

use crate::agents::{AgentConfig, AgentKind};
use crate::git::patch;
use crate::script::Desk;
use crate::{Error, Result};

/// Variables of the host that may hold a key, as the call found them.
pub(crate) type Variables = Vec<(String, String)>;

/// Who writes the words, and what they should know.
#[derive(Clone)]
pub(crate) struct Author {
    agent: AgentConfig,
    /// The configuration generation and its successor speak an older API of OpenAI's.
    route: Route,
    variables: Variables,
    /// The prompt of the last turn.
    task: String,
    /// Texts that must not be in what a model gets.
    secrets: Vec<String>,
}

impl Author {
    pub(crate) fn new(
        agent: AgentConfig,
        route: Route,
        variables: Variables,
        task: Option<String>,
        secrets: Vec<String>,
    ) -> Self {
        Self { agent, route, variables, task: task.unwrap_or_default(), secrets }
    }

    pub(crate) const fn kind(&self) -> AgentKind {
        self.agent.kind
    }

    /// Upstream's choice: the vendor of the agent, or what was configured for those that take any.
    fn provider(&self) -> &str {
        match self.agent.kind {
            AgentKind::Claude => "anthropic",
            AgentKind::Gemini => "gemini",
            AgentKind::Grok => "xai",
            AgentKind::Codex | AgentKind::Opencode => self.agent.provider(),
        }
    }

    async fn object(&self, desk: &Desk, prompt: String, shape: &Shape) -> Result<Map<String, Value>> {
        let access = provider::Access::new(self.provider(), &self.agent, self.route, &self.variables)?;
        let object = ask::object(desk, &access, &prompt, &shape.schema()).await?;
        if shape.0.iter().all(|(name, _)| object.get(*name).is_some_and(Value::is_string)) {
            return Ok(object);
        }
        Err(answer::no_object("response did not match schema."))
    }

    fn prompt(&self, wish: &str, patch: &str) -> String {
        let patch = patch::digest(patch, &self.secrets, patch::LIMIT);
        format!(
            "You are tasked to create {wish} based on the following task:\n{}\n\npatch:\n\n{patch}",
            self.task
        )
    }
}

/// Names and descriptions of an object's texts.
struct Shape(&'static [(&'static str, &'static str)]);

impl Shape {
    /// The JSON Schema, its keys in upstream's order.
    fn schema(&self) -> Value {
        let mut properties = Map::new();
        for (name, description) in self.0 {
            properties.insert((*name).to_owned(), json!({ "type": "string", "description": description }));
        }
        json!({
            "type": "object",
            "properties": properties,
            "required": self.0.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "additionalProperties": false,
            "$schema": "http://json-schema.org/draft-07/schema#",
        })
    }
}

/// What a pull request is made of.
pub(crate) struct PullRequestWords {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) branch_name: String,
    pub(crate) commit_message: String,
}

pub(crate) async fn pull_request(desk: &Desk, author: &Author, patch: &str) -> Result<PullRequestWords> {
    const SHAPE: Shape = Shape(&[
        ("title", "Suggested title for the pull request"),
        ("body", "Suggested body for the pull request"),
        ("branchName", "Suggested branch name, should be unique and descriptive"),
        ("commitMessage", "Suggested commit message for the pull request"),
    ]);
    let prompt = author.prompt("title and body for a pull request", patch);
    let object = author.object(desk, prompt, &SHAPE).await?;
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(PullRequestWords {
        title: text("title"),
        body: text("body"),
        branch_name: text("branchName"),
        commit_message: text("commitMessage"),
    })
}

pub(crate) async fn commit_message(desk: &Desk, author: &Author, patch: &str) -> Result<String> {
    const SHAPE: Shape = Shape(&[("commitMessage", "Suggested commit message for the changes")]);
    let object = author.object(desk, author.prompt("a commit message", patch), &SHAPE).await?;
    object
        .get("commitMessage")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| -> Error { answer::no_object("response did not match schema.") })
}
