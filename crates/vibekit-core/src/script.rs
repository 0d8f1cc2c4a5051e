//! Sequences of steps, written as they are read.
//!
//! A script is an `async` function over a [`Desk`]: it asks for a helper command, an HTTP request or a pause, and goes on
//! with the answer. No runtime is involved. The machine polls it when the call begins and when an answer has come, and never
//! otherwise; whatever it asked for becomes an action. So a script is as deterministic as the rest of the machine, and a
//! recording of inputs replays it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use crate::http::{HttpRequest, HttpResponse};
use crate::protocol::RunOptions;
use crate::{Code, Error, Result};

/// What a script wants done before it goes on.
pub(crate) enum Wish {
    /// Run a command of ours in the call's sandbox.
    Run(Helper),
    /// Ask a service.
    Request(Exchange),
    /// Let some milliseconds pass.
    Pause(u64),
}

/// One question to a service.
pub(crate) struct Exchange {
    /// Whom: begins the sentence of a failure.
    pub(crate) who: &'static str,
    pub(crate) request: HttpRequest,
    /// Milliseconds to wait for the whole answer.
    pub(crate) limit: u64,
}

/// What became of a [`Wish`].
pub(crate) enum Answer {
    Ran(Result<Output>),
    Responded(Result<HttpResponse>),
    Paused,
}

/// What a script tells the machine in passing.
pub(crate) enum Note {
    /// A `git` message for the listeners.
    Say(String),
    /// Upstream's one event that is an object: JSON of it.
    Object(String),
    /// The configured repository is in the sandbox now.
    Cloned,
    /// Where the work of the branch is done from now on; `None` is the working directory.
    Worktree(Option<String>),
}

/// A command of ours: a shell line, because that is all JavaScript providers take.
pub(crate) struct Helper {
    /// How failures call it.
    pub(crate) name: &'static str,
    /// The line, without a `cd`.
    pub(crate) line: String,
    /// Where it runs; `None` is wherever the sandbox begins.
    pub(crate) directory: Option<String>,
    /// Environment that reaches git alone, for secrets.
    pub(crate) env: Vec<(String, String)>,
    /// Milliseconds.
    pub(crate) limit: u64,
    /// What a JavaScript provider is given beside the limit.
    pub(crate) options: RunOptions,
    /// Bytes kept of each stream.
    pub(crate) keep: u64,
    /// Listeners get the chunks of both streams as they come.
    pub(crate) aloud: bool,
}

impl Helper {
    /// A command with the limit upstream gives it.
    pub(crate) fn new(name: &'static str, directory: &str, line: impl Into<String>, limit: u64) -> Self {
        Self {
            name,
            line: line.into(),
            directory: Some(directory.to_owned()),
            env: Vec::new(),
            limit,
            options: RunOptions::Background,
            keep: 64 << 10,
            aloud: false,
        }
    }

    /// Not in a directory of ours: it is what makes one.
    pub(crate) fn anywhere(mut self) -> Self {
        self.directory = None;
        self
    }

    pub(crate) fn options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn env(mut self, env: Vec<(String, String)>) -> Self {
        self.env = env;
        self
    }

    pub(crate) fn keep(mut self, bytes: u64) -> Self {
        self.keep = bytes;
        self
    }

    pub(crate) fn aloud(mut self) -> Self {
        self.aloud = true;
        self.options = RunOptions::Aloud;
        self
    }
}

/// What a command of ours gave.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

#[derive(Default)]
struct Papers {
    notes: Vec<Note>,
    wish: Option<Wish>,
    answer: Option<Answer>,
}

/// Where a script and the machine hand each other papers.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Papers>>);

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, wish: Wish) -> Answer {
        self.papers().wish = Some(wish);
        poll_fn(|_| match self.papers().answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    /// Runs a command; whatever exit code it has is its answer.
    pub(crate) async fn run(&self, helper: Helper) -> Result<Output> {
        match self.ask(Wish::Run(helper)).await {
            Answer::Ran(result) => result,
            _ => Err(mixed_up()),
        }
    }

    /// Runs a command whose exit code must be 0.
    pub(crate) async fn succeed(&self, helper: Helper) -> Result<Output> {
        let name = helper.name;
        let output = self.run(helper).await?;
        if output.code == 0 { Ok(output) } else { Err(failed(name, output)) }
    }

    /// Asks a service.
    pub(crate) async fn request(&self, exchange: Exchange) -> Result<HttpResponse> {
        match self.ask(Wish::Request(exchange)).await {
            Answer::Responded(result) => result,
            _ => Err(mixed_up()),
        }
    }

    /// Lets time pass.
    pub(crate) async fn pause(&self, milliseconds: u64) {
        self.ask(Wish::Pause(milliseconds)).await;
    }

    /// Tells the listeners what git does.
    pub(crate) fn say(&self, text: String) {
        self.note(Note::Say(text));
    }

    pub(crate) fn note(&self, note: Note) {
        self.papers().notes.push(note);
    }
}

fn mixed_up() -> Error {
    Error::new(Code::Internal, "A step got the answer of another one.")
}

fn failed(name: &str, output: Output) -> Error {
    let Output { code, stdout, stderr } = output;
    let why = stderr.trim();
    let colon = if why.is_empty() { "" } else { ": " };
    Error::new(Code::ProviderFailed, format!("{name} exited with code {code}{colon}{why}"))
        .with("exitCode", code)
        .with("stdout", stdout)
        .with("stderr", stderr)
}

type Steps = Pin<Box<dyn Future<Output = Result<Value>> + Send>>;

/// A script on its way.
pub(crate) struct Script {
    desk: Desk,
    steps: Steps,
}

/// How far a script came.
pub(crate) enum Progress {
    /// It waits for this.
    Wants(Wish),
    /// It is over.
    Over(Result<Value>),
}

impl Script {
    pub(crate) fn new<F>(steps: impl FnOnce(Desk) -> F) -> Self
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        let desk = Desk::default();
        Self { steps: Box::pin(steps(desk.clone())), desk }
    }

    /// Goes on as far as it can. `answer` is that of the last wish; `None` begins.
    pub(crate) fn go_on(&mut self, answer: Option<Answer>) -> (Vec<Note>, Progress) {
        self.desk.papers().answer = answer;
        let polled = self.steps.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let mut papers = self.desk.papers();
        let notes = std::mem::take(&mut papers.notes);
        let progress = match (polled, papers.wish.take()) {
            (Poll::Ready(result), _) => Progress::Over(result),
            (Poll::Pending, Some(wish)) => Progress::Wants(wish),
            (Poll::Pending, None) => Progress::Over(Err(mixed_up())),
        };
        (notes, progress)
    }
}
