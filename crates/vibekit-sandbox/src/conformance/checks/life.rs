//! A sandbox from its making to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Check, check};
use crate::conformance::trial::{Failure, Trial, Verdict, collect, dropped_at, ensure, shell};
use crate::{Code, Command, OpenRequest, Process, Sandbox};

pub(super) const FIRST: &[Check] = &[
    check!("create", "Sandboxes are made, each with an id and files of its own", create),
    check!("kill", "Killing ends everything, as often as one likes", kill),
    check!("after-kill", "Whatever is asked of a killed sandbox is refused as such", after_kill),
];

pub(super) const ALL: &[Check] = &[
    check!("pause", "Pausing freezes commands and their time limits; thawing goes on", pause, needs pause else no_pause),
    check!("resume", "Another process finds a sandbox by its id, with its files", resume, needs resume else no_resume),
    check!("lost", "A sandbox that is destroyed by others is reported as lost", lost),
    check!("sandboxes-at-once", "Many sandboxes at once do not get in each other's way", at_once),
    check!("forgotten-create", "A creation given up at any step leaves nothing behind", forgotten_create),
    check!(
        "refused-create",
        "A creation that cannot be done is refused and leaves nothing behind",
        refused_create
    ),
];

/// Waits of a creation that are tried, at most.
const STEPS: usize = 64;

async fn create(trial: &Trial<'_>) -> Verdict {
    let (one, other) = (trial.sandbox().await?, trial.sandbox().await?);
    ensure!(!one.id().is_empty(), "The id is empty");
    ensure!(one.id() != other.id(), "Two sandboxes have the id {}", one.id());
    ensure!(!one.processes_lost() && !one.paused(), "A new sandbox says it has lost processes or is paused");
    trial.sh(&one, "echo mine >file").await?;
    let seen = trial.sh(&other, "cat file 2>/dev/null || echo nothing").await?;
    ensure!(seen == "nothing", "A file of one sandbox is seen in another: {seen:?}");
    let who = trial.sh(&one, ": >\"$HOME/writable\" && echo yes").await?;
    ensure!(who == "yes", "$HOME cannot be written to");
    Ok(())
}

async fn kill(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let mut running = trial.spawn(&sandbox, shell("echo ready; sleep 1000 & sleep 1000")).await?;
    trial.read_until(&mut *running, "ready\n").await?;
    for _ in 0..2 {
        trial.within("killing", sandbox.kill()).await??;
    }
    let code = trial.within("the command's end", collect(&mut *running)).await?.err().map(|error| error.code);
    ensure!(code == Some(Code::SandboxKilled), "The running command ended with {code:?}, not SANDBOX_KILLED");
    drop(running);
    trial.until_clean().await
}

async fn after_kill(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    trial.within("killing", sandbox.kill()).await??;
    let code = sandbox.spawn(shell("true")).await.err().map(|error| error.code);
    ensure!(code == Some(Code::SandboxKilled), "A command gives {code:?}, not SANDBOX_KILLED");
    if let Some(files) = sandbox.files() {
        let code = files.read("file").await.err().map(|error| error.code);
        ensure!(code == Some(Code::SandboxKilled), "Reading a file gives {code:?}, not SANDBOX_KILLED");
    }
    if trial.can.resume {
        let other = trial.harness.provider()?;
        let code = other.resume(sandbox.id(), OpenRequest::default()).await.err().map(|error| error.code);
        ensure!(code == Some(Code::SessionNotFound), "Resuming it gives {code:?}, not SESSION_NOT_FOUND");
    }
    trial.within("releasing", sandbox.release()).await??;
    Ok(())
}

/// Takes chunks until none comes for a while. False if they never stop.
async fn quiet(process: &mut dyn Process) -> Verdict<bool> {
    for _ in 0..50 {
        match tokio::time::timeout(Duration::from_millis(700), process.next()).await {
            Err(_) => return Ok(true),
            Ok(chunk) => ensure!(chunk?.is_some(), "The command ended"),
        }
    }
    Ok(false)
}

