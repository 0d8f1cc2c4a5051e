//! What Claude Code's `stream-json` lines mean.

use serde_json::{Map, Value};

use super::TRAITS;
use crate::agents::failure::classify;
use crate::agents::json::{count, list, object, status, text};
use crate::agents::tally::{Tally, Verdict, warning};
use crate::agents::{Decoder, Ending, tools};
use crate::command::Exit;
use crate::event::{AgentErrorCode, Body, Change, PlanEntry, Severity, ToolStatus, Usage};

pub(super) struct ClaudeDecoder {
    tally: Tally,
    /// The message whose pieces are arriving, and whether its reasoning was told in pieces.
    streaming: String,
    thought: bool,
    /// The class the program gave an API error, told before the terminal line.
    error_class: Option<String>,
    tasks: Vec<PlanEntry>,
}

impl ClaudeDecoder {
    pub(super) const fn new(tally: Tally) -> Self {
        Self { tally, streaming: String::new(), thought: false, error_class: None, tasks: Vec::new() }
    }

    /// Gives false for a line that is not understood.
    fn decode(&mut self, value: &Value, out: &mut Vec<Body>) -> bool {
        if let Some(id) = text(value, "/session_id") {
            self.tally.session.get_or_insert_with(|| id.to_owned());
        }
        match text(value, "/type") {
            Some("system") => return self.system(value, out),
            Some("stream_event") => self.piece(value, out),
            Some("assistant") => self.assistant(value, out),
            Some("user") => self.tool_results(value, out),
            Some("result") => self.result(value),
            Some("rate_limit_event") => {
                if let Some(state @ ("allowed_warning" | "rejected")) = text(value, "/rate_limit_info/status")
                {
                    out.push(warning("rate_limit", &format!("The rate limit says {state}")));
                }
            }
            _ => return false,
        }
        true
    }

    fn system(&mut self, value: &Value, out: &mut Vec<Body>) -> bool {
        match text(value, "/subtype") {
            Some("init") => {
                let version = text(value, "/claude_code_version");
                self.tally.start(text(value, "/model"), text(value, "/cwd"), version, out);
            }
            Some("api_retry") => out.push(Body::Notice {
                severity: Severity::Warning,
                code: "retry".to_owned(),
                message: format!(
                    "The model did not answer ({}), trying again",
                    text(value, "/error").unwrap_or("unknown")
                ),
                attempt: value.pointer("/attempt").and_then(Value::as_u64),
                delay_ms: value.pointer("/retry_delay_ms").and_then(Value::as_f64).map(|delay| delay as u64),
            }),
            Some("permission_denied") => {
                let message =
                    text(value, "/message").or(text(value, "/tool_name")).unwrap_or("A tool was denied");
                out.push(warning("permission_denied", message));
            }
            Some("compact_boundary") => out.push(Body::Notice {
                severity: Severity::Info,
                code: "compaction".to_owned(),
                message: "The conversation was shortened".to_owned(),
                attempt: None,
                delay_ms: None,
            }),
            // Progress that says nothing the other lines do not.
            Some(
                "status" | "thinking_tokens" | "task_started" | "task_progress" | "task_notification"
                | "ui_invalidate",
            ) => {}
            _ => return false,
        }
        true
    }

    /// A piece of the answer. Those of helpers the agent started are not part of it.
    fn piece(&mut self, value: &Value, out: &mut Vec<Body>) {
        if text(value, "/parent_tool_use_id").is_some() {
            return;
        }
        match text(value, "/event/type") {
            Some("message_start") => {
                text(value, "/event/message/id").unwrap_or_default().clone_into(&mut self.streaming);
                self.thought = false;
            }
            Some("content_block_delta") => {
                let message_id = self.streaming.clone();
                if let Some(piece) = text(value, "/event/delta/text") {
                    out.push(Body::TextDelta { message_id, text: piece.to_owned() });
                } else if let Some(piece) = text(value, "/event/delta/thinking") {
                    self.thought = true;
                    out.push(Body::ThoughtDelta { message_id, text: piece.to_owned() });
                }
            }
            _ => {}
        }
    }

