//! What every decoder keeps until the end, and the rules by which a turn's end is judged.

use crate::command::Exit;
use crate::event::{AgentError, AgentErrorCode, Body, Change, Finished, Outcome, Severity, Usage};

use super::failure::{classify, refused_flag};
use super::turn::Ending;
use super::{AgentConfig, TurnRequest};

/// What the agent itself said about the end of its turn.
#[derive(Debug, Default)]
pub(super) enum Verdict {
    /// Nothing yet. No agent says anything when a signal ends it.
    #[default]
    None,
    /// It is done.
    Success,
    /// It gave up.
    Failure(AgentError),
}

/// What has been seen so far, and what was asked.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) resumed: bool,
    pub(super) model: Option<String>,
    pub(super) cwd: String,
    pub(super) usage_before: Usage,
    /// The agent's own id of the conversation.
    pub(super) session: Option<String>,
    pub(super) verdict: Verdict,
    /// The last whole message.
    pub(super) text: String,
    /// Of this turn.
    pub(super) usage: Usage,
    /// Of the conversation; `None` is the same as before plus this turn's.
    pub(super) conversation_usage: Option<Usage>,
    pub(super) stop_reason: Option<String>,
    pub(super) duration_ms: u64,
    pub(super) turns: Option<u64>,
    files: Vec<String>,
    started: bool,
    /// Something came from the model, so running the turn again would repeat work.
    worked: bool,
}

impl Tally {
    pub(super) fn new(config: &AgentConfig, request: &TurnRequest<'_>) -> Self {
        Self {
            resumed: request.conversation.is_some(),
            model: config.model().map(str::to_owned),
            cwd: request.working_directory.trim_end_matches('/').to_owned(),
            usage_before: request.usage_before.clone(),
            session: None,
            verdict: Verdict::None,
            text: String::new(),
            usage: Usage::default(),
            conversation_usage: None,
            stop_reason: None,
            duration_ms: 0,
            turns: None,
            files: Vec::new(),
            started: false,
            worked: false,
        }
    }

    /// The agent is up. Told once.
    pub(super) fn start(
        &mut self,
        model: Option<&str>,
        cwd: Option<&str>,
        version: Option<&str>,
        out: &mut Vec<Body>,
    ) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        out.push(Body::SessionStarted {
            model: model.map(str::to_owned).or_else(|| self.model.clone()),
            cwd: Some(cwd.unwrap_or(&self.cwd).to_owned()),
            agent_version: version.map(str::to_owned),
            resumed: self.resumed,
        });
    }

    /// A whole message of the model's.
    pub(super) fn message(&mut self, id: &str, text: &str, out: &mut Vec<Body>) {
        self.worked = true;
        text.clone_into(&mut self.text);
        out.push(Body::Text { message_id: id.to_owned(), text: text.to_owned() });
    }

    /// A tool was called.
    pub(super) const fn called(&mut self) {
        self.worked = true;
    }

    /// A file changed. `path` is made relative to the working directory where it lies in it.
    pub(super) fn changed(
        &mut self,
        tool: Option<&str>,
        path: &str,
        change: Change,
        diff: Option<String>,
        out: &mut Vec<Body>,
    ) {
        let path =
            path.strip_prefix(&self.cwd).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path).to_owned();
        if !self.files.contains(&path) {
            self.files.push(path.clone());
        }
        out.push(Body::FileChange { tool_call_id: tool.map(str::to_owned), path, change, diff });
    }

    /// Judges the end. Success takes both the agent's word and a clean exit: several agents exit 0 when they were
    /// interrupted or when the model failed, and all of them can die after a last good line.
    pub(super) fn conclude(
        self,
        traits: &Traits,
        exit: &Exit,
        stderr_tail: &str,
        out: &mut Vec<Body>,
    ) -> Ending {
        let clean = exit.code == 0 && exit.signal.is_none() && !exit.timed_out;
        let idle = !self.worked && !clean && !exit.timed_out && exit.stopped.is_none();
        let (outcome, error) = match self.verdict {
            Verdict::Success if clean => (Outcome::Success, None),
            _ if exit.timed_out => {
                let error = own(AgentErrorCode::Timeout, "The agent ran into its time limit");
                (Outcome::Timeout, Some(error))
            }
            _ if exit.stopped.is_some() => {
                (Outcome::Cancelled, Some(own(AgentErrorCode::Cancelled, "The agent was stopped")))
            }
            Verdict::Failure(error) => (Outcome::Error, Some(error)),
            Verdict::Success | Verdict::None => (Outcome::Error, Some(died(exit, stderr_tail))),
        };
        let told = |text: &str| error.as_ref().is_some_and(|error| error.message.contains(text));
        let conversation_lost =
            idle && self.resumed && traits.lost.iter().any(|text| stderr_tail.contains(text) || told(text));
        let refused_flag =
            refused_flag(stderr_tail).filter(|flag| idle && traits.optional_flags.contains(&flag.as_str()));

        if self.usage.input_tokens + self.usage.cached_input_tokens + self.usage.output_tokens > 0 {
            out.push(Body::Usage(self.usage.clone()));
        }
        if let (Outcome::Error, Some(error)) = (outcome, &error) {
            out.push(Body::Error {
                code: error.code,
                message: error.message.clone(),
                http_status: error.http_status,
                retryable: error.retryable,
                fatal: true,
            });
        }
        Ending {
            conversation_lost,
            refused_flag,
            conversation_usage: self
                .conversation_usage
                .unwrap_or_else(|| sum(&self.usage_before, &self.usage)),
            finished: Finished {
                outcome,
                stop_reason: match outcome {
                    Outcome::Cancelled => Some("cancelled".to_owned()),
                    _ => self.stop_reason,
                },
                exit_code: Some(exit.code),
                signal: exit.signal,
                result_text: self.text,
                usage: self.usage,
                duration_ms: self.duration_ms,
                turns: self.turns,
                error,
                files_changed: self.files,
            },
        }
    }
}

