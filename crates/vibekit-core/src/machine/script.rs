//! The beginning and the end of a call, and its command or agent (contract, 3.1 to 3.4). What is between is in `steps`.

use serde_json::{Map, Value};

use super::flags::FLAG_REFUSED;
use super::output::Feed;
use super::slot::Phase;
use super::steps::Stage;
use super::work::{Request, Scripted, Suspect, Why, Work, route};
use super::{Alarm, Kind, Machine, aborted, killed, limits, timed_out};
use crate::agents::{self, TurnRequest};
use crate::command::{Command, Exit, Program, Stdin};
use crate::event::{AgentError, AgentErrorCode, Body, Finished, Outcome, Severity};
use crate::protocol::{Emission, Mode, OpId, Report, RunOptions, Ticket};
use crate::session::Conversation;
use crate::text::{base64, push_literal, quote};
use crate::turn::{Envelope, Turn};
use crate::{Action, Code, Error, Result, git};

impl Machine {
    /// The call has its sandbox.
    pub(super) fn start_work(&mut self, op: OpId) {
        if let Err(error) = self.check_start(op) {
            return self.fail(op, error);
        }
        let Some((work, _)) = self.work(op) else { return };
        if matches!(work.request, Request::Scripted(_)) {
            return self.start_script(op);
        }
        if let Some(branch) = work.branch().map(str::to_owned) {
            self.branch = Some(branch);
            self.worktree = None;
        }
        let Some((work, ticket)) = self.work(op) else { return };
        let (agent_level, messages) = (work.voice.agent_level, work.voice.messages);
        let Some(slot) = self.slots.get(&ticket) else { return };
        let fresh = self.configured.is_none() && slot.id.is_some();
        let named = match (&self.configured, &slot.id) {
            (None, Some(id)) => Some(id),
            (Some(configured), _) if agent_level => Some(configured),
            _ => None,
        };
        if let Some(id) = named {
            let text = start_message(id);
            self.emit(op, messages, text);
        }
        if !self.native() && (fresh || !agent_level) {
            self.mkdir(op);
        } else {
            self.prepare(op);
        }
    }

    fn check_start(&self, op: OpId) -> Result<()> {
        let Some((work, ticket)) = self.work(op) else { return Ok(()) };
        if self.native() && self.slots.get(&ticket).is_some_and(|slot| slot.paused) {
            return Err(
                Error::new(Code::SandboxPaused, "The sandbox is paused").with_hint("Call resume() first.")
            );
        }
        work.branch().map_or(Ok(()), git::check_branch)?;
        if let (Request::Execute(execute), false) = (&work.request, self.native()) {
            let options = [
                (!execute.env.is_empty(), "env"),
                (execute.stdin.is_some(), "stdin"),
                (execute.read_only, "readOnly"),
            ];
            for (given, field) in options {
                if given {
                    return Err(Error::new(
                        Code::Unsupported,
                        format!("{field} is not supported by this sandbox provider"),
                    )
                    .with_field(field)
                    .with_hint("Put it into the command, or use environment: { local: {} }."));
                }
            }
        }
        if let (Request::Execute(execute), true) = (&work.request, self.native())
            && execute.read_only
            && !self.slots.get(&ticket).is_some_and(|slot| slot.read_only)
        {
            return Err(Command::read_only_refusal());
        }
        Ok(())
    }