    fn assistant(&mut self, value: &Value, out: &mut Vec<Body>) {
        // The program words its own failures as a message of the model's; the terminal line tells them again.
        if let Some(class) = text(value, "/error") {
            self.error_class = Some(class.to_owned());
            return;
        }
        let parent = text(value, "/parent_tool_use_id");
        let id = text(value, "/message/id").unwrap_or_default();
        for block in list(value, "/message/content") {
            match (text(block, "/type"), parent) {
                (Some("text"), None) => self.tally.message(id, text(block, "/text").unwrap_or_default(), out),
                (Some("thinking"), None) if !(self.thought && self.streaming == id) => {
                    out.push(Body::ThoughtDelta {
                        message_id: id.to_owned(),
                        text: text(block, "/thinking").unwrap_or_default().to_owned(),
                    })
                }
                (Some("tool_use"), _) => self.tool_call(block, parent, out),
                _ => {}
            }
        }
    }

    fn tool_call(&mut self, block: &Value, parent: Option<&str>, out: &mut Vec<Body>) {
        self.tally.called();
        let name = text(block, "/name").unwrap_or_default();
        let input = block.pointer("/input").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let title = ["/command", "/file_path", "/pattern", "/url", "/query", "/description"]
            .iter()
            .find_map(|pointer| text(&input, pointer))
            .map(str::to_owned);
        let planned = self.plan(name, &input);
        out.push(Body::ToolCall {
            tool_call_id: text(block, "/id").unwrap_or_default().to_owned(),
            name: name.to_owned(),
            kind: tools::kind(name),
            title,
            input,
            parent_tool_call_id: parent.map(str::to_owned),
        });
        if planned {
            out.push(Body::Plan { entries: self.tasks.clone() });
        }
    }

    /// Follows the task list. True when it changed.
    fn plan(&mut self, name: &str, input: &Value) -> bool {
        let entry = |content: Option<&str>, status: Option<&str>| PlanEntry {
            content: content.unwrap_or_default().to_owned(),
            status: status.unwrap_or("pending").to_owned(),
        };
        match name {
            "TaskCreate" => self.tasks.push(entry(text(input, "/subject"), None)),
            "TaskUpdate" => {
                let number = text(input, "/taskId").and_then(|id| id.parse::<usize>().ok());
                let task = number.and_then(|number| self.tasks.get_mut(number.checked_sub(1)?));
                let (Some(task), Some(status)) = (task, text(input, "/status")) else { return false };
                status.clone_into(&mut task.status);
            }
            // Versions before 2.1.
            "TodoWrite" => {
                self.tasks = list(input, "/todos")
                    .iter()
                    .map(|todo| entry(text(todo, "/content"), text(todo, "/status")))
                    .collect();
            }
            _ => return false,
        }
        true
    }

    fn tool_results(&mut self, value: &Value, out: &mut Vec<Body>) {
        for block in list(value, "/message/content") {
            if text(block, "/type") != Some("tool_result") {
                continue;
            }
            let id = text(block, "/tool_use_id").unwrap_or_default();
            let failed = block.pointer("/is_error").and_then(Value::as_bool).unwrap_or(false);
            let output = match block.pointer("/content") {
                Some(Value::String(output)) => output.clone(),
                Some(Value::Array(blocks)) => {
                    blocks.iter().filter_map(|block| text(block, "/text")).collect::<Vec<_>>().join("\n")
                }
                _ => String::new(),
            };
            // A command's code is only told in words, and only when it is not 0.
            let exit_code = output
                .strip_prefix("Exit code ")
                .filter(|_| failed)
                .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            out.push(Body::ToolResult {
                tool_call_id: id.to_owned(),
                status: if failed { ToolStatus::Failed } else { ToolStatus::Completed },
                exit_code,
                error: failed.then(|| output.clone()),
                output: Some(output),
            });
            if let (false, Some(path)) = (failed, text(value, "/tool_use_result/filePath")) {
                let patch = list(value, "/tool_use_result/structuredPatch");
                let created = text(value, "/tool_use_result/type") == Some("create");
                let written = created || !patch.is_empty();
                if written {
                    let change = if created { Change::Add } else { Change::Update };
                    self.tally.changed(Some(id), path, change, unified(patch), out);
                }
            }
        }
    }

