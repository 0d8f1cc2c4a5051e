//! The steps of a call around its command: what scripts ask for becomes actions, and answers go back to them.

use serde_json::Value;

use super::output::Feed;
use super::script::{Launch, git_message};
use super::slot::Phase;
use super::work::{Request, Run, Scripted, route};
use super::{Alarm, Kind, Machine, killed, limits, timed_out};
use crate::agents::Route;
use crate::command::Command;
use crate::config::Generation;
use crate::git::branch::{self, Change};
use crate::git::clone::{self, Access};
use crate::git::{credential, push};
use crate::github::{Label, merge, pull_request};
use crate::http::HttpResponse;
use crate::model::Author;
use crate::protocol::{Channel, OpId, Report, RunOptions, Ticket, TimerId};
use crate::script::{Answer, Helper, Note, Output, Progress, Script, Wish};
use crate::text::quote;
use crate::{Action, Code, Error, Result};

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Makes the working directory. JavaScript providers only; native ones have it.
    Mkdir,
    /// Clones the configured repository into it.
    Clone,
    /// Changes to the branch.
    Branch,
    /// Finds out whether the agent's program is the one whose flags are known.
    Program,
    /// The user's command, or the agent.
    Main,
    /// After an agent that did nothing: asks its program which flags it knows.
    Flags,
    /// Everything: the call is a script.
    Whole,
}

/// What a script waits for, apart from a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    Request { ticket: Ticket, who: &'static str, limit: u64, alarm: TimerId },
    Pause { alarm: TimerId },
}

impl Machine {
    // ---- which script ----------------------------------------------------------------------------------------------

    pub(super) fn mkdir(&mut self, op: OpId) {
        let Some((work, _)) = self.work(op) else { return };
        let options = if work.voice.agent_level { RunOptions::Background } else { RunOptions::Stdout };
        let directory = self.setup.working_directory().to_owned();
        self.begin_script(op, Stage::Mkdir, Script::new(|desk| clone::mkdir(desk, directory, options)));
    }

    /// The working directory is there.
    pub(super) fn prepare(&mut self, op: OpId) {
        let Some((work, ticket)) = self.work(op) else { return };
        let agent_level = work.voice.agent_level;
        let github = self.setup.github().cloned();
        let server = self.setup.server().clone();
        let directory = self.setup.working_directory().to_owned();
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        let fresh = slot.resume.is_none() && slot.id.is_some();
        match github {
            Some(_) if agent_level && fresh && !slot.cloned && slot.cloning.is_some() => slot.parked.push(op),
            Some(github) if agent_level && fresh && !slot.cloned => {
                slot.cloning = Some(op);
                let access = Access {
                    known: true,
                    in_sandbox: false,
                    env: credential::header(&server, &github.token),
                };
                let script =
                    Script::new(|desk| clone::configured(desk, server, github.repository, directory, access));
                self.begin_script(op, Stage::Clone, script);
            }
            _ => self.change_branch(op),
        }
    }

    /// The call has cloned, or has ended: those that waited go on.
    pub(super) fn cloning_over(&mut self, op: OpId, ticket: Ticket) {
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        if slot.cloning != Some(op) {
            return;
        }
        slot.cloning = None;
        for parked in std::mem::take(&mut slot.parked) {
            self.prepare(parked);
        }
    }

    fn change_branch(&mut self, op: OpId) {
        let Some((work, _)) = self.work(op) else { return };
        let agent_level = work.voice.agent_level;
        let Some(branch) = work.branch().map(str::to_owned) else { return self.main(op) };
        let repository = self.setup.github().is_some();
        let change = Change {
            branch,
            directory: self.setup.working_directory().to_owned(),
            access: self.access_to_publish(),
            worktrees: self.setup.worktrees().cloned(),
            native: self.native(),
        };
        let script = match (agent_level, repository) {
            (false, _) => Script::new(|desk| branch::for_command(desk, change)),
            (true, true) => Script::new(|desk| branch::for_turn(desk, change)),
            (true, false) if self.setup.generation() == Generation::Fluent => {
                Script::new(|desk| branch::for_turn_anywhere(desk, change))
            }
            (true, false) => return self.main(op),
        };
        self.begin_script(op, Stage::Branch, script);
    }

