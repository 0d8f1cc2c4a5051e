//! Commands: what they are given, and how they end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Check, check};
use crate::conformance::trial::{Trial, Verdict, collect, ensure, exec, shell};
use crate::{Code, Command, OpenRequest};

/// Commands started at once in one sandbox.
const AT_ONCE: usize = 50;

pub(super) const ALL: &[Check] = &[
    check!(
        "environment",
        "Commands get the sandbox's environment and their own, value for value",
        environment
    ),
    check!("secrets", "The environment's values are in no process's arguments", secrets),
    check!(
        "working-directory",
        "Commands start in the working directory, or where they are told to",
        directory
    ),
    check!("program", "A program gets its arguments as they are; one that is not there is refused", program),
    check!("exit-code", "The exit code is the command's own; 128 + n for signal n", exit_code),
    check!("background", "A background command runs on after its call", background, needs background else no_background),
    check!(
        "read-only",
        "A command that may only read, and what it starts, changes no file of the working directory",
        read_only, needs read_only else no_read_only
    ),
    check!("commands-at-once", "Fifty commands at once do not get in each other's way", at_once),
];

const ODD: &[(&str, &str)] = &[
    ("VK_PLAIN", "plain"),
    ("VK_EMPTY", ""),
    ("VK_QUOTES", "it's \"quoted\" `and` $HOME \\ *"),
    ("VK_LINES", "one\ntwo\n"),
    ("VK_UNICODE", "✓ ä 日本"),
    ("VK_EQUALS", "a=b=c"),
];

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn environment(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox_for(OpenRequest { env: owned(ODD), ..OpenRequest::default() }).await?;
    for (name, value) in ODD {
        let output = trial.run(&sandbox, shell(&format!("printf '%s|' \"${name}\""))).await?;
        ensure!(output.out() == format!("{value}|"), "{name} arrived as {:?}, not {value:?}", output.out());
    }
    let env = [("VK_PLAIN", "first"), ("VK_PLAIN", "of the command"), ("VK_OWN", "it's \"mine\" $A\n")];
    let command = Command { env: owned(&env), ..shell("printf '%s|%s|' \"$VK_PLAIN\" \"$VK_OWN\"") };
    let output = trial.run(&sandbox, command).await?;
    ensure!(
        output.out() == "of the command|it's \"mine\" $A\n|",
        "The command's own environment arrived as {:?}",
        output.out()
    );
    let after = trial.sh(&sandbox, "echo \"$VK_PLAIN|$VK_OWN\"").await?;
    ensure!(after == "plain|", "The next command has the environment of the one before: {after:?}");
    Ok(())
}

async fn secrets(trial: &Trial<'_>) -> Verdict {
    const SECRET: &str = "conformance-7f3a9c";
    let request = OpenRequest { env: owned(&[("VK_SANDBOX", SECRET)]), ..OpenRequest::default() };
    let sandbox = trial.sandbox_for(request).await?;
    // Written so that the line itself does not hold the value.
    let line = "echo $VK_SANDBOX $VK_COMMAND; for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null; echo; done";
    let command = Command { env: owned(&[("VK_COMMAND", SECRET)]), ..shell(line) };
    let output = trial.run(&sandbox, command).await?.out();
    let (own, processes) = output.split_once('\n').unwrap_or_default();
    ensure!(own == format!("{SECRET} {SECRET}"), "The values did not arrive: {own:?}");
    let shown = processes.lines().find(|line| line.contains(SECRET));
    ensure!(shown.is_none(), "A process shows a value in its arguments: {:?}", shown.unwrap_or_default());
    Ok(())
}

async fn directory(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let usual = trial.sh(&sandbox, "pwd").await?;
    ensure!(usual == "/vibe0", "Without a wish the working directory is {usual:?}, not /vibe0");
    trial.sh(&sandbox, "mkdir sub && echo here >sub/file").await?;
    for cwd in ["sub", "/vibe0/sub"] {
        let output =
            trial.run(&sandbox, Command { cwd: Some(cwd.to_owned()), ..shell("pwd; cat file") }).await?;
        ensure!(output.out() == "/vibe0/sub\nhere\n", "With cwd {cwd:?} it ran in {:?}", output.out());
    }
    let nowhere = Command { cwd: Some("/vibe0/nowhere".to_owned()), ..shell("pwd") };
    refused(&sandbox, nowhere, Code::SpawnFailed, "in a directory that is not there").await?;

    let wish = "/vibe0/deep er/ü";
    let request = OpenRequest { working_directory: wish.to_owned(), ..OpenRequest::default() };
    let sandbox = trial.sandbox_for(request).await?;
    let made = trial.sh(&sandbox, "pwd && echo x >file && cat file").await?;
    ensure!(made == format!("{wish}\nx"), "A working directory {wish:?} gave {made:?}");
    Ok(())
}