async fn pause(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let ticking = shell("while :; do echo tick; sleep 0.1; done");
    let mut ticker = trial.spawn(&sandbox, ticking).await?;
    trial.read_until(&mut *ticker, "tick\n").await?;
    // More running time than it needs, less than it is paused.
    let waiting = "echo ready; while [ ! -e go ]; do sleep 0.1; done; echo done";
    let mut limited = trial.spawn(&sandbox, Command { timeout_ms: Some(4000), ..shell(waiting) }).await?;
    trial.read_until(&mut *limited, "ready\n").await?;
    for _ in 0..2 {
        trial.within("pausing", sandbox.pause()).await??;
    }
    ensure!(sandbox.paused(), "It does not say that it is paused");
    ensure!(quiet(&mut *ticker).await?, "A command of a paused sandbox goes on writing");
    let code = sandbox.spawn(shell("true")).await.err().map(|error| error.code);
    ensure!(code == Some(Code::SandboxPaused), "A command gives {code:?}, not SANDBOX_PAUSED");
    tokio::time::sleep(Duration::from_millis(4500)).await;
    for _ in 0..2 {
        trial.within("thawing", sandbox.thaw()).await??;
    }
    ensure!(!sandbox.paused(), "It still says that it is paused");
    trial.read_until(&mut *ticker, "tick\n").await?;
    trial.sh(&sandbox, ": >go").await?;
    let output = trial.within("the end of a limited command", collect(&mut *limited)).await??;
    ensure!(
        output.out() == "done\n" && !output.exit.timed_out,
        "The time of the pause counted: the command ended as {output:?}"
    );
    Ok(())
}

async fn no_pause(trial: &Trial<'_>) -> Verdict {
    if trial.can.suspend {
        return suspend(trial).await;
    }
    let sandbox = trial.sandbox().await?;
    for (what, done) in [("Pausing", sandbox.pause().await), ("Thawing", sandbox.thaw().await)] {
        let code = done.err().map(|error| error.code);
        ensure!(code == Some(Code::Unsupported), "{what} gave {code:?}, not UNSUPPORTED");
    }
    ensure!(!sandbox.paused(), "It says that it is paused");
    Ok(())
}

/// Ends processes instead of freezing them.
async fn suspend(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    trial.sh(&sandbox, "echo kept >file").await?;
    let mut running = trial.spawn(&sandbox, shell("echo ready; sleep 1000")).await?;
    trial.read_until(&mut *running, "ready\n").await?;
    for _ in 0..2 {
        trial.within("pausing", sandbox.pause()).await??;
    }
    ensure!(sandbox.paused(), "It does not say that it is paused");
    let code = trial.within("the command's end", collect(&mut *running)).await?.err().map(|error| error.code);
    ensure!(code == Some(Code::SandboxPaused), "The running command ended with {code:?}, not SANDBOX_PAUSED");
    let code = sandbox.spawn(shell("true")).await.err().map(|error| error.code);
    ensure!(code == Some(Code::SandboxPaused), "A command gives {code:?}, not SANDBOX_PAUSED");
    for _ in 0..2 {
        trial.within("thawing", sandbox.thaw()).await??;
    }
    ensure!(
        !sandbox.paused() && sandbox.processes_lost(),
        "It still is paused, or does not say what was lost"
    );
    let kept = trial.sh(&sandbox, "cat file").await?;
    ensure!(kept == "kept", "The file holds {kept:?}");
    Ok(())
}

fn with_env(name: &str, value: &str) -> OpenRequest {
    OpenRequest { env: vec![(name.to_owned(), value.to_owned())], ..OpenRequest::default() }
}

async fn resume(trial: &Trial<'_>) -> Verdict {
    let request =
        OpenRequest { working_directory: "/vibe0/project".to_owned(), ..with_env("VK_FIRST", "one") };
    let first = trial.sandbox_for(request).await?;
    trial.sh(&first, "echo kept >file").await?;
    trial.within("remembering", first.remember("{\"turn\":3}")).await??;
    let recorded = first.record().await?;
    trial.within("releasing", first.release()).await??;

    let other = trial.harness.provider()?;
    let second = trial.within("resuming", other.resume(first.id(), with_env("VK_SECOND", "two"))).await??;
    trial.keep(&second);
    ensure!(second.id() == first.id(), "The id was {}, now it is {}", first.id(), second.id());
    let seen = trial.sh(&second, "pwd; cat file; echo \"$VK_SECOND\"").await?;
    ensure!(seen == "/vibe0/project\nkept\ntwo", "The resumed sandbox gives {seen:?}");
    ensure!(second.record().await? == recorded, "The record that was stored with it is another one");

    let mut unknown = first.id().to_owned();
    // Of the right form: the same id with its last character changed.
    let last = unknown.pop();
    unknown.push(if last == Some('a') { 'b' } else { 'a' });
    let code = other.resume(&unknown, OpenRequest::default()).await.err().map(|error| error.code);
    ensure!(code == Some(Code::SessionNotFound), "An unknown id gives {code:?}, not SESSION_NOT_FOUND");
    for id in ["", "../x", "a b", "x/y?z=1#f", "\u{0}"] {
        let code = other.resume(id, OpenRequest::default()).await.err().map(|error| error.code);
        let right = matches!(code, Some(Code::SessionNotFound | Code::InvalidArgument));
        ensure!(right, "The id {id:?} gives {code:?}");
    }
    Ok(())
}