    /// The call is a script.
    pub(super) fn start_script(&mut self, op: OpId) {
        let Some(Kind::Work(work)) = self.ops.get(&op).map(|op| &op.kind) else { return };
        let Request::Scripted(call) = &work.request else { return };
        let call = call.clone();
        match self.scripted(op, call) {
            Ok(script) => self.begin_script(op, Stage::Whole, script),
            Err(error) => self.fail(op, error),
        }
    }

    fn scripted(&self, op: OpId, call: Scripted) -> Result<Script> {
        let server = self.setup.server().clone();
        let working_directory = self.setup.working_directory().to_owned();
        let newest = route(&self.setup) == Route::Fluent;
        Ok(match call {
            Scripted::Merge(merge) => {
                let token = self.setup.github_token().map(str::to_owned);
                Script::new(|desk| merge::merge(desk, server, token, merge))
            }
            Scripted::Clone { repository, directory, token } => {
                let directory = directory.filter(|path| !path.is_empty()).unwrap_or(working_directory);
                let access = self.access_to_clone(op, token.filter(|token| !token.is_empty()));
                Script::new(|desk| clone::on_request(desk, server, repository, directory, access))
            }
            Scripted::Push { branch, variables } => {
                let author = self.author(variables)?;
                let here = self.branch.as_ref() == Some(&branch);
                let push = push::Push {
                    worktree: self.worktree.clone().filter(|_| here),
                    clean_up: self.setup.worktrees().is_some_and(|worktrees| !worktrees.keep),
                    access: self.access_to_publish(),
                    set_upstream: newest,
                    branch,
                    working_directory,
                    author,
                };
                Script::new(|desk| push::push_to_branch(desk, push))
            }
            Scripted::PullRequest { target, label, branch_prefix, variables } => {
                let author = self.author(variables)?;
                let repository = self.repository(target.as_deref()).unwrap_or_default().to_owned();
                // A text that is no repository is the project's directory (contract, 10.4).
                let project = target
                    .filter(|path| !path.is_empty() && *path != repository)
                    .filter(|_| self.setup.generation() == Generation::Config)
                    .map(|path| match path.starts_with('/') || !self.native() {
                        true => path,
                        false => format!("{}/{path}", working_directory.trim_end_matches('/')),
                    });
                let wanted = pull_request::PullRequest {
                    token: self.setup.github_token().unwrap_or_default().to_owned(),
                    label: label.unwrap_or_else(|| Label::of(author.kind())),
                    directory: project.or_else(|| self.worktree.clone()).unwrap_or(working_directory),
                    access: self.access_to_publish(),
                    set_upstream: newest,
                    server,
                    repository,
                    branch_prefix,
                    author,
                };
                Script::new(|desk| pull_request::create(desk, wanted))
            }
        })
    }

    fn author(&self, variables: Vec<(String, String)>) -> Result<Author> {
        let agent = self.setup.agent().cloned().ok_or_else(killed)?;
        Ok(Author::new(agent, route(&self.setup), variables, self.task.clone(), self.setup.confidential()))
    }

    /// For commands that push and fetch. A token among the secrets is in the sandbox, where the clone told git to look
    /// for it; so with JavaScript providers the commands stay upstream's.
    fn access_to_publish(&self) -> Access {
        let from_secrets = self.setup.secret_token().is_some();
        match self.setup.github_token() {
            Some(token) if self.native() || !from_secrets => Access {
                known: true,
                in_sandbox: from_secrets,
                env: credential::header(self.setup.server(), token),
            },
            token => Access { known: token.is_some(), in_sandbox: from_secrets, env: Vec::new() },
        }
    }

    /// For `cloneRepository`, whose token may be newer than the setup.
    fn access_to_clone(&self, op: OpId, token: Option<String>) -> Access {
        let token = token.or_else(|| self.setup.github_token().map(str::to_owned));
        let Some(token) = token else { return Access::default() };
        let slot = self.ops.get(&op).and_then(|op| op.slot).and_then(|slot| self.slots.get(&slot));
        // A provider gets the environment when it creates a sandbox, and not when it resumes one.
        let environment = self.native() || slot.is_some_and(|slot| slot.resume.is_none());
        let in_sandbox = environment && self.setup.secret_token() == Some(&token);
        let env = if self.native() || !in_sandbox {
            credential::header(self.setup.server(), &token)
        } else {
            Vec::new()
        };
        Access { known: true, in_sandbox, env }
    }

    // ---- its progress ----------------------------------------------------------------------------------------------