    /// The user's command, or the agent.
    pub(super) fn main_command(&mut self, op: OpId) -> Result<Launch> {
        let native = self.native();
        let env = if native { self.setup.sandbox_env() } else { Vec::new() };
        let cwd = self.place(op);
        let limit = |asked: Option<u64>| match asked.unwrap_or(limits::RUN) {
            0 if native => None,
            limit => Some(limit),
        };
        let line = |line: &str| {
            Program::Shell(if native { line.to_owned() } else { [&inside(&cwd), line].concat() })
        };
        let Some(Kind::Work(work)) = self.ops.get(&op).map(|op| &op.kind) else {
            return Err(aborted());
        };
        let plain = |program, env, stdin, timeout_ms, keep: Option<u64>| Launch {
            command: Command {
                stdin,
                env,
                cwd: native.then(|| cwd.clone()),
                timeout_ms,
                ..Command::new(program)
            },
            files: Vec::new(),
            feed: if native { Feed::live() } else { Feed::Driver },
            options: RunOptions::Streams,
            keep: keep.unwrap_or(limits::KEEP),
            turn: None,
        };
        match &work.request {
            Request::Execute(execute) => {
                let mut env = env;
                env.extend(execute.env.iter().cloned());
                let stdin = match &execute.stdin {
                    Some(text) => Stdin::Bytes(text.clone().into_bytes()),
                    None => Stdin::Null,
                };
                let mut launch =
                    plain(line(&execute.command), env, stdin, limit(execute.timeout_ms), execute.keep);
                launch.command.background = execute.background;
                launch.command.read_only = execute.read_only;
                Ok(launch)
            }
            Request::Generate(generate) if !native => {
                let agent = self.setup.agent().ok_or_else(aborted)?;
                let command = agents::shell_command(
                    agent,
                    &generate.prompt,
                    generate.mode,
                    &generate.history,
                    route(&self.setup),
                );
                let limit = limit(generate.timeout_ms);
                let mut launch = plain(line(&command), env, Stdin::Null, limit, generate.keep);
                launch.command.background = generate.background;
                Ok(launch)
            }
            Request::Generate(_) => self.turn_command(op, env, limit),
            // It has no such command.
            Request::Scripted(_) => Err(aborted()),
        }
    }

    /// The agent as a program of its own, and what reads its output.
    fn turn_command(
        &mut self,
        op: OpId,
        mut env: Vec<(String, String)>,
        limit: impl Fn(Option<u64>) -> Option<u64>,
    ) -> Result<Launch> {
        let fresh_uuid = self.random.uuid();
        let working_directory = self.place(op);
        let Some((work, ticket)) = self.work(op) else { return Err(aborted()) };
        let (Some(generate), Some(agent), Some(slot)) =
            (work.generate(), self.setup.agent(), self.slots.get(&ticket))
        else {
            return Err(aborted());
        };
        // Two turns cannot go on with one conversation at once.
        let alone = !slot.users.iter().any(|user| {
            let other = self.ops.get(user).map(|op| &op.kind);
            *user != op && matches!(other, Some(Kind::Work(work)) if work.turn.is_some())
        });
        let conversation = slot
            .record
            .conversation(agent.kind.as_str(), &working_directory)
            .filter(|_| alone && !generate.anew);
        let request = TurnRequest {
            prompt: &generate.prompt,
            mode: generate.mode,
            history: &generate.history,
            conversation: conversation.map(|known| known.native_session_id.as_str()),
            fresh_uuid: &fresh_uuid,
            working_directory: &working_directory,
            dropped_flags: &self.dropped_flags,
            usage_before: conversation.map(|known| known.usage.clone()).unwrap_or_default(),
        };
        let invocation = agents::invocation(agent, &request)?;
        let decoder = agents::decoder(agent, &request);
        let again = generate.anew || generate.flags_dropped > 0;
        let (kind, timeout_ms, keep) = (agent.kind, limit(generate.timeout_ms), generate.keep);
        let asks = generate.mode == Mode::Ask;
        let session_id = slot.id.clone();
        let now = self.now;
        let Some(slot) = self.slots.get_mut(&ticket) else { return Err(aborted()) };
        if !again {
            slot.record.turn += 1;
        }
        let turn_id = slot.record.turn;
        let envelope = Envelope { agent: kind, session_id, native_session_id: None, turn_id };
        let read_only = asks && slot.read_only;
        if asks && !read_only && !again {
            let text = envelope.wrap(
                notice("read_only_unenforced", "Only the agent's own settings keep it from changing files."),
                true,
                now,
                &mut slot.record.seq,
            );
            self.emit(op, &[crate::protocol::Channel::Event], text);
        }
        self.remember(ticket, true);
        if let Some((work, _)) = self.work_mut(op) {
            let given = |flag: &&&str| invocation.args.iter().any(|argument| argument == **flag);
            work.flags = agents::optional_flags(kind).iter().filter(given).copied().collect();
        }
        env.extend(invocation.env);
        Ok(Launch {
            command: Command {
                program: Program::Exec { program: invocation.program, args: invocation.args },
                stdin: if invocation.stdin.is_empty() { Stdin::Null } else { Stdin::Bytes(invocation.stdin) },
                env,
                cwd: Some(working_directory),
                timeout_ms,
                background: false,
                // The agent's own settings are the second line: they tell the model, this holds.
                read_only,
            },
            files: invocation.files,
            feed: Feed::live(),
            options: RunOptions::Streams,
            keep: keep.unwrap_or(limits::KEEP),
            turn: Some(Box::new(Turn::new(envelope, decoder))),
        })
    }

