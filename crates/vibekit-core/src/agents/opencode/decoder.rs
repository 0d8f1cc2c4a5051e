//! What the lines of `opencode run --format json` mean. There is no first and no last line: the first one of all
//! carries the id, and the end is a step that finished without asking for a tool, followed by a clean exit.

use serde_json::Value;

use super::TRAITS;
use crate::agents::failure::classify;
use crate::agents::json::{count, list, object, status, text};
use crate::agents::tally::{Tally, Verdict, sum};
use crate::agents::{Decoder, Ending, tools};
use crate::command::Exit;
use crate::event::{Body, Change, PlanEntry, ToolStatus, Usage};

pub(super) struct OpencodeDecoder {
    tally: Tally,
    failed: bool,
}

impl OpencodeDecoder {
    pub(super) const fn new(tally: Tally) -> Self {
        Self { tally, failed: false }
    }

    fn decode(&mut self, value: &Value, out: &mut Vec<Body>) -> bool {
        let kind = text(value, "/type");
        if !matches!(kind, Some("step_start" | "text" | "reasoning" | "tool_use" | "step_finish" | "error")) {
            return false;
        }
        if let Some(id) = text(value, "/sessionID") {
            self.tally.session.get_or_insert_with(|| id.to_owned());
            self.tally.start(None, None, None, out);
        }
        let id = text(value, "/part/messageID").unwrap_or_default();
        match kind {
            Some("text") => self.tally.message(id, text(value, "/part/text").unwrap_or_default(), out),
            Some("reasoning") => out.push(Body::ThoughtDelta {
                message_id: id.to_owned(),
                text: text(value, "/part/text").unwrap_or_default().to_owned(),
            }),
            Some("tool_use") => self.tool(value, out),
            Some("step_finish") => self.step_finished(value),
            Some("error") => {
                let message = text(value, "/error/data/message")
                    .or(text(value, "/error/message"))
                    .or(text(value, "/error/name"))
                    .unwrap_or_default();
                let named = format!("{}: {message}", text(value, "/error/name").unwrap_or_default());
                let mut error = classify(status(value, "/error/data/statusCode"), &named);
                message.clone_into(&mut error.message);
                self.tally.verdict = Verdict::Failure(error);
                self.failed = true;
            }
            _ => {}
        }
        true
    }

    fn step_finished(&mut self, value: &Value) {
        let tokens = |name: &str| count(value, &format!("/part/tokens/{name}"));
        let step = Usage {
            input_tokens: tokens("input"),
            cached_input_tokens: tokens("cache/read"),
            cache_write_tokens: tokens("cache/write"),
            // The other agents count reasoning as output too.
            output_tokens: tokens("output") + tokens("reasoning"),
            reasoning_tokens: tokens("reasoning"),
            cost_usd: value.pointer("/part/cost").and_then(Value::as_f64),
        };
        self.tally.usage = sum(&self.tally.usage, &step);
        self.tally.turns = Some(self.tally.turns.unwrap_or(0) + 1);
        let reason = text(value, "/part/reason");
        if self.failed || reason == Some("tool-calls") {
            return;
        }
        self.tally.verdict = Verdict::Success;
        self.tally.stop_reason = Some(
            match reason {
                Some("stop") | None => "end_turn",
                Some("length") => "max_tokens",
                Some("content-filter") => "refusal",
                Some(other) => other,
            }
            .to_owned(),
        );
    }

    /// A tool is told once, when it has ended.
    fn tool(&mut self, value: &Value, out: &mut Vec<Body>) {
        self.tally.called();
        let id = text(value, "/part/callID").unwrap_or_default();
        let input = value.pointer("/part/state/input").cloned().unwrap_or(Value::Null);
        // A call of a tool that is not there is told as a successful one of a tool called `invalid`.
        let (name, invalid) = match text(value, "/part/tool").unwrap_or_default() {
            "invalid" => (text(&input, "/tool").unwrap_or("invalid").to_owned(), true),
            name => (name.to_owned(), false),
        };
        let name = name.as_str();
        let failed = invalid || text(value, "/part/state/status") == Some("error");
        let path = text(value, "/part/state/metadata/filepath").or(text(&input, "/filePath"));
        let plan = (name == "todowrite").then(|| Body::Plan {
            entries: list(&input, "/todos")
                .iter()
                .map(|todo| PlanEntry {
                    content: text(todo, "/content").unwrap_or_default().to_owned(),
                    status: text(todo, "/status").unwrap_or("pending").to_owned(),
                })
                .collect(),
        });
        let path = path.map(str::to_owned);
        let error = text(value, "/part/state/error")
            .or(text(&input, "/error").filter(|_| invalid))
            .map(str::to_owned);
        out.push(Body::ToolCall {
            tool_call_id: id.to_owned(),
            name: name.to_owned(),
            kind: tools::kind(name),
            title: text(value, "/part/state/title").map(str::to_owned),
            input,
            parent_tool_call_id: None,
        });
        out.extend(plan);
        out.push(Body::ToolResult {
            tool_call_id: id.to_owned(),
            status: if failed { ToolStatus::Failed } else { ToolStatus::Completed },
            output: text(value, "/part/state/output").map(str::to_owned),
            exit_code: value.pointer("/part/state/metadata/exit").and_then(Value::as_i64),
            error,
        });
        if failed {
            return;
        }
        let diff = text(value, "/part/state/metadata/diff").map(str::to_owned);
        let files = list(value, "/part/state/metadata/files");
        for file in files {
            let change = match text(file, "/type") {
                Some("add") => Change::Add,
                Some("delete") => Change::Delete,
                _ => Change::Update,
            };
            let path = text(file, "/filePath").or(text(file, "/relativePath")).unwrap_or_default();
            self.tally.changed(Some(id), path, change, text(file, "/diff").map(str::to_owned), out);
        }
        if let (true, "write" | "edit" | "multiedit" | "patch", Some(path)) = (files.is_empty(), name, path) {
            let existed = value.pointer("/part/state/metadata/exists").and_then(Value::as_bool);
            let change = if existed == Some(false) { Change::Add } else { Change::Update };
            self.tally.changed(Some(id), &path, change, diff, out);
        }
    }
}

impl Decoder for OpencodeDecoder {
    fn line(&mut self, line: &str, out: &mut Vec<Body>) {
        let understood = object(line).is_some_and(|value| self.decode(&value, out));
        if !understood && !line.trim().is_empty() {
            out.push(Body::Raw { line: line.to_owned() });
        }
    }

    fn native_session_id(&self) -> Option<&str> {
        self.tally.session.as_deref()
    }

    fn finish(self: Box<Self>, exit: &Exit, stderr_tail: &str, out: &mut Vec<Body>) -> Ending {
        self.tally.conclude(&TRAITS, exit, stderr_tail, out)
    }
}