    pub(super) fn begin_script(&mut self, op: OpId, stage: Stage, script: Script) {
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        work.stage = stage;
        work.script = Some(script);
        self.advance(op, None);
    }

    /// Lets the call's script go on.
    fn advance(&mut self, op: OpId, answer: Option<Answer>) {
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        let Some(script) = &mut work.script else { return };
        let (notes, progress) = script.go_on(answer);
        for note in notes {
            self.noted(op, note);
        }
        match progress {
            Progress::Wants(wish) => self.grant(op, wish),
            Progress::Over(result) => self.script_over(op, result),
        }
    }

    fn noted(&mut self, op: OpId, note: Note) {
        let Some(Kind::Work(work)) = self.ops.get(&op).map(|op| &op.kind) else { return };
        let messages = work.voice.messages;
        match note {
            Note::Say(text) => self.emit(op, messages, git_message(&text)),
            Note::Object(text) => self.emit(op, &[Channel::Object], text),
            Note::Worktree(path) => self.worktree = path,
            Note::Cloned => {
                let Some((_, ticket)) = self.work(op) else { return };
                if let Some(slot) = self.slots.get_mut(&ticket) {
                    slot.cloned = true;
                    slot.record.cloned = true;
                }
                self.remember(ticket, false);
            }
        }
    }

    fn grant(&mut self, op: OpId, wish: Wish) {
        match wish {
            Wish::Run(helper) => self.run_helper(op, helper),
            Wish::Request(exchange) => {
                let ticket = self.number();
                self.requests.insert(ticket, op);
                self.act(Action::Request { op, ticket, request: exchange.request });
                let alarm = self.arm(exchange.limit, Alarm::Pending(op));
                self.set_pending(
                    op,
                    Pending::Request { ticket, who: exchange.who, limit: exchange.limit, alarm },
                );
            }
            Wish::Pause(milliseconds) => {
                let alarm = self.arm(milliseconds, Alarm::Pending(op));
                self.set_pending(op, Pending::Pause { alarm });
            }
        }
    }

    fn set_pending(&mut self, op: OpId, pending: Pending) {
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) {
            work.pending = Some(pending);
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, pending: Pending) {
        let (Pending::Request { alarm, .. } | Pending::Pause { alarm }) = pending;
        if let Pending::Request { ticket, .. } = pending {
            self.requests.remove(&ticket);
        }
        self.disarm(Some(alarm));
    }

