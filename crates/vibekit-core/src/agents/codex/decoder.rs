//! What the lines of `codex exec --json` mean.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::TRAITS;
use crate::agents::failure::classify;
use crate::agents::json::{count, list, object, text};
use crate::agents::tally::{Tally, Verdict, since, warning};
use crate::agents::{Decoder, Ending};
use crate::command::Exit;
use crate::event::{Body, Change, PlanEntry, Severity, ToolKind, ToolStatus, Usage};

pub(super) struct CodexDecoder {
    tally: Tally,
    /// Items whose call was told; some items only ever come completed.
    called: HashSet<String>,
    /// The last error, in case no terminal line follows.
    error: Option<String>,
}

impl CodexDecoder {
    pub(super) fn new(tally: Tally) -> Self {
        Self { tally, called: HashSet::new(), error: None }
    }

    fn decode(&mut self, value: &Value, out: &mut Vec<Body>) -> bool {
        match text(value, "/type") {
            Some("thread.started") => {
                self.tally.session = text(value, "/thread_id").map(str::to_owned);
                self.tally.start(None, None, None, out);
            }
            Some("turn.started") => {}
            Some("item.started" | "item.updated") => return self.item(value, false, out),
            Some("item.completed") => return self.item(value, true, out),
            Some("turn.completed") => {
                self.usage(value);
                self.tally.verdict = Verdict::Success;
                self.tally.stop_reason = Some("end_turn".to_owned());
            }
            Some("turn.failed") => {
                let message = text(value, "/error/message").unwrap_or_default();
                self.tally.verdict = Verdict::Failure(classify(None, message));
            }
            Some("error") => {
                let message = text(value, "/message").unwrap_or_default();
                match attempt(message) {
                    Some(attempt) => out.push(Body::Notice {
                        severity: Severity::Warning,
                        code: "retry".to_owned(),
                        message: message.to_owned(),
                        attempt: Some(attempt),
                        delay_ms: None,
                    }),
                    None => self.error = Some(message.to_owned()),
                }
            }
            _ => return false,
        }
        true
    }

    /// The program counts over the whole thread, and cached tokens among the input ones.
    fn usage(&mut self, value: &Value) {
        let cached = count(value, "/usage/cached_input_tokens");
        let total = Usage {
            input_tokens: count(value, "/usage/input_tokens").saturating_sub(cached),
            cached_input_tokens: cached,
            cache_write_tokens: count(value, "/usage/cache_write_input_tokens"),
            output_tokens: count(value, "/usage/output_tokens"),
            reasoning_tokens: count(value, "/usage/reasoning_output_tokens"),
            cost_usd: None,
        };
        self.tally.usage = since(&self.tally.usage_before, &total);
        self.tally.conversation_usage = Some(total);
    }