async fn program(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let args =
        ["-c", "printf '<%s>' \"$@\"", "sh", "", " a  b ", "it's", "\"$HOME\"", "*", "-n", "x\ny", "✓"];
    let output = trial.run(&sandbox, exec("sh", &args)).await?;
    let expected: String = args[3..].iter().map(|arg| format!("<{arg}>")).collect();
    ensure!(output.out() == expected, "The arguments arrived as {:?}, not {expected:?}", output.out());
    refused(&sandbox, exec("no-such-program-here", &[]), Code::SpawnFailed, "of a program that is not there")
        .await?;
    refused(&sandbox, exec("/vibe0", &[]), Code::SpawnFailed, "of a directory").await?;
    refused(&sandbox, exec("sh", &["-c", "a\0b"]), Code::InvalidArgument, "with a NUL in an argument")
        .await?;
    refused(&sandbox, shell("echo a\0b"), Code::InvalidArgument, "with a NUL in the line").await?;
    Ok(())
}

/// A start that has to fail, with that code.
async fn refused(sandbox: &Arc<dyn crate::Sandbox>, command: Command, code: Code, what: &str) -> Verdict {
    match sandbox.spawn(command).await {
        Ok(mut process) => {
            let ended = collect(&mut *process).await;
            ensure!(
                false,
                "The start {what} was not refused; it ended as {:?}",
                ended.map(|output| output.exit)
            );
        }
        Err(error) => ensure!(error.code == code, "The start {what} was refused as {error:?}"),
    }
    Ok(())
}

async fn exit_code(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    for code in [0, 1, 3, 126, 255] {
        let exit = trial.run(&sandbox, shell(&format!("exit {code}"))).await?.exit;
        ensure!(exit.code == code, "`exit {code}` ended with {}", exit.code);
    }
    for (signal, code) in [(9, 137), (15, 143)] {
        let exit = trial.run(&sandbox, shell(&format!("kill -{signal} $$"))).await?.exit;
        ensure!(exit.code == code, "Signal {signal} gave the code {}, not {code}", exit.code);
        ensure!(!exit.timed_out && exit.stopped.is_none(), "Nobody stopped it, but it says so: {exit:?}");
    }
    Ok(())
}

async fn background(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let line = "echo $$ >pid; echo noise; while [ ! -e go ]; do sleep 0.1; done; echo done >done; sleep 1000";
    let mut process = trial.spawn(&sandbox, Command { background: true, ..shell(line) }).await?;
    let output = trial.within("the call of a background command", collect(&mut *process)).await??;
    ensure!(output.exit.code == 0, "The start of a background command ended with {}", output.exit.code);
    drop(process);
    trial.sh(&sandbox, "while [ ! -s pid ]; do sleep 0.1; done; kill -0 $(cat pid)").await?;
    trial.sh(&sandbox, ": >go; while [ ! -e done ]; do sleep 0.1; done").await?;
    // It still runs, and ends with the sandbox; the harness tells if it does not.
    trial.sh(&sandbox, "kill -0 $(cat pid)").await?;
    Ok(())
}

async fn no_background(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    refused(&sandbox, Command { background: true, ..shell("true") }, Code::Unsupported, "in the background")
        .await
}

async fn read_only(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    ensure!(sandbox.read_only(), "The sandbox says that it cannot");
    trial.sh(&sandbox, "mkdir sub && echo kept >kept && ln -s kept link").await?;
    let line = "cat kept; echo x >kept; echo x >>kept; echo x >link; true >new; mkdir more; rm -f kept; rmdir sub; mv kept moved; \
                ln kept hard; ln -s kept soft; cp kept copy; (setsid sh -c 'echo x >sub/late'); \
                f=$(mktemp) && echo scratch >$f && cat $f";
    let output = trial.run(&sandbox, Command { read_only: true, ..shell(line) }).await?;
    ensure!(output.out() == "kept\nscratch\n", "It gave {:?} and {:?}", output.out(), output.err());
    let after = trial.sh(&sandbox, "find . | sort && cat kept").await?;
    ensure!(after == ".\n./kept\n./link\n./sub\nkept", "Afterwards there is {after:?}");
    trial.sh(&sandbox, "echo x >kept").await?;
    Ok(())
}

async fn no_read_only(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    ensure!(!sandbox.read_only(), "The sandbox says that it can");
    let command = Command { read_only: true, ..shell("true") };
    refused(&sandbox, command, Code::Unsupported, "of a command that may only read").await
}

async fn at_once(trial: &Trial<'_>) -> Verdict {
    let sandbox = trial.sandbox().await?;
    let mut running = JoinSet::new();
    for number in 0..AT_ONCE {
        let sandbox = Arc::clone(&sandbox);
        running.spawn(async move {
            let command = shell(&format!("echo {number}; echo e{number} >&2; exit {number}"));
            let mut process = sandbox.spawn(command).await?;
            Ok::<_, crate::Error>((number, collect(&mut *process).await?))
        });
    }
    // Each of them may have to wait for all others.
    let limit = Duration::from_secs(5) * u32::try_from(AT_ONCE).unwrap_or(1);
    let all = tokio::time::timeout(limit, async {
        let mut outputs = Vec::new();
        while let Some(joined) = running.join_next().await {
            outputs.push(joined);
        }
        outputs
    })
    .await
    .map_err(|_| crate::conformance::trial::Failure::new(format_args!("They took longer than {limit:?}")))?;
    for joined in all {
        let (number, output) =
            joined.map_err(|panic| crate::conformance::trial::Failure::new(panic.to_string()))??;
        let code = i32::try_from(number).unwrap_or(-1);
        let right = output.exit.code == code && output.out().contains(&format!("{number}\n"));
        ensure!(right, "Command {number} ended as {output:?}");
    }
    Ok(())
}