/// How an agent's program says that it did nothing.
#[derive(Debug)]
pub(super) struct Traits {
    /// Flags of ours a turn can do without.
    pub(super) optional_flags: &'static [&'static str],
    /// What it says about a conversation it does not know.
    pub(super) lost: &'static [&'static str],
}

/// A notice of the kind most agents have.
pub(super) fn warning(code: &str, message: &str) -> Body {
    Body::Notice {
        severity: Severity::Warning,
        code: code.to_owned(),
        message: message.to_owned(),
        attempt: None,
        delay_ms: None,
    }
}

/// `a` plus `b`, as far as numbers go.
pub(super) fn sum(a: &Usage, b: &Usage) -> Usage {
    combine(a, b, u64::saturating_add, |a, b| a + b)
}

/// What is new in `now`, a running total whose last value was `before`. An agent that started counting anew has a
/// total below the one before, which is then all new.
pub(super) fn since(before: &Usage, now: &Usage) -> Usage {
    let anew = now.input_tokens + now.cached_input_tokens + now.output_tokens
        < before.input_tokens + before.cached_input_tokens + before.output_tokens;
    if anew {
        return now.clone();
    }
    combine(now, before, u64::saturating_sub, |now, before| (now - before).max(0.0))
}

fn combine(a: &Usage, b: &Usage, count: fn(u64, u64) -> u64, cost: fn(f64, f64) -> f64) -> Usage {
    Usage {
        input_tokens: count(a.input_tokens, b.input_tokens),
        cached_input_tokens: count(a.cached_input_tokens, b.cached_input_tokens),
        cache_write_tokens: count(a.cache_write_tokens, b.cache_write_tokens),
        output_tokens: count(a.output_tokens, b.output_tokens),
        reasoning_tokens: count(a.reasoning_tokens, b.reasoning_tokens),
        cost_usd: match (a.cost_usd, b.cost_usd) {
            (Some(a), Some(b)) => Some(cost(a, b)),
            (a, b) => a.or(b),
        },
    }
}

fn own(code: AgentErrorCode, message: &str) -> AgentError {
    AgentError {
        code,
        message: message.to_owned(),
        http_status: None,
        retryable: super::failure::retryable(code),
    }
}

/// The process ended without the agent having said how its turn went.
fn died(exit: &Exit, stderr_tail: &str) -> AgentError {
    let how = match exit.signal {
        _ if exit.out_of_memory => "was ended by the memory limit".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("ended with exit code {} before it had finished", exit.code),
    };
    let last = without_colours(stderr_tail);
    let last = last.trim();
    let code = match last {
        "" => AgentErrorCode::Unknown,
        text => classify(None, text).code,
    };
    let message =
        if last.is_empty() { format!("The agent {how}") } else { format!("The agent {how}: {last}") };
    AgentError { message, ..own(code, "") }
}

/// The text without the escape sequences (`ESC [ … m`) that colour it on a terminal.
fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| {
        let rest = piece.trim_start_matches(|character: char| character.is_ascii_digit() || character == ';');
        plain + rest.strip_prefix('m').unwrap_or(rest)
    })
}
