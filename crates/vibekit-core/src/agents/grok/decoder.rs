//! What the `streaming-json` lines of xAI's Grok mean, and the chat messages the older program prints at its end.

use serde_json::Value;

use super::TRAITS;
use crate::agents::failure::classify;
use crate::agents::json::{count, list, object, text};
use crate::agents::pieces::Pieces;
use crate::agents::tally::{Tally, Verdict, warning};
use crate::agents::{Decoder, Ending, tools};
use crate::command::Exit;
use crate::event::{Body, Change, PlanEntry, ToolStatus, Usage};

pub(super) struct GrokDecoder {
    tally: Tally,
    pieces: Pieces,
    /// The older program is running, which says nothing about its end.
    older: bool,
    limited: bool,
}

impl GrokDecoder {
    pub(super) fn new(tally: Tally, older: bool) -> Self {
        Self { tally, pieces: Pieces::default(), older, limited: false }
    }

    fn decode(&mut self, value: &Value, out: &mut Vec<Body>) -> bool {
        if self.older {
            return self.chat(value, out);
        }
        let kind = text(value, "/type");
        if !matches!(kind, None | Some("error")) {
            self.tally.start(None, None, None, out);
        }
        match kind {
            Some("available_commands" | "usage" | "current_mode_update") => {}
            Some("text") => {
                let piece = text(value, "/data").unwrap_or_default();
                self.pieces.push(piece, out);
            }
            Some("thought") => out.push(Body::ThoughtDelta {
                message_id: self.pieces.id(),
                text: text(value, "/data").unwrap_or_default().to_owned(),
            }),
            Some("tool_call") => {
                self.pieces.end(&mut self.tally, out);
                self.tool_call(value, out);
            }
            Some("tool_call_update") => self.tool_update(value, out),
            Some("plan") => out.push(Body::Plan {
                entries: list(value, "/entries")
                    .iter()
                    .map(|entry| PlanEntry {
                        content: text(entry, "/content").unwrap_or_default().to_owned(),
                        status: text(entry, "/status").unwrap_or("pending").to_owned(),
                    })
                    .collect(),
            }),
            Some("max_turns_reached") => {
                self.limited = true;
                out.push(warning("max_turns", "The agent reached its limit of turns"));
            }
            Some(other) if other.starts_with("auto_compact") => out.push(warning("compaction", other)),
            Some("end") => {
                self.pieces.end(&mut self.tally, out);
                self.end(value);
            }
            Some("error") => {
                self.pieces.end(&mut self.tally, out);
                let message = text(value, "/message").unwrap_or_default();
                self.tally.verdict = Verdict::Failure(classify(None, message));
            }
            _ => return false,
        }
        true
    }

    fn tool_call(&mut self, value: &Value, out: &mut Vec<Body>) {
        self.tally.called();
        let name = text(value, "/toolName").or(text(value, "/title")).unwrap_or_default();
        out.push(Body::ToolCall {
            tool_call_id: text(value, "/toolCallId").unwrap_or_default().to_owned(),
            name: name.to_owned(),
            kind: tools::kind(name),
            title: text(value, "/title").map(str::to_owned),
            input: value.pointer("/rawInput").cloned().unwrap_or(Value::Null),
            parent_tool_call_id: None,
        });
    }

    fn tool_update(&mut self, value: &Value, out: &mut Vec<Body>) {
        let id = text(value, "/toolCallId").unwrap_or_default();
        let failed = match text(value, "/status") {
            Some("completed") => false,
            Some("failed") => true,
            // On its way.
            _ => return,
        };
        let output: Vec<&str> =
            list(value, "/content").iter().filter_map(|content| text(content, "/content/text")).collect();
        let output = (!output.is_empty()).then(|| output.join("\n"));
        out.push(Body::ToolResult {
            tool_call_id: id.to_owned(),
            status: if failed { ToolStatus::Failed } else { ToolStatus::Completed },
            exit_code: value.pointer("/rawOutput/exit_code").and_then(Value::as_i64),
            error: output.clone().filter(|_| failed),
            output,
        });
        for content in list(value, "/content") {
            if let (false, Some("diff"), Some(path)) =
                (failed, text(content, "/type"), text(content, "/path"))
            {
                let old = text(content, "/oldText").filter(|old| !old.is_empty());
                let change = if old.is_some() { Change::Update } else { Change::Add };
                self.tally.changed(Some(id), path, change, None, out);
            }
        }
    }

    fn end(&mut self, value: &Value) {
        let tally = &mut self.tally;
        tally.session = text(value, "/sessionId").map(str::to_owned).or(tally.session.take());
        tally.turns = value.pointer("/num_turns").and_then(Value::as_u64);
        tally.usage = Usage {
            input_tokens: count(value, "/usage/input_tokens"),
            cached_input_tokens: count(value, "/usage/cache_read_input_tokens"),
            cache_write_tokens: count(value, "/usage/cache_creation_input_tokens"),
            output_tokens: count(value, "/usage/output_tokens"),
            reasoning_tokens: count(value, "/usage/reasoning_tokens"),
            cost_usd: value.pointer("/total_cost_usd").and_then(Value::as_f64),
        };
        let reason = text(value, "/stopReason").unwrap_or_default();
        tally.stop_reason = Some(reason.to_owned());
        tally.verdict = match reason {
            _ if self.limited => Verdict::Failure(classify(None, "The agent reached its max turns")),
            "cancelled" => Verdict::Failure(classify(None, "The agent cancelled its turn")),
            _ => Verdict::Success,
        };
    }

    /// One chat message of the older program, which words every failure as an answer.
    fn chat(&mut self, value: &Value, out: &mut Vec<Body>) -> bool {
        let content = text(value, "/content").unwrap_or_default();
        match text(value, "/role") {
            Some("user") => self.tally.start(None, None, None, out),
            Some("assistant") => {
                if !content.is_empty() {
                    self.pieces.whole(content, &mut self.tally, out);
                }
                for call in list(value, "/tool_calls") {
                    self.tally.called();
                    let name = text(call, "/function/name").unwrap_or_default();
                    let arguments = text(call, "/function/arguments").unwrap_or_default();
                    out.push(Body::ToolCall {
                        tool_call_id: text(call, "/id").unwrap_or_default().to_owned(),
                        name: name.to_owned(),
                        kind: tools::kind(name),
                        title: None,
                        input: serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments)),
                        parent_tool_call_id: None,
                    });
                }
                self.tally.verdict = match content.strip_prefix("Sorry, I encountered an error: ") {
                    Some(message) => Verdict::Failure(classify(None, message)),
                    None => Verdict::Success,
                };
            }
            Some("tool") => out.push(Body::ToolResult {
                tool_call_id: text(value, "/tool_call_id").unwrap_or_default().to_owned(),
                status: ToolStatus::Completed,
                output: Some(content.to_owned()),
                exit_code: None,
                error: None,
            }),
            _ => return false,
        }
        true
    }
}

impl Decoder for GrokDecoder {
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
        self.pieces.end(&mut self.tally, out);
        self.tally.conclude(&TRAITS, exit, stderr_tail, out)
    }
}
