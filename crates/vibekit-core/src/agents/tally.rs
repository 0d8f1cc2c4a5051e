//! What every decoder keeps until the end, and the rules by which a turn's end is judged.

use crate::command::Exit;
use crate::event::{AgentError, AgentErrorCode, Body, Finished, Outcome, Usage};

use super::turn::Ending;

/// What the agent itself said about the end of its turn.
#[derive(Debug, Default)]
pub(super) enum Verdict {
    /// Nothing yet. No agent says anything when it is ended by a signal.
    #[default]
    None,
    /// It is done.
    Success,
    /// It gave up.
    Failure(AgentError),
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) verdict: Verdict,
    /// The last whole message.
    pub(super) text: String,
    /// Of this turn.
    pub(super) usage: Usage,
    /// Of the conversation; equal to `usage` for agents that count per turn.
    pub(super) conversation_usage: Usage,
    pub(super) stop_reason: Option<String>,
    pub(super) duration_ms: u64,
    pub(super) turns: Option<u64>,
    pub(super) files: Vec<String>,
}

impl Tally {
    /// Remembers a file once, in the order of first change.
    pub(super) fn changed(&mut self, path: &str) {
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_owned());
        }
    }

    /// Judges the end. Success takes both the agent's word and a clean exit: several agents exit 0 when they were
    /// interrupted or when the model failed, and all of them can die after a last good line.
    pub(super) fn conclude(self, exit: &Exit, stderr_tail: &str, out: &mut Vec<Body>) -> Ending {
        let clean = exit.code == 0 && exit.signal.is_none() && !exit.timed_out;
        let (outcome, error) = match self.verdict {
            Verdict::Success if clean => (Outcome::Success, None),
            _ if exit.timed_out => {
                (Outcome::Timeout, Some(plain(AgentErrorCode::Timeout, "The agent ran into its time limit")))
            }
            _ if exit.stopped.is_some() => {
                (Outcome::Cancelled, Some(plain(AgentErrorCode::Cancelled, "The agent was stopped")))
            }
            Verdict::Failure(error) => (Outcome::Error, Some(error)),
            Verdict::Success | Verdict::None => (Outcome::Error, Some(died(exit, stderr_tail))),
        };
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
            conversation_lost: false,
            refused_flag: None,
            conversation_usage: self.conversation_usage,
        }
    }
}

/// An error without a status.
pub(super) fn plain(code: AgentErrorCode, message: &str) -> AgentError {
    AgentError { code, message: message.to_owned(), http_status: None, retryable: false }
}

/// The process ended without the agent having said how its turn went.
fn died(exit: &Exit, stderr_tail: &str) -> AgentError {
    let how = match exit.signal {
        _ if exit.out_of_memory => "was ended by the memory limit".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("ended with exit code {} before it had finished", exit.code),
    };
    let last = stderr_tail.trim();
    let message =
        if last.is_empty() { format!("The agent {how}") } else { format!("The agent {how}: {last}") };
    plain(AgentErrorCode::Unknown, &message)
}