    /// Stores the record. While turns run, event numbers are reserved for them, so that a process that ends in the middle
    /// of one does not leave numbers to be used twice.
    pub(super) fn remember(&mut self, ticket: Ticket, turn_begins: bool) {
        const RESERVE: u64 = 1_000_000;
        let Some(slot) = self.slots.get(&ticket) else { return };
        if !self.native() || slot.phase != Phase::Live {
            // What was reserved stays reserved.
            return;
        }
        let mut record = slot.record.clone();
        if turn_begins || slot.users.iter().any(|&user| self.has_turn(user)) {
            record.seq += RESERVE;
        }
        self.act(Action::Remember { sandbox: ticket, record: record.write() });
    }

    /// A run has ended.
    pub(super) fn ran(&mut self, op: OpId, ticket: Ticket, result: Result<Box<Report>>) {
        if self.runs.get(&ticket) != Some(&op) {
            self.stopping.remove(&ticket);
            return;
        }
        self.runs.remove(&ticket);
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        let Some(run) = &mut work.run else { return };
        let (alarm, stopping, stage) = (run.alarm.take(), run.stopping, work.stage);
        self.disarm(alarm);
        self.flush(op);
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        work.run = None;
        let mut result = result;
        match (stopping, &mut result) {
            (Some(Why::Cancelled), _) => {
                return self.fail_with(op, aborted(), result.ok().map(|report| *report));
            }
            (Some(Why::TimedOut), Ok(report)) => report.exit.timed_out = true,
            (Some(Why::TimedOut), Err(_)) => {
                let error = self.run_timed_out(op);
                return self.fail(op, error);
            }
            (None, _) => {}
        }
        let ended_by_force = match &result {
            Ok(report) => report.exit.signal.is_some(),
            Err(_) => true,
        };
        let closing = self
            .work(op)
            .and_then(|(_, slot)| self.slots.get(&slot))
            .is_some_and(|slot| slot.phase == Phase::Closing);
        if closing && ended_by_force {
            let report = result.ok().map(|report| *report);
            return self.fail_with(op, killed(), report);
        }
        if stage != Stage::Main {
            return self.helper_ran(op, result);
        }
        match result {
            Ok(report) if self.has_turn(op) => self.turn_ran(op, *report),
            Ok(report) => self.finish(op, *report, None),
            Err(error) => self.fail(op, error),
        }
    }

    fn has_turn(&self, op: OpId) -> bool {
        self.work(op).is_some_and(|(work, _)| work.turn.is_some())
    }