    fn item(&mut self, value: &Value, done: bool, out: &mut Vec<Body>) -> bool {
        let Some(item) = value.pointer("/item") else { return false };
        let id = text(item, "/id").unwrap_or_default();
        match text(item, "/type") {
            Some("agent_message") if done => {
                self.tally.message(id, text(item, "/text").unwrap_or_default(), out)
            }
            Some("reasoning") if done => out.push(Body::ThoughtDelta {
                message_id: id.to_owned(),
                text: text(item, "/text").unwrap_or_default().to_owned(),
            }),
            Some("agent_message" | "reasoning") => {}
            Some("todo_list") => {
                out.push(Body::Plan { entries: list(item, "/items").iter().map(entry).collect() })
            }
            Some("error") => {
                let message = text(item, "/message").unwrap_or_default();
                // Said about the hook of ours that guards `ask` mode.
                if !message.starts_with("`--dangerously-bypass-hook-trust`") {
                    out.push(warning("warning", message));
                }
            }
            Some("command_execution") => {
                let command = text(item, "/command").unwrap_or_default();
                self.call(id, "exec_command", ToolKind::Execute, command, json!({ "command": command }), out);
                if done {
                    let exit_code = item.pointer("/exit_code").and_then(Value::as_i64);
                    out.push(result(item, id, text(item, "/aggregated_output"), exit_code));
                }
            }
            Some("file_change") => {
                let changes = item.pointer("/changes").cloned().unwrap_or(Value::Null);
                let paths: Vec<&str> =
                    list(item, "/changes").iter().filter_map(|one| text(one, "/path")).collect();
                let input = json!({ "changes": changes });
                self.call(id, "apply_patch", ToolKind::Edit, &paths.join(", "), input, out);
                if done {
                    out.push(result(item, id, None, None));
                }
                if done && text(item, "/status") == Some("completed") {
                    for one in list(item, "/changes") {
                        let change = match text(one, "/kind") {
                            Some("add") => Change::Add,
                            Some("delete") => Change::Delete,
                            _ => Change::Update,
                        };
                        self.tally.changed(
                            Some(id),
                            text(one, "/path").unwrap_or_default(),
                            change,
                            None,
                            out,
                        );
                    }
                }
            }
            Some("mcp_tool_call") => {
                let name = format!(
                    "mcp__{}__{}",
                    text(item, "/server").unwrap_or_default(),
                    text(item, "/tool").unwrap_or_default()
                );
                let input = item.pointer("/arguments").cloned().unwrap_or(Value::Null);
                self.call(id, &name, ToolKind::Other, &name, input, out);
                if done {
                    let output =
                        item.pointer("/result").filter(|result| !result.is_null()).map(Value::to_string);
                    out.push(result(item, id, output.as_deref(), None));
                }
            }
            Some("web_search") => {
                let query = text(item, "/query").unwrap_or_default();
                self.call(id, "web_search", ToolKind::Fetch, query, json!({ "query": query }), out);
                if done {
                    out.push(result(item, id, None, None));
                }
            }
            _ => return false,
        }
        true
    }

    /// Tells the call of an item once.
    fn call(&mut self, id: &str, name: &str, kind: ToolKind, title: &str, input: Value, out: &mut Vec<Body>) {
        self.tally.called();
        if self.called.insert(id.to_owned()) {
            out.push(Body::ToolCall {
                tool_call_id: id.to_owned(),
                name: name.to_owned(),
                kind,
                title: Some(title.to_owned()),
                input,
                parent_tool_call_id: None,
            });
        }
    }
}

fn result(item: &Value, id: &str, output: Option<&str>, exit_code: Option<i64>) -> Body {
    let failed = matches!(text(item, "/status"), Some("failed" | "declined"));
    let error = text(item, "/error/message").or(text(item, "/error"));
    Body::ToolResult {
        tool_call_id: id.to_owned(),
        status: if failed { ToolStatus::Failed } else { ToolStatus::Completed },
        output: output.map(str::to_owned),
        exit_code,
        error: error.map(str::to_owned),
    }
}

fn entry(item: &Value) -> PlanEntry {
    let done = item.pointer("/completed").and_then(Value::as_bool).unwrap_or(false);
    PlanEntry {
        content: text(item, "/text").unwrap_or_default().to_owned(),
        status: if done { "completed" } else { "pending" }.to_owned(),
    }
}

/// The number in `Reconnecting... 2/5 (…)`, the program's word for a retry.
fn attempt(message: &str) -> Option<u64> {
    let rest = message.strip_prefix("Reconnecting")?;
    rest.trim_start_matches(['.', '…', ' ']).split('/').next()?.parse().ok()
}

impl Decoder for CodexDecoder {
    fn line(&mut self, line: &str, out: &mut Vec<Body>) {
        let understood = object(line).is_some_and(|value| self.decode(&value, out));
        if !understood && !line.trim().is_empty() {
            out.push(Body::Raw { line: line.to_owned() });
        }
    }

    fn native_session_id(&self) -> Option<&str> {
        self.tally.session.as_deref()
    }

    fn finish(mut self: Box<Self>, exit: &Exit, stderr_tail: &str, out: &mut Vec<Body>) -> Ending {
        if let (Verdict::None, Some(message)) = (&self.tally.verdict, &self.error) {
            self.tally.verdict = Verdict::Failure(classify(None, message));
        }
        self.tally.conclude(&TRAITS, exit, stderr_tail, out)
    }
}
