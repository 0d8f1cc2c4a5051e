//! What Gemini CLI's `stream-json` lines mean.

use std::collections::HashMap;

use serde_json::Value;

use super::TRAITS;
use crate::agents::failure::classify;
use crate::agents::json::{count, list, object, text};
use crate::agents::pieces::Pieces;
use crate::agents::tally::{Tally, Verdict, warning};
use crate::agents::{Decoder, Ending, tools};
use crate::command::Exit;
use crate::event::{Body, Change, PlanEntry, ToolStatus, Usage};

pub(super) struct GeminiDecoder {
    tally: Tally,
    pieces: Pieces,
    /// Files the running tools are to write, by call.
    writes: HashMap<String, String>,
    /// An error told before the terminal line.
    error: Option<String>,
    failed: Option<String>,
}

impl GeminiDecoder {
    pub(super) fn new(tally: Tally) -> Self {
        Self { tally, pieces: Pieces::default(), writes: HashMap::new(), error: None, failed: None }
    }

    fn decode(&mut self, value: &Value, out: &mut Vec<Body>) -> bool {
        match text(value, "/type") {
            Some("init") => {
                self.tally.session = text(value, "/session_id").map(str::to_owned);
                self.tally.start(text(value, "/model"), None, None, out);
            }
            Some("message") => match text(value, "/role") {
                Some("assistant") => {
                    let piece = text(value, "/content").unwrap_or_default();
                    self.pieces.push(piece, out);
                }
                Some("user") => {}
                _ => return false,
            },
            Some("tool_use") => {
                self.pieces.end(&mut self.tally, out);
                self.tool_call(value, out);
            }
            Some("tool_result") => self.tool_result(value, out),
            Some("error") => {
                let message = text(value, "/message").unwrap_or_default();
                match text(value, "/severity") {
                    Some("error") => self.error = Some(message.to_owned()),
                    _ => out.push(warning("warning", message)),
                }
            }
            Some("result") => {
                self.pieces.end(&mut self.tally, out);
                self.result(value);
            }
            _ => return false,
        }
        true
    }

    fn tool_call(&mut self, value: &Value, out: &mut Vec<Body>) {
        self.tally.called();
        let id = text(value, "/tool_id").unwrap_or_default();
        let name = text(value, "/tool_name").unwrap_or_default();
        let input = value.pointer("/parameters").cloned().unwrap_or(Value::Null);
        let title = ["/command", "/file_path", "/path", "/pattern", "/query"]
            .iter()
            .find_map(|pointer| text(&input, pointer))
            .map(str::to_owned);
        if let ("write_file" | "replace", Some(path)) = (name, text(&input, "/file_path")) {
            self.writes.insert(id.to_owned(), path.to_owned());
        }
        let plan = (name == "write_todos").then(|| Body::Plan {
            entries: list(&input, "/todos")
                .iter()
                .map(|todo| PlanEntry {
                    content: text(todo, "/description").unwrap_or_default().to_owned(),
                    status: text(todo, "/status").unwrap_or("pending").to_owned(),
                })
                .collect(),
        });
        out.push(Body::ToolCall {
            tool_call_id: id.to_owned(),
            name: name.to_owned(),
            kind: tools::kind(name),
            title,
            input,
            parent_tool_call_id: None,
        });
        out.extend(plan);
    }

    fn tool_result(&mut self, value: &Value, out: &mut Vec<Body>) {
        let id = text(value, "/tool_id").unwrap_or_default();
        let failed = text(value, "/status") == Some("error");
        out.push(Body::ToolResult {
            tool_call_id: id.to_owned(),
            status: if failed { ToolStatus::Failed } else { ToolStatus::Completed },
            output: text(value, "/output").map(str::to_owned),
            exit_code: None,
            error: text(value, "/error/message").map(str::to_owned),
        });
        // Whether the file was there before is not told.
        if let (Some(path), false) = (self.writes.remove(id), failed) {
            self.tally.changed(Some(id), &path, Change::Update, None, out);
        }
    }

    fn result(&mut self, value: &Value) {
        let [total, input, output, cached] = ["total_tokens", "input_tokens", "output_tokens", "cached"]
            .map(|name| count(value, &format!("/stats/{name}")));
        let reasoning = total.saturating_sub(input).saturating_sub(output);
        self.tally.usage = Usage {
            input_tokens: input.saturating_sub(cached),
            cached_input_tokens: cached,
            cache_write_tokens: 0,
            output_tokens: output + reasoning,
            reasoning_tokens: reasoning,
            cost_usd: None,
        };
        self.tally.duration_ms = count(value, "/stats/duration_ms");
        if text(value, "/status") == Some("success") {
            self.tally.verdict = Verdict::Success;
            self.tally.stop_reason = Some("end_turn".to_owned());
        } else {
            let message = text(value, "/error/message").map(str::to_owned).or_else(|| self.error.take());
            self.failed = Some(message.unwrap_or_default());
        }
    }
}

/// The program's exit code after an error of the API is the HTTP status, of which the system keeps the low byte.
/// Below 400 - 256 the codes are its own.
fn status(exit: &Exit) -> Option<u16> {
    let code = u16::try_from(exit.code).ok()?;
    (exit.signal.is_none() && (144..=255).contains(&code)).then_some(code + 256)
}

impl Decoder for GeminiDecoder {
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
        if let Some(message) = self.failed.take().or_else(|| self.error.take()) {
            self.tally.verdict = Verdict::Failure(classify(status(exit), &message));
        }
        let mut ending = self.tally.conclude(&TRAITS, exit, stderr_tail, out);
        // The program's own code for a turn limit; its message does not say so.
        if let (Some(53), Some(error)) = (ending.finished.exit_code, &mut ending.finished.error) {
            error.code = crate::event::AgentErrorCode::MaxTurns;
        }
        ending
    }
}