    /// The agent's process has ended.
    fn turn_ran(&mut self, op: OpId, report: Report) {
        let now = self.now;
        let Some((work, ticket)) = self.work_mut(op) else { return };
        let Some(turn) = work.turn.take() else { return };
        let (events, tail) = (turn.events(), turn.stderr_tail().to_owned());
        let took = now.saturating_sub(work.began);
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        let mut out = Vec::new();
        let (envelope, mut ending) = turn.finish(&report.exit, now, &mut slot.record.seq, &mut out);
        for Emission { channel, text } in out {
            self.emit(op, &[channel], text);
        }
        if !report.exit.timed_out && self.try_again(op, ticket, &envelope, &ending) {
            return;
        }
        let success = ending.success() && report.exit.code == 0 && !report.exit.timed_out;
        let finished = &mut ending.finished;
        finished.duration_ms = took;
        finished.exit_code = Some(report.exit.code);
        finished.signal = report.exit.signal;
        if report.exit.timed_out {
            finished.outcome = Outcome::Timeout;
        } else if !success && finished.outcome == Outcome::Success {
            finished.outcome = Outcome::Error;
        }
        let agent = envelope.agent;
        self.keep_conversation(ticket, &envelope, &ending);
        let finished = ending.finished;
        if success {
            return self.finish(op, report, Some((envelope, finished)));
        }
        let error = if report.exit.timed_out {
            self.run_timed_out(op)
        } else if report.exit.code == 127 && events == 0 {
            not_installed(agent, &tail)
        } else {
            agent_failed(agent, &finished, &report.exit, &tail)
        };
        let idle = events == 0 && report.exit.signal.is_none() && !report.exit.timed_out;
        let suspect = Suspect { error, report, envelope, finished };
        if idle && agents::is_usage(suspect.report.exit.code) {
            return self.suspect_flags(op, suspect);
        }
        self.fail_suspect(op, suspect);
    }

    pub(super) fn fail_suspect(&mut self, op: OpId, suspect: Suspect) {
        let Suspect { error, report, envelope, finished } = suspect;
        self.fail_turn(op, error, Some(report), envelope, finished);
    }

    /// The next turn goes on with the conversation, however this one ended: what was said is in it.
    fn keep_conversation(&mut self, ticket: Ticket, envelope: &Envelope, ending: &agents::Ending) {
        let Some(native) = &envelope.native_session_id else { return };
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.record.set_conversation(Conversation {
            agent: envelope.agent.as_str().to_owned(),
            native_session_id: native.clone(),
            cwd: self.setup.working_directory().to_owned(),
            usage: ending.conversation_usage.clone(),
        });
    }

    /// Runs the turn once more when the agent did nothing for a reason that is ours: a conversation it has forgotten, a
    /// flag it does not know any more. True when it does.
    fn try_again(&mut self, op: OpId, ticket: Ticket, envelope: &Envelope, ending: &agents::Ending) -> bool {
        const FLAGS: u32 = 4;
        let now = self.now;
        let known_flags = self.dropped_flags.clone();
        let Some((work, _)) = self.work_mut(op) else { return false };
        let Request::Generate(generate) = &mut work.request else { return false };
        let (code, message) = if ending.conversation_lost && !generate.anew {
            generate.anew = true;
            (
                "conversation_lost",
                "The agent no longer has this conversation; the turn runs in a new one.".to_owned(),
            )
        } else if let Some(flag) = ending
            .refused_flag
            .as_ref()
            .filter(|flag| generate.flags_dropped < FLAGS && !known_flags.contains(flag))
        {
            generate.flags_dropped += 1;
            let flag = flag.clone();
            let message = format!("The installed agent refuses {flag}; the turn runs without it.");
            self.dropped_flags.push(flag);
            (FLAG_REFUSED, message)
        } else {
            return false;
        };
        let Some(slot) = self.slots.get_mut(&ticket) else { return false };
        if ending.conversation_lost {
            slot.record.forget_conversation(envelope.agent.as_str());
        }
        let text = envelope.wrap(notice(code, &message), true, now, &mut slot.record.seq);
        self.emit(op, &[crate::protocol::Channel::Event], text);
        if let Some((work, _)) = self.work_mut(op) {
            work.unfinished = Some((envelope.clone(), ending.finished.clone()));
        }
        if code == FLAG_REFUSED {
            self.ask_flags(op)
        } else {
            self.main(op)
        }
        true
    }