    fn result(&mut self, value: &Value) {
        let tally = &mut self.tally;
        tally.duration_ms = count(value, "/duration_ms");
        tally.turns = value.pointer("/num_turns").and_then(Value::as_u64);
        tally.stop_reason = text(value, "/stop_reason").map(str::to_owned);
        // The tokens are this run's, the cost is the conversation's.
        let cost = value.pointer("/total_cost_usd").and_then(Value::as_f64);
        tally.usage = Usage {
            input_tokens: count(value, "/usage/input_tokens"),
            cached_input_tokens: count(value, "/usage/cache_read_input_tokens"),
            cache_write_tokens: count(value, "/usage/cache_creation_input_tokens"),
            output_tokens: count(value, "/usage/output_tokens"),
            reasoning_tokens: count(value, "/usage/output_tokens_details/thinking_tokens"),
            cost_usd: cost,
        };
        let failed = value.pointer("/is_error").and_then(Value::as_bool).unwrap_or(false);
        let answer = text(value, "/result").unwrap_or_default();
        if !failed && text(value, "/subtype") == Some("success") {
            if !answer.is_empty() {
                answer.clone_into(&mut tally.text);
            }
            tally.verdict = Verdict::Success;
            return;
        }
        let errors: Vec<&str> = list(value, "/errors").iter().filter_map(Value::as_str).collect();
        let message = match (answer, text(value, "/subtype")) {
            ("", Some(subtype)) if errors.is_empty() => subtype.to_owned(),
            ("", _) => errors.join("\n"),
            (answer, _) => answer.to_owned(),
        };
        let mut error = classify(status(value, "/api_error_status"), &message);
        let class = text(value, "/subtype").filter(|subtype| subtype.starts_with("error_max"));
        if let Some(code) = class.or(self.error_class.as_deref()).and_then(by_class) {
            error.code = code;
            error.retryable = crate::agents::failure::retryable(code);
        }
        tally.verdict = Verdict::Failure(error);
    }
}

/// The program's own classes of errors (`SDKAssistantMessageError` of its SDK, and the subtypes of its last line).
fn by_class(class: &str) -> Option<AgentErrorCode> {
    Some(match class {
        "authentication_failed" | "oauth_org_not_allowed" => AgentErrorCode::Auth,
        "billing_error" | "error_max_budget_usd" => AgentErrorCode::Budget,
        "rate_limit" => AgentErrorCode::RateLimit,
        "overloaded" => AgentErrorCode::Overloaded,
        "model_not_found" => AgentErrorCode::ModelNotFound,
        "server_error" => AgentErrorCode::Server,
        "error_max_turns" => AgentErrorCode::MaxTurns,
        _ => return None,
    })
}

/// A unified diff of the program's hunks.
fn unified(patch: &[Value]) -> Option<String> {
    let hunk = |hunk: &Value| {
        let place = |side: &str| {
            let at = |what: &str| count(hunk, &format!("/{side}{what}"));
            format!("{},{}", at("Start"), at("Lines"))
        };
        let lines: String =
            list(hunk, "/lines").iter().filter_map(Value::as_str).map(|line| format!("{line}\n")).collect();
        format!("@@ -{} +{} @@\n{lines}", place("old"), place("new"))
    };
    (!patch.is_empty()).then(|| patch.iter().map(hunk).collect())
}

impl Decoder for ClaudeDecoder {
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
        if let Some(total) = self.tally.usage.cost_usd {
            let cost = |cost_usd| Usage { cost_usd: Some(cost_usd), ..Usage::default() };
            let before = self.tally.usage_before.cost_usd.unwrap_or(0.0);
            let new = if total < before { total } else { total - before };
            self.tally.usage.cost_usd = Some(new);
            let tokens = crate::agents::tally::sum(&self.tally.usage_before, &self.tally.usage);
            self.tally.conversation_usage = Some(Usage { cost_usd: cost(total).cost_usd, ..tokens });
        }
        self.tally.conclude(&TRAITS, exit, stderr_tail, out)
    }
}