    /// A service has answered, or cannot.
    pub(super) fn answered(&mut self, ticket: Ticket, result: Result<HttpResponse>) {
        let Some(op) = self.requests.get(&ticket).copied() else { return };
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind)
            && let Some(pending) = work.pending.take()
        {
            self.forget(pending);
            self.advance(op, Some(Answer::Responded(result)));
        }
    }

    /// A request took too long, or a pause is over.
    pub(super) fn pending_limit(&mut self, op: OpId) {
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        match work.pending.take() {
            Some(Pending::Request { ticket, who, limit, .. }) => {
                self.requests.remove(&ticket);
                self.fail(op, timed_out(&format!("An answer of {}", in_a_sentence(who)), limit));
            }
            Some(Pending::Pause { .. }) => self.advance(op, Some(Answer::Paused)),
            None => {}
        }
    }

    fn script_over(&mut self, op: OpId, result: Result<Value>) {
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        work.script = None;
        let stage = work.stage;
        if stage == Stage::Whole {
            return match result {
                Ok(value) => self.settle(op, Ok(value)),
                Err(error) => self.fail(op, error),
            };
        }
        let Some((_, ticket)) = self.work(op) else { return };
        match (stage, result) {
            (Stage::Mkdir, Ok(_)) => self.prepare(op),
            (Stage::Clone, Ok(_)) => {
                self.cloning_over(op, ticket);
                self.change_branch(op);
            }
            (Stage::Branch, Ok(place)) => {
                if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) {
                    work.directory = place.as_str().map(str::to_owned);
                }
                self.main(op);
            }
            (Stage::Program, Ok(told)) => self.program_told(op, &told),
            (Stage::Flags, Ok(told)) => self.flags_told(op, &told),
            (Stage::Clone, Err(error)) => {
                // Those that waited for this clone share its failure instead of repeating it one after another.
                let parked = match self.slots.get_mut(&ticket) {
                    Some(slot) => std::mem::take(&mut slot.parked),
                    None => Vec::new(),
                };
                for parked in parked {
                    self.fail(parked, error.clone());
                }
                self.fail(op, error);
            }
            (Stage::Main | Stage::Whole, Ok(_)) => {}
            (_, Err(error)) => self.fail(op, error),
        }
    }

    // ---- runs ------------------------------------------------------------------------------------------------------

    /// Where the call's command works.
    pub(super) fn place(&self, op: OpId) -> String {
        let own = self.work(op).and_then(|(work, _)| work.directory.clone());
        own.unwrap_or_else(|| self.setup.working_directory().to_owned())
    }

    /// The command or the agent.
    pub(super) fn main(&mut self, op: OpId) {
        if self.compare_program(op) {
            return;
        }
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) {
            work.stage = Stage::Main;
            work.helper = None;
        }
        match self.main_command(op) {
            Ok(launch) => self.launch(op, launch),
            Err(error) => self.fail(op, error),
        }
    }

    fn run_helper(&mut self, op: OpId, helper: Helper) {
        let native = self.native();
        let Helper { name, line, directory, env, limit, options, keep, aloud } = helper;
        let (line, env, cwd) = if native {
            // There is nobody to answer what git might ask.
            let mut env = env;
            env.push(("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()));
            let home = directory.or_else(|| Some(self.setup.working_directory().to_owned()));
            (line, env, home)
        } else {
            let line = match directory {
                Some(directory) => format!("cd {} && {line}", quote(&directory)),
                None => line,
            };
            // Such providers take no environment. How it reaches the command unseen all the same, the driver knows.
            (line, env, None)
        };
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) {
            work.helper = Some((name, limit));
        }
        let launch = Launch {
            command: Command { env, cwd, timeout_ms: Some(limit), ..Command::shell(line) },
            files: Vec::new(),
            feed: if aloud && native { Feed::raw() } else { Feed::Deaf },
            options,
            keep,
            turn: None,
        };
        self.launch(op, launch);
    }

    fn launch(&mut self, op: OpId, launch: Launch) {
        let Some((_, sandbox)) = self.work(op) else { return };
        if !self.slots.get(&sandbox).is_some_and(|slot| slot.phase == Phase::Live) {
            return self.fail(op, killed());
        }
        let ticket = self.number();
        let left = launch
            .command
            .timeout_ms
            .filter(|&limit| limit > 0)
            .map(|limit| limit.saturating_add(limits::RUN_GRACE));
        let now = self.now;
        let stream = !matches!(launch.feed, Feed::Deaf);
        let channels = match (&launch.feed, self.work(op)) {
            (Feed::Driver, Some((work, _))) => work.voice.messages.to_vec(),
            _ => Vec::new(),
        };
        self.runs.insert(ticket, op);
        if let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) {
            if work.stage == Stage::Main {
                work.unfinished = None;
            }
            work.turn = launch.turn;
            work.run =
                Some(Run { ticket, feed: launch.feed, alarm: None, left, armed_at: now, stopping: None });
        }
        self.act(Action::Run {
            op,
            ticket,
            sandbox,
            command: Box::new(launch.command),
            files: launch.files,
            stream,
            channels,
            options: launch.options,
            max_output_bytes: launch.keep,
        });
        self.start_clock(op);
    }

    /// A command of ours has ended. What its exit code means, the script knows.
    pub(super) fn helper_ran(&mut self, op: OpId, result: Result<Box<Report>>) {
        let result = match result {
            Ok(report) if report.exit.timed_out => Err(self.helper_timed_out(op)),
            Ok(report) => Ok(Output { code: report.exit.code, stdout: report.stdout, stderr: report.stderr }),
            Err(error) => Err(error),
        };
        self.advance(op, Some(Answer::Ran(result)));
    }

    fn helper_timed_out(&self, op: OpId) -> Error {
        let helper = match self.ops.get(&op).map(|op| &op.kind) {
            Some(Kind::Work(work)) => work.helper,
            _ => None,
        };
        match helper {
            Some((name, limit)) => timed_out(name, limit),
            None => Error::new(Code::Timeout, "The command took too long"),
        }
    }
}

/// `GitHub`, `the model`.
fn in_a_sentence(who: &str) -> String {
    match who.strip_prefix("The ") {
        Some(rest) => format!("the {rest}"),
        None => who.to_owned(),
    }
}