    /// The call succeeded.
    fn finish(&mut self, op: OpId, mut report: Report, turn: Option<(Envelope, Finished)>) {
        let now = self.now;
        let native = self.native();
        let Some((work, ticket)) = self.work(op) else { return };
        let messages = work.voice.messages;
        if let Some(generate) = work.generate() {
            self.task = Some(generate.prompt.clone());
        }
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        slot.told |= slot.id.is_some();
        let id = slot.id.clone();
        let output = match &report.json {
            _ if native => end_output(&report),
            Some(_) => report.json.take().unwrap_or_default(),
            // What a template makes of `JSON.stringify(undefined)`.
            None => "undefined".to_owned(),
        };
        let mut end = String::with_capacity(output.len() + output.len() / 4 + 96);
        begin_end_message(&mut end, id.as_deref());
        push_literal(&mut end, &output);
        end.push('}');
        self.emit(op, messages, end);
        if let Some((envelope, finished)) = turn {
            if let Some(slot) = self.slots.get_mut(&ticket) {
                let text = envelope.finished(finished, false, now, &mut slot.record.seq);
                self.emit(op, &[crate::protocol::Channel::Event], text);
            }
            self.remember(ticket, false);
        }
        if !native {
            return self.end(op, Action::Answer { op, sandbox_id: id });
        }
        let mut value = Map::new();
        value.insert("sandboxId".to_owned(), id.map_or(Value::Null, Value::String));
        value.extend(fields(report));
        self.settle(op, Ok(Value::Object(value)));
    }

    /// The call failed: held output first, then the failure on its channel, then the turn's last event, then the outcome.
    pub(super) fn fail(&mut self, op: OpId, error: Error) {
        self.fail_with(op, error, None);
    }

    fn fail_with(&mut self, op: OpId, error: Error, report: Option<Report>) {
        match self.ops.get(&op).map(|op| &op.kind) {
            None => return,
            Some(Kind::Work(_)) => {}
            Some(_) => return self.settle(op, Err(error)),
        }
        self.flush(op);
        // The turn's last event repeats it.
        let error = self.mask(op, error);
        let now = self.now;
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        let took = now.saturating_sub(work.began);
        let unfinished = work.unfinished.take();
        let exit = match &report {
            Some(report) => report.exit.clone(),
            None => Exit { code: -1, ..Exit::default() },
        };
        let (envelope, told, tail) = match (work.turn.take(), unfinished) {
            (None, None) => return self.fail_quietly(op, error, report, None),
            (None, Some((envelope, told))) => (envelope, told, String::new()),
            (Some(turn), _) => {
                let tail = turn.stderr_tail().to_owned();
                let mut out = Vec::new();
                let mut unnumbered = 0;
                let slot = self.ops.get(&op).and_then(|op| op.slot);
                let seq = match slot.and_then(|slot| self.slots.get_mut(&slot)) {
                    Some(slot) => &mut slot.record.seq,
                    None => &mut unnumbered,
                };
                let (envelope, ending) = turn.finish(&exit, now, seq, &mut out);
                for Emission { channel, text } in out {
                    self.emit(op, &[channel], text);
                }
                if let Some(slot) = slot {
                    self.keep_conversation(slot, &envelope, &ending);
                }
                (envelope, ending.finished, tail)
            }
        };
        let (outcome, code) = match error.code {
            Code::Aborted | Code::Disposed | Code::SandboxKilled => {
                (Outcome::Cancelled, AgentErrorCode::Cancelled)
            }
            Code::Timeout => (Outcome::Timeout, AgentErrorCode::Timeout),
            Code::SpawnFailed => (Outcome::Error, AgentErrorCode::Spawn),
            _ => (Outcome::Error, AgentErrorCode::Unknown),
        };
        let error = if error.code == Code::SpawnFailed {
            not_installed(envelope.agent, &tail).caused_by(error)
        } else {
            error
        };
        let finished = Finished {
            outcome,
            stop_reason: None,
            exit_code: report.as_ref().map(|report| report.exit.code),
            signal: exit.signal,
            result_text: told.result_text,
            usage: told.usage,
            duration_ms: took,
            turns: told.turns,
            error: Some(AgentError {
                code,
                message: error.message.clone(),
                http_status: None,
                retryable: error.retryable,
            }),
            files_changed: told.files_changed,
        };
        self.fail_turn(op, error, report, envelope, finished);
    }