async fn no_resume(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let other = trial.harness.provider()?;
    let code = other.resume(sandbox.id(), OpenRequest::default()).await.err().map(|error| error.code);
    ensure!(code == Some(Code::Unsupported), "Resuming gave {code:?}, not UNSUPPORTED");
    Ok(())
}

async fn lost(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let mut running = trial.spawn(&sandbox, shell("echo ready; sleep 1000")).await?;
    trial.read_until(&mut *running, "ready\n").await?;
    if !trial.harness.take_away(sandbox.id()).await? {
        return Err(Failure::Untried("the harness cannot take a sandbox away".to_owned()));
    }
    let code = trial.within("the command's end", collect(&mut *running)).await?.err().map(|error| error.code);
    ensure!(code == Some(Code::SandboxLost), "The running command ended with {code:?}, not SANDBOX_LOST");
    let code = trial.within("the report of the loss", sandbox.lost()).await?.code;
    ensure!(code == Code::SandboxLost, "The loss is reported as {code:?}");
    let code = sandbox.spawn(shell("true")).await.err().map(|error| error.code);
    ensure!(code == Some(Code::SandboxLost), "A command gives {code:?}, not SANDBOX_LOST");
    Ok(())
}

async fn at_once(trial: &Trial<'_>) -> Verdict {
    let mut opening = JoinSet::new();
    let count = trial.harness.sandboxes_at_once();
    for number in 0..count {
        let provider = Arc::clone(&trial.provider);
        opening.spawn(async move {
            let sandbox = provider.create(with_env("VK_NUMBER", &number.to_string())).await?;
            let mut process = sandbox.spawn(shell("echo $VK_NUMBER >file; cat file")).await?;
            let output = collect(&mut *process).await?;
            Ok::<(usize, Arc<dyn Sandbox>, String), crate::Error>((number, sandbox, output.out()))
        });
    }
    let mut verdict = Ok(());
    while let Some(joined) = opening.join_next().await {
        match joined {
            Ok(Ok((number, sandbox, output))) => {
                trial.keep(&sandbox);
                if output != format!("{number}\n") {
                    verdict = Err(Failure::new(format_args!("Sandbox {number} gives {output:?}")));
                }
            }
            Ok(Err(error)) => verdict = Err(error.into()),
            Err(panic) => verdict = Err(Failure::new(panic)),
        }
    }
    verdict
}

async fn forgotten_create(trial: &Trial<'_>) -> Verdict {
    for late in [false, true] {
        let mut done = false;
        for step in 1..=STEPS {
            match dropped_at(trial.provider.create(OpenRequest::default()), step, late).await {
                None => {}
                Some(made) => {
                    trial.keep(&made?);
                    done = true;
                }
            }
            if done {
                break;
            }
            let when = if late { "after" } else { "in" };
            trial
                .until_clean()
                .await
                .map_err(|failure| failure.while_doing(format_args!("Given up {when} step {step}")))?;
        }
        trial.clean().await?;
    }
    Ok(())
}

async fn refused_create(trial: &Trial<'_>) -> Verdict {
    let nul = OpenRequest { working_directory: "/vibe0/a\0b".to_owned(), ..OpenRequest::default() };
    let relative = OpenRequest { working_directory: "relative".to_owned(), ..OpenRequest::default() };
    let system = OpenRequest { working_directory: "/proc/x".to_owned(), ..OpenRequest::default() };
    for request in [nul, relative, system] {
        let path = request.working_directory.clone();
        match trial.provider.create(request).await {
            Ok(made) => {
                trial.keep(&made);
                ensure!(false, "A working directory {path:?} was accepted");
            }
            Err(error) => {
                ensure!(error.code == Code::InvalidArgument, "A working directory {path:?} gives {error:?}");
                ensure!(error.field.is_some(), "The error does not name the field: {error:?}");
            }
        }
    }
    for name in ["", "A=B", "A\0B"] {
        let made = trial.provider.create(with_env(name, "x")).await;
        match made {
            Ok(made) => {
                trial.keep(&made);
                let started = made.spawn(shell("true")).await.err().map(|error| error.code);
                ensure!(
                    started == Some(Code::InvalidArgument),
                    "A variable called {name:?} is refused neither at creation nor by a command: {started:?}"
                );
            }
            Err(error) => ensure!(error.code == Code::InvalidArgument, "A variable {name:?} gives {error:?}"),
        }
    }
    trial.clean().await
}