    fn fail_turn(
        &mut self,
        op: OpId,
        error: Error,
        report: Option<Report>,
        envelope: Envelope,
        finished: Finished,
    ) {
        self.fail_quietly(op, error, report, Some((envelope, finished)));
    }

    fn fail_quietly(
        &mut self,
        op: OpId,
        error: Error,
        report: Option<Report>,
        turn: Option<(Envelope, Finished)>,
    ) {
        let now = self.now;
        let Some(ended) = self.ops.get(&op) else { return };
        let Kind::Work(work) = &ended.kind else { return };
        let (voice, slot) = (work.voice, ended.slot);
        let mut error = self.mask(op, wrap(error, voice.prefix));
        if let Some(report) = report {
            for (key, value) in fields(report) {
                error.details.entry(key).or_insert(value);
            }
        }
        if let Some(known) = slot.and_then(|slot| self.slots.get_mut(&slot))
            && let Some(id) = &known.id
        {
            known.told = true;
            error.details.entry("sandboxId").or_insert_with(|| Value::String(id.clone()));
        }
        if !matches!(error.code, Code::Aborted | Code::Disposed) {
            self.emit(op, voice.failure, error.message.clone());
        }
        if let Some((envelope, finished)) = turn {
            if let Some(agent_error) = &finished.error
                && let Ok(value) = serde_json::to_value(agent_error)
            {
                error.details.entry("agentError").or_insert(value);
            }
            let synthetic = finished.outcome != Outcome::Error;
            let mut unnumbered = 0;
            let text = match slot.and_then(|slot| self.slots.get_mut(&slot)) {
                Some(slot) => envelope.finished(finished, synthetic, now, &mut slot.record.seq),
                None => envelope.finished(finished, synthetic, now, &mut unnumbered),
            };
            self.emit(op, &[crate::protocol::Channel::Event], text);
            if let Some(slot) = slot {
                self.remember(slot, false);
            }
        }
        self.settle(op, Err(error));
    }

    /// Takes secrets out of whatever a failing command printed. A failure that stands for something a provider rejected with
    /// gives that up when a secret was in it: the original cannot be cleaned.
    fn mask(&self, op: OpId, mut error: Error) -> Error {
        let mut hidden = self.setup.keys();
        if let Some(Kind::Work(work)) = self.ops.get(&op).map(|op| &op.kind)
            && let Request::Scripted(Scripted::Clone { token: Some(token), .. }) = &work.request
            && !token.is_empty()
        {
            hidden.push(token.clone());
        }
        let pairs: Vec<_> =
            hidden.iter().map(|token| base64(format!("x-access-token:{token}").as_bytes())).collect();
        hidden.extend(pairs);
        let hide = |text: &mut String| {
            let found = hidden.iter().filter(|secret| text.contains(secret.as_str())).count();
            for secret in &hidden {
                if found > 0 {
                    *text = text.replace(secret.as_str(), "***");
                }
            }
            found > 0
        };
        fn each(error: &mut Error, hide: &impl Fn(&mut String) -> bool) {
            let mut found = hide(&mut error.message);
            for value in error.details.values_mut() {
                if let Value::String(text) = value {
                    found |= hide(text);
                }
            }
            if found {
                error.details.shift_remove("rejection");
            }
            if let Some(cause) = &mut error.cause {
                each(cause, hide);
            }
        }
        each(&mut error, &hide);
        error
    }

    // ---- limits on runs --------------------------------------------------------------------------------------------

    /// Arms the limit of the call's run, if it has one and is not armed.
    pub(super) fn start_clock(&mut self, op: OpId) {
        let Some(Kind::Work(work)) = self.ops.get(&op).map(|op| &op.kind) else { return };
        let Some(run) = &work.run else { return };
        let (Some(left), None, None) = (run.left, run.alarm, run.stopping) else { return };
        let alarm = self.arm(left, Alarm::Run(op));
        let now = self.now;
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind)
            && let Some(run) = &mut work.run
        {
            run.alarm = Some(alarm);
            run.armed_at = now;
        }
    }

    /// Stops counting while the sandbox is paused.
    pub(super) fn stop_clock(&mut self, op: OpId) {
        let now = self.now;
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        let Some(run) = &mut work.run else { return };
        if run.stopping.is_some() {
            return;
        }
        let alarm = run.alarm.take();
        if alarm.is_some() {
            run.left = run.left.map(|left| left.saturating_sub(now.saturating_sub(run.armed_at)));
        }
        self.disarm(alarm);
    }

    /// Stops the call's run. False when there is none that can be stopped: the call can be settled at once.
    pub(super) fn stop(&mut self, op: OpId, why: Why) -> bool {
        if !self.native() {
            return false;
        }
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return false };
        let Some(run) = &mut work.run else { return false };
        let (ticket, already) = (run.ticket, run.stopping.is_some());
        if why == Why::Cancelled || !already {
            run.stopping = Some(why);
        }
        if already {
            return true;
        }
        let alarm = run.alarm.take();
        self.disarm(alarm);
        self.act(Action::Stop { ticket });
        let alarm = self.arm(limits::STOP, Alarm::Stop(op));
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind)
            && let Some(run) = &mut work.run
        {
            run.alarm = Some(alarm);
        }
        true
    }

    /// Stops the call's run for a dispose, which waits for its end although the call is settled now.
    pub(super) fn stop_for_dispose(&mut self, op: OpId) {
        let Some(Kind::Work(work)) = self.ops.get(&op).map(|op| &op.kind) else { return };
        let Some(run) = &work.run else { return };
        let (ticket, already) = (run.ticket, run.stopping.is_some());
        if !already {
            self.act(Action::Stop { ticket });
        }
        if self.stopping.is_empty() {
            self.arm(limits::STOP, Alarm::DisposeStops);
        }
        self.stopping.insert(ticket);
    }

    pub(super) fn run_limit(&mut self, op: OpId) {
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind)
            && let Some(run) = &mut work.run
        {
            run.alarm = None;
        }
        if !self.stop(op, Why::TimedOut) {
            let error = self.run_timed_out(op);
            self.fail(op, error);
        }
    }

    pub(super) fn stop_limit(&mut self, op: OpId) {
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        let Some(run) = &mut work.run else { return };
        run.alarm = None;
        let error = match run.stopping {
            Some(Why::TimedOut) => self.run_timed_out(op),
            _ => aborted(),
        };
        self.fail(op, error);
    }

    fn run_timed_out(&self, op: OpId) -> Error {
        let Some((work, _)) = self.work(op) else { return aborted() };
        if let Some((name, limit)) = work.helper {
            return timed_out(name, limit);
        }
        let (what, asked) = match &work.request {
            Request::Execute(execute) => ("The command", execute.timeout_ms),
            Request::Generate(generate) => ("The agent", generate.timeout_ms),
            Request::Scripted(_) => ("The command", None),
        };
        timed_out(what, asked.unwrap_or(limits::RUN))
    }

    // ---- access ----------------------------------------------------------------------------------------------------

    pub(super) fn work(&self, op: OpId) -> Option<(&Work, Ticket)> {
        let op = self.ops.get(&op)?;
        match &op.kind {
            Kind::Work(work) => Some((work, op.slot?)),
            _ => None,
        }
    }

    pub(super) fn work_mut(&mut self, op: OpId) -> Option<(&mut Work, Ticket)> {
        let op = self.ops.get_mut(&op)?;
        match &mut op.kind {
            Kind::Work(work) => Some((work, op.slot?)),
            _ => None,
        }
    }
}

/// A run about to begin.
pub(super) struct Launch {
    pub(super) command: Command,
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) feed: Feed,
    pub(super) options: RunOptions,
    pub(super) keep: u64,
    pub(super) turn: Option<Box<Turn>>,
}

/// What stands before a line of a JavaScript provider.
pub(super) fn inside(directory: &str) -> String {
    ["cd ", &quote(directory), " && "].concat()
}

/// The message a call begins with.
pub(super) fn start_message(id: &str) -> String {
    let mut text = "{\"type\": \"start\", \"sandbox_id\": ".to_owned();
    push_literal(&mut text, id);
    text.push('}');
    text
}

/// The message a call ends with, up to the literal of what came of it.
pub(super) fn begin_end_message(text: &mut String, id: Option<&str>) {
    text.push_str("{\"type\": \"end\", \"sandbox_id\": ");
    push_literal(text, id.unwrap_or("undefined"));
    text.push_str(", \"output\": ");
}

/// Something of ours that the caller should know.
pub(super) fn notice(code: &str, message: &str) -> Body {
    Body::Notice {
        severity: Severity::Warning,
        code: code.to_owned(),
        message: message.to_owned(),
        attempt: None,
        delay_ms: None,
    }
}

pub(super) fn git_message(output: &str) -> String {
    let mut text = "{\"type\": \"git\", \"output\": ".to_owned();
    push_literal(&mut text, output);
    text.push('}');
    text
}

/// Upstream's sentence around a failure; the machine's own decisions keep theirs.
fn wrap(error: Error, prefix: &str) -> Error {
    let own = matches!(
        error.code,
        Code::Aborted
            | Code::Timeout
            | Code::SandboxKilled
            | Code::SandboxPaused
            | Code::SandboxLost
            | Code::Disposed
    );
    if own || prefix.is_empty() {
        return error;
    }
    Error {
        code: error.code,
        message: format!("{prefix}{}", error.message),
        field: error.field.clone(),
        hint: error.hint.clone(),
        retryable: error.retryable,
        admitted: error.admitted,
        details: error.details.clone(),
        cause: Some(Box::new(error)),
    }
}

/// The result of a native run as the caller gets it.
fn fields(report: Report) -> Map<String, Value> {
    let exit = report.exit;
    let mut fields = Map::new();
    let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    set("exitCode", exit.code.into());
    set("stdout", report.stdout.into());
    set("stderr", report.stderr.into());
    if let Some(signal) = exit.signal {
        set("signal", signal.into());
    }
    if exit.timed_out {
        set("timedOut", true.into());
    }
    if exit.out_of_memory {
        set("outOfMemory", true.into());
    }
    if exit.output_gap {
        set("outputGap", true.into());
    }
    if let Some(stopped) = exit.stopped {
        set("stopped", serde_json::to_value(stopped).unwrap_or_default());
    }
    for (key, dropped) in [("stdoutDropped", report.stdout_dropped), ("stderrDropped", report.stderr_dropped)]
    {
        if dropped > 0 {
            set(key, dropped.into());
        }
    }
    fields
}

/// `output` of the `end` message of a native run: the result, without its texts when they are long.
fn end_output(report: &Report) -> String {
    if report.stdout.len() + report.stderr.len() <= limits::END_MESSAGE {
        return Value::Object(fields(report.clone())).to_string();
    }
    let mut fields = fields(Report {
        exit: report.exit.clone(),
        stdout_dropped: report.stdout_dropped,
        stderr_dropped: report.stderr_dropped,
        ..Report::default()
    });
    fields.remove("stdout");
    fields.remove("stderr");
    fields.insert("truncated".to_owned(), Value::Bool(true));
    Value::Object(fields).to_string()
}

fn not_installed(agent: agents::AgentKind, stderr: &str) -> Error {
    let mut error =
        Error::new(Code::AgentNotInstalled, format!("{agent} is not installed where the sandbox can see it"))
            .with_hint(agents::install_hint(agent));
    if !stderr.is_empty() {
        error = error.with("stderr", stderr);
    }
    error
}

fn agent_failed(agent: agents::AgentKind, finished: &Finished, exit: &Exit, stderr: &str) -> Error {
    let message = match &finished.error {
        Some(error) if !error.message.is_empty() => error.message.clone(),
        _ => {
            let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
            let how = match exit.signal {
                Some(signal) => format!("{agent} was ended by signal {signal}"),
                None => format!("{agent} exited with code {}", exit.code),
            };
            match last {
                Some(line) => format!("{how}: {}", line.trim()),
                None => how,
            }
        }
    };
    let mut error = Error::new(Code::AgentFailed, message);
    error.retryable = finished.error.as_ref().is_some_and(|error| error.retryable);
    error
}
